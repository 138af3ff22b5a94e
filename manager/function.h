/*
 * Function records. A struct function is one revision of one function and never changes after it was made: every
 * update makes a new one. Whoever works with a revision (an instance, a queued event, an invocation under way) holds a
 * reference, so that an update or a delete can't pull it away.
 */
#ifndef FNRUN_FUNCTION_H
#define FNRUN_FUNCTION_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "../sandbox/base/clock.h"
#include "../sandbox/base/err.h"
#include "../sandbox/base/list.h"
#include "db.h"
#include "runtime.h"

#define FUNCTION_NAME_MAX 64
#define FUNCTION_QUALIFIER_MAX 128
#define FUNCTION_UIDS 65534U      /* a block of 65,536 less the manager's and PID 1's */
#define FUNCTION_MB_PER_CPU 1769U /* memory that brings one processor, as in AWS */

struct pool;
struct functions;

struct function {
    unsigned refs;
    char name[FUNCTION_NAME_MAX + 1];
    const struct runtime *runtime;
    const char *handler, *role, *description, *log_group; /* in `record`; "" where not given */
    uint32_t timeout_s;
    uint32_t memory_mb;
    uint32_t tmp_mb;
    bool no_snapshot;     /* it was given a SnapStart of None, in so many words */
    char code_digest[65]; /* hex sha256 of the zip: the key of package.h */
    uint64_t code_bytes;  /* of the zip */
    char revision_id[37];
    nsec_t last_modified;     /* wall clock */
    uint32_t uid_index;       /* the function's own user: never given to another function */
    const cJSON *environment; /* object of strings, in `record`; NULL where none was given */
    const char *warm_up;      /* JSON: the event of the call before its snapshot is taken; in `record`; NULL: none */
    cJSON *record;            /* the whole record as it is stored; the function's own */
    struct pool *pool;        /* the invoker's: instances of this revision; NULL until the first invocation */
    struct functions *home;   /* function.c's own, as is `node` */
    struct list_node node;
};

struct function *function_ref(struct function *f);
void function_unref(struct function *f);

/* --- all functions, by name; the latest revision of each. In memory, backed by the database ------------------------ */

/* `on_retired` is called for a revision that an update or a delete has just replaced: its idle instances are to end. */
int functions_open(struct db *db, void (*on_retired)(void *ctx, struct function *f), void *ctx, struct functions **ret,
                   struct err *e);

/* The function of that name, or NULL. The caller takes a reference of its own if it keeps it. */
struct function *functions_find(struct functions *fs, const char *name);

/* In order of names: the first function with a name greater than `after` ("" for the first); NULL at the end. */
struct function *functions_next(struct functions *fs, const char *after);

unsigned functions_count(const struct functions *fs);

/* Makes a revision from `record` (becomes the function's in every case) and stores it, durably, in place of the one
 * of the same name if there is one. A new name gets a uid_index of its own. -EINVAL for a record that lacks a member,
 * -ENOSPC where all users were given out. *ret is borrowed. */
int functions_put(struct functions *fs, cJSON *record, struct function **ret, struct err *e);

int functions_remove(struct functions *fs, const char *name, struct err *e);

/* Is this package the code of any stored function, or of a retired revision that somebody still holds? */
bool functions_use_code(const struct functions *fs, const char *code_digest);

/* Does somebody still hold a retired revision? */
bool functions_have_retired(const struct functions *fs);

#endif
