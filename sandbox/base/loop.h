/*
 * The event loop of a process: descriptors (epoll), timers (a heap), signals (signalfd) and "later" callbacks.
 * One loop per process, no threads. A callback must not block.
 */
#ifndef FNRUN_LOOP_H
#define FNRUN_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "err.h"

struct loop;

/* Watches one descriptor. Lives in the owner's struct; the descriptor stays the owner's. */
struct loop_io {
    void (*on_ready)(struct loop_io *io, uint32_t events); /* events: EPOLLIN, EPOLLOUT, EPOLLHUP ... */
    int fd;
    bool active;
};

/* Fires once at its deadline. Lives in the owner's struct; may be set again from its own callback. */
struct loop_timer {
    void (*on_due)(struct loop_timer *t);
    nsec_t due;
    size_t slot; /* place in the heap + 1; 0: not set. The loop's own. */
};

/* Called once, after the callbacks of this round: for work that several events of one round ask for. */
struct loop_later {
    void (*run)(struct loop_later *l);
    struct loop_later *next;
    bool queued;
};

int loop_create(struct loop **ret_loop, struct err *e);
void loop_destroy(struct loop *l);

/* Starts to watch io->fd for `events`. io->on_ready and io->fd must be set. */
int loop_io_add(struct loop *l, struct loop_io *io, uint32_t events, struct err *e);
int loop_io_change(struct loop *l, struct loop_io *io, uint32_t events, struct err *e);
/* Stops watching; before the owner closes io->fd. Harmless if it isn't watched. Safe inside any callback. */
void loop_io_remove(struct loop *l, struct loop_io *io);

/* (Re)sets the timer to `due` (clock_now() scale). */
void loop_timer_set(struct loop *l, struct loop_timer *t, nsec_t due);
void loop_timer_clear(struct loop *l, struct loop_timer *t);

void loop_later(struct loop *l, struct loop_later *later);

/* Blocks `signals` (0-terminated) and reports each through `on_signal`. Once per loop. */
int loop_signals(struct loop *l, const int *signals, void (*on_signal)(void *ctx, int signo), void *ctx, struct err *e);

/* Runs until loop_stop. Returns 0, or a negative errno where epoll itself fails. */
int loop_run(struct loop *l, struct err *e);
void loop_stop(struct loop *l);

#endif
