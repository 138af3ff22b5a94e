/* The errors of the object store, as clients see them. The table is store_error.def. */
#ifndef FNRUN_STORE_ERROR_H
#define FNRUN_STORE_ERROR_H

#include "../sandbox/base/err.h"

enum s3_error {
    S3_OK,
#define S3_ERROR(code, status, message) S3_##code,
#include "store_error.def"
#undef S3_ERROR
    S3_ERROR_COUNT
};

struct s3_error_kind {
    const char *code;
    unsigned status;
    const char *message;
};

extern const struct s3_error_kind s3_error_kinds[S3_ERROR_COUNT];

/* What a client hears of a failure inside: that the disk is full, which it can do something about, or nothing. */
enum s3_error s3_error_of(const struct err *e);

/* An error with what is to be said about it. */
struct s3_fault {
    enum s3_error error;
    char message[256];  /* "": that of the table */
    const char *header; /* the one that asks for what is not implemented; NULL: none */
    struct err err;     /* what lies behind S3_InternalError and S3_InsufficientStorage, for the log */
};

/* Sets error and message; returns the error. */
enum s3_error s3_fault_set(struct s3_fault *f, enum s3_error error, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
