/*
 * HTTP server of fnrund: libmicrohttpd inside our event loop. One struct http_server answers the AWS API on the
 * listening socket; a second one, without a listening socket, serves connections that the manager accepted inside
 * sandboxes (the Runtime API).
 *
 * Life of a request: `on_headers` (the body has not come yet: choose its cap or a sink, or answer at once), then the
 * body goes into `body` or to `on_data`, then `on_request`. Every request is answered exactly once, inside those
 * calls or at any later time (the connection waits meanwhile), and is freed after the answer was sent or lost.
 */
#ifndef FNRUN_HTTP_H
#define FNRUN_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "../sandbox/base/buf.h"
#include "../sandbox/base/loop.h"

struct http_server;
struct http_request;
struct MHD_Connection;
struct MHD_Response;

struct http_handlers {
    void (*on_headers)(struct http_request *r);
    void (*on_request)(struct http_request *r);
};

struct http_request {
    /* For the handlers to read. */
    const char *method, *version; /* "GET", "HTTP/1.1" */
    char *path;                   /* as the client sent it, percent-encoded, without the query string */
    struct buf body;
    bool body_too_large;  /* more than body.cap came (the rest was thrown away): answer with an error */
    void *connection_ctx; /* what http_adopt was given; NULL for API connections */
    void *server_ctx;     /* what http_create was given */

    /* For on_headers to set. */
    uint64_t body_cap; /* bytes that `body` may take; 0 means none. Default 0. */
    /* Takes the body piece by piece instead of `body`. Returns negative to fail: the rest is thrown away. */
    int (*on_data)(struct http_request *r, const char *data, size_t size);
    const struct http_handlers *handlers;    /* a router replaces its own by the service's */
    void *user;                              /* the handler's own */
    void (*on_free)(struct http_request *r); /* called once when the request ends; frees `user` */

    /* http.c's own. */
    struct http_server *server;
    struct MHD_Connection *connection;
    struct MHD_Response *response;
    struct buf headers; /* "Name\0value\0" ... for the response */
    unsigned status;
    bool begun, complete, suspended, answered;
};

/* `listen_fd` is a listening socket that becomes the server's, or -1. Blocks never. */
int http_create(struct loop *loop, int listen_fd, const struct http_handlers *handlers, void *server_ctx,
                struct http_server **ret, struct err *e);

/* Serves one accepted connection; `fd` becomes the server's in every case. `connection_ctx` must live until
 * `on_close` was called with it (also where this function fails). */
int http_adopt(struct http_server *s, int fd, void *connection_ctx, void (*on_close)(void *connection_ctx),
               struct err *e);

/* Shuts a server down: no new connections. Requests under way are lost. */
void http_destroy(struct http_server *s);

/* A request header, trailer or (decoded) query argument; NULL if absent, "" for an argument without value. Valid
 * until the request ends. Header names are compared without case. */
const char *http_header(const struct http_request *r, const char *name);
const char *http_trailer(const struct http_request *r, const char *name);
const char *http_query(const struct http_request *r, const char *name);

/* Calls `each` for every request header, for copying x-amz-meta-* and the like. */
void http_each_header(const struct http_request *r, void (*each)(void *ctx, const char *name, const char *value),
                      void *ctx);

/* The connection's descriptor, which stays the server's. */
int http_socket(const struct http_request *r);

/* The address of the client as text, "-" if unknown. */
void http_peer(const struct http_request *r, char *ret, size_t size);

/* Decodes %XX of a path or a part of it into `ret`. False if it is malformed, contains a NUL, or doesn't fit. */
bool http_unescape(const char *s, size_t length, char *ret, size_t size);

/* Adds a header to the answer; before http_answer*. CR and LF in the value are replaced by spaces. */
void http_set_header(struct http_request *r, const char *name, const char *value);
void http_set_headerf(struct http_request *r, const char *name, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Answers; the data is copied. */
void http_answer(struct http_request *r, unsigned status, const void *data, size_t size);
/* Answers with a string. */
void http_answer_str(struct http_request *r, unsigned status, const char *content_type, const char *text);
/* Answers and takes over the memory of `b`, which is empty afterwards. */
void http_answer_buf(struct http_request *r, unsigned status, struct buf *b);
/* Answers with `size` bytes of a file from `offset`; `fd` becomes the request's. */
void http_answer_file(struct http_request *r, unsigned status, int fd, uint64_t offset, uint64_t size);
/* Answers a HEAD-like request: Content-Length `size`, no body. */
void http_answer_head(struct http_request *r, unsigned status, uint64_t size);

#endif
