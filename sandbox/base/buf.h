/*
 * A growing byte buffer with a cap. Whatever a peer can make long goes through one: growth past `cap` fails with
 * EMSGSIZE instead of eating memory. `data` always has a NUL behind `used` bytes once anything was added.
 */
#ifndef FNRUN_BUF_H
#define FNRUN_BUF_H

#include <stdarg.h>
#include <stddef.h>

#include "err.h"

struct buf {
    char *data;
    size_t used;
    size_t size;
    size_t cap; /* bytes; 0 means BUF_DEFAULT_CAP */
};

#define BUF_DEFAULT_CAP ((size_t)64 * 1024 * 1024)

/* Declares an empty buffer that is freed at the end of its scope. */
#define auto_buf __attribute__((cleanup(buf_free)))

void buf_free(struct buf *b);

/* Makes it empty but keeps the memory. */
static inline void buf_clear(struct buf *b)
{
    b->used = 0;
}

/* Makes room for `more` further bytes. -EMSGSIZE past the cap, -ENOMEM. */
int buf_reserve(struct buf *b, size_t more, struct err *e);

int buf_add(struct buf *b, const void *data, size_t size, struct err *e);
int buf_add_str(struct buf *b, const char *s, struct err *e);
int buf_addf(struct buf *b, struct err *e, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Removes the first `n` bytes. */
void buf_consume(struct buf *b, size_t n);

/* The bytes as a NUL-terminated string; "" for an empty buffer. Valid until the next change. */
static inline const char *buf_str(const struct buf *b)
{
    return b->used ? b->data : "";
}

#endif
