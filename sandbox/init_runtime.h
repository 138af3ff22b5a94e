/* The runtime's side of fnrun-init: what pid 2 does between fork and exec. */
#ifndef FNRUN_INIT_RUNTIME_H
#define FNRUN_INIT_RUNTIME_H

#include "base/err.h"
#include "init.h"

struct init_runtime {
    const struct init_spec *spec;
    struct sock_filter *filter;
    char **argv, **env;
    int channel;   /* the runtime's end, or -1 */
    int exec_pipe; /* where a struct err goes if there is no exec; the exec closes it */
};

/* Never returns: becomes the runtime, or reports and exits. */
void init_runtime_start(const struct init_runtime *r) __attribute__((noreturn));

/* Becomes `uid`:`uid` for good, without capability; no_new_privs. Each is read back. Also what PID 1 does to itself. */
int init_drop(uint32_t uid, struct err *e);

/* Gives up the bounding set and sets no_new_privs: shared by PID 1 and the runtime, so done once, before the fork. */
int init_drop_bounding_set(struct err *e);

#endif
