#include <string.h>

#include "../sandbox/base/log.h"
#include "store_api.h"

static bool is_head(const struct s3_request *q)
{
    return strcmp(q->http->method, "HEAD") == 0;
}

void s3_answer_empty(struct s3_request *q, unsigned status)
{
    http_answer(q->http, status, "", 0);
}

void s3_answer_xml(struct s3_request *q, unsigned status, struct xml *x)
{
    if (x->err.code) {
        q->fault.err = x->err;
        s3_answer_error(q, s3_error_of(&x->err));
        return;
    }
    http_set_header(q->http, "Content-Type", "application/xml");
    http_answer_buf(q->http, status, &x->buf);
}

static void write_error(struct s3_request *q, const struct s3_error_kind *kind, struct xml *x)
{
    xml_begin(x, "Error", NULL);
    xml_text(x, "Code", kind->code);
    xml_text(x, "Message", q->fault.message[0] ? q->fault.message : kind->message);
    if (q->fault.header)
        xml_text(x, "Header", q->fault.header);
    if (q->key[0])
        xml_text(x, "Key", q->key);
    if (q->bucket[0])
        xml_text(x, "BucketName", q->bucket);
    xml_text(x, "Resource", q->http->path);
    xml_text(x, "RequestId", q->request_id);
    xml_text(x, "HostId", q->request_id);
    xml_close(x, "Error");
}

void s3_answer_error(struct s3_request *q, enum s3_error error)
{
    const struct s3_error_kind *kind = &s3_error_kinds[error];
    auto_xml struct xml x = {0};

    if (kind->status >= 500 && kind->status != 501)
        log_error("%s %s: %s", q->http->method, q->http->path, q->fault.err.msg);
    if (is_head(q) || error == S3_NotModified) {
        http_answer_head(q->http, kind->status, 0);
        return;
    }
    write_error(q, kind, &x);
    http_set_header(q->http, "Content-Type", "application/xml");
    http_answer(q->http, kind->status, buf_str(&x.buf), x.buf.used);
}

void s3_set_etag(struct s3_request *q, const char *etag)
{
    http_set_headerf(q->http, "ETag", "\"%s\"", etag);
}

void s3_set_checksum(struct s3_request *q, enum checksum checksum, bool full_object, const char *text)
{
    if (checksum == CHECKSUM_NONE || !text[0])
        return;
    http_set_header(q->http, checksum_kinds[checksum].header, text);
    http_set_header(q->http, "x-amz-checksum-type", s3_checksum_type(full_object));
}

void xml_owner(struct xml *x, const char *element)
{
    xml_open(x, element);
    xml_text(x, "ID", "fnrun");
    xml_text(x, "DisplayName", "fnrun");
    xml_close(x, element);
}

void xml_checksum(struct xml *x, enum checksum checksum, bool full_object, const char *text)
{
    if (checksum == CHECKSUM_NONE || !text[0])
        return;
    xml_text(x, checksum_kinds[checksum].xml, text);
    xml_text(x, "ChecksumType", s3_checksum_type(full_object));
}
