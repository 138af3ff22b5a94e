/*
 * An invocation: what a caller wants of a function, from its acceptance until `done` has the result. The invoker owns it;
 * it waits in a pool's queue until an instance takes it.
 */
#ifndef FNRUN_INVOCATION_H
#define FNRUN_INVOCATION_H

#include <stdbool.h>

#include "../sandbox/base/buf.h"
#include "../sandbox/base/clock.h"
#include "../sandbox/base/list.h"
#include "function.h"

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
    bool cold, restored;
    nsec_t create_ns, init_ns; /* of the instance, where cold or restored */
};

typedef void (*invoke_done)(void *ctx, const struct invoke_result *result);

/* For benchmarks: which kind of start is wanted. */
enum start_wish {
    START_ANY,
    START_FRESH, /* no idle instance: restored where there is a snapshot */
    START_COLD,  /* without a snapshot */
};

struct invoke_request {
    const char *request_id; /* 36 characters; invoke_make_request_id */
    const char *qualifier;  /* as the caller named the function; NULL: without one */
    const void *payload;    /* copied; an empty one means {} */
    size_t payload_bytes;
    const char *client_context; /* JSON text; NULL: none */
    const char *trace_id;       /* X-Amzn-Trace-Id; NULL: one is made */
    enum start_wish start;
    bool wants_log; /* `done` waits for the end of the log, INVOKE_LOG_WAIT at most */
};

#define INVOKE_LOG_WAIT NSEC_PER_SEC

struct invocation {
    struct list_node link; /* in pool.waiting, until an instance takes it */
    struct function *f;
    char request_id[37];
    char trace_id[100];
    char qualifier[FUNCTION_QUALIFIER_MAX + 1]; /* "": none */
    char *client_context;
    struct buf payload; /* the event; from `returned` on the result */
    enum start_wish start;
    bool wants_log, cold;
    bool returned, failed; /* a runtime that isn't ours has answered, well or not, and may go on for a while */
    nsec_t started_at;
    invoke_done done; /* NULL: it was told */
    void *ctx;
};

/* NULL where there is no memory. The payload and the client context are copied. */
struct invocation *invocation_create(struct function *f, const struct invoke_request *r, invoke_done done, void *ctx);

/* Tells `done` the result, once. */
void invocation_answer(struct invocation *inv, struct invoke_result *result);

/* The same if that was not done before, and frees the invocation. */
void invocation_finish(struct invocation *inv, struct invoke_result *result);

/* Ends one that never reached an instance. */
void invocation_fail(struct invocation *inv, enum invoke_outcome outcome, const char *why);

/* A random uuid (version 4) with its NUL: 37 bytes. */
void invoke_make_request_id(char ret[37]);

/* The error object for a response over INVOKE_RESPONSE_MAX. */
int invoke_too_large_error(struct buf *out, struct err *e);

#endif
