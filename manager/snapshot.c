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
#include "snapshot_part.h"
#include "snapshot_stamp.h"
#include "warden.h"

/* A snapshot that fails so often is not made again. */
#define FAILURES_MAX 3

const char *snapshot_off(const struct manager *m, const struct function *f)
{
    if (strcmp(m->config.snapshots, "on") != 0)
        return "snapshots are off: --snapshots";
    return f->no_snapshot ? "the function's SnapStart is off: ApplyOn is None" : NULL;
}

void snapshot_give_up(struct snapshot *s, const char *why)
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

void snapshot_failed(struct snapshot *s, const char *why)
{
    log_warn("restore of %s: %s", s->f->name, why);
    drop(s);
    snapshot_disarm(s);
    s->state = SNAPSHOT_NONE;
    if (++s->failures >= FAILURES_MAX)
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

    snapshot_init_armed(s);
    if (off) {
        s->state = SNAPSHOT_OFF;
        snprintf(s->reason, sizeof(s->reason), "%s", off);
        return;
    }
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
    snapshot_disarm(s);
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
    static const char *const names[] = {"none", "making", "ready", "unusable", "off"};

    cJSON_AddStringToObject(out, "state", names[s->state]);
    cJSON_AddNumberToObject(out, "armed", s->armed_count);
    cJSON_AddNumberToObject(out, "failures", s->failures);
    if (s->state == SNAPSHOT_READY) {
        cJSON_AddStringToObject(out, "id", s->id);
        cJSON_AddNumberToObject(out, "bytes", size_of(s));
    } else if (s->reason[0]) {
        cJSON_AddStringToObject(out, "reason", s->reason);
    }
}
