#include "base64.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int base64_encode(const void *data, size_t size, struct buf *ret, struct err *e)
{
    const uint8_t *p = data;
    char *out;

    if (buf_reserve(ret, (size + 2) / 3 * 4, e) < 0)
        return -e->code;
    out = ret->data + ret->used;
    for (; size > 0; p += 3) {
        size_t n = MIN(size, (size_t)3);
        uint32_t bits = (uint32_t)p[0] << 16 | (n > 1 ? (uint32_t)p[1] << 8 : 0) | (n > 2 ? p[2] : 0);

        *out++ = alphabet[bits >> 18];
        *out++ = alphabet[bits >> 12 & 63];
        *out++ = n > 1 ? alphabet[bits >> 6 & 63] : '=';
        *out++ = n > 2 ? alphabet[bits & 63] : '=';
        size -= n;
    }
    ret->used = (size_t)(out - ret->data);
    *out = '\0';
    return 0;
}

int base64_decode(const char *text, struct buf *ret, struct err *e)
{
    size_t length = strcspn(text, "=");
    uint32_t bits = 0;

    for (size_t i = 0; i < length; i++) {
        const char *at = memchr(alphabet, text[i], sizeof(alphabet) - 1);
        unsigned have = (unsigned)(i % 4) * 6; /* bits of a byte that are left over so far, modulo 8 */
        char byte;

        if (!at)
            return err_set(e, EINVAL, "not base64");
        bits = bits << 6 | (uint32_t)(at - alphabet);
        if (have == 0)
            continue;
        byte = (char)(bits >> (6 - i % 4 * 2));
        if (buf_add(ret, &byte, 1, e) < 0)
            return -e->code;
    }
    return 0;
}
