/*
 * Slow work in a child process, a fork of the manager: hashing, copying, syncing. The child sees the manager's memory as it was,
 * and what it finds out it leaves in memory that both share. It ends with the manager.
 */
#ifndef FNRUN_WORKER_H
#define FNRUN_WORKER_H

#include <stddef.h>
#include <sys/types.h>

#include "../sandbox/base/err.h"
#include "../sandbox/base/loop.h"

/* Lives in the owner's struct. The first group is the owner's to set. */
struct worker {
    struct loop *loop;
    void (*work)(struct worker *w); /* in the child; may block; fills *result */
    /* In the manager. `result` lasts until it returns; NULL: something has killed the child. It may start the next work, and may
     * free the worker. */
    void (*done)(struct worker *w, const void *result);
    size_t result_size;
    int keep[2]; /* descriptors that the child needs; -1: none. It has no others */

    void *result; /* all zero at first; NULL: nothing is under way */
    struct loop_io io;
    pid_t pid;
};

/* Starts the work: `done` follows, later. */
int worker_start(struct worker *w, struct err *e);

/* Does the work here and now, for what takes no longer than making a child; calls `done` before it returns. */
int worker_run(struct worker *w, struct err *e);

/* Ends work that is under way; `done` will not be called. Harmless otherwise. */
void worker_cancel(struct worker *w);

#endif
