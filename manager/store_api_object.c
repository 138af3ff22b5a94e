/* Operations that read and delete objects. */
#include <errno.h>
#include <string.h>

#include "store_api.h"

#define DELETE_MAX 1000 /* keys in one request */

/* Query arguments that replace a header of the answer. */
static const char *const overrides[][2] = {
    {"response-cache-control", "Cache-Control"},       {"response-content-disposition", "Content-Disposition"},
    {"response-content-encoding", "Content-Encoding"}, {"response-content-language", "Content-Language"},
    {"response-content-type", "Content-Type"},         {"response-expires", "Expires"},
};

/* --- GetObject and HeadObject ------------------------------------------------------------------------------------------- */

static const char *find_override(const struct s3_request *q, const char *header)
{
    for (unsigned i = 0; i < ARRAY_LEN(overrides); i++)
        if (strcmp(header, overrides[i][1]) == 0)
            return http_query(q->http, overrides[i][0]);
    return NULL;
}

/* The headers that the object was put with, but for those that the query replaces. */
static void set_kept_headers(struct s3_request *q, const struct store_object *o)
{
    bool has_type = false;

    for (size_t i = 0; i < o->headers.used;) {
        const char *name = o->headers.data + i, *value = name + strlen(name) + 1;

        has_type |= strcmp(name, "Content-Type") == 0;
        if (!find_override(q, name))
            http_set_header(q->http, name, value);
        i += strlen(name) + strlen(value) + 2;
    }
    if (!has_type && !find_override(q, "Content-Type"))
        http_set_header(q->http, "Content-Type", "binary/octet-stream");
    for (unsigned i = 0; i < ARRAY_LEN(overrides); i++)
        if (http_query(q->http, overrides[i][0]))
            http_set_header(q->http, overrides[i][1], http_query(q->http, overrides[i][0]));
}

static void set_object_headers(struct s3_request *q, const struct store_object *o, const struct s3_range *range)
{
    const char *mode = http_header(q->http, "x-amz-checksum-mode");

    http_set_header(q->http, "Accept-Ranges", "bytes");
    set_kept_headers(q, o);
    if (range->given)
        http_set_headerf(q->http, "Content-Range", "bytes %llu-%llu/%llu", (unsigned long long)range->first,
                         (unsigned long long)(range->first + range->size - 1), (unsigned long long)o->size);
    else if (mode && strcasecmp(mode, "ENABLED") == 0)
        /* Not with a range: clients would hold the sum of the whole against the part. */
        s3_set_checksum(q, o->checksum, o->full_object, o->checksum_text);
}

static void set_validators(struct s3_request *q, const struct store_object *o)
{
    char date[32];

    s3_format_date(o->modified, date);
    http_set_header(q->http, "Last-Modified", date);
    s3_set_etag(q, o->etag);
}

static enum s3_error send_object(struct s3_request *q, const struct store_object *o, const struct s3_range *range)
{
    unsigned status = range->given ? 206 : 200;
    int fd;

    if (strcmp(q->http->method, "HEAD") == 0) {
        http_answer_head(q->http, status, range->size);
        return S3_OK;
    }
    fd = store_file_open(q->store, o->file, &q->fault.err);
    if (fd < 0)
        return S3_InternalError;
    http_answer_file(q->http, status, fd, range->first, range->size);
    return S3_OK;
}

/* Every object here has one part, however it was uploaded; clients that fetch by parts take it as that. */
static enum s3_error check_part_number(struct s3_request *q)
{
    unsigned number;
    enum s3_error error = s3_query_number(q, "partNumber", 1, STORE_PARTS_MAX, &number);

    if (error == S3_OK && number != 1)
        return s3_fault_set(&q->fault, S3_InvalidRange, "The requested partnumber is not satisfiable");
    return error;
}

enum s3_error s3_get_object(struct s3_request *q)
{
    struct store_object *o = &q->object;
    enum s3_error error = check_part_number(q);
    struct s3_range range;

    if (error == S3_OK)
        error = store_object_find(q->store, q->bucket, q->key, o, &q->fault.err);
    if (error != S3_OK)
        return error;
    error = s3_check_conditions(q, "", o);
    if (error == S3_OK || error == S3_NotModified)
        set_validators(q, o);
    if (error == S3_OK)
        error = s3_parse_range(http_header(q->http, "Range"), o->size, &range);
    if (error != S3_OK)
        return error;
    set_object_headers(q, o, &range);
    return send_object(q, o, &range);
}

/* Clients name what they want in x-amz-object-attributes; they are given all there is. */
enum s3_error s3_get_attributes(struct s3_request *q)
{
    struct store_object *o = &q->object;
    auto_xml struct xml x = {0};
    enum s3_error error = store_object_find(q->store, q->bucket, q->key, o, &q->fault.err);

    if (error != S3_OK)
        return error;
    xml_begin(&x, "GetObjectAttributesResponse", S3_NAMESPACE);
    xml_text(&x, "ETag", o->etag);
    if (o->checksum != CHECKSUM_NONE) {
        xml_open(&x, "Checksum");
        xml_checksum(&x, o->checksum, o->full_object, o->checksum_text);
        xml_close(&x, "Checksum");
    }
    xml_text(&x, "StorageClass", "STANDARD");
    xml_uint(&x, "ObjectSize", o->size);
    xml_close(&x, "GetObjectAttributesResponse");
    set_validators(q, o);
    s3_answer_xml(q, 200, &x);
    return S3_OK;
}

/* --- DeleteObject and DeleteObjects ----------------------------------------------------------------------------------------- */

enum s3_error s3_delete_object(struct s3_request *q)
{
    struct store_condition condition = {.if_match = http_header(q->http, "If-Match")};
    char *keys[] = {q->key};
    enum s3_error error = S3_OK;

    if (condition.if_match)
        error = store_object_check(q->store, q->bucket, q->key, &condition, &q->fault.err);
    if (error == S3_OK)
        error = store_object_delete(q->store, q->bucket, keys, 1, &q->fault.err);
    if (error == S3_OK)
        s3_answer_empty(q, 204);
    return error;
}

struct deletion {
    char *keys[DELETE_MAX];
    size_t count;
    bool quiet;
    enum s3_error error;
};

static void free_deletion(struct deletion *d)
{
    for (size_t i = 0; i < d->count; i++)
        free(d->keys[i]);
}

static int refuse(struct deletion *d, enum s3_error error)
{
    d->error = error;
    return -1;
}

static int take_deletion(void *ctx, const char *path, const char *text)
{
    struct deletion *d = ctx;

    if (strcmp(path, "Delete/Quiet") == 0)
        d->quiet = strcmp(text, "true") == 0;
    if (strcmp(path, "Delete/Object/VersionId") == 0 && strcmp(text, "null") != 0)
        return refuse(d, S3_NoSuchVersion);
    if (strcmp(path, "Delete/Object/Key") != 0)
        return 0;
    if (d->count == DELETE_MAX || !text[0])
        return refuse(d, S3_MalformedXML);
    d->keys[d->count] = strdup(text);
    if (!d->keys[d->count])
        return refuse(d, S3_InternalError);
    d->count++;
    return 0;
}

static void answer_deletion(struct s3_request *q, const struct deletion *d)
{
    auto_xml struct xml x = {0};

    xml_begin(&x, "DeleteResult", S3_NAMESPACE);
    for (size_t i = 0; i < d->count && !d->quiet; i++) {
        xml_open(&x, "Deleted");
        xml_text(&x, "Key", d->keys[i]);
        xml_close(&x, "Deleted");
    }
    xml_close(&x, "DeleteResult");
    s3_answer_xml(q, 200, &x);
}

enum s3_error s3_delete_objects(struct s3_request *q)
{
    __attribute__((cleanup(free_deletion))) struct deletion d = {.error = S3_MalformedXML};
    const struct buf *body = &q->http->body;
    enum s3_error error;

    if (xml_parse(buf_str(body), body->used, take_deletion, &d, &q->fault.err) < 0)
        return d.error;
    if (d.count == 0)
        return S3_MalformedXML;
    error = store_object_delete(q->store, q->bucket, d.keys, d.count, &q->fault.err);
    if (error == S3_OK)
        answer_deletion(q, &d);
    return error;
}
