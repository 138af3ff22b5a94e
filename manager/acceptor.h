/* Accepts connections on a listening socket that lives inside a sandbox and hands each one on. */
#ifndef FNRUN_ACCEPTOR_H
#define FNRUN_ACCEPTOR_H

#include "../sandbox/base/loop.h"

struct acceptor {
    struct loop *loop;
    struct loop_io io;                                 /* io.fd -1: closed */
    void (*on_connection)(struct acceptor *a, int fd); /* fd: non-blocking, the callee's */
};

/* `fd` becomes the acceptor's. on_connection must be set. */
int acceptor_open(struct acceptor *a, struct loop *loop, int fd, struct err *e);
void acceptor_close(struct acceptor *a);

#endif
