#include "package.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../sandbox/base/fd.h"
#include "../sandbox/base/list.h"
#include "../sandbox/base/log.h"
#include "package_child.h"

#define CHILDREN_MAX 4U
#define ATTEMPTS_MAX 3U

struct packages {
    struct loop *loop;
    int dir;
    struct list_node waiting; /* jobs without a child */
    struct list_node working; /* jobs with one */
    unsigned children;
    uint64_t last_temp;
    struct loop_later start;
};

/* One child's work: to unpack a zip, or (without `done`) to remove what stands under `temp`. */
struct job {
    struct list_node node;
    struct packages *ps;
    package_done done;
    void *ctx;
    char temp[32];
    unsigned attempts;
    pid_t pid;
    int source, report;
    struct loop_io io; /* the child's pidfd */
};

static bool is_digest(const char *name)
{
    return strlen(name) == 64 && strspn(name, "0123456789abcdef") == 64;
}

/* --- jobs --------------------------------------------------------------------------------------------------------- */

static struct job *make_job(struct packages *ps, package_done done, void *ctx)
{
    struct job *j = calloc(1, sizeof(*j));

    if (!j)
        return NULL;
    *j = (struct job){.ps = ps, .done = done, .ctx = ctx, .source = -1, .report = -1, .io.fd = -1};
    snprintf(j->temp, sizeof(j->temp), "tmp-%llu", (unsigned long long)++ps->last_temp);
    list_init(&j->node);
    return j;
}

static void queue_job(struct job *j)
{
    list_remove(&j->node);
    list_append(&j->ps->waiting, &j->node);
    loop_later(j->ps->loop, &j->ps->start);
}

static void close_child(struct job *j)
{
    loop_io_remove(j->ps->loop, &j->io);
    fd_close(&j->io.fd);
    fd_close(&j->report);
}

static void free_job(struct job *j)
{
    close_child(j);
    list_remove(&j->node);
    fd_close(&j->source);
    free(j);
}

static void remove_later(struct packages *ps, const char *temp)
{
    struct job *j = make_job(ps, NULL, NULL);

    if (!j)
        return; /* the next start removes it */
    snprintf(j->temp, sizeof(j->temp), "%s", temp);
    queue_job(j);
}

/* Ends an adding job. A package that was removed while the child found it to be there already is unpacked again. */
static void finish_add(struct job *j, struct package_info *info)
{
    if (info->result == PACKAGE_OK && !package_exists(j->ps, info->digest)) {
        if (++j->attempts < ATTEMPTS_MAX) {
            close_child(j);
            queue_job(j);
            return;
        }
        info->result = PACKAGE_FAILED;
        snprintf(info->why, sizeof(info->why), "package %s went away", info->digest);
    }
    if (info->result != PACKAGE_OK)
        log_info("code package refused: %s", info->why);
    j->done(j->ctx, info);
    free_job(j);
}

/* The child's last word; where it has none, something killed it: the processor limit, or a zip that broke libzip. */
static void read_report(struct job *j, const siginfo_t *end, struct package_info *ret)
{
    if (read(j->report, ret, sizeof(*ret)) == (ssize_t)sizeof(*ret))
        return;
    *ret = (struct package_info){.result = end->si_code == CLD_EXITED ? PACKAGE_FAILED : PACKAGE_NOT_A_ZIP};
    snprintf(ret->why, sizeof(ret->why), "unpacking ended by %s %d", end->si_code == CLD_EXITED ? "status" : "signal",
             end->si_status);
    remove_later(j->ps, j->temp);
}

static void on_child_exit(struct loop_io *io, UNUSED uint32_t events)
{
    struct job *j = container_of(io, struct job, io);
    struct package_info info = {.result = PACKAGE_FAILED};
    siginfo_t end = {0};

    if (waitid(P_PIDFD, (id_t)j->io.fd, &end, WEXITED) < 0)
        log_error("wait for package child: %s", strerror(errno));
    j->ps->children--;
    loop_later(j->ps->loop, &j->ps->start);
    if (!j->done) {
        free_job(j);
        return;
    }
    read_report(j, &end, &info);
    finish_add(j, &info);
}

static int fork_child(struct job *j, int report, struct err *e)
{
    j->pid = fork();
    if (j->pid < 0)
        return err_errno(e, "fork");
    if (j->pid > 0)
        return 0;
    if (j->done)
        package_child_add(j->ps->dir, j->source, j->temp, report);
    package_child_remove(j->ps->dir, j->temp);
}

static int watch_child(struct job *j, struct err *e)
{
    j->io = (struct loop_io){.on_ready = on_child_exit, .fd = pidfd_open(j->pid, 0)};
    if (j->io.fd < 0)
        return err_errno(e, "pidfd");
    return loop_io_add(j->ps->loop, &j->io, EPOLLIN, e);
}

static int start_job(struct job *j, struct err *e)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_errno(e, "pipe");
    j->report = ends[0];
    fork_child(j, ends[1], e);
    close(ends[1]);
    if (j->pid < 0)
        return -e->code;
    if (watch_child(j, e) < 0) {
        kill(j->pid, SIGKILL);
        waitpid(j->pid, NULL, 0);
        return -e->code;
    }
    j->ps->children++;
    return 0;
}

static void on_start(struct loop_later *l)
{
    struct packages *ps = container_of(l, struct packages, start);
    struct job *j;
    struct err e;

    while (ps->children < CHILDREN_MAX && (j = list_first(&ps->waiting, struct job, node))) {
        list_remove(&j->node);
        list_append(&ps->working, &j->node);
        if (start_job(j, &e) == 0)
            continue;
        if (j->done) {
            struct package_info info = {.result = PACKAGE_FAILED};

            snprintf(info.why, sizeof(info.why), "%.*s", (int)sizeof(info.why) - 1, e.msg);
            finish_add(j, &info);
        } else {
            free_job(j);
        }
    }
}

void package_add(struct packages *ps, int fd, package_done done, void *ctx)
{
    static const struct package_info no_memory = {.result = PACKAGE_FAILED, .why = "no memory"};
    struct job *j = make_job(ps, done, ctx);

    if (!j) {
        close(fd);
        done(ctx, &no_memory);
        return;
    }
    j->source = fd;
    queue_job(j);
}

/* --- the folder --------------------------------------------------------------------------------------------------- */

bool package_exists(const struct packages *ps, const char *digest)
{
    return is_digest(digest) && faccessat(ps->dir, digest, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Links inside the package are followed, as the function's own process would; the kernel keeps them inside. */
int package_open(struct packages *ps, const char *digest, const char *name, struct err *e)
{
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    auto_fd int dir = -1;
    char path[80];
    int fd;

    if (!is_digest(digest))
        return err_set(e, EINVAL, "package: bad digest");
    snprintf(path, sizeof(path), "%s%s", digest, name ? "/tree" : "");
    dir = openat(ps->dir, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0)
        return err_errno(e, "package %s", digest);
    fd = (int)syscall(SYS_openat2, dir, name ? name : "zip", &how, sizeof(how));
    return fd < 0 ? err_errno(e, "package %s: %s", digest, name ? name : "zip") : fd;
}

int packages_new_file(struct packages *ps, struct err *e)
{
    char name[48];
    auto_fd int fd = -1;

    snprintf(name, sizeof(name), "upload-%llu", (unsigned long long)++ps->last_temp);
    fd = openat(ps->dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || unlinkat(ps->dir, name, 0) < 0)
        return err_errno(e, "file for an upload");
    return take_fd(&fd);
}

void package_remove(struct packages *ps, const char *digest)
{
    char temp[32];

    if (!is_digest(digest))
        return;
    snprintf(temp, sizeof(temp), "tmp-%llu", (unsigned long long)++ps->last_temp);
    if (renameat(ps->dir, digest, ps->dir, temp) == 0)
        remove_later(ps, temp);
    else if (errno != ENOENT)
        log_warn("remove package %s: %s", digest, strerror(errno));
}

static DIR *list_dir(const struct packages *ps)
{
    int fd = openat(ps->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);

    if (!d)
        log_warn("code folder: %s", strerror(errno));
    return d;
}

void packages_sweep(struct packages *ps, bool (*in_use)(void *, const char *), void *ctx)
{
    DIR *d = list_dir(ps);
    const struct dirent *entry;

    while (d && (entry = readdir(d)))
        if (is_digest(entry->d_name) && !in_use(ctx, entry->d_name))
            package_remove(ps, entry->d_name);
    if (d)
        closedir(d);
}

/* What an earlier life was unpacking or removing. */
static void remove_leftovers(struct packages *ps)
{
    DIR *d = list_dir(ps);
    const struct dirent *entry;

    while (d && (entry = readdir(d)))
        if (entry->d_name[0] != '.' && !is_digest(entry->d_name))
            package_remove_tree(ps->dir, entry->d_name);
    if (d)
        closedir(d);
}

int packages_open(struct loop *loop, const char *dir, struct packages **ret, struct err *e)
{
    struct packages *ps = calloc(1, sizeof(*ps));

    if (!ps)
        return err_set(e, ENOMEM, "packages: no memory");
    *ps = (struct packages){.loop = loop, .start.run = on_start};
    list_init(&ps->waiting);
    list_init(&ps->working);
    if (mkdir(dir, 0755) < 0 && errno != EEXIST) {
        free(ps);
        return err_errno(e, "%s", dir);
    }
    ps->dir = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (ps->dir < 0) {
        free(ps);
        return err_errno(e, "%s", dir);
    }
    remove_leftovers(ps);
    *ret = ps;
    return 0;
}
