/*
 * fnrun's own paths, for its command and its tests:
 *   GET /_fnrun/ping                               a constant: what an HTTP round trip costs
 *   GET /_fnrun/status                             counts; restore_cause.def has the causes of failed restores
 *   GET /_fnrun/snapshots                          each function's snapshot: state, reason, size, armed sandboxes
 *   GET, DELETE /_fnrun/snapshots/NAME             all about one; a later start makes another
 *   GET, PUT, DELETE /_fnrun/warm-up/NAME          the event that a function is called with before its snapshot is taken
 *   GET /_fnrun/logs/NAME?offset=N[&wait=S]        a function's log from offset N (negative: the last -N bytes); with
 *                                                  `wait`, up to S seconds until there is something
 *   GET /_fnrun/code/NAME[?sha256=HEX]             a function's zip
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../sandbox/base/fd.h"
#include "function.h"
#include "invoker.h"
#include "log_store.h"
#include "manager.h"
#include "package.h"
#include "private_api.h"
#include "snapshot.h"

#define LOG_PIECE_MAX ((size_t)1048576)
#define LOG_POLL (100 * NSEC_PER_MSEC)
#define LOG_WAIT_MAX_S 60L

void private_answer_error(struct http_request *r, unsigned status, const char *message)
{
    char text[200];

    snprintf(text, sizeof(text), "{\"message\":\"%s\"}", message);
    http_answer_str(r, status, "application/json", text);
}

void private_answer_json(struct http_request *r, cJSON *body)
{
    auto_free char *text = cJSON_PrintUnformatted(body);

    cJSON_Delete(body);
    if (text)
        http_answer_str(r, 200, "application/json", text);
    else
        private_answer_error(r, 500, "no memory");
}

struct function *private_find_function(struct http_request *r)
{
    const struct manager *m = r->server_ctx;
    const char *text = strrchr(r->path, '/') + 1;
    char name[FUNCTION_NAME_MAX + 1];
    struct function *f = NULL;
    char why[FUNCTION_NAME_MAX + 32] = "no such function";

    if (http_unescape(text, strlen(text), name, sizeof(name))) {
        f = functions_find(m->functions, name);
        snprintf(why, sizeof(why), "no such function: %s", name);
    }
    if (!f)
        private_answer_error(r, 404, why);
    return f;
}

static void answer_ping(struct http_request *r)
{
    http_answer_str(r, 200, "application/json", "{\"ping\":\"pong\"}");
}

static cJSON *describe_failures(const struct manager *m)
{
    cJSON *o = cJSON_CreateObject();

    for (unsigned i = 0; i < CAUSE_COUNT; i++)
        cJSON_AddNumberToObject(o, restore_cause_names[i], (double)m->snapshots->failures[i]);
    return o;
}

static void answer_status(struct http_request *r)
{
    const struct manager *m = r->server_ctx;
    cJSON *o = cJSON_CreateObject();
    struct invoker_stats s = {0};

    invoker_stats(m->invoker, &s);
    cJSON_AddNumberToObject(o, "functions", functions_count(m->functions));
#define COUNT(name) cJSON_AddNumberToObject(o, #name, (double)s.name);
    COUNT(instances)
    COUNT(idle)
    COUNT(busy)
    COUNT(starting)
    COUNT(armed)
    COUNT(restoring)
    COUNT(waiting)
    COUNT(cold_starts)
    COUNT(restored_starts)
    COUNT(restore_failures)
    COUNT(warm_starts)
    COUNT(errors)
    COUNT(timeouts)
    COUNT(throttles)
#undef COUNT
    cJSON_AddItemToObject(o, "restore_failures_by_cause", describe_failures(m));
    private_answer_json(r, o);
}

static void answer_code(struct http_request *r)
{
    const struct manager *m = r->server_ctx;
    const struct function *f = private_find_function(r);
    const char *digest = http_query(r, "sha256");
    struct err e;
    int fd;

    if (!f)
        return;
    if (digest && strcmp(digest, f->code_digest) != 0) {
        private_answer_error(r, 404, "the function has other code by now");
        return;
    }
    fd = package_open(m->packages, f->code_digest, NULL, &e);
    if (fd < 0) {
        private_answer_error(r, 500, "the code cannot be read");
        return;
    }
    http_set_header(r, "Content-Type", "application/zip");
    http_answer_file(r, 200, fd, 0, f->code_bytes);
}

/* --- logs --------------------------------------------------------------------------------------------------------- */

/* A reader of a log, who may wait for more. */
struct log_reader {
    struct http_request *request;
    struct function_log *log;
    char name[FUNCTION_NAME_MAX + 1];
    int64_t offset;
    nsec_t until;
    struct loop_timer timer;
};

static void free_reader(struct http_request *r)
{
    const struct manager *m = r->server_ctx;
    struct log_reader *reader = r->user;

    loop_timer_clear(m->loop, &reader->timer);
    log_close(reader->log);
    free(reader);
}

static void answer_log(struct log_reader *reader)
{
    const struct manager *m = reader->request->server_ctx;
    auto_buf struct buf out = {0};
    int64_t next;
    struct err e;

    if (log_read(reader->log, reader->offset, LOG_PIECE_MAX, &out, &next, &e) < 0) {
        private_answer_error(reader->request, 500, "the log cannot be read");
        return;
    }
    if (out.used == 0 && clock_now() < reader->until && functions_find(m->functions, reader->name)) {
        reader->offset = next;
        loop_timer_set(m->loop, &reader->timer, clock_now() + LOG_POLL);
        return;
    }
    http_set_headerf(reader->request, "X-Fnrun-Next-Offset", "%lld", (long long)next);
    http_set_header(reader->request, "Content-Type", "text/plain; charset=utf-8");
    http_answer_buf(reader->request, 200, &out);
}

static void on_poll(struct loop_timer *t)
{
    answer_log(container_of(t, struct log_reader, timer));
}

/* A number argument; `fallback` where it is absent. False for anything else. */
static bool read_number(const struct http_request *r, const char *name, long long fallback, long long *ret)
{
    const char *text = http_query(r, name);
    char *end;

    *ret = fallback;
    if (!text)
        return true;
    errno = 0;
    *ret = strtoll(text, &end, 10);
    return *text && !*end && errno == 0;
}

static void start_log(struct http_request *r)
{
    const struct function *f = private_find_function(r);
    struct log_reader *reader;
    long long offset, wait;
    struct err e;

    if (!f)
        return;
    if (!read_number(r, "offset", 0, &offset) || !read_number(r, "wait", 0, &wait) || wait < 0 ||
        wait > LOG_WAIT_MAX_S) {
        private_answer_error(r, 400, "offset is a number of bytes, wait one of seconds up to 60");
        return;
    }
    reader = calloc(1, sizeof(*reader));
    if (!reader || log_open(f->name, &reader->log, &e) < 0) {
        free(reader);
        private_answer_error(r, 500, "the log cannot be opened");
        return;
    }
    reader->request = r;
    reader->offset = offset;
    reader->until = clock_now() + wait * NSEC_PER_SEC;
    reader->timer.on_due = on_poll;
    snprintf(reader->name, sizeof(reader->name), "%s", f->name);
    r->user = reader;
    r->on_free = free_reader;
    answer_log(reader);
}

/* --- service ------------------------------------------------------------------------------------------------------ */

struct private_path {
    const char *method, *path; /* a path that ends with "/" takes a name behind it */
    void (*serve)(struct http_request *r);
    size_t body_cap;
};

static const struct private_path paths[] = {
    {"GET", "/_fnrun/ping", answer_ping, 0},
    {"GET", "/_fnrun/status", answer_status, 0},
    {"GET", "/_fnrun/snapshots", private_list_snapshots, 0},
    {"GET", "/_fnrun/snapshots/", private_get_snapshot, 0},
    {"DELETE", "/_fnrun/snapshots/", private_delete_snapshot, 0},
    {"GET", "/_fnrun/warm-up/", private_get_warm_up, 0},
    {"PUT", "/_fnrun/warm-up/", private_put_warm_up, WARM_UP_MAX},
    {"DELETE", "/_fnrun/warm-up/", private_delete_warm_up, 0},
    {"GET", "/_fnrun/logs/", start_log, 0},
    {"GET", "/_fnrun/code/", answer_code, 0},
};

static bool matches(const struct private_path *p, const char *path)
{
    size_t n = strlen(p->path);

    if (p->path[n - 1] != '/')
        return strcmp(path, p->path) == 0;
    return strncmp(path, p->path, n) == 0 && !strchr(path + n, '/');
}

/* NULL: none; *ret_known: there is one for another method. */
static const struct private_path *find_path(const struct http_request *r, bool *ret_known)
{
    *ret_known = false;
    for (unsigned i = 0; i < ARRAY_LEN(paths); i++) {
        if (!matches(&paths[i], r->path))
            continue;
        if (strcmp(r->method, paths[i].method) == 0)
            return &paths[i];
        *ret_known = true;
    }
    return NULL;
}

static void on_headers(struct http_request *r)
{
    bool known;
    const struct private_path *p = find_path(r, &known);

    r->body_cap = p ? p->body_cap : 0;
}

static void on_request(struct http_request *r)
{
    bool known;
    const struct private_path *p = find_path(r, &known);

    if (p)
        p->serve(r);
    else
        private_answer_error(r, known ? 405 : 404, known ? "not with this method" : "no such path");
}

const struct http_handlers private_service = {.on_headers = on_headers, .on_request = on_request};
