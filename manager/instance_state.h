/*
 * The states of an instance; instance.c has the table of what may follow what.
 *
 *     CREATING -> INIT -> IDLE <-> BUSY -> DYING -> (freed)
 *     CREATING -> ARMED -> RESTORING -> IDLE, where it is restored from a snapshot
 *     CREATING -> INIT -> PREPARING, where it makes one
 *
 * RETURNING is a third-party runtime that has answered but not yet asked for the next invocation.
 */
#ifndef FNRUN_INSTANCE_STATE_H
#define FNRUN_INSTANCE_STATE_H

enum instance_state {
    INSTANCE_CREATING,  /* the warden is making the sandbox */
    INSTANCE_INIT,      /* the runtime runs and has not said that it is ready */
    INSTANCE_ARMED,     /* the sandbox waits for its runtime */
    INSTANCE_RESTORING, /* it restores, and the runtime then makes itself ready */
    INSTANCE_PREPARING, /* its runtime makes itself ready to be dumped, then it is dumped */
    INSTANCE_IDLE,
    INSTANCE_BUSY,
    INSTANCE_RETURNING,
    INSTANCE_DYING, /* killed or broken: waiting for the warden to say that all is gone */
};

/* What an instance is there for. */
enum instance_role { INSTANCE_STARTS, INSTANCE_RESTORES, INSTANCE_MAKES };

#endif
