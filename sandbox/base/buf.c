#include "buf.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

void buf_free(struct buf *b)
{
    free(b->data);
    b->data = NULL;
    b->used = b->size = 0;
}

int buf_reserve(struct buf *b, size_t more, struct err *e)
{
    size_t cap = b->cap ? b->cap : BUF_DEFAULT_CAP;
    size_t size = b->size ? b->size : 256;
    char *data;

    if (more > cap || b->used > cap - more)
        return err_set(e, EMSGSIZE, "more than %zu bytes", cap);
    if (b->data && b->used + more + 1 <= b->size)
        return 0;
    while (size < b->used + more + 1)
        size = size > SIZE_MAX / 2 ? b->used + more + 1 : size * 2;
    data = realloc(b->data, size);
    if (!data)
        return err_set(e, ENOMEM, "no memory for %zu bytes", size);
    b->data = data;
    b->size = size;
    b->data[b->used] = '\0';
    return 0;
}

int buf_add(struct buf *b, const void *data, size_t size, struct err *e)
{
    if (buf_reserve(b, size, e) < 0)
        return -e->code;
    if (size)
        memcpy(b->data + b->used, data, size);
    b->used += size;
    b->data[b->used] = '\0';
    return 0;
}

int buf_add_str(struct buf *b, const char *s, struct err *e)
{
    return buf_add(b, s, strlen(s), e);
}

int buf_addf(struct buf *b, struct err *e, const char *fmt, ...)
{
    va_list ap, again;
    int n;

    va_start(ap, fmt);
    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0 || buf_reserve(b, (size_t)n, e) < 0) {
        va_end(again);
        return n < 0 ? err_set(e, EINVAL, "bad format") : -e->code;
    }
    vsnprintf(b->data + b->used, (size_t)n + 1, fmt, again);
    va_end(again);
    b->used += (size_t)n;
    return 0;
}

void buf_consume(struct buf *b, size_t n)
{
    if (n == 0)
        return;
    memmove(b->data, b->data + n, b->used - n);
    b->used -= n;
    b->data[b->used] = '\0';
}
