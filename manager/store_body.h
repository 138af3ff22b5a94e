/*
 * The body of a request on its way into the store: takes off the aws-chunked framing, sums and counts the bytes, and at
 * the end holds the sums against what the client claimed (Content-MD5, x-amz-content-sha256, x-amz-checksum-*).
 */
#ifndef FNRUN_STORE_BODY_H
#define FNRUN_STORE_BODY_H

#include "http.h"
#include "store_chunked.h"
#include "store_digest.h"
#include "store_error.h"

struct s3_body_claims {
    enum checksum checksum; /* what is summed; CHECKSUM_NONE: nothing */
    char checksum_text[CHECKSUM_TEXT_SIZE];
    bool checksum_sent, checksum_in_trailer;
    unsigned char md5[CHECKSUM_BYTES_MAX];
    bool md5_sent;
    const char *payload_sha256; /* hex; NULL where it isn't claimed */
    uint64_t size;
    bool size_sent;
};

struct s3_body {
    /* The owner's to set. */
    uint64_t max;      /* bytes */
    bool own_checksum; /* do x-amz-checksum-* headers speak of this body? */
    int (*sink)(struct s3_body *b, const char *data, size_t size, struct err *e);
    struct s3_fault *fault; /* where it tells what is wrong */

    /* For the owner to read: the size while it comes, the sums after s3_body_finish. */
    uint64_t size;
    unsigned char md5[MD5_BYTES];
    unsigned char checksum[CHECKSUM_BYTES_MAX];
    char checksum_text[CHECKSUM_TEXT_SIZE];

    struct s3_body_claims claims;
    struct digest digest;
    bool framed; /* aws-chunked */
    struct chunked chunked;
};

/* Reads the headers of a request. `summed`: the checksum to take where the client sends none. */
enum s3_error s3_body_begin(struct s3_body *b, const struct http_request *r, enum checksum summed);
enum s3_error s3_body_feed(struct s3_body *b, const char *data, size_t size);
enum s3_error s3_body_finish(struct s3_body *b);
void s3_body_free(struct s3_body *b);

#endif
