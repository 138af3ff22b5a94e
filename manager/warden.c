#include "warden.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "../sandbox/base/log.h"

/* More than this in one round would keep requests waiting. */
#define MESSAGES_PER_ROUND 64

struct warden {
    struct loop *loop;
    struct loop_io io;
    const struct warden_handlers *handlers;
    void *ctx;
};

union message {
    struct proto_header header;
    struct proto_created created;
    struct proto_failed failed;
    struct proto_exited exited;
};

static void dispatch(struct warden *w, union message *m, size_t size, struct msg_fds *fds)
{
    if (size == sizeof(m->created) && m->header.kind == PROTO_CREATED) {
        w->handlers->on_created(w->ctx, &m->created, fds);
    } else if (size == sizeof(m->created) && m->header.kind == PROTO_ARMED) {
        w->handlers->on_armed(w->ctx, &m->created, fds);
    } else if (size == sizeof(m->failed) && m->header.kind == PROTO_DUMPED) {
        m->failed.text[sizeof(m->failed.text) - 1] = '\0';
        w->handlers->on_dumped(w->ctx, &m->failed);
    } else if (size == sizeof(m->failed) && m->header.kind == PROTO_FAILED) {
        m->failed.text[sizeof(m->failed.text) - 1] = '\0';
        w->handlers->on_failed(w->ctx, &m->failed);
    } else if (size == sizeof(m->exited) && m->header.kind == PROTO_EXITED) {
        w->handlers->on_exited(w->ctx, &m->exited);
    } else {
        log_error("warden: message of kind %u with %zu bytes: the programs are not from one build", m->header.kind,
                  size);
    }
}

/* Receives one message; false when there is none left or the warden is gone. */
static bool receive(struct warden *w)
{
    auto_msg_fds struct msg_fds fds = {.count = 0};
    union message m = {0};
    struct err e;
    ssize_t n = msg_recv(w->io.fd, &m, sizeof(m), &fds, &e);

    if (n == -EAGAIN)
        return false;
    if (n <= 0) {
        log_error("warden: %s; stopping", n == 0 ? "closed the connection" : e.msg);
        loop_io_remove(w->loop, &w->io);
        loop_stop(w->loop);
        return false;
    }
    dispatch(w, &m, (size_t)n, &fds);
    return true;
}

static void on_ready(struct loop_io *io, UNUSED uint32_t events)
{
    struct warden *w = container_of(io, struct warden, io);

    for (int i = 0; i < MESSAGES_PER_ROUND && receive(w); i++)
        ;
}

int warden_open(struct loop *loop, int fd, const struct warden_handlers *handlers, void *ctx, struct warden **ret,
                struct err *e)
{
    struct warden *w = calloc(1, sizeof(*w));

    if (!w)
        return err_set(e, ENOMEM, "warden: no memory");
    *w = (struct warden){.loop = loop, .handlers = handlers, .ctx = ctx, .io = {.fd = fd, .on_ready = on_ready}};
    if (fd_set_nonblock(fd, e) < 0 || loop_io_add(loop, &w->io, EPOLLIN, e) < 0) {
        free(w);
        return err_wrap(e, "warden");
    }
    *ret = w;
    return 0;
}

int warden_create_sandbox(struct warden *w, struct proto_create *m, const char *strings, struct err *e)
{
    char bytes[sizeof(*m) + PROTO_STRINGS_MAX];

    if (m->strings_bytes > PROTO_STRINGS_MAX)
        return err_set(e, E2BIG, "arguments and environment are %u bytes, %d are possible", m->strings_bytes,
                       PROTO_STRINGS_MAX);
    /* The warden kills a manager that sends what can't be. */
    if (m->argc > PROTO_ARGV_MAX || m->envc > PROTO_ENV_MAX)
        return err_set(e, E2BIG, "%u arguments and %u variables, %d and %d are possible", m->argc, m->envc,
                       PROTO_ARGV_MAX, PROTO_ENV_MAX);
    m->header.version = PROTO_VERSION;
    m->header.kind = PROTO_CREATE;
    memcpy(bytes, m, sizeof(*m));
    memcpy(bytes + sizeof(*m), strings, m->strings_bytes);
    return msg_send(w->io.fd, bytes, sizeof(*m) + m->strings_bytes, NULL, e);
}

static void send_message(struct warden *w, const void *m, size_t size, const struct msg_fds *fds)
{
    struct err e;

    struct pollfd writable = {.fd = w->io.fd, .events = POLLOUT};

    /* A lost KILL would leave a function running, so a full queue waits for the warden, which always drains it. */
    while (msg_send(w->io.fd, m, size, fds, &e) == -EAGAIN)
        poll(&writable, 1, -1);
}

static void send_small(struct warden *w, const void *m, size_t size)
{
    send_message(w, m, size, NULL);
}

void warden_kill(struct warden *w, uint64_t sandbox)
{
    struct proto_header m = {.version = PROTO_VERSION, .kind = PROTO_KILL, .sandbox = sandbox};

    send_small(w, &m, sizeof(m));
}

void warden_lease(struct warden *w, uint64_t sandbox, uint32_t lease_ms)
{
    struct proto_number m = {{PROTO_VERSION, PROTO_LEASE, sandbox}, lease_ms};

    send_small(w, &m, sizeof(m));
}

void warden_restore(struct warden *w, uint64_t sandbox, uint32_t lease_ms)
{
    struct proto_number m = {{PROTO_VERSION, PROTO_RESTORE, sandbox}, lease_ms};

    send_small(w, &m, sizeof(m));
}

void warden_dump(struct warden *w, uint64_t sandbox, const char *snapshot, int connection, const struct buf *request)
{
    struct msg_fds fds = {.fd = {connection}, .count = connection >= 0};
    struct proto_dump m = {.header = {PROTO_VERSION, PROTO_DUMP, sandbox}, .request_bytes = (uint32_t)request->used};
    char bytes[sizeof(m) + PROTO_REQUEST_MAX];

    snprintf(m.id, sizeof(m.id), "%s", snapshot);
    memcpy(mempcpy(bytes, &m, sizeof(m)), buf_str(request), request->used);
    send_message(w, bytes, sizeof(m) + request->used, &fds);
}

void warden_drop_snapshot(struct warden *w, const char *snapshot)
{
    struct proto_dump m = {.header = {PROTO_VERSION, PROTO_DROP, 0}};

    snprintf(m.id, sizeof(m.id), "%s", snapshot);
    send_small(w, &m, sizeof(m));
}

void warden_cpu(struct warden *w, uint64_t sandbox, uint32_t cpu_millis)
{
    struct proto_number m = {{PROTO_VERSION, PROTO_CPU, sandbox}, cpu_millis};

    send_small(w, &m, sizeof(m));
}
