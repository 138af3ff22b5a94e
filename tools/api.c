#include "api.h"

#include <errno.h>
#include <string.h>

const char *api_endpoint(const struct cli *c)
{
    static const char *const variables[] = {"FNRUN_ENDPOINT", "AWS_ENDPOINT_URL"};
    const char *given = cli_text(c, OPT_any_endpoint, NULL);

    for (size_t i = 0; !given && i < ARRAY_LEN(variables); i++) {
        given = getenv(variables[i]);
        if (given && !*given)
            given = NULL;
    }
    return given ? given : "http://127.0.0.1:4566";
}

int api_connect(struct cli *c, struct err *e)
{
    return c->client ? 0 : client_create(api_endpoint(c), &c->client, e);
}

int api_add_path(struct buf *path, const char *prefix, const char *name, const char *suffix, struct err *e)
{
    char *escaped = curl_easy_escape(NULL, name, 0);
    int rc = escaped ? buf_addf(path, e, "%s%s%s", prefix, escaped, suffix) : err_set(e, ENOMEM, "no memory");

    curl_free(escaped);
    return rc;
}

const char *json_text(const cJSON *object, const char *name, const char *fallback)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));

    return text ? text : fallback;
}

double json_number(const cJSON *object, const char *name, double fallback)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

    return cJSON_IsNumber(item) ? item->valuedouble : fallback;
}

/* The server's own words where it has any. AWS spells the member both ways. */
static int refuse(struct cli *c, const struct request *r, struct err *e)
{
    const char *type = client_header(c->client, "x-amzn-ErrorType");
    auto_json cJSON *json = cJSON_Parse(buf_str(&c->client->body));
    const char *text = json_text(json, "message", json_text(json, "Message", NULL));

    if (c->client->status == 404)
        c->failure = CLI_MISSING;
    if (!text)
        return err_set(e, EIO, "%s %s: the server answered %ld", r->method, r->path, c->client->status);
    return err_set(e, EIO, "%s%s%s", type ? type : "", type ? ": " : "", text);
}

int api_send(struct cli *c, const struct request *r, struct err *e)
{
    if (api_connect(c, e) < 0 || client_prepare(c->client, r, e) < 0)
        return -e->code;
    if (client_perform(c->client, e) < 0) {
        if (e->code == CLIENT_UNREACHABLE)
            c->failure = CLI_UNREACHABLE;
        return -e->code;
    }
    return c->client->status / 100 == 2 ? 0 : refuse(c, r, e);
}

int api_call(struct cli *c, const char *method, const char *name, const char *suffix, const cJSON *json, struct err *e)
{
    auto_free char *body = json ? cJSON_PrintUnformatted(json) : NULL;
    auto_buf struct buf path = {0};
    struct request r = {.method = method, .service = "lambda", .body = body, .size = body ? strlen(body) : 0};

    if (json && !body)
        return err_set(e, ENOMEM, "no memory");
    if (name ? api_add_path(&path, API_FUNCTIONS "/", name, suffix, e) < 0
             : buf_addf(&path, e, "%s%s", API_FUNCTIONS, suffix) < 0)
        return -e->code;
    r.path = path.data;
    return api_send(c, &r, e);
}

int api_parse(struct cli *c, cJSON **ret, struct err *e)
{
    cJSON *json = cJSON_Parse(buf_str(&c->client->body));

    if (!json)
        return err_set(e, EPROTO, "%s: the answer is no JSON", c->client->endpoint);
    *ret = json;
    return 0;
}
