/* fnrun rm NAME... */
#include "api.h"

int cmd_rm(struct cli *c, struct err *e)
{
    auto_json cJSON *answer = cJSON_CreateObject();
    cJSON *deleted = cJSON_AddArrayToObject(answer, "deleted");
    struct err first = {0};

    /* One that is missing doesn't keep the others. */
    for (int i = 0; i < c->operand_count; i++) {
        const char *name = c->operands[i];

        if (api_call(c, "DELETE", name, "", NULL, e) < 0) {
            err_wrap(e, "%s", name);
            if (!first.code)
                first = *e;
            continue;
        }
        cJSON_AddItemToArray(deleted, cJSON_CreateString(name));
        if (!c->json)
            printf("%s deleted\n", name);
    }
    if (first.code) {
        *e = first;
        return -e->code;
    }
    return c->json ? cli_print_json(answer, e) : CLI_OK;
}
