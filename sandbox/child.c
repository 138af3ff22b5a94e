/*
 * State at entry of run(): a fork of the nursery (the warden's capabilities, uid 0, few descriptors) that is already PID 1 of a new pid
 * namespace and, on cgroup v2, in its cgroup. All other namespaces are the host's. Nothing here runs code of the function.
 */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"
#include "caps.h"
#include "criu.h"
#include "fdplace.h"
#include "init.h"
#include "tmp_files.h"

int child_reset(struct err *e)
{
    sigset_t none;

    /* The one signal that the warden ignores: the runtime must not inherit that. */
    signal(SIGPIPE, SIG_DFL);
    /* If the warden is already gone this comes too late; fnrun-init then sees the end of its control socket. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return err_errno(e, "prctl PR_SET_PDEATHSIG");
    sigemptyset(&none);
    if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
        return err_errno(e, "sigprocmask");
    return 0;
}

/* Raised here, where /proc can still be written, so that the runtime inherits it; PID 1 lowers its own again. Without
 * CAP_SYS_RESOURCE (the warden gave it up) a raise can be taken back. */
int child_raise_oom_score(struct err *e)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, "1000", 4) < 0)
        return err_errno(e, "raise oom_score_adj");
    return fd;
}

/* The pid namespace came with the clone. There is no user namespace: functions have uids of their own. */
static int enter_namespaces(const struct child *c, struct err *e)
{
    if (cgroup_enter(c->cgroups, c->door, e) < 0 || spare_enter(c->spare, e) < 0)
        return -e->code;
    /* After entering the group, which becomes the root of what the sandbox sees of cgroups. */
    if (unshare(CLONE_NEWCGROUP) < 0)
        return err_errno(e, "unshare");
    return apply_plan(c->plan, c->paths, e) < 0 ? err_wrap(e, "mount") : 0;
}

/* Opened here, where /proc/sys can still be written; what is written goes to the writer's own pid namespace. -1 where nothing
 * is restored. */
static int open_last_pid(const struct child *c, struct err *e)
{
    static const char path[] = "/proc/sys/kernel/ns_last_pid";
    bool criu = c->restores && !c->by_template;
    int fd = criu ? open(path, O_WRONLY | O_CLOEXEC) : -1;

    if (fd < 0 && criu)
        err_errno(e, "open %s", path);
    return fd;
}

/* The runtime's process and threads get their old ids again: criu and all it forks must not have taken them. */
static int leave_low_pids(int last_pid, struct err *e)
{
    char text[16];
    int size = snprintf(text, sizeof(text), "%d", CRIU_PID - 1);

    return write(last_pid, text, (size_t)size) < 0 ? err_errno(e, "write ns_last_pid") : 0;
}

/* The order matters: criu gets the capabilities that are given up next. A template is asked later. */
static int make_ready(const struct child *c, int last_pid, struct armed *ret, struct err *e)
{
    int pair[2];

    if (!c->by_template)
        return leave_low_pids(last_pid, e) < 0 ? -e->code : arm_sandbox(&c->arm, ret, e);
    if (tmp_files_restore(c->arm.uid, c->arm.images, e) < 0)
        return -e->code;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return err_errno(e, "socketpair");
    *ret = (struct armed){.rpc = pair[0], .channel = pair[1]};
    return 0;
}

static int arm(const struct child *c, int last_pid, struct err *e)
{
    struct init_started m = {.kind = INIT_ARMED};
    struct armed armed;
    struct msg_fds fds = {.count = 2};

    if (!c->restores)
        return 0;
    if (make_ready(c, last_pid, &armed, e) < 0)
        return err_wrap(e, "arm");
    fds.fd[0] = armed.rpc;
    fds.fd[1] = armed.channel;
    return msg_send(c->control, &m, sizeof(m), &fds, e);
}

/* From fd_place on, the socket to the warden is *control. */
static int exec_init(const struct child *c, int oom, int *control, struct err *e)
{
    static const cap_value_t keep[] = {CAP_SETUID, CAP_SETGID, CAP_SETPCAP};
    char *argv[] = {"fnrun-init", NULL}, *env[] = {NULL};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC), init = c->init;
    const int place[] = {null, null, null, c->control, c->log, oom};

    if (null < 0)
        return err_errno(e, "open /dev/null");
    _Static_assert(INIT_CONTROL_FD == 3 && INIT_LOG_FD == 4 && INIT_OOM_FD == 5, "the order in place[]");
    if (caps_limit(keep, ARRAY_LEN(keep), e) < 0)
        return -e->code;
    if (fd_place(place, ARRAY_LEN(place), &init, e) < 0)
        return -e->code;
    *control = INIT_CONTROL_FD;
    execveat(init, "", argv, env, AT_EMPTY_PATH);
    return err_errno(e, "exec fnrun-init");
}

static void run(const struct child *c) __attribute__((noreturn));
static void run(const struct child *c)
{
    struct init_failed m = {.kind = INIT_FAILED};
    struct err e = {0}, ignored;
    int oom = -1, control = c->control, last_pid = open_last_pid(c, &e);

    if (e.code == 0 && child_reset(&e) == 0 && (oom = child_raise_oom_score(&e)) >= 0 && enter_namespaces(c, &e) == 0 &&
        arm(c, last_pid, &e) == 0)
        exec_init(c, oom, &control, &e);
    m.code = e.code;
    memcpy(m.text, e.msg, MIN(sizeof(m.text), sizeof(e.msg)));
    m.text[sizeof(m.text) - 1] = '\0';
    msg_send(control, &m, sizeof(m), NULL, &ignored);
    _exit(1);
}

pid_t child_start(const struct child *c, int *ret_pidfd, struct err *e)
{
    int pidfd = -1;
    struct clone_args args = {.flags = CLONE_NEWPID | CLONE_PIDFD | CLONE_PARENT, .pidfd = (uintptr_t)&pidfd};
    pid_t pid;

    if (c->cgroups->ops->clones_into) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)c->door->fd[0];
    }
    pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
    if (pid < 0)
        return err_errno(e, "clone3");
    if (pid == 0)
        run(c);
    *ret_pidfd = pidfd;
    return pid;
}
