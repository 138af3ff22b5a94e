/*
 * From the birth of pid 2 to the exec of the runtime. State at entry: all namespaces are new, the root is the function's, uid 0
 * with CAP_SETUID, CAP_SETGID and CAP_SETPCAP, empty bounding set, no_new_privs, the cgroup's limits in force, signals as a
 * program expects them. The memory is PID 1's, which sleeps: only *failure and the stack may change.
 */
#include "init_runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/channel.h"
#include "base/macros.h"
#include "init_sys.h"

struct limit {
    int resource;
    rlim_t soft;
    bool hard_too; /* or the hard limit stays what it was */
};

/* As in AWS Lambda. The number of processes isn't limited here: RLIMIT_NPROC counts a uid over all its sandboxes; each one's
 * cgroup has its own limit. Infinity: as far as the hard limit goes. */
static const struct limit limits[] = {
    {RLIMIT_NOFILE, 1024, true},
    {RLIMIT_CORE, 0, true},
    {RLIMIT_MEMLOCK, 65536, true},
    {RLIMIT_STACK, 8388608, false},
    {RLIMIT_RTPRIO, 0, true},
    {RLIMIT_NICE, 0, true},
    {RLIMIT_NPROC, RLIM_INFINITY, false},
    {RLIMIT_AS, RLIM_INFINITY, false},
    {RLIMIT_CPU, RLIM_INFINITY, false},
    {RLIMIT_DATA, RLIM_INFINITY, false},
    {RLIMIT_FSIZE, RLIM_INFINITY, false},
};

static int set_limit(const struct limit *l, struct init_failure *f)
{
    struct rlimit now, wanted, back;
    long rc = SYS(prlimit64, 0, l->resource, NULL, &now);

    if (rc < 0)
        return init_fail(f, rc, "read a resource limit");
    /* Soft limits go up to the hard one, hard ones only down: that needs no capability. */
    wanted.rlim_cur = MIN(l->soft, now.rlim_max);
    wanted.rlim_max = l->hard_too ? wanted.rlim_cur : now.rlim_max;
    rc = SYS(prlimit64, 0, l->resource, &wanted, NULL);
    if (rc < 0)
        return init_fail(f, rc, "set a resource limit");
    rc = SYS(prlimit64, 0, l->resource, NULL, &back);
    if (rc < 0 || back.rlim_cur != wanted.rlim_cur || back.rlim_max != wanted.rlim_max)
        return init_fail(f, -EPERM, "a resource limit is not what was set");
    return 0;
}

static int set_limits(struct init_failure *f)
{
    for (size_t i = 0; i < ARRAY_LEN(limits); i++)
        if (set_limit(&limits[i], f) < 0)
            return -1;
    return 0;
}

/* Leaves 0, 1, 2 and the channel. */
static int place_fds(const struct init_runtime *r)
{
    long rc;

    if ((rc = SYS(dup2, INIT_LOG_FD, STDOUT_FILENO)) < 0 || (rc = SYS(dup2, INIT_LOG_FD, STDERR_FILENO)) < 0 ||
        (r->channel >= 0 && (rc = SYS(dup2, r->channel, CHANNEL_FD)) < 0) ||
        (rc = SYS(close_range, STDERR_FILENO + 1, r->channel >= 0 ? CHANNEL_FD - 1 : CHANNEL_FD, 0)) < 0 ||
        (rc = SYS(close_range, CHANNEL_FD + 1, ~0u, 0)) < 0)
        return init_fail(r->failure, rc, "place descriptors");
    return 0;
}

static int install_filter(const struct init_runtime *r)
{
    struct sock_fprog program = {.len = (unsigned short)r->spec->filter_count, .filter = r->filter};
    long rc = SYS(prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);

    if (rc < 0)
        return init_fail(r->failure, rc, "install the system call filter");
    if (SYS(prctl, PR_GET_SECCOMP) != SECCOMP_MODE_FILTER)
        return init_fail(r->failure, -EPERM, "the system call filter is not in force");
    return 0;
}

/* In the order of the isolation: each step needs what the next one takes away. */
static int become_runtime(const struct init_runtime *r)
{
    long rc = SYS(setsid);

    if (rc < 0)
        return init_fail(r->failure, rc, "setsid");
    SYS(umask, 022);
    if (set_limits(r->failure) < 0 || place_fds(r) < 0 || init_drop(r->spec->uid, r->failure) < 0)
        return -1;
    rc = SYS(chdir, "/var/task");
    if (rc < 0)
        return init_fail(r->failure, rc, "chdir /var/task");
    if (install_filter(r) < 0)
        return -1;
    rc = SYS(execve, r->argv[0], r->argv, r->env);
    init_fail(r->failure, rc, "exec ");
    r->failure->detail = r->argv[0];
    return -1;
}

void init_runtime_start(void *arg)
{
    become_runtime(arg);
    for (;;)
        SYS(exit_group, 127);
}
