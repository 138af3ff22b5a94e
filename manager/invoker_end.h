/*
 * The end of an invocation: log lines, measurements, answer. A runtime of ours ends it with its result; a third-party one has then
 * still to ask for the next, and what it writes until then belongs to this one (INSTANCE_RETURNING).
 */
#ifndef FNRUN_INVOKER_END_H
#define FNRUN_INVOKER_END_H

#include "instance.h"
#include "invocation.h"

struct outcome {
    struct buf *payload;
    const char *error_type; /* NULL: a result */
    const char *status;     /* of the REPORT line; NULL: fine */
    uint64_t memory_peak;
};

/* Ends the invocation that `i` is busy with: the last log lines, the measurements, the answer if there was none yet. */
void invoker_complete(struct instance *i, const struct outcome *o);

/* The result is there, and the runtime has not asked for the next yet. The caller has its answer at once, unless it wants the log
 * too. Takes what is in `payload`. */
void invoker_take_result(struct instance *i, struct buf *payload, bool failed);

/* Answers with that result now; the runtime keeps the rest of its time. */
void invoker_answer(struct instance *i);

/* The runtime has asked for the next, or has ended. */
void invoker_end_returned(struct instance *i, uint64_t memory_peak);

#endif
