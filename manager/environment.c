#include "environment.h"

#include <stdio.h>
#include <string.h>

#include "../sandbox/base/channel.h"

#define WORKERS "{workers}"

struct variable {
    const char *name;
    bool reserved;
};

static const struct variable variables[] = {
#define VARIABLE(name, reserved, fmt, arg) {name, reserved},
#include "environment.def"
#undef VARIABLE
};

bool environment_is_reserved(const char *key)
{
    if (strcmp(key, "AWS_EXECUTION_ENV") == 0 || strcmp(key, "_FNRUN_CHANNEL_FD") == 0)
        return true;
    for (unsigned i = 0; i < ARRAY_LEN(variables); i++)
        if (variables[i].reserved && strcmp(variables[i].name, key) == 0)
            return true;
    return false;
}

static int add_variable(const struct function *f, struct buf *out, uint32_t *count, struct err *e, const char *name,
                        const char *fmt, ...) PRINTF_LIKE(6, 7);

/* A variable of ours, unless the function's configuration sets it (reserved ones never get there). */
static int add_variable(const struct function *f, struct buf *out, uint32_t *count, struct err *e, const char *name,
                        const char *fmt, ...)
{
    char value[1024];
    va_list ap;

    if (f->environment && cJSON_GetObjectItemCaseSensitive(f->environment, name))
        return 0;
    va_start(ap, fmt);
    vsnprintf(value, sizeof(value), fmt, ap);
    va_end(ap);
    if (buf_addf(out, e, "%s=%s", name, value) < 0 || buf_add(out, "", 1, e) < 0)
        return -e->code;
    *count += 1;
    return 0;
}

static int add_ours(const struct manager *m, const struct function *f, const char *log_stream, const char *init_type,
                    struct buf *out, uint32_t *count, struct err *e)
{
#define VARIABLE(name, reserved, fmt, arg)                  \
    if (add_variable(f, out, count, e, name, fmt, arg) < 0) \
        return -e->code;
#include "environment.def"
#undef VARIABLE
    if (f->runtime->execution_env &&
        add_variable(f, out, count, e, "AWS_EXECUTION_ENV", "%s", f->runtime->execution_env) < 0)
        return -e->code;
    if (f->runtime->channel && add_variable(f, out, count, e, "_FNRUN_CHANNEL_FD", "%d", CHANNEL_FD) < 0)
        return -e->code;
    return 0;
}

static int add_configured(const struct function *f, struct buf *out, uint32_t *count, struct err *e)
{
    const cJSON *v;

    cJSON_ArrayForEach(v, f->environment)
    {
        if (!cJSON_IsString(v))
            continue;
        if (buf_addf(out, e, "%s=%s", v->string, v->valuestring) < 0 || buf_add(out, "", 1, e) < 0)
            return -e->code;
        *count += 1;
    }
    return 0;
}

const char *environment_wrapper(const struct function *f)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(f->environment, "AWS_LAMBDA_EXEC_WRAPPER");
    const char *path = cJSON_GetStringValue(v);

    return f->runtime->execution_env && path && path[0] ? path : NULL;
}

/* Node takes 0 for "as many as the machine has". */
static unsigned count_workers(const struct function *f)
{
    unsigned cpus = (f->memory_mb + FUNCTION_MB_PER_CPU - 1) / FUNCTION_MB_PER_CPU;

    return MAX(cpus, 2U) - 1;
}

static int add_argument(const char *arg, const struct function *f, struct buf *out, struct err *e)
{
    const char *mark = strstr(arg, WORKERS);

    if (!mark)
        return buf_add(out, arg, strlen(arg) + 1, e);
    if (buf_addf(out, e, "%.*s%u%s", (int)(mark - arg), arg, count_workers(f), mark + strlen(WORKERS)) < 0)
        return -e->code;
    return buf_add(out, "", 1, e);
}

int environment_build(const struct manager *m, const struct function *f, const char *log_stream, const char *init_type,
                      struct buf *out, uint32_t *ret_argc, uint32_t *ret_envc, struct err *e)
{
    const char *wrapper = environment_wrapper(f);
    uint32_t argc = wrapper ? 1 : 0, envc = 0;

    if (wrapper && buf_add(out, wrapper, strlen(wrapper) + 1, e) < 0)
        return -e->code;
    for (const char *const *arg = f->runtime->argv; *arg; arg++, argc++)
        if (add_argument(*arg, f, out, e) < 0)
            return -e->code;
    if (add_ours(m, f, log_stream, init_type, out, &envc, e) < 0 || add_configured(f, out, &envc, e) < 0)
        return -e->code;
    *ret_argc = argc;
    *ret_envc = envc;
    return 0;
}
