/* fnrun deploy DIR|ZIP */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../sandbox/base/clock.h"
#include "api.h"
#include "base64.h"
#include "deploy.h"

/* A function is ready when its code is unpacked: tens of milliseconds, seconds for a very large one. */
#define READY_TIMEOUT (120 * NSEC_PER_SEC)
#define POLL_FIRST_US 5000
#define POLL_MAX_US 250000

/* The folder's or file's own name, with what a function's name can't hold replaced. */
static void name_of_path(const char *path, char *ret, size_t size)
{
    const char *base = strrchr(path, '/');
    size_t length;

    base = base ? base + 1 : path;
    length = strlen(base);
    if (length > 4 && strcmp(base + length - 4, ".zip") == 0)
        length -= 4;
    snprintf(ret, size, "%.*s", (int)length, base);
    for (char *p = ret; *p; p++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", *p))
            *p = '-';
}

/* Reads the path's package and, for a folder, its options file. */
static int open_package(struct deploy *d, struct err *e)
{
    auto_free char *path = realpath(d->c->operands[0], NULL);
    struct stat st;

    if (!path || stat(path, &st) < 0)
        return err_errno(e, "%s", d->c->operands[0]);
    name_of_path(path, d->name, sizeof(d->name));
    if (!S_ISDIR(st.st_mode))
        return package_read(path, &d->zip, e);
    if (deploy_read_options(d->c, path, e) < 0)
        return -e->code;
    return package_pack(path, &d->zip, e);
}

/* Waits until neither a creation nor an update is under way; d->now is the configuration then. */
static int wait_ready(struct deploy *d, struct err *e)
{
    nsec_t end = clock_now() + READY_TIMEOUT;

    for (useconds_t pause = POLL_FIRST_US;; pause = MIN(pause * 2, (useconds_t)POLL_MAX_US)) {
        const char *state, *update;

        cli_json_free(&d->now);
        d->now = NULL;
        if (api_call(d->c, "GET", d->name, "/configuration", NULL, e) < 0 || api_parse(d->c, &d->now, e) < 0)
            return -e->code;
        state = json_text(d->now, "State", "Active");
        update = json_text(d->now, "LastUpdateStatus", "Successful");
        if (strcmp(state, "Failed") == 0 || strcmp(update, "Failed") == 0)
            return err_set(e, EIO, "%s: %s", d->name,
                           json_text(d->now, *state == 'F' ? "StateReason" : "LastUpdateStatusReason", "failed"));
        if (strcmp(state, "Pending") != 0 && strcmp(update, "Successful") == 0)
            return 0;
        if (clock_now() > end)
            return err_set(e, ETIMEDOUT, "%s is not ready: State %s, LastUpdateStatus %s", d->name, state, update);
        usleep(pause);
    }
}

static int create(struct deploy *d, struct err *e)
{
    auto_json cJSON *json = cJSON_CreateObject();
    cJSON *code = cJSON_AddObjectToObject(json, "Code");

    if (deploy_guess(d, e) < 0 || deploy_add_code(d, code, e) < 0 || deploy_add_settings(d, json, e) < 0)
        return -e->code;
    cJSON_AddStringToObject(json, "FunctionName", d->name);
    cJSON_AddStringToObject(json, "Runtime", d->guess.runtime);
    cJSON_AddStringToObject(json, "Handler", d->guess.handler);
    cJSON_AddStringToObject(json, "Role", cli_text(d->c, OPT_deploy_role, "arn:aws:iam::000000000000:role/fnrun"));
    if (api_call(d->c, "POST", NULL, "", json, e) < 0)
        return -e->code;
    return wait_ready(d, e);
}

/* Says where the code looks as if it wanted another handler than the function has. */
static void compare_guess(const struct deploy *d)
{
    const char *handler = json_text(d->now, "Handler", "");
    struct guess guess;
    struct err ignored;

    if (cli_has(d->c, OPT_deploy_handler) ||
        package_guess(&d->zip, json_text(d->now, "Runtime", NULL), &guess, &ignored) < 0)
        return;
    if (strcmp(guess.handler, handler) != 0)
        fprintf(stderr, "note: the handler stays %s, but the files look like --handler %s\n", handler, guess.handler);
}

/* Changes only what was asked for: settings made by others stay. */
static int update(struct deploy *d, struct err *e)
{
    auto_json cJSON *code = cJSON_CreateObject();
    auto_json cJSON *settings = cJSON_CreateObject();

    if (deploy_add_code(d, code, e) < 0 || deploy_add_settings(d, settings, e) < 0)
        return -e->code;
    deploy_add_text(d, settings, OPT_deploy_runtime, "Runtime");
    deploy_add_text(d, settings, OPT_deploy_handler, "Handler");
    deploy_add_text(d, settings, OPT_deploy_role, "Role");
    if (api_call(d->c, "PUT", d->name, "/code", code, e) < 0 || wait_ready(d, e) < 0)
        return -e->code;
    if (settings->child && (api_call(d->c, "PUT", d->name, "/configuration", settings, e) < 0 || wait_ready(d, e) < 0))
        return -e->code;
    compare_guess(d);
    return 0;
}

/* Creates the function if there is none of its name. */
static int create_or_update(struct deploy *d, struct err *e)
{
    d->exists = api_call(d->c, "GET", d->name, "/configuration", NULL, e) == 0;
    if (!d->exists && d->c->failure != CLI_MISSING)
        return -e->code;
    d->c->failure = CLI_FAILED;
    return d->exists ? update(d, e) : create(d, e);
}

static int run(struct deploy *d, struct err *e)
{
    const char *name;
    int rc;

    if (open_package(d, e) < 0 || deploy_read_warm_up(d, e) < 0)
        return -e->code;
    name = cli_text(d->c, OPT_deploy_name, NULL);
    if (name)
        snprintf(d->name, sizeof(d->name), "%s", name);
    rc = create_or_update(d, e);
    if (rc == 0)
        rc = deploy_set_warm_up(d, e);
    deploy_remove_upload(d);
    if (rc < 0)
        return err_wrap(e, "%s", d->name);
    if (d->c->json)
        return cli_print_json(d->now, e);
    printf("%s %s: %s, %s, %.0f MB, %.0f s, %.0f bytes of code\n", d->name, d->exists ? "updated" : "created",
           json_text(d->now, "Runtime", "-"), json_text(d->now, "Handler", "-"), json_number(d->now, "MemorySize", 0),
           json_number(d->now, "Timeout", 0), json_number(d->now, "CodeSize", 0));
    return CLI_OK;
}

int cmd_deploy(struct cli *c, struct err *e)
{
    struct deploy d = {.c = c};
    int rc = run(&d, e);

    buf_free(&d.zip);
    buf_free(&d.warm_up);
    cli_json_free(&d.now);
    return rc;
}
