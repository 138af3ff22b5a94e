#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

void fd_close(int *fd)
{
    int saved = errno;

    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    errno = saved;
}

int fd_write_all(int fd, const void *data, size_t size, struct err *e)
{
    const char *p = data;

    while (size > 0) {
        ssize_t n = write(fd, p, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(e, "write");
        p += n;
        size -= (size_t)n;
    }
    return 0;
}

ssize_t fd_read_file_at(int dir, const char *path, char *out, size_t size, struct err *e)
{
    auto_fd int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
    size_t used = 0;

    if (fd < 0)
        return err_errno(e, "open %s", path);
    while (used < size) {
        ssize_t n = read(fd, out + used, size - used);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(e, "read %s", path);
        if (n == 0) {
            out[used] = '\0';
            return (ssize_t)used;
        }
        used += (size_t)n;
    }
    return err_set(e, EFBIG, "read %s: more than %zu bytes", path, size - 1);
}

int fd_open_beneath(int dir, const char *path, int flags, struct err *e)
{
    struct open_how how = {
        .flags = (unsigned long long)(flags | O_CLOEXEC),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd = syscall(SYS_openat2, dir, path, &how, sizeof(how));

    if (fd < 0)
        return err_errno(e, "open %s", path);
    return (int)fd;
}

int fd_set_nonblock(int fd, struct err *e)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return err_errno(e, "set O_NONBLOCK");
    return 0;
}
