/*
 * Accepts connections on a listening socket that lives inside a sandbox and hands each one on. The other ends are the
 * function's, which can make more of them than this process may have descriptors: those above ACCEPTOR_CONNECTIONS are closed.
 */
#ifndef FNRUN_ACCEPTOR_H
#define FNRUN_ACCEPTOR_H

#include "../sandbox/base/loop.h"

#define ACCEPTOR_CONNECTIONS 128U

struct acceptor {
    struct loop *loop;
    struct loop_io io;                                 /* io.fd -1: closed */
    const unsigned *refs;                              /* the owner's count: of itself and of its connections */
    void (*on_connection)(struct acceptor *a, int fd); /* fd: non-blocking, the callee's */
};

/* `fd` becomes the acceptor's. on_connection and refs must be set. */
int acceptor_open(struct acceptor *a, struct loop *loop, int fd, struct err *e);
void acceptor_close(struct acceptor *a);

#endif
