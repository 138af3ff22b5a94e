/* fnrun's own paths that have to do with snapshots. */
#include <string.h>

#include "invoker.h"
#include "json.h"
#include "lambda.h"
#include "private_api.h"

void private_list_snapshots(struct http_request *r)
{
    const struct manager *m = r->server_ctx;
    cJSON *all = cJSON_CreateArray();
    const char *name = "";
    struct function *f;

    while ((f = functions_next(m->functions, name))) {
        cJSON_AddItemToArray(all, invoker_describe_snapshot(m, f, false));
        name = f->name;
    }
    private_answer_json(r, all);
}

void private_get_snapshot(struct http_request *r)
{
    const struct function *f = private_find_function(r);
    cJSON *o;

    if (!f)
        return;
    o = invoker_describe_snapshot(r->server_ctx, f, true);
    if (f->warm_up)
        cJSON_AddItemToObject(o, "warm_up", cJSON_CreateRaw(f->warm_up));
    private_answer_json(r, o);
}

void private_delete_snapshot(struct http_request *r)
{
    struct function *f = private_find_function(r);

    if (!f)
        return;
    invoker_remove_snapshot(f);
    http_answer(r, 204, "", 0);
}

/* --- the warm-up event --------------------------------------------------------------------------------------------- */

void private_get_warm_up(struct http_request *r)
{
    const struct function *f = private_find_function(r);

    if (!f)
        return;
    if (f->warm_up)
        http_answer_str(r, 200, "application/json", f->warm_up);
    else
        private_answer_error(r, 404, "the function has no warm-up event");
}

/* It is part of the function's configuration: a change makes a new revision, with a snapshot of its own. `event` NULL: none. */
static void set_warm_up(struct http_request *r, const struct function *f, const char *event)
{
    cJSON *record = cJSON_Duplicate(f->record, true);
    struct function *changed;
    struct err e;

    if (!record) {
        private_answer_error(r, 500, "no memory");
        return;
    }
    if (event)
        json_set(record, "WarmUp", cJSON_CreateString(event));
    else
        cJSON_DeleteItemFromObjectCaseSensitive(record, "WarmUp");
    if (lambda_revise(r->server_ctx, record, &changed, &e) < 0)
        private_answer_error(r, 500, "the function could not be stored");
    else
        http_answer(r, 204, "", 0);
}

void private_put_warm_up(struct http_request *r)
{
    const struct function *f = private_find_function(r);
    struct json_error error;

    if (!f)
        return;
    if (r->body_too_large)
        private_answer_error(r, 413, "a warm-up event has 65536 bytes at most");
    else if (!json_check(buf_str(&r->body), r->body.used, &error))
        private_answer_error(r, 400, "the warm-up event is no JSON");
    else if (!f->warm_up || strcmp(f->warm_up, buf_str(&r->body)) != 0)
        set_warm_up(r, f, buf_str(&r->body));
    else
        http_answer(r, 204, "", 0);
}

void private_delete_warm_up(struct http_request *r)
{
    const struct function *f = private_find_function(r);

    if (f && f->warm_up)
        set_warm_up(r, f, NULL);
    else if (f)
        http_answer(r, 204, "", 0);
}
