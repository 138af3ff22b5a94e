/* The manager's end of a channel (frames: sandbox/base/channel.h). Bytes in and out; meaning is instance.c's. */
#ifndef FNRUN_CHANNEL_IO_H
#define FNRUN_CHANNEL_IO_H

#include "../sandbox/base/buf.h"
#include "../sandbox/base/channel.h"
#include "../sandbox/base/loop.h"

struct channel {
    struct loop *loop;
    struct loop_io io; /* io.fd -1: no channel */
    struct buf out;    /* what the socket did not take yet */
    struct frame_header header;
    size_t header_used;
    struct buf head, body;
    uint64_t left;  /* bytes of head and body still to come */
    bool too_large; /* the body of the current frame passed `body_cap`: it is read and thrown away */
    /* A whole frame is in head and body (body may be taken). Returns false when the channel must not be read on. */
    bool (*on_frame)(struct channel *c);
    void (*on_closed)(struct channel *c); /* the peer is gone */
    void (*on_broken)(struct channel *c); /* what it sends is no frame: the channel is not read any more */
};

/* `fd` becomes the channel's. The functions must be set. */
int channel_open(struct channel *c, struct loop *loop, int fd, size_t body_cap, struct err *e);
void channel_close(struct channel *c);

/* Sends a frame whose head is `head` (JSON text). */
void channel_send(struct channel *c, enum frame_kind kind, const struct buf *head, const struct buf *body);

#endif
