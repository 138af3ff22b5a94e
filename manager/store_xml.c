#include "store_xml.h"

#include <errno.h>
#include <expat.h>
#include <stdio.h>
#include <string.h>

/* --- writing -------------------------------------------------------------------------------------------------------- */

static void add(struct xml *x, const char *text)
{
    if (!x->err.code)
        buf_add_str(&x->buf, text, &x->err);
}

void xml_begin(struct xml *x, const char *root, const char *ns)
{
    add(x, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<");
    add(x, root);
    if (ns) {
        add(x, " xmlns=\"");
        add(x, ns);
        add(x, "\"");
    }
    add(x, ">");
}

void xml_open(struct xml *x, const char *name)
{
    add(x, "<");
    add(x, name);
    add(x, ">");
}

void xml_close(struct xml *x, const char *name)
{
    add(x, "</");
    add(x, name);
    add(x, ">");
}

static const char *entity_of(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    default:
        return NULL;
    }
}

/* Control characters become references, as in S3. XML 1.0 has no way to write most of them: clients that care ask for
 * encoding-type=url. */
void xml_content(struct xml *x, const char *text)
{
    for (const char *p = text; *p && !x->err.code; p++) {
        const char *entity = entity_of(*p);

        if (entity)
            buf_add_str(&x->buf, entity, &x->err);
        else if ((unsigned char)*p < 0x20 || *p == 0x7f)
            buf_addf(&x->buf, &x->err, "&#x%x;", *p);
        else
            buf_add(&x->buf, p, 1, &x->err);
    }
}

void xml_text(struct xml *x, const char *name, const char *text)
{
    xml_open(x, name);
    xml_content(x, text);
    xml_close(x, name);
}

void xml_uint(struct xml *x, const char *name, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    xml_text(x, name, text);
}

void xml_bool(struct xml *x, const char *name, bool value)
{
    xml_text(x, name, value ? "true" : "false");
}

void xml_time(struct xml *x, const char *name, nsec_t wall)
{
    time_t seconds = (time_t)(wall / NSEC_PER_SEC);
    char text[40], day[24];
    struct tm tm;

    gmtime_r(&seconds, &tm);
    strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text, sizeof(text), "%s.%03dZ", day, (int)(wall % NSEC_PER_SEC / NSEC_PER_MSEC));
    xml_text(x, name, text);
}

void xml_etag(struct xml *x, const char *etag)
{
    char text[64];

    snprintf(text, sizeof(text), "\"%s\"", etag);
    xml_text(x, "ETag", text);
}

/* --- reading -------------------------------------------------------------------------------------------------------- */

struct reader {
    XML_Parser parser;
    int (*each)(void *ctx, const char *path, const char *text);
    void *ctx;
    char path[256]; /* names of the open elements, with slashes */
    size_t path_used;
    struct buf text;
    int rc;
    struct err *err;
};

static void stop(struct reader *r, int rc)
{
    if (r->rc == 0)
        r->rc = rc;
    XML_StopParser(r->parser, XML_FALSE);
}

static void on_start(void *user, const XML_Char *name, UNUSED const XML_Char **attributes)
{
    struct reader *r = user;
    int n = snprintf(r->path + r->path_used, sizeof(r->path) - r->path_used, "%s%s", r->path_used ? "/" : "", name);

    buf_clear(&r->text);
    if (n < 0 || (size_t)n >= sizeof(r->path) - r->path_used)
        stop(r, err_set(r->err, EBADMSG, "XML: too deep"));
    else
        r->path_used += (size_t)n;
}

static void on_end(void *user, UNUSED const XML_Char *name)
{
    struct reader *r = user;
    const char *slash;
    int rc;

    if (r->rc < 0)
        return;
    rc = r->each(r->ctx, r->path, buf_str(&r->text));
    if (rc < 0)
        stop(r, rc);
    slash = strrchr(r->path, '/');
    r->path_used = slash ? (size_t)(slash - r->path) : 0;
    r->path[r->path_used] = '\0';
    buf_clear(&r->text);
}

static void on_text(void *user, const XML_Char *text, int size)
{
    struct reader *r = user;

    if (r->rc == 0 && buf_add(&r->text, text, (size_t)size, r->err) < 0)
        stop(r, -r->err->code);
}

/* No request has one, and entities are declared there. */
static void on_doctype(void *user, UNUSED const XML_Char *name, UNUSED const XML_Char *system,
                       UNUSED const XML_Char *public, UNUSED int has_internal)
{
    struct reader *r = user;

    stop(r, err_set(r->err, EBADMSG, "XML: document types are refused"));
}

int xml_parse(const char *data, size_t size, int (*each)(void *, const char *, const char *), void *ctx, struct err *e)
{
    struct reader r = {.parser = XML_ParserCreate("UTF-8"), .each = each, .ctx = ctx, .err = e};

    if (!r.parser)
        return err_set(e, ENOMEM, "XML: no memory");
    XML_SetUserData(r.parser, &r);
    XML_SetElementHandler(r.parser, on_start, on_end);
    XML_SetCharacterDataHandler(r.parser, on_text);
    XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
    if (XML_Parse(r.parser, data, (int)size, 1) == XML_STATUS_ERROR && r.rc == 0)
        r.rc = err_set(e, EBADMSG, "XML: %s", XML_ErrorString(XML_GetErrorCode(r.parser)));
    XML_ParserFree(r.parser);
    buf_free(&r.text);
    return r.rc;
}
