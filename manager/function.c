#include "function.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

struct functions {
    struct db *db;
    void (*on_retired)(void *ctx, struct function *f);
    void *ctx;
    struct function **by_name; /* sorted; each holds one reference */
    unsigned count, room;
    struct list_node alive; /* every revision that exists, stored or only held */
    unsigned alive_count;
};

/* --- one revision ---------------------------------------------------------------------------------------------- */

struct function *function_ref(struct function *f)
{
    f->refs++;
    return f;
}

void function_unref(struct function *f)
{
    if (!f || --f->refs > 0)
        return;
    list_remove(&f->node);
    f->home->alive_count--;
    cJSON_Delete(f->record);
    free(f->pool); /* nobody is in it any more: all would hold a reference */
    free(f);
}

static int copy_text(const cJSON *record, const char *member, char *ret, size_t size, struct err *e)
{
    const char *text = json_get_text(record, member, NULL);

    if (!text || (size_t)snprintf(ret, size, "%s", text) >= size)
        return err_set(e, EINVAL, "function record without a good %s", member);
    return 0;
}

/* Clears *good where the number is missing or out of range. */
static double take_number(const cJSON *record, const char *member, double max, bool *good)
{
    double value = json_get_number(record, member, -1);

    if (value >= 0 && value <= max)
        return value;
    *good = false;
    return 0;
}

static int fill_numbers(struct function *f, const cJSON *record, struct err *e)
{
    bool good = true;

    f->timeout_s = (uint32_t)take_number(record, "Timeout", 900, &good);
    f->memory_mb = (uint32_t)take_number(record, "MemorySize", 10240, &good);
    f->tmp_mb = (uint32_t)take_number(json_get(record, "EphemeralStorage"), "Size", 10240, &good);
    f->code_bytes = (uint64_t)take_number(record, "CodeSize", 1e12, &good);
    f->last_modified = (nsec_t)take_number(record, "LastModifiedMs", 9e12, &good) * NSEC_PER_MSEC;
    f->uid_index = (uint32_t)take_number(record, "UidIndex", FUNCTION_UIDS - 1, &good);
    return good ? 0 : err_set(e, EINVAL, "function %s: a number is missing or out of range", f->name);
}

static int fill(struct function *f, cJSON *record, struct err *e)
{
    const char *runtime = json_get_text(record, "Runtime", "");

    if (copy_text(record, "FunctionName", f->name, sizeof(f->name), e) < 0 ||
        copy_text(record, "CodeDigest", f->code_digest, sizeof(f->code_digest), e) < 0 ||
        copy_text(record, "RevisionId", f->revision_id, sizeof(f->revision_id), e) < 0)
        return -e->code;
    f->runtime = runtime_find(runtime);
    if (!f->runtime)
        return err_set(e, EINVAL, "function %s: no runtime %s", f->name, runtime);
    f->handler = json_get_text(record, "Handler", "");
    f->role = json_get_text(record, "Role", "");
    f->description = json_get_text(record, "Description", "");
    f->log_group = json_get_text(json_get(record, "LoggingConfig"), "LogGroup", "");
    f->environment = json_get(json_get(record, "Environment"), "Variables");
    f->no_snapshot = cJSON_IsTrue(json_get(record, "SnapStartGiven")) &&
                     strcmp(json_get_text(json_get(record, "SnapStart"), "ApplyOn", ""), "None") == 0;
    f->warm_up = json_get_text(record, "WarmUp", NULL);
    return fill_numbers(f, record, e);
}

/* Takes over `record`. The new revision has one reference, the caller's. */
static int make_function(struct functions *fs, cJSON *record, struct function **ret, struct err *e)
{
    struct function *f = calloc(1, sizeof(*f));

    if (!f) {
        cJSON_Delete(record);
        return err_set(e, ENOMEM, "function: no memory");
    }
    *f = (struct function){.refs = 1, .home = fs, .record = record};
    list_init(&f->node);
    list_append(&fs->alive, &f->node);
    fs->alive_count++;
    if (fill(f, record, e) < 0) {
        function_unref(f);
        return -e->code;
    }
    *ret = f;
    return 0;
}

/* --- the index ---------------------------------------------------------------------------------------------------- */

/* Where `name` stands, or would stand. */
static unsigned find_slot(const struct functions *fs, const char *name, bool *ret_found)
{
    unsigned low = 0, high = fs->count;

    *ret_found = false;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        int order = strcmp(fs->by_name[middle]->name, name);

        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int make_room(struct functions *fs, struct err *e)
{
    unsigned room = fs->room ? fs->room * 2 : 16;
    struct function **grown;

    if (fs->count < fs->room)
        return 0;
    grown = realloc(fs->by_name, room * sizeof(struct function *));
    if (!grown)
        return err_set(e, ENOMEM, "functions: no memory");
    fs->by_name = grown;
    fs->room = room;
    return 0;
}

static void retire(struct functions *fs, struct function *f)
{
    if (fs->on_retired)
        fs->on_retired(fs->ctx, f);
    function_unref(f);
}

/* Takes over the caller's reference. Room was made before. */
static void index_put(struct functions *fs, struct function *f)
{
    bool found;
    unsigned slot = find_slot(fs, f->name, &found);
    struct function *old = found ? fs->by_name[slot] : NULL;

    if (!found) {
        memmove(fs->by_name + slot + 1, fs->by_name + slot, (fs->count - slot) * sizeof(struct function *));
        fs->count++;
    }
    fs->by_name[slot] = f;
    if (old)
        retire(fs, old);
}

struct function *functions_find(struct functions *fs, const char *name)
{
    bool found;
    unsigned slot = find_slot(fs, name, &found);

    return found ? fs->by_name[slot] : NULL;
}

struct function *functions_next(struct functions *fs, const char *after)
{
    bool found;
    unsigned slot = find_slot(fs, after, &found);

    slot += found;
    return slot < fs->count ? fs->by_name[slot] : NULL;
}

unsigned functions_count(const struct functions *fs)
{
    return fs->count;
}

bool functions_use_code(const struct functions *fs, const char *code_digest)
{
    struct function *f;

    list_for_each(&fs->alive, f, struct function, node)
        if (strcmp(f->code_digest, code_digest) == 0)
            return true;
    return false;
}

bool functions_have_retired(const struct functions *fs)
{
    return fs->alive_count > fs->count;
}

/* --- the database ------------------------------------------------------------------------------------------------- */

/* The counter only grows, also past deleted functions: what one left behind never belongs to another. */
static int take_uid_index(struct db *db, double *ret, struct err *e)
{
    auto_stmt sqlite3_stmt *stmt = NULL;

    if (db_prepare(db, &stmt, e,
                   "INSERT INTO counters VALUES ('function_uid', 1)"
                   " ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value - 1",
                   "") < 0 ||
        db_step(db, stmt, e) < 0)
        return -e->code;
    *ret = (double)sqlite3_column_int64(stmt, 0);
    if (db_step(db, stmt, e) < 0)
        return -e->code;
    if (*ret >= FUNCTION_UIDS)
        return err_set(e, ENOSPC, "all %u function users were given out", FUNCTION_UIDS);
    return 0;
}

static int write_record(struct functions *fs, cJSON *record, const char *name, const struct function *old,
                        struct err *e)
{
    auto_buf struct buf text = {0};
    double uid_index = old ? old->uid_index : 0;

    if (!old && take_uid_index(fs->db, &uid_index, e) < 0)
        return -e->code;
    json_set(record, "UidIndex", cJSON_CreateNumber(uid_index));
    if (json_print(record, &text, e) < 0)
        return -e->code;
    return db_run(fs->db, e, "INSERT OR REPLACE INTO functions VALUES (?, ?)", "tt", name, text.data);
}

static int store(struct functions *fs, cJSON *record, struct function **ret, struct err *e)
{
    const char *name = json_get_text(record, "FunctionName", "");
    struct err ignored;

    if (db_exec(fs->db, "BEGIN IMMEDIATE", e) < 0) {
        cJSON_Delete(record);
        return -e->code;
    }
    if (write_record(fs, record, name, functions_find(fs, name), e) < 0)
        cJSON_Delete(record);
    else if (make_function(fs, record, ret, e) == 0) {
        if (db_exec(fs->db, "COMMIT", e) == 0)
            return 0;
        function_unref(*ret);
    }
    db_exec(fs->db, "ROLLBACK", &ignored);
    return -e->code;
}

int functions_put(struct functions *fs, cJSON *record, struct function **ret, struct err *e)
{
    struct function *f;

    if (make_room(fs, e) < 0) {
        cJSON_Delete(record);
        return -e->code;
    }
    if (store(fs, record, &f, e) < 0)
        return err_wrap(e, "store function");
    index_put(fs, f);
    *ret = f;
    return 0;
}

int functions_remove(struct functions *fs, const char *name, struct err *e)
{
    bool found;
    unsigned slot = find_slot(fs, name, &found);
    struct function *f = found ? fs->by_name[slot] : NULL;

    if (!f)
        return err_set(e, ENOENT, "no function %s", name);
    if (db_run(fs->db, e, "DELETE FROM functions WHERE name = ?", "t", f->name) < 0)
        return err_wrap(e, "delete function");
    fs->count--;
    memmove(fs->by_name + slot, fs->by_name + slot + 1, (fs->count - slot) * sizeof(struct function *));
    retire(fs, f);
    return 0;
}

static int load(struct functions *fs, struct err *e)
{
    auto_stmt sqlite3_stmt *stmt = NULL;
    int rc;

    if (db_prepare(fs->db, &stmt, e, "SELECT name, record FROM functions ORDER BY name", "") < 0)
        return -e->code;
    while ((rc = db_step(fs->db, stmt, e)) > 0) {
        const char *name = (const char *)sqlite3_column_text(stmt, 0);
        const char *text = (const char *)sqlite3_column_text(stmt, 1);
        cJSON *record = text ? cJSON_Parse(text) : NULL;
        struct function *f;

        if (!record)
            return err_set(e, EIO, "the record of function %s is damaged", name ? name : "?");
        if (make_room(fs, e) < 0) {
            cJSON_Delete(record);
            return -e->code;
        }
        if (make_function(fs, record, &f, e) < 0)
            return -e->code;
        index_put(fs, f);
    }
    return rc;
}

int functions_open(struct db *db, void (*on_retired)(void *, struct function *), void *ctx, struct functions **ret,
                   struct err *e)
{
    struct functions *fs = calloc(1, sizeof(*fs));

    if (!fs)
        return err_set(e, ENOMEM, "functions: no memory");
    *fs = (struct functions){.db = db, .on_retired = on_retired, .ctx = ctx};
    list_init(&fs->alive);
    /* The caller gives up where this fails, and with it the process: nothing is taken apart again. */
    if (db_exec(db,
                "CREATE TABLE IF NOT EXISTS functions (name TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT;"
                "CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;",
                e) < 0 ||
        load(fs, e) < 0)
        return err_wrap(e, "open functions");
    *ret = fs;
    return 0;
}
