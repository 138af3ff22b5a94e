#include "acceptor.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../sandbox/base/fd.h"
#include "../sandbox/base/log.h"

/* A function that connects without end must leave the loop to others. */
#define ACCEPTS_PER_ROUND 16

static void on_ready(struct loop_io *io, UNUSED uint32_t events)
{
    struct acceptor *a = container_of(io, struct acceptor, io);

    for (int i = 0; i < ACCEPTS_PER_ROUND && io->fd >= 0; i++) {
        int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (fd < 0 && errno != EAGAIN)
            log_warn("accept in a sandbox: %s", strerror(errno));
        if (fd < 0)
            return;
        if (*a->refs > ACCEPTOR_CONNECTIONS)
            close(fd);
        else
            a->on_connection(a, fd);
    }
}

int acceptor_open(struct acceptor *a, struct loop *loop, int fd, struct err *e)
{
    a->loop = loop;
    a->io = (struct loop_io){.fd = fd, .on_ready = on_ready};
    if (fd_set_nonblock(fd, e) < 0)
        return -e->code;
    return loop_io_add(loop, &a->io, EPOLLIN, e);
}

void acceptor_close(struct acceptor *a)
{
    if (a->io.fd < 0)
        return;
    loop_io_remove(a->loop, &a->io);
    fd_close(&a->io.fd);
}
