/* The headers and arguments of S3 requests: what is kept with an object, conditions, ranges, numbers. */
#ifndef FNRUN_STORE_HEADERS_H
#define FNRUN_STORE_HEADERS_H

#include "store_object.h"

struct s3_request;

/* S3_NotImplemented for a header whose wish would be dropped silently. */
enum s3_error s3_check_headers(struct s3_request *q);
/* The headers that an object is served with, from the request that makes it. */
enum s3_error s3_collect_headers(struct s3_request *q, struct buf *ret);
struct store_condition s3_write_condition(const struct s3_request *q);
/* S3_OK, S3_NotModified or S3_PreconditionFailed. `prefix`: "" or "x-amz-copy-source-". */
enum s3_error s3_check_conditions(const struct s3_request *q, const char *prefix, const struct store_object *o);
/* "Sun, 06 Nov 1994 08:49:37 GMT" */
void s3_format_date(nsec_t wall, char ret[32]);

struct s3_range {
    bool given; /* else it is the whole object */
    uint64_t first, size;
};

/* S3_OK or S3_InvalidRange; what is no single range is as good as none. */
enum s3_error s3_parse_range(const char *header, uint64_t object_size, struct s3_range *ret);

/* A query argument that is a number: `fallback` where absent, at most `max`; S3_InvalidArgument where it is none. */
enum s3_error s3_query_number(struct s3_request *q, const char *name, unsigned fallback, unsigned max, unsigned *ret);
/* "" where absent. */
const char *s3_query_text(const struct s3_request *q, const char *name);

#endif
