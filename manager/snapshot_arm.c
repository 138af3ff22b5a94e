/*
 * The armed sandboxes: each waits for its runtime, from a template or from a criu that waits in it. How many a function has follows
 * what was asked for of late, so that the next one who comes finds one; one with a criu holds some 10 MB, so all together are
 * max_armed at most. Arming one takes a processor's time, too, and waits where that would slow down a restore.
 */
#include <errno.h>
#include <string.h>

#include "../sandbox/base/log.h"
#include "identity.h"
#include "snapshot_part.h"
#include "snapshot_record.h"

/* Restores that come while one sandbox is armed: so many must be ready. */
#define DEMAND_WINDOW (50 * NSEC_PER_MSEC)
/* Demand that does not come again is forgotten by halves. */
#define DEMAND_HALF (5 * NSEC_PER_SEC)
#define TEND_EVERY NSEC_PER_SEC
/* Long enough for the restore that has just taken one to be over. */
#define REFILL_DELAY (5 * NSEC_PER_MSEC)
#define WARDEN_BUSY (200 * NSEC_PER_MSEC)

static const struct instance_events armed_events;

/* --- demand ---------------------------------------------------------------------------------------------------------- */

/* How many are to wait without being asked for. */
static unsigned wanted(const struct snapshot *s)
{
    nsec_t now = clock_now(), halvings = (now - s->peak_at) / DEMAND_HALF;

    if (s->state != SNAPSHOT_READY || s->peak == 0 ||
        now - s->asked_at > (nsec_t)s->m->config.idle_seconds * NSEC_PER_SEC)
        return 0;
    return MAX(s->peak >> MIN(halvings, 31), 1U);
}

static void set_demand(struct snapshot *s, unsigned count)
{
    s->peak = MIN(count, s->m->config.max_armed);
    s->peak_at = clock_now();
}

static void note_demand(struct snapshot *s, unsigned count)
{
    s->asked_at = clock_now();
    if (count >= wanted(s))
        set_demand(s, count);
}

static void note_taken(struct snapshot *s)
{
    nsec_t now = clock_now();

    if (now - s->window_start > DEMAND_WINDOW) {
        s->window_start = now;
        s->taken = 0;
    }
    note_demand(s, ++s->taken);
}

/* --- one sandbox ------------------------------------------------------------------------------------------------------ */

/* Something may be possible now that was not. */
static void changed(struct snapshots *all)
{
    loop_later(all->m->loop, &all->later);
}

/* Now is the time to think of those who will come: not while a restore has just begun. */
static void prepare_more(struct snapshots *all)
{
    all->refills = true;
    changed(all);
}

static void end_arming(struct instance *i)
{
    i->m->snapshots->arming -= i->arming;
    i->arming = false;
    changed(i->m->snapshots);
}

/* Takes it out of the books. */
static void leave(struct instance *i)
{
    end_arming(i);
    list_remove(&i->link);
    i->snapshot->armed_count--;
    i->m->snapshots->armed--;
}

static void discard(struct instance *i)
{
    leave(i);
    instance_kill(i);
}

/* An image may have been built anew, or fnrun been updated, while the manager runs. */
static bool is_current(struct snapshot *s)
{
    char id[PROTO_SNAPSHOT_ID];
    struct err e;

    if (identity_of(s->m, s->f, id, &e) == 0 && strcmp(id, s->id) == 0)
        return true;
    snapshot_throw_away(s, "what it was bound to has changed: the next cold start makes another");
    return false;
}

static bool arm(struct snapshot *s)
{
    struct snapshots *all = s->m->snapshots;
    struct instance *i;
    struct err e;

    if (clock_now() < s->not_before || !snapshot_is_intact(s) || !is_current(s))
        return false;
    if (instance_create(s->m, s->f, s, INSTANCE_RESTORES, &armed_events, &i, &e) < 0) {
        log_warn("arm a sandbox of %s: %s", s->f->name, e.msg);
        return false;
    }
    list_append(&s->armed, &i->link);
    s->armed_count++;
    all->armed++;
    all->arming++;
    i->arming = true;
    if (s->noted_at != s->used_at)
        snapshot_record_touch(s->id);
    s->noted_at = s->used_at;
    if (!all->tend.slot)
        loop_timer_set(s->m->loop, &all->tend, clock_now() + TEND_EVERY);
    return true;
}

/* The oldest that nobody waits for, of another function, which then has one less. */
static bool evict_for(const struct snapshot *s)
{
    struct instance *oldest = NULL;
    struct snapshot *other;

    list_for_each(&s->m->snapshots->all, other, struct snapshot, node) {
        struct instance *i = list_first(&other->armed, struct instance, link);

        if (other != s && i && other->armed_count > other->needed && (!oldest || i->created_at < oldest->created_at))
            oldest = i;
    }
    if (!oldest)
        return false;
    other = oldest->snapshot;
    discard(oldest);
    set_demand(other, other->armed_count);
    return true;
}

static bool is_full(const struct snapshots *all)
{
    return all->armed >= all->m->config.max_armed;
}

/* --- for those who wait ------------------------------------------------------------------------------------------------ */

/* So many are armed at one time as places are left by the restores under way, but one goes on always. */
static bool is_busy(const struct snapshots *all)
{
    return all->arming > 0 && all->arming + all->restoring >= all->places;
}

/* False where that can't be; nobody's turn yet is fine, `changed` comes back to it. */
static bool arm_needed(struct snapshot *s)
{
    struct snapshots *all = s->m->snapshots;

    while (s->armed_count < s->needed) {
        if (is_busy(all) || (is_full(all) && !evict_for(s)))
            return true;
        if (!arm(s))
            return s->armed_count > 0;
    }
    return true;
}

bool snapshot_will_have(struct snapshot *s, unsigned needed)
{
    if (s->state == SNAPSHOT_FOUND)
        snapshot_check(s);
    if (s->state == SNAPSHOT_CHECKING)
        return true;
    if (s->state != SNAPSHOT_READY || clock_now() < s->not_before)
        return false;
    s->needed = needed;
    note_demand(s, needed);
    return arm_needed(s);
}

struct instance *snapshot_take(struct snapshot *s)
{
    struct instance *i;

    if (s->armed_count == 0 || !snapshot_is_intact(s))
        return NULL;
    list_for_each(&s->armed, i, struct instance, link)
        if (i->state == INSTANCE_ARMED) {
            leave(i);
            note_taken(s);
            s->restores++;
            s->used_at = clock_wall();
            return i;
        }
    return NULL;
}

/* --- for those who will come --------------------------------------------------------------------------------------------- */

static bool is_short(const struct snapshot *s)
{
    return s->armed_count < wanted(s) && clock_now() >= s->not_before;
}

static void on_refill(struct loop_timer *t)
{
    struct snapshots *all = container_of(t, struct snapshots, refill);
    struct snapshot *s;

    list_for_each(&all->all, s, struct snapshot, node) {
        if (all->arming + all->restoring >= all->places)
            return;
        /* The first of a function is worth more than the second of another. */
        if (is_short(s) && (!is_full(all) || (s->armed_count == 0 && evict_for(s))))
            arm(s);
    }
}

static void on_later(struct loop_later *l)
{
    struct snapshots *all = container_of(l, struct snapshots, later);
    bool hungry = false;
    struct snapshot *s;

    list_for_each(&all->all, s, struct snapshot, node) {
        if (s->armed_count < s->needed && !arm_needed(s))
            s->on_change(s);
        hungry |= is_short(s);
    }
    if (hungry && all->refills && !all->refill.slot)
        loop_timer_set(all->m->loop, &all->refill, clock_now() + REFILL_DELAY);
    all->refills = false;
}

static void on_tend(struct loop_timer *t)
{
    struct snapshots *all = container_of(t, struct snapshots, tend);
    struct snapshot *s;

    list_for_each(&all->all, s, struct snapshot, node)
        while (s->armed_count > MAX(wanted(s), s->needed))
            discard(list_first(&s->armed, struct instance, link));
    if (all->armed > 0)
        loop_timer_set(all->m->loop, t, clock_now() + TEND_EVERY);
}

void snapshot_count_restoring(struct snapshots *all, int change)
{
    all->restoring = (unsigned)((int)all->restoring + change);
    if (change < 0)
        prepare_more(all);
}

/* --- what they report ----------------------------------------------------------------------------------------------------- */

static void on_armed(struct instance *i)
{
    end_arming(i);
    prepare_more(i->m->snapshots);
    i->snapshot->on_change(i->snapshot);
}

static void on_armed_failed(struct instance *i, const struct proto_failed *m)
{
    struct snapshot *s = i->snapshot;

    if (list_empty(&i->link)) /* by our own hand */
        return;
    leave(i);
    /* The warden is still getting criu ready: right after its own start. */
    if (m->code == EAGAIN) {
        s->not_before = clock_now() + WARDEN_BUSY;
        loop_timer_set(s->m->loop, &s->m->snapshots->refill, s->not_before);
    } else {
        snapshot_failed(s, CAUSE_REFUSED, m->text);
    }
    s->on_change(s);
}

static void on_armed_exited(struct instance *i, UNUSED const struct proto_exited *m)
{
    struct snapshot *s = i->snapshot;

    if (list_empty(&i->link))
        return;
    leave(i);
    prepare_more(s->m->snapshots);
    s->on_change(s);
}

static const struct instance_events armed_events = {
    .on_armed = on_armed,
    .on_failed = on_armed_failed,
    .on_exited = on_armed_exited,
};

/* --- the rest -------------------------------------------------------------------------------------------------------------- */

void snapshot_arm_first(struct snapshot *s)
{
    note_demand(s, 1);
    prepare_more(s->m->snapshots);
}

void snapshot_disarm(struct snapshot *s)
{
    struct instance *i;

    s->needed = s->peak = 0;
    list_for_each(&s->armed, i, struct instance, link)
        discard(i);
}

void snapshots_init_arming(struct snapshots *all)
{
    all->refill.on_due = on_refill;
    all->tend.on_due = on_tend;
    all->later.run = on_later;
}
