/* Base64 (RFC 4648, with padding) and digests as the API shows them. */
#ifndef FNRUN_BASE64_H
#define FNRUN_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for the text of `n` bytes, with its NUL. */
#define BASE64_SIZE(n) (((n) + 2) / 3 * 4 + 1)

void base64_encode(const void *data, size_t size, char *ret);

/* A text that arrives in pieces. Start it zeroed. */
struct base64_decoder {
    uint32_t bits;
    unsigned count;   /* characters in `bits`, 0 to 3 */
    unsigned padding; /* '=' seen so far */
};

/* Decodes `size` characters into `out`, which holds 3 bytes for every 4 and 3 more. Returns the number of bytes; -1
 * for what is no base64. Takes no white space. */
long base64_decode(struct base64_decoder *d, const char *text, size_t size, unsigned char *out);

/* Did the text end where one may end? */
bool base64_complete(const struct base64_decoder *d);

/* "9f86d081..." (64 digits of a sha256) to base64: 45 bytes with the NUL. */
void base64_from_hex_digest(const char *hex, char ret[45]);

#endif
