#include "store_chunked.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "../sandbox/base/macros.h"

static int take_size(struct chunked *c)
{
    size_t digits = strspn(c->line, "0123456789abcdefABCDEF");

    /* 15 digits can't overflow; behind them may stand ";chunk-signature=...". */
    if (digits == 0 || digits > 15 || !strchr("; ", c->line[digits]))
        return -EBADMSG;
    c->left = strtoull(c->line, NULL, 16);
    c->state = c->left ? CHUNKED_DATA : CHUNKED_TRAILER;
    return 0;
}

static int take_trailer(struct chunked *c)
{
    char *value = strchr(c->line, ':');

    if (c->line[0] == '\0') {
        c->state = CHUNKED_DONE;
        return 0;
    }
    if (!value)
        return -EBADMSG;
    *value++ = '\0';
    return c->on_trailer(c, c->line, value + strspn(value, " \t"));
}

static int take_line(struct chunked *c)
{
    while (c->line_used > 0 && isspace((unsigned char)c->line[c->line_used - 1]))
        c->line_used--;
    c->line[c->line_used] = '\0';
    c->line_used = 0;
    if (c->state == CHUNKED_SIZE)
        return take_size(c);
    if (c->state == CHUNKED_TRAILER)
        return take_trailer(c);
    if (c->line[0])
        return -EBADMSG;
    c->state = CHUNKED_SIZE;
    return 0;
}

/* Collects up to the end of a line; returns the bytes taken, or negative. */
static long feed_line(struct chunked *c, const char *data, size_t size)
{
    const char *end = memchr(data, '\n', size);
    size_t n = end ? (size_t)(end - data) : size;
    int rc;

    if (c->line_used + n >= sizeof(c->line))
        return -EBADMSG;
    memcpy(c->line + c->line_used, data, n);
    c->line_used += n;
    if (!end)
        return (long)n;
    rc = take_line(c);
    return rc < 0 ? rc : (long)n + 1;
}

static long feed_data(struct chunked *c, const char *data, size_t size)
{
    size_t n = MIN(size, c->left);
    int rc = c->on_data(c, data, n);

    if (rc < 0)
        return rc;
    c->left -= n;
    if (c->left == 0)
        c->state = CHUNKED_DATA_END;
    return (long)n;
}

int chunked_feed(struct chunked *c, const char *data, size_t size)
{
    while (size > 0) {
        long n = c->state == CHUNKED_DONE   ? -EBADMSG
                 : c->state == CHUNKED_DATA ? feed_data(c, data, size)
                                            : feed_line(c, data, size);

        if (n < 0)
            return (int)n;
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

bool chunked_complete(const struct chunked *c)
{
    return c->state == CHUNKED_DONE || (c->state == CHUNKED_TRAILER && c->line_used == 0);
}
