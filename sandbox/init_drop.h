/*
 * Giving up privileges without a C library, for fnrun-init and fnrun-thaw. Each step is read back. All return 0, or -1 with *f set.
 */
#ifndef FNRUN_INIT_DROP_H
#define FNRUN_INIT_DROP_H

#include <stdint.h>

/* Why it failed; the warden adds the words for `code`. */
struct init_failure {
    int code; /* errno */
    const char *what, *detail;
};

/* Sets *f from a system call's negative result; returns -1. */
int init_fail(struct init_failure *f, long rc, const char *what);

/* Gives up the bounding set and sets no_new_privs. */
int init_drop_bounding_set(struct init_failure *f);

/* Becomes `uid`:`uid` for good, without groups and capabilities. */
int init_drop(uint32_t uid, struct init_failure *f);

/* The same, but CAP_CHECKPOINT_RESTORE stays: it lets threads have the ids that they are known by. */
int init_drop_but_restore(uint32_t uid, struct init_failure *f);

/* What is left of capabilities goes: of the calling thread. */
int init_drop_capabilities(struct init_failure *f);

#endif
