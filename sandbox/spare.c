#include "spare.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
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

/* State: a fork of the warden. It makes as many as it is asked for, and leaves each to whoever holds its descriptors. */
static void run_helper(int sock) __attribute__((noreturn));
static void run_helper(int sock)
{
    auto_msg_fds struct msg_fds none = {.count = 0};
    unsigned char count;
    struct err e;

    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    /* What else the warden has open is none of its business, and would live as long as it does. */
    if (dup2(sock, 3) != 3 || close_range(4, ~0U, 0) < 0)
        _exit(1);
    while (msg_recv(3, &count, 1, &none, &e) == 1)
        for (; count > 0; count--)
            if (make(&e) < 0 || send_own(3, &e) < 0) {
                log_warn("make namespaces ahead: %s", e.msg);
                _exit(1);
            }
    _exit(0);
}

static void stop_helper(struct spares *s)
{
    loop_io_remove(s->loop, &s->helper);
    fd_close(&s->helper.fd);
}

static void on_made(struct loop_io *io, UNUSED uint32_t events)
{
    struct spares *s = container_of(io, struct spares, helper);
    auto_msg_fds struct msg_fds fds = {.count = 0};
    struct err e;
    char byte;

    if (msg_recv(io->fd, &byte, 1, &fds, &e) <= 0) {
        if (e.code != EAGAIN)
            stop_helper(s); /* the next refill starts another */
        return;
    }
    if (fds.count == 3 && s->count < SPARES_MAX)
        s->set[s->count++] = (struct spare){take_fd(&fds.fd[0]), take_fd(&fds.fd[1]), take_fd(&fds.fd[2])};
}

static int start_helper(struct spares *s, struct err *e)
{
    int pair[2];
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_errno(e, "socketpair");
    pid = fork();
    if (pid == 0)
        run_helper(pair[1]);
    close(pair[1]);
    s->helper.fd = pair[0];
    if (pid < 0)
        return err_errno(e, "fork");
    s->pid = pid;
    return fd_set_nonblock(pair[0], e) < 0 ? -e->code : loop_io_add(s->loop, &s->helper, EPOLLIN, e);
}

static int refill(struct spares *s, struct err *e)
{
    unsigned char wanted = (unsigned char)(SPARES_MAX - s->count);

    if (wanted == 0)
        return 0;
    if (s->helper.fd < 0) {
        if (s->pid > 0)
            waitpid(s->pid, NULL, 0);
        if (start_helper(s, e) < 0)
            return -e->code;
    }
    return msg_send(s->helper.fd, &wanted, 1, NULL, e);
}

static void on_refill(struct loop_timer *t)
{
    struct spares *s = container_of(t, struct spares, refill);
    struct err e;

    /* Sandboxes are made without spares, too, only slower. */
    if (refill(s, &e) < 0) {
        log_warn("make namespaces ahead: %s", e.msg);
        stop_helper(s);
    }
}

void spares_init(struct spares *s, struct loop *loop)
{
    *s = (struct spares){.loop = loop, .helper = {.fd = -1, .on_ready = on_made}};
    s->refill.on_due = on_refill;
    loop_timer_set(loop, &s->refill, clock_now());
}

void spares_close(struct spares *s)
{
    loop_timer_clear(s->loop, &s->refill);
    stop_helper(s);
    if (s->pid > 0)
        waitpid(s->pid, NULL, 0);
    while (s->count)
        spare_close(&s->set[--s->count]);
}

struct spare spares_take(struct spares *s)
{
    loop_timer_set(s->loop, &s->refill, clock_now() + REFILL_DELAY);
    return s->count ? s->set[--s->count] : SPARE_NONE;
}
