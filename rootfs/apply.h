/*
 * Carries out a mount plan for the calling process, which needs CAP_SYS_ADMIN, CAP_SYS_CHROOT and, for directories of others,
 * CAP_DAC_READ_SEARCH. Not for the warden itself, only for its children.
 */
#ifndef FNRUN_ROOTFS_APPLY_H
#define FNRUN_ROOTFS_APPLY_H

#include "../sandbox/base/err.h"
#include "plan.h"

/* Absolute paths, valid in the mount namespace that the calling process comes from. */
struct apply_paths {
    const char *base[PLAN_BASES];
    int bare; /* bare.h */
};

/* Moves into a mount namespace of its own, where the plan is all there is. The working directory is then "/". */
int apply_plan(const struct plan *p, const struct apply_paths *paths, struct err *e);

#endif
