/* fnrun doctor */
#include <unistd.h>

#include "cli.h"
#include "doctor.h"

static int print_json(const struct doctor *d, struct err *e)
{
    auto_json cJSON *json = cJSON_CreateObject();
    cJSON *list;

    cJSON_AddBoolToObject(json, "ok", doctor_count(d, CHECK_FAIL) == 0);
    list = cJSON_AddArrayToObject(json, "checks");
    for (size_t i = 0; i < d->count; i++) {
        const struct check *k = &d->checks[i];
        cJSON *item = cJSON_CreateObject();

        cJSON_AddStringToObject(item, "name", k->name);
        cJSON_AddStringToObject(item, "status", doctor_word(k->status));
        cJSON_AddStringToObject(item, "detail", k->detail);
        if (*k->fix)
            cJSON_AddStringToObject(item, "fix", k->fix);
        cJSON_AddItemToArray(list, item);
    }
    return cli_print_json(json, e);
}

static int print(const struct cli *c, const struct doctor *d, struct err *e)
{
    if (c->json)
        return print_json(d, e);
    for (size_t i = 0; i < d->count; i++)
        doctor_print(stdout, &d->checks[i], isatty(STDOUT_FILENO));
    printf("%zu ok, %zu to look at, %zu failed\n", doctor_count(d, CHECK_OK), doctor_count(d, CHECK_WARN),
           doctor_count(d, CHECK_FAIL));
    return 0;
}

int cmd_doctor(struct cli *c, struct err *e)
{
    struct doctor d;
    long uid_base;
    int rc;

    if (cli_number(c, OPT_doctor_uid_base, 1, 4294901760, 0, &uid_base, e) < 0)
        return -e->code;
    doctor_init(&d, cli_text(c, OPT_doctor_state, NULL), cli_text(c, OPT_doctor_listen, NULL),
                cli_text(c, OPT_doctor_images, NULL));
    d.uid_base = uid_base;
    doctor_run(&d, false);
    rc = print(c, &d, e);
    if (rc == 0 && doctor_count(&d, CHECK_FAIL) > 0)
        rc = CLI_FAILED;
    doctor_free(&d);
    return rc;
}
