#include "nursery.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "sandbox.h"

/* A fork takes a millisecond. */
#define PATIENCE_S 10

/* Nursery and warden are one program, forked: pointers to what was there before the fork mean the same in both. */
struct request {
    struct child child; /* its descriptors are places in the message, -1: none */
    struct plan plan;
    struct cgroup_door door;
    struct spare spare;
};

/* What the nursery has for all. */
struct kept {
    int socket, init, work;
    struct apply_paths paths;
};

/* --- the nursery ------------------------------------------------------------------------------------------------------------------ */

static int keep(int *fd, struct err *e)
{
    *fd = fcntl(*fd, F_DUPFD_CLOEXEC, 64);
    return *fd < 0 ? err_errno(e, "F_DUPFD_CLOEXEC") : 0;
}

static int keep_few(struct kept *k, struct err *e)
{
    if (close_range(64, ~0U, 0) < 0)
        return err_errno(e, "close_range");
    if (keep(&k->socket, e) < 0 || keep(&k->init, e) < 0 || keep(&k->work, e) < 0 || keep(&k->paths.bare, e) < 0)
        return -e->code;
    return close_range(STDERR_FILENO + 1, 63, 0) < 0 ? err_errno(e, "close_range") : 0;
}

static void take(int *place, const struct msg_fds *fds)
{
    *place = *place >= 0 && *place < (int)fds->count ? fds->fd[*place] : -1;
}

static void unpack(struct request *r, const struct kept *k, const struct msg_fds *fds)
{
    struct child *c = &r->child;

    take(&c->control, fds);
    take(&c->log, fds);
    take(&c->arm.images, fds);
    take(&r->spare.net, fds);
    take(&r->spare.ipc, fds);
    take(&r->spare.uts, fds);
    for (int i = 0; i < CGROUP_PARTS; i++)
        take(&r->door.fd[i], fds);
    c->plan = &r->plan;
    c->door = &r->door;
    c->spare = &r->spare;
    c->paths = &k->paths;
    c->init = k->init;
    c->arm.work = k->work;
    c->arm.log = c->log;
}

static void serve(const struct kept *k) __attribute__((noreturn));
static void serve(const struct kept *k)
{
    static struct request r;

    for (;;) {
        auto_msg_fds struct msg_fds fds = {.count = 0};
        struct msg_fds answer = {.count = 0};
        struct err e = {.code = 0}, ignored;
        int pidfd = -1;

        if (msg_recv(k->socket, &r, sizeof(r), &fds, &e) != sizeof(r))
            _exit(e.code ? 1 : 0);
        unpack(&r, k, &fds);
        if (child_start(&r.child, &pidfd, &e) > 0)
            answer.fd[answer.count++] = pidfd;
        msg_send(k->socket, &e, sizeof(e), &answer, &ignored);
        fd_close(&pidfd);
    }
}

static void run(struct kept *k) __attribute__((noreturn));
static void run(struct kept *k)
{
    struct err e;

    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (keep_few(k, &e) == 0)
        serve(k);
    log_error("nursery: %s", e.msg);
    _exit(1);
}

/* --- the warden ------------------------------------------------------------------------------------------------------------------------- */

int nursery_start(struct nursery *n, const struct sandboxes *all, struct err *e)
{
    struct kept k = {.init = all->init, .work = all->work, .paths = all->paths};
    struct timeval patience = {.tv_sec = PATIENCE_S};
    int pair[2];
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_errno(e, "socketpair");
    k.socket = pair[1];
    pid = fork();
    if (pid == 0)
        run(&k);
    close(pair[1]);
    n->socket = pair[0];
    n->pid = pid;
    if (pid < 0)
        return err_errno(e, "fork");
    return setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ? err_errno(e, "setsockopt")
                                                                                         : 0;
}

void nursery_stop(struct nursery *n)
{
    fd_close(&n->socket);
    if (n->pid > 0)
        waitpid(n->pid, NULL, 0);
}

static int put(int fd, struct msg_fds *fds)
{
    if (fd < 0)
        return -1;
    fds->fd[fds->count] = fd;
    return (int)fds->count++;
}

static void pack(const struct child *c, struct request *r, struct msg_fds *fds)
{
    r->child = *c;
    r->plan = *c->plan;
    r->child.control = put(c->control, fds);
    r->child.log = put(c->log, fds);
    r->child.arm.images = put(c->restores ? c->arm.images : -1, fds);
    r->spare.net = put(c->spare->net, fds);
    r->spare.ipc = put(c->spare->ipc, fds);
    r->spare.uts = put(c->spare->uts, fds);
    for (int i = 0; i < CGROUP_PARTS; i++)
        r->door.fd[i] = put(c->door->fd[i], fds);
}

int nursery_fork(const struct nursery *n, const struct child *c, int *ret_pidfd, struct err *e)
{
    static struct request r;
    auto_msg_fds struct msg_fds answer = {.count = 0};
    struct msg_fds fds = {.count = 0};
    struct err said;

    pack(c, &r, &fds);
    /* Without it no sandbox can be made. Whoever has started the warden starts it again, and with it all the rest. */
    if (msg_send(n->socket, &r, sizeof(r), &fds, e) < 0 ||
        msg_recv(n->socket, &said, sizeof(said), &answer, e) != sizeof(said)) {
        log_error("the process that forks sandboxes has ended or does not answer: giving up");
        _exit(1);
    }
    if (said.code || answer.count != 1)
        return err_set(e, said.code ? said.code : EPROTO, "%s", said.msg);
    *ret_pidfd = take_fd(&answer.fd[0]);
    return 0;
}
