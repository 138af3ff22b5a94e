/* The runtime's side of fnrun-init: what pid 2 does between its birth and the exec. */
#ifndef FNRUN_INIT_RUNTIME_H
#define FNRUN_INIT_RUNTIME_H

#include "init.h"
#include "init_drop.h"

struct init_runtime {
    const struct init_spec *spec;
    struct sock_filter *filter;
    char **argv, **env;
    int channel; /* the runtime's end, or -1 */
    struct init_failure *failure;
};

/* Never returns: execs the runtime, or leaves the reason in *failure and exits. Runs in PID 1's memory while PID 1 sleeps
 * (sys_vfork); `arg` is a struct init_runtime. */
void init_runtime_start(void *arg) __attribute__((noreturn));

#endif
