/*
 * The invoker: brings invocations and instances together. For each function revision it keeps a pool of instances; an
 * invocation takes an idle one, else one is started; an instance that becomes free takes the invocation that has
 * waited longest. It holds the deadlines, writes the log lines and measures.
 */
#ifndef FNRUN_INVOKER_H
#define FNRUN_INVOKER_H

#include <stdbool.h>

#include "../sandbox/base/buf.h"
#include "../sandbox/base/clock.h"
#include "function.h"
#include "manager.h"

#define INVOKE_PAYLOAD_MAX ((size_t)6291456)  /* bytes of a synchronous event */
#define INVOKE_EVENT_MAX ((size_t)1048576)    /* bytes of an asynchronous event */
#define INVOKE_RESPONSE_MAX ((size_t)6291556) /* bytes of a response: 6 MiB + 100 */

enum invoke_outcome {
    INVOKE_OK,             /* payload: the function's result */
    INVOKE_FUNCTION_ERROR, /* payload: the error object; the API answers 200 with X-Amz-Function-Error: Unhandled */
    INVOKE_THROTTLED,      /* no room for another instance: 429 TooManyRequestsException */
    INVOKE_UNAVAILABLE,    /* fnrun itself failed (no image, no sandbox): 500 ServiceException; `payload` says why */
};

struct invoke_result {
    enum invoke_outcome outcome;
    const char *request_id;
    struct buf *payload;  /* may be emptied by the receiver (http_answer_buf) */
    const char *log_tail; /* the last 4 KB of this invocation's log */
    size_t log_tail_bytes;
    bool cold;
    nsec_t create_ns, init_ns; /* of the instance, where cold */
};

typedef void (*invoke_done)(void *ctx, const struct invoke_result *result);

struct invoke_request {
    const char *request_id; /* 36 characters; invoke_make_request_id */
    const void *payload;    /* copied; an empty one means {} */
    size_t payload_bytes;
    const char *client_context; /* JSON text; NULL: none */
    const char *trace_id;       /* X-Amzn-Trace-Id; NULL: one is made */
    bool force_cold;            /* for benchmarks: take no idle instance */
};

int invoker_create(struct manager *m, struct invoker **ret, struct err *e);

/* `done` is called exactly once, later or at once. */
void invoker_invoke(struct invoker *in, struct function *f, const struct invoke_request *request, invoke_done done,
                    void *ctx);

/* A revision that nobody shall use any more: its idle instances end now, the busy ones after their invocation. */
void invoker_retire(struct invoker *in, struct function *f);

/* A random uuid (version 4) with its NUL: 37 bytes. */
void invoke_make_request_id(char ret[37]);

struct invocation;

const char *invocation_id(const struct invocation *inv);

/* The error object for a response over INVOKE_RESPONSE_MAX. */
int invoke_too_large_error(struct buf *out, struct err *e);

/* CPU time per second of wall time for that much memory, in ms: 1,769 MB are one CPU, as in AWS. During init a
 * function has at least a whole one. */
uint32_t invoker_cpu_millis(uint32_t memory_mb, bool during_init);

struct invoker_stats {
    unsigned instances, idle, busy, starting, waiting;
    uint64_t cold_starts, warm_starts, errors, timeouts, throttles;
};

void invoker_stats(const struct invoker *in, struct invoker_stats *ret);

#endif
