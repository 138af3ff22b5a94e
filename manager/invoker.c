#include "invoker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../sandbox/base/log.h"
#include "instance.h"
#include "instance_log.h"
#include "invoker_pool.h"
#include "report.h"

uint32_t invoker_cpu_millis(uint32_t memory_mb, bool during_init)
{
    uint32_t millis = memory_mb * 1000 / FUNCTION_MB_PER_CPU;

    return during_init ? MAX(millis, 1000) : MAX(millis, 1);
}

static struct invoker *invoker_of(struct instance *i)
{
    return i->m->invoker;
}

static struct pool *pool_of(struct manager *m, struct function *f)
{
    if (f->pool)
        return f->pool;
    f->pool = calloc(1, sizeof(*f->pool));
    if (f->pool) {
        list_init(&f->pool->instances);
        list_init(&f->pool->waiting);
        list_init(&f->pool->gated);
        f->pool->snapshot = (struct snapshot){.m = m, .f = f, .on_change = invoker_on_snapshot_change};
        snapshot_open(&f->pool->snapshot);
    }
    return f->pool;
}

/* --- the end of an invocation -------------------------------------------------------------------------------------- */

struct outcome {
    struct buf *payload;
    const char *error_type; /* NULL: a result */
    const char *status;     /* of the REPORT line; NULL: fine */
    uint64_t memory_peak;
};

/* Ends the invocation that `i` is busy with: the last log lines, the measurements, the answer. */
static void complete(struct instance *i, const struct outcome *o)
{
    struct invocation *inv = take_ptr(&i->current);
    struct invoke_result result = {
        .outcome = o->error_type ? INVOKE_FUNCTION_ERROR : INVOKE_OK,
        .payload = o->payload,
        .cold = inv->cold,
        .restored = inv->cold && i->role == INSTANCE_RESTORES,
        .create_ns = i->create_ns,
        .init_ns = i->init_ns,
    };
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
    invoker_of(i)->stats.errors += o->error_type != NULL;
    instance_drain_log(i);
    report_end(i, &report);
    instance_flush_log(i);
    result.log_tail_bytes = MIN(i->log_tail.used, (size_t)LOG_TAIL_BYTES);
    result.log_tail = buf_str(&i->log_tail) + (i->log_tail.used - result.log_tail_bytes);
    invocation_finish(inv, &result);
    buf_clear(&i->log_tail);
}

/* --- the start of an invocation --------------------------------------------------------------------------------------- */

void invoker_call(struct instance *i, struct invocation *inv)
{
    uint32_t limit_ms = inv->f->timeout_s * 1000;
    nsec_t limit = (nsec_t)limit_ms * NSEC_PER_MSEC;
    char arn[200];
    struct runtime_call call = {
        .request_id = inv->request_id,
        .client_context = inv->client_context,
        .trace_id = inv->trace_id,
        .arn = arn,
        .deadline_ms = (clock_wall() + limit) / NSEC_PER_MSEC,
        .payload = &inv->payload,
    };

    snprintf(arn, sizeof(arn), "arn:aws:lambda:%s:%s:function:%s", i->m->config.region, i->m->config.account,
             inv->f->name);
    i->current = inv;
    inv->started_at = clock_now();
    instance_set_deadline(i, inv->started_at + limit);
    instance_invoke(i, &call, limit_ms);
}

static void give(struct instance *i, struct invocation *inv)
{
    invoker_unqueue(invoker_of(i), inv);
    inv->cold = i->fresh;
    if (inv->cold && i->role == INSTANCE_RESTORES)
        invoker_of(i)->stats.restored_starts++;
    else if (inv->cold)
        invoker_of(i)->stats.cold_starts++;
    else
        invoker_of(i)->stats.warm_starts++;
    report_start(i, inv->request_id);
    invoker_call(i, inv);
}

static bool takes(const struct instance *i, const struct invocation *inv)
{
    return inv->start == START_ANY || (i->fresh && (inv->start == START_FRESH || i->role == INSTANCE_STARTS));
}

/* The oldest waiting invocation that this instance may take. */
static struct invocation *next_waiting(struct instance *i)
{
    struct invocation *inv;

    list_for_each(&i->f->pool->waiting, inv, struct invocation, link)
        if (takes(i, inv))
            return inv;
    return NULL;
}

static struct instance *find_idle(struct pool *p)
{
    struct instance *i;

    list_for_each(&p->instances, i, struct instance, link)
        if (i->state == INSTANCE_IDLE)
            return i;
    return NULL;
}

void invoker_invoke(struct invoker *in, struct function *f, const struct invoke_request *request, invoke_done done,
                    void *ctx)
{
    struct pool *p = pool_of(in->m, f);
    struct invocation *inv = p ? invocation_create(f, request, done, ctx) : NULL;
    struct instance *i = p && request->start == START_ANY ? find_idle(p) : NULL;

    if (!inv) {
        auto_buf struct buf none = {.data = NULL};
        struct invoke_result result = {INVOKE_UNAVAILABLE, .request_id = request->request_id, .payload = &none};

        done(ctx, &result);
        return;
    }
    if (i) {
        give(i, inv);
        return;
    }
    list_append(&p->waiting, &inv->link);
    p->waiting_count++;
    in->waiting++;
    invoker_start_enough(in, f);
}

/* --- what instances report --------------------------------------------------------------------------------------------- */

static void end_starting(struct instance *i)
{
    if (!i->starting)
        return;
    i->f->pool->starting--;
    i->starting = false;
    if (i->role == INSTANCE_RESTORES) {
        snapshot_count_restoring(i->m->snapshots, -1);
        loop_later(i->m->loop, &invoker_of(i)->gate);
    }
}

static void on_ready(struct instance *i)
{
    struct invocation *inv = next_waiting(i);
    bool started = i->starting;

    end_starting(i);
    instance_clear_deadline(i);
    /* Most recently used first: the others grow old and end. */
    list_remove(&i->link);
    list_prepend(&i->f->pool->instances, &i->link);
    if (inv)
        give(i, inv);
    else if (i->retired)
        instance_kill(i);
    if (started && !i->retired && i->role == INSTANCE_STARTS)
        snapshot_make(&i->f->pool->snapshot);
}

static void on_response(struct instance *i, struct buf *payload, const char *error_type)
{
    struct outcome o = {.payload = payload, .error_type = error_type, .memory_peak = instance_memory_peak(i)};

    complete(i, &o);
    if (i->ending)
        instance_kill(i);
    else if (i->state == INSTANCE_BUSY)
        instance_on_ready(i);
}

/* An init that failed answers the invocation that has waited longest; it counts as that one's cold start. */
static bool adopt_waiting(struct instance *i)
{
    struct invocation *inv = invoker_first_waiting(i->f->pool);

    if (!inv)
        return false;
    invoker_unqueue(invoker_of(i), inv);
    inv->cold = true;
    if (i->exec_at)
        i->init_ns = clock_now() - i->exec_at;
    i->current = inv;
    report_start(i, inv->request_id);
    return true;
}

static void on_init_error(struct instance *i, struct buf *payload, const char *error_type)
{
    struct outcome o = {
        .payload = payload, .error_type = error_type, .status = "error", .memory_peak = instance_memory_peak(i)};

    i->init_reported = true;
    if (i->state == INSTANCE_RESTORING)
        snapshot_failed(i->snapshot, CAUSE_HOOK, error_type);
    if (adopt_waiting(i))
        complete(i, &o);
    instance_kill(i);
}

static void on_timeout(struct instance *i)
{
    auto_buf struct buf payload = {.data = NULL};
    struct outcome o = {.payload = &payload,
                        .error_type = "Sandbox.Timedout",
                        .status = "timeout",
                        .memory_peak = instance_memory_peak(i)};
    struct err e;

    invoker_of(i)->stats.timeouts++;
    instance_drain_log(i);
    if (report_timeout(i, i->current->request_id, i->f->timeout_s, &payload, &e) < 0)
        log_error("%s", e.msg);
    instance_kill(i);
    complete(i, &o);
}

/* It has never become ready, and is not to be blamed for that: who waits for it is served by another start. */
static void give_up_restore(struct instance *i, enum restore_cause cause, const char *why)
{
    end_starting(i);
    snapshot_failed(i->snapshot, cause, why);
}

static void on_deadline(struct instance *i)
{
    if (i->current) {
        on_timeout(i);
    } else if (i->state == INSTANCE_RESTORING) {
        give_up_restore(i, CAUSE_TIMEOUT, "not ready after 10 s");
        instance_kill(i);
        invoker_start_enough(invoker_of(i), i->f);
    } else if (!i->init_extended) {
        i->init_extended = true;
        instance_set_deadline(i, clock_now() + (nsec_t)i->f->timeout_s * NSEC_PER_SEC);
    } else if (adopt_waiting(i)) {
        on_timeout(i);
    } else {
        instance_kill(i);
    }
}

/* Takes a dead instance out of the books. */
static void forget(struct instance *i)
{
    struct invoker *in = invoker_of(i);

    in->instances--;
    end_starting(i);
    list_remove(&i->link);
}

static void on_failed(struct instance *i, const struct proto_failed *m)
{
    struct invoker *in = invoker_of(i);

    forget(i);
    if (i->role == INSTANCE_RESTORES) {
        snapshot_failed(i->snapshot, CAUSE_REFUSED, m->text);
    } else if (strncmp(m->text, "exec ", 5) == 0) {
        invoker_fail_entrypoint(i->f->pool, in, m->text);
    } else {
        log_error("start %s: %s", i->f->name, m->text);
        invoker_fail_waiting(i->f->pool, in, INVOKE_UNAVAILABLE, m->text);
    }
    invoker_start_enough(in, i->f);
}

static void on_restore_exited(struct instance *i, const struct proto_exited *m)
{
    char why[80];

    snprintf(why, sizeof(why), "the restored runtime ended by %s %d",
             m->cause == PROTO_EXIT_STATUS ? "status" : "signal", (int)m->value);
    give_up_restore(i, CAUSE_EXITED, why);
}

static void on_exited(struct instance *i, const struct proto_exited *m)
{
    auto_buf struct buf payload = {.data = NULL};
    struct outcome o = {.payload = &payload,
                        .error_type = "Runtime.ExitError",
                        .status = "error",
                        .memory_peak = m->oom_kills ? UINT64_MAX >> 1 : m->memory_peak};
    bool restoring = i->starting && i->role == INSTANCE_RESTORES && !i->init_reported;
    bool had_work = i->current || (i->state == INSTANCE_INIT && adopt_waiting(i));
    struct err e;

    if (restoring)
        on_restore_exited(i, m);
    else if (had_work && report_exit(m, i->current->request_id, &payload, &e) == 0)
        complete(i, &o);
    else if (i->starting && !i->init_reported) /* we gave it up: another start would end in the same way */
        invoker_fail_waiting(i->f->pool, invoker_of(i), INVOKE_UNAVAILABLE, "the sandbox could not be used");
    forget(i);
    invoker_start_enough(invoker_of(i), i->f);
}

const struct instance_events invoker_events = {
    .on_ready = on_ready,
    .on_response = on_response,
    .on_init_error = on_init_error,
    .on_failed = on_failed,
    .on_exited = on_exited,
    .on_deadline = on_deadline,
};

/* --- the rest ------------------------------------------------------------------------------------------------------------ */

void invoker_retire(UNUSED struct invoker *in, struct function *f)
{
    struct instance *i;

    if (!f->pool)
        return;
    snapshot_close(&f->pool->snapshot);
    list_for_each(&f->pool->instances, i, struct instance, link) {
        i->retired = true;
        if (i->state == INSTANCE_IDLE)
            instance_kill(i);
    }
}

static void open_pool(struct manager *m, struct function *f)
{
    pool_of(m, f);
}

int invoker_create(struct manager *m, struct invoker **ret, struct err *e)
{
    struct invoker *in = calloc(1, sizeof(*in));

    if (!in)
        return err_set(e, ENOMEM, "invoker: no memory");
    in->m = m;
    list_init(&in->gated);
    in->gate.run = invoker_on_gate;
    *ret = in;
    m->snapshots->open = open_pool;
    snapshots_find(m);
    return 0;
}

void invoker_stats(const struct invoker *in, struct invoker_stats *ret)
{
    const struct instance *i;

    *ret = in->stats;
    ret->instances = in->instances;
    ret->waiting = in->waiting;
    for (unsigned c = 0; c < CAUSE_COUNT; c++)
        ret->restore_failures += in->m->snapshots->failures[c];
    list_for_each(&in->m->instances, i, const struct instance, all) {
        ret->idle += i->state == INSTANCE_IDLE;
        ret->busy += i->state == INSTANCE_BUSY;
        ret->starting += i->state == INSTANCE_CREATING || i->state == INSTANCE_INIT || i->state == INSTANCE_RESTORING;
        ret->armed += i->state == INSTANCE_ARMED;
        ret->restoring += i->state == INSTANCE_RESTORING;
    }
}

cJSON *invoker_describe_snapshot(const struct manager *m, const struct function *f, bool inspect)
{
    const char *off = snapshot_off(m, f);
    cJSON *o = cJSON_CreateObject();

    cJSON_AddStringToObject(o, "function", f->name);
    if (f->pool) {
        snapshot_describe(&f->pool->snapshot, o);
        if (inspect)
            snapshot_inspect(&f->pool->snapshot, o);
        return o;
    }
    cJSON_AddStringToObject(o, "state", off ? "off" : "none");
    if (off)
        cJSON_AddStringToObject(o, "reason", off);
    return o;
}

void invoker_remove_snapshot(struct function *f)
{
    if (f->pool)
        snapshot_remove(&f->pool->snapshot);
}
