/*
 * Listing: keys in the order of their bytes, those that share a beginning up to the delimiter grouped. A group is
 * passed over in one step, however many keys it holds.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store_bucket.h"
#include "store_object.h"

/* Where to look on: the smallest key that may be next, or the first that may not. */
struct bound {
    unsigned char data[STORE_KEY_MAX + 1];
    size_t size;
};

struct scan {
    const struct store_list_query *q;
    struct store_listing *listing;
    struct bound from, to;
    bool no_memory;
};

void store_listing_free(struct store_listing *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->items[i].key);
    free(l->items);
    *l = (struct store_listing){0};
}

/* `text` and one byte behind it. What is longer than a key is cut, which moves no key across the bound. */
static void set_bound(struct bound *b, const char *text, size_t size, unsigned char last)
{
    b->size = MIN(size, (size_t)STORE_KEY_MAX);
    memcpy(b->data, text, b->size);
    b->data[b->size++] = last;
}

/* No byte of UTF-8 is 0xff, so all keys that begin with P are below P 0xff; what follows key K at once is K 0x00. */
static void start_scan(struct scan *scan, const struct store_list_query *q, struct store_listing *listing)
{
    size_t prefix = strlen(q->prefix), after = strlen(q->after);

    *scan = (struct scan){.q = q, .listing = listing};
    set_bound(&scan->to, q->prefix, prefix, 0xff);
    if (strcmp(q->after, q->prefix) >= 0 && after > 0) {
        set_bound(&scan->from, q->after, after, 0x00);
    } else {
        set_bound(&scan->from, q->prefix, prefix, 0x00);
        scan->from.size--;
    }
}

/* Bytes of `key` that name its group; 0 where it is in none. */
static size_t group_size(const struct store_list_query *q, const char *key, size_t size)
{
    size_t prefix = strlen(q->prefix), delimiter = strlen(q->delimiter);
    const char *end;

    if (delimiter == 0)
        return 0;
    end = memmem(key + prefix, size - prefix, q->delimiter, delimiter);
    return end ? (size_t)(end - key) + delimiter : 0;
}

/* A further item; NULL where the listing is full, which makes it a truncated one, or memory is. */
static struct store_list_item *add_item(struct scan *scan, const char *key, size_t size)
{
    struct store_listing *l = scan->listing;
    struct store_list_item *item;

    if (l->count == scan->q->max) {
        l->truncated = true;
        return NULL;
    }
    item = &l->items[l->count];
    *item = (struct store_list_item){.key = strndup(key, size)};
    scan->no_memory = !item->key;
    l->count += !scan->no_memory;
    return scan->no_memory ? NULL : item;
}

static bool add_object(struct scan *scan, sqlite3_stmt *stmt, const char *key, size_t size)
{
    struct store_list_item *item = add_item(scan, key, size);

    if (!item)
        return false;
    item->size = (uint64_t)sqlite3_column_int64(stmt, 1);
    item->modified = sqlite3_column_int64(stmt, 2);
    snprintf(item->etag, sizeof(item->etag), "%s", (const char *)sqlite3_column_text(stmt, 3));
    item->checksum = checksum_by_name((const char *)sqlite3_column_text(stmt, 4));
    item->full_object = sqlite3_column_int64(stmt, 5);
    return true;
}

/* Adds the group that `key` begins with, unless a marker lies in it, and goes on behind it. */
static bool add_group(struct scan *scan, const char *key, size_t size)
{
    struct store_list_item *item;

    set_bound(&scan->from, key, size, 0xff);
    if (strncmp(scan->q->after, key, size) == 0)
        return true;
    item = add_item(scan, key, size);
    if (item)
        item->is_prefix = true;
    return item != NULL;
}

/* Reads from scan->from to the next group. 1: go on there; 0: all is listed. */
static int read_run(struct store *s, struct scan *scan, struct err *e)
{
    auto_stmt sqlite3_stmt *stmt = NULL;
    int rc = db_prepare(s->db, &stmt, e,
                        "SELECT key, size, modified, etag, checksum_name, full_object FROM store_object"
                        " WHERE bucket = ? AND key >= ? AND key < ? ORDER BY key",
                        "tbb", scan->q->bucket, scan->from.data, scan->from.size, scan->to.data, scan->to.size);

    while (rc >= 0 && (rc = db_step(s->db, stmt, e)) > 0) {
        const char *key = sqlite3_column_blob(stmt, 0);
        size_t size = (size_t)sqlite3_column_bytes(stmt, 0), group = group_size(scan->q, key, size);

        if (group > 0)
            return add_group(scan, key, group);
        if (!add_object(scan, stmt, key, size))
            return 0;
    }
    return rc;
}

enum s3_error store_list(struct store *s, const struct store_list_query *q, struct store_listing *ret, struct err *e)
{
    struct store_bucket b;
    struct scan scan;
    enum s3_error error = store_bucket_find(s, q->bucket, &b, e);
    int rc = 0;

    if (error != S3_OK || q->max == 0 || strlen(q->prefix) > STORE_KEY_MAX)
        return error;
    ret->items = calloc(q->max, sizeof(*ret->items));
    start_scan(&scan, q, ret);
    scan.no_memory = !ret->items;
    while (!scan.no_memory && (rc = read_run(s, &scan, e)) > 0)
        ;
    if (scan.no_memory)
        rc = err_set(e, ENOMEM, "list: no memory");
    return rc < 0 ? s3_error_of(e) : S3_OK;
}
