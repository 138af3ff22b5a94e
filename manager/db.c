#include "db.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

static int db_error(struct db *db, struct err *e, const char *what)
{
    int code = sqlite3_extended_errcode(db->handle) & 0xff;

    return err_set(e, code == SQLITE_FULL ? ENOSPC : EIO, "database: %s: %s", what, sqlite3_errmsg(db->handle));
}

static int check_integrity(struct db *db, const char *path, struct err *e)
{
    auto_stmt sqlite3_stmt *stmt = NULL;
    const char *text;

    if (db_prepare(db, &stmt, e, "PRAGMA quick_check(1)", "") < 0 || db_step(db, stmt, e) < 0)
        return err_wrap(e, "%s is damaged (move it away to start empty, or restore a copy)", path);
    text = (const char *)sqlite3_column_text(stmt, 0);
    if (!text || strcmp(text, "ok") != 0)
        return err_set(e, EIO, "%s is damaged: %s (restore a copy, or recover with `sqlite3 %s .recover`)", path,
                       text ? text : "no answer", path);
    return 0;
}

int db_open(struct db *db, const char *path, struct err *e)
{
    if (sqlite3_open_v2(path, &db->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK) {
        err_set(e, EIO, "open %s: %s", path, db->handle ? sqlite3_errmsg(db->handle) : "no memory");
        db_close(db);
        return -e->code;
    }
    if (check_integrity(db, path, e) < 0 ||
        db_exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;", e) < 0) {
        db_close(db);
        return -e->code;
    }
    return 0;
}

void db_close(struct db *db)
{
    sqlite3_close_v2(db->handle);
    db->handle = NULL;
}

int db_exec(struct db *db, const char *sql, struct err *e)
{
    if (sqlite3_exec(db->handle, sql, NULL, NULL, NULL) != SQLITE_OK)
        return db_error(db, e, sql);
    return 0;
}

static int bind_arguments(struct db *db, sqlite3_stmt *stmt, const char *types, va_list *ap, struct err *e)
{
    for (int i = 1; *types; types++, i++) {
        int rc = SQLITE_MISUSE;

        if (*types == 't') {
            rc = sqlite3_bind_text(stmt, i, va_arg(*ap, const char *), -1, SQLITE_STATIC);
        } else if (*types == 'i') {
            rc = sqlite3_bind_int64(stmt, i, va_arg(*ap, int64_t));
        } else if (*types == 'b') {
            const void *data = va_arg(*ap, const void *);
            size_t size = va_arg(*ap, size_t);

            rc = sqlite3_bind_blob64(stmt, i, data ? data : "", size, SQLITE_STATIC);
        }
        if (rc != SQLITE_OK)
            return db_error(db, e, "bind");
    }
    return 0;
}

static int prepare(struct db *db, sqlite3_stmt **ret, struct err *e, const char *sql, const char *types, va_list *ap)
{
    auto_stmt sqlite3_stmt *stmt = NULL;

    if (sqlite3_prepare_v2(db->handle, sql, -1, &stmt, NULL) != SQLITE_OK)
        return db_error(db, e, sql);
    if (bind_arguments(db, stmt, types, ap, e) < 0)
        return -e->code;
    *ret = take_ptr(&stmt);
    return 0;
}

int db_prepare(struct db *db, sqlite3_stmt **ret, struct err *e, const char *sql, const char *types, ...)
{
    va_list ap;
    int rc;

    va_start(ap, types);
    rc = prepare(db, ret, e, sql, types, &ap);
    va_end(ap);
    return rc;
}

int db_step(struct db *db, sqlite3_stmt *stmt, struct err *e)
{
    int rc = sqlite3_step(stmt);

    if (rc == SQLITE_ROW)
        return 1;
    return rc == SQLITE_DONE ? 0 : db_error(db, e, sqlite3_sql(stmt));
}

int db_run(struct db *db, struct err *e, const char *sql, const char *types, ...)
{
    auto_stmt sqlite3_stmt *stmt = NULL;
    va_list ap;
    int rc;

    va_start(ap, types);
    rc = prepare(db, &stmt, e, sql, types, &ap);
    va_end(ap);
    while (rc >= 0 && (rc = db_step(db, stmt, e)) > 0)
        ;
    return rc;
}
