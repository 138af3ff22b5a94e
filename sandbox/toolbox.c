#include "toolbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../rootfs/plan.h"
#include "base/fd.h"
#include "base/log.h"
#include "child.h"
#include "criu.h"

#define LIBRARIES "/usr/lib/x86_64-linux-gnu"
#define LOADER LIBRARIES "/ld-linux-x86-64.so.2"
#define PRELOAD "criu-preload.so" /* preload/getsockopt.c */

/* Runs the criu of the toolbox at `top`. The image is of another Debian than this machine, so it brings its loader. */
static int exec_criu(const char *top, char *verb, char *argument, struct err *e)
{
    char loader[PATH_MAX], libraries[PATH_MAX], criu[PATH_MAX];
    char *argv[] = {loader, "--preload", PRELOAD, "--library-path", libraries, criu, verb, argument, NULL};
    /* All symbols now: what is bound later would be bound while somebody waits for a restore. */
    char *env[] = {"LD_BIND_NOW=1", "PATH=/usr/sbin:/usr/bin", NULL};

    snprintf(loader, sizeof(loader), "%s" LOADER, top);
    snprintf(libraries, sizeof(libraries), "%s" LIBRARIES ":/run", top);
    snprintf(criu, sizeof(criu), "%s/usr/sbin/criu", top);
    execve(loader, argv, env);
    return err_errno(e, "exec %s", loader);
}

int toolbox_exec_criu(struct err *e)
{
    char fd[16];

    snprintf(fd, sizeof(fd), "%d", CRIU_RPC_FD);
    return exec_criu(TOOLBOX_MOUNT, "swrk", fd, e);
}

static int find_image(struct toolbox *t, struct err *e)
{
    char path[PATH_MAX], digest[64];
    ssize_t n;

    snprintf(path, sizeof(path), "%s/" PLAN_TOOLBOX "/current", t->images);
    n = fd_read_file_at(AT_FDCWD, path, digest, sizeof(digest), e);
    if (n < 0 && e->code == ENOENT)
        return err_set(e, ENOENT, "no image '" PLAN_TOOLBOX "': make it with `fnrun image build " PLAN_TOOLBOX "`");
    if (n < 0)
        return -e->code;
    digest[strcspn(digest, "\n")] = '\0';
    if (strlen(digest) != sizeof(t->digest) - 1 || strspn(digest, "0123456789abcdef") != strlen(digest))
        return err_set(e, EINVAL, "%s has no digest of an image", path);
    memcpy(t->digest, digest, sizeof(t->digest));
    return 0;
}

/* In a sandbox /proc is read-only. criu must learn here already that it can't write a loginuid, or each restore fails at it. */
static int make_loginuid_read_only(struct err *e)
{
    static const char path[] = "/proc/self/loginuid";

    if (mount(path, path, NULL, MS_BIND, NULL) < 0)
        return errno == ENOENT ? 0 : err_errno(e, "bind %s", path);
    return mount(NULL, path, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) < 0 ? err_errno(e, "remount %s", path) : 0;
}

/* criu's own view of the machine: RUN/criu is its /run, and its /proc that of its pid namespace. */
static int show_probe(const struct toolbox *t, struct err *e)
{
    char run[PATH_MAX];

    snprintf(run, sizeof(run), "%s/" PLAN_CRIU_CACHE, t->run);
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return err_errno(e, "mount namespace");
    if (mount(run, "/run", NULL, MS_BIND, NULL) < 0)
        return err_errno(e, "bind %s", run);
    if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        return err_errno(e, "mount /proc");
    return make_loginuid_read_only(e);
}

/* State: a fork of the warden, PID 1 of a new pid namespace: what criu forks and traces there ends with it in any case. */
static void run_probe(const struct toolbox *t) __attribute__((noreturn));
static void run_probe(const struct toolbox *t)
{
    char top[PATH_MAX];
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct err e;

    snprintf(top, sizeof(top), "%s/" PLAN_TOOLBOX "/%s/rootfs", t->images, t->digest);
    if (child_reset(&e) == 0 && show_probe(t, &e) == 0 && dup2(null, 1) == 1 && dup2(null, 2) == 2)
        exec_criu(top, "check", NULL, &e);
    log_error("criu: %s", e.msg);
    _exit(1);
}

static void on_probe_done(struct loop_io *io, UNUSED uint32_t events)
{
    struct toolbox *t = container_of(io, struct toolbox, probe);
    char path[PATH_MAX];
    siginfo_t info;

    waitid(P_PIDFD, (id_t)io->fd, &info, WEXITED | WNOHANG);
    loop_io_remove(t->loop, io);
    fd_close(&io->fd);
    snprintf(path, sizeof(path), "%s/" PLAN_CRIU_CACHE "/criu.kdat", t->run);
    t->ready = access(path, R_OK) == 0;
    if (!t->ready) {
        err_set(&t->why_not, ENOSYS, "criu doesn't work on this kernel");
        log_warn("no snapshots: %s", t->why_not.msg);
    }
}

/* Beside the cache. criu's real uid is not its effective one (arm.h); then the loader takes a file by its bare name alone, and
 * only one with the set-user-ID bit: ld.so(8), "secure-execution mode". A restore has no use for it and goes on without: its
 * /run is NOEXEC. */
static int add_preload(const struct toolbox *t, const char *cache, struct err *e)
{
    char from[PATH_MAX + 32], to[PATH_MAX + 32];
    auto_fd int in = -1, out = -1;
    struct stat st;

    snprintf(from, sizeof(from), "%s/" PRELOAD, t->libexec);
    snprintf(to, sizeof(to), "%s/" PRELOAD, cache);
    unlink(to);
    in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0 || fstat(in, &st) < 0)
        return err_errno(e, "open %s", from);
    out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
    if (out < 0 || sendfile(out, in, NULL, (size_t)st.st_size) != st.st_size || fchmod(out, 04700) < 0)
        return err_errno(e, "write %s", to);
    return 0;
}

static int start_probe(struct toolbox *t, struct err *e)
{
    char path[PATH_MAX];
    struct clone_args args = {
        .flags = CLONE_NEWPID | CLONE_PIDFD, .pidfd = (uintptr_t)&t->probe.fd, .exit_signal = SIGCHLD};
    long pid;

    snprintf(path, sizeof(path), "%s/" PLAN_CRIU_CACHE, t->run);
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return err_errno(e, "mkdir %s", path);
    if (add_preload(t, path, e) < 0)
        return -e->code;
    pid = syscall(SYS_clone3, &args, sizeof(args));
    if (pid == 0)
        run_probe(t);
    if (pid < 0)
        return err_errno(e, "clone3");
    return loop_io_add(t->loop, &t->probe, EPOLLIN, e);
}

void toolbox_open(struct toolbox *t, struct loop *loop, const char *images, const char *run, const char *libexec)
{
    struct err e = {.code = 0};

    *t = (struct toolbox){
        .loop = loop, .images = images, .run = run, .libexec = libexec, .probe = {.fd = -1, .on_ready = on_probe_done}};
    err_set(&t->why_not, EAGAIN, "criu is still being prepared");
    if (find_image(t, &e) < 0 || start_probe(t, &e) < 0) {
        t->why_not = e;
        log_warn("no snapshots: %s", e.msg);
    }
}

void toolbox_close(struct toolbox *t)
{
    siginfo_t info;

    if (t->probe.fd >= 0 && pidfd_send_signal(t->probe.fd, SIGKILL, NULL, 0) == 0)
        waitid(P_PIDFD, (id_t)t->probe.fd, &info, WEXITED);
    loop_io_remove(t->loop, &t->probe);
    fd_close(&t->probe.fd);
}

int toolbox_check(const struct toolbox *t, struct err *e)
{
    return t->ready ? 0 : err_set(e, t->why_not.code, "%s", t->why_not.msg);
}
