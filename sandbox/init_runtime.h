/* The runtime's side of fnrun-init: what pid 2 does between its birth and the exec. */
#ifndef FNRUN_INIT_RUNTIME_H
#define FNRUN_INIT_RUNTIME_H

#include "init.h"

/* Why fnrun-init failed; the warden adds the words for `code`. */
struct init_failure {
    int code; /* errno */
    const char *what, *detail;
};

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

/* The functions below return 0, or -1 with *f set. */

/* Gives up the bounding set and sets no_new_privs: PID 1 does it once, before the runtime is born. */
int init_drop_bounding_set(struct init_failure *f);

/* Becomes `uid`:`uid` for good, without groups and capabilities. Each is read back. Also what PID 1 does to itself. */
int init_drop(uint32_t uid, struct init_failure *f);

/* Sets *f from a system call's negative result; returns -1. */
int init_fail(struct init_failure *f, long rc, const char *what);

#endif
