/* fnrun snapshot */
#include <errno.h>
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

int cmd_snapshot(struct cli *c, struct err *e)
{
    if (strcmp(c->operands[0], "list") == 0)
        return list(c, e);
    c->failure = CLI_USAGE;
    return err_set(e, EINVAL, "'%s' is not known; there is: list", c->operands[0]);
}
