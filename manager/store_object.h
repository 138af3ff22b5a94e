/* The objects of the store: their rows, and listing them. */
#ifndef FNRUN_STORE_OBJECT_H
#define FNRUN_STORE_OBJECT_H

#include <stdbool.h>

#include "../sandbox/base/buf.h"
#include "../sandbox/base/clock.h"
#include "store_digest.h"
#include "store_error.h"
#include "store_file.h"

#define STORE_KEY_MAX 1024
#define STORE_ETAG_SIZE 48
#define STORE_OBJECT_MAX (UINT64_C(5) << 30) /* bytes */

struct store_object {
    char file[STORE_ID_SIZE];
    uint64_t size;
    nsec_t modified;            /* wall clock */
    char etag[STORE_ETAG_SIZE]; /* without quotes */
    enum checksum checksum;
    bool full_object; /* the checksum is over the bytes; else over the checksums of the parts, "...-N" */
    char checksum_text[CHECKSUM_TEXT_SIZE];
    struct buf headers; /* what it is served with: "name\0value\0" ... */
};

static inline void store_object_free(struct store_object *o)
{
    buf_free(&o->headers);
}

#define auto_object __attribute__((cleanup(store_object_free)))

/* If-Match and If-None-Match of a request that writes; NULL where absent. */
struct store_condition {
    const char *if_match, *if_none_match;
};

/* Does the list of entity tags (or "*") in a header name `etag`? */
bool store_etag_listed(const char *header, const char *etag);

enum s3_error store_object_find(struct store *s, const char *bucket, const char *key, struct store_object *ret,
                                struct err *e);
/* Could an object be put there now? */
enum s3_error store_object_check(struct store *s, const char *bucket, const char *key,
                                 const struct store_condition *condition, struct err *e);
/* Puts the row for a file that is synced, in place of what stood there. */
enum s3_error store_object_put(struct store *s, const char *bucket, const char *key, const struct store_object *o,
                               const struct store_condition *condition, struct err *e);
/* The same inside a transaction: when it is committed, the caller removes the file `ret_old`. */
enum s3_error store_object_put_row(struct store *s, const char *bucket, const char *key, const struct store_object *o,
                                   const struct store_condition *condition, char ret_old[STORE_ID_SIZE], struct err *e);
/* Deletes all of `keys` or, on failure, none; a key without an object counts as deleted. */
enum s3_error store_object_delete(struct store *s, const char *bucket, char *const *keys, size_t count, struct err *e);

/* --- listing (store_list.c) --- */

struct store_list_query {
    const char *bucket, *prefix, *delimiter, *after; /* "" where absent */
    unsigned max;
};

struct store_list_item {
    char *key;
    bool is_prefix; /* a group of keys: only `key` is set */
    uint64_t size;
    nsec_t modified;
    char etag[STORE_ETAG_SIZE];
    enum checksum checksum;
    bool full_object;
};

struct store_listing {
    struct store_list_item *items;
    size_t count;
    bool truncated;
};

void store_listing_free(struct store_listing *l);
#define auto_listing __attribute__((cleanup(store_listing_free)))

enum s3_error store_list(struct store *s, const struct store_list_query *q, struct store_listing *ret, struct err *e);

#endif
