/*
 * State at entry: pid 2 of a sandbox whose PID 1 waits, in its namespaces but for that of cgroups, a fork of the template: uid 0 with
 * the template's capabilities, an empty bounding set, no_new_privs, the runtime's memory, one thread, all signals blocked. Of that
 * memory nothing is trusted or run before the last step; this program's own pages are beside it. A step that fails ends the instance.
 */
#include "thaw_instance.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/macros.h"
#include "init_sys.h"
#include "thaw_memory.h"

/* Above every descriptor that a runtime can have: its limit is 1,024. */
#define HIGH_FD 1100

#define THREAD_STACK 2048

#define ARCH_SET_GS 0x1001 /* asm/prctl.h */
#define ARCH_SET_FS 0x1002

static struct sock_filter filter[THAW_FILTER_MAX];
static uint32_t filter_count;
static int files[THAW_FILES_MAX];
static _Alignas(64) char stacks[THAW_THREADS_MAX][THREAD_STACK];

/* Threads wait until all are there and the last privilege is gone. */
static uint32_t parked, released;
static struct init_failure thread_failure;

struct ends {
    int log, channel;
};

void thaw_set_filter(const struct sock_filter *from, uint32_t count)
{
    __builtin_memcpy(filter, from, count * sizeof(*from));
    filter_count = count;
}

void thaw_answer(int control, enum thaw_kind kind, uint64_t sandbox, const struct init_failure *f)
{
    struct thaw_answer m = {.kind = kind, .code = f->code, .sandbox = sandbox};
    size_t used = 0;

    for (const char *c = f->code ? f->what : ""; *c && used < sizeof(m.what) - 1; c++)
        m.what[used++] = *c;
    for (const char *c = f->code && f->detail ? f->detail : ""; *c && used < sizeof(m.what) - 1; c++)
        m.what[used++] = *c;
    SYS(sendto, control, &m, sizeof(m), MSG_NOSIGNAL, NULL);
}

/* --- descriptors --------------------------------------------------------------------------------------------------------------- */

static int lift(int *fd, struct init_failure *f)
{
    long high = *fd < 0 ? -1 : SYS(fcntl, *fd, F_DUPFD, HIGH_FD);

    if (*fd >= 0 && high < 0)
        return init_fail(f, high, "move a descriptor");
    *fd = (int)high;
    return 0;
}

/* Closes all but those that were lifted. */
static int close_others(int last, struct init_failure *f)
{
    long rc = SYS(close_range, 0, HIGH_FD - 1, 0);

    if (rc == 0)
        rc = SYS(close_range, last + 1, ~0U, 0);
    return rc < 0 ? init_fail(f, rc, "close descriptors") : 0;
}

static long open_regular(const struct thaw_file *file)
{
    long fd = SYS(open, thaw_string(file->path), file->flags), rc;

    if (fd < 0 || file->value == 0)
        return fd;
    rc = SYS(lseek, fd, file->value, SEEK_SET);
    return rc < 0 ? rc : fd;
}

/* Makes both ends; the other's place is among `files` if it has one. */
static long open_pipe(const struct thaw_file *file)
{
    const struct thaw_file *all = THAW_PART(thaw_file, THAW_FILES);
    bool reads = (file->flags & O_ACCMODE) == O_RDONLY;
    int ends[2], other;
    long rc = SYS(pipe2, ends, 0);

    if (rc < 0)
        return rc;
    if (file->bytes && SYS(write, ends[1], thaw_string(file->path), file->bytes) != (long)file->bytes)
        return -EIO;
    other = ends[reads];
    if (file->value == 0) {
        SYS(close, other);
    } else {
        struct init_failure ignored;

        if (lift(&other, &ignored) < 0)
            return -EMFILE;
        SYS(close, ends[reads]);
        SYS(fcntl, other, F_SETFL, all[file->value - 1].flags & O_NONBLOCK);
        files[file->value - 1] = other;
    }
    SYS(fcntl, ends[!reads], F_SETFL, file->flags & O_NONBLOCK);
    return ends[!reads];
}

/* The flags belong to this end's opening, which nobody else has. */
static long share_end(int end, uint32_t flags)
{
    long fd = SYS(fcntl, end, F_DUPFD, 0);

    if (fd >= 0)
        SYS(fcntl, fd, F_SETFL, flags & O_NONBLOCK);
    return fd;
}

static long open_file(const struct thaw_file *file, const struct ends *ends)
{
    switch ((enum thaw_file_kind)file->kind) {
    case THAW_REGULAR:
        return open_regular(file);
    case THAW_LOG:
        return share_end(ends->log, file->flags);
    case THAW_CHANNEL:
        return share_end(ends->channel, file->flags);
    case THAW_PIPE:
        return open_pipe(file);
    case THAW_EVENTFD:
        return SYS(eventfd2, file->value, file->flags & (EFD_NONBLOCK | EFD_SEMAPHORE));
    case THAW_EPOLL:
        return SYS(epoll_create1, 0);
    }
    return -EUCLEAN;
}

static int open_files(const struct ends *ends, struct init_failure *f)
{
    const struct thaw_file *all = THAW_PART(thaw_file, THAW_FILES);

    for (uint32_t i = 0; i < THAW_COUNT(THAW_FILES); i++)
        files[i] = -1;
    for (uint32_t i = 0; i < THAW_COUNT(THAW_FILES); i++) {
        long fd, rc;

        if (files[i] >= 0 || (all[i].kind == THAW_REGULAR && all[i].path == 0))
            continue;
        fd = open_file(&all[i], ends);
        rc = fd < 0 ? fd : SYS(fcntl, fd, F_DUPFD, HIGH_FD);
        if (rc < 0) {
            init_fail(f, rc, "open again ");
            f->detail = thaw_string(all[i].path);
            return -1;
        }
        files[i] = (int)rc;
        SYS(close, fd);
    }
    return 0;
}

/* With the numbers that the runtime knows, in two steps: what an epoll watches must be there first. */
static int place_files(struct init_failure *f)
{
    const struct thaw_file *all = THAW_PART(thaw_file, THAW_FILES);
    const struct thaw_fd *fds = THAW_PART(thaw_fd, THAW_FDS);
    const struct thaw_watch *watches = THAW_PART(thaw_watch, THAW_WATCHES);

    for (uint32_t i = 0; i < THAW_COUNT(THAW_FDS); i++) {
        long rc = fds[i].file < THAW_COUNT(THAW_FILES) && fds[i].fd < HIGH_FD
                      ? SYS(dup3, files[fds[i].file], fds[i].fd, fds[i].flags & FD_CLOEXEC ? O_CLOEXEC : 0)
                      : -EUCLEAN;

        if (rc < 0)
            return init_fail(f, rc, "place a descriptor");
    }
    for (uint32_t i = 0; i < THAW_COUNT(THAW_FILES); i++)
        for (uint32_t w = 0; all[i].kind == THAW_EPOLL && w < all[i].watches; w++) {
            const struct thaw_watch *watch = &watches[all[i].first_watch + w];
            struct epoll_event event = {.events = watch->events, .data.u64 = watch->data};
            long rc = SYS(epoll_ctl, files[i], EPOLL_CTL_ADD, watch->fd, &event);

            if (rc < 0)
                return init_fail(f, rc, "watch a descriptor again");
        }
    return 0;
}

/* --- the process ---------------------------------------------------------------------------------------------------------------- */

static int set_actions(struct init_failure *f)
{
    const struct thaw_action *a = THAW_PART(thaw_action, THAW_ACTIONS);

    for (uint32_t i = 0; i < THAW_COUNT(THAW_ACTIONS); i++) {
        /* In the kernel's order. */
        uint64_t action[] = {a[i].handler, a[i].flags, a[i].restorer, a[i].mask};
        long rc = SYS(rt_sigaction, a[i].signo, action, NULL, sizeof(uint64_t));

        if (rc < 0)
            return init_fail(f, rc, "set a signal's action");
    }
    return 0;
}

static int set_limits(struct init_failure *f)
{
    const struct thaw_limit *l = THAW_PART(thaw_limit, THAW_LIMITS);

    for (uint32_t i = 0; i < THAW_COUNT(THAW_LIMITS); i++) {
        struct thaw_limit back;
        long rc = SYS(prlimit64, 0, i, &l[i], NULL);

        if (rc < 0 || (rc = SYS(prlimit64, 0, i, NULL, &back)) < 0)
            return init_fail(f, rc, "set a resource limit");
        if (back.current != l[i].current || back.maximum != l[i].maximum)
            return init_fail(f, -EPERM, "a resource limit is not what was set");
    }
    return 0;
}

static int set_memory(struct init_failure *f)
{
    const struct thaw_area *a = THAW_PART(thaw_area, THAW_AREAS);
    long rc = 0;

    for (uint32_t i = 0; rc >= 0 && i < THAW_COUNT(THAW_AREAS); i++)
        if (a[i].advice >> MADV_DONTFORK & 1)
            rc = SYS(madvise, a[i].start, a[i].end - a[i].start, MADV_DONTFORK);
    for (int bit = 0; rc >= 0 && bit < 32; bit++)
        if (thaw_memory.plan.membarrier >> bit & 1)
            rc = SYS(membarrier, 1U << bit, 0, 0);
    return rc < 0 ? init_fail(f, rc, "set what belongs to the memory") : 0;
}

/* cgroup.h: on version 1 who is in a group writes "0" to enter another. */
static int enter_cgroup(const struct thaw_fork *m, const int *fd, unsigned fds, struct init_failure *f)
{
    long rc = 0;

    for (unsigned i = THAW_FD_DOORS; !m->clones_into && rc >= 0 && i < fds; i++)
        rc = SYS(write, fd[i], "0", 1);
    if (rc < 0)
        return init_fail(f, rc, "enter the control group");
    rc = SYS(setns, fd[THAW_FD_PID1], CLONE_NEWCGROUP);
    return rc < 0 ? init_fail(f, rc, "enter the cgroup namespace") : 0;
}

/* What is opened after this is opened with the function's rights: it may have changed what its paths lead to. */
static int become_function(struct init_failure *f)
{
    long rc = SYS(setsid);

    if (rc < 0)
        return init_fail(f, rc, "setsid");
    SYS(umask, thaw_memory.plan.umask);
    if (init_drop_but_restore(thaw_memory.plan.uid, f) < 0)
        return -1;
    rc = SYS(chdir, thaw_string(thaw_memory.plan.cwd));
    return rc < 0 ? init_fail(f, rc, "change to the working directory") : 0;
}

static int set_process(struct init_failure *f)
{
    long rc;

    if (set_actions(f) < 0 || set_memory(f) < 0 || set_limits(f) < 0)
        return -1;
    /* As after an exec: /proc/self is its own again. */
    rc = SYS(prctl, PR_SET_DUMPABLE, 1);
    return rc < 0 ? init_fail(f, rc, "become dumpable") : 0;
}

/* --- threads -------------------------------------------------------------------------------------------------------------------- */

static void leave(void) __attribute__((noreturn));
static void leave(void)
{
    for (;;)
        SYS(exit_group, 1);
}

/* Registers, signal mask and alternate stack come with the frame. A restartable sequence is in the function's memory, by which the
 * kernel may send a thread elsewhere: only now, with no privilege left. */
static void go_on(const struct thaw_thread *t) __attribute__((noreturn));
static void go_on(const struct thaw_thread *t)
{
    if (t->rseq && SYS(rseq, t->rseq, t->rseq_size, 0, t->rseq_signature) < 0)
        leave();
    __asm__ volatile("mov %0, %%rsp\n"
                     "mov $15, %%eax\n" /* __NR_rt_sigreturn */
                     "syscall\n"
                     "ud2"
                     :
                     : "r"(&t->frame)
                     : "memory");
    __builtin_unreachable();
}

_Static_assert(SYS_rt_sigreturn == 15, "the number in go_on");

/* Of the calling thread. */
static int set_thread(const struct thaw_thread *t, struct init_failure *f)
{
    long rc = SYS(prctl, PR_SET_NAME, t->name);

    if (rc >= 0 && t->robust_size)
        rc = SYS(set_robust_list, t->robust_list, t->robust_size);
    if (rc >= 0 && t->gs_base)
        rc = SYS(arch_prctl, ARCH_SET_GS, t->gs_base);
    return rc < 0 ? init_fail(f, rc, "set up a thread") : init_drop_capabilities(f);
}

static void park(void *arg) __attribute__((noreturn));
static void park(void *arg)
{
    const struct thaw_thread *t = arg;
    struct init_failure f;

    if (set_thread(t, &f) < 0)
        thread_failure = f;
    __atomic_add_fetch(&parked, 1, __ATOMIC_SEQ_CST);
    SYS(futex, &parked, FUTEX_WAKE_PRIVATE, 1, NULL);
    while (!__atomic_load_n(&released, __ATOMIC_SEQ_CST))
        SYS(futex, &released, FUTEX_WAIT_PRIVATE, 0, NULL);
    go_on(t);
}

static int start_thread(uint32_t i, struct init_failure *f)
{
    const struct thaw_thread *t = &THAW_PART(thaw_thread, THAW_THREADS)[i];
    pid_t tid = (pid_t)t->tid;
    struct clone_args args = {.flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
                                       CLONE_SYSVSEM | CLONE_SETTLS | CLONE_CHILD_CLEARTID,
                              .child_tid = t->clear_tid,
                              .stack = (uintptr_t)stacks[i],
                              .stack_size = THREAD_STACK,
                              .tls = t->fs_base,
                              .set_tid = (uintptr_t)&tid,
                              .set_tid_size = 1};
    long rc = sys_clone3(&args, sizeof(args), park, (void *)t);

    return rc < 0 ? init_fail(f, rc, "start a thread") : 0;
}

static int start_threads(struct init_failure *f)
{
    uint32_t others = THAW_COUNT(THAW_THREADS) - 1, now;

    parked = released = 0;
    for (uint32_t i = 1; i <= others; i++)
        if (start_thread(i, f) < 0)
            return -1;
    while ((now = __atomic_load_n(&parked, __ATOMIC_SEQ_CST)) < others)
        SYS(futex, &parked, FUTEX_WAIT_PRIVATE, now, NULL);
    if (thread_failure.code)
        *f = thread_failure;
    return thread_failure.code ? -1 : 0;
}

static int set_main_thread(struct init_failure *f)
{
    const struct thaw_thread *t = THAW_PART(thaw_thread, THAW_THREADS);
    long rc = SYS(arch_prctl, ARCH_SET_FS, t->fs_base);

    if (rc >= 0)
        rc = SYS(set_tid_address, t->clear_tid);
    return rc < 0 ? init_fail(f, rc, "set up the first thread") : set_thread(t, f);
}

/* For all threads at once. */
static int install_filter(struct init_failure *f)
{
    struct sock_fprog program = {.len = (unsigned short)filter_count, .filter = filter};
    long rc = SYS(seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);

    if (rc != 0) /* > 0: a thread that could not be made to */
        return init_fail(f, rc < 0 ? rc : -EPERM, "install the system call filter");
    if (SYS(prctl, PR_GET_SECCOMP) != SECCOMP_MODE_FILTER)
        return init_fail(f, -EPERM, "the system call filter is not in force");
    return 0;
}

void thaw_become(const struct thaw_fork *m, const int *fd, unsigned fds)
{
    struct ends ends = {fd[THAW_FD_LOG], fd[THAW_FD_CHANNEL]};
    struct init_failure f = {.code = 0};
    int control = THAW_CONTROL_FD;
    bool well = enter_cgroup(m, fd, fds, &f) == 0 && lift(&ends.log, &f) == 0 && lift(&ends.channel, &f) == 0 &&
                lift(&control, &f) == 0 && close_others(control, &f) == 0 && become_function(&f) == 0 &&
                open_files(&ends, &f) == 0 && place_files(&f) == 0 && set_process(&f) == 0 && start_threads(&f) == 0 &&
                set_main_thread(&f) == 0 && install_filter(&f) == 0;

    thaw_answer(control, THAW_FORKED, m->sandbox, &f);
    if (!well || SYS(close_range, HIGH_FD, ~0U, 0) < 0)
        leave();
    __atomic_store_n(&released, 1, __ATOMIC_SEQ_CST);
    SYS(futex, &released, FUTEX_WAKE_PRIVATE, THAW_THREADS_MAX, NULL);
    go_on(THAW_PART(thaw_thread, THAW_THREADS));
}
