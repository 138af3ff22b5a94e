#include "fault.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "../sandbox/base/log.h"

struct fault_kind_info {
    unsigned status;
    const char *name, *type, *message_key, *reason;
};

static const struct fault_kind_info kinds[] = {
    [FAULT_NONE] = {500, "ServiceException", "Service", "Message", NULL},
#define FAULT(id, status, name, type, key, reason) [FAULT_##id] = {status, name, type, key, reason},
#include "fault.def"
#undef FAULT
};

int fault_set(struct fault *f, enum fault_kind kind, const char *fmt, ...)
{
    auto_free char *text = NULL;
    struct err e;
    va_list ap;

    f->kind = kind;
    buf_clear(&f->text);
    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        text = NULL;
    va_end(ap);
    if (!text || buf_add_str(&f->text, text, &e) < 0)
        f->kind = FAULT_SERVICE;
    return -1;
}

int fault_set_err(struct fault *f, const struct err *e)
{
    log_error("%s", e->msg);
    return fault_set(f, FAULT_SERVICE, "%s", e->msg);
}

void fault_answer(struct http_request *r, const struct fault *f)
{
    const struct fault_kind_info *k = &kinds[f->kind];
    cJSON *body = cJSON_CreateObject();
    auto_free char *text = NULL;

    if (k->reason)
        cJSON_AddStringToObject(body, "Reason", k->reason);
    if (k->type)
        cJSON_AddStringToObject(body, "Type", k->type);
    if (f->text.used)
        cJSON_AddStringToObject(body, k->message_key, f->text.data);
    else
        cJSON_AddNullToObject(body, k->message_key);
    text = cJSON_PrintUnformatted(body);
    cJSON_Delete(body);
    http_set_header(r, "x-amzn-ErrorType", k->name);
    http_answer_str(r, k->status, "application/json", text ? text : "{}");
}
