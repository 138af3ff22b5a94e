/*
 * The measuring loops. One at a time is a plain blocking transfer, the cheapest that libcurl has; several at a time
 * share one curl multi handle. No threads: they would measure the scheduler.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "cli.h"

struct bench {
    const struct bench_plan *plan;
    struct bench_result *result;
    struct client **clients; /* `concurrency` of them */
    nsec_t *begun;           /* of each client's request under way */
    CURLM *multi;
    bool measuring;                /* not the warm-up */
    size_t target, started, ended; /* requests of this phase */
    nsec_t until;                  /* no request of this phase begins later; 0: whenever */
};

void bench_free(struct bench_result *r)
{
    free(r->samples);
    r->samples = NULL;
}

static void note_error(struct bench_result *r, const char *text)
{
    if (r->errors++ == 0)
        snprintf(r->first_error, sizeof(r->first_error), "%s", text);
}

/* NULL for a good answer, otherwise what is wrong with it. */
static const char *find_fault(const struct bench_plan *p, const struct client *c, const char *start)
{
    if (c->status / 100 != 2 || client_header(c, "X-Amz-Function-Error"))
        return c->body.used > 0 ? c->body.data : "the server answered with an error";
    if (p->start && strcmp(start, p->start) != 0)
        return "the server started it in another way than was asked for";
    return NULL;
}

static int add_sample(struct bench_result *r, const struct bench_sample *s, struct err *e)
{
    if (r->count == r->room) {
        size_t room = MAX(2 * r->room, (size_t)1024);
        struct bench_sample *more = reallocarray(r->samples, room, sizeof(*more));

        if (!more)
            return err_set(e, ENOMEM, "no memory");
        r->samples = more;
        r->room = room;
    }
    r->samples[r->count++] = *s;
    return 0;
}

static int take_answer(struct bench *b, const struct client *c, nsec_t total, struct err *e)
{
    const char *start = client_header(c, "X-Fnrun-Start");
    const char *fault = find_fault(b->plan, c, start ? start : "");
    struct bench_result *r = b->result;
    struct bench_sample sample = {.total = total,
                                  .create = client_header_number(c, "X-Fnrun-Create-Ns", 0),
                                  .init = client_header_number(c, "X-Fnrun-Init-Ns", 0)};

    b->ended++;
    if (!b->measuring)
        return 0;
    if (fault) {
        note_error(r, fault);
        return 0;
    }
    r->colds += start && strcmp(start, "warm") != 0;
    return add_sample(r, &sample, e);
}

static bool is_more_wanted(const struct bench *b)
{
    return b->started < b->target && (b->until == 0 || clock_now() < b->until);
}

/* A connection that fails would fail again: whatever is left isn't tried. */
static int run_one_by_one(struct bench *b, struct err *e)
{
    struct client *c = b->clients[0];

    while (is_more_wanted(b)) {
        nsec_t begun;

        if (b->plan->pause_ms && (b->measuring || b->started > 0))
            usleep((useconds_t)b->plan->pause_ms * 1000);
        b->started++;
        begun = clock_now();
        if (client_perform(c, e) < 0 || take_answer(b, c, clock_now() - begun, e) < 0)
            return -e->code;
    }
    return 0;
}

static void start_next(struct bench *b, size_t i)
{
    client_begin(b->clients[i]);
    b->begun[i] = clock_now();
    b->started++;
    curl_multi_add_handle(b->multi, b->clients[i]->curl);
}

static size_t find_client(const struct bench *b, const CURL *curl)
{
    size_t i = 0;

    while (b->clients[i]->curl != curl)
        i++;
    return i;
}

/* Takes what has ended and puts new requests in its place. */
static int take_finished(struct bench *b, struct err *e)
{
    const CURLMsg *m;
    int left;

    while ((m = curl_multi_info_read(b->multi, &left))) {
        nsec_t now = clock_now();
        size_t i = find_client(b, m->easy_handle);
        CURLcode code = m->data.result;

        if (client_end(b->clients[i], code, e) < 0 || take_answer(b, b->clients[i], now - b->begun[i], e) < 0)
            return -e->code;
        curl_multi_remove_handle(b->multi, b->clients[i]->curl);
        if (is_more_wanted(b))
            start_next(b, i);
    }
    return 0;
}

static int run_together(struct bench *b, struct err *e)
{
    int running;

    for (size_t i = 0; i < b->plan->concurrency && is_more_wanted(b); i++)
        start_next(b, i);
    while (b->ended < b->started) {
        CURLMcode rc = curl_multi_perform(b->multi, &running);

        if (rc == CURLM_OK && take_finished(b, e) < 0)
            return -e->code;
        if (rc == CURLM_OK && running > 0)
            rc = curl_multi_poll(b->multi, NULL, 0, 1000, NULL);
        if (rc != CURLM_OK)
            return err_set(e, EIO, "%s", curl_multi_strerror(rc));
    }
    return 0;
}

/* Runs requests to their end: `count` of them, or as many as begin within `seconds`. */
static int run_phase(struct bench *b, size_t count, long seconds, bool measuring, struct err *e)
{
    b->measuring = measuring;
    b->target = count;
    b->until = seconds ? clock_now() + seconds * NSEC_PER_SEC : 0;
    b->started = b->ended = 0;
    return b->multi ? run_together(b, e) : run_one_by_one(b, e);
}

static int prepare(struct bench *b, struct err *e)
{
    const struct bench_plan *p = b->plan;

    b->clients = calloc(p->concurrency, sizeof(*b->clients));
    b->begun = calloc(p->concurrency, sizeof(*b->begun));
    b->multi = p->concurrency > 1 ? curl_multi_init() : NULL;
    if (!b->clients || !b->begun || (p->concurrency > 1 && !b->multi))
        return err_set(e, ENOMEM, "no memory");
    if (b->multi)
        curl_multi_setopt(b->multi, CURLMOPT_MAXCONNECTS, (long)p->concurrency);
    for (size_t i = 0; i < p->concurrency; i++)
        if (client_create(p->endpoint, &b->clients[i], e) < 0 || client_prepare(b->clients[i], &p->request, e) < 0)
            return -e->code;
    return 0;
}

static void release(struct bench *b)
{
    for (size_t i = 0; b->clients && i < b->plan->concurrency; i++) {
        if (b->multi && b->clients[i])
            curl_multi_remove_handle(b->multi, b->clients[i]->curl);
        client_free(b->clients[i]);
    }
    curl_multi_cleanup(b->multi);
    free(b->clients);
    free(b->begun);
}

int bench_run(const struct bench_plan *p, struct bench_result *ret, struct err *e)
{
    struct bench b = {.plan = p, .result = ret};
    nsec_t begun;
    int rc;

    *ret = (struct bench_result){0};
    rc = prepare(&b, e);
    if (rc == 0)
        rc = run_phase(&b, p->warm_up, 0, false, e);
    begun = clock_now();
    if (rc == 0)
        rc = run_phase(&b, p->count, p->seconds, true, e);
    ret->elapsed = clock_now() - begun;
    release(&b);
    return rc;
}
