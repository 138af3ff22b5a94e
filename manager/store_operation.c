/* Which operation a request asks for, and the answers about settings that nothing here has. */
#include <string.h>

#include "store_api.h"

struct subresource {
    enum s3_level level;
    const char *name;
    enum s3_error error;
    const char *xml;
};

static const struct subresource subresources[] = {
#define SUBRESOURCE(level, name, error, xml) {level, name, error, xml},
#include "store_subresource.def"
#undef SUBRESOURCE
};

static const struct s3_operation operations[] = {
#define OPERATION(method, level, query, header, body, check, run) {method, level, query, header, body, check, run},
#include "store_operation.def"
#undef OPERATION
};

enum s3_error s3_no_check(UNUSED struct s3_request *q)
{
    return S3_OK;
}

static const struct subresource *find_subresource(const struct s3_request *q, enum s3_level level)
{
    for (unsigned i = 0; i < ARRAY_LEN(subresources); i++)
        if (subresources[i].level == level && http_query(q->http, subresources[i].name))
            return &subresources[i];
    return NULL;
}

static enum s3_error get_setting(struct s3_request *q)
{
    const struct subresource *sub = find_subresource(q, q->key[0] ? S3_OBJECT : S3_BUCKET);
    auto_object struct store_object o = {0};
    struct store_bucket b;
    enum s3_error error = q->key[0] ? store_object_find(q->store, q->bucket, q->key, &o, &q->fault.err)
                                    : store_bucket_find(q->store, q->bucket, &b, &q->fault.err);

    if (error != S3_OK || sub->error != S3_OK)
        return error ? error : sub->error;
    http_answer_str(q->http, 200, "application/xml", sub->xml);
    return S3_OK;
}

static const struct s3_operation setting = {.check = s3_no_check, .run = get_setting};

static bool fits(const struct s3_operation *o, const struct s3_request *q, enum s3_level level)
{
    return o->level == level && strcmp(o->method, q->http->method) == 0 &&
           (!o->query || http_query(q->http, o->query)) && (!o->header || http_header(q->http, o->header));
}

const struct s3_operation *s3_find_operation(struct s3_request *q, enum s3_level level)
{
    const struct subresource *sub = find_subresource(q, level);
    const char *version = http_query(q->http, "versionId");

    if (version && strcmp(version, "null") != 0) {
        q->fault.error = S3_NoSuchVersion;
        return NULL;
    }
    for (unsigned i = 0; i < ARRAY_LEN(operations); i++)
        if (fits(&operations[i], q, level) && (!sub || operations[i].query))
            return &operations[i];
    if (sub && (sub->xml[0] || sub->error) && strcmp(q->http->method, "GET") == 0)
        return &setting;
    q->fault.error = sub ? S3_NotImplemented : S3_MethodNotAllowed;
    return NULL;
}
