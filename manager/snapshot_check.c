/* The files of a snapshot are summed when it is made, and again before a new manager uses it: in a child, for they may be large. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "../sandbox/base/log.h"
#include "snapshot_part.h"
#include "snapshot_record.h"

static struct snapshot *snapshot_of(struct worker *w)
{
    return container_of(w, struct snapshot, worker);
}

static int start_worker(struct snapshot *s, void (*work)(struct worker *w),
                        void (*done)(struct worker *w, const void *result), struct err *e)
{
    s->worker = (struct worker){.loop = s->m->loop,
                                .work = work,
                                .done = done,
                                .result_size = snapshot_files_size(SNAPSHOT_FILES_MAX),
                                .keep = {-1, -1}};
    return worker_start(&s->worker, e);
}

/* Takes over what the child has found. */
static int take_files(struct snapshot *s, const struct snapshot_files *found, struct err *e)
{
    if (!found)
        return err_set(e, EIO, "its files could not be summed");
    if (found->err.code)
        return err_set(e, found->err.code, "%s", found->err.msg);
    free(s->files);
    s->files = snapshot_files_copy(found);
    return s->files ? 0 : err_set(e, ENOMEM, "no memory");
}

static void become_ready(struct snapshot *s)
{
    s->state = SNAPSHOT_READY;
    snapshot_arm_first(s);
}

/* --- a new one ------------------------------------------------------------------------------------------------------- */

static void sum_and_keep(struct worker *w)
{
    const struct snapshot *s = snapshot_of(w);
    struct snapshot_files *files = w->result;
    struct snapshot_record r = {.made_at = clock_wall(), .files = files};

    snprintf(r.function, sizeof(r.function), "%s", s->f->name);
    snapshot_files_read(s->id, files);
    if (files->err.code == 0 && snapshot_record_write(s->id, &r, &files->err) == 0)
        files->err.code = 0;
}

static void on_summed(struct worker *w, const void *result)
{
    struct snapshot *s = snapshot_of(w);
    struct err e;

    if (take_files(s, result, &e) < 0) {
        snapshot_throw_away(s, "");
        snapshot_give_up(s, e.msg);
        return;
    }
    s->made_at = s->used_at = clock_wall();
    if (snapshot_make_room(s->m, s)) {
        become_ready(s);
    } else {
        snapshot_throw_away(s, "");
        snapshot_give_up(s, "it is larger than all snapshots may be: --snapshot-disk-mb");
    }
}

void snapshot_sum(struct snapshot *s)
{
    struct err e;

    if (start_worker(s, sum_and_keep, on_summed, &e) == 0)
        return;
    snapshot_throw_away(s, "");
    snapshot_give_up(s, e.msg);
}

/* --- one that was there ------------------------------------------------------------------------------------------------ */

void snapshot_find(struct snapshot *s)
{
    struct snapshot_record r = {.files = NULL};
    struct err e;

    if (snapshot_record_read(s->id, &r, &e) < 0) {
        if (e.code != ENOENT)
            log_warn("snapshot of %s: %s", s->f->name, e.msg);
        return;
    }
    s->files = r.files;
    s->made_at = r.made_at;
    s->used_at = r.used_at;
    s->state = SNAPSHOT_FOUND;
}

static void read_again(struct worker *w)
{
    snapshot_files_read(snapshot_of(w)->id, w->result);
}

static void on_checked(struct worker *w, const void *result)
{
    struct snapshot *s = snapshot_of(w);
    const struct snapshot_files *found = result;
    const char *which;
    char why[120];
    struct err e;

    if (found && found->err.code == 0 && !snapshot_files_equal(s->files, found, &which)) {
        snprintf(why, sizeof(why), "%s is not what was dumped", which);
        snapshot_failed(s, CAUSE_DAMAGED, why);
    } else if (take_files(s, found, &e) < 0) {
        snapshot_failed(s, CAUSE_DAMAGED, e.msg);
    } else {
        become_ready(s);
    }
    s->on_change(s);
}

bool snapshot_check(struct snapshot *s)
{
    struct err e;

    if (start_worker(s, read_again, on_checked, &e) < 0) {
        log_warn("check the snapshot of %s: %s", s->f->name, e.msg);
        return false;
    }
    s->state = SNAPSHOT_CHECKING;
    return true;
}

/* Always before criu reads, which is when it restores: what was well when the sandbox was armed may be damaged by now. */
bool snapshot_is_intact(struct snapshot *s)
{
    struct err e;

    if (s->state != SNAPSHOT_READY)
        return false;
    if (snapshot_files_look(s->id, s->files, &e) == 0)
        return true;
    snapshot_failed(s, CAUSE_DAMAGED, e.msg);
    return false;
}
