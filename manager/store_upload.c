#include "store_upload.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store_bucket.h"

enum s3_error store_upload_create(struct store *s, const char *bucket, const char *key, struct store_upload *u,
                                  struct err *e)
{
    struct store_bucket b;
    enum s3_error error = store_bucket_find(s, bucket, &b, e);

    if (error != S3_OK)
        return error;
    store_make_id(u->id);
    u->created = clock_wall();
    if (db_run(s->db, e,
               "INSERT INTO store_upload (id, bucket, key, created, checksum_name, full_object, headers)"
               " VALUES (?, ?, ?, ?, ?, ?, ?)",
               "ttbitib", u->id, bucket, key, strlen(key), u->created,
               u->checksum ? checksum_kinds[u->checksum].name : "", (int64_t)u->full_object, buf_str(&u->headers),
               u->headers.used) < 0)
        return s3_error_of(e);
    return S3_OK;
}

static int read_upload(sqlite3_stmt *stmt, struct store_upload *ret, struct err *e)
{
    snprintf(ret->id, sizeof(ret->id), "%s", (const char *)sqlite3_column_text(stmt, 0));
    ret->created = sqlite3_column_int64(stmt, 1);
    ret->checksum = checksum_by_name((const char *)sqlite3_column_text(stmt, 2));
    ret->full_object = sqlite3_column_int64(stmt, 3);
    buf_clear(&ret->headers);
    return buf_add(&ret->headers, sqlite3_column_blob(stmt, 4), (size_t)sqlite3_column_bytes(stmt, 4), e);
}

enum s3_error store_upload_find(struct store *s, const struct store_upload_ref *ref, struct store_upload *ret,
                                struct err *e)
{
    auto_stmt sqlite3_stmt *stmt = NULL;
    struct store_bucket b;
    enum s3_error error = store_bucket_find(s, ref->bucket, &b, e);
    int rc;

    if (error != S3_OK)
        return error;
    rc = db_prepare(s->db, &stmt, e,
                    "SELECT id, created, checksum_name, full_object, headers FROM store_upload"
                    " WHERE id = ? AND bucket = ? AND key = ?",
                    "ttb", ref->id, ref->bucket, ref->key, strlen(ref->key));
    if (rc < 0 || (rc = db_step(s->db, stmt, e)) < 0)
        return s3_error_of(e);
    if (rc == 0)
        return S3_NoSuchUpload;
    return read_upload(stmt, ret, e) < 0 ? s3_error_of(e) : S3_OK;
}

/* Deletes the upload and its parts, inside a transaction; `parts`: whose files go when it is committed. */
static enum s3_error delete_upload(struct store *s, const struct store_upload_ref *ref, struct store_parts *parts,
                                   struct err *e)
{
    auto_upload struct store_upload u = {0};
    enum s3_error error = store_upload_find(s, ref, &u, e);

    if (error == S3_OK)
        error = store_part_list(s, ref->id, 0, parts, e);
    if (error == S3_OK && db_run(s->db, e, "DELETE FROM store_upload WHERE id = ?", "t", ref->id) < 0)
        return s3_error_of(e);
    return error;
}

static void remove_files(struct store *s, const struct store_parts *parts)
{
    for (size_t i = 0; i < parts->count; i++)
        store_file_remove(s, parts->parts[i].file);
}

enum s3_error store_upload_abort(struct store *s, const struct store_upload_ref *ref, struct err *e)
{
    auto_transaction struct transaction t = {0};
    auto_parts struct store_parts parts = {0};
    enum s3_error error;

    if (transaction_begin(&t, s->db, e) < 0)
        return s3_error_of(e);
    error = delete_upload(s, ref, &parts, e);
    if (error != S3_OK)
        return error;
    if (transaction_commit(&t, e) < 0)
        return s3_error_of(e);
    remove_files(s, &parts);
    return S3_OK;
}

enum s3_error store_upload_complete(struct store *s, const struct store_upload_ref *ref, const struct store_object *o,
                                    const struct store_condition *condition, struct err *e)
{
    auto_transaction struct transaction t = {0};
    auto_parts struct store_parts parts = {0};
    char old[STORE_ID_SIZE];
    enum s3_error error;

    if (transaction_begin(&t, s->db, e) < 0)
        return s3_error_of(e);
    error = delete_upload(s, ref, &parts, e);
    if (error == S3_OK)
        error = store_object_put_row(s, ref->bucket, ref->key, o, condition, old, e);
    if (error != S3_OK)
        return error;
    if (transaction_commit(&t, e) < 0)
        return s3_error_of(e);
    remove_files(s, &parts);
    store_file_remove(s, old);
    return S3_OK;
}

/* --- parts -------------------------------------------------------------------------------------------------------- */

/* The file of the part that stands at a number; "" for none. */
static int find_part_file(struct store *s, const char *upload, unsigned number, char ret[STORE_ID_SIZE], struct err *e)
{
    auto_stmt sqlite3_stmt *stmt = NULL;
    int rc = db_prepare(s->db, &stmt, e, "SELECT file FROM store_part WHERE upload = ? AND number = ?", "ti", upload,
                        (int64_t)number);

    ret[0] = '\0';
    if (rc >= 0 && (rc = db_step(s->db, stmt, e)) > 0)
        snprintf(ret, STORE_ID_SIZE, "%s", (const char *)sqlite3_column_text(stmt, 0));
    return rc;
}

enum s3_error store_part_put(struct store *s, const struct store_upload_ref *ref, const struct store_part *part,
                             struct err *e)
{
    auto_transaction struct transaction t = {0};
    auto_upload struct store_upload u = {0};
    char old[STORE_ID_SIZE];
    enum s3_error error;

    if (transaction_begin(&t, s->db, e) < 0)
        return s3_error_of(e);
    error = store_upload_find(s, ref, &u, e);
    if (error != S3_OK)
        return error;
    if (find_part_file(s, ref->id, part->number, old, e) < 0 ||
        db_run(s->db, e,
               "INSERT OR REPLACE INTO store_part (upload, number, file, size, modified, etag, checksum)"
               " VALUES (?, ?, ?, ?, ?, ?, ?)",
               "titiitt", ref->id, (int64_t)part->number, part->file, (int64_t)part->size, part->modified, part->etag,
               part->checksum_text) < 0 ||
        transaction_commit(&t, e) < 0)
        return s3_error_of(e);
    store_file_remove(s, old);
    return S3_OK;
}

static void read_part(sqlite3_stmt *stmt, struct store_part *ret)
{
    ret->number = (unsigned)sqlite3_column_int64(stmt, 0);
    snprintf(ret->file, sizeof(ret->file), "%s", (const char *)sqlite3_column_text(stmt, 1));
    ret->size = (uint64_t)sqlite3_column_int64(stmt, 2);
    ret->modified = sqlite3_column_int64(stmt, 3);
    snprintf(ret->etag, sizeof(ret->etag), "%s", (const char *)sqlite3_column_text(stmt, 4));
    snprintf(ret->checksum_text, sizeof(ret->checksum_text), "%s", (const char *)sqlite3_column_text(stmt, 5));
}

enum s3_error store_part_list(struct store *s, const char *upload_id, unsigned after, struct store_parts *ret,
                              struct err *e)
{
    auto_stmt sqlite3_stmt *stmt = NULL;
    auto_free struct store_part *parts = calloc(STORE_PARTS_MAX, sizeof(*parts));
    size_t count = 0;
    int rc;

    if (!parts)
        err_set(e, ENOMEM, "list parts: no memory");
    if (!parts || db_prepare(s->db, &stmt, e,
                             "SELECT number, file, size, modified, etag, checksum FROM store_part"
                             " WHERE upload = ? AND number > ? ORDER BY number",
                             "ti", upload_id, (int64_t)after) < 0)
        return s3_error_of(e);
    while (count < STORE_PARTS_MAX && (rc = db_step(s->db, stmt, e)) != 0) {
        if (rc < 0)
            return s3_error_of(e);
        read_part(stmt, &parts[count++]);
    }
    *ret = (struct store_parts){.parts = take_ptr(&parts), .count = count};
    return S3_OK;
}

/* --- all uploads of a bucket ---------------------------------------------------------------------------------------- */

/* `end`: above all keys that begin with the prefix. An empty after_id passes over all uploads of after_key, as no id
 * is above "~". */
static int prepare_list(struct store *s, sqlite3_stmt **stmt, const struct store_upload_query *q, const struct buf *end,
                        struct err *e)
{
    const char *after_id = q->after_key[0] && !q->after_id[0] ? "~" : q->after_id;

    return db_prepare(s->db, stmt, e,
                      "SELECT id, created, checksum_name, full_object, headers, key FROM store_upload"
                      " WHERE bucket = ? AND key >= ? AND key < ? AND (key, id) > (?, ?) ORDER BY key, id",
                      "tbbbt", q->bucket, q->prefix, strlen(q->prefix), end->data, end->used, q->after_key,
                      strlen(q->after_key), after_id);
}

enum s3_error store_upload_list(struct store *s, const struct store_upload_query *q,
                                void (*each)(void *, const char *, const struct store_upload *), void *ctx,
                                bool *ret_truncated, struct err *e)
{
    auto_upload struct store_upload u = {0};
    auto_buf struct buf end = {0};
    auto_stmt sqlite3_stmt *stmt = NULL;
    unsigned count = 0;
    int rc = buf_addf(&end, e, "%s\xff", q->prefix);

    if (rc >= 0)
        rc = prepare_list(s, &stmt, q, &end, e);
    *ret_truncated = false;
    while (rc >= 0 && (rc = db_step(s->db, stmt, e)) > 0) {
        auto_free char *key = NULL;

        if (count++ == q->max) {
            *ret_truncated = true;
            break;
        }
        key = strndup(sqlite3_column_blob(stmt, 5), (size_t)sqlite3_column_bytes(stmt, 5));
        rc = key ? read_upload(stmt, &u, e) : err_set(e, ENOMEM, "list uploads: no memory");
        if (rc >= 0)
            each(ctx, key, &u);
    }
    return rc < 0 ? s3_error_of(e) : S3_OK;
}
