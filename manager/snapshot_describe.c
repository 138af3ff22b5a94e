/* A snapshot in words, for people and programs. */
#include <fcntl.h>
#include <stdio.h>
#include <time.h>

#include "../sandbox/base/fd.h"
#include "identity.h"
#include "snapshot_part.h"

static unsigned count_failures(const struct snapshot *s)
{
    unsigned n = 0;

    for (unsigned i = 0; i < CAUSE_COUNT; i++)
        n += s->failures[i];
    return n;
}

/* By a template, or by criu alone; the warden has left the reason beside the images (sandbox/snapshots.h). */
static void add_way(const struct snapshot *s, cJSON *out)
{
    char path[200], text[400], why[450];
    struct err e;

    snprintf(path, sizeof(path), SNAPSHOTS_DIR "/%s/why-criu", s->id);
    if (fd_read_file_at(AT_FDCWD, path, text, sizeof(text), &e) < 0) {
        cJSON_AddStringToObject(out, "restored_by", "template");
        return;
    }
    snprintf(why, sizeof(why), "restored by criu: %s", text);
    cJSON_AddStringToObject(out, "restored_by", "criu");
    cJSON_AddStringToObject(out, "reason", why);
}

void snapshot_describe(const struct snapshot *s, cJSON *out)
{
    static const char *const names[] = {"none", "making", "found", "checking", "ready", "unusable", "off"};

    cJSON_AddStringToObject(out, "state", names[s->state]);
    cJSON_AddNumberToObject(out, "armed", s->armed_count);
    cJSON_AddNumberToObject(out, "failures", count_failures(s));
    if (s->files) {
        cJSON_AddStringToObject(out, "id", s->id);
        cJSON_AddNumberToObject(out, "bytes", (double)snapshot_files_bytes(s->files));
        add_way(s, out);
    }
    if (s->reason[0] && !s->files)
        cJSON_AddStringToObject(out, "reason", s->reason);
}

static void add_time(cJSON *out, const char *member, nsec_t wall)
{
    time_t seconds = (time_t)(wall / NSEC_PER_SEC);
    char text[32];
    struct tm tm;

    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &tm));
    cJSON_AddStringToObject(out, member, text);
}

static void add_failures(cJSON *out, const struct snapshot *s)
{
    cJSON *causes = cJSON_AddObjectToObject(out, "failures_by_cause");

    for (unsigned i = 0; i < CAUSE_COUNT; i++)
        cJSON_AddNumberToObject(causes, restore_cause_names[i], s->failures[i]);
}

void snapshot_inspect(const struct snapshot *s, cJSON *out)
{
    struct err e;

    cJSON_AddNumberToObject(out, "restores", (double)s->restores);
    add_failures(out, s);
    if (!s->files)
        return;
    add_time(out, "made", s->made_at);
    add_time(out, "used", s->used_at);
    cJSON_AddItemToObject(out, "files", snapshot_files_describe(s->files));
    cJSON_AddItemToObject(out, "bound_to", identity_describe(s->m, s->f, &e));
}
