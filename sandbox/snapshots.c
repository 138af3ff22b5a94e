#include "snapshots.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/proto.h"

#define ENDS "ends"
#define UNFINISHED ".new"

static void name_unfinished(char *ret, size_t size, const char *id)
{
    snprintf(ret, size, "%s" UNFINISHED, id);
}

static void dir_release(DIR **d)
{
    if (*d)
        closedir(*d);
}

/* Opens a directory for readdir; NULL where it isn't there. */
static DIR *open_dir(int top, const char *name)
{
    int fd = openat(top, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

    return fd < 0 ? NULL : fdopendir(fd);
}

/* A snapshot's directory has files only. */
static void remove_dir(int top, const char *name)
{
    __attribute__((cleanup(dir_release))) DIR *d = open_dir(top, name);
    struct dirent *entry;

    if (!d)
        return;
    while ((entry = readdir(d)))
        if (entry->d_type != DT_DIR)
            unlinkat(dirfd(d), entry->d_name, 0);
    if (unlinkat(top, name, AT_REMOVEDIR) < 0)
        log_warn("remove snapshot %s: %s", name, strerror(errno));
}

static void remove_unfinished(int top)
{
    __attribute__((cleanup(dir_release))) DIR *d = open_dir(top, ".");
    struct dirent *entry;

    while (d && (entry = readdir(d))) {
        size_t length = strlen(entry->d_name);

        if (length > strlen(UNFINISHED) && strcmp(entry->d_name + length - strlen(UNFINISHED), UNFINISHED) == 0)
            remove_dir(top, entry->d_name);
    }
}

int snapshots_open(const char *path, const struct state_ids *ids, struct err *e)
{
    auto_fd int top = -1;

    if (mkdir(path, 0750) < 0 && errno != EEXIST)
        return err_errno(e, "mkdir %s", path);
    top = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (top < 0 || fchown(top, 0, ids->manager_gid) < 0 || fchmod(top, 02750) < 0)
        return err_errno(e, "open %s", path);
    remove_unfinished(top);
    return take_fd(&top);
}

int snapshots_use(int top, const char *id, struct criu_ends *ret_ends, struct err *e)
{
    auto_fd int dir = openat(top, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    char text[100];

    if (dir < 0)
        return err_errno(e, "open snapshot %s", id);
    if (fd_read_file_at(dir, ENDS, text, sizeof(text), e) < 0)
        return err_wrap(e, "snapshot %s", id);
    if (sscanf(text, "channel %" SCNu64 " log %" SCNu64, &ret_ends->channel_inode, &ret_ends->log_inode) != 2)
        return err_set(e, EUCLEAN, "snapshot %s: its file '" ENDS "' is damaged", id);
    return take_fd(&dir);
}

int snapshots_begin(int top, const char *id, struct err *e)
{
    char name[PROTO_SNAPSHOT_ID + sizeof(UNFINISHED)];
    int dir;

    name_unfinished(name, sizeof(name), id);
    remove_dir(top, name);
    if (mkdirat(top, name, 0750) < 0)
        return err_errno(e, "make snapshot %s", name);
    dir = openat(top, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return dir < 0 ? err_errno(e, "open snapshot %s", name) : dir;
}

static int write_ends(int dir, const struct criu_ends *ends, struct err *e)
{
    auto_fd int fd = openat(dir, ENDS, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    char text[100];
    int size =
        snprintf(text, sizeof(text), "channel %" PRIu64 " log %" PRIu64 "\n", ends->channel_inode, ends->log_inode);

    if (fd < 0)
        return err_errno(e, "create " ENDS);
    return fd_write_all(fd, text, (size_t)size, e);
}

/*
 * What criu is better off without; it takes a missing file for an empty one.
 *   timens-0.img  makes a time namespace, in which the monotonic clock goes on from the dump as if no time had passed. That
 *                 takes a /proc that can be written to, and time. Without it the machine's clock goes on, which is ahead of
 *                 the dump's until the next boot; a snapshot is of one boot (manager/identity.c).
 *   cgroup.img    makes criu prepare for control groups that it then leaves alone: half a millisecond.
 */
static const char *const needless[] = {"timens-0.img", "cgroup.img"};

static int drop_needless(int dir, struct err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(needless); i++)
        if (unlinkat(dir, needless[i], 0) < 0 && errno != ENOENT)
            return err_errno(e, "remove %s", needless[i]);
    return 0;
}

/* The manager verifies and lists snapshots, and adds up their sizes. Its group is that of all files here (set-group-ID). */
static int let_read(int dir, struct err *e)
{
    __attribute__((cleanup(dir_release))) DIR *d = open_dir(dir, ".");
    struct dirent *entry;

    if (!d)
        return err_errno(e, "read the snapshot");
    while ((entry = readdir(d)))
        if (entry->d_type == DT_REG && fchmodat(dir, entry->d_name, 0640, 0) < 0)
            return err_errno(e, "chmod %s", entry->d_name);
    return 0;
}

int snapshots_commit(int top, const char *id, const struct criu_ends *ends, struct err *e)
{
    char name[PROTO_SNAPSHOT_ID + sizeof(UNFINISHED)];
    auto_fd int dir = -1;

    name_unfinished(name, sizeof(name), id);
    dir = openat(top, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (dir < 0)
        return err_errno(e, "open snapshot %s", name);
    if (drop_needless(dir, e) < 0 || write_ends(dir, ends, e) < 0 || let_read(dir, e) < 0)
        return -e->code;
    if (syncfs(dir) < 0)
        return err_errno(e, "write snapshot %s", id);
    remove_dir(top, id);
    return renameat(top, name, top, id) < 0 ? err_errno(e, "rename snapshot %s", name) : 0;
}

void snapshots_drop(int top, const char *id)
{
    char name[PROTO_SNAPSHOT_ID + sizeof(UNFINISHED)];

    name_unfinished(name, sizeof(name), id);
    remove_dir(top, name);
    remove_dir(top, id);
}
