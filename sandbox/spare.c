#include "spare.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/msg.h"
#include "network.h"

#define HOSTNAME "fnrun"

/* Long enough for the creation that has just taken one to be over: both need the same locks and processors. */
#define REFILL_DELAY (5 * NSEC_PER_MSEC)

void spare_close(struct spare *s)
{
    fd_close(&s->net);
    fd_close(&s->ipc);
    fd_close(&s->uts);
}

static int make(struct err *e)
{
    if (unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
        return err_errno(e, "unshare");
    if (sethostname(HOSTNAME, strlen(HOSTNAME)) < 0 || setdomainname("", 0) < 0)
        return err_errno(e, "set host name");
    return network_bring_up_lo(e);
}

int spare_enter(const struct spare *s, struct err *e)
{
    if (s->net < 0)
        return make(e);
    if (setns(s->net, CLONE_NEWNET) < 0 || setns(s->ipc, CLONE_NEWIPC) < 0 || setns(s->uts, CLONE_NEWUTS) < 0)
        return err_errno(e, "setns");
    return 0;
}

static int send_own(int sock, struct err *e)
{
    __attribute__((cleanup(spare_close))) struct spare own = {
        .net = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC),
        .ipc = open("/proc/self/ns/ipc", O_RDONLY | O_CLOEXEC),
        .uts = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC),
    };
    struct msg_fds fds = {.fd = {own.net, own.ipc, own.uts}, .count = 3};

    if (own.net < 0 || own.ipc < 0 || own.uts < 0)
        return err_errno(e, "open /proc/self/ns");
    return msg_send(sock, "", 1, &fds, e);
}

/* State: a fork of the warden. It leaves the namespaces it has made to whoever holds their descriptors. */
static void run_helper(int sock, unsigned count) __attribute__((noreturn));
static void run_helper(int sock, unsigned count)
{
    struct err e;

    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    for (; count > 0; count--)
        if (make(&e) < 0 || send_own(sock, &e) < 0) {
            log_warn("make namespaces ahead: %s", e.msg);
            _exit(1);
        }
    _exit(0);
}

static void collect(struct spares *s)
{
    struct err e;
    char byte;

    for (;;) {
        auto_msg_fds struct msg_fds fds = {.count = 0};

        if (msg_recv(s->socket, &byte, 1, &fds, &e) <= 0)
            return;
        if (fds.count == 3 && s->count < SPARES_MAX)
            s->set[s->count++] = (struct spare){take_fd(&fds.fd[0]), take_fd(&fds.fd[1]), take_fd(&fds.fd[2])};
    }
}

static void on_helper_done(struct loop_io *io, UNUSED uint32_t events)
{
    struct spares *s = container_of(io, struct spares, helper);
    siginfo_t info;

    waitid(P_PIDFD, (id_t)io->fd, &info, WEXITED | WNOHANG);
    collect(s);
    loop_io_remove(s->loop, io);
    fd_close(&io->fd);
    fd_close(&s->socket);
}

static int start_helper(struct spares *s, struct err *e)
{
    int pair[2];
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_errno(e, "socketpair");
    pid = fork();
    if (pid == 0)
        run_helper(pair[1], SPARES_MAX - s->count);
    close(pair[1]);
    s->socket = pair[0];
    if (pid < 0)
        return err_errno(e, "fork");
    s->helper.fd = pidfd_open(pid, 0);
    if (s->helper.fd >= 0 && fd_set_nonblock(s->socket, e) == 0)
        return loop_io_add(s->loop, &s->helper, EPOLLIN, e);
    err_errno(e, "pidfd_open");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return -e->code;
}

static void on_refill(struct loop_timer *t)
{
    struct spares *s = container_of(t, struct spares, refill);
    struct err e;

    /* Sandboxes are made without spares, too, only slower. */
    if (s->helper.fd < 0 && s->count < SPARES_MAX && start_helper(s, &e) < 0) {
        log_warn("make namespaces ahead: %s", e.msg);
        fd_close(&s->helper.fd);
        fd_close(&s->socket);
    }
}

void spares_init(struct spares *s, struct loop *loop)
{
    *s = (struct spares){.loop = loop, .helper = {.fd = -1, .on_ready = on_helper_done}, .socket = -1};
    s->refill.on_due = on_refill;
    loop_timer_set(loop, &s->refill, clock_now());
}

void spares_close(struct spares *s)
{
    loop_timer_clear(s->loop, &s->refill);
    loop_io_remove(s->loop, &s->helper);
    fd_close(&s->helper.fd);
    fd_close(&s->socket);
    while (s->count)
        spare_close(&s->set[--s->count]);
}

struct spare spares_take(struct spares *s)
{
    loop_timer_set(s->loop, &s->refill, clock_now() + REFILL_DELAY);
    return s->count ? s->set[--s->count] : SPARE_NONE;
}
