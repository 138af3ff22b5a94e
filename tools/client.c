#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

#define CONNECT_TIMEOUT_MS 5000L
/* The largest answers are 6 MB of payload, in base64 perhaps, and pieces of a log. */
#define ANSWER_MAX_BYTES ((size_t)256 * 1024 * 1024)

/* Setting an option fails only for want of memory, and then the request itself does. */
#define SET(c, option, value) curl_easy_setopt((c)->curl, option, value)

static size_t take_body(char *data, size_t one, size_t count, void *ctx)
{
    struct client *c = ctx;
    struct err ignored;

    /* A short count makes curl fail with CURLE_WRITE_ERROR. */
    return buf_add(&c->body, data, one * count, &ignored) < 0 ? 0 : one * count;
}

int client_create(const char *endpoint, struct client **ret, struct err *e)
{
    struct client *c = calloc(1, sizeof(*c));

    if (!c)
        return err_set(e, ENOMEM, "no memory");
    c->body.cap = ANSWER_MAX_BYTES;
    c->curl = curl_easy_init();
    c->endpoint = strdup(endpoint);
    if (!c->curl || !c->endpoint) {
        client_free(c);
        return err_set(e, ENOMEM, "no memory");
    }
    for (size_t n = strlen(c->endpoint); n > 0 && c->endpoint[n - 1] == '/'; n--)
        c->endpoint[n - 1] = '\0';
    *ret = c;
    return 0;
}

void client_free(struct client *c)
{
    if (!c)
        return;
    curl_easy_cleanup(c->curl);
    curl_slist_free_all(c->headers);
    buf_free(&c->body);
    free(c->endpoint);
    free(c);
}

static const char *variable(const char *name, const char *fallback)
{
    const char *value = getenv(name);

    return value && *value ? value : fallback;
}

static int add_header(struct client *c, const char *line, struct err *e)
{
    struct curl_slist *list = curl_slist_append(c->headers, line);

    if (!list)
        return err_set(e, ENOMEM, "no memory");
    c->headers = list;
    return 0;
}

static int sign_for(struct client *c, const char *service, struct err *e)
{
    const char *region = variable("AWS_REGION", variable("AWS_DEFAULT_REGION", "us-east-1"));
    const char *token = variable("AWS_SESSION_TOKEN", NULL);
    char text[128];

    snprintf(text, sizeof(text), "aws:amz:%s:%s", region, service);
    SET(c, CURLOPT_AWS_SIGV4, text);
    SET(c, CURLOPT_USERNAME, variable("AWS_ACCESS_KEY_ID", "test"));
    SET(c, CURLOPT_PASSWORD, variable("AWS_SECRET_ACCESS_KEY", "test"));
    if (token) {
        auto_buf struct buf line = {0};

        if (buf_addf(&line, e, "X-Amz-Security-Token: %s", token) < 0 || add_header(c, line.data, e) < 0)
            return -e->code;
    }
    return 0;
}

static void set_method(struct client *c, const struct request *r)
{
    if (r->body || strcmp(r->method, "POST") == 0 || strcmp(r->method, "PUT") == 0) {
        SET(c, CURLOPT_POST, 1L);
        SET(c, CURLOPT_POSTFIELDS, r->body ? r->body : "");
        SET(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->size);
    }
    SET(c, CURLOPT_CUSTOMREQUEST, r->method);
}

static void set_common(struct client *c)
{
    SET(c, CURLOPT_ERRORBUFFER, c->error);
    SET(c, CURLOPT_WRITEFUNCTION, take_body);
    SET(c, CURLOPT_WRITEDATA, c);
    SET(c, CURLOPT_PRIVATE, c);
    SET(c, CURLOPT_PROTOCOLS_STR, "http,https");
    SET(c, CURLOPT_USERAGENT, "fnrun/" FNRUN_VERSION);
    SET(c, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    SET(c, CURLOPT_TCP_KEEPALIVE, 1L);
    /* The server is a machine of one's own: a proxy for the way out doesn't lead to it. */
    SET(c, CURLOPT_PROXY, "");
    /* Without it curl sets and resets the handler of SIGPIPE around every transfer. */
    SET(c, CURLOPT_NOSIGNAL, 1L);
}

int client_prepare(struct client *c, const struct request *r, struct err *e)
{
    const char *type = r->type ? r->type : "application/json";
    auto_buf struct buf text = {0};

    curl_easy_reset(c->curl);
    curl_slist_free_all(c->headers);
    c->headers = NULL;
    set_common(c);
    set_method(c, r);
    SET(c, CURLOPT_TIMEOUT_MS, r->timeout_ms);
    if (buf_addf(&text, e, "%s%s", c->endpoint, r->path) < 0)
        return -e->code;
    SET(c, CURLOPT_URL, text.data);
    buf_clear(&text);
    /* "Expect: 100-continue" would cost a round trip, curl's own content type would be a lie. */
    if (buf_addf(&text, e, "Content-Type: %s", type) < 0 || add_header(c, text.data, e) < 0 ||
        add_header(c, "Expect:", e) < 0)
        return -e->code;
    for (const char *const *h = r->headers; h && *h; h++)
        if (add_header(c, *h, e) < 0)
            return -e->code;
    if (r->service && sign_for(c, r->service, e) < 0)
        return -e->code;
    SET(c, CURLOPT_HTTPHEADER, c->headers);
    return 0;
}

void client_begin(struct client *c)
{
    buf_clear(&c->body);
    c->error[0] = '\0';
    c->status = 0;
}

int client_end(struct client *c, CURLcode code, struct err *e)
{
    const char *why = c->error[0] ? c->error : curl_easy_strerror(code);

    if (code == CURLE_OK) {
        curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &c->status);
        return 0;
    }
    if (code == CURLE_WRITE_ERROR)
        return err_set(e, EMSGSIZE, "%s: the answer is larger than %zu bytes", c->endpoint, ANSWER_MAX_BYTES);
    return err_set(e, CLIENT_UNREACHABLE, "can't reach %s: %s%s", c->endpoint, why,
                   code == CURLE_COULDNT_CONNECT ? " (is `fnrun up` running?)" : "");
}

int client_perform(struct client *c, struct err *e)
{
    client_begin(c);
    return client_end(c, curl_easy_perform(c->curl), e);
}

const char *client_header(const struct client *c, const char *name)
{
    struct curl_header *h;

    return curl_easy_header(c->curl, name, 0, CURLH_HEADER, -1, &h) == CURLHE_OK ? h->value : NULL;
}

long long client_header_number(const struct client *c, const char *name, long long fallback)
{
    const char *text = client_header(c, name);

    return text ? atoll(text) : fallback;
}
