/* Runs one request many times and notes how long each took. */
#ifndef FNRUN_BENCH_H
#define FNRUN_BENCH_H

#include <stdbool.h>

#include "../sandbox/base/clock.h"
#include "client.h"
#include "stats.h"

struct bench_plan {
    const char *endpoint;
    struct request request;
    size_t count;       /* requests; fewer where `seconds` are over first */
    long seconds;       /* 0: no limit */
    size_t warm_up;     /* requests before the measured ones: they open the connections and warm the instances */
    long pause_ms;      /* before each request but the very first, with one at a time */
    size_t concurrency; /* requests under way at a time, each on its own connection */
    const char *start;  /* "cold" or "restored": an answer of another start is an error; NULL: any */
};

struct bench_sample {
    nsec_t total;
    nsec_t create, init; /* of a cold start, as the server says; 0: not said */
};

struct bench_result {
    struct bench_sample *samples; /* successful requests in the order they ended */
    size_t count, room, colds, errors;
    nsec_t elapsed;
    char first_error[300];
};

/* Blocks until all is done. Negative only where nothing could be measured; bench_free in every case. */
int bench_run(const struct bench_plan *p, struct bench_result *ret, struct err *e);
void bench_free(struct bench_result *r);

#endif
