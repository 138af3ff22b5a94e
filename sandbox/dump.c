#include "dump.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../rootfs/plan.h"
#include "arm.h"
#include "base/channel.h"
#include "base/log.h"
#include "compile.h"
#include "dump_check.h"
#include "forget.h"
#include "tcp_end.h"
#include "tmp_files.h"

#define NAMESPACES (CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)

/* One dump under way. */
struct dump {
    struct list_node node; /* in all->dumps */
    struct sandboxes *all;
    struct loop_io child; /* pidfd */
    int result;           /* socket from the child */
    uint64_t sandbox;
    char id[PROTO_SNAPSHOT_ID];
};

/* What the child needs. */
struct job {
    const struct sandboxes *all;
    struct arm arm;
    char log_name[CRIU_LOG_NAME];
    int pid1; /* pidfd */
    bool with_channel;
    int connection; /* that a runtime without channel waits on; -1 */
    const struct proto_dump *request;
};

/* The child's word, a struct proto_failed without its header's use. */
struct verdict {
    int code;
    char text[400];
    struct criu_ends ends;
};

static void finish(struct sandboxes *all, uint64_t sandbox, const struct err *e)
{
    struct proto_failed m = {.header = {PROTO_VERSION, PROTO_DUMPED, sandbox}, .code = e->code};

    snprintf(m.text, sizeof(m.text), "%.*s", (int)sizeof(m.text) - 1, e->code ? e->msg : "");
    link_send(all->link, &m, sizeof(m), NULL);
}

/* --- the child ----------------------------------------------------------------------------------------------------- */

/* The inode behind the runtime's descriptor, "KIND:[INODE]": criu will look for the old end under this name. */
static int read_end(int fd, const char *kind, uint64_t *ret, struct err *e)
{
    char path[64], link[64] = "", *number;

    snprintf(path, sizeof(path), "/proc/2/fd/%d", fd);
    if (readlink(path, link, sizeof(link) - 1) < 0)
        return err_errno(e, "read %s", path);
    number = strchr(link, '[');
    if (!number || strncmp(link, kind, strlen(kind)) != 0)
        return err_set(e, EINVAL, "the runtime's descriptor %d is now %s", fd, link);
    *ret = strtoull(number + 1, NULL, 10);
    return 0;
}

static int read_ends(const struct job *j, struct criu_ends *ret, struct err *e)
{
    *ret = (struct criu_ends){0};
    if (j->with_channel && read_end(CHANNEL_FD, "socket:", &ret->channel_inode, e) < 0)
        return -e->code;
    return read_end(STDOUT_FILENO, "pipe:", &ret->log_inode, e);
}

/* A mount of `path`, not yet attached anywhere: no path leads to it from inside the sandbox. */
static int clone_tree(const char *base, const char *path, struct err *e)
{
    char whole[PATH_MAX];
    int tree;

    snprintf(whole, sizeof(whole), "%s/%s", base, path);
    tree = (int)syscall(SYS_open_tree, AT_FDCWD, whole, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    return tree < 0 ? err_errno(e, "open_tree %s", whole) : tree;
}

static int attach(int tree, const char *target, struct err *e)
{
    return syscall(SYS_move_mount, tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0
               ? err_errno(e, "mount on %s", target)
               : 0;
}

/* Moves into the sandbox and brings criu's file systems along. */
static int enter(const struct job *j, struct err *e)
{
    char toolbox[PLAN_SOURCE_MAX];
    int tree, cache;

    snprintf(toolbox, sizeof(toolbox), PLAN_TOOLBOX "/%s/rootfs", j->all->toolbox->digest);
    tree = clone_tree(j->all->paths.base[PLAN_IMAGES], toolbox, e);
    if (tree < 0)
        return -e->code;
    cache = clone_tree(j->all->paths.base[PLAN_RUN], PLAN_CRIU_CACHE, e);
    if (cache < 0)
        return -e->code;
    if (setns(j->pid1, NAMESPACES) < 0)
        return err_errno(e, "enter the sandbox");
    return attach(tree, TOOLBOX_MOUNT, e) < 0 || attach(cache, "/run", e) < 0 ? -e->code : 0;
}

/* Third-party runtimes have no channel; they are dumped while they wait for an answer. */
static int save_connection(const struct job *j, struct err *e)
{
    if (j->with_channel)
        return 0;
    if (j->connection < 0)
        return err_set(e, EINVAL, "the runtime waits for nothing");
    return tcp_end_save(j->connection, j->request + 1, j->request->request_bytes, j->arm.images, e);
}

/* What a template can't restore is left to criu, and why is kept for who asks. */
static int add_template(const struct job *j, const struct criu_ends *ends, struct err *e)
{
    auto_fd int fd = -1;

    if (compile_template(j->arm.images, ends, j->arm.uid, e) == 0)
        return 0;
    if (e->code != ENOTSUP)
        return -e->code;
    fd = openat(j->arm.images, SNAPSHOTS_WHY_CRIU, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0)
        return err_errno(e, "create " SNAPSHOTS_WHY_CRIU);
    return fd_write_all(fd, e->msg, strlen(e->msg), e) < 0 ? -e->code : (e->code = 0);
}

static int dump_inside(const struct job *j, struct criu_ends *ret, struct err *e)
{
    int rpc;

    if (enter(j, e) < 0 || dump_check_processes(e) < 0 || tmp_files_save(j->arm.uid, j->arm.images, e) < 0 ||
        read_ends(j, ret, e) < 0 || save_connection(j, e) < 0 || forget_random(e) < 0 ||
        arm_start_criu(&j->arm, -1, &rpc, e) < 0 || criu_send_dump(rpc, ret, j->log_name, e) < 0 ||
        criu_receive(rpc, e) < 0)
        return -e->code;
    return forget_random_on_fork(j->arm.images, e) < 0 ? -e->code : add_template(j, ret, e);
}

static void run_child(const struct job *j, int result) __attribute__((noreturn));
static void run_child(const struct job *j, int result)
{
    struct verdict v;
    struct err e = {.code = 0}, ignored;

    memset(&v, 0, sizeof(v));
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    dump_inside(j, &v.ends, &e);
    umount2(TOOLBOX_MOUNT, MNT_DETACH);
    umount2("/run", MNT_DETACH);
    v.code = e.code;
    snprintf(v.text, sizeof(v.text), "%.*s", (int)sizeof(v.text) - 1, e.code ? e.msg : "");
    msg_send(result, &v, sizeof(v), NULL, &ignored);
    _exit(0);
}

/* --- the warden ---------------------------------------------------------------------------------------------------- */

static int end_dump(struct dump *d, struct err *e)
{
    struct sandboxes *all = d->all;
    auto_msg_fds struct msg_fds none = {.count = 0};
    char log_name[CRIU_LOG_NAME];
    struct verdict v;
    bool said = msg_recv(d->result, &v, sizeof(v), &none, e) == sizeof(v);

    criu_name_log(log_name, d->sandbox);
    if (said && v.code == 0) {
        criu_drop_log(all->work, log_name);
        template_drop(all->templates, d->id);
        return snapshots_commit(all->snapshots, d->id, &v.ends, e);
    }
    if (said)
        err_set(e, v.code, "%.*s", (int)sizeof(v.text), v.text);
    else
        err_set(e, EIO, "the dump was killed");
    criu_explain(all->work, log_name, e);
    snapshots_drop(all->snapshots, d->id);
    return -e->code;
}

static void free_dump(struct dump *d)
{
    list_remove(&d->node);
    loop_io_remove(d->all->loop, &d->child);
    fd_close(&d->child.fd);
    fd_close(&d->result);
    free(d);
}

static void on_child_gone(struct loop_io *io, UNUSED uint32_t events)
{
    struct dump *d = container_of(io, struct dump, child);
    struct err e = {.code = 0};
    siginfo_t info;

    waitid(P_PIDFD, (id_t)io->fd, &info, WEXITED | WNOHANG);
    end_dump(d, &e);
    finish(d->all, d->sandbox, &e);
    free_dump(d);
}

static int start_child(struct dump *d, const struct job *j, struct err *e)
{
    struct loop_io *io = &d->child;
    auto_fd int theirs = -1;
    int pair[2];
    struct clone_args args = {.flags = CLONE_PIDFD, .pidfd = (uintptr_t)&io->fd, .exit_signal = SIGCHLD};
    long pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return err_errno(e, "socketpair");
    d->result = pair[0];
    theirs = pair[1];
    pid = syscall(SYS_clone3, &args, sizeof(args));
    if (pid == 0)
        run_child(j, theirs);
    if (pid < 0)
        return err_errno(e, "clone3");
    io->on_ready = on_child_gone;
    return loop_io_add(d->all->loop, io, EPOLLIN, e);
}

static int start(struct dump *d, struct sandbox *s, const struct proto_dump *m, int connection, struct err *e)
{
    struct sandboxes *all = s->all;
    auto_fd int images = -1;
    struct job j = {.all = all,
                    .pid1 = s->pid.fd,
                    .with_channel = s->flags & PROTO_WITH_CHANNEL,
                    .connection = connection,
                    .request = m};

    if (s->state != SANDBOX_RUNNING)
        return err_set(e, ESRCH, "the sandbox has ended");
    if (toolbox_check(all->toolbox, e) < 0)
        return -e->code;
    images = snapshots_begin(all->snapshots, d->id, e);
    if (images < 0)
        return -e->code;
    criu_name_log(j.log_name, d->sandbox);
    j.arm = (struct arm){.images = images, .work = all->work, .log = -1, .uid = s->uid};
    return start_child(d, &j, e);
}

void dump_start(struct sandbox *s, const struct proto_dump *m, int connection)
{
    struct dump *d = calloc(1, sizeof(*d));
    struct err e = {.code = 0};

    if (!d) {
        err_set(&e, ENOMEM, "no memory");
        finish(s->all, s->id, &e);
        return;
    }
    d->all = s->all;
    list_append(&s->all->dumps, &d->node);
    d->sandbox = s->id;
    d->child.fd = d->result = -1;
    memcpy(d->id, m->id, sizeof(d->id));
    if (start(d, s, m, connection, &e) < 0) {
        snapshots_drop(s->all->snapshots, d->id);
        finish(s->all, s->id, &e);
        free_dump(d);
    }
}

void dumps_cancel(struct sandboxes *all)
{
    struct dump *d;

    while ((d = list_first(&all->dumps, struct dump, node))) {
        siginfo_t info;

        if (pidfd_send_signal(d->child.fd, SIGKILL, NULL, 0) == 0)
            waitid(P_PIDFD, (id_t)d->child.fd, &info, WEXITED);
        snapshots_drop(all->snapshots, d->id);
        free_dump(d);
    }
}
