#include "sandbox_endpoint.h"

#include "../sandbox/base/log.h"
#include "instance.h"

static void on_close(UNUSED void *ctx)
{
}

static void on_connection(struct acceptor *a, int fd)
{
    struct instance *i = container_of(a, struct instance, endpoint);
    struct err e;

    if (http_adopt(i->m->endpoint, fd, NULL, on_close, &e) < 0)
        log_warn("endpoint of %s: %s", i->f->name, e.msg);
}

int sandbox_endpoint_open(struct instance *i, int listen_fd, struct err *e)
{
    i->endpoint.on_connection = on_connection;
    return acceptor_open(&i->endpoint, i->m->loop, listen_fd, e);
}

void sandbox_endpoint_close(struct instance *i)
{
    acceptor_close(&i->endpoint);
}

int sandbox_endpoint_start(struct manager *m, struct err *e)
{
    return http_create(m->loop, -1, &route_handlers, m, &m->endpoint, e);
}
