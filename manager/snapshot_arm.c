/* The armed sandboxes of a snapshot: how many wait, and when the next one is made. */
#include <errno.h>
#include <string.h>

#include "../sandbox/base/log.h"
#include "identity.h"
#include "snapshot_part.h"
#include "snapshot_record.h"

/* Long enough for the restore that has just taken one to be over. */
#define REFILL_DELAY (5 * NSEC_PER_MSEC)

#define WARDEN_BUSY (200 * NSEC_PER_MSEC)

static const struct instance_events armed_events;

void snapshot_disarm(struct snapshot *s)
{
    struct instance *i;

    loop_timer_clear(s->m->loop, &s->refill);
    loop_timer_clear(s->m->loop, &s->expiry);
    list_for_each(&s->armed, i, struct instance, link)
        instance_kill(i);
}

/* Each that waits holds some 10 MB. There is room for max_armed of them, whatever the number of functions: the oldest goes. */
static void make_room(struct manager *m)
{
    struct instance *i, *oldest = NULL;
    unsigned count = 0;

    list_for_each(&m->instances, i, struct instance, all) {
        if (i->role != INSTANCE_RESTORES || (i->state != INSTANCE_CREATING && i->state != INSTANCE_ARMED))
            continue;
        count++;
        if (!oldest || i->created_at < oldest->created_at)
            oldest = i;
    }
    if (count >= m->config.max_armed)
        instance_kill(oldest);
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

void snapshot_arm(struct snapshot *s)
{
    struct instance *i;
    struct err e;

    if (clock_now() < s->not_before || !snapshot_is_intact(s) || !is_current(s))
        return;
    make_room(s->m);
    if (instance_create(s->m, s->f, s, INSTANCE_RESTORES, &armed_events, &i, &e) < 0) {
        log_warn("arm a sandbox of %s: %s", s->f->name, e.msg);
        return;
    }
    list_append(&s->armed, &i->link);
    s->armed_count++;
    s->used_at = clock_wall();
    snapshot_record_touch(s->id);
    loop_timer_set(s->m->loop, &s->expiry, clock_now() + (nsec_t)s->m->config.idle_seconds * NSEC_PER_SEC);
}

/* Nobody has needed it for as long as an instance without work is kept. */
static void on_expiry(struct loop_timer *t)
{
    snapshot_disarm(container_of(t, struct snapshot, expiry));
}

static void on_refill(struct loop_timer *t)
{
    struct snapshot *s = container_of(t, struct snapshot, refill);

    if (s->armed_count == 0)
        snapshot_arm(s);
}

void snapshot_refill(struct snapshot *s)
{
    if (s->state == SNAPSHOT_READY && s->armed_count == 0)
        loop_timer_set(s->m->loop, &s->refill, clock_now() + REFILL_DELAY);
}

static void forget_armed(struct instance *i)
{
    list_remove(&i->link);
    i->snapshot->armed_count--;
}

struct instance *snapshot_take(struct snapshot *s)
{
    struct instance *i;

    if (s->armed_count == 0 || !snapshot_is_intact(s))
        return NULL;
    list_for_each(&s->armed, i, struct instance, link)
        if (i->state == INSTANCE_ARMED) {
            forget_armed(i);
            s->restores++;
            return i;
        }
    return NULL;
}

bool snapshot_will_have(struct snapshot *s)
{
    if (s->state == SNAPSHOT_FOUND)
        snapshot_check(s);
    if (s->state == SNAPSHOT_CHECKING)
        return true;
    if (s->armed_count == 0)
        snapshot_arm(s);
    return s->armed_count > 0;
}

static void on_armed(struct instance *i)
{
    i->snapshot->on_change(i->snapshot);
}

static void on_armed_failed(struct instance *i, const struct proto_failed *m)
{
    struct snapshot *s = i->snapshot;

    forget_armed(i);
    /* The warden is still getting criu ready: right after its own start. */
    if (m->code == EAGAIN)
        s->not_before = clock_now() + WARDEN_BUSY;
    else if (s->state == SNAPSHOT_READY && i->state != INSTANCE_DYING) /* not by our own hand */
        snapshot_failed(s, CAUSE_REFUSED, m->text);
    s->on_change(s);
}

static void on_armed_exited(struct instance *i, UNUSED const struct proto_exited *m)
{
    struct snapshot *s = i->snapshot;

    forget_armed(i);
    s->on_change(s);
}

static const struct instance_events armed_events = {
    .on_armed = on_armed,
    .on_failed = on_armed_failed,
    .on_exited = on_armed_exited,
};

void snapshot_init_armed(struct snapshot *s)
{
    list_init(&s->armed);
    s->refill.on_due = on_refill;
    s->expiry.on_due = on_expiry;
}
