/* Statistics of measured times. Pure. */
#ifndef FNRUN_STATS_H
#define FNRUN_STATS_H

#include <stddef.h>
#include <stdio.h>

#include "../sandbox/base/clock.h"

struct stats {
    size_t count; /* 0: the rest means nothing */
    nsec_t min, p50, p90, p99, max;
};

/* Sorts the values. Percentiles are nearest-rank: each is a value that was measured. */
void stats_compute(nsec_t *values, size_t count, struct stats *ret);

/* Prints bars for sorted values, from the least to p99; what is above shares the last one. */
void stats_print_histogram(FILE *out, const nsec_t *sorted, size_t count);

#endif
