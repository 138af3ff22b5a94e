#include "base64.h"

#include <limits.h>
#include <openssl/evp.h>
#include <stdlib.h>

void base64_encode(const void *data, size_t size, char *ret)
{
    ret[0] = '\0';
    if (size <= INT_MAX)
        EVP_EncodeBlock((unsigned char *)ret, data, (int)size);
}

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

/* Not EVP_DecodeUpdate: that one skips white space, stops silently at '-', and wants its text in lines. */
long base64_decode(struct base64_decoder *d, const char *text, size_t size, unsigned char *out)
{
    unsigned char *o = out;

    for (size_t i = 0; i < size; i++) {
        int value = value_of(text[i]);

        if (text[i] == '=' && d->count >= 2) {
            d->padding++;
            value = 0;
        } else if (value < 0 || d->padding > 0) {
            return -1;
        }
        d->bits = d->bits << 6 | (uint32_t)value;
        if (++d->count < 4)
            continue;
        for (unsigned n = 0; n < 3 - d->padding; n++)
            *o++ = (unsigned char)(d->bits >> (16 - 8 * n));
        d->bits = d->count = 0;
    }
    return o - out;
}

bool base64_complete(const struct base64_decoder *d)
{
    return d->count == 0;
}

void base64_from_hex_digest(const char *hex, char ret[45])
{
    unsigned char digest[32] = {0};

    for (unsigned i = 0; i < sizeof(digest) && hex[2 * i] && hex[2 * i + 1]; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};

        digest[i] = (unsigned char)strtoul(pair, NULL, 16);
    }
    base64_encode(digest, sizeof(digest), ret);
}
