/* The code of functions: from a request or the object store into the packages, and out again when nobody uses it. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "../sandbox/base/fd.h"
#include "../sandbox/base/log.h"
#include "json.h"
#include "lambda.h"
#include "store.h"

#define SWEEP_INTERVAL (500 * NSEC_PER_MSEC)

/* Creates and code changes whose package is being unpacked. */
static struct list_node changing = {&changing, &changing};

bool lambda_is_changing(const struct lambda_call *c)
{
    const struct lambda_call *other;

    list_for_each(&changing, other, struct lambda_call, changing)
        if (strcmp(other->function_name, c->function_name) == 0)
            return true;
    return false;
}

/* --- packages that nobody needs ----------------------------------------------------------------------------------- */

struct sweep {
    struct loop_timer timer;
    struct manager *manager;
};

static bool in_use(void *ctx, const char *digest)
{
    return functions_use_code(ctx, digest);
}

static void on_sweep(struct loop_timer *t)
{
    struct sweep *s = container_of(t, struct sweep, timer);
    struct manager *m = s->manager;

    packages_sweep(m->packages, in_use, m->functions);
    if (functions_have_retired(m->functions))
        loop_timer_set(m->loop, t, clock_now() + SWEEP_INTERVAL);
}

/* An instance that is still starting for a revision just replaced needs that revision's code. */
void lambda_drop_code(struct manager *m, const char *digest)
{
    static struct sweep sweep = {.timer.on_due = on_sweep};

    if (!functions_use_code(m->functions, digest)) {
        package_remove(m->packages, digest);
    } else if (functions_have_retired(m->functions)) {
        sweep.manager = m;
        loop_timer_set(m->loop, &sweep.timer, clock_now() + SWEEP_INTERVAL);
    }
}

/* --- new code ----------------------------------------------------------------------------------------------------- */

static int refuse_package(struct lambda_call *c, const struct package_info *info)
{
    switch (info->result) {
    case PACKAGE_OK:
        return 0;
    case PACKAGE_NOT_A_ZIP:
        return fault_set(&c->fault, FAULT_INVALID_PARAMETER,
                         "Could not unzip uploaded file. Please check your file, then try to upload again.");
    case PACKAGE_EMPTY:
        return fault_set(&c->fault, FAULT_INVALID_PARAMETER, "Uploaded file must be a non-empty zip");
    case PACKAGE_TOO_LARGE:
        return fault_set(&c->fault, FAULT_INVALID_PARAMETER, "Unzipped size must be smaller than %llu bytes",
                         (unsigned long long)PACKAGE_UNZIPPED_MAX);
    case PACKAGE_FAILED:
        break;
    }
    return fault_set(&c->fault, FAULT_SERVICE, "Could not store the code: %s", info->why);
}

static void on_package(void *ctx, const struct package_info *info)
{
    struct lambda_call *c = ctx;

    list_remove(&c->changing);
    if (refuse_package(c, info) < 0 || c->on_code(c, info) < 0) {
        if (info->result == PACKAGE_OK)
            lambda_drop_code(c->manager, info->digest);
        lambda_answer_fault(c);
    }
}

static int take_upload(struct lambda_call *c, int *ret_fd)
{
    struct err e;

    switch (upload_take(c->upload, ret_fd, &e)) {
    case UPLOAD_GOOD:
        return 0;
    case UPLOAD_TOO_LARGE:
        return fault_set(&c->fault, FAULT_ENTITY_TOO_LARGE, "Zipped size must be smaller than %llu bytes",
                         (unsigned long long)PACKAGE_ZIP_MAX);
    case UPLOAD_FAILED:
        return fault_set_err(&c->fault, &e);
    case UPLOAD_NONE:
    case UPLOAD_BAD_BASE64:
        break;
    }
    return fault_set(&c->fault, FAULT_SERIALIZATION, "ZipFile is no valid Base64");
}

static int object_fault(struct lambda_call *c, const char *code, const char *message)
{
    return fault_set(&c->fault, FAULT_INVALID_PARAMETER,
                     "Error occurred while GetObject. S3 Error Code: %s. S3 Error Message: %s", code, message);
}

static int take_object(struct lambda_call *c, const cJSON *code, int *ret_fd)
{
    const char *bucket = json_get_text(code, "S3Bucket", NULL), *key = json_get_text(code, "S3Key", NULL);
    uint64_t size;
    struct err e;

    if (!bucket || !key)
        return fault_set(&c->fault, FAULT_INVALID_PARAMETER, "Please provide a source for function code.");
    if (json_get(code, "S3ObjectVersion"))
        return object_fault(c, "NoSuchVersion", "The specified version does not exist.");
    switch (store_open_object(c->manager->store, bucket, key, ret_fd, &size, &e)) {
    case STORE_FOUND:
        return 0;
    case STORE_NO_BUCKET:
        return object_fault(c, "NoSuchBucket", "The specified bucket does not exist");
    case STORE_NO_KEY:
        return object_fault(c, "NoSuchKey", "The specified key does not exist.");
    case STORE_ERROR:
        break;
    }
    return fault_set_err(&c->fault, &e);
}

int lambda_fetch_code(struct lambda_call *c, const cJSON *code, lambda_on_code done)
{
    auto_fd int fd = -1;
    bool zip = json_get(code, "ZipFile") != NULL;

    if (zip && (json_get(code, "S3Bucket") || json_get(code, "S3Key") || json_get(code, "S3ObjectVersion")))
        return fault_set(&c->fault, FAULT_INVALID_PARAMETER,
                         "Please do not provide other FunctionCode parameters when providing a ZipFile.");
    if ((zip ? take_upload(c, &fd) : take_object(c, code, &fd)) < 0)
        return -1;
    c->on_code = done;
    list_append(&changing, &c->changing);
    package_add(c->manager->packages, take_fd(&fd), on_package, c);
    return 0;
}
