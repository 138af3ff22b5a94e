/*
 * What the store keeps, beneath the HTTP of store_api.h: buckets, objects and multipart uploads as rows of the
 * manager's database, their bytes as files of the store's directory.
 *
 * A file gets a random id as its name and never another; what makes it part of an object is the row that names it,
 * which is committed after the file was synced. So a crash leaves at most files that no row names, and these are
 * removed at the next start. Files are never changed once a row names them: whoever reads an object that is replaced
 * meanwhile reads the old one to its end.
 *
 * Functions that a client's request can fail answer with enum s3_error; *e is set for S3_InternalError and
 * S3_InsufficientStorage only.
 */
#ifndef FNRUN_STORE_FILE_H
#define FNRUN_STORE_FILE_H

#include <stdint.h>

#include "db.h"
#include "store.h"

#define STORE_ID_SIZE 33 /* 128 random bits in hex, and a NUL: names of files, ids of uploads */

struct store {
    struct loop *loop;
    struct db *db;
    int dir_fd;
};

void store_make_id(char ret[STORE_ID_SIZE]);

/* --- files --- */

/* A file being written. Discarding it is harmless where `fd` is -1. */
struct store_file {
    struct store *store;
    int fd;
    char id[STORE_ID_SIZE];
};

int store_file_create(struct store *s, struct store_file *ret, struct err *e);
void store_file_discard(struct store_file *f);
/* Closes it; the file stays, for a row names it now. */
void store_file_keep(struct store_file *f);
/* Opens a file for reading; the caller closes. */
int store_file_open(struct store *s, const char *id, struct err *e);
/* Gives the bytes of `id` a second name, durably: files never change, so a copy costs nothing. */
int store_file_link(struct store *s, const char *id, char ret[STORE_ID_SIZE], struct err *e);
/* Removes a file whose row is gone; "" is no file. A failure costs disk space until the next start only. */
void store_file_remove(struct store *s, const char *id);

/* --- transactions: rolled back at the end of their scope unless committed --- */

struct transaction {
    struct db *db; /* NULL: not begun, or over */
};

int transaction_begin(struct transaction *t, struct db *db, struct err *e);
int transaction_commit(struct transaction *t, struct err *e);
void transaction_end(struct transaction *t);
#define auto_transaction __attribute__((cleanup(transaction_end)))

#endif
