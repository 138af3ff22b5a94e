#include "store_object.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store_bucket.h"

#define COLUMNS "file, size, modified, etag, checksum_name, full_object, checksum, headers"

bool store_etag_listed(const char *header, const char *etag)
{
    size_t size = strlen(etag);

    if (strcmp(header, "*") == 0)
        return true;
    for (const char *p = header; *p;) {
        size_t length;

        p += strspn(p, " \t,");
        if (strncmp(p, "W/", 2) == 0)
            p += 2;
        length = strcspn(p, " \t,");
        if (length == size + 2 && p[0] == '"' && p[length - 1] == '"' && memcmp(p + 1, etag, size) == 0)
            return true;
        if (length == size && memcmp(p, etag, size) == 0)
            return true;
        p += length;
    }
    return false;
}

static void copy_text(char *ret, size_t size, sqlite3_stmt *stmt, int column)
{
    snprintf(ret, size, "%s", (const char *)sqlite3_column_text(stmt, column));
}

static int read_object(sqlite3_stmt *stmt, struct store_object *ret, struct err *e)
{
    copy_text(ret->file, sizeof(ret->file), stmt, 0);
    ret->size = (uint64_t)sqlite3_column_int64(stmt, 1);
    ret->modified = sqlite3_column_int64(stmt, 2);
    copy_text(ret->etag, sizeof(ret->etag), stmt, 3);
    ret->checksum = checksum_by_name((const char *)sqlite3_column_text(stmt, 4));
    ret->full_object = sqlite3_column_int64(stmt, 5);
    copy_text(ret->checksum_text, sizeof(ret->checksum_text), stmt, 6);
    buf_clear(&ret->headers);
    return buf_add(&ret->headers, sqlite3_column_blob(stmt, 7), (size_t)sqlite3_column_bytes(stmt, 7), e);
}

enum s3_error store_object_find(struct store *s, const char *bucket, const char *key, struct store_object *ret,
                                struct err *e)
{
    auto_stmt sqlite3_stmt *stmt = NULL;
    struct store_bucket b;
    enum s3_error error;
    int rc = db_prepare(s->db, &stmt, e, "SELECT " COLUMNS " FROM store_object WHERE bucket = ? AND key = ?", "tb",
                        bucket, key, strlen(key));

    if (rc < 0 || (rc = db_step(s->db, stmt, e)) < 0)
        return s3_error_of(e);
    if (rc > 0)
        return read_object(stmt, ret, e) < 0 ? s3_error_of(e) : S3_OK;
    error = store_bucket_find(s, bucket, &b, e);
    return error == S3_OK ? S3_NoSuchKey : error;
}

/* Would `condition` let a write happen that replaces `old` (NULL: nothing)? */
static enum s3_error check_condition(const struct store_condition *condition, const struct store_object *old)
{
    if (condition->if_match && !old)
        return S3_NoSuchKey;
    if (condition->if_match && !store_etag_listed(condition->if_match, old->etag))
        return S3_PreconditionFailed;
    if (condition->if_none_match && old && store_etag_listed(condition->if_none_match, old->etag))
        return S3_PreconditionFailed;
    return S3_OK;
}

/* As store_object_check; ret_file: what stands there, "" for nothing. */
static enum s3_error check_place(struct store *s, const char *bucket, const char *key,
                                 const struct store_condition *condition, char ret_file[STORE_ID_SIZE], struct err *e)
{
    auto_object struct store_object old = {0};
    enum s3_error error = store_object_find(s, bucket, key, &old, e);

    if (error != S3_OK && error != S3_NoSuchKey)
        return error;
    memcpy(ret_file, old.file, STORE_ID_SIZE);
    return check_condition(condition, error == S3_OK ? &old : NULL);
}

enum s3_error store_object_check(struct store *s, const char *bucket, const char *key,
                                 const struct store_condition *condition, struct err *e)
{
    char file[STORE_ID_SIZE];

    return check_place(s, bucket, key, condition, file, e);
}

enum s3_error store_object_put_row(struct store *s, const char *bucket, const char *key, const struct store_object *o,
                                   const struct store_condition *condition, char ret_old[STORE_ID_SIZE], struct err *e)
{
    enum s3_error error = check_place(s, bucket, key, condition, ret_old, e);

    if (error != S3_OK)
        return error;
    if (db_run(s->db, e,
               "INSERT OR REPLACE INTO store_object (bucket, key, " COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
               "tbtiittitb", bucket, key, strlen(key), o->file, (int64_t)o->size, o->modified, o->etag,
               o->checksum ? checksum_kinds[o->checksum].name : "", (int64_t)o->full_object, o->checksum_text,
               buf_str(&o->headers), o->headers.used) < 0)
        return s3_error_of(e);
    return S3_OK;
}

enum s3_error store_object_put(struct store *s, const char *bucket, const char *key, const struct store_object *o,
                               const struct store_condition *condition, struct err *e)
{
    auto_transaction struct transaction t = {0};
    char old[STORE_ID_SIZE];
    enum s3_error error;

    if (transaction_begin(&t, s->db, e) < 0)
        return s3_error_of(e);
    error = store_object_put_row(s, bucket, key, o, condition, old, e);
    if (error != S3_OK)
        return error;
    if (transaction_commit(&t, e) < 0)
        return s3_error_of(e);
    store_file_remove(s, old);
    return S3_OK;
}

static int delete_row(struct store *s, const char *bucket, const char *key, char ret_file[STORE_ID_SIZE], struct err *e)
{
    auto_stmt sqlite3_stmt *stmt = NULL;
    int rc = db_prepare(s->db, &stmt, e, "DELETE FROM store_object WHERE bucket = ? AND key = ? RETURNING file", "tb",
                        bucket, key, strlen(key));

    while (rc >= 0 && (rc = db_step(s->db, stmt, e)) > 0)
        copy_text(ret_file, STORE_ID_SIZE, stmt, 0);
    return rc;
}

enum s3_error store_object_delete(struct store *s, const char *bucket, char *const *keys, size_t count, struct err *e)
{
    auto_transaction struct transaction t = {0};
    auto_free char(*files)[STORE_ID_SIZE] = calloc(count ? count : 1, sizeof(*files));
    struct store_bucket b;
    enum s3_error error;

    if (!files)
        err_set(e, ENOMEM, "store: no memory");
    if (!files || transaction_begin(&t, s->db, e) < 0)
        return s3_error_of(e);
    error = store_bucket_find(s, bucket, &b, e);
    if (error != S3_OK)
        return error;
    for (size_t i = 0; i < count; i++)
        if (delete_row(s, bucket, keys[i], files[i], e) < 0)
            return s3_error_of(e);
    if (transaction_commit(&t, e) < 0)
        return s3_error_of(e);
    for (size_t i = 0; i < count; i++)
        store_file_remove(s, files[i]);
    return S3_OK;
}
