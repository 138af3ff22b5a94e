#include "fake_http.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

const struct fake_pair *fake_headers, *fake_query;
unsigned fake_status;
char fake_answer[1024], fake_answer_headers[1024];

static const char *find(const struct fake_pair *p, const char *name, int (*compare)(const char *, const char *))
{
    for (; p && p->name; p++)
        if (compare(p->name, name) == 0)
            return p->value;
    return NULL;
}

const char *http_header(UNUSED const struct http_request *r, const char *name)
{
    return find(fake_headers, name, strcasecmp);
}

const char *http_query(UNUSED const struct http_request *r, const char *name)
{
    return find(fake_query, name, strcmp);
}

void http_each_header(UNUSED const struct http_request *r, void (*each)(void *, const char *, const char *), void *ctx)
{
    for (const struct fake_pair *p = fake_headers; p && p->name; p++)
        each(ctx, p->name, p->value);
}

void http_set_header(UNUSED struct http_request *r, const char *name, const char *value)
{
    size_t used = strlen(fake_answer_headers);

    snprintf(fake_answer_headers + used, sizeof(fake_answer_headers) - used, "%s: %s\n", name, value);
}

void http_answer(UNUSED struct http_request *r, unsigned status, const void *data, size_t size)
{
    fake_status = status;
    snprintf(fake_answer, sizeof(fake_answer), "%.*s", (int)size, size ? (const char *)data : "");
}

void http_answer_str(struct http_request *r, unsigned status, UNUSED const char *content_type, const char *text)
{
    http_answer(r, status, text, strlen(text));
}
