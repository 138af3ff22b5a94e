/* Configurations: the rules that are not in the model, and records made from requests. */
#include <stdio.h>
#include <string.h>

#include "invoker.h"
#include "json.h"
#include "lambda.h"

#define VARIABLES_MAX 4096U /* bytes of the environment as JSON */
#define TAGS_MAX 50

/* --- rules -------------------------------------------------------------------------------------------------------- */

struct unsupported {
    const char *path, *value, *what;
};

static const struct unsupported unsupported[] = {
#define UNSUPPORTED(path, value, what) {path, value, what},
#include "lambda_unsupported.def"
#undef UNSUPPORTED
};

/* "A.B" */
static const cJSON *find_path(const cJSON *input, const char *path)
{
    const char *dot = strchr(path, '.');
    char first[32];

    if (!dot)
        return json_get(input, path);
    snprintf(first, sizeof(first), "%.*s", (int)(dot - path), path);
    return json_get(json_get(input, first), dot + 1);
}

static bool is_asked_for(const cJSON *item, const char *value)
{
    if (cJSON_IsArray(item) && value)
        item = item->child;
    if (value)
        return cJSON_IsString(item) && strcmp(item->valuestring, value) == 0;
    if (cJSON_IsString(item))
        return item->valuestring[0];
    return cJSON_IsTrue(item) || ((cJSON_IsArray(item) || cJSON_IsObject(item)) && item->child);
}

static int check_supported(struct lambda_call *c)
{
    for (unsigned i = 0; i < ARRAY_LEN(unsupported); i++)
        if (is_asked_for(find_path(c->input, unsupported[i].path), unsupported[i].value))
            return fault_set(&c->fault, FAULT_INVALID_PARAMETER, "fnrun does not support %s yet.", unsupported[i].what);
    return 0;
}

static int check_runtime(struct lambda_call *c)
{
    const char *name = json_get_text(c->input, "Runtime", NULL);
    auto_buf struct buf list = {0};
    struct err e;

    if (c->route->input == LAMBDA_IN_CREATE && (!name || !json_get(c->input, "Handler")))
        return fault_set(
            &c->fault, FAULT_INVALID_PARAMETER,
            "Runtime and Handler are mandatory parameters for functions created with deployment packages.");
    if (!name || runtime_find(name))
        return 0;
    for (unsigned i = 0; runtime_at(i); i++)
        buf_addf(&list, &e, "%s%s", i ? ", " : "", runtime_at(i)->name);
    return fault_set(
        &c->fault, FAULT_INVALID_PARAMETER,
        "Value %s at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [%s] or be a "
        "valid ARN",
        name, buf_str(&list));
}

static bool is_reserved(const char *name)
{
    static const char *const names[] = {
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_LAMBDA_RUNTIME_API",
        "LAMBDA_TASK_ROOT",
        "LAMBDA_RUNTIME_DIR",
    };

    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static int check_variables(struct lambda_call *c)
{
    const cJSON *variables = json_get(json_get(c->input, "Environment"), "Variables"), *child;
    auto_buf struct buf reserved = {0}, text = {0};
    struct err e;

    if (!variables)
        return 0;
    cJSON_ArrayForEach(child, variables) if (is_reserved(child->string))
        buf_addf(&reserved, &e, "%s%s", reserved.used ? ", " : "", child->string);
    if (reserved.used)
        return fault_set(
            &c->fault, FAULT_INVALID_PARAMETER,
            "Lambda was unable to configure your environment variables because the environment variables you "
            "have provided contains reserved keys that are currently not supported for modification. "
            "Reserved keys used in this request: %s",
            reserved.data);
    if (json_print(variables, &text, &e) < 0)
        return fault_set_err(&c->fault, &e);
    if (text.used > VARIABLES_MAX)
        return fault_set(
            &c->fault, FAULT_INVALID_PARAMETER,
            "Lambda was unable to configure your environment variables because the environment variables you "
            "have provided exceeded the 4KB limit. String measured: %s",
            text.data);
    return 0;
}

static int check_tags(struct lambda_call *c)
{
    const cJSON *tags = json_get(c->input, "Tags"), *child;

    if (cJSON_GetArraySize(tags) > TAGS_MAX)
        return fault_set(&c->fault, FAULT_INVALID_PARAMETER, "Number of tags exceeds resource tag limit.");
    cJSON_ArrayForEach(
        child, tags) if (!child->string[0] || strlen(child->string) > 128 ||
                         strlen(child->valuestring) >
                             256) return fault_set(&c->fault, FAULT_INVALID_PARAMETER,
                                                   "A tag's key has 1 to 128 characters, its value at most 256.");
    return 0;
}

int lambda_check_config(struct lambda_call *c)
{
    if (check_supported(c) < 0 || check_runtime(c) < 0 || check_variables(c) < 0)
        return -1;
    return check_tags(c);
}

int lambda_check_revision(struct lambda_call *c, const struct function *f)
{
    const char *wanted = json_get_text(c->input, "RevisionId", "");

    if (!wanted[0] || strcmp(wanted, f->revision_id) == 0)
        return 0;
    return fault_set(
        &c->fault, FAULT_PRECONDITION,
        "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to "
        "retrieve the latest Revision Id");
}

/* --- records ------------------------------------------------------------------------------------------------------ */

static const char *const copied[] = {
    "Runtime",          "Role",          "Handler",   "Description",   "Timeout",   "MemorySize", "Environment",
    "EphemeralStorage", "TracingConfig", "SnapStart", "LoggingConfig", "VpcConfig", "Tags",
};

/* Structures whose members keep their value where a request names only some. */
static const char *const merged[] = {"TracingConfig", "SnapStart", "LoggingConfig"};

static void merge(cJSON *record, const cJSON *input)
{
    for (unsigned i = 0; i < ARRAY_LEN(merged); i++) {
        const cJSON *from = json_get(input, merged[i]), *child;
        cJSON *to = json_get(record, merged[i]);

        cJSON_ArrayForEach(child, from) if (!cJSON_IsNull(child))
            json_set(to, child->string, cJSON_Duplicate(child, true));
    }
}

static bool is_merged(const char *name)
{
    for (unsigned i = 0; i < ARRAY_LEN(merged); i++)
        if (strcmp(merged[i], name) == 0)
            return true;
    return false;
}

static void apply(cJSON *record, const cJSON *input)
{
    for (unsigned i = 0; i < ARRAY_LEN(copied); i++) {
        const cJSON *value = json_get(input, copied[i]);

        if (value && !is_merged(copied[i]))
            json_set(record, copied[i], cJSON_Duplicate(value, true));
    }
    merge(record, input);
    /* Where nothing is said, AWS shows None and takes no snapshots; fnrun shows None and takes some. */
    if (json_get(json_get(input, "SnapStart"), "ApplyOn"))
        json_set(record, "SnapStartGiven", cJSON_CreateTrue());
    /* An environment without variables is an empty one. */
    if (json_get(record, "Environment") && !json_get(json_get(record, "Environment"), "Variables"))
        json_set(json_get(record, "Environment"), "Variables", cJSON_CreateObject());
}

cJSON *lambda_new_record(struct lambda_call *c)
{
    char text[800];
    cJSON *record;

    snprintf(text, sizeof(text),
             "{\"FunctionName\":\"%s\",\"Description\":\"\",\"Timeout\":3,\"MemorySize\":128,\"PackageType\":\"Zip\","
             "\"Architectures\":[\"x86_64\"],\"EphemeralStorage\":{\"Size\":512},\"TracingConfig\":{\"Mode\":"
             "\"PassThrough\"},"
             "\"SnapStart\":{\"ApplyOn\":\"None\"},\"LoggingConfig\":{\"LogFormat\":\"Text\","
             "\"LogGroup\":\"/aws/lambda/%s\"}}",
             c->function_name, c->function_name);
    record = cJSON_Parse(text);
    if (record)
        apply(record, c->input);
    return record;
}

cJSON *lambda_changed_record(struct lambda_call *c, const struct function *f)
{
    cJSON *record = cJSON_Duplicate(f->record, true);

    if (record && c->route->input == LAMBDA_IN_CONFIG)
        apply(record, c->input);
    return record;
}

void lambda_set_code(cJSON *record, const struct package_info *info)
{
    json_set(record, "CodeDigest", cJSON_CreateString(info->digest));
    json_set(record, "CodeSize", cJSON_CreateNumber((double)info->zip_bytes));
}

int lambda_revise(struct manager *m, cJSON *record, struct function **ret, struct err *e)
{
    char revision[37];

    invoke_make_request_id(revision);
    json_set(record, "RevisionId", cJSON_CreateString(revision));
    json_set(record, "LastModifiedMs", cJSON_CreateNumber((double)(clock_wall() / NSEC_PER_MSEC)));
    return functions_put(m->functions, record, ret, e);
}

struct function *lambda_store(struct lambda_call *c, cJSON *record)
{
    struct function *f;
    struct err e;

    if (lambda_revise(c->manager, record, &f, &e) == 0)
        return f;
    fault_set_err(&c->fault, &e);
    return NULL;
}
