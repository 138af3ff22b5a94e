/*
 * The first half of a sandbox's PID 1: what the warden's forked child does until it execs fnrun-init. It moves into the
 * cgroup, leaves every namespace of the host, builds its file system, starts criu where a snapshot is to be restored, and gives up most capabilities.
 */
#ifndef FNRUN_CHILD_H
#define FNRUN_CHILD_H

#include <sys/types.h>

#include "../rootfs/apply.h"
#include "arm.h"
#include "cgroup.h"
#include "spare.h"

struct child {
    const struct cgroups *cgroups;
    const struct cgroup_door *door;
    const struct spare *spare;
    const struct plan *plan;
    const struct apply_paths *paths;
    int control;                /* its end of the socket to the warden; init.h */
    int log;                    /* write end of the log pipe */
    int init;                   /* the fnrun-init program */
    bool restores, by_template; /* of a snapshot, and not by criu */
    struct arm arm;             /* where it restores a snapshot */
};

/* Starts the child as PID 1 of a new pid namespace, and as a child of the caller's parent: for the nursery. Returns its pid and its
 * pidfd, which is the caller's. */
pid_t child_start(const struct child *c, int *ret_pidfd, struct err *e);

/* For any child of the warden's that execs a program: signals as a program expects them, and its end with the warden's. */
int child_reset(struct err *e);

/* Makes the calling process, and what it forks, the kernel's first choice when memory is short. Returns a descriptor, the caller's, by
 * which it can take that back for itself. */
int child_raise_oom_score(struct err *e);

#endif
