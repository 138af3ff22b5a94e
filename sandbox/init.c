/*
 * fnrun-init: PID 1 of a sandbox. It makes the sockets that must belong to the sandbox's network namespace, starts the runtime
 * as pid 2, tells the warden how that ended, and reaps. When it exits, the kernel kills what is left.
 *
 * State at entry (made by child.c): every namespace is new, the root is the function's, the descriptors are those of init.h,
 * signals are at their defaults, uid 0 with CAP_SETUID, CAP_SETGID and CAP_SETPCAP alone. It gives those up as soon as the
 * runtime is exec'd, of whose uid it never is.
 */
#include "init.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "base/macros.h"
#include "init_runtime.h"
#include "init_sys.h"

/* No malloc in PID 1: everything has its place here. */
static union {
    struct init_spec spec;
    char bytes[INIT_SPEC_MAX];
} message;
static char *arguments[PROTO_ARGV_MAX + 1], *environment[PROTO_ENV_MAX + 1];
static char runtime_stack[16384] __attribute__((aligned(16)));

/* What goes to the warden with INIT_STARTED: the API's socket, the manager's end of the channel. */
struct sockets {
    int fd[3];
    unsigned count;
};

static void leave(int status) __attribute__((noreturn));
static void leave(int status)
{
    for (;;)
        SYS(exit_group, status);
}

/* Copies `text` to the end of what is in m->text; what doesn't fit is cut. */
static void add_text(struct init_failed *m, size_t *used, const char *text)
{
    while (*text && *used < sizeof(m->text) - 1)
        m->text[(*used)++] = *text++;
}

static void fail(const struct init_failure *f) __attribute__((noreturn));
static void fail(const struct init_failure *f)
{
    struct init_failed m = {.kind = INIT_FAILED, .code = f->code, .add_errno = 1};
    size_t used = 0;

    add_text(&m, &used, f->what);
    add_text(&m, &used, f->detail);
    SYS(write, INIT_CONTROL_FD, &m, sizeof(m));
    leave(1);
}

/* Points ret[0..count] into `strings`; returns what is behind them, NULL where they are too few. */
static char *split(char *strings, const char *end, char **ret, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        ret[i] = strings;
        while (strings < end && *strings)
            strings++;
        if (strings++ >= end)
            return NULL;
    }
    ret[count] = NULL;
    return strings;
}

/* The warden has checked it; a mistake there must still not become a runtime with half a specification. */
static int read_spec(struct init_runtime *r, struct init_failure *f)
{
    long size = SYS(read, INIT_CONTROL_FD, &message, sizeof(message));
    struct init_spec *s = &message.spec;
    char *end = message.bytes + size, *strings;

    if (size < 0)
        return init_fail(f, size, "read the specification");
    if ((size_t)size < sizeof(*s) || s->kind != INIT_SPEC || s->filter_count == 0 ||
        s->filter_count > INIT_FILTER_MAX || s->argc == 0 || s->argc > PROTO_ARGV_MAX || s->envc > PROTO_ENV_MAX ||
        s->uid == 0 || s->init_uid == 0 ||
        (size_t)size != sizeof(*s) + s->filter_count * sizeof(struct sock_filter) + s->strings_bytes)
        return init_fail(f, -EPROTO, "read the specification");
    strings = split(end - s->strings_bytes, end, arguments, s->argc);
    if (!strings || split(strings, end, environment, s->envc) != end)
        return init_fail(f, -EPROTO, "read the specification's strings");
    *r = (struct init_runtime){.spec = s,
                               .filter = (struct sock_filter *)(void *)(message.bytes + sizeof(*s)),
                               .argv = arguments,
                               .env = environment,
                               .channel = -1,
                               .failure = f};
    return 0;
}

/* The sockets of Runtime API and AWS endpoint: bound here, in the sandbox's network namespace, served by fnrund
 * outside. */
static int listen_on(uint16_t port, struct sockets *sockets, struct init_failure *f)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    long fd = SYS(socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), rc;
    int reuse = 1; /* a restored connection has the port already (tcp_end.h) */

    if (fd < 0)
        return init_fail(f, fd, "make a listening socket");
    if ((rc = SYS(setsockopt, fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse))) < 0 ||
        (rc = SYS(bind, fd, &address, sizeof(address))) < 0 || (rc = SYS(listen, fd, 128)) < 0)
        return init_fail(f, rc, "listen in the sandbox");
    sockets->fd[sockets->count++] = (int)fd;
    return 0;
}

static int make_sockets(struct init_runtime *r, struct sockets *sockets, struct init_failure *f)
{
    int pair[2];
    long rc;

    if (listen_on(INIT_API_PORT, sockets, f) < 0 || listen_on(INIT_AWS_PORT, sockets, f) < 0)
        return -1;
    if (!(r->spec->flags & PROTO_WITH_CHANNEL) || r->spec->restored)
        return 0;
    rc = SYS(socketpair, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
    if (rc < 0)
        return init_fail(f, rc, "make the channel");
    sockets->fd[sockets->count++] = pair[0];
    r->channel = pair[1];
    return 0;
}

/* Comes back when the runtime has been exec'd. */
static int start_runtime(struct init_runtime *r, struct init_failure *f)
{
    long pid;

    if (r->spec->restored) {
        SYS(close, INIT_LOG_FD);
        return 0;
    }
    pid = sys_vfork(init_runtime_start, r, runtime_stack + sizeof(runtime_stack));

    if (pid < 0)
        return init_fail(f, pid, "clone");
    if (f->code)
        return -1;
    SYS(close, INIT_LOG_FD);
    if (r->channel >= 0)
        SYS(close, r->channel);
    return pid == 2 ? 0 : init_fail(f, -EPROTO, "the runtime is not pid 2");
}

/* The runtime was born with PID 1's score of 1000, so that the kernel's choice in this cgroup falls on it. PID 1 takes its own
 * back, which needs no capability: nobody with one has set it. */
static int drop_self(uint32_t uid, struct init_failure *f)
{
    long rc = SYS(write, INIT_OOM_FD, "0", 1);

    if (rc < 0)
        return init_fail(f, rc, "write oom_score_adj");
    SYS(close, INIT_OOM_FD);
    if (init_drop(uid, f) < 0)
        return -1;
    /* A change of uid clears it. The end of the control socket says the same, if this came too late. */
    rc = SYS(prctl, PR_SET_PDEATHSIG, SIGKILL);
    return rc < 0 ? init_fail(f, rc, "prctl PR_SET_PDEATHSIG") : 0;
}

static int tell_started(struct sockets *sockets, struct init_failure *f)
{
    struct init_started m = {.kind = INIT_STARTED};
    struct iovec iov = {&m, sizeof(m)};
    union {
        char bytes[CMSG_SPACE(sizeof(sockets->fd))];
        struct cmsghdr header;
    } control = {.header = {.cmsg_level = SOL_SOCKET,
                            .cmsg_type = SCM_RIGHTS,
                            .cmsg_len = CMSG_LEN(sockets->count * sizeof(int))}};
    struct msghdr h = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = CMSG_SPACE(sockets->count * sizeof(int))};
    int *fds = (int *)(void *)CMSG_DATA(&control.header);
    long rc;

    for (unsigned i = 0; i < sockets->count; i++)
        fds[i] = sockets->fd[i];
    rc = SYS(sendmsg, INIT_CONTROL_FD, &h, MSG_NOSIGNAL);
    if (rc < 0)
        return init_fail(f, rc, "report to the warden");
    for (unsigned i = 0; i < sockets->count; i++)
        SYS(close, sockets->fd[i]);
    return 0;
}

/* Reaps whoever ended, also what the runtime left behind. Its own end is PID 1's end. */
static void reap(void)
{
    struct init_ended m = {.kind = INIT_ENDED};
    long pid;

    while ((pid = SYS(wait4, -1, &m.wait_status, WNOHANG, NULL)) > 0) {
        if (pid != 2)
            continue;
        SYS(sendto, INIT_CONTROL_FD, &m, sizeof(m), MSG_NOSIGNAL, NULL);
        leave(0);
    }
}

/* SIGCHLD is blocked for the signalfd; PID 1 gets no other signals from inside, as it handles none. */
static int open_signals(struct init_failure *f)
{
    uint64_t set = UINT64_C(1) << (SIGCHLD - 1);
    long rc = SYS(rt_sigprocmask, SIG_BLOCK, &set, NULL, sizeof(set));

    if (rc == 0)
        rc = SYS(signalfd4, -1, &set, sizeof(set), SFD_CLOEXEC | SFD_NONBLOCK);
    return rc < 0 ? init_fail(f, rc, "signalfd") : (int)rc;
}

/* The warden never sends a second message: whatever the control socket says now is its end. */
static void run(int signals) __attribute__((noreturn));
static void run(int signals)
{
    struct pollfd fds[] = {{.fd = signals, .events = POLLIN}, {.fd = INIT_CONTROL_FD, .events = POLLIN}};
    struct signalfd_siginfo info;
    long rc;

    for (;;) {
        reap();
        rc = SYS(poll, fds, ARRAY_LEN(fds), -1);
        if ((rc < 0 && rc != -EINTR) || fds[1].revents)
            leave(1);
        while (SYS(read, signals, &info, sizeof(info)) > 0)
            ;
    }
}

void sys_main(void)
{
    struct init_runtime r;
    struct sockets sockets = {.count = 0};
    struct init_failure f = {.code = 0};
    int signals;

    if (read_spec(&r, &f) < 0 || init_drop_bounding_set(&f) < 0 || make_sockets(&r, &sockets, &f) < 0 ||
        start_runtime(&r, &f) < 0 || drop_self(r.spec->init_uid, &f) < 0)
        fail(&f);
    signals = open_signals(&f);
    if (signals < 0 || tell_started(&sockets, &f) < 0)
        fail(&f);
    run(signals);
}
