/* Descriptors: who owns them, and small helpers. Every descriptor is close-on-exec from birth. */
#ifndef FNRUN_FD_H
#define FNRUN_FD_H

#include <stddef.h>
#include <sys/types.h>

#include "err.h"

static inline int take_fd(int *fd)
{
    int value = *fd;
    *fd = -1;
    return value;
}

/* Closes *fd if it is open and sets it to -1; keeps errno. */
void fd_close(int *fd);

/* Declares a descriptor that is closed at the end of its scope; start it with -1. */
#define auto_fd __attribute__((cleanup(fd_close)))

/* Writes all of it, or fails. Blocks unless the descriptor is non-blocking, in which case EAGAIN is a failure. */
int fd_write_all(int fd, const void *data, size_t size, struct err *e);

/* Reads a whole small file under `dir` (AT_FDCWD allowed) into `out`, NUL-terminated; fails with EFBIG where it does
 * not fit in `size` - 1 bytes. Returns the number of bytes. */
ssize_t fd_read_file_at(int dir, const char *path, char *out, size_t size, struct err *e);

/* Opens `path` under the directory `dir` with openat2: no symlink anywhere on the way, nothing above `dir`. For
 * names that come from a less trusted process. Returns a descriptor that the caller owns. */
int fd_open_beneath(int dir, const char *path, int flags, struct err *e);

int fd_set_nonblock(int fd, struct err *e);

#endif
