/*
 * fnrun-thaw: the template of a snapshot (thaw.h). It loads the snapshot and then forks an instance for each THAW_FORK.
 *
 * A fork has three steps, because an instance must be born in another pid namespace and be a child of its PID 1, and because
 * copying page tables costs time:
 *     template --(its memory)--> stepper: enters the sandbox's namespaces
 *              --(its memory)--> midwife: in the pid namespace
 *              --(a copy)------> instance: pid 2
 * The first two share the template's memory, which sleeps meanwhile, and end at once; whoever loses its parent belongs to PID 1.
 */
#include "thaw.h"

#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macros.h"
#include "base/msg.h"
#include "criu.h"
#include "init_sys.h"
#include "thaw_instance.h"
#include "thaw_memory.h"

/* The instance enters the cgroup namespace itself: who is in it can't clone into a group from outside of it (cgroups(7),
 * nsdelegate). */
#define NAMESPACES (CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)

/* Each its own pages: the first must not share one with what is in the file (thaw_memory.c). */
static _Alignas(4096) char own_stack[65536], stepper_stack[16384], midwife_stack[16384];

/* The fork under way. */
static struct fork_job {
    struct thaw_fork m;
    int fd[MSG_FDS_MAX];
    unsigned fds;
    struct init_failure failure;
} job;

static union {
    struct thaw_spec spec;
    struct thaw_fork fork;
    char bytes[sizeof(struct thaw_spec) + THAW_FILTER_MAX * sizeof(struct sock_filter)];
} message;

static void leave(int status) __attribute__((noreturn));
static void leave(int status)
{
    for (;;)
        SYS(exit_group, status);
}

/* One message with its descriptors; its size, 0 at the end. */
static long receive(int *fds, unsigned *ret_count)
{
    struct iovec iov = {&message, sizeof(message)};
    union {
        char bytes[CMSG_SPACE(MSG_FDS_MAX * sizeof(int))];
        struct cmsghdr header;
    } control;
    struct msghdr h = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
    long size = SYS(recvmsg, THAW_CONTROL_FD, &h, MSG_CMSG_CLOEXEC);
    const struct cmsghdr *c = size > 0 ? CMSG_FIRSTHDR(&h) : NULL;

    *ret_count = 0;
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
        *ret_count = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        __builtin_memcpy(fds, CMSG_DATA(c), *ret_count * sizeof(int));
    }
    return size;
}

/* --- a fork ------------------------------------------------------------------------------------------------------------------------ */

/* State: the sandbox's namespaces, a high pid there. */
static void deliver(void *unused) __attribute__((noreturn));
static void deliver(UNUSED void *unused)
{
    static const pid_t pid = 2;
    struct clone_args args = {.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&pid, .set_tid_size = 1};
    long rc;

    if (job.m.clones_into) {
        args.flags = CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)job.fd[THAW_FD_DOORS];
    }
    rc = SYS(clone3, &args, sizeof(args));
    if (rc == 0)
        thaw_become(&job.m, job.fd, job.fds);
    if (rc < 0)
        init_fail(&job.failure, rc, job.m.clones_into ? "fork into the control group" : "fork");
    leave(0);
}

/* Runs `entry` in this memory, as a process of its own, to its end. */
static long run_child(void (*entry)(void *), char *stack, size_t size, const pid_t *pid)
{
    struct clone_args args = {.flags = CLONE_VM | CLONE_VFORK,
                              .stack = (uintptr_t)stack,
                              .stack_size = size,
                              .set_tid = (uintptr_t)pid,
                              .set_tid_size = pid ? 1 : 0};
    long child = sys_clone3(&args, sizeof(args), entry, NULL);

    if (child > 0)
        SYS(wait4, child, NULL, __WALL, NULL);
    return child;
}

static void step_in(void *unused) __attribute__((noreturn));
static void step_in(UNUSED void *unused)
{
    static const pid_t midwife = CRIU_PID;
    long rc = SYS(setns, job.fd[THAW_FD_PID1], NAMESPACES);

    if (rc < 0)
        init_fail(&job.failure, rc, "enter the sandbox");
    else if ((rc = run_child(deliver, midwife_stack, sizeof(midwife_stack), &midwife)) < 0)
        init_fail(&job.failure, rc, "clone into the sandbox");
    leave(0);
}

static void make_instance(void)
{
    long rc;

    job.failure = (struct init_failure){.code = 0};
    rc = run_child(step_in, stepper_stack, sizeof(stepper_stack), NULL);
    if (rc < 0)
        init_fail(&job.failure, rc, "clone");
    if (job.failure.code)
        thaw_answer(THAW_CONTROL_FD, THAW_FORKED, job.m.sandbox, &job.failure);
}

/* --- the template --------------------------------------------------------------------------------------------------------------------- */

static int read_spec(struct init_failure *f)
{
    unsigned fds;
    long size = receive(job.fd, &fds);
    const struct thaw_spec *s = &message.spec;

    if (size < (long)sizeof(*s) || s->kind != THAW_SPEC || s->filter_count == 0 || s->filter_count > THAW_FILTER_MAX ||
        (size_t)size != sizeof(*s) + s->filter_count * sizeof(struct sock_filter))
        return init_fail(f, -EPROTO, "read the specification");
    thaw_set_filter((const void *)(s + 1), s->filter_count);
    return 0;
}

static void serve(void) __attribute__((noreturn));
static void serve(void)
{
    for (;;) {
        long size = receive(job.fd, &job.fds);

        if (size == -EINTR)
            continue;
        if (size != sizeof(struct thaw_fork) || message.fork.kind != THAW_FORK || job.fds <= THAW_FD_DOORS)
            leave(size == 0 ? 0 : 1);
        job.m = message.fork;
        make_instance();
        for (unsigned i = 0; i < job.fds; i++)
            SYS(close, job.fd[i]);
    }
}

static void run(void) __attribute__((noreturn, used));
static void run(void)
{
    struct init_failure f = {.code = 0};
    uint64_t all = ~UINT64_C(0);

    /* In all that it forks too, until the runtime's own mask is in force: no handler of the function's may run before. */
    SYS(rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof(all));
    SYS(prctl, PR_SET_DUMPABLE, 0);
    /* For all that it forks: what a template itself needs is not touched by it. */
    if (init_drop_bounding_set(&f) == 0 && read_spec(&f) == 0)
        thaw_load(&f);
    SYS(prctl, PR_SET_NAME, "fnrun-thaw");
    thaw_answer(THAW_CONTROL_FD, THAW_LOADED, 0, &f);
    if (f.code)
        leave(1);
    serve();
}

/* The stack that exec gave is about to go. */
void sys_main(void)
{
    __asm__ volatile("mov %0, %%rsp\n"
                     "call *%1\n"
                     "ud2"
                     :
                     : "r"(own_stack + sizeof(own_stack)), "r"(run));
    __builtin_unreachable();
}
