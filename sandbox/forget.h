/*
 * Random state that the C library keeps in a process: since glibc 2.41 getrandom() is answered by the vDSO from pages that are
 * mapped MAP_DROPPABLE (Linux 6.11). All that are restored from one dump would go on with the same bytes, secrets and uuids among
 * them. Source: Linux, lib/vdso/getrandom.c: a state of zeros is one that must be filled first.
 */
#ifndef FNRUN_FORGET_H
#define FNRUN_FORGET_H

#include "base/err.h"

/* Overwrites those pages of pid 2 with zeros. For dump.c's child, inside the sandbox, while the runtime waits. */
int forget_random(struct err *e);

#endif
