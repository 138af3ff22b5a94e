/*
 * The nursery: a small process that forks the sandboxes' first processes. A fork copies all descriptors of its parent, and the child
 * closes them one by one; the warden has several for each sandbox, so its own forks would take the longer the more sandboxes
 * there are. What the nursery forks is the warden's child all the same (CLONE_PARENT).
 */
#ifndef FNRUN_NURSERY_H
#define FNRUN_NURSERY_H

#include "child.h"

struct sandboxes;

struct nursery {
    int socket;
    pid_t pid;
};

/* Starts it, early: it keeps of the warden's descriptors only those that every sandbox needs. It ends with its socket. */
int nursery_start(struct nursery *n, const struct sandboxes *all, struct err *e);
void nursery_stop(struct nursery *n);

/* As child_start, by the nursery. Blocks for the time of a fork. */
int nursery_fork(const struct nursery *n, const struct child *c, int *ret_pidfd, struct err *e);

#endif
