/* What all snapshots take on the disk: those of nobody go when the manager starts, those unused for longest when it gets too much. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "../sandbox/base/log.h"
#include "snapshot_part.h"
#include "snapshot_record.h"
#include "warden.h"

/* --- the budget ------------------------------------------------------------------------------------------------------- */

static uint64_t add_up(const struct snapshots *all)
{
    const struct snapshot *s;
    uint64_t bytes = 0;

    list_for_each(&all->all, s, const struct snapshot, node)
        bytes += s->files ? snapshot_files_bytes(s->files) : 0;
    return bytes;
}

static struct snapshot *find_oldest(struct snapshots *all, const struct snapshot *keep)
{
    struct snapshot *s, *oldest = NULL;

    list_for_each(&all->all, s, struct snapshot, node)
        if (s->files && s != keep && (!oldest || s->used_at < oldest->used_at))
            oldest = s;
    return oldest;
}

bool snapshot_make_room(struct manager *m, const struct snapshot *newest)
{
    uint64_t budget = (uint64_t)m->config.snapshot_disk_mb << 20;

    while (add_up(m->snapshots) > budget) {
        struct snapshot *s = find_oldest(m->snapshots, newest);

        if (!s)
            return false;
        log_info("snapshot of %s: room for others", s->f->name);
        snapshot_throw_away(s, "it gave way to others (--snapshot-disk-mb): the next cold start makes another");
        s->on_change(s);
    }
    return true;
}

/* --- at the start ----------------------------------------------------------------------------------------------------- */

static bool is_id(const char *name)
{
    return strlen(name) == PROTO_SNAPSHOT_ID - 1 && strspn(name, "0123456789abcdef") == PROTO_SNAPSHOT_ID - 1;
}

static void for_each_id(struct manager *m, const char *dir, void (*each)(struct manager *m, const char *id))
{
    DIR *d = opendir(dir);
    const struct dirent *entry;

    while (d && (entry = readdir(d)))
        if (is_id(entry->d_name))
            each(m, entry->d_name);
    if (d)
        closedir(d);
}

/* The function's pool looks for the snapshot of its present revision; this may be an older one's. */
static void find_owner(struct manager *m, const char *id)
{
    struct snapshot_record r = {.files = NULL};
    struct function *f;
    struct err e;

    if (snapshot_record_read(id, &r, &e) < 0)
        return;
    free(r.files);
    f = functions_find(m->functions, r.function);
    if (f)
        m->snapshots->open(m, f);
}

static void drop_if_nobodys(struct manager *m, const char *id)
{
    const struct snapshot *s;

    list_for_each(&m->snapshots->all, s, const struct snapshot, node)
        if (s->files && strcmp(s->id, id) == 0)
            return;
    warden_drop_snapshot(m->warden, id);
    snapshot_record_remove(id);
}

void snapshots_find(struct manager *m)
{
    for_each_id(m, RECORDS_DIR, find_owner);
    for_each_id(m, RECORDS_DIR, drop_if_nobodys);
    for_each_id(m, SNAPSHOTS_DIR, drop_if_nobodys);
    snapshot_make_room(m, NULL);
}
