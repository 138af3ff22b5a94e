/* Base64 as in RFC 4648, without line breaks. */
#ifndef FNRUN_BASE64_H
#define FNRUN_BASE64_H

#include "../sandbox/base/buf.h"

/* Adds `size` bytes of `data` to `ret`, encoded. */
int base64_encode(const void *data, size_t size, struct buf *ret, struct err *e);
/* Adds the bytes that `text` stands for; -EINVAL where it is no base64. */
int base64_decode(const char *text, struct buf *ret, struct err *e);

#endif
