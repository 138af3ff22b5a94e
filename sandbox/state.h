/*
 * The state directory of one instance: its lock, its layout and the uids that follow from its path. CONTRIBUTING.md shows what
 * lies in it.
 */
#ifndef FNRUN_STATE_H
#define FNRUN_STATE_H

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

#define STATE_UID_BLOCK 65536u
#define STATE_FUNCTION_UIDS 65000u /* uid indices of functions are below this */

/* Uids of an instance. A gid is always the number of the uid, but for a named manager. */
struct state_ids {
    uid_t manager_uid;
    gid_t manager_gid;
    uid_t init_uid;       /* PID 1 of the sandboxes */
    uid_t first_function; /* + uid index */
};

struct state {
    char path[PATH_MAX]; /* absolute, without symbolic links, as those below it: */
    char data[PATH_MAX + 16], run[PATH_MAX + 16], code[PATH_MAX + 16], snapshots[PATH_MAX + 16], root[PATH_MAX + 16];
    uint64_t hash; /* of `path`: names the instance */
    struct state_ids ids;
    int lock;
};

/* Makes the directory if it isn't there, and takes its lock; -EBUSY when another warden has it. `user` may be NULL, uid_base
 * 0: both are then chosen. */
int state_open(struct state *ret_state, const char *path, const char *user, uint64_t uid_base, struct err *e);
void state_close(struct state *s);

#endif
