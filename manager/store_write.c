/* Operations that make objects: PutObject and CopyObject, and what multipart uploads share with them. */
#include <stdio.h>
#include <string.h>

#include "store_api.h"

enum s3_error s3_open_file(struct s3_request *q)
{
    return store_file_create(q->store, &q->file, &q->fault.err) < 0 ? s3_error_of(&q->fault.err) : S3_OK;
}

enum s3_error s3_start_job(struct s3_request *q, uint64_t bytes,
                           void (*done)(struct job *j, const struct job_result *result))
{
    q->job.store = q->store;
    q->job.fd = q->file.fd;
    q->job.done = done;
    return job_start(&q->job, bytes, &q->fault.err) < 0 ? s3_error_of(&q->fault.err) : S3_OK;
}

bool s3_job_failed(struct s3_request *q, const struct job_result *result)
{
    if (!result->err.code)
        return false;
    q->fault.err = result->err;
    s3_answer_error(q, s3_error_of(&q->fault.err));
    return true;
}

/* --- PutObject -------------------------------------------------------------------------------------------------------- */

enum s3_error s3_check_put(struct s3_request *q)
{
    struct store_condition condition = s3_write_condition(q);
    enum s3_error error = store_object_check(q->store, q->bucket, q->key, &condition, &q->fault.err);

    if (error == S3_OK)
        error = s3_collect_headers(q, &q->object.headers);
    return error == S3_OK ? s3_open_file(q) : error;
}

/* What was found out about the body becomes the object's. */
static void describe_object(struct s3_request *q)
{
    struct store_object *o = &q->object;

    memcpy(o->file, q->file.id, sizeof(o->file));
    memcpy(o->checksum_text, q->body.checksum_text, sizeof(o->checksum_text));
    o->size = q->body.size;
    o->modified = clock_wall();
    o->checksum = q->body.claims.checksum;
    o->full_object = o->checksum != CHECKSUM_NONE;
    hex_encode(q->body.md5, MD5_BYTES, o->etag);
}

static void on_put(struct job *j, const struct job_result *result)
{
    struct s3_request *q = container_of(j, struct s3_request, job);
    struct store_condition condition = s3_write_condition(q);
    enum s3_error error;

    if (s3_job_failed(q, result))
        return;
    describe_object(q);
    error = store_object_put(q->store, q->bucket, q->key, &q->object, &condition, &q->fault.err);
    if (error != S3_OK) {
        s3_answer_error(q, error);
        return;
    }
    store_file_keep(&q->file);
    s3_set_etag(q, q->object.etag);
    s3_set_checksum(q, q->object.checksum, true, q->object.checksum_text);
    s3_answer_empty(q, 200);
}

enum s3_error s3_put_object(struct s3_request *q)
{
    return s3_start_job(q, q->body.size, on_put);
}

/* --- CopyObject ------------------------------------------------------------------------------------------------------- */

/* "/bucket/key" or "bucket/key", percent-encoded, perhaps with a version. */
static enum s3_error parse_source(struct s3_request *q, char bucket[STORE_BUCKET_MAX + 1], char key[STORE_KEY_MAX + 1])
{
    const char *source = http_header(q->http, "x-amz-copy-source"), *version;
    enum s3_error error;

    source += *source == '/';
    version = strchr(source, '?');
    error = s3_decode_path(source, version ? (size_t)(version - source) : strlen(source), bucket, key);
    if (version && strcmp(version, "?versionId=null") != 0)
        return S3_NoSuchVersion;
    if (error == S3_OK && key[0])
        return S3_OK;
    return s3_fault_set(&q->fault, S3_InvalidArgument,
                        "Copy Source must mention the source bucket and key: "
                        "sourcebucket/sourcekey");
}

enum s3_error s3_find_source(struct s3_request *q, struct store_object *ret, bool *ret_is_target)
{
    char bucket[STORE_BUCKET_MAX + 1], key[STORE_KEY_MAX + 1];
    enum s3_error error = parse_source(q, bucket, key);

    if (error == S3_OK)
        error = store_object_find(q->store, bucket, key, ret, &q->fault.err);
    if (error == S3_OK && s3_check_conditions(q, "x-amz-copy-source-", ret) != S3_OK)
        error = S3_PreconditionFailed;
    *ret_is_target = error == S3_OK && strcmp(bucket, q->bucket) == 0 && strcmp(key, q->key) == 0;
    return error;
}

static enum s3_error choose_headers(struct s3_request *q, bool is_target)
{
    const char *directive = http_header(q->http, "x-amz-metadata-directive");

    if (directive && strcmp(directive, "REPLACE") == 0) {
        buf_clear(&q->object.headers);
        return s3_collect_headers(q, &q->object.headers);
    }
    if (is_target)
        return s3_fault_set(&q->fault, S3_InvalidRequest,
                            "This copy request is illegal because it is trying to copy an object to itself without "
                            "changing the object's metadata, storage class, website redirect location or encryption "
                            "attributes.");
    return S3_OK;
}

static void answer_copy(struct s3_request *q)
{
    const struct store_object *o = &q->object;
    auto_xml struct xml x = {0};

    xml_begin(&x, "CopyObjectResult", S3_NAMESPACE);
    xml_etag(&x, o->etag);
    xml_time(&x, "LastModified", o->modified);
    xml_checksum(&x, o->checksum, o->full_object, o->checksum_text);
    xml_close(&x, "CopyObjectResult");
    s3_answer_xml(q, 200, &x);
}

/* The copy shares the bytes of its source, and so its ETag and checksum. */
enum s3_error s3_copy_object(struct s3_request *q)
{
    struct store_condition condition = s3_write_condition(q);
    struct store_object *o = &q->object;
    bool is_target;
    enum s3_error error = s3_find_source(q, o, &is_target);

    if (error == S3_OK)
        error = choose_headers(q, is_target);
    if (error == S3_OK && store_file_link(q->store, o->file, o->file, &q->fault.err) < 0)
        error = s3_error_of(&q->fault.err);
    if (error != S3_OK)
        return error;
    o->modified = clock_wall();
    error = store_object_put(q->store, q->bucket, q->key, o, &condition, &q->fault.err);
    if (error != S3_OK) {
        store_file_remove(q->store, o->file);
        return error;
    }
    answer_copy(q);
    return S3_OK;
}
