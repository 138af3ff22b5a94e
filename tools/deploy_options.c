/* What `fnrun deploy` is told: options, the options file, guesses; and the request's members made of it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "../sandbox/base/fd.h"
#include "api.h"
#include "deploy.h"

/* Adds KEY=VALUE for each member. */
static int take_env(struct cli *c, const cJSON *env, struct err *e)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, env)
    {
        auto_buf struct buf text = {0};

        if (!cJSON_IsString(item))
            return err_set(e, EINVAL, "env.%s must be a string", item->string);
        if (buf_addf(&text, e, "%s=%s", item->string, item->valuestring) < 0 ||
            cli_add_value(c, OPT_deploy_env, text.data, e) < 0)
            return -e->code;
    }
    return 0;
}

static int take_member(struct cli *c, const cJSON *item, struct err *e)
{
    for (unsigned i = 0; i < OPT_COUNT; i++) {
        const struct cli_option_spec *o = &cli_options[i];
        char number[32];

        if (strcmp(o->command, "deploy") != 0 || strcmp(o->name, item->string) != 0)
            continue;
        if (i == OPT_deploy_env && cJSON_IsObject(item))
            return take_env(c, item, e);
        if (cJSON_IsString(item))
            return cli_add_value(c, i, item->valuestring, e);
        if (!cJSON_IsNumber(item))
            return err_set(e, EINVAL, "%s has the wrong type", item->string);
        snprintf(number, sizeof(number), "%.15g", item->valuedouble);
        return cli_add_value(c, i, number, e);
    }
    return err_set(e, EINVAL, "%s is no option of fnrun deploy", item->string);
}

/* The event itself, not its text. */
static int take_warm_up(struct cli *c, const cJSON *event, struct err *e)
{
    auto_free char *text = cJSON_PrintUnformatted(event);

    return text ? cli_add_value(c, OPT_deploy_warm_up, text, e) : err_set(e, ENOMEM, "no memory");
}

static int take_options(struct cli *c, const char *text, struct err *e)
{
    auto_json cJSON *json = cJSON_Parse(text);
    size_t given = c->value_count;
    const cJSON *item;

    if (!cJSON_IsObject(json))
        return err_set(e, EINVAL, "not a JSON object");
    cJSON_ArrayForEach(item, json)
    {
        bool warm_up = strcmp(item->string, "warmUp") == 0;

        if (warm_up ? take_warm_up(c, item, e) < 0 : take_member(c, item, e) < 0)
            return -e->code;
    }
    /* The last value wins, so the command line's go behind. */
    cli_move_back(c, given);
    return 0;
}

int deploy_read_options(struct cli *c, const char *folder, struct err *e)
{
    auto_buf struct buf path = {0}, text = {0};
    auto_fd int fd = -1;

    if (buf_addf(&path, e, "%s/" PACKAGE_OPTIONS_FILE, folder) < 0)
        return -e->code;
    fd = open(path.data, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0)
        return err_errno(e, "%s", path.data);
    if (cli_read_fd(fd, &text, e) < 0 || take_options(c, buf_str(&text), e) < 0)
        return err_wrap(e, "%s", path.data);
    return 0;
}

int deploy_guess(struct deploy *d, struct err *e)
{
    const char *runtime = cli_text(d->c, OPT_deploy_runtime, NULL);
    const char *handler = cli_text(d->c, OPT_deploy_handler, NULL);

    if (runtime && handler) {
        snprintf(d->guess.runtime, sizeof(d->guess.runtime), "%s", runtime);
        snprintf(d->guess.handler, sizeof(d->guess.handler), "%s", handler);
        return 0;
    }
    if (package_guess(&d->zip, runtime, &d->guess, e) < 0)
        return err_wrap(e, "give --runtime and --handler");
    if (handler)
        snprintf(d->guess.handler, sizeof(d->guess.handler), "%s", handler);
    fprintf(stderr, "guessed from the files:%s%s%s%s\n", runtime ? "" : " --runtime ", runtime ? "" : d->guess.runtime,
            handler ? "" : " --handler ", handler ? "" : d->guess.handler);
    return 0;
}

void deploy_add_text(struct deploy *d, cJSON *json, enum cli_option option, const char *member)
{
    const char *text = cli_text(d->c, option, NULL);

    if (text)
        cJSON_AddStringToObject(json, member, text);
}

/* Ranges are the server's business, numbers are ours. */
static int add_number(struct deploy *d, cJSON *json, enum cli_option option, const char *member, struct err *e)
{
    long n;

    if (cli_number(d->c, option, 0, 1000000, -1, &n, e) < 0)
        return -e->code;
    if (n >= 0)
        cJSON_AddNumberToObject(json, member, (double)n);
    return 0;
}

static int add_env(struct deploy *d, cJSON *json, struct err *e)
{
    cJSON *variables = cJSON_AddObjectToObject(cJSON_AddObjectToObject(json, "Environment"), "Variables");

    for (size_t i = 0; i < d->c->value_count; i++) {
        const struct cli_value *v = &d->c->values[i];
        auto_free char *name = NULL;
        const char *sign;

        if (v->option != OPT_deploy_env)
            continue;
        sign = strchr(v->text, '=');
        if (!sign || sign == v->text)
            return cli_usage(d->c, e, "--env takes KEY=VALUE, not %s", v->text);
        name = strndup(v->text, (size_t)(sign - v->text));
        if (!name)
            return err_set(e, ENOMEM, "no memory");
        cJSON_DeleteItemFromObjectCaseSensitive(variables, name);
        cJSON_AddStringToObject(variables, name, sign + 1);
    }
    return 0;
}

int deploy_add_settings(struct deploy *d, cJSON *json, struct err *e)
{
    if (add_number(d, json, OPT_deploy_memory, "MemorySize", e) < 0 ||
        add_number(d, json, OPT_deploy_timeout, "Timeout", e) < 0)
        return -e->code;
    if (cli_has(d->c, OPT_deploy_tmp) &&
        add_number(d, cJSON_AddObjectToObject(json, "EphemeralStorage"), OPT_deploy_tmp, "Size", e) < 0)
        return -e->code;
    return cli_has(d->c, OPT_deploy_env) ? add_env(d, json, e) : 0;
}

int deploy_read_warm_up(struct deploy *d, struct err *e)
{
    auto_json cJSON *json = NULL;

    if (cli_payload(d->c, OPT_deploy_warm_up, &d->warm_up, e) < 0)
        return -e->code;
    if (d->warm_up.used == 0)
        return 0;
    json = cJSON_ParseWithOpts(d->warm_up.data, NULL, true);
    return json ? 0 : cli_usage(d->c, e, "--warm-up: the event is no JSON");
}

int deploy_set_warm_up(struct deploy *d, struct err *e)
{
    auto_buf struct buf path = {0};
    struct request r = {.method = d->warm_up.used ? "PUT" : "DELETE", .body = d->warm_up.data, .size = d->warm_up.used};

    if (!cli_has(d->c, OPT_deploy_warm_up))
        return 0;
    if (api_add_path(&path, "/_fnrun/warm-up/", d->name, "", e) < 0)
        return -e->code;
    r.path = path.data;
    return api_send(d->c, &r, e);
}
