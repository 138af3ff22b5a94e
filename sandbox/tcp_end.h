/*
 * One end of a TCP connection on a sandbox's loopback, kept with a snapshot and made again in another sandbox. criu does
 * this for the runtime's end; the manager's is outside of what criu sees, so it is done here, with the kernel's TCP repair:
 * addresses, sequence numbers, options and windows are read from the one socket and set in the other. What the manager has
 * read of it already is put back, so that whoever gets the new socket finds the runtime's request in it again.
 *
 * Called by the warden's forked children inside a sandbox's network namespace, with CAP_NET_ADMIN.
 */
#ifndef FNRUN_TCP_END_H
#define FNRUN_TCP_END_H

#include <stddef.h>

#include "base/err.h"

/* Writes what `sock` is into the directory `dir`; `request` is what its peer sent last. The connection lives on.
 * -EINVAL where the socket is none of this network namespace. */
int tcp_end_save(int sock, const void *request, size_t size, int dir, struct err *e);

/* Makes it again. Its peer must come after it, or the kernel tells that one that there is nobody. *ret is the caller's. */
int tcp_end_restore(int dir, int *ret, struct err *e);

#endif
