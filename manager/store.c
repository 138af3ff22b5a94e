#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../sandbox/base/fd.h"
#include "../sandbox/base/log.h"
#include "store_object.h"

/* Keys are blobs, so that SQLite orders them as S3 does: by their bytes. */
static const char schema[] =
    "CREATE TABLE IF NOT EXISTS store_bucket (name TEXT PRIMARY KEY, region TEXT NOT NULL, created INTEGER NOT NULL)"
    " WITHOUT ROWID, STRICT;"
    "CREATE TABLE IF NOT EXISTS store_object (bucket TEXT NOT NULL REFERENCES store_bucket (name),"
    " key BLOB NOT NULL, file TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, modified INTEGER NOT NULL,"
    " etag TEXT NOT NULL, checksum_name TEXT NOT NULL, full_object INTEGER NOT NULL, checksum TEXT NOT NULL,"
    " headers BLOB NOT NULL, PRIMARY KEY (bucket, key)) WITHOUT ROWID, STRICT;"
    "CREATE TABLE IF NOT EXISTS store_upload (id TEXT PRIMARY KEY,"
    " bucket TEXT NOT NULL REFERENCES store_bucket (name), key BLOB NOT NULL, created INTEGER NOT NULL,"
    " checksum_name TEXT NOT NULL, full_object INTEGER NOT NULL, headers BLOB NOT NULL) WITHOUT ROWID, STRICT;"
    "CREATE INDEX IF NOT EXISTS store_upload_key ON store_upload (bucket, key, id);"
    "CREATE TABLE IF NOT EXISTS store_part (upload TEXT NOT NULL REFERENCES store_upload (id) ON DELETE CASCADE,"
    " number INTEGER NOT NULL, file TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, modified INTEGER NOT NULL,"
    " etag TEXT NOT NULL, checksum TEXT NOT NULL, PRIMARY KEY (upload, number)) WITHOUT ROWID, STRICT;";

/* --- files ------------------------------------------------------------------------------------------------------ */

void store_make_id(char ret[STORE_ID_SIZE])
{
    unsigned char raw[(STORE_ID_SIZE - 1) / 2];

    if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
        abort(); /* the kernel's promise: up to 256 bytes never fail */
    hex_encode(raw, sizeof(raw), ret);
}

int store_file_create(struct store *s, struct store_file *ret, struct err *e)
{
    struct store_file f = {.store = s};

    store_make_id(f.id);
    f.fd = openat(s->dir_fd, f.id, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (f.fd < 0)
        return err_errno(e, "store: create %s", f.id);
    *ret = f;
    return 0;
}

void store_file_discard(struct store_file *f)
{
    if (f->fd < 0)
        return;
    fd_close(&f->fd);
    store_file_remove(f->store, f->id);
}

void store_file_keep(struct store_file *f)
{
    fd_close(&f->fd);
}

int store_file_open(struct store *s, const char *id, struct err *e)
{
    int fd = openat(s->dir_fd, id, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    return fd < 0 ? err_errno(e, "store: open %s", id) : fd;
}

int store_file_link(struct store *s, const char *id, char ret[STORE_ID_SIZE], struct err *e)
{
    char name[STORE_ID_SIZE];

    store_make_id(name);
    if (linkat(s->dir_fd, id, s->dir_fd, name, 0) < 0)
        return err_errno(e, "store: link %s", id);
    if (fsync(s->dir_fd) < 0) {
        err_errno(e, "store: sync the folder");
        store_file_remove(s, name);
        return -e->code;
    }
    memcpy(ret, name, sizeof(name));
    return 0;
}

void store_file_remove(struct store *s, const char *id)
{
    if (id[0] && unlinkat(s->dir_fd, id, 0) < 0)
        log_warn("store: remove %s: %s", id, strerror(errno));
}

/* --- transactions ----------------------------------------------------------------------------------------------- */

int transaction_begin(struct transaction *t, struct db *db, struct err *e)
{
    if (db_exec(db, "BEGIN IMMEDIATE", e) < 0)
        return -e->code;
    t->db = db;
    return 0;
}

int transaction_commit(struct transaction *t, struct err *e)
{
    if (db_exec(t->db, "COMMIT", e) < 0)
        return -e->code;
    t->db = NULL;
    return 0;
}

void transaction_end(struct transaction *t)
{
    struct err e;

    /* SQLite rolls back by itself after some failures. */
    if (t->db && !sqlite3_get_autocommit(t->db->handle) && db_exec(t->db, "ROLLBACK", &e) < 0)
        log_error("store: %s", e.msg);
    t->db = NULL;
}

/* --- start ------------------------------------------------------------------------------------------------------ */

static int open_dir(const char *dir, struct err *e)
{
    int fd;

    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return err_errno(e, "make %s", dir);
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? err_errno(e, "open %s", dir) : fd;
}

/* Is the file part of an object or an upload? 1, 0, or negative. */
static int is_named(struct store *s, const char *file, struct err *e)
{
    auto_stmt sqlite3_stmt *stmt = NULL;

    if (db_prepare(s->db, &stmt, e,
                   "SELECT 1 FROM store_object WHERE file = ?1 UNION ALL SELECT 1 FROM store_part WHERE file = ?1", "t",
                   file) < 0)
        return -e->code;
    return db_step(s->db, stmt, e);
}

static int sweep_file(struct store *s, const char *name, struct err *e)
{
    int named;

    if (strlen(name) != STORE_ID_SIZE - 1 || strspn(name, "0123456789abcdef") != STORE_ID_SIZE - 1)
        return 0;
    named = is_named(s, name, e);
    if (named == 0)
        store_file_remove(s, name);
    return named;
}

static void close_dir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

/* Removes what an interrupted upload or delete left. */
static int sweep(struct store *s, struct err *e)
{
    int fd = openat(s->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    __attribute__((cleanup(close_dir))) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;

    if (!dir) {
        err_errno(e, "read the folder");
        fd_close(&fd);
        return -e->code;
    }
    while ((entry = readdir(dir)))
        if (sweep_file(s, entry->d_name, e) < 0)
            return -e->code;
    return 0;
}

int store_open(struct loop *loop, struct db *db, const char *dir, struct store **ret, struct err *e)
{
    auto_free struct store *s = calloc(1, sizeof(*s));

    if (!s)
        return err_set(e, ENOMEM, "store: no memory");
    *s = (struct store){.loop = loop, .db = db, .dir_fd = open_dir(dir, e)};
    if (s->dir_fd < 0)
        return err_wrap(e, "store");
    if (db_exec(db, schema, e) < 0 || sweep(s, e) < 0) {
        fd_close(&s->dir_fd);
        return err_wrap(e, "store");
    }
    *ret = take_ptr(&s);
    return 0;
}

/* --- for CreateFunction ------------------------------------------------------------------------------------------ */

enum store_find store_open_object(struct store *s, const char *bucket, const char *key, int *ret_fd, uint64_t *ret_size,
                                  struct err *e)
{
    auto_object struct store_object o = {0};
    enum s3_error error = store_object_find(s, bucket, key, &o, e);
    int fd;

    if (error == S3_NoSuchBucket)
        return STORE_NO_BUCKET;
    if (error == S3_NoSuchKey)
        return STORE_NO_KEY;
    fd = error == S3_OK ? store_file_open(s, o.file, e) : -1;
    if (fd < 0)
        return STORE_ERROR;
    *ret_fd = fd;
    *ret_size = o.size;
    return STORE_FOUND;
}
