/*
 * Network, IPC and UTS namespaces, made ahead of need. They hold nothing of a sandbox yet, and the kernel takes longer for
 * them than for all the rest: a third of a sandbox's creation, and nearly all of its slow cases, because the creation of
 * one network waits for the destruction of others. A helper process makes a few while nothing else is to do.
 */
#ifndef FNRUN_SPARE_H
#define FNRUN_SPARE_H

#include <sys/types.h>

#include "base/loop.h"

#define SPARES_MAX 4

/* One set: descriptors of its namespaces, all -1 for none. */
struct spare {
    int net, ipc, uts;
};

#define SPARE_NONE ((struct spare){-1, -1, -1})

struct spares {
    struct loop *loop;
    struct spare set[SPARES_MAX];
    unsigned count;
    struct loop_timer refill;
    struct loop_io helper; /* socket to it: a number asks, the sets come back; -1 while there is none */
    pid_t pid;
};

/* Starts to make the first ones. */
void spares_init(struct spares *s, struct loop *loop);
void spares_close(struct spares *s);

/* Takes one set, the caller's to close; SPARE_NONE where none is ready. */
struct spare spares_take(struct spares *s);
void spare_close(struct spare *s);

/* For a forked child: moves it into the namespaces of `s`, or into new ones if that is none. In both cases the host name is set and
 * `lo` is up. */
int spare_enter(const struct spare *s, struct err *e);

#endif
