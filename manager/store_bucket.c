#include "store_bucket.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "store_upload.h"

static bool has_edge(const char *name, const char *prefix, const char *suffix)
{
    size_t n = strlen(name), p = strlen(prefix), s = strlen(suffix);

    return n >= p + s && strncmp(name, prefix, p) == 0 && strcmp(name + n - s, suffix) == 0;
}

/* The rules of S3's general purpose buckets. */
bool store_bucket_name_ok(const char *name)
{
    static const char *const reserved[][2] = {{"xn--", ""},     {"sthree-", ""},   {"amzn-s3-demo-", ""},
                                              {"", "-s3alias"}, {"", "--ol-s3"},   {"", ".mrap"},
                                              {"", "--x-s3"},   {"", "--table-s3"}};
    size_t size = strlen(name);
    struct in_addr addr;

    if (size < 3 || size > STORE_BUCKET_MAX || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") != size)
        return false;
    if (strchr(".-", name[0]) || strchr(".-", name[size - 1]) || strstr(name, "..") ||
        inet_pton(AF_INET, name, &addr) == 1)
        return false;
    for (unsigned i = 0; i < ARRAY_LEN(reserved); i++)
        if (has_edge(name, reserved[i][0], reserved[i][1]))
            return false;
    return true;
}

static void read_bucket(sqlite3_stmt *stmt, struct store_bucket *ret)
{
    snprintf(ret->name, sizeof(ret->name), "%s", (const char *)sqlite3_column_text(stmt, 0));
    snprintf(ret->region, sizeof(ret->region), "%s", (const char *)sqlite3_column_text(stmt, 1));
    ret->created = sqlite3_column_int64(stmt, 2);
}

enum s3_error store_bucket_create(struct store *s, const char *name, const char *region, struct err *e)
{
    if (!store_bucket_name_ok(name))
        return S3_InvalidBucketName;
    if (db_run(s->db, e, "INSERT OR IGNORE INTO store_bucket (name, region, created) VALUES (?, ?, ?)", "tti", name,
               region, clock_wall()) < 0)
        return s3_error_of(e);
    return sqlite3_changes(s->db->handle) ? S3_OK : S3_BucketAlreadyOwnedByYou;
}

enum s3_error store_bucket_find(struct store *s, const char *name, struct store_bucket *ret, struct err *e)
{
    auto_stmt sqlite3_stmt *stmt = NULL;
    int rc = db_prepare(s->db, &stmt, e, "SELECT name, region, created FROM store_bucket WHERE name = ?", "t", name);

    if (rc < 0 || (rc = db_step(s->db, stmt, e)) < 0)
        return s3_error_of(e);
    if (rc == 0)
        return S3_NoSuchBucket;
    read_bucket(stmt, ret);
    return S3_OK;
}

enum s3_error store_bucket_each(struct store *s, void (*each)(void *, const struct store_bucket *), void *ctx,
                                struct err *e)
{
    auto_stmt sqlite3_stmt *stmt = NULL;
    struct store_bucket b;
    int rc = db_prepare(s->db, &stmt, e, "SELECT name, region, created FROM store_bucket ORDER BY name", "");

    if (rc < 0)
        return s3_error_of(e);
    while ((rc = db_step(s->db, stmt, e)) > 0) {
        read_bucket(stmt, &b);
        each(ctx, &b);
    }
    return rc < 0 ? s3_error_of(e) : S3_OK;
}

static enum s3_error check_empty(struct store *s, const char *name, struct err *e)
{
    auto_stmt sqlite3_stmt *stmt = NULL;
    int rc = db_prepare(s->db, &stmt, e, "SELECT 1 FROM store_object WHERE bucket = ? LIMIT 1", "t", name);

    if (rc < 0 || (rc = db_step(s->db, stmt, e)) < 0)
        return s3_error_of(e);
    return rc ? S3_BucketNotEmpty : S3_OK;
}

/* The files of a bucket's parts, one after another, each with its NUL. */
static int collect_part_files(struct store *s, const char *name, struct buf *files, struct err *e)
{
    auto_stmt sqlite3_stmt *stmt = NULL;
    int rc = db_prepare(s->db, &stmt, e,
                        "SELECT file FROM store_part WHERE upload IN (SELECT id FROM store_upload WHERE bucket = ?)",
                        "t", name);

    while (rc >= 0 && (rc = db_step(s->db, stmt, e)) > 0)
        rc = buf_add(files, sqlite3_column_text(stmt, 0), STORE_ID_SIZE, e);
    return rc;
}

static enum s3_error delete_rows(struct store *s, const char *name, struct buf *files, struct err *e)
{
    if (collect_part_files(s, name, files, e) < 0 ||
        db_run(s->db, e, "DELETE FROM store_upload WHERE bucket = ?", "t", name) < 0 ||
        db_run(s->db, e, "DELETE FROM store_bucket WHERE name = ?", "t", name) < 0)
        return s3_error_of(e);
    return sqlite3_changes(s->db->handle) ? S3_OK : S3_NoSuchBucket;
}

enum s3_error store_bucket_delete(struct store *s, const char *name, struct err *e)
{
    auto_transaction struct transaction t = {0};
    auto_buf struct buf files = {0};
    enum s3_error error;

    if (transaction_begin(&t, s->db, e) < 0)
        return s3_error_of(e);
    error = check_empty(s, name, e);
    if (error == S3_OK)
        error = delete_rows(s, name, &files, e);
    if (error != S3_OK)
        return error;
    if (transaction_commit(&t, e) < 0)
        return s3_error_of(e);
    for (size_t i = 0; i < files.used; i += STORE_ID_SIZE)
        store_file_remove(s, files.data + i);
    return S3_OK;
}
