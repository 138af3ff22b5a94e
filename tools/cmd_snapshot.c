/* fnrun snapshot list|rm|inspect */
#include <string.h>
#include <unistd.h>

#include "api.h"

static void print_one(const cJSON *s, bool aligned)
{
    const char *between = aligned ? "  " : "\t";

    printf("%-*s%s%-*s%s%*.0f%s%*.1f MB%s%s\n", aligned ? 32 : 0, json_text(s, "function", "-"), between,
           aligned ? 9 : 0, json_text(s, "state", "-"), between, aligned ? 5 : 0, json_number(s, "armed", 0), between,
           aligned ? 9 : 0, json_number(s, "bytes", 0) / 1e6, between, json_text(s, "reason", ""));
}

static int list(struct cli *c, struct err *e)
{
    const struct request r = {.method = "GET", .path = "/_fnrun/snapshots"};
    bool aligned = isatty(STDOUT_FILENO);
    auto_json cJSON *answer = NULL;
    const cJSON *s;

    if (api_send(c, &r, e) < 0 || api_parse(c, &answer, e) < 0)
        return -e->code;
    if (c->json)
        return cli_print_json(answer, e);
    if (aligned)
        printf("%-32s  %-9s  %5s  %12s  %s\n", "FUNCTION", "STATE", "ARMED", "SIZE", "REASON");
    cJSON_ArrayForEach(s, answer) print_one(s, aligned);
    return 0;
}

static int send_for(struct cli *c, const char *method, struct err *e)
{
    auto_buf struct buf path = {0};
    struct request r = {.method = method};

    if (api_add_path(&path, "/_fnrun/snapshots/", c->operands[1], "", e) < 0)
        return -e->code;
    r.path = path.data;
    return api_send(c, &r, e);
}

static int rm(struct cli *c, struct err *e)
{
    auto_json cJSON *answer = cJSON_CreateObject();

    if (send_for(c, "DELETE", e) < 0)
        return -e->code;
    cJSON_AddStringToObject(answer, "removed", c->operands[1]);
    if (c->json)
        return cli_print_json(answer, e);
    printf("snapshot of %s removed\n", c->operands[1]);
    return CLI_OK;
}

/* One line for each thing, indented by where it belongs. */
static void print_tree(const cJSON *item, int depth)
{
    const cJSON *child;

    cJSON_ArrayForEach(child, item)
    {
        auto_free char *text = cJSON_IsObject(child) || cJSON_IsArray(child) ? NULL : cJSON_PrintUnformatted(child);

        printf("%*s%s%s", depth * 2, "", child->string ? child->string : "-", child->string ? ":" : "");
        if (cJSON_IsString(child))
            printf(" %s\n", child->valuestring);
        else
            printf(" %s\n", text ? text : "");
        if (!text)
            print_tree(child, depth + 1);
    }
}

static void print_file(const cJSON *file)
{
    printf("  %-28s %12.0f  %s\n", json_text(file, "name", "-"), json_number(file, "bytes", 0),
           json_text(file, "sha256", "-"));
}

/* What is longer than a line stands below: files, what it is bound to, the event. */
static int inspect(struct cli *c, struct err *e)
{
    auto_json cJSON *answer = NULL, *files = NULL, *event = NULL;
    const cJSON *file;

    if (send_for(c, "GET", e) < 0 || api_parse(c, &answer, e) < 0)
        return -e->code;
    if (c->json)
        return cli_print_json(answer, e);
    files = cJSON_DetachItemFromObject(answer, "files");
    event = cJSON_DetachItemFromObject(answer, "warm_up");
    print_tree(answer, 0);
    if (files)
        puts("files:");
    cJSON_ArrayForEach(file, files) print_file(file);
    if (event) {
        auto_free char *text = cJSON_PrintUnformatted(event);

        printf("warm_up: %s\n", text ? text : "");
    }
    return CLI_OK;
}

int cmd_snapshot(struct cli *c, struct err *e)
{
    const char *what = c->operands[0];
    bool named = c->operand_count == 2;

    if (strcmp(what, "list") == 0 && !named)
        return list(c, e);
    if (strcmp(what, "rm") == 0 && named)
        return rm(c, e);
    if (strcmp(what, "inspect") == 0 && named)
        return inspect(c, e);
    return cli_usage(c, e, "there is: list, rm NAME, inspect NAME");
}
