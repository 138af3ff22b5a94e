/*
 * The Lambda API: finds the operation, reads and checks what every operation needs, and calls it. What goes wrong on the
 * way is a fault, answered in one place.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "invoker.h"
#include "json.h"
#include "lambda.h"

static const struct lambda_route routes[] = {
#define ROUTE(method, pattern, operation, body, input, serve) {method, pattern, operation, body, input, serve},
#define MISSING(method, pattern, operation) {method, pattern, operation, LAMBDA_NO_BODY, LAMBDA_IN_NONE, NULL},
#include "lambda_route.def"
#undef ROUTE
#undef MISSING
};

/* --- finding the operation ---------------------------------------------------------------------------------------- */

/* Compares a path with a pattern; *ret_argument is what stands for the first {}. Old SDKs put a "/" behind. */
static bool match(const char *pattern, const char *path, const char **ret_argument, size_t *ret_size)
{
    *ret_argument = NULL;
    while (*pattern) {
        size_t n = strcspn(path, "/");

        if (*pattern != '{') {
            if (*pattern++ != *path++)
                return false;
            continue;
        }
        if (n == 0)
            return false;
        if (!*ret_argument) {
            *ret_argument = path;
            *ret_size = n;
        }
        path += n;
        pattern = strchr(pattern, '}') + 1;
    }
    return *path == '\0' || strcmp(path, "/") == 0;
}

/* What can't be decoded (a NUL, a lone %) stays as it was sent: no name has a %, and so the answer can show it. */
static char *decode(const char *text, size_t size)
{
    char *decoded = malloc(size + 1);

    if (decoded && http_unescape(text, size, decoded, size + 1))
        return decoded;
    free(decoded);
    return strndup(text, size);
}

static void find_route(struct lambda_call *c, const struct http_request *r)
{
    for (unsigned i = 0; i < ARRAY_LEN(routes) && !c->route; i++) {
        const char *argument;
        size_t size = 0;

        if (strcmp(routes[i].method, r->method) != 0 || !match(routes[i].pattern, r->path, &argument, &size))
            continue;
        c->route = &routes[i];
        c->argument = argument ? decode(argument, size) : NULL;
    }
}

/* --- the body ----------------------------------------------------------------------------------------------------- */

static int on_data(struct http_request *r, const char *data, size_t size)
{
    struct lambda_call *c = r->user;

    return upload_feed(c->upload, data, size);
}

static bool is_event_type(const struct http_request *r)
{
    const char *type = http_header(r, "X-Amz-Invocation-Type");

    return type && strcmp(type, "Event") == 0;
}

static void expect_body(struct lambda_call *c)
{
    struct http_request *r = c->request;

    switch (c->route->body) {
    case LAMBDA_NO_BODY:
        break;
    case LAMBDA_JSON:
        r->body_cap = LAMBDA_JSON_MAX;
        break;
    case LAMBDA_CODE:
        c->upload = upload_create(c->manager->packages, c->route->input == LAMBDA_IN_CREATE ? "Code" : NULL,
                                  LAMBDA_REQUEST_MAX, LAMBDA_JSON_MAX);
        r->on_data = c->upload ? on_data : NULL;
        break;
    case LAMBDA_EVENT:
        r->body_cap = is_event_type(r) ? INVOKE_EVENT_MAX : INVOKE_PAYLOAD_MAX;
        break;
    }
}

static int refuse_size(struct lambda_call *c)
{
    const char *length = http_header(c->request, "Content-Length");

    if (c->route->body != LAMBDA_EVENT)
        return fault_set(&c->fault, FAULT_ENTITY_TOO_LARGE,
                         "Request must be smaller than %llu bytes for the %s operation",
                         (unsigned long long)LAMBDA_REQUEST_MAX, c->route->operation);
    if (is_event_type(c->request))
        return fault_set(&c->fault, FAULT_ENTITY_TOO_LARGE,
                         "%s byte payload is too large for the Event invocation type (limit %zu bytes)",
                         length ? length : "The", INVOKE_EVENT_MAX);
    return fault_set(&c->fault, FAULT_REQUEST_TOO_LARGE,
                     "Request must be smaller than %zu bytes for the InvokeFunction operation", INVOKE_PAYLOAD_MAX);
}

static int parse_body(struct lambda_call *c)
{
    const struct buf *text = c->upload ? upload_json(c->upload) : &c->request->body;
    struct json_error error;

    if (c->route->body == LAMBDA_CODE && !c->upload)
        return fault_set(&c->fault, FAULT_SERVICE, "no memory");
    c->input = text->used ? json_parse(text->data, text->used, &error) : cJSON_CreateObject();
    if (!c->input)
        return fault_set(&c->fault, FAULT_SERIALIZATION,
                         "Could not parse request body into json: %s at line %u, column %u", error.what, error.line,
                         error.column);
    return lambda_check_input(c);
}

/* --- service ------------------------------------------------------------------------------------------------------ */

static int serve(struct lambda_call *c)
{
    const struct lambda_route *route = c->route;

    if (!route)
        return fault_set(&c->fault, FAULT_UNKNOWN_OPERATION, "Unknown operation: %s %s", c->request->method,
                         c->request->path);
    if (!route->serve)
        return fault_set(&c->fault, FAULT_NOT_IMPLEMENTED, "fnrun does not implement the operation %s yet.",
                         route->operation);
    if (c->request->body_too_large)
        return refuse_size(c);
    /* The operations that change a function's code or configuration have the narrower grammar. */
    if (strstr(route->pattern, "{F}") && lambda_parse_name(c, c->argument, route->input == LAMBDA_IN_NONE) < 0)
        return -1;
    if (route->input != LAMBDA_IN_NONE && parse_body(c) < 0)
        return -1;
    return route->serve(c);
}

static void free_call(struct http_request *r)
{
    struct lambda_call *c = r->user;

    upload_free(c->upload);
    cJSON_Delete(c->input);
    buf_free(&c->fault.text);
    free(c->argument);
    free(c);
}

static void on_headers(struct http_request *r)
{
    struct lambda_call *c = calloc(1, sizeof(*c));

    if (!c) {
        http_answer(r, 500, "", 0);
        return;
    }
    *c = (struct lambda_call){.request = r, .manager = r->server_ctx};
    list_init(&c->changing);
    invoke_make_request_id(c->request_id);
    r->user = c;
    r->on_free = free_call;
    find_route(c, r);
    if (c->route)
        expect_body(c);
}

static void on_request(struct http_request *r)
{
    struct lambda_call *c = r->user;

    if (serve(c) < 0)
        lambda_answer_fault(c);
}

void lambda_answer_fault(struct lambda_call *c)
{
    http_set_header(c->request, "x-amzn-RequestId", c->request_id);
    fault_answer(c->request, &c->fault);
}

void lambda_answer_json(struct lambda_call *c, unsigned status, cJSON *body)
{
    struct buf text = {0};
    struct err e;

    if (json_print(body, &text, &e) < 0) {
        fault_set_err(&c->fault, &e);
        lambda_answer_fault(c);
    } else {
        http_set_header(c->request, "x-amzn-RequestId", c->request_id);
        http_set_header(c->request, "Content-Type", "application/json");
        http_answer_buf(c->request, status, &text);
    }
    buf_free(&text);
    cJSON_Delete(body);
}

const struct http_handlers lambda_service = {.on_headers = on_headers, .on_request = on_request};
