#include "store_crc.h"

#include <endian.h>
#include <string.h>

/* A reflected CRC, eight bytes a step: row k holds the sums of a byte with k zero bytes behind it. */
struct crc {
    uint64_t polynomial; /* bits reversed */
    uint64_t ones;       /* all bits of the sum: its start and its last step */
    uint64_t table[8][256];
};

static struct crc crc32c = {.polynomial = UINT64_C(0x82f63b78), .ones = UINT64_C(0xffffffff)};
static struct crc crc64nvme = {.polynomial = UINT64_C(0x9a6c9329ac4bc9b5), .ones = UINT64_MAX};

static void fill_table(struct crc *c)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        uint64_t sum = byte;

        for (unsigned bit = 0; bit < 8; bit++)
            sum = sum & 1 ? sum >> 1 ^ c->polynomial : sum >> 1;
        c->table[0][byte] = sum;
    }
    for (unsigned k = 1; k < 8; k++)
        for (unsigned byte = 0; byte < 256; byte++)
            c->table[k][byte] = c->table[k - 1][byte] >> 8 ^ c->table[0][c->table[k - 1][byte] & 0xff];
}

static uint64_t add_word(const struct crc *c, uint64_t word)
{
    uint64_t sum = 0;

    for (unsigned k = 0; k < 8; k++, word >>= 8)
        sum ^= c->table[7 - k][word & 0xff];
    return sum;
}

static uint64_t add(struct crc *c, uint64_t crc, const unsigned char *p, size_t size)
{
    uint64_t sum = crc ^ c->ones, word;

    if (!c->table[0][1])
        fill_table(c);
    for (; size >= sizeof(word); size -= sizeof(word), p += sizeof(word)) {
        memcpy(&word, p, sizeof(word));
        sum = add_word(c, le64toh(word) ^ sum);
    }
    for (; size > 0; size--, p++)
        sum = sum >> 8 ^ c->table[0][(sum ^ *p) & 0xff];
    return sum ^ c->ones;
}

uint64_t crc32c_add(uint64_t crc, const void *data, size_t size)
{
    return add(&crc32c, crc, data, size);
}

uint64_t crc64nvme_add(uint64_t crc, const void *data, size_t size)
{
    return add(&crc64nvme, crc, data, size);
}
