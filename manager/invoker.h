/*
 * The invoker: brings invocations and instances together. For each function revision it keeps a pool of instances; an
 * invocation takes an idle one, else one is started; an instance that becomes free takes the invocation that has
 * waited longest. It holds the deadlines, writes the log lines and measures.
 */
#ifndef FNRUN_INVOKER_H
#define FNRUN_INVOKER_H

#include "invocation.h"
#include "manager.h"

int invoker_create(struct manager *m, struct invoker **ret, struct err *e);

/* `done` is called exactly once, later or at once. */
void invoker_invoke(struct invoker *in, struct function *f, const struct invoke_request *request, invoke_done done,
                    void *ctx);

/* A revision that nobody shall use any more: its idle instances end now, the busy ones after their invocation. */
void invoker_retire(struct invoker *in, struct function *f);

/* CPU time per second of wall time for that much memory, in ms: 1,769 MB are one CPU, as in AWS. During init a
 * function has at least a whole one. */
uint32_t invoker_cpu_millis(uint32_t memory_mb, bool during_init);

struct invoker_stats {
    unsigned instances, idle, busy, starting, armed, restoring, waiting;
    uint64_t cold_starts, restored_starts, warm_starts, restore_failures, errors, timeouts, throttles;
};

/* {"function", "state", ...} of its snapshot; the caller's. `inspect`: with all there is to say. */
cJSON *invoker_describe_snapshot(const struct manager *m, const struct function *f, bool inspect);

void invoker_remove_snapshot(struct function *f);

void invoker_stats(const struct invoker *in, struct invoker_stats *ret);

#endif
