/* FunctionConfiguration, as each operation shows it. */
#include <stdio.h>
#include <time.h>

#include "base64.h"
#include "json.h"
#include "lambda.h"

/* Members that are shown as they are stored, where they are. */
static const char *const shown[] = {
    "FunctionName",     "Runtime",   "Role",          "Handler",       "CodeSize",   "Description", "Timeout",
    "MemorySize",       "VpcConfig", "Environment",   "TracingConfig", "RevisionId", "PackageType", "Architectures",
    "EphemeralStorage", "SnapStart", "LoggingConfig",
};

/* "2025-11-24T23:08:55.123+0000" */
static void print_time(nsec_t wall, char ret[40])
{
    time_t seconds = (time_t)(wall / NSEC_PER_SEC);
    struct tm tm;
    size_t n;

    gmtime_r(&seconds, &tm);
    n = strftime(ret, 30, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(ret + n, 40 - n, ".%03d+0000", (int)(wall % NSEC_PER_SEC / NSEC_PER_MSEC));
}

static void add_facts(cJSON *out, const struct manager *m, const struct function *f, const char *qualifier)
{
    char arn[LAMBDA_ARN_MAX], time_text[40], sha[45];

    lambda_print_arn(m, f->name, qualifier, arn);
    print_time(f->last_modified, time_text);
    base64_from_hex_digest(f->code_digest, sha);
    json_set(out, "FunctionArn", cJSON_CreateString(arn));
    json_set(out, "LastModified", cJSON_CreateString(time_text));
    json_set(out, "CodeSha256", cJSON_CreateString(sha));
    json_set(out, "Version", cJSON_CreateString(LAMBDA_LATEST));
    json_set(json_get(out, "SnapStart"), "OptimizationStatus", cJSON_CreateString("Off"));
}

/* What clients wait for. A function is ready when it was created; the pending states last for one answer, because AWS's
 * do last and clients rely on seeing them. */
static void add_state(cJSON *out, enum lambda_stage stage)
{
    static const char reason[] = "The function is being created.";

    json_set(out, "State", cJSON_CreateString(stage == LAMBDA_CREATED ? "Pending" : "Active"));
    if (stage == LAMBDA_CREATED) {
        json_set(out, "StateReason", cJSON_CreateString(reason));
        json_set(out, "StateReasonCode", cJSON_CreateString("Creating"));
        return;
    }
    json_set(out, "LastUpdateStatus", cJSON_CreateString(stage == LAMBDA_UPDATED ? "InProgress" : "Successful"));
    if (stage == LAMBDA_UPDATED) {
        json_set(out, "LastUpdateStatusReason", cJSON_CreateString(reason));
        json_set(out, "LastUpdateStatusReasonCode", cJSON_CreateString("Creating"));
    }
}

cJSON *lambda_render(const struct manager *m, const struct function *f, const char *qualifier, enum lambda_stage stage)
{
    cJSON *out = cJSON_CreateObject(), *version;
    char arn[160];

    for (unsigned i = 0; i < ARRAY_LEN(shown); i++) {
        const cJSON *value = json_get(f->record, shown[i]);

        if (value)
            cJSON_AddItemToObject(out, shown[i], cJSON_Duplicate(value, true));
    }
    add_facts(out, m, f, qualifier);
    if (json_get(out, "VpcConfig"))
        json_set(json_get(out, "VpcConfig"), "VpcId", cJSON_CreateString(""));
    if (stage == LAMBDA_LISTED)
        return out;
    snprintf(arn, sizeof(arn), "arn:aws:lambda:%s::runtime:%s", m->config.region, f->runtime->name);
    version = cJSON_AddObjectToObject(out, "RuntimeVersionConfig");
    json_set(version, "RuntimeVersionArn", cJSON_CreateString(arn));
    add_state(out, stage);
    return out;
}
