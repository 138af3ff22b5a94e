#include "fdplace.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <unistd.h>

#define FDS_MAX 16

int fd_place(const int *fds, unsigned count, int *keep, struct err *e)
{
    int lifted[FDS_MAX];

    /* First out of the way of every place, then down. */
    for (unsigned i = 0; i < count; i++) {
        lifted[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, FDS_MAX);
        if (lifted[i] < 0)
            return err_errno(e, "F_DUPFD_CLOEXEC");
    }
    if (keep) {
        *keep = fcntl(*keep, F_DUPFD_CLOEXEC, FDS_MAX);
        if (*keep < 0)
            return err_errno(e, "F_DUPFD_CLOEXEC");
    }
    for (unsigned i = 0; i < count; i++)
        if (dup2(lifted[i], (int)i) < 0)
            return err_errno(e, "dup2");
    if (close_range(count, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
        return err_errno(e, "close_range");
    return 0;
}
