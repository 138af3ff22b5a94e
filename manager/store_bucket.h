/* The buckets of the object store. */
#ifndef FNRUN_STORE_BUCKET_H
#define FNRUN_STORE_BUCKET_H

#include <stdbool.h>

#include "../sandbox/base/clock.h"
#include "store_error.h"
#include "store_file.h"

#define STORE_BUCKET_MAX 63

struct store_bucket {
    char name[STORE_BUCKET_MAX + 1];
    char region[64];
    nsec_t created;
};

bool store_bucket_name_ok(const char *name);
enum s3_error store_bucket_create(struct store *s, const char *name, const char *region, struct err *e);
enum s3_error store_bucket_find(struct store *s, const char *name, struct store_bucket *ret, struct err *e);
/* Ends its multipart uploads too. */
enum s3_error store_bucket_delete(struct store *s, const char *name, struct err *e);
/* Calls `each` for every bucket, by name. */
enum s3_error store_bucket_each(struct store *s, void (*each)(void *ctx, const struct store_bucket *b), void *ctx,
                                struct err *e);

#endif
