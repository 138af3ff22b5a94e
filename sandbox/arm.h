/*
 * Arming: criu is started in a sandbox before anybody needs it, and waits there for its one request. Loading it and its twenty
 * libraries takes as long as a restore does.
 */
#ifndef FNRUN_ARM_H
#define FNRUN_ARM_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct arm {
    int images; /* the snapshot's directory */
    int work;   /* where criu leaves its logs */
    int log;    /* write end of the runtime's log pipe */
    uid_t
        uid; /* the runtime's: criu reads limits of processes of its own real uid alone, unless it has CAP_SYS_RESOURCE */
    bool with_channel;
};

/* What comes of it: descriptors, the caller's. */
struct armed {
    int rpc;     /* to the waiting criu; where a template is asked, the runtime's end of the channel */
    int channel; /* the manager's end of the channel; without one, of the connection that the runtime waits on */
};

/* For PID 1 of a sandbox whose file system is complete, with the toolbox on TOOLBOX_MOUNT (rootfs/plan.def). Comes back when criu is
 * loaded; the toolbox is no longer mounted then. */
int arm_sandbox(const struct arm *a, struct armed *ret, struct err *e);

/* Starts criu as a child; *ret_rpc leads to it. Both this and the above block for the milliseconds that criu takes to load. */
int arm_start_criu(const struct arm *a, int channel, int *ret_rpc, struct err *e);

#endif
