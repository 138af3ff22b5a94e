#include "snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../sandbox/base/log.h"
#include "identity.h"
#include "snapshot_stamp.h"
#include "warden.h"

/* A snapshot that fails so often is not made again. */
#define FAILURES_MAX 3

/* Long enough for the restore that has just taken one to be over. */
#define REFILL_DELAY (5 * NSEC_PER_MSEC)

#define WARDEN_BUSY (200 * NSEC_PER_MSEC)

#define MAKE_LIMIT (60 * NSEC_PER_SEC)

static const struct instance_events armed_events, maker_events;

static struct snapshot *snapshot_of(const struct instance *i)
{
    return i->snapshot;
}

static bool is_on(const struct snapshot *s)
{
    return strcmp(s->m->config.snapshots, "on") == 0;
}

static void give_up(struct snapshot *s, const char *why)
{
    s->state = SNAPSHOT_UNUSABLE;
    snprintf(s->reason, sizeof(s->reason), "%.*s", (int)sizeof(s->reason) - 1, why);
    log_warn("no snapshot of %s: %s", s->f->name, why);
}

static void drop(struct snapshot *s)
{
    warden_drop_snapshot(s->m->warden, s->id);
    snapshot_stamp_drop(s->id);
}

/* --- armed sandboxes --------------------------------------------------------------------------------------------------- */

/* criu opens most files only when it restores. */
static bool is_intact(struct snapshot *s)
{
    struct err e;

    if (snapshot_stamp_check(s->id, &e) == 0)
        return true;
    snapshot_failed(s, e.msg);
    return false;
}

static void kill_armed(struct snapshot *s)
{
    struct instance *i;

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

static void arm_one(struct snapshot *s)
{
    struct instance *i;
    struct err e;

    if (s->state != SNAPSHOT_READY || clock_now() < s->not_before)
        return;
    if (!is_intact(s))
        return;
    make_room(s->m);
    if (instance_create(s->m, s->f, s, INSTANCE_RESTORES, &armed_events, &i, &e) < 0) {
        log_warn("arm a sandbox of %s: %s", s->f->name, e.msg);
        return;
    }
    list_append(&s->armed, &i->link);
    s->armed_count++;
    loop_timer_set(s->m->loop, &s->expiry, clock_now() + (nsec_t)s->m->config.idle_seconds * NSEC_PER_SEC);
}

/* Nobody has needed it for as long as an instance without work is kept. */
static void on_expiry(struct loop_timer *t)
{
    kill_armed(container_of(t, struct snapshot, expiry));
}

static void on_refill(struct loop_timer *t)
{
    struct snapshot *s = container_of(t, struct snapshot, refill);

    if (s->armed_count == 0)
        arm_one(s);
}

void snapshot_refill(struct snapshot *s)
{
    if (s->state == SNAPSHOT_READY && s->armed_count == 0)
        loop_timer_set(s->m->loop, &s->refill, clock_now() + REFILL_DELAY);
}

static void forget_armed(struct instance *i)
{
    list_remove(&i->link);
    snapshot_of(i)->armed_count--;
}

struct instance *snapshot_take(struct snapshot *s)
{
    struct instance *i;

    if (s->state != SNAPSHOT_READY || s->armed_count == 0 || !is_intact(s))
        return NULL;
    list_for_each(&s->armed, i, struct instance, link)
        if (i->state == INSTANCE_ARMED) {
            forget_armed(i);
            return i;
        }
    return NULL;
}

bool snapshot_will_have(struct snapshot *s)
{
    if (s->state == SNAPSHOT_READY && s->armed_count == 0)
        arm_one(s);
    return s->armed_count > 0;
}

static void on_armed(struct instance *i)
{
    snapshot_of(i)->on_change(snapshot_of(i));
}

static void on_armed_failed(struct instance *i, const struct proto_failed *m)
{
    struct snapshot *s = snapshot_of(i);

    forget_armed(i);
    /* The warden is still getting criu ready: right after its own start. */
    if (m->code == EAGAIN)
        s->not_before = clock_now() + WARDEN_BUSY;
    else if (s->state == SNAPSHOT_READY && i->state != INSTANCE_DYING) /* not by our own hand */
        snapshot_failed(s, m->text);
    s->on_change(s);
}

static void on_armed_exited(struct instance *i, UNUSED const struct proto_exited *m)
{
    struct snapshot *s = snapshot_of(i);

    forget_armed(i);
    s->on_change(s);
}

static const struct instance_events armed_events = {
    .on_armed = on_armed,
    .on_failed = on_armed_failed,
    .on_exited = on_armed_exited,
};

void snapshot_failed(struct snapshot *s, const char *why)
{
    log_warn("restore of %s: %s", s->f->name, why);
    drop(s);
    kill_armed(s);
    s->state = SNAPSHOT_NONE;
    if (++s->failures >= FAILURES_MAX)
        give_up(s, why);
}

/* --- making one ------------------------------------------------------------------------------------------------------------ */

/* The maker is done, or can't do it. */
static void end_maker(struct instance *i, const char *why)
{
    struct snapshot *s = snapshot_of(i);

    if (s->state == SNAPSHOT_MAKING && why)
        give_up(s, why);
    instance_kill(i);
}

static void on_maker_ready(struct instance *i)
{
    instance_prepare_dump(i);
}

static void on_maker_prepared(struct instance *i)
{
    struct err e;

    if (instance_dump(i, snapshot_of(i)->id, &e) < 0)
        end_maker(i, e.msg);
}

static void on_maker_dumped(struct instance *i, const struct proto_failed *m)
{
    struct snapshot *s = snapshot_of(i);
    struct err e;

    if (m->code || snapshot_stamp_keep(s->id, &e) < 0) {
        end_maker(i, m->code ? m->text : e.msg);
        return;
    }
    if (s->state == SNAPSHOT_MAKING) {
        s->state = SNAPSHOT_READY;
        arm_one(s);
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
        give_up(s, why);
}

static void on_maker_failed(struct instance *i, const struct proto_failed *m)
{
    forget_maker(snapshot_of(i), m->text);
}

static void on_maker_exited(struct instance *i, UNUSED const struct proto_exited *m)
{
    forget_maker(snapshot_of(i), "its runtime ended during init");
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

void snapshot_make(struct snapshot *s)
{
    struct err e;

    if (s->state != SNAPSHOT_NONE || !is_on(s))
        return;
    if (identity_of(s->m, s->f, s->id, &e) < 0 ||
        instance_create(s->m, s->f, s, INSTANCE_MAKES, &maker_events, &s->maker, &e) < 0) {
        give_up(s, e.msg);
        return;
    }
    s->state = SNAPSHOT_MAKING;
    instance_set_deadline(s->maker, clock_now() + MAKE_LIMIT);
}

/* --- the rest -------------------------------------------------------------------------------------------------------------- */

void snapshot_open(struct snapshot *s)
{
    struct err e;

    list_init(&s->armed);
    s->refill.on_due = on_refill;
    s->expiry.on_due = on_expiry;
    if (!is_on(s))
        return;
    if (identity_of(s->m, s->f, s->id, &e) < 0)
        log_warn("snapshot of %s: %s", s->f->name, e.msg);
    else if (snapshot_stamp_check(s->id, &e) == 0)
        s->state = SNAPSHOT_READY;
}

void snapshot_close(struct snapshot *s)
{
    loop_timer_clear(s->m->loop, &s->refill);
    loop_timer_clear(s->m->loop, &s->expiry);
    if (s->state == SNAPSHOT_READY || s->state == SNAPSHOT_MAKING)
        drop(s);
    s->state = SNAPSHOT_UNUSABLE;
    snprintf(s->reason, sizeof(s->reason), "the function was changed");
    kill_armed(s);
    if (s->maker)
        instance_kill(s->maker);
}

static double size_of(const struct snapshot *s)
{
    char path[400];
    struct dirent *entry;
    double bytes = 0;
    struct stat st;
    DIR *d;

    snprintf(path, sizeof(path), SNAPSHOTS_DIR "/%s", s->id);
    d = opendir(path);
    while (d && (entry = readdir(d)))
        if (fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
            bytes += (double)st.st_size;
    if (d)
        closedir(d);
    return bytes;
}

void snapshot_describe(const struct snapshot *s, cJSON *out)
{
    static const char *const names[] = {"none", "making", "ready", "unusable"};

    cJSON_AddStringToObject(out, "state", names[s->state]);
    cJSON_AddNumberToObject(out, "armed", s->armed_count);
    cJSON_AddNumberToObject(out, "failures", s->failures);
    if (s->state == SNAPSHOT_READY) {
        cJSON_AddStringToObject(out, "id", s->id);
        cJSON_AddNumberToObject(out, "bytes", size_of(s));
    } else if (s->state == SNAPSHOT_UNUSABLE) {
        cJSON_AddStringToObject(out, "reason", s->reason);
    }
}
