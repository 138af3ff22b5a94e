#include "tmp_files.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

#define FILE_NAME "tmp"
#define TOP "/tmp"

/* The file is a list of these, in the order in which they can be made, each followed by its path beneath /tmp and by a file's
 * content or a link's target. A directory has a second one behind all that is in it: only then is its mode set. */
struct entry {
    uint32_t mode, complete; /* complete: a directory's second one */
    uint32_t path_bytes;
    uint32_t size;
    int64_t mtime, mtime_ns;
};

static void file_release(FILE **f)
{
    if (*f)
        fclose(*f);
}

static void fts_release(FTS **f)
{
    if (*f)
        fts_close(*f);
}

#define auto_file __attribute__((cleanup(file_release)))

/* Takes the rights of root away from what is done to files, and gives them back with 0. */
static int act_as(uid_t uid, struct err *e)
{
    setfsgid(uid);
    setfsuid(uid);
    return (uid_t)setfsuid((uid_t)-1) == uid && (uid_t)setfsgid((uid_t)-1) == uid
               ? 0
               : err_set(e, EPERM, "the file system uid is not what was set");
}

/* --- save ------------------------------------------------------------------------------------------------------------- */

static int put(FILE *out, const void *data, size_t size, struct err *e)
{
    return fwrite(data, 1, size, out) == size ? 0 : err_errno(e, "write " FILE_NAME);
}

/* A file that is written to at the same time has no content that could be kept. */
static int copy_in(FILE *out, const FTSENT *f, struct err *e)
{
    /* One component: fts has changed into its directory, so that no link on the way can lead anywhere else. */
    auto_fd int fd = open(f->fts_accpath, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    char chunk[16384];
    off_t left = f->fts_statp->st_size;
    ssize_t n;

    if (fd < 0)
        return err_errno(e, "open %s", f->fts_path);
    while ((n = read(fd, chunk, sizeof(chunk))) > 0 && n <= left) {
        if (put(out, chunk, (size_t)n, e) < 0)
            return -e->code;
        left -= n;
    }
    return n == 0 && left == 0 ? 0 : err_set(e, EAGAIN, "%s changes while it is copied", f->fts_path);
}

static int copy_link(FILE *out, const FTSENT *f, struct err *e)
{
    char target[PATH_MAX];
    ssize_t n = readlink(f->fts_accpath, target, sizeof(target));

    if (n != f->fts_statp->st_size)
        return err_set(e, EAGAIN, "%s changes while it is copied", f->fts_path);
    return put(out, target, (size_t)n, e);
}

static int save_entry(FILE *out, const FTSENT *f, struct err *e)
{
    const struct stat *st = f->fts_statp;
    const char *path = f->fts_path + strlen(TOP "/");
    struct entry n = {.mode = st->st_mode,
                      .complete = f->fts_info == FTS_DP,
                      .path_bytes = (uint32_t)(f->fts_pathlen - strlen(TOP "/")),
                      .size = S_ISREG(st->st_mode) || S_ISLNK(st->st_mode) ? (uint32_t)st->st_size : 0,
                      .mtime = st->st_mtim.tv_sec,
                      .mtime_ns = st->st_mtim.tv_nsec};

    if (put(out, &n, sizeof(n), e) < 0 || put(out, path, n.path_bytes, e) < 0)
        return -e->code;
    if (S_ISREG(st->st_mode))
        return copy_in(out, f, e);
    return S_ISLNK(st->st_mode) ? copy_link(out, f, e) : 0;
}

static int save_tree(FILE *out, struct err *e)
{
    char *const tops[] = {TOP, NULL};
    __attribute__((cleanup(fts_release))) FTS *walk = fts_open(tops, FTS_PHYSICAL | FTS_XDEV, NULL);
    off_t total = 0;
    FTSENT *f;

    while (walk && (errno = 0, f = fts_read(walk))) {
        if (f->fts_level == FTS_ROOTLEVEL || (f->fts_info == FTS_DEFAULT && S_ISSOCK(f->fts_statp->st_mode)))
            continue;
        if (f->fts_info == FTS_DNR || f->fts_info == FTS_ERR || f->fts_info == FTS_NS)
            return err_set(e, f->fts_errno, "%s: %s", f->fts_path, strerror(f->fts_errno));
        total += S_ISREG(f->fts_statp->st_mode) ? f->fts_statp->st_size : 0;
        if (total > TMP_FILES_MAX)
            return err_set(e, EFBIG, "its init has left more than %d MB in " TOP, (int)(TMP_FILES_MAX >> 20));
        if (save_entry(out, f, e) < 0)
            return -e->code;
    }
    return errno ? err_errno(e, "read " TOP) : 0;
}

int tmp_files_save(uid_t uid, int dir, struct err *e)
{
    int fd = openat(dir, FILE_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640), rc;
    auto_file FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
    struct err ignored;

    if (!out)
        return err_errno(e, "create " FILE_NAME);
    rc = act_as(uid, e) < 0 ? -e->code : save_tree(out, e);
    if (act_as(0, rc < 0 ? &ignored : e) < 0 || rc < 0)
        return -e->code;
    return fflush(out) != 0 ? err_errno(e, "write " FILE_NAME) : 0;
}

/* --- restore -------------------------------------------------------------------------------------------------------------- */

static int take(FILE *in, void *data, size_t size, struct err *e)
{
    return fread(data, 1, size, in) == size ? 0 : err_set(e, EUCLEAN, "the snapshot's file '" FILE_NAME "' is damaged");
}

static int copy_out(FILE *in, const struct entry *n, int fd, struct err *e)
{
    char chunk[16384];

    for (size_t left = n->size, size; left; left -= size) {
        size = left < sizeof(chunk) ? left : sizeof(chunk);
        if (take(in, chunk, size, e) < 0 || fd_write_all(fd, chunk, size, e) < 0)
            return -e->code;
    }
    return 0;
}

static int make_file(FILE *in, const struct entry *n, const char *path, struct err *e)
{
    struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, {n->mtime, n->mtime_ns}};
    auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        return err_errno(e, "create %s", path);
    if (copy_out(in, n, fd, e) < 0)
        return -e->code;
    return fchmod(fd, n->mode & 07777) < 0 || futimens(fd, times) < 0 ? err_errno(e, "restore %s", path) : 0;
}

static int make_link(FILE *in, const struct entry *n, const char *path, struct err *e)
{
    char target[PATH_MAX];

    if (n->size >= sizeof(target))
        return err_set(e, EUCLEAN, "the snapshot's file '" FILE_NAME "' is damaged");
    if (take(in, target, n->size, e) < 0)
        return -e->code;
    target[n->size] = '\0';
    return symlink(target, path) < 0 ? err_errno(e, "link %s", path) : 0;
}

static int make_entry(FILE *in, const struct entry *n, const char *path, struct err *e)
{
    int rc = 0;

    if (S_ISREG(n->mode))
        return make_file(in, n, path, e);
    if (S_ISLNK(n->mode))
        return make_link(in, n, path, e);
    if (S_ISFIFO(n->mode))
        rc = mkfifo(path, 0600) < 0 ? -1 : chmod(path, n->mode & 07777);
    else
        rc = n->complete ? chmod(path, n->mode & 07777) : mkdir(path, 0700);
    return rc < 0 ? err_errno(e, "restore %s", path) : 0;
}

static int restore_tree(FILE *in, struct err *e)
{
    char path[PATH_MAX] = TOP "/", *name = path + strlen(TOP "/");
    struct entry n;

    while (fread(&n, sizeof(n), 1, in) == 1) {
        if (n.path_bytes >= sizeof(path) - strlen(TOP "/"))
            return err_set(e, EUCLEAN, "the snapshot's file '" FILE_NAME "' is damaged");
        if (take(in, name, n.path_bytes, e) < 0)
            return -e->code;
        name[n.path_bytes] = '\0';
        if (make_entry(in, &n, path, e) < 0)
            return -e->code;
    }
    return 0;
}

int tmp_files_restore(uid_t uid, int dir, struct err *e)
{
    int fd = openat(dir, FILE_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), rc;
    auto_file FILE *in = fd < 0 ? NULL : fdopen(fd, "r");
    struct err ignored;

    if (!in)
        return err_errno(e, "open " FILE_NAME);
    rc = act_as(uid, e) < 0 ? -e->code : restore_tree(in, e);
    return act_as(0, rc < 0 ? &ignored : e) < 0 || rc < 0 ? -e->code : 0;
}
