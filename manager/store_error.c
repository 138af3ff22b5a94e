#include "store_error.h"

#include <errno.h>

const struct s3_error_kind s3_error_kinds[S3_ERROR_COUNT] = {
#define S3_ERROR(code, status, message) [S3_##code] = {#code, status, message},
#include "store_error.def"
#undef S3_ERROR
};

enum s3_error s3_error_of(const struct err *e)
{
    return e->code == ENOSPC || e->code == EDQUOT ? S3_InsufficientStorage : S3_InternalError;
}
