/* fnrun invoke NAME */
#include <string.h>

#include "api.h"
#include "base64.h"

/* Decodes X-Amz-Log-Result into `ret`; nothing there leaves it empty. */
static int read_log_tail(struct cli *c, struct buf *ret, struct err *e)
{
    const char *encoded = client_header(c->client, "X-Amz-Log-Result");

    if (encoded && base64_decode(encoded, ret, e) < 0)
        return err_wrap(e, "X-Amz-Log-Result");
    return 0;
}

static void print_line_end(FILE *out, const struct buf *text)
{
    if (text->used > 0 && text->data[text->used - 1] != '\n')
        fputc('\n', out);
}

/* "boom: Unhandled ValueError: bad value" */
static void print_function_error(const char *name, const char *kind, const struct buf *payload)
{
    auto_json cJSON *json = cJSON_Parse(buf_str(payload));
    const char *type = json_text(json, "errorType", "");
    const char *text = json_text(json, "errorMessage", "");

    fprintf(stderr, "fnrun invoke: %s: %s%s%s%s%s\n", name, kind, *type ? " " : "", type, *text ? ": " : "", text);
}

/* An object of what came back; the payload as JSON where it is JSON. */
static cJSON *describe(const struct cli *c, const char *request_id, const char *error, const struct buf *logs)
{
    const struct client *client = c->client;
    const char *version = client_header(client, "X-Amz-Executed-Version");
    cJSON *json = cJSON_CreateObject();
    cJSON *payload = cJSON_Parse(buf_str(&client->body));

    cJSON_AddNumberToObject(json, "status", (double)client->status);
    cJSON_AddStringToObject(json, "request_id", request_id);
    if (version)
        cJSON_AddStringToObject(json, "version", version);
    if (error)
        cJSON_AddStringToObject(json, "function_error", error);
    if (client->body.used > 0)
        cJSON_AddItemToObject(json, "payload", payload ? payload : cJSON_CreateString(client->body.data));
    else
        cJSON_Delete(payload);
    if (cli_has(c, OPT_invoke_logs))
        cJSON_AddStringToObject(json, "logs", buf_str(logs));
    return json;
}

static int print_answer(struct cli *c, struct err *e)
{
    const char *request_id = client_header(c->client, "x-amzn-RequestId");
    const char *error = client_header(c->client, "X-Amz-Function-Error");
    struct buf *payload = &c->client->body;
    auto_buf struct buf logs = {0};

    if (read_log_tail(c, &logs, e) < 0)
        return -e->code;
    if (c->json) {
        auto_json cJSON *json = describe(c, request_id ? request_id : "", error, &logs);

        return cli_print_json(json, e) < 0 ? -e->code : error ? CLI_FUNCTION : CLI_OK;
    }
    fwrite(buf_str(&logs), 1, logs.used, stderr);
    print_line_end(stderr, &logs);
    if (cli_has(c, OPT_invoke_async))
        puts(request_id ? request_id : "");
    fwrite(buf_str(payload), 1, payload->used, stdout);
    print_line_end(stdout, payload);
    fflush(stdout);
    if (error)
        print_function_error(c->operands[0], error, payload);
    return error ? CLI_FUNCTION : CLI_OK;
}

int cmd_invoke(struct cli *c, struct err *e)
{
    auto_buf struct buf payload = {0};
    auto_buf struct buf path = {0};
    const char *headers[3] = {NULL};
    const char **h = headers;

    if (cli_payload(c, OPT_invoke_payload, &payload, e) < 0 ||
        api_add_path(&path, API_FUNCTIONS "/", c->operands[0], "/invocations", e) < 0)
        return -e->code;
    if (cli_has(c, OPT_invoke_async))
        *h++ = "X-Amz-Invocation-Type: Event";
    if (cli_has(c, OPT_invoke_logs))
        *h++ = "X-Amz-Log-Type: Tail";
    struct request r = {.method = "POST",
                        .path = path.data,
                        .service = "lambda",
                        .body = buf_str(&payload),
                        .size = payload.used,
                        .headers = headers};
    return api_send(c, &r, e) < 0 ? -e->code : print_answer(c, e);
}
