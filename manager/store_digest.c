#include "store_digest.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "store_crc.h"

const struct checksum_kind checksum_kinds[CHECKSUM_COUNT] = {
#define CHECKSUM(name, header, xml, bytes, full) [CHECKSUM_##name] = {#name, header, xml, bytes, full},
#include "store_checksum.def"
#undef CHECKSUM
};

enum checksum checksum_by_name(const char *name)
{
    for (enum checksum i = CHECKSUM_NONE + 1; i < CHECKSUM_COUNT; i++)
        if (strcasecmp(name, checksum_kinds[i].name) == 0)
            return i;
    return CHECKSUM_NONE;
}

static int start_hash(EVP_MD_CTX **ret, const EVP_MD *md, struct err *e)
{
    *ret = EVP_MD_CTX_new();
    if (!*ret || EVP_DigestInit_ex(*ret, md, NULL) != 1)
        return err_set(e, EIO, "libcrypto: can't start %s", EVP_MD_get0_name(md));
    return 0;
}

static const EVP_MD *checksum_hash(enum checksum checksum)
{
    if (checksum == CHECKSUM_SHA1)
        return EVP_sha1();
    if (checksum == CHECKSUM_SHA256)
        return EVP_sha256();
    return checksum == CHECKSUM_SHA512 ? EVP_sha512() : NULL;
}

int digest_begin(struct digest *d, bool md5, bool payload, enum checksum checksum, struct err *e)
{
    const EVP_MD *hash = checksum_hash(checksum);

    *d = (struct digest){.checksum = checksum};
    if (md5 && start_hash(&d->md5, EVP_md5(), e) < 0)
        return -e->code;
    if (payload && start_hash(&d->payload, EVP_sha256(), e) < 0)
        return -e->code;
    return hash ? start_hash(&d->sum, hash, e) : 0;
}

static void add_crc(struct digest *d, const void *data, size_t size)
{
    if (d->checksum == CHECKSUM_CRC32)
        d->crc = crc32_z(d->crc, data, size);
    else if (d->checksum == CHECKSUM_CRC32C)
        d->crc = crc32c_add(d->crc, data, size);
    else if (d->checksum == CHECKSUM_CRC64NVME)
        d->crc = crc64nvme_add(d->crc, data, size);
}

int digest_add(struct digest *d, const void *data, size_t size, struct err *e)
{
    EVP_MD_CTX *all[] = {d->md5, d->payload, d->sum};

    for (unsigned i = 0; i < ARRAY_LEN(all); i++)
        if (all[i] && EVP_DigestUpdate(all[i], data, size) != 1)
            return err_set(e, EIO, "libcrypto: digest failed");
    add_crc(d, data, size);
    return 0;
}

void digest_free(struct digest *d)
{
    EVP_MD_CTX_free(d->md5);
    EVP_MD_CTX_free(d->payload);
    EVP_MD_CTX_free(d->sum);
    *d = (struct digest){0};
}

static int finish(EVP_MD_CTX *ctx, unsigned char *ret, struct err *e)
{
    return EVP_DigestFinal_ex(ctx, ret, NULL) == 1 ? 0 : err_set(e, EIO, "libcrypto: digest failed");
}

int digest_md5(struct digest *d, unsigned char ret[MD5_BYTES], struct err *e)
{
    return finish(d->md5, ret, e);
}

int digest_payload_hex(struct digest *d, char ret[HEX_SIZE(32)], struct err *e)
{
    unsigned char raw[32];

    if (finish(d->payload, raw, e) < 0)
        return -e->code;
    hex_encode(raw, sizeof(raw), ret);
    return 0;
}

/* S3 writes a CRC as its bytes, highest first. */
int digest_checksum(struct digest *d, unsigned char ret[CHECKSUM_BYTES_MAX], struct err *e)
{
    unsigned bytes = checksum_kinds[d->checksum].bytes;
    uint64_t big = htobe64(d->crc);

    if (d->sum)
        return finish(d->sum, ret, e);
    memcpy(ret, (unsigned char *)&big + sizeof(big) - bytes, bytes);
    return 0;
}

void hex_encode(const unsigned char *data, size_t size, char *ret)
{
    for (size_t i = 0; i < size; i++)
        sprintf(ret + 2 * i, "%02x", data[i]);
    ret[2 * size] = '\0';
}

void hex_decode(const char *text, unsigned char *ret, size_t size)
{
    memset(ret, 0, size);
    for (size_t i = 0; i < size && sscanf(text + 2 * i, "%2hhx", &ret[i]) == 1; i++)
        ;
}

bool digest_from_base64(const char *text, unsigned char ret[CHECKSUM_BYTES_MAX], size_t size)
{
    unsigned char raw[CHECKSUM_BYTES_MAX + 6];
    struct base64_decoder d = {0};
    size_t length = strlen(text);

    if (length != BASE64_SIZE(size) - 1 || base64_decode(&d, text, length, raw) != (long)size || !base64_complete(&d))
        return false;
    memcpy(ret, raw, size);
    return true;
}
