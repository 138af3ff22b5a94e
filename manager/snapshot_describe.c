/* A snapshot in words, for people and programs. */
#include <time.h>

#include "identity.h"
#include "snapshot_part.h"

static unsigned count_failures(const struct snapshot *s)
{
    unsigned n = 0;

    for (unsigned i = 0; i < CAUSE_COUNT; i++)
        n += s->failures[i];
    return n;
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
