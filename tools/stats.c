#include "stats.h"

#include "../sandbox/base/macros.h"

#define BARS 12
#define BAR_WIDTH 50

static int by_value(const void *a, const void *b)
{
    nsec_t x = *(const nsec_t *)a, y = *(const nsec_t *)b;

    return (x > y) - (x < y);
}

/* The least value that is not below `percent` of all: the sorted value of rank ceil(count * percent / 100). */
static nsec_t percentile(const nsec_t *sorted, size_t count, unsigned percent)
{
    size_t rank = (count * percent + 99) / 100;

    return sorted[MAX(rank, (size_t)1) - 1];
}

void stats_compute(nsec_t *values, size_t count, struct stats *ret)
{
    *ret = (struct stats){.count = count};
    if (count == 0)
        return;
    qsort(values, count, sizeof(*values), by_value);
    ret->min = values[0];
    ret->p50 = percentile(values, count, 50);
    ret->p90 = percentile(values, count, 90);
    ret->p99 = percentile(values, count, 99);
    ret->max = values[count - 1];
}

static void print_bar(FILE *out, size_t n, size_t most)
{
    size_t width = most ? (n * BAR_WIDTH + most - 1) / most : 0;

    for (size_t i = 0; i < BAR_WIDTH; i++)
        fputc(i < width ? '#' : ' ', out);
    fprintf(out, " %zu\n", n);
}

void stats_print_histogram(FILE *out, const nsec_t *sorted, size_t count)
{
    nsec_t least = count ? sorted[0] : 0;
    nsec_t step = count ? (percentile(sorted, count, 99) - least) / BARS + 1 : 1;
    size_t bar[BARS + 1] = {0}, most = 0;

    for (size_t i = 0; i < count; i++)
        bar[MIN((sorted[i] - least) / step, (nsec_t)BARS)]++;
    for (size_t i = 0; i <= BARS; i++)
        most = MAX(most, bar[i]);
    for (size_t i = 0; i <= BARS; i++) {
        double from = (double)(least + (nsec_t)i * step) / NSEC_PER_MSEC;

        if (i == BARS && bar[i] == 0)
            return;
        fprintf(out, i < BARS ? "  %9.3f ms  |" : "  %9.3f ms +|", from);
        print_bar(out, bar[i], most);
    }
}
