#include "store_error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

const struct s3_error_kind s3_error_kinds[S3_ERROR_COUNT] = {
#define S3_ERROR(code, status, message) [S3_##code] = {#code, status, message},
#include "store_error.def"
#undef S3_ERROR
};

enum s3_error s3_error_of(const struct err *e)
{
    return e->code == ENOSPC || e->code == EDQUOT ? S3_InsufficientStorage : S3_InternalError;
}

enum s3_error s3_fault_set(struct s3_fault *f, enum s3_error error, const char *fmt, ...)
{
    va_list ap;

    f->error = error;
    va_start(ap, fmt);
    vsnprintf(f->message, sizeof(f->message), fmt, ap);
    va_end(ap);
    return error;
}
