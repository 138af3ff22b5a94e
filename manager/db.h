/*
 * The manager's one SQLite file (WAL, synchronous=FULL: what was answered is on disk). Each module creates its own
 * tables with db_exec at start. A damaged file is refused with words on how to recover, never replaced by an empty one.
 */
#ifndef FNRUN_DB_H
#define FNRUN_DB_H

#include <sqlite3.h>

#include "../sandbox/base/err.h"

struct db {
    sqlite3 *handle;
};

/* Opens or creates `path` and checks it. */
int db_open(struct db *db, const char *path, struct err *e);
void db_close(struct db *db);

/* Runs statements that give no rows. */
int db_exec(struct db *db, const char *sql, struct err *e);

/* Prepares a statement and binds arguments by the letters of `types`: t text (const char *, NULL allowed), i int64_t,
 * b blob (const void *, size_t). Texts and blobs must live until db_finish. */
int db_prepare(struct db *db, sqlite3_stmt **ret, struct err *e, const char *sql, const char *types, ...);

/* One step: 1 a row is there, 0 done, negative failure. */
int db_step(struct db *db, sqlite3_stmt *stmt, struct err *e);

/* Prepares, binds as db_prepare does, and runs to the end: for INSERT, UPDATE, DELETE. */
int db_run(struct db *db, struct err *e, const char *sql, const char *types, ...);

static inline void db_finish(sqlite3_stmt **stmt)
{
    sqlite3_finalize(*stmt);
    *stmt = NULL;
}

/* Declares a statement that is finalized at the end of its scope. */
#define auto_stmt __attribute__((cleanup(db_finish)))

#endif
