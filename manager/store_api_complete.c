/* CompleteMultipartUpload: the parts that the client names become the object. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store_api.h"

/* A part as the client names it. */
struct named_part {
    unsigned number;
    char etag[STORE_ETAG_SIZE + 2]; /* perhaps with quotes */
    char checksum_text[CHECKSUM_TEXT_SIZE];
};

struct completion {
    struct s3_request *q;
    struct store_upload upload;
    struct store_parts stored;
    struct named_part *named;
    size_t named_count;
    enum s3_error error;
};

static void free_completion(struct completion *c)
{
    store_upload_free(&c->upload);
    store_parts_free(&c->stored);
    free(c->named);
}

/* --- the document ----------------------------------------------------------------------------------------------------- */

static int refuse(struct completion *c, enum s3_error error)
{
    c->error = error;
    return -1;
}

/* The numbers must rise. */
static int end_part(struct completion *c)
{
    const struct named_part *part = &c->named[c->named_count];

    if (part->number < 1 || part->number > STORE_PARTS_MAX || !part->etag[0])
        return refuse(c, S3_MalformedXML);
    if (c->named_count > 0 && part->number <= part[-1].number)
        return refuse(c, S3_InvalidPartOrder);
    c->named_count++;
    return 0;
}

static int take_element(void *ctx, const char *path, const char *text)
{
    static const char prefix[] = "CompleteMultipartUpload/Part";
    struct completion *c = ctx;
    struct named_part *part = &c->named[c->named_count];

    if (strncmp(path, prefix, sizeof(prefix) - 1) != 0)
        return 0;
    if (c->named_count == STORE_PARTS_MAX)
        return refuse(c, S3_MalformedXML);
    path += sizeof(prefix) - 1;
    if (path[0] == '\0')
        return end_part(c);
    if (strcmp(path, "/PartNumber") == 0)
        part->number = (unsigned)MIN(strtoul(text, NULL, 10), STORE_PARTS_MAX + 1UL);
    else if (strcmp(path, "/ETag") == 0)
        snprintf(part->etag, sizeof(part->etag), "%s", text);
    else if (strncmp(path, "/Checksum", 9) == 0)
        snprintf(part->checksum_text, sizeof(part->checksum_text), "%s", text);
    return 0;
}

static enum s3_error read_document(struct completion *c)
{
    const struct buf *body = &c->q->http->body;

    c->error = S3_MalformedXML;
    if (xml_parse(buf_str(body), body->used, take_element, c, &c->q->fault.err) < 0)
        return c->error;
    return c->named_count > 0 ? S3_OK : S3_MalformedXML;
}

/* --- what becomes of it ------------------------------------------------------------------------------------------------- */

static bool is_as_named(const struct store_part *part, const struct named_part *named)
{
    if (part->number != named->number || !store_etag_listed(named->etag, part->etag))
        return false;
    return !named->checksum_text[0] || !part->checksum_text[0] ||
           strcmp(named->checksum_text, part->checksum_text) == 0;
}

/* Brings `stored` down to the parts that the client names. Both are in order. */
static enum s3_error match_parts(struct completion *c)
{
    struct store_part *parts = c->stored.parts;
    size_t at = 0;

    for (size_t i = 0; i < c->named_count; i++, at++) {
        while (at < c->stored.count && parts[at].number < c->named[i].number)
            at++;
        if (at == c->stored.count || !is_as_named(&parts[at], &c->named[i]))
            return S3_InvalidPart;
        if (i + 1 < c->named_count && parts[at].size < STORE_PART_MIN)
            return S3_EntityTooSmall;
        parts[i] = parts[at];
    }
    c->stored.count = c->named_count;
    return S3_OK;
}

static uint64_t total_size(const struct store_parts *parts)
{
    uint64_t size = 0;

    for (size_t i = 0; i < parts->count; i++)
        size += parts->parts[i].size;
    return size;
}

static enum s3_error check_size(struct s3_request *q)
{
    const char *claim = http_header(q->http, "x-amz-mp-object-size");

    if (q->object.size > STORE_OBJECT_MAX)
        return S3_EntityTooLarge;
    if (claim && strtoull(claim, NULL, 10) != q->object.size)
        return s3_fault_set(&q->fault, S3_InvalidRequest,
                            "The provided 'x-amz-mp-object-size' header value does not match what was computed.");
    return S3_OK;
}

/* The MD5 of the parts' MD5s, and "-N". */
static int make_etag(struct completion *c, struct store_object *o, struct err *e)
{
    unsigned char md5[MD5_BYTES];
    struct digest d;
    int rc = digest_begin(&d, true, false, CHECKSUM_NONE, e);

    for (size_t i = 0; i < c->stored.count && rc == 0; i++) {
        hex_decode(c->stored.parts[i].etag, md5, sizeof(md5));
        rc = digest_add(&d, md5, sizeof(md5), e);
    }
    if (rc == 0)
        rc = digest_md5(&d, md5, e);
    digest_free(&d);
    hex_encode(md5, sizeof(md5), o->etag);
    snprintf(o->etag + HEX_SIZE(MD5_BYTES) - 1, sizeof(o->etag) - HEX_SIZE(MD5_BYTES), "-%zu", c->stored.count);
    return rc;
}

/* The checksum of the parts' checksums, and "-N". */
static int make_composite(struct completion *c, struct store_object *o, struct err *e)
{
    const struct checksum_kind *kind = &checksum_kinds[o->checksum];
    unsigned char sum[CHECKSUM_BYTES_MAX];
    struct digest d;
    int rc = digest_begin(&d, false, false, o->checksum, e);

    for (size_t i = 0; i < c->stored.count && rc == 0; i++)
        rc = digest_from_base64(c->stored.parts[i].checksum_text, sum, kind->bytes)
                 ? digest_add(&d, sum, kind->bytes, e)
                 : err_set(e, EIO, "part %u has a damaged checksum", c->stored.parts[i].number);
    if (rc == 0)
        rc = digest_checksum(&d, sum, e);
    digest_free(&d);
    if (rc < 0)
        return rc;
    base64_encode(sum, kind->bytes, o->checksum_text);
    snprintf(o->checksum_text + strlen(o->checksum_text), sizeof("-10000"), "-%zu", c->stored.count);
    return 0;
}

static enum s3_error describe_object(struct completion *c)
{
    struct s3_request *q = c->q;
    struct store_object *o = &q->object;
    struct err *e = &q->fault.err;

    o->size = total_size(&c->stored);
    o->checksum = c->upload.checksum;
    o->full_object = c->upload.full_object;
    if (make_etag(c, o, e) < 0 || buf_add(&o->headers, buf_str(&c->upload.headers), c->upload.headers.used, e) < 0)
        return s3_error_of(e);
    if (o->checksum != CHECKSUM_NONE && !o->full_object && make_composite(c, o, e) < 0)
        return s3_error_of(e);
    return check_size(q);
}

static enum s3_error make_pieces(struct completion *c)
{
    struct s3_request *q = c->q;

    q->pieces = calloc(c->stored.count, sizeof(*q->pieces));
    if (!q->pieces) {
        err_set(&q->fault.err, ENOMEM, "complete upload: no memory");
        return S3_InternalError;
    }
    for (size_t i = 0; i < c->stored.count; i++) {
        q->pieces[i].size = c->stored.parts[i].size;
        memcpy(q->pieces[i].file, c->stored.parts[i].file, sizeof(q->pieces[i].file));
    }
    q->job = (struct job){.pieces = q->pieces,
                          .piece_count = c->stored.count,
                          .checksum = q->object.full_object ? q->object.checksum : CHECKSUM_NONE};
    return s3_open_file(q);
}

/* --- the end -------------------------------------------------------------------------------------------------------------- */

/* The client may say what the sum of the whole must be. */
static enum s3_error check_checksum(struct s3_request *q)
{
    const struct store_object *o = &q->object;
    const char *claim = o->checksum ? http_header(q->http, checksum_kinds[o->checksum].header) : NULL;

    if (claim && strncmp(claim, o->checksum_text, strlen(claim)) != 0)
        return s3_fault_set(&q->fault, S3_BadDigest, "The %s you specified did not match the calculated checksum.",
                            checksum_kinds[o->checksum].name);
    return S3_OK;
}

static enum s3_error keep_object(struct s3_request *q)
{
    struct store_condition condition = s3_write_condition(q);
    struct store_upload_ref ref = s3_upload_ref(q);
    enum s3_error error = check_checksum(q);

    if (error != S3_OK)
        return error;
    memcpy(q->object.file, q->file.id, sizeof(q->object.file));
    q->object.modified = clock_wall();
    error = store_upload_complete(q->store, &ref, &q->object, &condition, &q->fault.err);
    if (error == S3_OK)
        store_file_keep(&q->file);
    return error;
}

static void answer_completed(struct s3_request *q)
{
    const struct store_object *o = &q->object;
    auto_xml struct xml x = {0};

    xml_begin(&x, "CompleteMultipartUploadResult", S3_NAMESPACE);
    xml_open(&x, "Location");
    xml_content(&x, "http://");
    xml_content(&x, q->manager->config.listen_name);
    xml_content(&x, q->http->path);
    xml_close(&x, "Location");
    xml_text(&x, "Bucket", q->bucket);
    xml_text(&x, "Key", q->key);
    xml_etag(&x, o->etag);
    xml_checksum(&x, o->checksum, o->full_object, o->checksum_text);
    xml_close(&x, "CompleteMultipartUploadResult");
    s3_answer_xml(q, 200, &x);
}

static void on_assembled(struct job *j, const struct job_result *result)
{
    struct s3_request *q = container_of(j, struct s3_request, job);
    enum s3_error error;

    if (s3_job_failed(q, result))
        return;
    if (j->checksum != CHECKSUM_NONE)
        base64_encode(result->checksum, checksum_kinds[j->checksum].bytes, q->object.checksum_text);
    error = keep_object(q);
    if (error == S3_OK)
        answer_completed(q);
    else
        s3_answer_error(q, error);
}

enum s3_error s3_complete_upload(struct s3_request *q)
{
    __attribute__((cleanup(free_completion))) struct completion c = {.q = q};
    struct store_upload_ref ref = s3_upload_ref(q);
    enum s3_error error = store_upload_find(q->store, &ref, &c.upload, &q->fault.err);

    c.named = calloc(STORE_PARTS_MAX + 1, sizeof(*c.named));
    if (!c.named) {
        err_set(&q->fault.err, ENOMEM, "complete upload: no memory");
        return S3_InternalError;
    }
    if (error == S3_OK)
        error = store_part_list(q->store, ref.id, 0, &c.stored, &q->fault.err);
    if (error == S3_OK)
        error = read_document(&c);
    if (error == S3_OK)
        error = match_parts(&c);
    if (error == S3_OK)
        error = describe_object(&c);
    if (error == S3_OK)
        error = make_pieces(&c);
    return error == S3_OK ? s3_start_job(q, q->object.size, on_assembled) : error;
}
