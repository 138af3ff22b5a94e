/*
 * The warden's end of the socket to fnrund. Sending never blocks and never fails for the sender: what the socket doesn't take
 * waits in a queue. A manager that doesn't read for so long that the queue overflows is broken, like one that closes.
 */
#ifndef FNRUN_LINK_H
#define FNRUN_LINK_H

#include <stdbool.h>

#include "base/list.h"
#include "base/loop.h"
#include "base/msg.h"

struct link {
    struct loop *loop;
    struct loop_io io;
    struct list_node queue;
    unsigned queued;
    /* `data` is aligned for any message. Descriptors are the link's. */
    void (*on_message)(void *ctx, const void *data, size_t size, const struct msg_fds *fds);
    void (*on_broken)(void *ctx, const char *why);
    void *ctx;
};

/* Makes the pair; the callbacks and ctx must be set. *ret_peer is the other end, the caller's. */
int link_open(struct link *l, struct loop *loop, int *ret_peer, struct err *e);

/* Closes the socket and forgets what is queued. Harmless where it isn't open. Safe inside the callbacks. */
void link_close(struct link *l);

/* Sends one message. `fds`, which may be NULL, are taken over and closed in any case. Ignored while not open. */
void link_send(struct link *l, const void *data, size_t size, struct msg_fds *fds);

#endif
