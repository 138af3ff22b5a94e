/*
 * Carries out a mount plan in the calling process, which must be the only one in a new mount namespace, with
 * CAP_SYS_ADMIN and, for directories of others, CAP_DAC_READ_SEARCH. Not for the warden itself, only for its children.
 */
#ifndef FNRUN_ROOTFS_APPLY_H
#define FNRUN_ROOTFS_APPLY_H

#include "../sandbox/base/err.h"
#include "plan.h"

/* Absolute paths, valid in the calling process's mount namespace. */
struct apply_paths {
    const char *base[PLAN_BASES];
    const char *mount_point; /* an empty directory; the new root is mounted here before it becomes the root */
};

/* Mounts everything, makes it the root and lets go of the old one. The working directory is then "/". */
int apply_plan(const struct plan *p, const struct apply_paths *paths, struct err *e);

#endif
