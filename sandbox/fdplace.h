/* Descriptors of a program that is about to be exec'd: exactly the ones listed. */
#ifndef FNRUN_FDPLACE_H
#define FNRUN_FDPLACE_H

#include "base/err.h"

/* Makes fds[0..count) the descriptors 0..count-1 and marks all others close-on-exec. They may be any descriptors, also
 * each other's places; `*keep`, unless NULL, is moved out of the way and stays open until the exec. */
int fd_place(const int *fds, unsigned count, int *keep, struct err *e);

#endif
