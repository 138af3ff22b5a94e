/*
 * Makes the plan of a template (thaw.h) from the images that criu has just dumped. What a template can't do is left to criu, which
 * restores the same images in any case: several processes, sockets other than the channel, timers, what is rare in a
 * function's runtime.
 *
 * For dump.c's child, inside the sandbox.
 */
#ifndef FNRUN_COMPILE_H
#define FNRUN_COMPILE_H

#include <sys/types.h>

#include "criu.h"

/* Writes `template` into the snapshot's directory. -ENOTSUP: the runtime has something that only criu can restore; *e says what. */
int compile_template(int dir, const struct criu_ends *ends, uid_t uid, struct err *e);

#endif
