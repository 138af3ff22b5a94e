/*
 * From the fork of pid 2 to the exec of the runtime. State at entry: all namespaces are new, the root is the function's,
 * uid 0 with CAP_SETUID, CAP_SETGID and CAP_SETPCAP, empty bounding set, no_new_privs, the cgroup's limits in force.
 * Static and without malloc; libcap isn't used because fnrun-init links nothing.
 */
#include "init_runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/channel.h"
#include "base/fd.h"

/* The exec pipe's place, right behind the channel: everything else is closed by range. */
#define EXEC_PIPE_FD (CHANNEL_FD + 1)

#define SAME_AS_HARD RLIM_INFINITY

struct limit {
    int resource;
    rlim_t value;
};

/* As in AWS Lambda. The number of processes isn't here: RLIMIT_NPROC counts a uid over all its sandboxes; each one's
 * cgroup has its own limit. */
static const struct limit limits[] = {
    {RLIMIT_NOFILE, 1024},
    {RLIMIT_CORE, 0},
    {RLIMIT_MEMLOCK, 65536},
    {RLIMIT_STACK, 8388608},
    {RLIMIT_RTPRIO, 0},
    {RLIMIT_NICE, 0},
    {RLIMIT_NPROC, SAME_AS_HARD},
    {RLIMIT_AS, SAME_AS_HARD},
    {RLIMIT_CPU, SAME_AS_HARD},
    {RLIMIT_DATA, SAME_AS_HARD},
    {RLIMIT_FSIZE, SAME_AS_HARD},
};

int init_drop_bounding_set(struct err *e)
{
    for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 || prctl(PR_CAPBSET_READ, cap, 0, 0, 0) != 0)
            return err_errno(e, "drop capability %d from the bounding set", cap);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
        return err_errno(e, "set no_new_privs");
    return 0;
}

static int check_ids(uid_t uid, struct err *e)
{
    uid_t u[3];
    gid_t g[3];

    if (getresuid(&u[0], &u[1], &u[2]) < 0 || getresgid(&g[0], &g[1], &g[2]) < 0)
        return err_errno(e, "read ids");
    for (int i = 0; i < 3; i++)
        if (u[i] != uid || g[i] != uid)
            return err_set(e, EPERM, "uid or gid is not what was set");
    if (getgroups(0, NULL) != 0)
        return err_set(e, EPERM, "there are still supplementary groups");
    return 0;
}

static int drop_capabilities(struct err *e)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}}, now[_LINUX_CAPABILITY_U32S_3];

    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 || syscall(SYS_capset, &header, none) < 0)
        return err_errno(e, "drop capabilities");
    if (syscall(SYS_capget, &header, now) < 0)
        return err_errno(e, "read capabilities");
    if (memcmp(now, none, sizeof(none)) != 0)
        return err_set(e, EPERM, "there are still capabilities");
    return 0;
}

int init_drop(uint32_t uid, struct err *e)
{
    if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
        return err_errno(e, "become uid %u", uid);
    if (drop_capabilities(e) < 0)
        return -e->code;
    return check_ids(uid, e);
}

static int set_limits(struct err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        struct rlimit now, wanted, back;

        if (getrlimit(limits[i].resource, &now) < 0)
            return err_errno(e, "getrlimit %d", limits[i].resource);
        /* Soft limits go up to the hard one, hard ones only down: that needs no capability. */
        wanted.rlim_cur = MIN(limits[i].value, now.rlim_max);
        wanted.rlim_max = limits[i].resource == RLIMIT_STACK ? now.rlim_max : wanted.rlim_cur;
        if (setrlimit(limits[i].resource, &wanted) < 0 || getrlimit(limits[i].resource, &back) < 0)
            return err_errno(e, "setrlimit %d", limits[i].resource);
        if (memcmp(&back, &wanted, sizeof(back)) != 0)
            return err_set(e, EPERM, "limit %d is not what was set", limits[i].resource);
    }
    return 0;
}

/* Leaves 0, 1, 2, the channel, and the exec pipe, which closes itself. */
static int place_fds(const struct init_runtime *r, struct err *e)
{
    if (dup2(INIT_LOG_FD, STDOUT_FILENO) < 0 || dup2(INIT_LOG_FD, STDERR_FILENO) < 0)
        return err_errno(e, "place the log pipe");
    if (r->channel >= 0 && dup2(r->channel, CHANNEL_FD) < 0)
        return err_errno(e, "place the channel");
    if (close_range(STDERR_FILENO + 1, r->channel >= 0 ? CHANNEL_FD - 1 : CHANNEL_FD, 0) < 0 ||
        close_range(EXEC_PIPE_FD + 1, ~0u, 0) < 0)
        return err_errno(e, "close descriptors");
    return 0;
}

/* Dispositions that are "ignored" survive an exec; so does the mask. */
static void reset_signals(void)
{
    sigset_t none;

    for (int signo = 1; signo < NSIG; signo++)
        signal(signo, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static int install_filter(const struct init_runtime *r, struct err *e)
{
    struct sock_fprog program = {.len = (unsigned short)r->spec->filter_count, .filter = r->filter};

    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0)
        return err_errno(e, "install the system call filter");
    if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != SECCOMP_MODE_FILTER)
        return err_set(e, EPERM, "the system call filter is not in force");
    return 0;
}

/* In the order of the isolation: each step needs what the next one takes away. */
static int become_runtime(const struct init_runtime *r, struct err *e)
{
    if (setsid() < 0)
        return err_errno(e, "setsid");
    reset_signals();
    umask(022);
    if (set_limits(e) < 0 || place_fds(r, e) < 0 || init_drop(r->spec->uid, e) < 0)
        return -e->code;
    if (chdir("/var/task") < 0)
        return err_errno(e, "chdir /var/task");
    if (install_filter(r, e) < 0)
        return -e->code;
    execve(r->argv[0], r->argv, r->env);
    return err_errno(e, "exec %s", r->argv[0]);
}

void init_runtime_start(const struct init_runtime *r)
{
    struct err e = {0};

    if (dup3(r->exec_pipe, EXEC_PIPE_FD, O_CLOEXEC) < 0)
        _exit(126);
    become_runtime(r, &e);
    /* If this is lost, the closed pipe without a word and the exit status still say that there was no exec. */
    if (write(EXEC_PIPE_FD, &e, sizeof(e)) < 0)
        _exit(126);
    _exit(127);
}
