// links: manager/environment.c sandbox/base/buf.c sandbox/base/err.c -lcjson
#include "../../manager/environment.h"

#include "../../sandbox/base/proto.h"
#include "check.h"

static const struct runtime python = {.name = "python3.13",
                                      .execution_env = "AWS_Lambda_python3.13",
                                      .argv = {"/usr/bin/python3", "-S", "/b.py"},
                                      .channel = true};
static const struct runtime provided = {.name = "provided.al2023", .argv = {"/var/task/bootstrap"}};

static const struct runtime node = {.name = "nodejs20.x", .argv = {"/usr/bin/node", "--pool={workers}!", "/b.js"}};

struct built {
    int rc;
    uint32_t argc, envc;
    struct buf strings;
    struct err e;
};

static struct built build_with(uint32_t memory_mb, const struct runtime *runtime, const char *variables)
{
    struct manager m = {.config = {.region = "eu-west-1"}};
    struct function f = {
        .name = "f", .runtime = runtime, .handler = "app.handler", .log_group = "/my/logs", .memory_mb = memory_mb};
    struct built b = {.rc = 0};
    cJSON *tree = cJSON_Parse(variables);

    f.environment = tree;
    b.rc = environment_build(&m, &f, "stream", "on-demand", &b.strings, &b.argc, &b.envc, &b.e);
    cJSON_Delete(tree);
    return b;
}

static struct built build(const struct runtime *runtime, const char *variables)
{
    return build_with(128, runtime, variables);
}

/* The i-th string; NULL behind the last. */
static const char *string_at(const struct built *b, unsigned i)
{
    const char *p = b->strings.data, *end = p + b->strings.used;

    for (; p < end; p += strlen(p) + 1)
        if (i-- == 0)
            return p;
    return NULL;
}

/* The value of a variable; NULL where it is absent, "twice" where it isn't the only one. */
static const char *value_of(const struct built *b, const char *name)
{
    const char *found = NULL;
    size_t n = strlen(name);

    for (unsigned i = b->argc; i < b->argc + b->envc; i++) {
        const char *s = string_at(b, i);

        if (strncmp(s, name, n) == 0 && s[n] == '=')
            found = found ? "twice" : s + n + 1;
    }
    return found;
}

TEST(counts_are_those_of_the_strings)
{
    struct built b = build(&python, "{\"MY\":\"x=y\",\"EMPTY\":\"\"}");

    CHECK_INT(b.rc, 0);
    CHECK_INT(b.argc, 3);
    CHECK_STR(string_at(&b, 0), "/usr/bin/python3");
    CHECK_STR(string_at(&b, 2), "/b.py");
    CHECK(string_at(&b, b.argc + b.envc - 1) != NULL);
    CHECK(string_at(&b, b.argc + b.envc) == NULL);
    CHECK_STR(value_of(&b, "MY"), "x=y");
    CHECK_STR(value_of(&b, "EMPTY"), "");
    buf_free(&b.strings);
}

TEST(what_AWS_promises_is_there)
{
    struct built b = build(&python, NULL);

    CHECK_STR(value_of(&b, "_HANDLER"), "app.handler");
    CHECK_STR(value_of(&b, "AWS_REGION"), "eu-west-1");
    CHECK_STR(value_of(&b, "AWS_LAMBDA_FUNCTION_NAME"), "f");
    CHECK_STR(value_of(&b, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"), "128");
    CHECK_STR(value_of(&b, "AWS_LAMBDA_LOG_GROUP_NAME"), "/my/logs");
    CHECK_STR(value_of(&b, "AWS_LAMBDA_LOG_STREAM_NAME"), "stream");
    CHECK_STR(value_of(&b, "AWS_EXECUTION_ENV"), "AWS_Lambda_python3.13");
    CHECK_STR(value_of(&b, "_FNRUN_CHANNEL_FD"), "15");
    buf_free(&b.strings);
}

TEST(configured_value_replaces_a_default_and_stands_once)
{
    struct built b = build(&python, "{\"PATH\":\"/mine\",\"TZ\":\"\"}");

    CHECK_STR(value_of(&b, "PATH"), "/mine");
    CHECK_STR(value_of(&b, "TZ"), "");
    CHECK_STR(value_of(&b, "LANG"), "en_US.UTF-8");
    buf_free(&b.strings);
}

TEST(provided_runtime_runs_the_bootstrap_of_its_package)
{
    struct built b = build(&provided, NULL);

    CHECK_INT(b.argc, 1);
    CHECK_STR(string_at(&b, 0), "/var/task/bootstrap");
    CHECK(value_of(&b, "_FNRUN_CHANNEL_FD") == NULL);
    CHECK(value_of(&b, "AWS_EXECUTION_ENV") == NULL);
    buf_free(&b.strings);
}

static void check_workers(uint32_t memory_mb, const char *argument)
{
    struct built b = build_with(memory_mb, &node, NULL);

    CHECK_INT(b.argc, 3);
    CHECK_STR(string_at(&b, 1), argument);
    buf_free(&b.strings);
}

TEST(workers_are_as_many_as_processors_beside_the_first_but_one_at_least)
{
    check_workers(128, "--pool=1!");
    check_workers(2 * 1769, "--pool=1!");
    check_workers(2 * 1769 + 1, "--pool=2!");
    check_workers(10240, "--pool=5!");
}

/* As many variables as fit into the 4 KB that a configuration may have. The warden kills a manager that asks for more
 * than PROTO_ENV_MAX. */
TEST(warden_takes_as_many_variables_as_can_be_configured)
{
    char variables[4200] = "{";
    struct built b;

    for (unsigned i = 0; i < 511; i++)
        sprintf(variables + strlen(variables), "%s\"%c%c\":\"\"", i ? "," : "", 'A' + i / 26, 'a' + i % 26);
    strcat(variables, "}");
    CHECK(strlen(variables) <= 4096 && strlen(variables) > 4088);
    b = build(&python, variables);
    CHECK_INT(b.rc, 0);
    CHECK(b.envc > 511 && b.envc <= PROTO_ENV_MAX);
    CHECK(b.strings.used <= PROTO_STRINGS_MAX);
    buf_free(&b.strings);
}
