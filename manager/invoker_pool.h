/* What invoker.c and invoker_start.c share: the books of the instances and of the invocations that wait for one. */
#ifndef FNRUN_INVOKER_POOL_H
#define FNRUN_INVOKER_POOL_H

#include "invoker.h"
#include "snapshot.h"

/* The instances and the waiting invocations of one function revision. */
struct pool {
    struct list_node instances; /* struct instance.link; the most recently used idle ones come first */
    struct list_node waiting;   /* struct invocation.link, oldest first */
    struct list_node gated;     /* in invoker.gated, while it waits for its turn to restore */
    struct snapshot snapshot;
    unsigned starting, waiting_count;
};

struct invoker {
    struct manager *m;
    unsigned instances, waiting;
    /* Many more restores at one time than there are processors would only make all of them slow: the others wait in order. */
    struct list_node gated; /* struct pool.gated */
    struct loop_later gate; /* a restore is over */
    struct invoker_stats stats;
};

/* For the instances that serve: what the invoker does when they report. */
extern const struct instance_events invoker_events;

/* Gives an invocation to an idle instance, and the time that it may take. */
void invoker_call(struct instance *i, struct invocation *inv);

/* Takes an invocation out of its pool's queue, if it is there. */
void invoker_unqueue(struct invoker *in, struct invocation *inv);

struct invocation *invoker_first_waiting(struct pool *p);

/* As many starts under way as invocations wait. */
void invoker_start_enough(struct invoker *in, struct function *f);

/* Lets those restore whose turn it is. */
void invoker_on_gate(struct loop_later *l);

/* The pool's snapshot has changed: somebody may wait for it. */
void invoker_on_snapshot_change(struct snapshot *s);

/* Answers the invocation that has waited longest: the start that it was waiting for has failed. */
void invoker_fail_waiting(struct pool *p, struct invoker *in, enum invoke_outcome outcome, const char *why);

#endif
