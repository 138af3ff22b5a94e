/* The S3 API over HTTP, inside: what its operations share. */
#ifndef FNRUN_STORE_API_H
#define FNRUN_STORE_API_H

#include "http.h"
#include "manager.h"
#include "store_body.h"
#include "store_bucket.h"
#include "store_headers.h"
#include "store_job.h"
#include "store_upload.h"
#include "store_xml.h"

#define S3_NAMESPACE "http://s3.amazonaws.com/doc/2006-03-01/"

struct s3_request {
    struct http_request *http;
    const struct manager *manager;
    struct store *store;
    const struct s3_operation *operation;
    char request_id[17];
    char bucket[STORE_BUCKET_MAX + 1]; /* "" for the service itself */
    char key[STORE_KEY_MAX + 1];       /* "" for a bucket */
    struct s3_fault fault;
    struct s3_body body;

    /* Of operations that write. */
    struct store_file file;     /* the new object's or part's; its fd is -1 where there is none */
    struct store_object object; /* what becomes of it */
    struct store_part part;
    struct job job;
    struct job_piece *pieces;
};

enum s3_level { S3_SERVICE, S3_BUCKET, S3_OBJECT };
enum s3_body_kind {
    S3_BODY_NONE,         /* thrown away */
    S3_BODY_FILE,         /* goes to q->file */
    S3_BODY_XML,          /* goes to q->http->body */
    S3_BODY_XML_UNSUMMED, /* likewise; the checksum headers speak of something else */
};

/* One row of store_operation.def. Operations give S3_OK when they have answered or will; else the error is answered. */
struct s3_operation {
    const char *method;
    enum s3_level level;
    const char *query, *header; /* what the request must have; NULL: nothing */
    enum s3_body_kind body;
    enum s3_error (*check)(struct s3_request *q); /* before the body comes */
    enum s3_error (*run)(struct s3_request *q);   /* after it came and was found to be as claimed */
};

/* The operation that a request asks for; NULL with q->fault set where there is none. */
const struct s3_operation *s3_find_operation(struct s3_request *q, enum s3_level level);

#define OPERATION(method, level, query, header, body, check, run) \
    enum s3_error check(struct s3_request *q);                    \
    enum s3_error run(struct s3_request *q);
#include "store_operation.def"
#undef OPERATION

/* --- answers (store_answer.c) --- */

void s3_answer_empty(struct s3_request *q, unsigned status);
/* Takes over the document. */
void s3_answer_xml(struct s3_request *q, unsigned status, struct xml *x);
void s3_answer_error(struct s3_request *q, enum s3_error error);
void s3_set_etag(struct s3_request *q, const char *etag);
/* Where there is one. */
void s3_set_checksum(struct s3_request *q, enum checksum checksum, bool full_object, const char *text);
static inline const char *s3_checksum_type(bool full_object)
{
    return full_object ? "FULL_OBJECT" : "COMPOSITE";
}
void xml_owner(struct xml *x, const char *element);
void xml_checksum(struct xml *x, enum checksum checksum, bool full_object, const char *text);

/* --- paths (store_api.c) --- */

/* Percent-decoded; "bucket/key" without a slash in front. */
enum s3_error s3_decode_path(const char *path, size_t size, char bucket[STORE_BUCKET_MAX + 1],
                             char key[STORE_KEY_MAX + 1]);

/* --- writing (store_write.c) --- */

struct store_upload_ref s3_upload_ref(const struct s3_request *q);

/* Creates q->file. */
enum s3_error s3_open_file(struct s3_request *q);
/* Finishes q->file as q->job says (pieces, sums) and calls `done`, now or later. */
enum s3_error s3_start_job(struct s3_request *q, uint64_t bytes,
                           void (*done)(struct job *j, const struct job_result *));
/* In `done`: did the job fail? Then the request has been answered. */
bool s3_job_failed(struct s3_request *q, const struct job_result *result);
/* The source that x-amz-copy-source names, if the conditions of the request let it be read. */
enum s3_error s3_find_source(struct s3_request *q, struct store_object *ret, bool *ret_is_target);

#endif
