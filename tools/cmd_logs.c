/* fnrun logs NAME: reads the log in pieces by offset; the server holds a request open while nothing is new. */
#include <string.h>

#include "api.h"

#define WAIT_SECONDS 20
/* The last N lines are looked for in a piece of this size from the end, then in a larger one. */
#define TAIL_FIRST_BYTES 16384LL
#define TAIL_MAX_BYTES (64LL * 1024 * 1024)

/* Gets the piece at `offset` (negative: the last bytes); *ret_next is where the one after it begins. */
static int fetch(struct cli *c, long long offset, int wait_seconds, long long *ret_next, struct err *e)
{
    auto_buf struct buf path = {0};
    struct request r = {.method = "GET"};

    if (api_add_path(&path, "/_fnrun/logs/", c->operands[0], "", e) < 0 ||
        buf_addf(&path, e, "?offset=%lld", offset) < 0 ||
        (wait_seconds && buf_addf(&path, e, "&wait=%d", wait_seconds) < 0))
        return -e->code;
    r.path = path.data;
    if (api_send(c, &r, e) < 0)
        return err_wrap(e, "%s", c->operands[0]);
    *ret_next =
        client_header_number(c->client, "X-Fnrun-Next-Offset", MAX(offset, 0) + (long long)c->client->body.used);
    return 0;
}

static int print_line(const char *line, struct err *e)
{
    auto_json cJSON *json = cJSON_CreateObject();

    cJSON_AddStringToObject(json, "line", line);
    return cli_print_json(json, e);
}

/* Prints a log's text; with --json each line as an object. An unfinished line stays in `line`. */
static int print_text(struct cli *c, const struct buf *text, struct buf *line, struct err *e)
{
    const char *end;

    if (!c->json) {
        fwrite(buf_str(text), 1, text->used, stdout);
        fflush(stdout);
        return 0;
    }
    if (buf_add(line, buf_str(text), text->used, e) < 0)
        return -e->code;
    while (line->used > 0 && (end = memchr(line->data, '\n', line->used))) {
        size_t length = (size_t)(end - line->data);

        line->data[length] = '\0';
        if (print_line(line->data, e) < 0)
            return -e->code;
        buf_consume(line, length + 1);
    }
    fflush(stdout);
    return 0;
}

/* Where the last `lines` lines of `text` begin; -1 if it holds fewer. */
static ssize_t find_tail(const struct buf *text, long lines)
{
    size_t at = text->used;

    if (at > 0 && text->data[at - 1] == '\n')
        at--;
    for (; at > 0; at--)
        if (text->data[at - 1] == '\n' && --lines == 0)
            return (ssize_t)at;
    return -1;
}

/* Finds the offset where the last `lines` lines begin. */
static int seek_tail(struct cli *c, long lines, long long *ret_offset, struct err *e)
{
    for (long long size = TAIL_FIRST_BYTES;; size *= 8) {
        const struct buf *text;
        long long next;
        ssize_t at;

        if (fetch(c, -size, 0, &next, e) < 0)
            return -e->code;
        text = &c->client->body;
        at = lines > 0 ? find_tail(text, lines) : (ssize_t)text->used;
        if (at < 0 && (long long)text->used == size && size < TAIL_MAX_BYTES)
            continue;
        *ret_offset = next - (long long)text->used + MAX(at, 0);
        return 0;
    }
}

int cmd_logs(struct cli *c, struct err *e)
{
    bool follow = cli_has(c, OPT_logs_follow);
    auto_buf struct buf line = {0};
    long long offset = 0;
    long tail;

    if (cli_number(c, OPT_logs_tail, 0, 1000000, -1, &tail, e) < 0)
        return -e->code;
    if (tail >= 0 && seek_tail(c, tail, &offset, e) < 0)
        return -e->code;
    do {
        if (fetch(c, offset, follow ? WAIT_SECONDS : 0, &offset, e) < 0 ||
            print_text(c, &c->client->body, &line, e) < 0)
            return -e->code;
    } while (follow || c->client->body.used > 0);
    return line.used > 0 ? print_line(line.data, e) : CLI_OK;
}
