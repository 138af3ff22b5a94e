/* Time. All deadlines in fnrun are nsec_t on CLOCK_MONOTONIC, which all processes of one machine share. */
#ifndef FNRUN_CLOCK_H
#define FNRUN_CLOCK_H

#include <stdint.h>
#include <time.h>

typedef int64_t nsec_t;

#define NSEC_PER_SEC INT64_C(1000000000)
#define NSEC_PER_MSEC INT64_C(1000000)
#define NSEC_PER_USEC INT64_C(1000)

static inline nsec_t clock_read(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (nsec_t)ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

/* Monotonic time: for measuring and for deadlines. */
static inline nsec_t clock_now(void)
{
    return clock_read(CLOCK_MONOTONIC);
}

/* Nanoseconds since the epoch: only for what a person or a client reads. */
static inline nsec_t clock_wall(void)
{
    return clock_read(CLOCK_REALTIME);
}

#endif
