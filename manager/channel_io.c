#include "channel_io.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../sandbox/base/fd.h"

#define READ_CHUNK ((size_t)65536)
/* How much one channel may take from others in one round of the loop. */
#define CHUNKS_PER_ROUND 16

/* The header is whole: is what it announces acceptable? */
static bool begin_frame(struct channel *c)
{
    buf_clear(&c->head);
    buf_clear(&c->body);
    c->too_large = c->header.body_bytes > c->body.cap;
    c->left = (uint64_t)c->header.head_bytes + c->header.body_bytes;
    return c->header.kind >= FRAME_READY && c->header.kind <= FRAME_INIT_ERROR &&
           c->header.head_bytes <= CHANNEL_HEAD_MAX && c->header.body_bytes <= CHANNEL_BODY_MAX;
}

/* Takes bytes into the current frame; returns how many, or 0 for a broken frame. */
static size_t take_bytes(struct channel *c, const char *data, size_t size)
{
    struct err e;
    size_t n;

    if (c->header_used < sizeof(c->header)) {
        n = MIN(size, sizeof(c->header) - c->header_used);
        memcpy((char *)&c->header + c->header_used, data, n);
        c->header_used += n;
        return c->header_used < sizeof(c->header) || begin_frame(c) ? n : 0;
    }
    if (c->left > c->header.body_bytes) {
        n = MIN(size, (size_t)(c->left - c->header.body_bytes));
        if (buf_add(&c->head, data, n, &e) < 0)
            return 0;
    } else {
        n = (size_t)MIN((uint64_t)size, c->left);
        if (!c->too_large && buf_add(&c->body, data, n, &e) < 0)
            return 0;
    }
    c->left -= n;
    return n;
}

/* Returns false when the channel is not to be touched any more. */
static bool feed(struct channel *c, const char *data, size_t size)
{
    while (size > 0) {
        size_t n = take_bytes(c, data, size);

        if (n == 0) {
            loop_io_remove(c->loop, &c->io);
            c->on_broken(c);
            return false;
        }
        data += n;
        size -= n;
        if (c->header_used == sizeof(c->header) && c->left == 0) {
            c->header_used = 0;
            if (!c->on_frame(c))
                return false;
        }
    }
    return true;
}

static void flush(struct channel *c)
{
    struct err e;

    while (c->out.used > 0) {
        ssize_t n = send(c->io.fd, c->out.data, c->out.used, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break; /* full, or broken: then reading tells */
        buf_consume(&c->out, (size_t)n);
    }
    if (c->io.active)
        loop_io_change(c->loop, &c->io, EPOLLIN | (c->out.used ? EPOLLOUT : 0), &e);
}

static void on_ready(struct loop_io *io, uint32_t events)
{
    struct channel *c = container_of(io, struct channel, io);
    char chunk[READ_CHUNK];

    if (events & EPOLLOUT)
        flush(c);
    for (int i = 0; i < CHUNKS_PER_ROUND; i++) {
        ssize_t n = recv(io->fd, chunk, sizeof(chunk), MSG_DONTWAIT);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (n <= 0) {
            loop_io_remove(c->loop, io);
            c->on_closed(c);
            return;
        }
        if (!feed(c, chunk, (size_t)n) || (size_t)n < sizeof(chunk))
            return;
    }
}

int channel_open(struct channel *c, struct loop *loop, int fd, size_t body_cap, struct err *e)
{
    c->loop = loop;
    c->io = (struct loop_io){.fd = fd, .on_ready = on_ready};
    c->body.cap = body_cap;
    c->head.cap = CHANNEL_HEAD_MAX;
    return loop_io_add(loop, &c->io, EPOLLIN, e);
}

void channel_close(struct channel *c)
{
    if (c->io.fd < 0)
        return;
    loop_io_remove(c->loop, &c->io);
    fd_close(&c->io.fd);
    buf_free(&c->out);
    buf_free(&c->head);
    buf_free(&c->body);
}

/* Tries to hand the frame to the kernel in one call; returns how many bytes it took. */
static size_t send_now(struct channel *c, struct frame_header *h, const struct buf *head, const struct buf *body)
{
    struct iovec iov[] = {{h, sizeof(*h)}, {head->data, head->used}, {body->data, body->used}};
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = ARRAY_LEN(iov)};
    ssize_t n = c->out.used ? 0 : sendmsg(c->io.fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);

    return n < 0 ? 0 : (size_t)n;
}

/* Keeps what is behind the first *skip bytes of a part. */
static int keep_rest(struct channel *c, const void *data, size_t size, size_t *skip, struct err *e)
{
    size_t done = MIN(size, *skip);

    *skip -= done;
    return buf_add(&c->out, (const char *)data + done, size - done, e);
}

void channel_send(struct channel *c, enum frame_kind kind, const struct buf *head, const struct buf *body)
{
    struct frame_header h = {(uint32_t)kind, (uint32_t)head->used, (uint32_t)body->used};
    size_t sent = send_now(c, &h, head, body);
    struct err e;

    if (sent == sizeof(h) + head->used + body->used)
        return;
    if (keep_rest(c, &h, sizeof(h), &sent, &e) < 0 || keep_rest(c, buf_str(head), head->used, &sent, &e) < 0 ||
        keep_rest(c, buf_str(body), body->used, &sent, &e) < 0) {
        shutdown(c->io.fd, SHUT_RDWR); /* no memory: reading then reports the end */
        return;
    }
    flush(c);
}
