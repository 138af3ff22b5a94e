#include "snapshot.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../sandbox/base/log.h"
#include "identity.h"
#include "snapshot_part.h"
#include "snapshot_record.h"
#include "warden.h"

/* A snapshot that is thrown away so often is not made again. */
#define THROWN_AWAY_MAX 3

const char *const restore_cause_names[CAUSE_COUNT] = {
#define CAUSE(id, name, text) name,
#include "restore_cause.def"
#undef CAUSE
};

/* Processors that this process may use. */
static unsigned count_cores(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

int snapshots_create(struct manager *m, struct snapshots **ret, struct err *e)
{
    struct snapshots *all = calloc(1, sizeof(*all));

    if (!all)
        return err_set(e, ENOMEM, "snapshots: no memory");
    if (mkdir(RECORDS_DIR, 0700) < 0 && errno != EEXIST) {
        free(all);
        return err_errno(e, "mkdir " RECORDS_DIR);
    }
    all->m = m;
    /* One more than processors: each waits for another process now and then. */
    all->places = count_cores() + 1;
    list_init(&all->all);
    snapshots_init_arming(all);
    *ret = all;
    return 0;
}

const char *snapshot_off(const struct manager *m, const struct function *f)
{
    if (strcmp(m->config.snapshots, "on") != 0)
        return "snapshots are off: --snapshots";
    return f->no_snapshot ? "the function's SnapStart is off: ApplyOn is None" : NULL;
}

static void set_reason(struct snapshot *s, const char *why)
{
    snprintf(s->reason, sizeof(s->reason), "%.*s", (int)sizeof(s->reason) - 1, why);
}

void snapshot_give_up(struct snapshot *s, const char *why)
{
    s->state = SNAPSHOT_UNUSABLE;
    set_reason(s, why);
    log_warn("no snapshot of %s: %s", s->f->name, why);
}

void snapshot_throw_away(struct snapshot *s, const char *why)
{
    worker_cancel(&s->worker);
    if (s->maker)
        instance_kill(take_ptr(&s->maker));
    if (s->state == SNAPSHOT_MAKING || s->files) {
        warden_drop_snapshot(s->m->warden, s->id);
        snapshot_record_remove(s->id);
    }
    free(take_ptr(&s->files));
    snapshot_disarm(s);
    s->state = SNAPSHOT_NONE;
    set_reason(s, why);
}

void snapshot_failed(struct snapshot *s, enum restore_cause cause, const char *why)
{
    log_warn("restore of %s: %s: %s", s->f->name, restore_cause_names[cause], why);
    s->failures[cause]++;
    s->m->snapshots->failures[cause]++;
    /* What fails now may have been armed for one that is gone already. */
    if (cause == CAUSE_HOOK || cause == CAUSE_LOST || (s->state != SNAPSHOT_READY && s->state != SNAPSHOT_CHECKING))
        return;
    snapshot_throw_away(s, why);
    if (++s->thrown_away >= THROWN_AWAY_MAX)
        snapshot_give_up(s, why);
}

/* --- its life -------------------------------------------------------------------------------------------------------------- */

void snapshot_make(struct snapshot *s)
{
    if (s->state != SNAPSHOT_NONE)
        return;
    s->warm_up = WARM_UP_DUE;
    snapshot_start_maker(s);
}

void snapshot_open(struct snapshot *s)
{
    const char *off = snapshot_off(s->m, s->f);
    struct err e;

    list_init(&s->node);
    list_append(&s->m->snapshots->all, &s->node);
    list_init(&s->armed);
    if (off) {
        s->state = SNAPSHOT_OFF;
        set_reason(s, off);
    } else if (identity_of(s->m, s->f, s->id, &e) < 0) {
        log_warn("snapshot of %s: %s", s->f->name, e.msg);
    } else {
        snapshot_find(s);
    }
}

void snapshot_close(struct snapshot *s)
{
    snapshot_throw_away(s, "the function was changed");
    s->state = SNAPSHOT_UNUSABLE;
    list_remove(&s->node);
}

void snapshot_remove(struct snapshot *s)
{
    if (s->state == SNAPSHOT_OFF)
        return;
    snapshot_throw_away(s, "it was removed: the next cold start makes another");
    s->thrown_away = 0;
    s->on_change(s);
}
