#include "store_body.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define CHECKSUM_PREFIX "x-amz-checksum-"

/* Headers of that prefix that carry no sum. */
static const char *const not_sums[] = {"algorithm", "type", "mode"};

/* --- what the headers claim ------------------------------------------------------------------------------------------ */

static bool parse_size(const char *text, uint64_t *ret)
{
    size_t digits = strspn(text, "0123456789");

    if (digits == 0 || digits > 18 || text[digits])
        return false;
    *ret = strtoull(text, NULL, 10);
    return true;
}

static enum s3_error claim_checksum(struct s3_body *b, const char *name)
{
    enum checksum checksum = checksum_by_name(name + strlen(CHECKSUM_PREFIX));

    if (checksum == CHECKSUM_NONE)
        return s3_fault_set(b->fault, S3_NotImplemented, "The checksum in %s is one that fnrun doesn't have", name);
    if (b->claims.checksum_sent)
        return s3_fault_set(b->fault, S3_InvalidRequest,
                            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.");
    b->claims.checksum = checksum;
    b->claims.checksum_sent = true;
    return S3_OK;
}

static enum s3_error claim_checksum_text(struct s3_body *b, const char *text)
{
    const struct checksum_kind *kind = &checksum_kinds[b->claims.checksum];
    unsigned char raw[CHECKSUM_BYTES_MAX];

    if (!digest_from_base64(text, raw, kind->bytes))
        return s3_fault_set(b->fault, S3_InvalidRequest, "Value for %s header is invalid.", kind->header);
    snprintf(b->claims.checksum_text, sizeof(b->claims.checksum_text), "%s", text);
    return S3_OK;
}

static void on_header(void *ctx, const char *name, const char *value)
{
    struct s3_body *b = ctx;

    if (b->fault->error || strncasecmp(name, CHECKSUM_PREFIX, strlen(CHECKSUM_PREFIX)) != 0)
        return;
    for (unsigned i = 0; i < ARRAY_LEN(not_sums); i++)
        if (strcasecmp(name + strlen(CHECKSUM_PREFIX), not_sums[i]) == 0)
            return;
    if (claim_checksum(b, name) == S3_OK)
        claim_checksum_text(b, value);
}

static enum s3_error claim_checksums(struct s3_body *b, const struct http_request *r)
{
    const char *trailer = http_header(r, "x-amz-trailer"), *algorithm = http_header(r, "x-amz-sdk-checksum-algorithm");

    http_each_header(r, on_header, b);
    if (b->fault->error)
        return b->fault->error;
    if (trailer && strncasecmp(trailer, CHECKSUM_PREFIX, strlen(CHECKSUM_PREFIX)) == 0) {
        b->claims.checksum_in_trailer = true;
        if (claim_checksum(b, trailer) != S3_OK)
            return b->fault->error;
    }
    if (algorithm && !b->claims.checksum_sent)
        return s3_fault_set(b->fault, S3_InvalidRequest,
                            "x-amz-sdk-checksum-algorithm specified, but no corresponding "
                            "x-amz-checksum-* or x-amz-trailer headers were found.");
    if (algorithm && checksum_by_name(algorithm) != b->claims.checksum)
        return s3_fault_set(b->fault, S3_InvalidRequest, "Value for x-amz-sdk-checksum-algorithm header is invalid.");
    return S3_OK;
}

static enum s3_error claim_payload(struct s3_body *b, const struct http_request *r)
{
    const char *payload = http_header(r, "x-amz-content-sha256"), *encoding = http_header(r, "Content-Encoding");

    b->framed =
        (payload && strncmp(payload, "STREAMING-", 10) == 0) || (encoding && strcasestr(encoding, "aws-chunked"));
    if (!payload || b->framed || strcmp(payload, "UNSIGNED-PAYLOAD") == 0)
        return S3_OK;
    if (strlen(payload) != 64 || strspn(payload, "0123456789abcdefABCDEF") != 64)
        return s3_fault_set(b->fault, S3_InvalidArgument,
                            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD or a "
                            "valid sha256 value.");
    b->claims.payload_sha256 = payload;
    return S3_OK;
}

static enum s3_error claim_size(struct s3_body *b, const struct http_request *r)
{
    const char *text = http_header(r, b->framed ? "x-amz-decoded-content-length" : "Content-Length");

    b->claims.size_sent = text && parse_size(text, &b->claims.size);
    if (text && !b->claims.size_sent)
        return S3_InvalidArgument;
    return b->claims.size_sent && b->claims.size > b->max ? S3_EntityTooLarge : S3_OK;
}

static enum s3_error claim_md5(struct s3_body *b, const struct http_request *r)
{
    const char *text = http_header(r, "Content-MD5");

    b->claims.md5_sent = text && digest_from_base64(text, b->claims.md5, MD5_BYTES);
    return text && !b->claims.md5_sent ? S3_InvalidDigest : S3_OK;
}

/* --- the framing ------------------------------------------------------------------------------------------------------ */

static enum s3_error take(struct s3_body *b, const char *data, size_t size)
{
    if (size > b->max - b->size)
        return S3_EntityTooLarge;
    b->size += size;
    if (digest_add(&b->digest, data, size, &b->fault->err) < 0 || b->sink(b, data, size, &b->fault->err) < 0)
        return s3_error_of(&b->fault->err);
    return S3_OK;
}

static int on_chunk_data(struct chunked *c, const char *data, size_t size)
{
    struct s3_body *b = container_of(c, struct s3_body, chunked);

    b->fault->error = take(b, data, size);
    return b->fault->error == S3_OK ? 0 : -1;
}

/* The signature of the trailers and whatever else is there is passed over. */
static int on_chunk_trailer(struct chunked *c, const char *name, const char *value)
{
    struct s3_body *b = container_of(c, struct s3_body, chunked);

    if (!b->claims.checksum_in_trailer || strcasecmp(name, checksum_kinds[b->claims.checksum].header) != 0)
        return 0;
    b->fault->error = claim_checksum_text(b, value);
    return b->fault->error == S3_OK ? 0 : -1;
}

enum s3_error s3_body_begin(struct s3_body *b, const struct http_request *r, enum checksum summed)
{
    enum s3_error error = b->own_checksum ? claim_checksums(b, r) : S3_OK;

    if (error == S3_OK)
        error = claim_payload(b, r);
    if (error == S3_OK)
        error = claim_size(b, r);
    if (error == S3_OK)
        error = claim_md5(b, r);
    if (error != S3_OK)
        return error;
    if (b->claims.checksum == CHECKSUM_NONE)
        b->claims.checksum = summed;
    b->chunked.on_data = on_chunk_data;
    b->chunked.on_trailer = on_chunk_trailer;
    if (digest_begin(&b->digest, true, b->claims.payload_sha256, b->claims.checksum, &b->fault->err) < 0)
        return s3_error_of(&b->fault->err);
    return S3_OK;
}

enum s3_error s3_body_feed(struct s3_body *b, const char *data, size_t size)
{
    if (!b->framed)
        return take(b, data, size);
    if (chunked_feed(&b->chunked, data, size) == 0)
        return S3_OK;
    return b->fault->error ? b->fault->error : S3_IncompleteBody;
}

/* --- the end ---------------------------------------------------------------------------------------------------------- */

static enum s3_error check_payload(struct s3_body *b)
{
    char hex[HEX_SIZE(32)];

    if (!b->claims.payload_sha256)
        return S3_OK;
    if (digest_payload_hex(&b->digest, hex, &b->fault->err) < 0)
        return s3_error_of(&b->fault->err);
    return strcasecmp(hex, b->claims.payload_sha256) == 0 ? S3_OK : S3_XAmzContentSHA256Mismatch;
}

static enum s3_error check_md5(struct s3_body *b)
{
    if (digest_md5(&b->digest, b->md5, &b->fault->err) < 0)
        return s3_error_of(&b->fault->err);
    if (b->claims.md5_sent && memcmp(b->md5, b->claims.md5, MD5_BYTES) != 0)
        return s3_fault_set(b->fault, S3_BadDigest, "The Content-MD5 you specified did not match what we received.");
    return S3_OK;
}

static enum s3_error check_checksum(struct s3_body *b)
{
    const struct checksum_kind *kind = &checksum_kinds[b->claims.checksum];

    if (b->claims.checksum == CHECKSUM_NONE)
        return S3_OK;
    if (digest_checksum(&b->digest, b->checksum, &b->fault->err) < 0)
        return s3_error_of(&b->fault->err);
    base64_encode(b->checksum, kind->bytes, b->checksum_text);
    if (b->claims.checksum_in_trailer && !b->claims.checksum_text[0])
        return S3_MalformedTrailerError;
    if (b->claims.checksum_sent && strcmp(b->claims.checksum_text, b->checksum_text) != 0)
        return s3_fault_set(b->fault, S3_BadDigest, "The %s you specified did not match the calculated checksum.",
                            kind->name);
    return S3_OK;
}

enum s3_error s3_body_finish(struct s3_body *b)
{
    enum s3_error error;

    if ((b->framed && !chunked_complete(&b->chunked)) || (b->claims.size_sent && b->size != b->claims.size))
        return S3_IncompleteBody;
    error = check_payload(b);
    if (error == S3_OK)
        error = check_md5(b);
    if (error == S3_OK)
        error = check_checksum(b);
    return error;
}

void s3_body_free(struct s3_body *b)
{
    digest_free(&b->digest);
}
