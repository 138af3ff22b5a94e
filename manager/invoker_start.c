/* Starting instances for the invocations that wait: restored where that can be, else from nothing. */
#include "../sandbox/base/log.h"
#include "instance.h"
#include "invoker_pool.h"
#include "report.h"

/* AWS stops an init after 10 s; what it needs beyond that counts against the function's own time. */
#define INIT_LIMIT (10 * NSEC_PER_SEC)

void invoker_unqueue(struct invoker *in, struct invocation *inv)
{
    struct pool *p = inv->f->pool;

    if (list_empty(&inv->link))
        return;
    list_remove(&inv->link);
    p->waiting_count--;
    p->snapshot.needed = MIN(p->snapshot.needed, p->waiting_count);
    if (p->waiting_count == 0)
        list_remove(&p->gated);
    in->waiting--;
}

struct invocation *invoker_first_waiting(struct pool *p)
{
    return list_first(&p->waiting, struct invocation, link);
}

/* An idle instance of whatever function, the one that was idle longest: it makes room for another. */
static struct instance *find_victim(struct manager *m)
{
    struct instance *i, *victim = NULL;

    list_for_each(&m->instances, i, struct instance, all)
        if (i->state == INSTANCE_IDLE && i->role != INSTANCE_MAKES && (!victim || i->idle.due < victim->idle.due))
            victim = i;
    return victim;
}

void invoker_fail_waiting(struct pool *p, struct invoker *in, enum invoke_outcome outcome, const char *why)
{
    struct invocation *inv = invoker_first_waiting(p);

    if (!inv)
        return;
    invoker_unqueue(in, inv);
    invocation_fail(inv, outcome, why);
}

/* Puts an instance that will take the next waiting invocation into the books. */
static void add_starting(struct invoker *in, struct pool *p, struct instance *i)
{
    list_append(&p->instances, &i->link);
    in->instances++;
    i->starting = true;
    p->starting++;
    instance_set_deadline(i, clock_now() + INIT_LIMIT);
}

static void restore_instance(struct invoker *in, struct pool *p, struct instance *i)
{
    i->events = &invoker_events;
    add_starting(in, p, i);
    snapshot_count_restoring(in->m->snapshots, 1);
    report_restore_start(i);
    instance_restore(i);
}

/* Does somebody wait who asks for a start without a snapshot? */
static bool wants_cold(const struct pool *p)
{
    const struct invocation *inv;

    list_for_each(&p->waiting, inv, const struct invocation, link)
        if (inv->start == START_COLD)
            return true;
    return false;
}

static void start_instance(struct invoker *in, struct function *f)
{
    struct pool *p = f->pool;
    struct instance *i;
    struct err e;

    if (in->instances >= in->m->config.max_instances) {
        struct instance *victim = find_victim(in->m);

        if (!victim) {
            in->stats.throttles++;
            invoker_fail_waiting(p, in, INVOKE_THROTTLED, "Rate Exceeded.");
            return;
        }
        instance_kill(victim);
    }
    i = wants_cold(p) ? NULL : snapshot_take(&p->snapshot);
    if (i) {
        restore_instance(in, p, i);
        return;
    }
    if (instance_create(in->m, f, NULL, INSTANCE_STARTS, &invoker_events, &i, &e) < 0) {
        log_error("start %s: %s", f->name, e.msg);
        invoker_fail_waiting(p, in, INVOKE_UNAVAILABLE, e.msg);
        return;
    }
    add_starting(in, p, i);
    report_init_start(i);
}

static bool can_restore_now(const struct pool *p)
{
    const struct instance *i;

    list_for_each(&p->snapshot.armed, i, const struct instance, link)
        if (i->state == INSTANCE_ARMED)
            return true;
    return false;
}

/* Is a restore to wait for its turn? */
static bool must_wait(struct invoker *in, struct pool *p)
{
    if (in->m->snapshots->restoring < in->m->snapshots->places)
        return false;
    if (list_empty(&p->gated))
        list_append(&in->gated, &p->gated);
    return true;
}

void invoker_start_enough(struct invoker *in, struct function *f)
{
    struct pool *p = f->pool;

    while (p->starting < p->waiting_count) {
        bool restores = !wants_cold(p) && can_restore_now(p);

        if (restores && must_wait(in, p))
            return;
        /* A restore that is about to be possible beats a start from nothing. */
        if (!restores && !wants_cold(p) && snapshot_will_have(&p->snapshot, p->waiting_count - p->starting))
            return;
        start_instance(in, f);
    }
}

void invoker_on_gate(struct loop_later *l)
{
    struct invoker *in = container_of(l, struct invoker, gate);
    struct pool *p;

    while (in->m->snapshots->restoring < in->m->snapshots->places && (p = list_first(&in->gated, struct pool, gated))) {
        list_remove(&p->gated);
        invoker_start_enough(in, p->snapshot.f);
    }
}

void invoker_on_snapshot_change(struct snapshot *s)
{
    invoker_start_enough(s->m->invoker, s->f);
}
