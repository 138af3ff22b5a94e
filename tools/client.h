/*
 * One HTTP client: a libcurl handle whose connection stays open between requests. May block until the server has
 * answered; there is no time limit, as an invocation may take 15 minutes, only one for connecting.
 */
#ifndef FNRUN_CLIENT_H
#define FNRUN_CLIENT_H

#include <curl/curl.h>

#include "../sandbox/base/buf.h"

struct request {
    const char *method;
    const char *path;    /* with query string, percent-encoded */
    const char *service; /* signs for this AWS service; NULL: not signed */
    const char *type;    /* of the body; NULL: application/json */
    const void *body;    /* must live until the answer is there */
    size_t size;
    const char *const *headers; /* "Name: value", NULL-terminated; or NULL */
    long timeout_ms;            /* for all of it; 0: none */
};

struct client {
    /* The answer, until the next request. */
    long status;
    struct buf body;

    /* client.c's own; bench drives `curl` itself to have several requests under way. */
    CURL *curl;
    struct curl_slist *headers;
    char *endpoint;
    char error[CURL_ERROR_SIZE];
};

/* What a request that could not be sent or got no answer fails with. */
#define CLIENT_UNREACHABLE ECONNREFUSED

/* `endpoint` is a URL such as http://127.0.0.1:4566. */
int client_create(const char *endpoint, struct client **ret, struct err *e);
void client_free(struct client *c);

/* Sets everything up for one request; client_perform sends it, as often as it is called. */
int client_prepare(struct client *c, const struct request *r, struct err *e);
int client_perform(struct client *c, struct err *e);
/* What client_perform does before and after the transfer, for who runs the transfer himself. */
void client_begin(struct client *c);
int client_end(struct client *c, CURLcode code, struct err *e);

/* A header of the answer, NULL if it isn't there. */
const char *client_header(const struct client *c, const char *name);
/* The same as a number; `fallback` if it isn't there. */
long long client_header_number(const struct client *c, const char *name, long long fallback);

#endif
