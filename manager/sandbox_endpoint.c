#include "sandbox_endpoint.h"

#include <errno.h>
#include <stdlib.h>

#include "../sandbox/base/log.h"
#include "acceptor.h"
#include "instance.h"

/* Outlives its instance while the HTTP library still knows a connection. */
struct sandbox_endpoint {
    unsigned refs;
    struct instance *i; /* while the acceptor is open */
    struct acceptor acceptor;
};

static void unref(void *ctx)
{
    struct sandbox_endpoint *end = ctx;

    if (--end->refs == 0)
        free(end);
}

static void on_connection(struct acceptor *a, int fd)
{
    struct sandbox_endpoint *end = container_of(a, struct sandbox_endpoint, acceptor);
    struct err e;

    end->refs++;
    if (http_adopt(end->i->m->endpoint, fd, end, unref, &e) < 0)
        log_warn("endpoint of %s: %s", end->i->f->name, e.msg);
}

int sandbox_endpoint_open(struct instance *i, int listen_fd, struct err *e)
{
    struct sandbox_endpoint *end = calloc(1, sizeof(*end));

    if (!end)
        return err_set(e, ENOMEM, "endpoint: no memory");
    *end = (struct sandbox_endpoint){.refs = 1, .i = i, .acceptor.on_connection = on_connection};
    end->acceptor.refs = &end->refs;
    i->endpoint = end;
    return acceptor_open(&end->acceptor, i->m->loop, listen_fd, e);
}

void sandbox_endpoint_close(struct instance *i)
{
    struct sandbox_endpoint *end = take_ptr(&i->endpoint);

    if (!end)
        return;
    acceptor_close(&end->acceptor);
    unref(end);
}

int sandbox_endpoint_start(struct manager *m, struct err *e)
{
    return http_create(m->loop, -1, &route_handlers, m, &m->endpoint, e);
}
