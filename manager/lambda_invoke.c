/* Invoke. This is the path whose speed fnrun is measured by: no database, no tree of the event, no copy but one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base64.h"
#include "event_queue.h"
#include "invoker.h"
#include "json.h"
#include "lambda.h"

#define TAIL_MAX 4096U
#define CONTEXT_MAX 3583U /* bytes of the client context, decoded */

static int check_event(struct lambda_call *c)
{
    const struct buf *body = &c->request->body;
    struct json_error error;

    if (body->used == 0 || json_check(body->data, body->used, &error))
        return 0;
    return fault_set(
        &c->fault, FAULT_INVALID_CONTENT,
        "Could not parse request body into json: Could not parse payload into json: %s\n at [Source: REDACTED "
        "(`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: %u, column: %u]",
        error.what, error.line, error.column);
}

/* The header is base64 of a JSON object. *ret_text is NULL where there is none; free it. */
static int read_client_context(struct lambda_call *c, char **ret_text)
{
    const char *header = http_header(c->request, "X-Amz-Client-Context");
    size_t size = header ? strlen(header) : 0;
    struct base64_decoder decoder = {0};
    auto_free char *text = NULL;
    struct json_error error;
    long n = -1;

    *ret_text = NULL;
    if (size == 0)
        return 0;
    text = malloc(size + 4);
    if (text)
        n = base64_decode(&decoder, header, size, (unsigned char *)text);
    if (n >= 0)
        text[n] = '\0';
    if (n < 0 || n > (long)CONTEXT_MAX || !base64_complete(&decoder) || !json_check(text, (size_t)n, &error) ||
        text[strspn(text, " \t\r\n")] != '{')
        return fault_set(&c->fault, FAULT_INVALID_CONTENT,
                         "Client context must be a valid Base64-encoded JSON object.");
    *ret_text = take_ptr(&text);
    return 0;
}

static int check_header(struct lambda_call *c, const char *value, const char *member, const char *values)
{
    char constraint[120];
    size_t n = value ? strlen(value) : 0;

    for (const char *p = values; n && (p = strstr(p, value)); p += n)
        if ((p == values || p[-1] == ' ') && (p[n] == ',' || p[n] == '\0'))
            return 0;
    if (!value)
        return 0;
    snprintf(constraint, sizeof(constraint), "Member must satisfy enum value set: [%s]", values);
    return lambda_violation(c, value, member, constraint);
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

static void set_common_headers(struct lambda_call *c)
{
    http_set_header(c->request, "x-amzn-RequestId", c->request_id);
    http_set_header(c->request, "x-amzn-Remapped-Content-Length", "0");
}

static bool wants_log(const struct lambda_call *c)
{
    const char *wanted = http_header(c->request, "X-Amz-Log-Type");

    return wanted && strcmp(wanted, "Tail") == 0;
}

static void add_tail(struct lambda_call *c, const struct invoke_result *result)
{
    char text[BASE64_SIZE(TAIL_MAX)];
    size_t n = MIN(result->log_tail_bytes, TAIL_MAX);

    if (!wants_log(c))
        return;
    base64_encode(result->log_tail + result->log_tail_bytes - n, n, text);
    http_set_header(c->request, "X-Amz-Log-Result", text);
}

/* For fnrun's own tools: how this start came about. */
static void add_start(struct lambda_call *c, const struct invoke_result *result)
{
    http_set_header(c->request, "X-Fnrun-Start", result->restored ? "restored" : result->cold ? "cold" : "warm");
    if (!result->cold)
        return;
    http_set_headerf(c->request, "X-Fnrun-Init-Ns", "%lld", (long long)result->init_ns);
    http_set_headerf(c->request, "X-Fnrun-Create-Ns", "%lld", (long long)result->create_ns);
}

static void on_done(void *ctx, const struct invoke_result *result)
{
    struct lambda_call *c = ctx;

    switch (result->outcome) {
    case INVOKE_THROTTLED:
        fault_set(&c->fault, FAULT_THROTTLED, "Rate Exceeded.");
        lambda_answer_fault(c);
        return;
    case INVOKE_UNAVAILABLE:
        fault_set(&c->fault, FAULT_SERVICE, "%s", buf_str(result->payload));
        lambda_answer_fault(c);
        return;
    case INVOKE_FUNCTION_ERROR:
        http_set_header(c->request, "X-Amz-Function-Error", "Unhandled");
        break;
    case INVOKE_OK:
        break;
    }
    set_common_headers(c);
    http_set_header(c->request, "X-Amz-Executed-Version", LAMBDA_LATEST);
    add_tail(c, result);
    add_start(c, result);
    http_set_header(c->request, "Content-Type", "application/json");
    http_answer_buf(c->request, 200, result->payload);
}

static int add_event(struct lambda_call *c, const struct invoke_request *request)
{
    struct err e;

    if (event_queue_add(c->manager->events, c->function_name, request, &e) < 0)
        return fault_set_err(&c->fault, &e);
    set_common_headers(c);
    http_answer(c->request, 202, "", 0);
    return 0;
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

/* The client's trace goes on; without one a new one begins. The answer names it in any case. */
static void choose_trace(struct lambda_call *c, char *ret, size_t size)
{
    const char *given = http_header(c->request, "X-Amzn-Trace-Id");
    const char *id = c->request_id;

    if (given && given[0])
        snprintf(ret, size, "%s", given);
    else
        snprintf(ret, size, "Root=1-%08llx-%.8s%.4s%.4s%.8s;Sampled=0",
                 (unsigned long long)(clock_wall() / NSEC_PER_SEC), id, id + 9, id + 14, id + 28);
    http_set_header(c->request, "X-Amzn-Trace-Id", ret);
}

static enum start_wish start_wish(const char *text)
{
    if (text && strcmp(text, "cold") == 0)
        return START_COLD;
    return text && strcmp(text, "restored") == 0 ? START_FRESH : START_ANY;
}

static int start(struct lambda_call *c, struct function *f, const char *type, const char *context)
{
    struct invoke_request request = {.request_id = c->request_id,
                                     .qualifier = c->qualifier,
                                     .payload = buf_str(&c->request->body),
                                     .payload_bytes = c->request->body.used,
                                     .client_context = context,
                                     .wants_log = wants_log(c),
                                     .start = start_wish(http_header(c->request, "X-Fnrun-Start"))};
    char trace[100];

    choose_trace(c, trace, sizeof(trace));
    request.trace_id = trace;
    if (type && strcmp(type, "Event") == 0)
        return add_event(c, &request);
    invoker_invoke(c->manager->invoker, f, &request, on_done, c);
    return 0;
}

int lambda_invoke(struct lambda_call *c)
{
    const char *type = http_header(c->request, "X-Amz-Invocation-Type");
    auto_free char *context = NULL;
    struct function *f;

    if (check_header(c, type, "invocationType", "Event, RequestResponse, DryRun") < 0 ||
        check_header(c, http_header(c->request, "X-Amz-Log-Type"), "logType", "None, Tail") < 0)
        return -1;
    f = lambda_find(c);
    if (!f || read_client_context(c, &context) < 0 || check_event(c) < 0)
        return -1;
    if (!type || strcmp(type, "DryRun") != 0)
        return start(c, f, type, context);
    set_common_headers(c);
    http_answer(c->request, 204, "", 0);
    return 0;
}
