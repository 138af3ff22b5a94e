#include "link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define QUEUE_MAX 10000
#define MESSAGES_PER_ROUND 32

struct queued {
    struct list_node node;
    struct msg_fds fds;
    size_t size;
    char data[];
};

static void queued_free(struct link *l, struct queued *q)
{
    list_remove(&q->node);
    l->queued--;
    msg_fds_close(&q->fds);
    free(q);
}

static void broken(struct link *l, const char *why)
{
    /* May be called while somebody is sending: the owner closes the link, so ask nothing of it after this. */
    l->on_broken(l->ctx, why);
}

static void flush_queue(struct link *l)
{
    struct queued *q;
    struct err e;

    while ((q = list_first(&l->queue, struct queued, node))) {
        int rc = msg_send(l->io.fd, q->data, q->size, &q->fds, &e);

        if (rc == -EAGAIN)
            return;
        /* EPIPE: the manager is going; its pidfd says so. */
        queued_free(l, q);
    }
    if (loop_io_change(l->loop, &l->io, EPOLLIN, &e) < 0)
        broken(l, e.msg);
}

/* Receives one message; false when there is none left, or no link. */
static bool receive(struct link *l)
{
    static union {
        char bytes[MSG_BYTES_MAX];
        max_align_t align;
    } message;
    auto_msg_fds struct msg_fds fds = {.count = 0};
    struct err e;
    ssize_t n = msg_recv(l->io.fd, &message, sizeof(message), &fds, &e);

    if (n == -EAGAIN)
        return false;
    if (n <= 0) {
        broken(l, n == 0 ? "closed its socket" : e.msg);
        return false;
    }
    l->on_message(l->ctx, &message, (size_t)n, &fds);
    return l->io.fd >= 0;
}

static void on_ready(struct loop_io *io, uint32_t events)
{
    struct link *l = container_of(io, struct link, io);

    if (events & EPOLLOUT)
        flush_queue(l);
    if (!(events & ~(uint32_t)EPOLLOUT))
        return;
    /* Bounded: a manager that never stops talking must not keep leases from running out. */
    for (int i = 0; i < MESSAGES_PER_ROUND && l->io.fd >= 0 && receive(l); i++)
        ;
}

int link_open(struct link *l, struct loop *loop, int *ret_peer, struct err *e)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_errno(e, "socketpair");
    l->loop = loop;
    l->queued = 0;
    list_init(&l->queue);
    l->io = (struct loop_io){.fd = pair[0], .on_ready = on_ready};
    *ret_peer = pair[1];
    if (fd_set_nonblock(l->io.fd, e) < 0 || loop_io_add(loop, &l->io, EPOLLIN, e) < 0) {
        fd_close(&l->io.fd);
        fd_close(ret_peer);
        return -e->code;
    }
    return 0;
}

void link_close(struct link *l)
{
    struct queued *q;

    if (l->io.fd < 0)
        return;
    loop_io_remove(l->loop, &l->io);
    fd_close(&l->io.fd);
    list_for_each(&l->queue, q, struct queued, node)
        queued_free(l, q);
}

static void enqueue(struct link *l, const void *data, size_t size, struct msg_fds *fds)
{
    struct queued *q = l->queued < QUEUE_MAX ? malloc(sizeof(*q) + size) : NULL;
    struct err e;

    if (!q) {
        broken(l, "doesn't read its messages");
        return;
    }
    *q = (struct queued){.size = size};
    if (fds) {
        q->fds = *fds;
        fds->count = 0;
    }
    memcpy(q->data, data, size);
    list_append(&l->queue, &q->node);
    if (l->queued++ == 0 && loop_io_change(l->loop, &l->io, EPOLLIN | EPOLLOUT, &e) < 0)
        broken(l, e.msg);
}

void link_send(struct link *l, const void *data, size_t size, struct msg_fds *fds)
{
    struct err e;

    if (l->io.fd >= 0 && (l->queued || msg_send(l->io.fd, data, size, fds, &e) == -EAGAIN))
        enqueue(l, data, size, fds);
    if (fds)
        msg_fds_close(fds);
}
