#include "store_headers.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "store_api.h"

#define METADATA_PREFIX "x-amz-meta-"
#define METADATA_MAX 2048 /* bytes of names and values together, as in S3 */

static const char *const kept[] = {"Cache-Control",
                                   "Content-Disposition",
                                   "Content-Encoding",
                                   "Content-Language",
                                   "Content-Type",
                                   "Expires",
                                   "x-amz-website-redirect-location"};

/* What a client would miss later, with the value that asks for nothing. */
static const struct {
    const char *name, *harmless;
} refused[] = {
    {"x-amz-object-lock-legal-hold", "OFF"},
    {"x-amz-object-lock-mode", ""},
    {"x-amz-server-side-encryption-customer-algorithm", ""}, /* nobody else may be given the data */
    {"x-amz-storage-class", "STANDARD"},
    {"x-amz-tagging", ""},
};

struct collector {
    struct s3_request *q;
    struct buf *ret;
    size_t metadata_bytes;
    enum s3_error error;
};

static void keep(struct collector *c, const char *name, const char *value, size_t size)
{
    struct err *e = &c->q->fault.err;

    if (buf_add(c->ret, name, strlen(name) + 1, e) < 0 || buf_add(c->ret, value, size, e) < 0 ||
        buf_add(c->ret, "", 1, e) < 0)
        c->error = s3_error_of(e);
}

/* Names are kept in lower case: SDKs give them to their users as they come. */
static void keep_metadata(struct collector *c, const char *name, const char *value)
{
    char lower[METADATA_MAX + sizeof(METADATA_PREFIX)];
    size_t size = strlen(name) + 1, value_size = strlen(value);

    c->metadata_bytes += size - sizeof(METADATA_PREFIX) + value_size;
    if (c->metadata_bytes > METADATA_MAX) {
        c->error = S3_MetadataTooLarge;
        return;
    }
    for (size_t i = 0; i < size; i++)
        lower[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] - 'A' + 'a') : name[i];
    keep(c, lower, value, value_size);
}

/* Content-Encoding without the framing of the request's own body. */
static void keep_encoding(struct collector *c, const char *name, const char *value)
{
    auto_buf struct buf rest = {0};
    struct err e;

    for (const char *p = value; *p; p += strcspn(p, ",")) {
        p += strspn(p, ", \t");
        if (*p && strncasecmp(p, "aws-chunked", 11) != 0)
            buf_addf(&rest, &e, "%s%.*s", rest.used ? "," : "", (int)strcspn(p, ","), p);
    }
    if (rest.used)
        keep(c, name, rest.data, rest.used);
}

static void on_header(void *ctx, const char *name, const char *value)
{
    struct collector *c = ctx;

    if (c->error != S3_OK)
        return;
    if (strncasecmp(name, METADATA_PREFIX, strlen(METADATA_PREFIX)) == 0)
        keep_metadata(c, name, value);
    for (unsigned i = 0; i < ARRAY_LEN(kept); i++)
        if (strcasecmp(name, kept[i]) == 0) {
            if (strcmp(kept[i], "Content-Encoding") == 0)
                keep_encoding(c, kept[i], value);
            else
                keep(c, kept[i], value, strlen(value));
        }
}

enum s3_error s3_check_headers(struct s3_request *q)
{
    for (unsigned i = 0; i < ARRAY_LEN(refused); i++) {
        const char *value = http_header(q->http, refused[i].name);

        if (!value || !value[0] || strcmp(value, refused[i].harmless) == 0)
            continue;
        q->fault.header = refused[i].name;
        return s3_fault_set(&q->fault, S3_NotImplemented,
                            "A header you provided implies functionality that is not implemented");
    }
    return S3_OK;
}

enum s3_error s3_collect_headers(struct s3_request *q, struct buf *ret)
{
    struct collector c = {.q = q, .ret = ret};

    http_each_header(q->http, on_header, &c);
    return c.error;
}

struct store_condition s3_write_condition(const struct s3_request *q)
{
    return (struct store_condition){.if_match = http_header(q->http, "If-Match"),
                                    .if_none_match = http_header(q->http, "If-None-Match")};
}

/* --- conditions ------------------------------------------------------------------------------------------------------ */

void s3_format_date(nsec_t wall, char ret[32])
{
    time_t seconds = (time_t)(wall / NSEC_PER_SEC);
    struct tm tm;

    gmtime_r(&seconds, &tm);
    strftime(ret, 32, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

static const char *condition_header(const struct s3_request *q, const char *prefix, const char *name)
{
    char full[64];

    snprintf(full, sizeof(full), "%s%s", prefix, name);
    return http_header(q->http, full);
}

/* Was the object modified after the date? A date that can't be read counts as absent: `otherwise`. */
static bool modified_since(const struct store_object *o, const char *date, bool otherwise)
{
    struct tm tm = {0};
    const char *end = date ? strptime(date, "%a, %d %b %Y %H:%M:%S", &tm) : NULL;

    return end ? o->modified / NSEC_PER_SEC > timegm(&tm) : otherwise;
}

enum s3_error s3_check_conditions(const struct s3_request *q, const char *prefix, const struct store_object *o)
{
    const char *match = condition_header(q, prefix, "if-match"), *none = condition_header(q, prefix, "if-none-match");

    if (match && !store_etag_listed(match, o->etag))
        return S3_PreconditionFailed;
    if (!match && modified_since(o, condition_header(q, prefix, "if-unmodified-since"), false))
        return S3_PreconditionFailed;
    if (none && store_etag_listed(none, o->etag))
        return S3_NotModified;
    if (!none && !modified_since(o, condition_header(q, prefix, "if-modified-since"), true))
        return S3_NotModified;
    return S3_OK;
}

/* --- numbers --------------------------------------------------------------------------------------------------------- */

/* Digits at *p, which moves behind them. False where there are none or too many. */
static bool take_number(const char **p, uint64_t *ret)
{
    size_t digits = strspn(*p, "0123456789");

    if (digits == 0 || digits > 18)
        return false;
    *ret = strtoull(*p, NULL, 10);
    *p += digits;
    return true;
}

enum s3_error s3_parse_range(const char *header, uint64_t object_size, struct s3_range *ret)
{
    uint64_t first = 0, last = UINT64_MAX;
    bool has_first, has_last;
    const char *p = header;

    *ret = (struct s3_range){.size = object_size};
    if (!p || strncmp(p, "bytes=", 6) != 0)
        return S3_OK;
    p += 6;
    has_first = take_number(&p, &first);
    if (*p++ != '-')
        return S3_OK;
    has_last = take_number(&p, &last);
    if (*p || (!has_first && !has_last) || (has_first && last < first))
        return S3_OK;
    if (!has_first) {
        first = last < object_size ? object_size - last : 0;
        if (last == 0)
            return S3_InvalidRange;
        last = UINT64_MAX;
    }
    if (first >= object_size)
        return S3_InvalidRange;
    last = MIN(last, object_size - 1);
    *ret = (struct s3_range){.given = true, .first = first, .size = last - first + 1};
    return S3_OK;
}

const char *s3_query_text(const struct s3_request *q, const char *name)
{
    const char *text = http_query(q->http, name);

    return text ? text : "";
}

enum s3_error s3_query_number(struct s3_request *q, const char *name, unsigned fallback, unsigned max, unsigned *ret)
{
    const char *text = s3_query_text(q, name), *p = text;
    uint64_t value = fallback;

    if (text[0] && (!take_number(&p, &value) || *p))
        return s3_fault_set(&q->fault, S3_InvalidArgument, "Provided %s not an integer or within integer range", name);
    *ret = (unsigned)MIN(value, (uint64_t)max);
    return S3_OK;
}
