/*
 * fnrun-init: PID 1 of a sandbox. It makes the sockets that must belong to the sandbox's network namespace, starts the
 * runtime as pid 2, tells the warden how that ended, and reaps. When it exits, the kernel kills what is left.
 *
 * State at entry (made by child.c): every namespace is new, the root is the function's, the descriptors are those of init.h,
 * uid 0 with CAP_SETUID, CAP_SETGID and CAP_SETPCAP alone. It gives those up as soon as the runtime is forked.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/msg.h"
#include "init.h"
#include "init_runtime.h"

/* No malloc in PID 1: everything has its place here. */
static union {
    struct init_spec spec;
    char bytes[INIT_SPEC_MAX];
} message;
static char *argv_[PROTO_ARGV_MAX + 1], *env[PROTO_ENV_MAX + 1];

struct start {
    struct init_runtime runtime;
    pid_t pid;
    int exec_result;     /* read end of the exec pipe */
    struct msg_fds gives; /* what goes to the warden with INIT_STARTED */
};

static void fail(const struct err *e) __attribute__((noreturn));
static void fail(const struct err *e)
{
    struct init_failed m = {.kind = INIT_FAILED, .code = e->code};
    struct err ignored;

    memcpy(m.text, e->msg, MIN(sizeof(m.text), sizeof(e->msg)));
    m.text[sizeof(m.text) - 1] = '\0';
    msg_send(INIT_CONTROL_FD, &m, sizeof(m), NULL, &ignored);
    _exit(1);
}

/* Points ret[0..count] into `strings`; returns what is behind them, NULL where they are too few. */
static char *split(char *strings, const char *end, char **ret, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        char *nul = memchr(strings, '\0', (size_t)(end - strings));

        if (!nul)
            return NULL;
        ret[i] = strings;
        strings = nul + 1;
    }
    ret[count] = NULL;
    return strings;
}

/* The warden has checked it; a mistake there must still not become a runtime with half a specification. */
static int read_spec(struct init_runtime *r, struct err *e)
{
    auto_msg_fds struct msg_fds none = {.count = 0};
    ssize_t size = msg_recv(INIT_CONTROL_FD, &message, sizeof(message), &none, e);
    struct init_spec *s = &message.spec;
    char *strings;

    if (size < 0)
        return -e->code;
    if ((size_t)size < sizeof(*s) || s->kind != INIT_SPEC || s->filter_count == 0 || s->filter_count > INIT_FILTER_MAX ||
        s->argc == 0 || s->argc > PROTO_ARGV_MAX || s->envc > PROTO_ENV_MAX || s->uid == 0 || s->init_uid == 0 ||
        (size_t)size != sizeof(*s) + s->filter_count * sizeof(struct sock_filter) + s->strings_bytes)
        return err_set(e, EPROTO, "invalid specification");
    r->spec = s;
    r->filter = (struct sock_filter *)(void *)(message.bytes + sizeof(*s));
    strings = message.bytes + size - s->strings_bytes;
    strings = split(strings, message.bytes + size, argv_, s->argc);
    if (!strings || split(strings, message.bytes + size, env, s->envc) != message.bytes + size)
        return err_set(e, EPROTO, "invalid strings in the specification");
    r->argv = argv_;
    r->env = env;
    return 0;
}

/* The Runtime API's and the AWS endpoint's sockets: bound here, in the sandbox's network namespace, served by fnrund
 * outside. */
static int listen_on(struct start *s, uint16_t port, struct err *e)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 128) < 0)
        return err_errno(e, "listen on port %d", port);
    s->gives.fd[s->gives.count++] = fd;
    return 0;
}

static int make_sockets(struct start *s, struct err *e)
{
    int pair[2];

    if (listen_on(s, INIT_API_PORT, e) < 0 || listen_on(s, INIT_AWS_PORT, e) < 0)
        return -e->code;
    s->runtime.channel = -1;
    if (!(s->runtime.spec->flags & PROTO_WITH_CHANNEL))
        return 0;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return err_errno(e, "socketpair");
    s->gives.fd[s->gives.count++] = pair[0];
    s->runtime.channel = pair[1];
    return 0;
}

static int start_runtime(struct start *s, struct err *e)
{
    int exec_pipe[2];

    if (pipe2(exec_pipe, O_CLOEXEC) < 0)
        return err_errno(e, "pipe");
    s->exec_result = exec_pipe[0];
    s->runtime.exec_pipe = exec_pipe[1];
    s->pid = fork();
    if (s->pid < 0)
        return err_errno(e, "fork");
    if (s->pid == 0)
        init_runtime_start(&s->runtime);
    close(exec_pipe[1]);
    close(INIT_LOG_FD);
    fd_close(&s->runtime.channel);
    return 0;
}

/* The runtime was born with PID 1's score of 1000, so the kernel's choice in this cgroup falls on it. PID 1 takes its own
 * back, which needs no capability: nobody with one has set it. */
static int drop_self(uint32_t uid, struct err *e)
{
    if (write(INIT_OOM_FD, "0", 1) < 0)
        return err_errno(e, "write oom_score_adj");
    close(INIT_OOM_FD);
    if (init_drop(uid, e) < 0)
        return -e->code;
    /* A change of uid clears it. The end of the control socket says the same, if this came too late. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return err_errno(e, "prctl PR_SET_PDEATHSIG");
    return 0;
}

/* Waits for the exec: a closed pipe without a word. */
static int wait_for_exec(struct start *s, struct err *e)
{
    struct err why;
    ssize_t n;

    do
        n = read(s->exec_result, &why, sizeof(why));
    while (n < 0 && errno == EINTR);
    close(s->exec_result);
    if (n == (ssize_t)sizeof(why))
        *e = why;
    else if (n != 0)
        return err_set(e, EPROTO, "the runtime's start failed without a reason");
    return n == 0 ? 0 : -e->code;
}

static void report_end(int wait_status) __attribute__((noreturn));
static void report_end(int wait_status)
{
    struct init_ended m = {.kind = INIT_ENDED, .wait_status = wait_status};
    struct err ignored;

    msg_send(INIT_CONTROL_FD, &m, sizeof(m), NULL, &ignored);
    _exit(0);
}

static void reap(pid_t runtime)
{
    int status;

    for (;;) {
        pid_t pid = waitpid(-1, &status, WNOHANG);

        if (pid == runtime)
            report_end(status);
        if (pid <= 0)
            return;
    }
}

/* Blocked signals are held for signalfd; PID 1 gets no others from inside, as it handles none. */
static int open_signals(struct err *e)
{
    sigset_t set;
    int fd;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return err_errno(e, "sigprocmask");
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? err_errno(e, "signalfd") : fd;
}

/* The warden never sends a second message: whatever the control socket says now is its end. */
static void run(int signals, pid_t runtime) __attribute__((noreturn));
static void run(int signals, pid_t runtime)
{
    struct pollfd fds[] = {{.fd = signals, .events = POLLIN}, {.fd = INIT_CONTROL_FD, .events = POLLIN}};
    struct signalfd_siginfo info;

    for (;;) {
        reap(runtime);
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            _exit(1);
        if (fds[1].revents)
            _exit(1);
        while (read(signals, &info, sizeof(info)) > 0)
            ;
    }
}

int main(void)
{
    struct start s = {.exec_result = -1};
    struct init_started started = {.kind = INIT_STARTED};
    struct err e = {0};
    int signals = open_signals(&e);

    if (signals < 0 || read_spec(&s.runtime, &e) < 0 || init_drop_bounding_set(&e) < 0 || make_sockets(&s, &e) < 0 ||
        start_runtime(&s, &e) < 0 || drop_self(s.runtime.spec->init_uid, &e) < 0 || wait_for_exec(&s, &e) < 0 ||
        msg_send(INIT_CONTROL_FD, &started, sizeof(started), &s.gives, &e) < 0)
        fail(&e);
    msg_fds_close(&s.gives);
    run(signals, s.pid);
}
