#include "http.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../sandbox/base/fd.h"
#include "../sandbox/base/log.h"

/* Enough for a runtime's error report in a header: X-Ray causes reach tens of kilobytes. */
#define CONNECTION_MEMORY ((size_t)128 * 1024)
#define CONNECTIONS_MAX 16384U
/* A client that sends nothing for so long is dropped; one that waits for its answer is not counted. */
#define CONNECTION_TIMEOUT_S 120U

struct adopted {
    void *ctx;
    void (*on_close)(void *ctx);
};

struct http_server {
    struct loop *loop;
    struct MHD_Daemon *daemon;
    struct loop_io io;
    struct loop_timer timer;
    struct loop_later later;
    const struct http_handlers *handlers;
    void *ctx;
    struct adopted *adopting; /* set during http_adopt: the connection that MHD is about to report */
};

/* Lets libmicrohttpd work on whatever is ready, and arranges the next call. */
static void run_daemon(struct http_server *s)
{
    MHD_UNSIGNED_LONG_LONG timeout;

    MHD_run(s->daemon);
    if (MHD_get_timeout(s->daemon, &timeout) != MHD_YES)
        loop_timer_clear(s->loop, &s->timer);
    else if (timeout == 0)
        loop_later(s->loop, &s->later);
    else
        loop_timer_set(s->loop, &s->timer, clock_now() + (nsec_t)timeout * NSEC_PER_MSEC);
}

static void on_ready(struct loop_io *io, UNUSED uint32_t events)
{
    run_daemon(container_of(io, struct http_server, io));
}

static void on_timer(struct loop_timer *t)
{
    run_daemon(container_of(t, struct http_server, timer));
}

static void on_later(struct loop_later *l)
{
    run_daemon(container_of(l, struct http_server, later));
}

/* --- a request's beginning and end --------------------------------------------------------------------------- */

static void *on_uri(void *cls, const char *uri, struct MHD_Connection *connection)
{
    struct http_server *s = cls;
    struct http_request *r = calloc(1, sizeof(*r));
    const union MHD_ConnectionInfo *info;

    if (!r)
        return NULL;
    r->server = s;
    r->connection = connection;
    r->server_ctx = s->ctx;
    r->handlers = s->handlers;
    r->path = strndup(uri, strcspn(uri, "?"));
    info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    if (info && info->socket_context)
        r->connection_ctx = ((struct adopted *)info->socket_context)->ctx;
    return r;
}

static void on_completed(UNUSED void *cls, UNUSED struct MHD_Connection *c, void **con_cls,
                         UNUSED enum MHD_RequestTerminationCode code)
{
    struct http_request *r = *con_cls;

    if (!r)
        return;
    *con_cls = NULL;
    if (r->on_free)
        r->on_free(r);
    if (r->response)
        MHD_destroy_response(r->response);
    buf_free(&r->body);
    buf_free(&r->headers);
    free(r->path);
    free(r);
}

static void on_connection(void *cls, UNUSED struct MHD_Connection *c, void **socket_ctx,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http_server *s = cls;
    struct adopted *a = *socket_ctx;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *socket_ctx = take_ptr(&s->adopting);
    } else if (a) {
        *socket_ctx = NULL;
        a->on_close(a->ctx);
        free(a);
    }
}

static void take_data(struct http_request *r, const char *data, size_t size)
{
    struct err e;

    if (r->body_too_large || r->answered)
        return;
    if (r->on_data) {
        r->body_too_large = r->on_data(r, data, size) < 0;
        return;
    }
    if (size > r->body_cap - r->body.used || buf_add(&r->body, data, size, &e) < 0)
        r->body_too_large = true;
}

static enum MHD_Result queue_response(struct http_request *r)
{
    return MHD_queue_response(r->connection, r->status, r->response);
}

/* Calls a handler; where it has not answered, the connection sleeps until http_answer. */
static enum MHD_Result call_handler(struct http_request *r, void (*handler)(struct http_request *), bool may_wait)
{
    handler(r);
    if (r->answered)
        return queue_response(r);
    if (may_wait) {
        r->suspended = true;
        MHD_suspend_connection(r->connection);
    }
    return MHD_YES;
}

static enum MHD_Result on_access(UNUSED void *cls, UNUSED struct MHD_Connection *c, UNUSED const char *url,
                                 const char *method, const char *version, const char *data, size_t *data_size,
                                 void **con_cls)
{
    struct http_request *r = *con_cls;

    if (!r || !r->path)
        return MHD_NO;
    if (!r->begun) {
        r->begun = true;
        r->method = method;
        r->version = version;
        return call_handler(r, r->handlers->on_headers, false);
    }
    if (*data_size > 0) {
        take_data(r, data, *data_size);
        *data_size = 0;
        return MHD_YES;
    }
    if (r->answered)
        return queue_response(r);
    r->complete = true;
    return call_handler(r, r->handlers->on_request, true);
}

/* --- server ---------------------------------------------------------------------------------------------------- */

static void on_mhd_log(UNUSED void *cls, const char *fmt, va_list ap)
{
    char text[300];

    vsnprintf(text, sizeof(text), fmt, ap);
    text[strcspn(text, "\r\n")] = '\0';
    log_debug("http: %s", text);
}

static struct MHD_Daemon *start_daemon(struct http_server *s, int listen_fd)
{
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    struct MHD_OptionItem listen[] = {{MHD_OPTION_LISTEN_SOCKET, listen_fd, NULL}, {MHD_OPTION_END, 0, NULL}};
    unsigned timeout = listen_fd < 0 ? 0 : CONNECTION_TIMEOUT_S;

    if (listen_fd < 0) {
        flags |= MHD_USE_NO_LISTEN_SOCKET;
        listen[0] = listen[1];
    }
    return MHD_start_daemon(flags, 0, NULL, NULL, on_access, s, MHD_OPTION_ARRAY, listen, MHD_OPTION_EXTERNAL_LOGGER,
                            on_mhd_log, NULL, MHD_OPTION_URI_LOG_CALLBACK, on_uri, s, MHD_OPTION_NOTIFY_COMPLETED,
                            on_completed, s, MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, MHD_OPTION_CONNECTION_LIMIT,
                            CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, timeout, MHD_OPTION_END);
}

int http_create(struct loop *loop, int listen_fd, const struct http_handlers *handlers, void *server_ctx,
                struct http_server **ret, struct err *e)
{
    struct http_server *s = calloc(1, sizeof(*s));
    const union MHD_DaemonInfo *info;

    if (!s)
        return err_set(e, ENOMEM, "http server: no memory");
    *s = (struct http_server){.loop = loop,
                              .handlers = handlers,
                              .ctx = server_ctx,
                              .timer.on_due = on_timer,
                              .later.run = on_later,
                              .io.on_ready = on_ready};
    s->daemon = start_daemon(s, listen_fd);
    info = s->daemon ? MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (!info) {
        free(s);
        return err_set(e, EIO, "http server: libmicrohttpd did not start");
    }
    s->io.fd = info->epoll_fd;
    if (loop_io_add(loop, &s->io, EPOLLIN, e) < 0) {
        http_destroy(s);
        return err_wrap(e, "http server");
    }
    *ret = s;
    return 0;
}

void http_destroy(struct http_server *s)
{
    loop_io_remove(s->loop, &s->io);
    loop_timer_clear(s->loop, &s->timer);
    MHD_stop_daemon(s->daemon);
    free(s);
}

int http_adopt(struct http_server *s, int fd, void *connection_ctx, void (*on_close)(void *), struct err *e)
{
    struct sockaddr_storage addr = {0};
    socklen_t size = sizeof(addr);
    struct adopted *a = calloc(1, sizeof(*a));

    if (!a || getpeername(fd, (struct sockaddr *)&addr, &size) < 0) {
        err_errno(e, "adopt connection");
        close(fd);
        free(a);
        on_close(connection_ctx);
        return -e->code;
    }
    *a = (struct adopted){.ctx = connection_ctx, .on_close = on_close};
    s->adopting = a;
    /* libmicrohttpd closes fd where it fails. */
    if (MHD_add_connection(s->daemon, fd, (struct sockaddr *)&addr, size) != MHD_YES && s->adopting) {
        free(take_ptr(&s->adopting));
        on_close(connection_ctx);
        return err_set(e, ENOMEM, "adopt connection: refused by the HTTP library");
    }
    loop_later(s->loop, &s->later);
    return 0;
}

/* --- what handlers ask ------------------------------------------------------------------------------------------ */

const char *http_header(const struct http_request *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

const char *http_trailer(const struct http_request *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_FOOTER_KIND, name);
}

const char *http_query(const struct http_request *r, const char *name)
{
    const char *value = NULL;
    size_t size;

    if (MHD_lookup_connection_value_n(r->connection, MHD_GET_ARGUMENT_KIND, name, strlen(name), &value, &size) !=
        MHD_YES)
        return NULL;
    return value ? value : "";
}

struct header_walk {
    void (*each)(void *ctx, const char *name, const char *value);
    void *ctx;
};

static enum MHD_Result on_header(void *cls, UNUSED enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct header_walk *w = cls;

    w->each(w->ctx, name, value ? value : "");
    return MHD_YES;
}

void http_each_header(const struct http_request *r, void (*each)(void *, const char *, const char *), void *ctx)
{
    struct header_walk w = {.each = each, .ctx = ctx};

    MHD_get_connection_values(r->connection, MHD_HEADER_KIND, on_header, &w);
}

int http_socket(const struct http_request *r)
{
    return MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}

void http_peer(const struct http_request *r, char *ret, size_t size)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    socklen_t length;

    snprintf(ret, size, "-");
    if (!info || !info->client_addr)
        return;
    length = info->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    getnameinfo(info->client_addr, length, ret, (socklen_t)size, NULL, 0, NI_NUMERICHOST);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool http_unescape(const char *s, size_t length, char *ret, size_t size)
{
    size_t used = 0;

    for (size_t i = 0; i < length; i++) {
        int c = (unsigned char)s[i];

        if (c == '%') {
            int high = length - i > 2 ? hex_value(s[i + 1]) : -1;
            int low = high >= 0 ? hex_value(s[i + 2]) : -1;

            if (low < 0)
                return false;
            c = high * 16 + low;
            i += 2;
        }
        if (c == 0 || used + 1 >= size)
            return false;
        ret[used++] = (char)c;
    }
    if (used >= size)
        return false;
    ret[used] = '\0';
    return true;
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

void http_set_header(struct http_request *r, const char *name, const char *value)
{
    struct err e;
    size_t start;

    if (buf_add(&r->headers, name, strlen(name) + 1, &e) < 0)
        return;
    start = r->headers.used;
    if (buf_add(&r->headers, value, strlen(value) + 1, &e) < 0)
        return;
    for (char *p = r->headers.data + start; *p; p++)
        if (*p == '\r' || *p == '\n')
            *p = ' ';
}

void http_set_headerf(struct http_request *r, const char *name, const char *fmt, ...)
{
    char value[4096];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(value, sizeof(value), fmt, ap);
    va_end(ap);
    http_set_header(r, name, value);
}

static void add_headers(struct http_request *r)
{
    const char *p = r->headers.data, *end = p + r->headers.used;

    while (p && p < end) {
        const char *value = p + strlen(p) + 1;

        if (MHD_add_response_header(r->response, p, value) != MHD_YES)
            log_debug("http: header %s left out", p);
        p = value + strlen(value) + 1;
    }
}

/* The end of all answers: queues the response at once where MHD waits in a callback, wakes the connection otherwise. */
static void send_response(struct http_request *r, unsigned status, struct MHD_Response *response)
{
    if (r->answered) {
        log_error("http: %s %s answered twice", r->method, r->path);
        if (response)
            MHD_destroy_response(response);
        return;
    }
    if (!response) {
        response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
        status = 500;
    }
    r->response = response;
    r->status = status;
    r->answered = true;
    add_headers(r);
    if (r->suspended) {
        r->suspended = false;
        MHD_resume_connection(r->connection);
        loop_later(r->server->loop, &r->server->later);
    }
}

void http_answer(struct http_request *r, unsigned status, const void *data, size_t size)
{
    send_response(r, status, MHD_create_response_from_buffer(size, (void *)data, MHD_RESPMEM_MUST_COPY));
}

void http_answer_str(struct http_request *r, unsigned status, const char *content_type, const char *text)
{
    http_set_header(r, "Content-Type", content_type);
    http_answer(r, status, text, strlen(text));
}

void http_answer_buf(struct http_request *r, unsigned status, struct buf *b)
{
    char *data = take_ptr(&b->data);
    size_t size = b->used;

    b->used = b->size = 0;
    send_response(r, status, MHD_create_response_from_buffer(size, data, MHD_RESPMEM_MUST_FREE));
}

void http_answer_file(struct http_request *r, unsigned status, int fd, uint64_t offset, uint64_t size)
{
    struct MHD_Response *response = MHD_create_response_from_fd_at_offset64(size, fd, offset);

    if (!response)
        close(fd);
    send_response(r, status, response);
}

/* libmicrohttpd sends no body to HEAD but takes Content-Length from the response, which therefore claims one. */
static ssize_t no_content(UNUSED void *cls, UNUSED uint64_t pos, UNUSED char *buf, UNUSED size_t max)
{
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

void http_answer_head(struct http_request *r, unsigned status, uint64_t size)
{
    send_response(r, status, MHD_create_response_from_callback(size, 1024, no_content, NULL, NULL));
}
