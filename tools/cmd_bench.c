/* fnrun bench */
#include <errno.h>
#include <string.h>

#include "api.h"
#include "bench.h"

enum mode { COLD, RESTORE, WARM, PING };

static const char *const mode_names[] = {"cold", "restore", "warm", "ping"};
static const long default_counts[] = {20, 100, 1000, 1000};

#define COUNT_MAX 10000000L

/* What the server calls them. */
static const char *const starts[] = {"cold", "restored", NULL, NULL};

#define WARM_UP_LEAST 20

struct run {
    struct cli *c;
    enum mode mode;
    long count, seconds, concurrency, pause_ms;
    struct buf payload, path;
    struct bench_result result, constant; /* `constant`: beside a warm run only */
};

enum field { TOTAL, CREATE, INIT };

static nsec_t field_of(const struct bench_sample *s, enum field field)
{
    return field == TOTAL ? s->total : field == CREATE ? s->create : s->init;
}

/* Statistics of one field; *ret_sorted is the caller's. */
static int compute(const struct bench_result *r, enum field field, struct stats *ret, nsec_t **ret_sorted,
                   struct err *e)
{
    nsec_t *values = calloc(r->count + 1, sizeof(*values));

    if (!values)
        return err_set(e, ENOMEM, "no memory");
    for (size_t i = 0; i < r->count; i++)
        values[i] = field_of(&r->samples[i], field);
    stats_compute(values, r->count, ret);
    *ret_sorted = values;
    return 0;
}

static double milliseconds(nsec_t ns)
{
    return (double)ns / NSEC_PER_MSEC;
}

static double per_second(const struct bench_result *r)
{
    return r->elapsed > 0 ? (double)r->count * NSEC_PER_SEC / (double)r->elapsed : 0;
}

/* One line of the table; nothing where nothing was measured. */
static int print_row(const char *name, const struct bench_result *r, enum field field, struct stats *ret, struct err *e)
{
    auto_free nsec_t *sorted = NULL;

    if (compute(r, field, ret, &sorted, e) < 0)
        return -e->code;
    if (ret->count > 0 && ret->max > 0)
        printf("  %-16s %9.3f %9.3f %9.3f %9.3f %9.3f\n", name, milliseconds(ret->min), milliseconds(ret->p50),
               milliseconds(ret->p90), milliseconds(ret->p99), milliseconds(ret->max));
    return 0;
}

static int print_histogram(const struct bench_result *r, struct err *e)
{
    auto_free nsec_t *sorted = NULL;
    struct stats s;

    if (compute(r, TOTAL, &s, &sorted, e) < 0)
        return -e->code;
    if (s.count > 0)
        stats_print_histogram(stdout, sorted, s.count);
    return 0;
}

static int print_text(const struct run *b, struct err *e)
{
    const struct bench_result *r = &b->result;
    struct stats all, constant, part;

    printf("%s%s%s, %zu requests, %ld at a time\n\n", b->mode == PING ? "" : b->c->operands[0],
           b->mode == PING ? "" : ", ", mode_names[b->mode], r->count + r->errors, b->concurrency);
    printf("  %-16s %9s %9s %9s %9s %9s\n", "milliseconds", "min", "p50", "p90", "p99", "max");
    if (print_row(b->mode == PING ? "constant" : mode_names[b->mode], r, TOTAL, &all, e) < 0 ||
        (b->mode == COLD && print_row("- make sandbox", r, CREATE, &part, e) < 0) ||
        (starts[b->mode] && print_row(b->mode == COLD ? "- run init" : "- restore", r, INIT, &part, e) < 0) ||
        print_row("constant", &b->constant, TOTAL, &constant, e) < 0)
        return -e->code;
    if (constant.count > 0 && all.count > 0)
        printf("\np50 of %s / constant: %.2f\n", mode_names[b->mode], (double)all.p50 / (double)constant.p50);
    printf("\n%.1f per second, %zu errors", per_second(r), r->errors);
    if (b->mode == WARM && r->colds > 0)
        printf(", %zu cold starts among them", r->colds);
    printf("\n\n");
    if (print_histogram(r, e) < 0)
        return -e->code;
    fflush(stdout);
    if (r->errors > 0)
        fprintf(stderr, "first error: %s\n", r->first_error);
    return 0;
}

/* Adds a field's statistics and the raw samples in their order. */
static int add_field(cJSON *json, const struct bench_result *r, enum field field, struct stats *ret, struct err *e)
{
    static const char *const names[][2] = {
        [TOTAL] = {"ns", "samples_ns"}, [CREATE] = {"create", "create_ns"}, [INIT] = {"init", "init_ns"}};
    auto_free nsec_t *sorted = NULL;
    cJSON *object, *samples;

    if (compute(r, field, ret, &sorted, e) < 0)
        return -e->code;
    object = cJSON_AddObjectToObject(json, names[field][0]);
    samples = cJSON_AddArrayToObject(json, names[field][1]);
    for (size_t i = 0; i < r->count; i++)
        cJSON_AddItemToArray(samples, cJSON_CreateNumber((double)field_of(&r->samples[i], field)));
    if (ret->count == 0)
        return 0;
    cJSON_AddNumberToObject(object, "min", (double)ret->min);
    cJSON_AddNumberToObject(object, "p50", (double)ret->p50);
    cJSON_AddNumberToObject(object, "p90", (double)ret->p90);
    cJSON_AddNumberToObject(object, "p99", (double)ret->p99);
    cJSON_AddNumberToObject(object, "max", (double)ret->max);
    return 0;
}

static int add_result(cJSON *json, const struct bench_result *r, struct stats *ret, struct err *e)
{
    cJSON_AddNumberToObject(json, "errors", (double)r->errors);
    if (r->errors > 0)
        cJSON_AddStringToObject(json, "first_error", r->first_error);
    cJSON_AddNumberToObject(json, "cold_starts", (double)r->colds);
    cJSON_AddNumberToObject(json, "elapsed_ns", (double)r->elapsed);
    cJSON_AddNumberToObject(json, "per_second", per_second(r));
    return add_field(json, r, TOTAL, ret, e);
}

static int print_json(const struct run *b, struct err *e)
{
    auto_json cJSON *json = cJSON_CreateObject();
    struct stats all, constant, part;

    if (b->mode != PING)
        cJSON_AddStringToObject(json, "function", b->c->operands[0]);
    cJSON_AddStringToObject(json, "mode", mode_names[b->mode]);
    cJSON_AddNumberToObject(json, "count", (double)(b->result.count + b->result.errors));
    cJSON_AddNumberToObject(json, "concurrency", (double)b->concurrency);
    if (add_result(json, &b->result, &all, e) < 0)
        return -e->code;
    if (starts[b->mode] &&
        (add_field(json, &b->result, CREATE, &part, e) < 0 || add_field(json, &b->result, INIT, &part, e) < 0))
        return -e->code;
    if (b->mode == WARM) {
        if (add_result(cJSON_AddObjectToObject(json, "constant"), &b->constant, &constant, e) < 0)
            return -e->code;
        if (all.count > 0 && constant.count > 0)
            cJSON_AddNumberToObject(json, "ratio", (double)all.p50 / (double)constant.p50);
    }
    return cli_print_json(json, e);
}

/* Requests of one kind; a server that can't be reached has an exit code of its own. */
static int measure(struct run *b, const struct request *request, struct bench_result *ret, struct err *e)
{
    size_t each = (size_t)b->concurrency;
    struct bench_plan p = {.endpoint = api_endpoint(b->c),
                           .request = *request,
                           .count = (size_t)b->count,
                           .seconds = b->seconds,
                           .concurrency = each,
                           .start = starts[b->mode],
                           .pause_ms = b->pause_ms,
                           .warm_up = starts[b->mode] ? each : MAX(2 * each, (size_t)WARM_UP_LEAST)};
    int rc = bench_run(&p, ret, e);

    if (rc == -CLIENT_UNREACHABLE)
        b->c->failure = CLI_UNREACHABLE;
    return rc;
}

static int run(struct run *b, struct err *e)
{
    static const char *const ask[][2] = {{"X-Fnrun-Start: cold", NULL}, {"X-Fnrun-Start: restored", NULL}};
    const struct request ping = {.method = "GET", .path = "/_fnrun/ping"};
    struct request invoke = {.method = "POST", .service = "lambda", .headers = starts[b->mode] ? ask[b->mode] : NULL};

    if (b->mode == PING)
        return measure(b, &ping, &b->result, e);
    /* A wrong name is said as such and not measured. */
    if (api_call(b->c, "GET", b->c->operands[0], "/configuration", NULL, e) < 0 ||
        cli_payload(b->c, OPT_bench_payload, &b->payload, e) < 0 ||
        api_add_path(&b->path, API_FUNCTIONS "/", b->c->operands[0], "/invocations", e) < 0)
        return -e->code;
    invoke.path = b->path.data;
    invoke.body = buf_str(&b->payload);
    invoke.size = b->payload.used;
    if (b->mode == WARM && measure(b, &ping, &b->constant, e) < 0)
        return -e->code;
    return measure(b, &invoke, &b->result, e);
}

static int read_options(struct run *b, struct err *e)
{
    const char *mode = cli_text(b->c, OPT_bench_mode, "warm");
    size_t i = 0;

    while (i < ARRAY_LEN(mode_names) && strcmp(mode, mode_names[i]) != 0)
        i++;
    if (i == ARRAY_LEN(mode_names))
        return cli_usage(b->c, e, "--mode takes %s, not %s", cli_options[OPT_bench_mode].argument, mode);
    b->mode = (enum mode)i;
    if (b->mode != PING && b->c->operand_count == 0)
        return cli_usage(b->c, e, "NAME is missing");
    if (cli_number(b->c, OPT_bench_seconds, 1, 3600, 0, &b->seconds, e) < 0 ||
        cli_number(b->c, OPT_bench_count, 1, COUNT_MAX, b->seconds ? COUNT_MAX : default_counts[i], &b->count, e) < 0)
        return -e->code;
    /* A restored start is what it is when a sandbox is armed for it, which takes a few milliseconds after the last one. */
    if (cli_number(b->c, OPT_bench_pause, 0, 60000, b->mode == RESTORE ? 50 : 0, &b->pause_ms, e) < 0)
        return -e->code;
    return cli_number(b->c, OPT_bench_concurrency, 1, 1000, 1, &b->concurrency, e);
}

int cmd_bench(struct cli *c, struct err *e)
{
    struct run b = {.c = c};
    int rc = read_options(&b, e);

    if (rc == 0)
        rc = run(&b, e);
    if (rc == 0)
        rc = c->json ? print_json(&b, e) : print_text(&b, e);
    if (rc == 0 && b.result.errors > 0)
        rc = CLI_FAILED;
    bench_free(&b.result);
    bench_free(&b.constant);
    buf_free(&b.payload);
    buf_free(&b.path);
    return rc;
}
