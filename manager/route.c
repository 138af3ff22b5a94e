/*
 * Which service a request is for. Signed requests say so in their credential scope (.../REGION/SERVICE/aws4_request);
 * unsigned ones are told apart by the path: Lambda's begin with an API date, ours with /_fnrun/, all else is S3's.
 */
#include <ctype.h>
#include <string.h>

#include "manager.h"

struct service {
    const char *scope;
    const struct http_handlers *handlers;
};

static const struct service services[] = {
    {"/lambda/aws4_request", &lambda_service},
    {"/s3/aws4_request", &store_service},
};

/* "/2015-03-31/..." */
static bool has_api_date(const char *path)
{
    static const char shape[] = "/dddd-dd-dd/";

    for (unsigned i = 0; i < sizeof(shape) - 1; i++)
        if (shape[i] == 'd' ? !isdigit((unsigned char)path[i]) : path[i] != shape[i])
            return false;
    return true;
}

static const struct http_handlers *find_service(const struct http_request *r)
{
    const char *scope = http_header(r, "Authorization");

    if (strncmp(r->path, "/_fnrun/", 8) == 0)
        return &private_service;
    if (!scope)
        scope = http_query(r, "X-Amz-Credential");
    for (unsigned i = 0; scope && i < ARRAY_LEN(services); i++)
        if (strstr(scope, services[i].scope))
            return services[i].handlers;
    return has_api_date(r->path) ? &lambda_service : &store_service;
}

static void on_headers(struct http_request *r)
{
    r->handlers = find_service(r);
    r->handlers->on_headers(r);
}

/* Never reached: on_headers has replaced the handlers. */
static void on_request(struct http_request *r)
{
    http_answer(r, 500, "", 0);
}

const struct http_handlers route_handlers = {.on_headers = on_headers, .on_request = on_request};
