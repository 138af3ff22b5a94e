/*
 * Random state that the C library keeps in a process: since glibc 2.41 getrandom() is answered by the vDSO from pages that are
 * mapped MAP_DROPPABLE (Linux 6.11), which implies that a fork gets them empty. criu 4.1.1 knows neither: all that are restored
 * from one dump would go on with the same bytes, secrets and uuids among them, and so would their children. Source: Linux,
 * lib/vdso/getrandom.c (a state of zeros is one that must be filled first) and madvise(2).
 *
 * Both are for dump.c's child, inside the sandbox, while the runtime waits.
 */
#ifndef FNRUN_FORGET_H
#define FNRUN_FORGET_H

#include "base/err.h"

/* Before the dump: overwrites those pages of the runtime's processes with zeros. */
int forget_random(struct err *e);

/* After it: has criu restore them so that a fork finds them empty (MADV_WIPEONFORK). `images` is the snapshot's directory. */
int forget_random_on_fork(int images, struct err *e);

#endif
