/* The operations on functions, but Invoke. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "lambda.h"
#include "log_store.h"

#define PAGE_MAX 50 /* functions in one answer of ListFunctions */

/* --- create ------------------------------------------------------------------------------------------------------- */

static int refuse_name_in_use(struct lambda_call *c)
{
    return fault_set(&c->fault, FAULT_CONFLICT, "Function already exist: %s", c->function_name);
}

static int on_created(struct lambda_call *c, const struct package_info *info)
{
    const struct function *f;
    cJSON *record;

    if (functions_find(c->manager->functions, c->function_name))
        return refuse_name_in_use(c);
    record = lambda_new_record(c);
    if (!record)
        return fault_set(&c->fault, FAULT_SERVICE, "no memory");
    lambda_set_code(record, info);
    f = lambda_store(c, record);
    if (!f)
        return -1;
    lambda_answer_json(c, 201, lambda_render(c->manager, f, "", LAMBDA_CREATED));
    return 0;
}

int lambda_create_function(struct lambda_call *c)
{
    if (lambda_parse_name(c, json_get_text(c->input, "FunctionName", ""), false) < 0 || lambda_check_config(c) < 0)
        return -1;
    if (functions_find(c->manager->functions, c->function_name) || lambda_is_changing(c))
        return refuse_name_in_use(c);
    return lambda_fetch_code(c, json_get(c->input, "Code"), on_created);
}

/* --- update ------------------------------------------------------------------------------------------------------- */

/* The function to change, if it may be changed now. */
static struct function *find_for_update(struct lambda_call *c)
{
    struct function *f = lambda_find(c);
    char arn[LAMBDA_ARN_MAX];

    if (!f || lambda_check_revision(c, f) < 0)
        return NULL;
    if (!lambda_is_changing(c))
        return f;
    lambda_print_arn(c->manager, f->name, "", arn);
    fault_set(&c->fault, FAULT_CONFLICT,
              "The operation cannot be performed at this time. An update is in progress for resource: %s", arn);
    return NULL;
}

static int store_update(struct lambda_call *c, cJSON *record)
{
    const struct function *f = lambda_store(c, record);

    if (!f)
        return -1;
    lambda_answer_json(c, 200, lambda_render(c->manager, f, c->qualifier, LAMBDA_UPDATED));
    return 0;
}

int lambda_update_function_configuration(struct lambda_call *c)
{
    const struct function *f;
    cJSON *record;

    if (lambda_check_config(c) < 0)
        return -1;
    f = find_for_update(c);
    if (!f)
        return -1;
    record = lambda_changed_record(c, f);
    return record ? store_update(c, record) : fault_set(&c->fault, FAULT_SERVICE, "no memory");
}

/* Shows what an update would make of the function. */
static int answer_dry_run(struct lambda_call *c, const struct function *f, const struct package_info *info)
{
    struct function shown = *f;

    shown.record = lambda_changed_record(c, f);
    if (!shown.record)
        return fault_set(&c->fault, FAULT_SERVICE, "no memory");
    lambda_set_code(shown.record, info);
    memcpy(shown.code_digest, info->digest, sizeof(shown.code_digest));
    lambda_answer_json(c, 200, lambda_render(c->manager, &shown, c->qualifier, LAMBDA_SETTLED));
    cJSON_Delete(shown.record);
    lambda_drop_code(c->manager, info->digest);
    return 0;
}

static int on_new_code(struct lambda_call *c, const struct package_info *info)
{
    const struct function *f = find_for_update(c); /* it may have gone meanwhile */
    char old_digest[sizeof(f->code_digest)];
    cJSON *record;
    int rc;

    if (!f)
        return -1;
    if (cJSON_IsTrue(json_get(c->input, "DryRun")))
        return answer_dry_run(c, f, info);
    memcpy(old_digest, f->code_digest, sizeof(old_digest));
    record = lambda_changed_record(c, f);
    if (!record)
        return fault_set(&c->fault, FAULT_SERVICE, "no memory");
    lambda_set_code(record, info);
    rc = store_update(c, record);
    if (rc == 0)
        lambda_drop_code(c->manager, old_digest);
    return rc;
}

int lambda_update_function_code(struct lambda_call *c)
{
    const char *image = json_get_text(c->input, "ImageUri", "");

    if (image[0])
        return fault_set(&c->fault, FAULT_INVALID_PARAMETER,
                         "Please don't provide ImageUri when updating a function with packageType Zip.");
    if (lambda_check_config(c) < 0 || !find_for_update(c))
        return -1;
    return lambda_fetch_code(c, c->input, on_new_code);
}

/* --- delete ------------------------------------------------------------------------------------------------------- */

int lambda_delete_function(struct lambda_call *c)
{
    const struct function *f = functions_find(c->manager->functions, c->function_name);
    char digest[sizeof(f->code_digest)];
    struct err e;

    if (f && strcmp(c->qualifier, LAMBDA_LATEST) == 0)
        return fault_set(&c->fault, FAULT_INVALID_PARAMETER,
                         "$LATEST version cannot be deleted without deleting the function.");
    if (!f || c->qualifier[0]) {
        c->qualifier[0] = f ? c->qualifier[0] : '\0'; /* AWS names the function alone where there is none */
        lambda_find(c);
        return -1;
    }
    memcpy(digest, f->code_digest, sizeof(digest));
    if (functions_remove(c->manager->functions, c->function_name, &e) < 0)
        return fault_set_err(&c->fault, &e);
    log_remove(c->function_name);
    lambda_drop_code(c->manager, digest);
    http_set_header(c->request, "x-amzn-RequestId", c->request_id);
    http_answer(c->request, 204, "", 0);
    return 0;
}

/* --- read --------------------------------------------------------------------------------------------------------- */

int lambda_get_function_configuration(struct lambda_call *c)
{
    const struct function *f = lambda_find(c);

    if (!f)
        return -1;
    lambda_answer_json(c, 200, lambda_render(c->manager, f, c->qualifier, LAMBDA_SETTLED));
    return 0;
}

/* Where the zip can be fetched, under the name by which the client reached us. */
static cJSON *render_code(struct lambda_call *c, const struct function *f)
{
    const char *host = http_header(c->request, "Host");
    cJSON *code = cJSON_CreateObject();
    auto_buf struct buf url = {0};
    struct err e;

    buf_addf(&url, &e, "http://%s/_fnrun/code/%s?sha256=%s", host ? host : c->manager->config.listen_name, f->name,
             f->code_digest);
    cJSON_AddStringToObject(code, "RepositoryType", "S3");
    cJSON_AddStringToObject(code, "Location", buf_str(&url));
    return code;
}

int lambda_get_function(struct lambda_call *c)
{
    const struct function *f = lambda_find(c);
    const cJSON *tags;
    cJSON *body;

    if (!f)
        return -1;
    tags = json_get(f->record, "Tags");
    body = cJSON_CreateObject();
    cJSON_AddItemToObject(body, "Configuration", lambda_render(c->manager, f, c->qualifier, LAMBDA_SETTLED));
    cJSON_AddItemToObject(body, "Code", render_code(c, f));
    if (tags && tags->child)
        cJSON_AddItemToObject(body, "Tags", cJSON_Duplicate(tags, true));
    lambda_answer_json(c, 200, body);
    return 0;
}

static int read_page_size(struct lambda_call *c, long *ret)
{
    const char *text = http_query(c->request, "MaxItems");
    char *end;

    *ret = PAGE_MAX;
    if (!text)
        return 0;
    *ret = strtol(text, &end, 10);
    if (!*text || *end || strspn(text, "-0123456789") != strlen(text))
        return fault_set(&c->fault, FAULT_SERIALIZATION, "STRING_VALUE can not be converted to an Integer");
    if (*ret < 1)
        return lambda_violation(c, text, "maxItems", "Member must have value greater than or equal to 1");
    if (*ret > 10000)
        return lambda_violation(c, text, "maxItems", "Member must have value less than or equal to 10000");
    *ret = MIN(*ret, PAGE_MAX);
    return 0;
}

/* NextMarker is the name that was shown last: it stays good when functions come and go. */
int lambda_list_functions(struct lambda_call *c)
{
    const char *marker = http_query(c->request, "Marker"), *version = http_query(c->request, "FunctionVersion");
    const struct function *f;
    cJSON *body, *list;
    long left;

    if (version && strcmp(version, "ALL") != 0)
        return lambda_violation(c, version, "functionVersion", "Member must satisfy enum value set: [ALL]");
    if (read_page_size(c, &left) < 0)
        return -1;
    body = cJSON_CreateObject();
    list = cJSON_AddArrayToObject(body, "Functions");
    f = functions_next(c->manager->functions, marker ? marker : "");
    for (; f && left > 0; left--) {
        const struct function *next = functions_next(c->manager->functions, f->name);

        cJSON_AddItemToArray(list, lambda_render(c->manager, f, version ? LAMBDA_LATEST : "", LAMBDA_LISTED));
        if (next && left == 1)
            cJSON_AddStringToObject(body, "NextMarker", f->name);
        f = next;
    }
    lambda_answer_json(c, 200, body);
    return 0;
}
