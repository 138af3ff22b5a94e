/* The instance that makes a snapshot: its init, what the runtime does before, the dump. It serves nobody. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "identity.h"
#include "instance_log.h"
#include "invoker_pool.h"
#include "report.h"
#include "snapshot_part.h"
#include "warden.h"

#define MAKE_LIMIT (60 * NSEC_PER_SEC)
#define WARDEN_BUSY (200 * NSEC_PER_MSEC)

/* --- its end ------------------------------------------------------------------------------------------------------- */

/* This maker makes no snapshot. If it had been warmed, another one may, without that. */
static void fail(struct instance *i, const char *why)
{
    struct snapshot *s = i->snapshot;

    if (s->maker != i || s->state != SNAPSHOT_MAKING)
        return;
    s->maker = NULL;
    if (s->warm_up == WARM_UP_RUN) {
        report_warm_up_given_up(i, why);
        s->warm_up = WARM_UP_SKIPPED;
        snapshot_start_maker(s);
    } else {
        snapshot_give_up(s, why);
    }
}

static void fail_and_kill(struct instance *i, const char *why)
{
    fail(i, why);
    instance_kill(i);
}

/* --- the warm-up event --------------------------------------------------------------------------------------------- */

static void on_result(UNUSED void *ctx, UNUSED const struct invoke_result *result)
{
}

static void start_warm_up(struct instance *i)
{
    char id[37];
    struct invoke_request request = {
        .request_id = id, .payload = i->f->warm_up, .payload_bytes = strlen(i->f->warm_up)};
    struct invocation *inv;

    invoke_make_request_id(id);
    inv = invocation_create(i->f, &request, on_result, NULL);
    if (!inv) {
        fail_and_kill(i, "no memory");
        return;
    }
    i->snapshot->warm_up = WARM_UP_RUN;
    report_warm_up_start(i, id);
    invoker_call(i, inv);
}

static void end_warm_up(struct instance *i, const char *status, const char *error_type)
{
    auto_buf struct buf none = {.data = NULL};
    struct invoke_result result = {.payload = &none};
    struct invocation *inv = take_ptr(&i->current);

    instance_drain_log(i);
    report_warm_up_end(i, inv->request_id, clock_now() - inv->started_at, status, error_type);
    instance_flush_log(i);
    buf_clear(&i->log_tail);
    invocation_finish(inv, &result);
}

/* --- what it reports ----------------------------------------------------------------------------------------------- */

static void on_maker_ready(struct instance *i)
{
    if (i->f->warm_up && i->snapshot->warm_up == WARM_UP_DUE)
        start_warm_up(i);
    else
        instance_prepare_dump(i);
}

/* An error is one answer as good as another: the code has run, and the function's log tells. */
static void on_maker_response(struct instance *i, UNUSED struct buf *payload, const char *error_type)
{
    if (!i->current) {
        fail_and_kill(i, "its runtime answered what nobody had asked");
        return;
    }
    end_warm_up(i, error_type ? "error" : NULL, error_type);
    instance_set_deadline(i, clock_now() + MAKE_LIMIT);
    if (!i->ending && i->state == INSTANCE_BUSY)
        instance_on_ready(i);
}

static void dump(struct instance *i)
{
    struct err e;

    i->snapshot->dump_again = false;
    instance_set_deadline(i, clock_now() + MAKE_LIMIT);
    if (instance_dump(i, i->snapshot->id, &e) < 0)
        fail_and_kill(i, e.msg);
}

static void on_maker_dumped(struct instance *i, const struct proto_failed *m)
{
    struct snapshot *s = i->snapshot;

    /* The warden is still getting criu ready: right after its own start. */
    if (m->code == EAGAIN && s->maker == i && clock_now() < i->created_at + MAKE_LIMIT) {
        s->dump_again = true;
        instance_set_deadline(i, clock_now() + WARDEN_BUSY);
        return;
    }
    if (m->code) {
        fail_and_kill(i, m->text);
        return;
    }
    if (s->maker == i) {
        s->maker = NULL;
        snapshot_sum(s);
    } else if (s->state != SNAPSHOT_MAKING && !s->files) { /* it was thrown away while the warden wrote it */
        warden_drop_snapshot(i->m->warden, s->id);
    }
    instance_kill(i);
}

static void on_maker_init_error(struct instance *i, UNUSED struct buf *payload, const char *error_type)
{
    char why[200];

    snprintf(why, sizeof(why), "its init or a hook before the snapshot failed: %s", error_type);
    fail_and_kill(i, why);
}

static void on_maker_deadline(struct instance *i)
{
    if (i->snapshot->dump_again) {
        dump(i);
    } else if (i->current) {
        end_warm_up(i, "timeout", NULL);
        fail_and_kill(i, "it took too long");
    } else {
        fail_and_kill(i, "its init took too long");
    }
}

static void forget(struct instance *i, const char *why)
{
    fail(i, why);
    if (i->snapshot->maker == i)
        i->snapshot->maker = NULL;
}

static void on_maker_failed(struct instance *i, const struct proto_failed *m)
{
    forget(i, m->text);
}

static void on_maker_exited(struct instance *i, UNUSED const struct proto_exited *m)
{
    if (i->current)
        end_warm_up(i, "error", "Runtime.ExitError");
    forget(i, "its runtime ended");
}

static const struct instance_events maker_events = {
    .on_ready = on_maker_ready,
    .on_prepared = dump,
    .on_dumped = on_maker_dumped,
    .on_response = on_maker_response,
    .on_init_error = on_maker_init_error,
    .on_failed = on_maker_failed,
    .on_exited = on_maker_exited,
    .on_deadline = on_maker_deadline,
};

void snapshot_start_maker(struct snapshot *s)
{
    struct err e;

    if (identity_of(s->m, s->f, s->id, &e) < 0 ||
        instance_create(s->m, s->f, s, INSTANCE_MAKES, &maker_events, &s->maker, &e) < 0) {
        snapshot_give_up(s, e.msg);
        return;
    }
    s->state = SNAPSHOT_MAKING;
    s->dump_again = false;
    instance_set_deadline(s->maker, clock_now() + MAKE_LIMIT);
}
