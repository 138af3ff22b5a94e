/*
 * The S3 API: from a request's path to one of the operations of store_operation.def, and what all of them have in
 * common. A key is nothing but bytes here; it never becomes part of a file's name.
 */
#include "store_api.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../sandbox/base/fd.h"
#include "../sandbox/base/log.h"

#define XML_BODY_MAX (UINT64_C(8) << 20) /* 1,000 keys of 1,024 bytes to delete, every byte an entity */

/* --- what is asked for ------------------------------------------------------------------------------------------------ */

/* Keys are UTF-8, as in S3: anything else could not be listed in XML. */
static bool is_utf8(const char *text)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000}; /* that needs so many bytes */

    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        unsigned ones = (unsigned)__builtin_clz(~((unsigned)*p << 24));
        uint32_t value = *p & (0x7fU >> ones);

        if (ones == 1 || ones > 4)
            return false;
        for (unsigned i = 1; i < ones; i++) {
            if ((*++p & 0xc0) != 0x80)
                return false;
            value = value << 6 | (*p & 0x3f);
        }
        if (value < least[ones] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
            return false;
    }
    return true;
}

static enum s3_error decode_key(const char *text, size_t size, char ret[STORE_KEY_MAX + 1])
{
    auto_free char *key = malloc(size + 1);

    if (!key || !http_unescape(text, size, key, size + 1) || !is_utf8(key))
        return S3_InvalidURI;
    if (strlen(key) > STORE_KEY_MAX)
        return S3_KeyTooLongError;
    memcpy(ret, key, strlen(key) + 1);
    return S3_OK;
}

/* A name that is too long to be a bucket's is a bucket that can't be there. */
enum s3_error s3_decode_path(const char *path, size_t size, char bucket[STORE_BUCKET_MAX + 1],
                             char key[STORE_KEY_MAX + 1])
{
    const char *slash = memchr(path, '/', size);
    size_t bucket_size = slash ? (size_t)(slash - path) : size;

    if (!http_unescape(path, bucket_size, bucket, STORE_BUCKET_MAX + 1) || (slash && bucket_size == 0))
        return S3_InvalidBucketName;
    if (slash)
        return decode_key(slash + 1, size - bucket_size - 1, key);
    key[0] = '\0';
    return S3_OK;
}

static enum s3_error find_operation(struct s3_request *q)
{
    const char *path = q->http->path;
    enum s3_error error;

    if (path[0] != '/')
        return S3_InvalidURI;
    error = s3_decode_path(path + 1, strlen(path + 1), q->bucket, q->key);
    if (error != S3_OK)
        return error;
    q->operation = s3_find_operation(q, q->key[0] ? S3_OBJECT : q->bucket[0] ? S3_BUCKET : S3_SERVICE);
    return q->operation ? S3_OK : q->fault.error;
}

/* --- the body --------------------------------------------------------------------------------------------------------- */

static int write_file(struct s3_body *b, const char *data, size_t size, struct err *e)
{
    return fd_write_all(container_of(b, struct s3_request, body)->file.fd, data, size, e);
}

static int write_buffer(struct s3_body *b, const char *data, size_t size, struct err *e)
{
    return buf_add(&container_of(b, struct s3_request, body)->http->body, data, size, e);
}

/* `check` may have set q->object.checksum: the kind that an upload wants of its parts. */
static enum s3_error begin_body(struct s3_request *q)
{
    bool file = q->operation->body == S3_BODY_FILE;

    if (q->operation->body == S3_BODY_NONE)
        return S3_OK;
    if (file && !http_header(q->http, "Content-Length") && !http_header(q->http, "Transfer-Encoding"))
        return S3_MissingContentLength;
    q->body = (struct s3_body){.max = file ? STORE_OBJECT_MAX : XML_BODY_MAX,
                               .own_checksum = q->operation->body != S3_BODY_XML_UNSUMMED,
                               .sink = file ? write_file : write_buffer,
                               .fault = &q->fault};
    q->http->body.cap = XML_BODY_MAX;
    return s3_body_begin(&q->body, q->http, q->object.checksum);
}

static int on_data(struct http_request *r, const char *data, size_t size)
{
    struct s3_request *q = r->user;

    if (q->fault.error != S3_OK)
        return -1;
    if (q->operation->body == S3_BODY_NONE)
        return 0;
    q->fault.error = s3_body_feed(&q->body, data, size);
    return q->fault.error == S3_OK ? 0 : -1;
}

/* --- a request's life --------------------------------------------------------------------------------------------------- */

static void on_free(struct http_request *r)
{
    struct s3_request *q = r->user;

    job_cancel(&q->job);
    store_file_discard(&q->file);
    store_object_free(&q->object);
    s3_body_free(&q->body);
    free(q->pieces);
    free(q);
}

static struct s3_request *make_request(struct http_request *r)
{
    const struct manager *m = r->server_ctx;
    struct s3_request *q = calloc(1, sizeof(*q));
    char id[STORE_ID_SIZE];

    if (!q)
        return NULL;
    store_make_id(id);
    *q = (struct s3_request){.http = r, .manager = m, .store = m->store, .file.fd = -1};
    for (unsigned i = 0; i < sizeof(q->request_id) - 1; i++)
        q->request_id[i] = (char)(id[i] >= 'a' ? id[i] - 'a' + 'A' : id[i]);
    http_set_header(r, "x-amz-request-id", q->request_id);
    http_set_header(r, "x-amz-id-2", q->request_id);
    return q;
}

/* What is wrong is told at once only to a client that waits before it sends the body; another would be cut off in the
 * middle of sending and might never read the answer. */
static void on_headers(struct http_request *r)
{
    struct s3_request *q = make_request(r);

    if (!q) {
        http_answer(r, 503, "", 0);
        return;
    }
    r->user = q;
    r->on_free = on_free;
    r->on_data = on_data;
    q->fault.error = find_operation(q);
    if (q->fault.error == S3_OK)
        q->fault.error = s3_check_headers(q);
    if (q->fault.error == S3_OK)
        q->fault.error = q->operation->check(q);
    if (q->fault.error == S3_OK)
        q->fault.error = begin_body(q);
    if (q->fault.error != S3_OK && http_header(r, "Expect"))
        s3_answer_error(q, q->fault.error);
}

static void on_request(struct http_request *r)
{
    struct s3_request *q = r->user;
    enum s3_error error = q->fault.error;

    if (error == S3_OK && q->operation->body != S3_BODY_NONE)
        error = s3_body_finish(&q->body);
    if (error == S3_OK)
        error = q->operation->run(q);
    if (error != S3_OK)
        s3_answer_error(q, error);
}

const struct http_handlers store_service = {.on_headers = on_headers, .on_request = on_request};
