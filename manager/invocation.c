#include "invocation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "report.h"

int invoke_too_large_error(struct buf *out, struct err *e)
{
    char message[120];

    snprintf(message, sizeof(message), "Response payload size exceeded maximum allowed payload size (%zu bytes).",
             INVOKE_RESPONSE_MAX);
    return report_error("Function.ResponseSizeTooLarge", message, out, e);
}

void invoke_make_request_id(char ret[37])
{
    static unsigned char pool[16 * 64];
    static size_t used = sizeof(pool);
    unsigned char *r;

    /* The kernel's generator is asked for many ids at once: it is the dearest part of one. */
    if (used == sizeof(pool)) {
        if (getrandom(pool, sizeof(pool), 0) != (ssize_t)sizeof(pool))
            abort();
        used = 0;
    }
    r = pool + used;
    used += 16;
    r[6] = (unsigned char)((r[6] & 0x0f) | 0x40);
    r[8] = (unsigned char)((r[8] & 0x3f) | 0x80);
    snprintf(ret, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", r[0], r[1], r[2], r[3],
             r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11], r[12], r[13], r[14], r[15]);
}

static void invocation_free(struct invocation *inv)
{
    list_remove(&inv->link);
    function_unref(inv->f);
    buf_free(&inv->payload);
    free(inv->client_context);
    free(inv);
}

void invocation_answer(struct invocation *inv, struct invoke_result *result)
{
    invoke_done done = take_ptr(&inv->done);

    result->request_id = inv->request_id;
    if (done)
        done(inv->ctx, result);
}

void invocation_finish(struct invocation *inv, struct invoke_result *result)
{
    invocation_answer(inv, result);
    invocation_free(inv);
}

void invocation_fail(struct invocation *inv, enum invoke_outcome outcome, const char *why)
{
    auto_buf struct buf text = {.data = NULL};
    struct invoke_result result = {.outcome = outcome, .payload = &text};
    struct err e;

    buf_add_str(&text, why, &e);
    invocation_finish(inv, &result);
}

struct invocation *invocation_create(struct function *f, const struct invoke_request *r, invoke_done done, void *ctx)
{
    struct invocation *inv = calloc(1, sizeof(*inv));
    struct err e;

    if (!inv)
        return NULL;
    inv->f = function_ref(f);
    list_init(&inv->link);
    inv->done = done;
    inv->ctx = ctx;
    inv->start = r->start;
    inv->wants_log = r->wants_log;
    snprintf(inv->request_id, sizeof(inv->request_id), "%s", r->request_id);
    snprintf(inv->qualifier, sizeof(inv->qualifier), "%s", r->qualifier ? r->qualifier : "");
    if (r->trace_id)
        snprintf(inv->trace_id, sizeof(inv->trace_id), "%s", r->trace_id);
    else
        snprintf(inv->trace_id, sizeof(inv->trace_id), "Root=1-%08llx-%.8s%.4s%.4s%.8s;Sampled=0",
                 (unsigned long long)(clock_wall() / NSEC_PER_SEC), r->request_id, r->request_id + 9,
                 r->request_id + 14, r->request_id + 24);
    if (r->client_context)
        inv->client_context = strdup(r->client_context);
    if (buf_add(&inv->payload, r->payload_bytes ? r->payload : "{}", r->payload_bytes ? r->payload_bytes : 2, &e) < 0) {
        invocation_free(inv);
        return NULL;
    }
    return inv;
}
