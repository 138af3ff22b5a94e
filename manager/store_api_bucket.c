/* Operations on buckets. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store_api.h"

static void write_bucket(void *ctx, const struct store_bucket *b)
{
    struct xml *x = ctx;

    xml_open(x, "Bucket");
    xml_text(x, "Name", b->name);
    xml_time(x, "CreationDate", b->created);
    xml_close(x, "Bucket");
}

enum s3_error s3_list_buckets(struct s3_request *q)
{
    auto_xml struct xml x = {0};
    enum s3_error error;

    xml_begin(&x, "ListAllMyBucketsResult", S3_NAMESPACE);
    xml_owner(&x, "Owner");
    xml_open(&x, "Buckets");
    error = store_bucket_each(q->store, write_bucket, &x, &q->fault.err);
    xml_close(&x, "Buckets");
    xml_close(&x, "ListAllMyBucketsResult");
    if (error == S3_OK)
        s3_answer_xml(q, 200, &x);
    return error;
}

static int take_region(void *ctx, const char *path, const char *text)
{
    char *region = ctx;

    if (strcmp(path, "CreateBucketConfiguration/LocationConstraint") == 0)
        snprintf(region, sizeof(((struct store_bucket *)NULL)->region), "%s", text);
    return 0;
}

/* us-east-1 has no name among the location constraints. */
static const char *region_of(const struct s3_request *q, const struct store_bucket *b)
{
    return b->region[0] ? b->region : q->manager->config.region;
}

/* Of all regions us-east-1 alone does not mind if one's own bucket is created again. */
static bool may_create_again(struct s3_request *q, const struct store_bucket *wanted)
{
    struct store_bucket b;

    return strcmp(region_of(q, wanted), "us-east-1") == 0 &&
           store_bucket_find(q->store, q->bucket, &b, &q->fault.err) == S3_OK &&
           strcmp(region_of(q, &b), "us-east-1") == 0;
}

enum s3_error s3_create_bucket(struct s3_request *q)
{
    const struct buf *body = &q->http->body;
    struct store_bucket b = {.region = ""};
    enum s3_error error;

    if (body->used && xml_parse(body->data, body->used, take_region, b.region, &q->fault.err) < 0)
        return S3_MalformedXML;
    if (strspn(b.region, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(b.region))
        return S3_IllegalLocationConstraintException;
    error = store_bucket_create(q->store, q->bucket, b.region, &q->fault.err);
    if (error == S3_BucketAlreadyOwnedByYou && may_create_again(q, &b))
        error = S3_OK;
    if (error != S3_OK)
        return error;
    http_set_headerf(q->http, "Location", "/%s", q->bucket);
    s3_answer_empty(q, 200);
    return S3_OK;
}

enum s3_error s3_head_bucket(struct s3_request *q)
{
    struct store_bucket b;
    enum s3_error error = store_bucket_find(q->store, q->bucket, &b, &q->fault.err);

    if (error != S3_OK)
        return error;
    http_set_header(q->http, "x-amz-bucket-region", region_of(q, &b));
    http_answer_head(q->http, 200, 0);
    return S3_OK;
}

enum s3_error s3_get_location(struct s3_request *q)
{
    auto_xml struct xml x = {0};
    struct store_bucket b;
    enum s3_error error = store_bucket_find(q->store, q->bucket, &b, &q->fault.err);

    if (error != S3_OK)
        return error;
    xml_begin(&x, "LocationConstraint", S3_NAMESPACE);
    if (strcmp(region_of(q, &b), "us-east-1") != 0)
        xml_content(&x, region_of(q, &b));
    xml_close(&x, "LocationConstraint");
    s3_answer_xml(q, 200, &x);
    return S3_OK;
}

enum s3_error s3_delete_bucket(struct s3_request *q)
{
    enum s3_error error = store_bucket_delete(q->store, q->bucket, &q->fault.err);

    if (error == S3_OK)
        s3_answer_empty(q, 204);
    return error;
}
