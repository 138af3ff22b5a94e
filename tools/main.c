/* The fnrun command. */
#include <string.h>

#include <curl/curl.h>

#include "cli.h"

static int dump_completion(struct cli *c, struct err *e)
{
    const char *shell = cli_text(c, OPT_fnrun_dump_completion, "");

    if (strcmp(shell, "bash") != 0)
        return cli_usage(c, e, "there is a completion for bash, not for %s", shell);
    cli_dump_completion(stdout);
    return CLI_OK;
}

static int run(struct cli *c, int argc, char **argv, struct err *e)
{
    if (cli_parse(c, argc, argv, e) < 0)
        return -e->code;
    if (cli_has(c, OPT_fnrun_dump_man))
        cli_dump_man(stdout);
    else if (cli_has(c, OPT_fnrun_dump_completion))
        return dump_completion(c, e);
    else if (cli_has(c, OPT_fnrun_version))
        puts("fnrun " FNRUN_VERSION);
    else if (cli_has(c, OPT_any_help))
        cli_print_help(stdout, c->command);
    else if (c->command)
        return c->command->run(c, e);
    else
        return cli_usage(c, e, "a command is missing");
    return CLI_OK;
}

/* For a command line that could not be read to its end. */
static bool has_json(char **argv)
{
    while (*argv && strcmp(*argv, "--json") != 0)
        argv++;
    return *argv;
}

/* With --json the failure is a document too, so that a program never has to read standard error. */
static void report(const struct cli *c, bool wants_json, const struct err *e)
{
    auto_json cJSON *json = wants_json ? cJSON_CreateObject() : NULL;
    struct err ignored;

    fflush(stdout);
    fprintf(stderr, "fnrun%s%s: %s\n", c->command ? " " : "", c->command ? c->command->name : "", e->msg);
    if (!json)
        return;
    cJSON_AddStringToObject(json, "error", e->msg);
    cJSON_AddNumberToObject(json, "exit", c->failure);
    cli_print_json(json, &ignored);
}

int main(int argc, char **argv)
{
    struct cli c = {.failure = CLI_FAILED};
    struct err e = {0};
    int rc;

    curl_global_init(CURL_GLOBAL_DEFAULT);
    rc = run(&c, argc, argv, &e);
    if (rc < 0) {
        report(&c, c.json || (c.failure == CLI_USAGE && has_json(argv)), &e);
        rc = c.failure;
    }
    /* A full disk behind standard output shows only here. */
    if (fflush(stdout) != 0 && rc == CLI_OK) {
        perror("fnrun: standard output");
        rc = CLI_FAILED;
    }
    cli_free(&c);
    curl_global_cleanup();
    return rc;
}
