/*
 * The object store: buckets and objects in a directory, with S3's semantics for the subset that the API offers. An
 * object's file is written and synced before the row that names it: a reader sees the old one or the new one, and what
 * was answered is on disk. Object keys never become file names, so no key can name a file outside the store.
 */
#ifndef FNRUN_STORE_H
#define FNRUN_STORE_H

#include <stdint.h>

#include "../sandbox/base/err.h"
#include "../sandbox/base/loop.h"
#include "db.h"

struct store;

/* `dir` is data/store; made if absent. What an interrupted upload left is removed. */
int store_open(struct loop *loop, struct db *db, const char *dir, struct store **ret, struct err *e);

enum store_find { STORE_FOUND, STORE_NO_BUCKET, STORE_NO_KEY, STORE_ERROR };

/* Opens an object for reading: for CreateFunction with S3Bucket and S3Key. The caller closes *ret_fd. */
enum store_find store_open_object(struct store *s, const char *bucket, const char *key, int *ret_fd, uint64_t *ret_size,
                                  struct err *e);

#endif
