/* Multipart uploads: parts that become an object when their upload is completed. */
#ifndef FNRUN_STORE_UPLOAD_H
#define FNRUN_STORE_UPLOAD_H

#include "store_object.h"

#define STORE_PART_MIN (UINT64_C(5) << 20) /* bytes; but for the last */
#define STORE_PARTS_MAX 10000

struct store_upload {
    char id[STORE_ID_SIZE];
    nsec_t created;
    enum checksum checksum;
    bool full_object;
    struct buf headers;
};

static inline void store_upload_free(struct store_upload *u)
{
    buf_free(&u->headers);
}

#define auto_upload __attribute__((cleanup(store_upload_free)))

struct store_part {
    unsigned number;
    char file[STORE_ID_SIZE];
    uint64_t size;
    nsec_t modified;
    char etag[STORE_ETAG_SIZE];
    char checksum_text[CHECKSUM_TEXT_SIZE]; /* of the upload's kind; "" where none was sent */
};

struct store_upload_ref {
    const char *bucket, *key, *id;
};

/* Sets u->id and u->created. */
enum s3_error store_upload_create(struct store *s, const char *bucket, const char *key, struct store_upload *u,
                                  struct err *e);
enum s3_error store_upload_find(struct store *s, const struct store_upload_ref *ref, struct store_upload *ret,
                                struct err *e);
enum s3_error store_upload_abort(struct store *s, const struct store_upload_ref *ref, struct err *e);
/* Puts the object and ends the upload, in one transaction. */
enum s3_error store_upload_complete(struct store *s, const struct store_upload_ref *ref, const struct store_object *o,
                                    const struct store_condition *condition, struct err *e);
/* Puts the row of a part whose file is synced, in place of the part of the same number. */
enum s3_error store_part_put(struct store *s, const struct store_upload_ref *ref, const struct store_part *part,
                             struct err *e);
/* The parts behind number `after`, at most STORE_PARTS_MAX, in order. */
struct store_parts {
    struct store_part *parts;
    size_t count;
};

static inline void store_parts_free(struct store_parts *p)
{
    free(p->parts);
}

#define auto_parts __attribute__((cleanup(store_parts_free)))

enum s3_error store_part_list(struct store *s, const char *upload_id, unsigned after, struct store_parts *ret,
                              struct err *e);

struct store_upload_query {
    const char *bucket, *prefix, *after_key, *after_id;
    unsigned max;
};

/* Calls `each` for the uploads of a bucket, by key and id; *ret_truncated: there are more than `max`. */
enum s3_error store_upload_list(struct store *s, const struct store_upload_query *q,
                                void (*each)(void *ctx, const char *key, const struct store_upload *u), void *ctx,
                                bool *ret_truncated, struct err *e);

#endif
