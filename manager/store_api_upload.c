/* Multipart uploads over HTTP, up to their completion. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store_api.h"

#define LIST_MAX 1000

struct store_upload_ref s3_upload_ref(const struct s3_request *q)
{
    return (struct store_upload_ref){.bucket = q->bucket, .key = q->key, .id = s3_query_text(q, "uploadId")};
}

/* --- CreateMultipartUpload ------------------------------------------------------------------------------------------------ */

/* Where no type is named, only CRC-64/NVME is over the whole object, as in S3. */
static enum s3_error choose_checksum(struct s3_request *q, struct store_upload *u)
{
    const char *name = http_header(q->http, "x-amz-checksum-algorithm");
    const char *type = http_header(q->http, "x-amz-checksum-type");

    if (!name && !type)
        return S3_OK;
    u->checksum = name ? checksum_by_name(name) : CHECKSUM_NONE;
    if (name && u->checksum == CHECKSUM_NONE)
        return s3_fault_set(&q->fault, S3_NotImplemented, "%s is a checksum that fnrun doesn't have", name);
    u->full_object = type ? strcmp(type, "FULL_OBJECT") == 0 : u->checksum == CHECKSUM_CRC64NVME;
    if (u->checksum == CHECKSUM_NONE ||
        (u->full_object ? !checksum_kinds[u->checksum].full_object : u->checksum == CHECKSUM_CRC64NVME))
        return s3_fault_set(&q->fault, S3_InvalidRequest,
                            "The %s checksum type cannot be used with the %s checksum algorithm.", type ? type : "",
                            name ? name : "missing");
    return S3_OK;
}

static void answer_created(struct s3_request *q, const struct store_upload *u)
{
    auto_xml struct xml x = {0};

    if (u->checksum != CHECKSUM_NONE) {
        http_set_header(q->http, "x-amz-checksum-algorithm", checksum_kinds[u->checksum].name);
        http_set_header(q->http, "x-amz-checksum-type", s3_checksum_type(u->full_object));
    }
    xml_begin(&x, "InitiateMultipartUploadResult", S3_NAMESPACE);
    xml_text(&x, "Bucket", q->bucket);
    xml_text(&x, "Key", q->key);
    xml_text(&x, "UploadId", u->id);
    xml_close(&x, "InitiateMultipartUploadResult");
    s3_answer_xml(q, 200, &x);
}

enum s3_error s3_create_upload(struct s3_request *q)
{
    auto_upload struct store_upload u = {.checksum = CHECKSUM_NONE};
    enum s3_error error = choose_checksum(q, &u);

    if (error == S3_OK)
        error = s3_collect_headers(q, &u.headers);
    if (error == S3_OK)
        error = store_upload_create(q->store, q->bucket, q->key, &u, &q->fault.err);
    if (error == S3_OK)
        answer_created(q, &u);
    return error;
}

/* --- UploadPart and UploadPartCopy ------------------------------------------------------------------------------------------ */

static enum s3_error begin_part(struct s3_request *q, struct store_upload *u)
{
    struct store_upload_ref ref = s3_upload_ref(q);
    enum s3_error error = s3_query_number(q, "partNumber", 0, STORE_PARTS_MAX + 1, &q->part.number);

    if (error == S3_OK && (q->part.number < 1 || q->part.number > STORE_PARTS_MAX))
        error = s3_fault_set(&q->fault, S3_InvalidArgument,
                             "Part number must be an integer between 1 and 10000, inclusive");
    if (error == S3_OK)
        error = store_upload_find(q->store, &ref, u, &q->fault.err);
    if (error == S3_OK)
        error = s3_open_file(q);
    q->object.checksum = u->checksum;
    return error;
}

enum s3_error s3_check_part(struct s3_request *q)
{
    auto_upload struct store_upload u = {.checksum = CHECKSUM_NONE};

    return begin_part(q, &u);
}

/* The file is on the disk: it becomes the part. */
static enum s3_error keep_part(struct s3_request *q, const unsigned char *md5, uint64_t size)
{
    struct store_upload_ref ref = s3_upload_ref(q);
    enum s3_error error;

    memcpy(q->part.file, q->file.id, sizeof(q->part.file));
    hex_encode(md5, MD5_BYTES, q->part.etag);
    q->part.size = size;
    q->part.modified = clock_wall();
    error = store_part_put(q->store, &ref, &q->part, &q->fault.err);
    if (error == S3_OK)
        store_file_keep(&q->file);
    else
        s3_answer_error(q, error);
    return error;
}

static void on_part(struct job *j, const struct job_result *result)
{
    struct s3_request *q = container_of(j, struct s3_request, job);

    if (s3_job_failed(q, result) || keep_part(q, q->body.md5, q->body.size) != S3_OK)
        return;
    s3_set_etag(q, q->part.etag);
    if (q->body.claims.checksum != CHECKSUM_NONE)
        http_set_header(q->http, checksum_kinds[q->body.claims.checksum].header, q->body.checksum_text);
    s3_answer_empty(q, 200);
}

enum s3_error s3_put_part(struct s3_request *q)
{
    enum checksum wanted = q->object.checksum, sent = q->body.claims.checksum;

    if (wanted != CHECKSUM_NONE && sent != wanted)
        return s3_fault_set(&q->fault, S3_InvalidRequest,
                            "Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: %s",
                            checksum_kinds[wanted].name, checksum_kinds[sent].name);
    if (wanted != CHECKSUM_NONE)
        memcpy(q->part.checksum_text, q->body.checksum_text, sizeof(q->part.checksum_text));
    return s3_start_job(q, q->body.size, on_part);
}

static void on_part_copied(struct job *j, const struct job_result *result)
{
    struct s3_request *q = container_of(j, struct s3_request, job);
    auto_xml struct xml x = {0};

    if (s3_job_failed(q, result))
        return;
    if (j->checksum != CHECKSUM_NONE)
        base64_encode(result->checksum, checksum_kinds[j->checksum].bytes, q->part.checksum_text);
    if (keep_part(q, result->md5, q->pieces[0].size) != S3_OK)
        return;
    xml_begin(&x, "CopyPartResult", S3_NAMESPACE);
    xml_etag(&x, q->part.etag);
    xml_time(&x, "LastModified", q->part.modified);
    if (j->checksum != CHECKSUM_NONE)
        xml_text(&x, checksum_kinds[j->checksum].xml, q->part.checksum_text);
    xml_close(&x, "CopyPartResult");
    s3_answer_xml(q, 200, &x);
}

enum s3_error s3_copy_part(struct s3_request *q)
{
    auto_upload struct store_upload u = {.checksum = CHECKSUM_NONE};
    auto_object struct store_object source = {.checksum = CHECKSUM_NONE};
    struct s3_range range;
    bool is_target;
    enum s3_error error = s3_find_source(q, &source, &is_target);

    if (error == S3_OK)
        error = s3_parse_range(http_header(q->http, "x-amz-copy-source-range"), source.size, &range);
    if (error == S3_OK)
        error = begin_part(q, &u);
    if (error != S3_OK)
        return error;
    q->pieces = calloc(1, sizeof(*q->pieces));
    if (!q->pieces) {
        err_set(&q->fault.err, ENOMEM, "copy part: no memory");
        return S3_InternalError;
    }
    q->pieces[0] = (struct job_piece){.offset = range.first, .size = range.size};
    memcpy(q->pieces[0].file, source.file, sizeof(source.file));
    q->job = (struct job){.pieces = q->pieces, .piece_count = 1, .md5 = true, .checksum = u.checksum};
    return s3_start_job(q, range.size, on_part_copied);
}

/* --- AbortMultipartUpload, ListParts, ListMultipartUploads ---------------------------------------------------------------- */

enum s3_error s3_abort_upload(struct s3_request *q)
{
    struct store_upload_ref ref = s3_upload_ref(q);
    enum s3_error error = store_upload_abort(q->store, &ref, &q->fault.err);

    if (error == S3_OK)
        s3_answer_empty(q, 204);
    return error;
}

static void write_part(struct xml *x, const struct store_part *part, enum checksum checksum)
{
    xml_open(x, "Part");
    xml_uint(x, "PartNumber", part->number);
    xml_time(x, "LastModified", part->modified);
    xml_etag(x, part->etag);
    xml_uint(x, "Size", part->size);
    if (checksum != CHECKSUM_NONE)
        xml_text(x, checksum_kinds[checksum].xml, part->checksum_text);
    xml_close(x, "Part");
}

static void write_upload_head(struct xml *x, const struct s3_request *q, const struct store_upload *u)
{
    xml_begin(x, "ListPartsResult", S3_NAMESPACE);
    xml_text(x, "Bucket", q->bucket);
    xml_text(x, "Key", q->key);
    xml_text(x, "UploadId", u->id);
    xml_owner(x, "Initiator");
    xml_owner(x, "Owner");
    xml_text(x, "StorageClass", "STANDARD");
    if (u->checksum != CHECKSUM_NONE) {
        xml_text(x, "ChecksumAlgorithm", checksum_kinds[u->checksum].name);
        xml_text(x, "ChecksumType", s3_checksum_type(u->full_object));
    }
}

enum s3_error s3_list_parts(struct s3_request *q)
{
    struct store_upload_ref ref = s3_upload_ref(q);
    auto_upload struct store_upload u = {.checksum = CHECKSUM_NONE};
    auto_parts struct store_parts parts = {0};
    auto_xml struct xml x = {0};
    unsigned max = 0, after = 0;
    enum s3_error error = s3_query_number(q, "max-parts", LIST_MAX, LIST_MAX, &max);

    if (error == S3_OK)
        error = s3_query_number(q, "part-number-marker", 0, STORE_PARTS_MAX, &after);
    if (error == S3_OK)
        error = store_upload_find(q->store, &ref, &u, &q->fault.err);
    if (error == S3_OK)
        error = store_part_list(q->store, ref.id, after, &parts, &q->fault.err);
    if (error != S3_OK)
        return error;
    write_upload_head(&x, q, &u);
    xml_uint(&x, "PartNumberMarker", after);
    xml_uint(&x, "MaxParts", max);
    xml_bool(&x, "IsTruncated", parts.count > max);
    if (parts.count > max && max > 0)
        xml_uint(&x, "NextPartNumberMarker", parts.parts[max - 1].number);
    for (size_t i = 0; i < MIN(parts.count, (size_t)max); i++)
        write_part(&x, &parts.parts[i], u.checksum);
    xml_close(&x, "ListPartsResult");
    s3_answer_xml(q, 200, &x);
    return S3_OK;
}

struct upload_list {
    struct xml xml;
    char last_key[STORE_KEY_MAX + 1], last_id[STORE_ID_SIZE];
};

static void write_upload(void *ctx, const char *key, const struct store_upload *u)
{
    struct upload_list *l = ctx;

    xml_open(&l->xml, "Upload");
    xml_text(&l->xml, "Key", key);
    xml_text(&l->xml, "UploadId", u->id);
    xml_owner(&l->xml, "Initiator");
    xml_owner(&l->xml, "Owner");
    xml_text(&l->xml, "StorageClass", "STANDARD");
    xml_time(&l->xml, "Initiated", u->created);
    if (u->checksum != CHECKSUM_NONE) {
        xml_text(&l->xml, "ChecksumAlgorithm", checksum_kinds[u->checksum].name);
        xml_text(&l->xml, "ChecksumType", s3_checksum_type(u->full_object));
    }
    xml_close(&l->xml, "Upload");
    snprintf(l->last_key, sizeof(l->last_key), "%s", key);
    snprintf(l->last_id, sizeof(l->last_id), "%s", u->id);
}

static void answer_uploads(struct s3_request *q, struct upload_list *l, const struct store_upload_query *query,
                           bool truncated)
{
    struct xml *x = &l->xml;

    xml_text(x, "Bucket", q->bucket);
    xml_text(x, "Prefix", query->prefix);
    xml_text(x, "KeyMarker", query->after_key);
    xml_text(x, "UploadIdMarker", query->after_id);
    xml_uint(x, "MaxUploads", query->max);
    xml_bool(x, "IsTruncated", truncated);
    if (truncated) {
        xml_text(x, "NextKeyMarker", l->last_key);
        xml_text(x, "NextUploadIdMarker", l->last_id);
    }
    xml_close(x, "ListMultipartUploadsResult");
    s3_answer_xml(q, 200, x);
}

enum s3_error s3_list_uploads(struct s3_request *q)
{
    struct store_upload_query query = {.bucket = q->bucket,
                                       .prefix = s3_query_text(q, "prefix"),
                                       .after_key = s3_query_text(q, "key-marker"),
                                       .after_id = s3_query_text(q, "upload-id-marker")};
    struct upload_list l = {.last_key = ""};
    struct store_bucket b;
    bool truncated = false;
    enum s3_error error = s3_query_number(q, "max-uploads", LIST_MAX, LIST_MAX, &query.max);

    if (s3_query_text(q, "delimiter")[0])
        error = s3_fault_set(&q->fault, S3_NotImplemented, "Grouping uploads by a delimiter is not implemented");
    if (error == S3_OK)
        error = store_bucket_find(q->store, q->bucket, &b, &q->fault.err);
    xml_begin(&l.xml, "ListMultipartUploadsResult", S3_NAMESPACE);
    if (error == S3_OK)
        error = store_upload_list(q->store, &query, write_upload, &l, &truncated, &q->fault.err);
    if (error == S3_OK)
        answer_uploads(q, &l, &query, truncated);
    xml_free(&l.xml);
    return error;
}
