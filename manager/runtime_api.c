#include "runtime_api.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../sandbox/base/fd.h"
#include "../sandbox/base/log.h"
#include "acceptor.h"
#include "invoker.h"

#define PREFIX "/2018-06-01/runtime/"

/* Outlives its instance while the HTTP library still knows a connection. */
struct runtime_api {
    unsigned refs;
    struct instance *i; /* NULL when the instance is gone */
    struct acceptor acceptor;
    struct http_request *waiting; /* GET next that has no answer yet */
    int kept;                     /* the restored runtime's connection, until that is there; -1 */
    bool resuming;                /* its request, which is from before the snapshot, comes next */
};

static void unref(void *ctx)
{
    struct runtime_api *api = ctx;

    if (--api->refs == 0)
        free(api);
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

static void answer_error(struct http_request *r, unsigned status, const char *type, const char *message)
{
    char text[300];

    snprintf(text, sizeof(text), "{\"errorMessage\":\"%s\",\"errorType\":\"%s\"}", message, type);
    http_answer_str(r, status, "application/json", text);
}

static void answer_accepted(struct http_request *r)
{
    http_answer_str(r, 202, "application/json", "{\"status\":\"OK\"}");
}

static void answer_wrong_state(struct http_request *r, const char *from, const char *to)
{
    char text[120];

    snprintf(text, sizeof(text),
             "State transition from %s to %s failed for runtime. Error: State transition is not "
             "allowed",
             from, to);
    answer_error(r, 403, "InvalidStateTransition", text);
}

static const char *state_name(const struct runtime_api *api)
{
    enum instance_state s = api->i->state;

    if (s == INSTANCE_INIT)
        return "Started";
    if (s == INSTANCE_BUSY)
        return "Running";
    return s == INSTANCE_RETURNING ? "ResponseSent" : "Ready";
}

/* --- the operations ------------------------------------------------------------------------------------------------ */

static void on_next(struct runtime_api *api, struct http_request *r)
{
    struct instance *i = api->i;

    if (api->waiting || i->f->runtime->channel ||
        (i->state != INSTANCE_INIT && i->state != INSTANCE_RETURNING && i->state != INSTANCE_RESTORING)) {
        answer_wrong_state(r, state_name(api), "Ready");
        return;
    }
    api->waiting = r;
    instance_on_ready(i);
}

/* Here a runtime says that it knows of snapshots: it is dumped while it waits, and makes itself new when the answer comes. AWS has
 * this for functions with SnapStart alone: AWS_LAMBDA_INITIALIZATION_TYPE says whether it is there. */
static void on_restore_next(struct runtime_api *api, struct http_request *r, bool resuming)
{
    struct instance *i = api->i;

    if (resuming) {
        http_answer(r, 200, "", 0);
    } else if (api->waiting || i->state != INSTANCE_INIT) {
        answer_wrong_state(r, state_name(api), "RestoreReady");
    } else {
        api->waiting = r;
        instance_on_ready(i);
    }
}

static void on_restore_error(struct runtime_api *api, struct http_request *r)
{
    const char *type = http_header(r, "Lambda-Runtime-Function-Error-Type");
    struct instance *i = api->i;

    if (i->state != INSTANCE_RESTORING || i->init_reported) {
        answer_wrong_state(r, state_name(api), "RestoreError");
        return;
    }
    answer_accepted(r);
    i->events->on_init_error(i, &r->body, type && *type ? type : "Runtime.Unknown");
}

static void deliver(struct runtime_api *api, struct http_request *r, const char *error_type)
{
    struct instance *i = api->i;

    instance_set_state(i, INSTANCE_RETURNING);
    i->events->on_response(i, &r->body, error_type);
    answer_accepted(r);
}

static void on_too_large(struct runtime_api *api, struct http_request *r)
{
    auto_buf struct buf error = {.data = NULL};
    struct err e;

    instance_set_state(api->i, INSTANCE_RETURNING);
    if (invoke_too_large_error(&error, &e) == 0)
        api->i->events->on_response(api->i, &error, "Function.ResponseSizeTooLarge");
    answer_error(r, 413, "RequestEntityTooLarge", "Exceeded maximum allowed payload size (6291556 bytes).");
}

/* POST invocation/ID/response and invocation/ID/error. `id_and_verb` is what follows "invocation/". */
static void on_result(struct runtime_api *api, struct http_request *r, const char *id_and_verb)
{
    const char *verb = strchr(id_and_verb, '/');
    const char *mode = http_header(r, "Lambda-Runtime-Function-Response-Mode");
    const char *type = http_header(r, "Lambda-Runtime-Function-Error-Type");
    struct instance *i = api->i;
    bool failed = strcmp(verb, "/error") == 0;
    const char *known = i->current ? i->current->request_id : i->last_id;

    if (strncmp(id_and_verb, known, (size_t)(verb - id_and_verb)) != 0 || strlen(known) != (size_t)(verb - id_and_verb))
        answer_error(r, 400, "InvalidRequestID", "Invalid request ID");
    else if (i->state != INSTANCE_BUSY || i->f->runtime->channel)
        answer_wrong_state(r, state_name(api), failed ? "InvocationErrorResponse" : "InvocationResponse");
    else if (!failed && mode && strcmp(mode, "streaming") != 0)
        answer_error(r, 400, "InvalidFunctionResponseMode", "Invalid function response mode");
    else if (r->body_too_large)
        on_too_large(api, r);
    else
        deliver(api, r, failed ? (type && *type ? type : "Unhandled") : NULL);
}

static void on_init_error(struct runtime_api *api, struct http_request *r)
{
    const char *type = http_header(r, "Lambda-Runtime-Function-Error-Type");
    struct instance *i = api->i;

    if (i->state != INSTANCE_INIT || i->init_reported) {
        answer_wrong_state(r, state_name(api), "InitError");
        return;
    }
    answer_accepted(r);
    i->events->on_init_error(i, &r->body, type && *type ? type : "Runtime.Unknown");
}

/* --- dispatch ------------------------------------------------------------------------------------------------------ */

static bool is_result_path(const char *rest)
{
    const char *slash;

    if (strncmp(rest, "invocation/", 11) != 0)
        return false;
    slash = strchr(rest + 11, '/');
    return slash && (strcmp(slash, "/response") == 0 || strcmp(slash, "/error") == 0);
}

static void dispatch(struct runtime_api *api, struct http_request *r, const char *rest)
{
    bool get = strcmp(r->method, "GET") == 0, post = strcmp(r->method, "POST") == 0, resuming = api->resuming;
    bool restores = api->i->role != INSTANCE_STARTS && !api->i->f->runtime->channel;
    bool restore_path = strcmp(rest, "restore/next") == 0 || strcmp(rest, "restore/error") == 0;

    api->resuming = false;
    if (strcmp(rest, "invocation/next") == 0 && get)
        on_next(api, r);
    else if (is_result_path(rest) && post)
        on_result(api, r, rest + 11);
    else if (strcmp(rest, "init/error") == 0 && post)
        on_init_error(api, r);
    else if (strcmp(rest, "restore/next") == 0 && get && restores)
        on_restore_next(api, r, resuming);
    else if (strcmp(rest, "restore/error") == 0 && post && restores)
        on_restore_error(api, r);
    else if (strcmp(rest, "invocation/next") == 0 || is_result_path(rest) || strcmp(rest, "init/error") == 0 ||
             (restore_path && restores))
        answer_error(r, 405, "MethodNotAllowed", "Method not allowed");
    else
        answer_error(r, 404, "NotFound", "No such resource in the Runtime API");
}

static void on_headers(struct http_request *r)
{
    r->body_cap = INVOKE_RESPONSE_MAX;
    r->body.cap = INVOKE_RESPONSE_MAX;
}

static void on_request(struct http_request *r)
{
    struct runtime_api *api = r->connection_ctx;

    if (!api || !api->i || api->i->state == INSTANCE_DYING)
        answer_error(r, 410, "Gone", "The sandbox is ending");
    else if (strcmp(r->path, "/2018-06-01/ping") == 0)
        http_answer_str(r, 200, "text/plain", "pong");
    else if (strncmp(r->path, PREFIX, strlen(PREFIX)) == 0)
        dispatch(api, r, r->path + strlen(PREFIX));
    else
        answer_error(r, 404, "NotFound", "No such resource in the Runtime API");
}

static const struct http_handlers handlers = {.on_headers = on_headers, .on_request = on_request};

int runtime_api_start(struct manager *m, struct err *e)
{
    return http_create(m->loop, -1, &handlers, m, &m->runtime_api, e);
}

/* --- life ----------------------------------------------------------------------------------------------------------- */

static void adopt(struct runtime_api *api, int fd)
{
    struct err e;

    api->refs++;
    if (http_adopt(api->i->m->runtime_api, fd, api, unref, &e) < 0)
        log_warn("runtime API of %s: %s", api->i->f->name, e.msg);
}

static void on_connection(struct acceptor *a, int fd)
{
    adopt(container_of(a, struct runtime_api, acceptor), fd);
}

int runtime_api_open(struct instance *i, int listen_fd, struct err *e)
{
    struct runtime_api *api = calloc(1, sizeof(*api));

    if (!api)
        return err_set(e, ENOMEM, "runtime API: no memory");
    *api = (struct runtime_api){.refs = 1, .i = i, .acceptor.on_connection = on_connection, .kept = -1};
    api->acceptor.refs = &api->refs;
    i->api = api;
    return acceptor_open(&api->acceptor, i->m->loop, listen_fd, e);
}

void runtime_api_close(struct instance *i)
{
    struct runtime_api *api = i->api;
    struct http_request *waiting;

    if (!api)
        return;
    i->api = NULL;
    api->i = NULL;
    acceptor_close(&api->acceptor);
    fd_close(&api->kept);
    waiting = take_ptr(&api->waiting);
    if (waiting)
        answer_error(waiting, 410, "Gone", "The sandbox is ending");
    unref(api);
}

void runtime_api_invoke(struct instance *i, const struct runtime_call *call)
{
    struct http_request *r = take_ptr(&i->api->waiting);

    http_set_header(r, "Content-Type", "application/json");
    http_set_header(r, "Lambda-Runtime-Aws-Request-Id", call->request_id);
    http_set_headerf(r, "Lambda-Runtime-Deadline-Ms", "%lld", (long long)call->deadline_ms);
    http_set_header(r, "Lambda-Runtime-Invoked-Function-Arn", call->arn);
    http_set_header(r, "Lambda-Runtime-Trace-Id", call->trace_id);
    if (call->client_context)
        http_set_header(r, "Lambda-Runtime-Client-Context", call->client_context);
    http_answer(r, 200, buf_str(call->payload), call->payload->used);
}

/* --- snapshots ------------------------------------------------------------------------------------------------------ */

struct header_writer {
    struct buf *out;
    int rc;
    struct err *e;
};

static void write_header(void *ctx, const char *name, const char *value)
{
    struct header_writer *w = ctx;

    if (w->rc == 0)
        w->rc = buf_addf(w->out, w->e, "%s: %s\r\n", name, value);
}

int runtime_api_waiting(const struct instance *i, struct buf *out, struct err *e)
{
    const struct http_request *r = i->api->waiting;
    struct header_writer w = {.out = out, .e = e};

    if (!r)
        return err_set(e, EINVAL, "the runtime waits for nothing");
    if (buf_addf(out, e, "%s %s %s\r\n", r->method, r->path, r->version) < 0)
        return -e->code;
    http_each_header(r, write_header, &w);
    if (w.rc < 0 || buf_add_str(out, "\r\n", e) < 0 || buf_add(out, buf_str(&r->body), r->body.used, e) < 0)
        return -e->code;
    return http_socket(r);
}

void runtime_api_keep(struct instance *i, int fd)
{
    i->api->kept = fd;
}

void runtime_api_resume(struct instance *i)
{
    i->api->resuming = true;
    adopt(i->api, take_fd(&i->api->kept));
}
