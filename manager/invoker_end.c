#include "invoker_end.h"

#include <string.h>

#include "instance_log.h"
#include "invoker_pool.h"
#include "report.h"

static struct invoke_result result_of(const struct instance *i, const struct invocation *inv, struct buf *payload,
                                      bool failed)
{
    size_t tail = MIN(i->log_tail.used, (size_t)LOG_TAIL_BYTES);

    return (struct invoke_result){
        .outcome = failed ? INVOKE_FUNCTION_ERROR : INVOKE_OK,
        .payload = payload,
        .log_tail = buf_str(&i->log_tail) + (i->log_tail.used - tail),
        .log_tail_bytes = tail,
        .cold = inv->cold,
        .restored = inv->cold && i->role == INSTANCE_RESTORES,
        .create_ns = i->create_ns,
        .init_ns = i->init_ns,
    };
}

void invoker_complete(struct instance *i, const struct outcome *o)
{
    struct invocation *inv = take_ptr(&i->current);
    struct invoke_result result;
    struct report report = {
        .request_id = inv->request_id,
        .duration = inv->started_at ? clock_now() - inv->started_at : 0,
        .init = inv->cold && i->role == INSTANCE_STARTS ? i->init_ns : 0,
        .restore = inv->cold && i->role == INSTANCE_RESTORES ? i->init_ns : 0,
        .memory_peak = o->memory_peak,
        .status = o->status,
        .error_type = o->status && strcmp(o->status, "error") == 0 ? o->error_type : NULL,
    };

    instance_clear_deadline(i);
    memcpy(i->last_id, inv->request_id, sizeof(i->last_id));
    i->m->invoker->stats.errors += o->error_type != NULL;
    instance_drain_log(i);
    report_end(i, &report);
    instance_flush_log(i);
    result =
        inv->returned ? result_of(i, inv, &inv->payload, inv->failed) : result_of(i, inv, o->payload, o->error_type);
    invocation_finish(inv, &result);
    buf_clear(&i->log_tail);
}

static nsec_t time_limit(const struct invocation *inv)
{
    return inv->started_at + (nsec_t)inv->f->timeout_s * NSEC_PER_SEC;
}

void invoker_answer(struct instance *i)
{
    struct invoke_result result;

    instance_drain_log(i);
    instance_flush_log(i);
    result = result_of(i, i->current, &i->current->payload, i->current->failed);
    invocation_answer(i->current, &result);
    instance_set_deadline(i, time_limit(i->current));
}

void invoker_take_result(struct instance *i, struct buf *payload, bool failed)
{
    struct invocation *inv = i->current;

    inv->returned = true;
    inv->failed = failed;
    buf_free(&inv->payload);
    inv->payload = *payload;
    *payload = (struct buf){.data = NULL};
    if (inv->wants_log)
        instance_set_deadline(i, MIN(clock_now() + INVOKE_LOG_WAIT, time_limit(inv)));
    else
        invoker_answer(i);
}

void invoker_end_returned(struct instance *i, uint64_t memory_peak)
{
    struct outcome o = {.error_type = i->current->failed ? "" : NULL, .memory_peak = memory_peak};

    invoker_complete(i, &o);
}
