/* What the files of the Lambda API share: one call on its way from the request to the answer. */
#ifndef FNRUN_LAMBDA_H
#define FNRUN_LAMBDA_H

#include <cjson/cJSON.h>

#include "../sandbox/base/list.h"
#include "fault.h"
#include "function.h"
#include "lambda_upload.h"
#include "manager.h"
#include "package.h"

#define LAMBDA_REQUEST_MAX UINT64_C(70167211) /* bytes of a request with code in it */
#define LAMBDA_JSON_MAX UINT64_C(1048576)     /* bytes of its JSON beside the code */
#define LAMBDA_LATEST "$LATEST"

enum lambda_body {
    LAMBDA_NO_BODY,
    LAMBDA_JSON,  /* an object, checked against lambda_member.def */
    LAMBDA_CODE,  /* the same, with a zip in it */
    LAMBDA_EVENT, /* for a function */
};

/* Whose members lambda_member.def lists. */
enum lambda_input { LAMBDA_IN_NONE = 0, LAMBDA_IN_CREATE = 1, LAMBDA_IN_CODE = 2, LAMBDA_IN_CONFIG = 4 };

struct lambda_call;

struct lambda_route {
    const char *method, *pattern, *operation;
    enum lambda_body body;
    unsigned input; /* enum lambda_input */
    int (*serve)(
        struct lambda_call *c); /* answers now or later, or sets c->fault and returns -1; NULL: not there yet */
};

typedef int (*lambda_on_code)(struct lambda_call *c, const struct package_info *info);

struct lambda_call {
    struct http_request *request;
    struct manager *manager;
    const struct lambda_route *route; /* NULL: unknown operation */
    char *argument;                   /* the {F} of the path, decoded; NULL: no memory */
    char function_name[FUNCTION_NAME_MAX + 1];
    char qualifier[FUNCTION_QUALIFIER_MAX + 1]; /* "" where the request names none */
    struct upload *upload;
    cJSON *input;
    struct fault fault;
    char request_id[37];
    lambda_on_code on_code; /* lambda_code.c's, as is `changing` */
    struct list_node changing;
};

/* --- lambda_api.c --- */
void lambda_answer_json(struct lambda_call *c, unsigned status, cJSON *body); /* deletes `body` */
void lambda_answer_fault(struct lambda_call *c);

/* --- lambda_name.c --- */

/* Takes a name or ARN apart, and the Qualifier argument, into the call. `namespaced`: the operation takes longer names. */
int lambda_parse_name(struct lambda_call *c, const char *text, bool namespaced);

/* The function that the call names; NULL with the fault set. */
struct function *lambda_find(struct lambda_call *c);

/* "arn:aws:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]" */
#define LAMBDA_ARN_MAX 400
void lambda_print_arn(const struct manager *m, const char *name, const char *qualifier, char ret[LAMBDA_ARN_MAX]);

/* --- lambda_check.c: the model's constraints --- */
int lambda_check_input(struct lambda_call *c);

/* One violated constraint as the whole answer, for members that are not in a body. `value` NULL: null. */
int lambda_violation(struct lambda_call *c, const char *value, const char *member, const char *constraint);

/* --- lambda_config.c: configurations --- */
int lambda_check_config(struct lambda_call *c);
int lambda_check_revision(struct lambda_call *c, const struct function *f);

/* A new record: defaults, and what the input says. */
cJSON *lambda_new_record(struct lambda_call *c);

/* A copy of a function's record with what the input says changed. */
cJSON *lambda_changed_record(struct lambda_call *c, const struct function *f);

void lambda_set_code(cJSON *record, const struct package_info *info);

/* Gives the record its revision and stores it, as functions_put does. */
int lambda_revise(struct manager *m, cJSON *record, struct function **ret, struct err *e);

/* The same for a call. NULL with the fault set. */
struct function *lambda_store(struct lambda_call *c, cJSON *record);

/* --- lambda_render.c --- */
enum lambda_stage { LAMBDA_CREATED, LAMBDA_UPDATED, LAMBDA_SETTLED, LAMBDA_LISTED };

/* FunctionConfiguration */
cJSON *lambda_render(const struct manager *m, const struct function *f, const char *qualifier, enum lambda_stage stage);

/* --- lambda_code.c --- */

/* Brings the code that `code` (ZipFile or S3Bucket and S3Key) names into the packages, then calls `done`. */
int lambda_fetch_code(struct lambda_call *c, const cJSON *code, lambda_on_code done);

/* Is a create or a change of code of this function under way? */
bool lambda_is_changing(const struct lambda_call *c);

/* Removes a package if nobody uses it any more, or does so as soon as that is so. */
void lambda_drop_code(struct manager *m, const char *digest);

/* --- operations: lambda_route.def --- */
#define ROUTE(method, pattern, operation, body, input, serve) int serve(struct lambda_call *c);
#define MISSING(method, pattern, operation)
#include "lambda_route.def"
#undef ROUTE
#undef MISSING

#endif
