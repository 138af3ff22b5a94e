/*
 * The sums over an object's bytes, taken while they stream by: MD5 for the ETag, SHA-256 where the client signed its
 * payload, and one of S3's additional checksums.
 */
#ifndef FNRUN_STORE_DIGEST_H
#define FNRUN_STORE_DIGEST_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../sandbox/base/err.h"
#include "base64.h"

enum checksum {
    CHECKSUM_NONE,
#define CHECKSUM(name, header, xml, bytes, full) CHECKSUM_##name,
#include "store_checksum.def"
#undef CHECKSUM
    CHECKSUM_COUNT
};

struct checksum_kind {
    const char *name;   /* "CRC32" */
    const char *header; /* "x-amz-checksum-crc32" */
    const char *xml;    /* "ChecksumCRC32" */
    unsigned bytes;
    bool full_object; /* may cover a whole multipart object; else only the checksums of its parts are summed */
};

extern const struct checksum_kind checksum_kinds[CHECKSUM_COUNT];

/* By name, without case; CHECKSUM_NONE for one that we don't have. */
enum checksum checksum_by_name(const char *name);

#define CHECKSUM_BYTES_MAX 64
#define CHECKSUM_TEXT_SIZE (BASE64_SIZE(CHECKSUM_BYTES_MAX) + sizeof("-10000"))
#define MD5_BYTES 16
#define HEX_SIZE(bytes) ((bytes)*2 + 1)

struct digest {
    enum checksum checksum;
    uint64_t crc;
    EVP_MD_CTX *md5, *payload, *sum; /* NULL where not asked for */
};

/* After a failure digest_free is still due. */
int digest_begin(struct digest *d, bool md5, bool payload, enum checksum checksum, struct err *e);
int digest_add(struct digest *d, const void *data, size_t size, struct err *e);
void digest_free(struct digest *d);

/* Each ends its sum: call once. `ret` takes checksum_kinds[].bytes. */
int digest_md5(struct digest *d, unsigned char ret[MD5_BYTES], struct err *e);
int digest_payload_hex(struct digest *d, char ret[HEX_SIZE(32)], struct err *e);
int digest_checksum(struct digest *d, unsigned char ret[CHECKSUM_BYTES_MAX], struct err *e);

/* `text` has 2 * `size` digits at least. */
void hex_decode(const char *text, unsigned char *ret, size_t size);
void hex_encode(const unsigned char *data, size_t size, char *ret);
/* False where `text` isn't exactly `size` bytes in base64. */
bool digest_from_base64(const char *text, unsigned char ret[CHECKSUM_BYTES_MAX], size_t size);

#endif
