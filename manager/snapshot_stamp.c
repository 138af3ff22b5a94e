#include "snapshot_stamp.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../sandbox/base/buf.h"
#include "../sandbox/base/fd.h"

#define STAMPS_DIR "snapshots"
#define STAMP_SIZE 65

static int add_file(int dir, const char *name, struct buf *out, struct err *e)
{
    struct stat st;

    if (name[0] == '.')
        return 0;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return err_errno(e, "stat %s", name);
    return buf_addf(out, e, "%s %ju %jd %jd.%09ld %jd.%09ld\n", name, (uintmax_t)st.st_ino, (intmax_t)st.st_size,
                    (intmax_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (intmax_t)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
}

/* In the order of names. */
static int list_files(int dir, struct buf *out, struct err *e)
{
    struct dirent **names = NULL;
    int rc = 0, count = scandirat(dir, ".", &names, NULL, alphasort);

    if (count < 0)
        return err_errno(e, "read the snapshot");
    for (int i = 0; i < count; i++) {
        if (rc == 0)
            rc = add_file(dir, names[i]->d_name, out, e);
        free(names[i]);
    }
    free(names);
    return rc;
}

static int compute(const char *id, char ret[STAMP_SIZE], struct err *e)
{
    auto_buf struct buf text = {.data = NULL};
    unsigned char hash[EVP_MAX_MD_SIZE];
    char path[200];
    auto_fd int dir = -1;

    snprintf(path, sizeof(path), SNAPSHOTS_DIR "/%s", id);
    dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (dir < 0)
        return err_errno(e, "open %s", path);
    if (list_files(dir, &text, e) < 0)
        return -e->code;
    if (EVP_Digest(buf_str(&text), text.used, hash, NULL, EVP_sha256(), NULL) != 1)
        return err_set(e, EIO, "sha256 failed");
    for (int i = 0; i < (STAMP_SIZE - 1) / 2; i++)
        snprintf(ret + 2 * i, 3, "%02x", hash[i]);
    return 0;
}

static void name_stamp(char *ret, size_t size, const char *id)
{
    snprintf(ret, size, STAMPS_DIR "/%s", id);
}

int snapshot_stamp_keep(const char *id, struct err *e)
{
    char stamp[STAMP_SIZE], path[200];
    auto_fd int fd = -1;

    if (compute(id, stamp, e) < 0)
        return -e->code;
    if (mkdir(STAMPS_DIR, 0700) < 0 && errno != EEXIST)
        return err_errno(e, "mkdir " STAMPS_DIR);
    name_stamp(path, sizeof(path), id);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(e, "create %s", path);
    if (fd_write_all(fd, stamp, sizeof(stamp) - 1, e) < 0)
        return -e->code;
    return fdatasync(fd) < 0 ? err_errno(e, "write %s", path) : 0;
}

int snapshot_stamp_check(const char *id, struct err *e)
{
    char now[STAMP_SIZE], kept[STAMP_SIZE] = "", path[200];

    name_stamp(path, sizeof(path), id);
    if (fd_read_file_at(AT_FDCWD, path, kept, sizeof(kept), e) < 0 || compute(id, now, e) < 0)
        return -e->code;
    return strcmp(now, kept) == 0 ? 0
                                  : err_set(e, EUCLEAN, "the snapshot is not what was dumped: its files were changed");
}

void snapshot_stamp_drop(const char *id)
{
    char path[200];

    name_stamp(path, sizeof(path), id);
    unlink(path);
}
