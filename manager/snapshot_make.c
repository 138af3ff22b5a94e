/* The instance that makes a snapshot: its init, what the runtime does before, the dump. It serves nobody. */
#include <stdio.h>

#include "identity.h"
#include "snapshot_part.h"
#include "snapshot_stamp.h"
#include "warden.h"

#define MAKE_LIMIT (60 * NSEC_PER_SEC)

/* The maker is done, or can't do it. */
static void end_maker(struct instance *i, const char *why)
{
    struct snapshot *s = i->snapshot;

    if (s->state == SNAPSHOT_MAKING && why)
        snapshot_give_up(s, why);
    instance_kill(i);
}

static void on_maker_ready(struct instance *i)
{
    instance_prepare_dump(i);
}

static void on_maker_prepared(struct instance *i)
{
    warden_dump(i->m->warden, i->sandbox, i->snapshot->id);
}

static void on_maker_dumped(struct instance *i, const struct proto_failed *m)
{
    struct snapshot *s = i->snapshot;
    struct err e;

    if (m->code || snapshot_stamp_keep(s->id, &e) < 0) {
        end_maker(i, m->code ? m->text : e.msg);
        return;
    }
    if (s->state == SNAPSHOT_MAKING) {
        s->state = SNAPSHOT_READY;
        snapshot_arm(s);
    }
    end_maker(i, NULL);
}

static void on_maker_init_error(struct instance *i, UNUSED struct buf *payload, const char *error_type)
{
    char why[200];

    snprintf(why, sizeof(why), "its init or a hook before the snapshot failed: %s", error_type);
    end_maker(i, why);
}

static void on_maker_response(struct instance *i, UNUSED struct buf *payload, UNUSED const char *error_type)
{
    end_maker(i, "its runtime answered what nobody had asked");
}

static void on_maker_deadline(struct instance *i)
{
    end_maker(i, "its init took too long");
}

static void forget_maker(struct snapshot *s, const char *why)
{
    s->maker = NULL;
    if (s->state == SNAPSHOT_MAKING)
        snapshot_give_up(s, why);
}

static void on_maker_failed(struct instance *i, const struct proto_failed *m)
{
    forget_maker(i->snapshot, m->text);
}

static void on_maker_exited(struct instance *i, UNUSED const struct proto_exited *m)
{
    forget_maker(i->snapshot, "its runtime ended during init");
}

static const struct instance_events maker_events = {
    .on_ready = on_maker_ready,
    .on_prepared = on_maker_prepared,
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
    instance_set_deadline(s->maker, clock_now() + MAKE_LIMIT);
}
