/* ListObjects, ListObjectsV2 and ListObjectVersions: one listing, told in three ways. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store_api.h"

#define LIST_MAX 1000

struct list {
    struct s3_request *q;
    struct store_list_query query;
    struct store_listing listing;
    bool url; /* encoding-type=url: for keys that XML can't hold */
    struct xml xml;
};

static void free_list(struct list *l)
{
    store_listing_free(&l->listing);
    xml_free(&l->xml);
}

#define auto_list __attribute__((cleanup(free_list)))

static void write_encoded(struct xml *x, const char *name, const char *text)
{
    auto_buf struct buf encoded = {0};

    for (const char *p = text; *p && !x->err.code; p++) {
        if (isalnum((unsigned char)*p) || strchr("-_.~/", *p))
            buf_add(&encoded, p, 1, &x->err);
        else
            buf_addf(&encoded, &x->err, "%%%02X", (unsigned char)*p);
    }
    xml_text(x, name, buf_str(&encoded));
}

static void write_key(struct list *l, const char *name, const char *key)
{
    if (l->url)
        write_encoded(&l->xml, name, key);
    else
        xml_text(&l->xml, name, key);
}

static void write_key_if(struct list *l, const char *name, const char *key)
{
    if (key[0])
        write_key(l, name, key);
}

/* Reads what all three have in common, and lists. */
static enum s3_error run_list(struct list *l, struct s3_request *q, const char *after)
{
    const char *encoding = s3_query_text(q, "encoding-type");
    enum s3_error error;

    if (encoding[0] && strcmp(encoding, "url") != 0)
        return s3_fault_set(&q->fault, S3_InvalidArgument, "Invalid Encoding Method specified in Request");
    l->q = q;
    l->url = encoding[0];
    l->query = (struct store_list_query){.bucket = q->bucket,
                                         .prefix = s3_query_text(q, "prefix"),
                                         .delimiter = s3_query_text(q, "delimiter"),
                                         .after = after};
    error = s3_query_number(q, "max-keys", LIST_MAX, LIST_MAX, &l->query.max);
    return error == S3_OK ? store_list(q->store, &l->query, &l->listing, &q->fault.err) : error;
}

static void write_head(struct list *l, const char *root)
{
    struct xml *x = &l->xml;

    xml_begin(x, root, S3_NAMESPACE);
    xml_text(x, "Name", l->query.bucket);
    write_key(l, "Prefix", l->query.prefix);
    write_key_if(l, "Delimiter", l->query.delimiter);
    xml_uint(x, "MaxKeys", l->query.max);
    if (l->url)
        xml_text(x, "EncodingType", "url");
    xml_bool(x, "IsTruncated", l->listing.truncated);
}

static void write_object(struct list *l, const struct store_list_item *item, const char *element, bool owner)
{
    struct xml *x = &l->xml;

    xml_open(x, element);
    write_key(l, "Key", item->key);
    if (strcmp(element, "Version") == 0) {
        xml_text(x, "VersionId", "null");
        xml_bool(x, "IsLatest", true);
    }
    xml_time(x, "LastModified", item->modified);
    xml_etag(x, item->etag);
    if (item->checksum != CHECKSUM_NONE) {
        xml_text(x, "ChecksumAlgorithm", checksum_kinds[item->checksum].name);
        xml_text(x, "ChecksumType", s3_checksum_type(item->full_object));
    }
    xml_uint(x, "Size", item->size);
    if (owner)
        xml_owner(x, "Owner");
    xml_text(x, "StorageClass", "STANDARD");
    xml_close(x, element);
}

static void write_items(struct list *l, const char *element, bool owner)
{
    const struct store_listing *items = &l->listing;

    for (size_t i = 0; i < items->count; i++)
        if (!items->items[i].is_prefix)
            write_object(l, &items->items[i], element, owner);
    for (size_t i = 0; i < items->count; i++)
        if (items->items[i].is_prefix) {
            xml_open(&l->xml, "CommonPrefixes");
            write_key(l, "Prefix", items->items[i].key);
            xml_close(&l->xml, "CommonPrefixes");
        }
}

static const char *last_key(const struct list *l)
{
    return l->listing.count ? l->listing.items[l->listing.count - 1].key : "";
}

static enum s3_error answer_list(struct list *l, const char *root)
{
    xml_close(&l->xml, root);
    s3_answer_xml(l->q, 200, &l->xml);
    return S3_OK;
}

/* --- ListObjects -------------------------------------------------------------------------------------------------------- */

static enum s3_error list_v1(struct s3_request *q)
{
    auto_list struct list l = {.url = false};
    enum s3_error error = run_list(&l, q, s3_query_text(q, "marker"));

    if (error != S3_OK)
        return error;
    write_head(&l, "ListBucketResult");
    write_key(&l, "Marker", l.query.after);
    /* Clients take the last key where there is no delimiter. */
    if (l.listing.truncated && l.query.delimiter[0])
        write_key(&l, "NextMarker", last_key(&l));
    write_items(&l, "Contents", true);
    return answer_list(&l, "ListBucketResult");
}

/* --- ListObjectsV2 ------------------------------------------------------------------------------------------------------ */

/* A token is the last key in base64. */
static void write_token(struct xml *x, const char *key)
{
    char text[BASE64_SIZE(STORE_KEY_MAX)];

    base64_encode(key, strlen(key), text);
    xml_text(x, "NextContinuationToken", text);
}

static enum s3_error read_token(struct s3_request *q, const char *token, char key[STORE_KEY_MAX + 1])
{
    unsigned char raw[BASE64_SIZE(STORE_KEY_MAX) + 3];
    struct base64_decoder d = {0};
    size_t size = strlen(token);
    long n = size < BASE64_SIZE(STORE_KEY_MAX) ? base64_decode(&d, token, size, raw) : -1;

    if (n <= 0 || n > STORE_KEY_MAX || !base64_complete(&d) || memchr(raw, '\0', (size_t)n))
        return s3_fault_set(&q->fault, S3_InvalidArgument, "The continuation token provided is incorrect");
    memcpy(key, raw, (size_t)n);
    key[n] = '\0';
    return S3_OK;
}

static enum s3_error list_v2(struct s3_request *q)
{
    const char *token = http_query(q->http, "continuation-token"), *start = s3_query_text(q, "start-after");
    auto_list struct list l = {.url = false};
    char key[STORE_KEY_MAX + 1];
    enum s3_error error = token ? read_token(q, token, key) : S3_OK;

    if (error == S3_OK)
        error = run_list(&l, q, token ? key : start);
    if (error != S3_OK)
        return error;
    write_head(&l, "ListBucketResult");
    xml_uint(&l.xml, "KeyCount", l.listing.count);
    write_key_if(&l, "StartAfter", start);
    if (token)
        xml_text(&l.xml, "ContinuationToken", token);
    if (l.listing.truncated)
        write_token(&l.xml, last_key(&l));
    write_items(&l, "Contents", strcmp(s3_query_text(q, "fetch-owner"), "true") == 0);
    return answer_list(&l, "ListBucketResult");
}

enum s3_error s3_list_objects(struct s3_request *q)
{
    return strcmp(s3_query_text(q, "list-type"), "2") == 0 ? list_v2(q) : list_v1(q);
}

/* --- ListObjectVersions: each object has the one version "null" ------------------------------------------------------------ */

enum s3_error s3_list_versions(struct s3_request *q)
{
    auto_list struct list l = {.url = false};
    enum s3_error error = run_list(&l, q, s3_query_text(q, "key-marker"));

    if (error != S3_OK)
        return error;
    write_head(&l, "ListVersionsResult");
    write_key(&l, "KeyMarker", l.query.after);
    if (l.listing.truncated) {
        write_key(&l, "NextKeyMarker", last_key(&l));
        xml_text(&l.xml, "NextVersionIdMarker", "null");
    }
    write_items(&l, "Version", true);
    return answer_list(&l, "ListVersionsResult");
}
