#include "skeleton.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../sandbox/base/fd.h"

struct device {
    const char *path;
    unsigned major, minor;
};

struct symlink {
    const char *path, *target;
};

static const struct device devices[] = {
    {"dev/null", 1, 3}, {"dev/zero", 1, 5}, {"dev/full", 1, 7}, {"dev/random", 1, 8}, {"dev/urandom", 1, 9},
};

static const struct symlink symlinks[] = {
    {"dev/fd", "/proc/self/fd"},
    {"dev/stdin", "/proc/self/fd/0"},
    {"dev/stdout", "/proc/self/fd/1"},
    {"dev/stderr", "/proc/self/fd/2"},
};

static const char *const directories[] = {"dev", "empty", "empty/directory", "passwd", "root", SKELETON_WORK};

static int write_file(int dir, const char *path, const char *text, int size, struct err *e)
{
    auto_fd int fd = openat(dir, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);

    if (fd < 0)
        return err_errno(e, "create %s", path);
    return fd_write_all(fd, text, (size_t)size, e);
}

static int fill(int run, struct err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(directories); i++)
        if (mkdirat(run, directories[i], 0755) < 0)
            return err_errno(e, "mkdir %s", directories[i]);
    for (size_t i = 0; i < ARRAY_LEN(devices); i++)
        if (mknodat(run, devices[i].path, S_IFCHR, makedev(devices[i].major, devices[i].minor)) < 0 ||
            fchmodat(run, devices[i].path, 0666, 0) < 0)
            return err_errno(e, "mknod %s", devices[i].path);
    for (size_t i = 0; i < ARRAY_LEN(symlinks); i++)
        if (symlinkat(symlinks[i].target, run, symlinks[i].path) < 0)
            return err_errno(e, "symlink %s", symlinks[i].path);
    return write_file(run, "empty/file", "", 0, e);
}

int skeleton_make(const char *path, struct err *e)
{
    auto_fd int run = -1;

    /* Executable for criu's preloaded library (sandbox/toolbox.c). What a sandbox sees of it is not: plan.def. */
    if (mount("fnrun", path, "tmpfs", MS_NOSUID, "mode=0700,size=64m") < 0)
        return err_errno(e, "mount a tmpfs on %s", path);
    run = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (run < 0)
        return err_errno(e, "open %s", path);
    if (fill(run, e) < 0)
        return err_wrap(e, "%s", path);
    return take_fd(&run);
}

int skeleton_add_passwd(int run, uid_t uid, struct err *e)
{
    char path[32], text[256];
    int size;

    snprintf(path, sizeof(path), "passwd/%u", uid);
    if (faccessat(run, path, F_OK, 0) == 0)
        return 0;
    /* As in AWS Lambda: a name of its own, a home that doesn't exist, no shell to log in with. */
    size = snprintf(text, sizeof(text),
                    "root:x:0:0:root:/root:/bin/bash\n"
                    "nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n"
                    "sbx_user1051:x:%u:%u::/home/sbx_user1051:/sbin/nologin\n",
                    uid, uid);
    return write_file(run, path, text, size, e);
}
