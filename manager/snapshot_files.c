#include "snapshot_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../sandbox/base/fd.h"
#include "../sandbox/base/proto.h"
#include "json.h"
#include "store_digest.h"

#define PATH_SIZE (sizeof(SNAPSHOTS_DIR) + PROTO_SNAPSHOT_ID + sizeof(((struct snapshot_file *)NULL)->name) + 2)

size_t snapshot_files_size(unsigned count)
{
    return sizeof(struct snapshot_files) + count * sizeof(struct snapshot_file);
}

/* --- content --------------------------------------------------------------------------------------------------------- */

static int sum(int fd, char ret[HEX_SIZE(32)], struct err *e)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    static char data[1 << 18];
    unsigned char hash[EVP_MAX_MD_SIZE];
    bool good = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);
    ssize_t n = 0;

    while (good && (n = read(fd, data, sizeof(data))) > 0)
        good = EVP_DigestUpdate(ctx, data, (size_t)n);
    good = good && n == 0 && EVP_DigestFinal_ex(ctx, hash, NULL);
    EVP_MD_CTX_free(ctx);
    if (!good)
        return n < 0 ? err_errno(e, "read") : err_set(e, EIO, "sha256 failed");
    hex_encode(hash, 32, ret);
    return 0;
}

/* How it looks is noted before it is read: what is written meanwhile is found later. */
static int read_file(int dir, const char *name, struct snapshot_file *ret, struct err *e)
{
    auto_fd int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return err_errno(e, "open %s", name);
    if (!S_ISREG(st.st_mode) || strlen(name) >= sizeof(ret->name))
        return err_set(e, EUCLEAN, "%s does not belong to a snapshot", name);
    snprintf(ret->name, sizeof(ret->name), "%s", name);
    ret->bytes = (uint64_t)st.st_size;
    ret->inode = st.st_ino;
    ret->mtime = st.st_mtim;
    ret->ctime = st.st_ctim;
    return sum(fd, ret->sha256, e) < 0 ? err_wrap(e, "%s", name) : 0;
}

static int read_files(const char *id, struct snapshot_files *ret, struct err *e)
{
    auto_fd int dir = -1;
    struct dirent **entries = NULL;
    char path[PATH_SIZE];
    struct stat st;
    int rc = 0, count;

    snprintf(path, sizeof(path), SNAPSHOTS_DIR "/%s", id);
    dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (dir < 0 || fstat(dir, &st) < 0 || (count = scandirat(dir, ".", &entries, NULL, alphasort)) < 0)
        return err_errno(e, "open %s", path);
    ret->inode = st.st_ino;
    for (int i = 0; i < count && rc == 0; i++) {
        if (entries[i]->d_name[0] == '.')
            continue;
        if (ret->count == SNAPSHOT_FILES_MAX)
            rc = err_set(e, E2BIG, "a snapshot of more than %d files", SNAPSHOT_FILES_MAX);
        else
            rc = read_file(dir, entries[i]->d_name, &ret->file[ret->count++], e);
    }
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
    return rc;
}

void snapshot_files_read(const char *id, struct snapshot_files *ret)
{
    if (read_files(id, ret, &ret->err) == 0)
        ret->err.code = 0;
}

struct snapshot_files *snapshot_files_copy(const struct snapshot_files *f)
{
    size_t size = snapshot_files_size(f->count);
    struct snapshot_files *copy = malloc(size);

    return copy ? memcpy(copy, f, size) : NULL;
}

bool snapshot_files_equal(const struct snapshot_files *a, const struct snapshot_files *b, const char **ret_which)
{
    unsigned i = 0;

    while (i < a->count && i < b->count && strcmp(a->file[i].name, b->file[i].name) == 0 &&
           strcmp(a->file[i].sha256, b->file[i].sha256) == 0)
        i++;
    if (i == a->count && i == b->count)
        return true;
    *ret_which = i < a->count ? a->file[i].name : b->file[i].name;
    return false;
}

/* --- looks ----------------------------------------------------------------------------------------------------------- */

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool looks_same(int dir, const struct snapshot_file *f)
{
    struct stat st;

    return fstatat(dir, f->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == f->inode &&
           (uint64_t)st.st_size == f->bytes && same_time(&st.st_mtim, &f->mtime) && same_time(&st.st_ctim, &f->ctime);
}

int snapshot_files_look(const char *id, const struct snapshot_files *f, struct err *e)
{
    auto_fd int dir = -1;
    char path[PATH_SIZE];
    struct stat st;

    snprintf(path, sizeof(path), SNAPSHOTS_DIR "/%s", id);
    dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (dir < 0 || fstat(dir, &st) < 0 || st.st_ino != f->inode)
        return err_set(e, EUCLEAN, "its directory is gone");
    for (unsigned i = 0; i < f->count; i++)
        if (!looks_same(dir, &f->file[i]))
            return err_set(e, EUCLEAN, "%s is not what was dumped", f->file[i].name);
    return 0;
}

uint64_t snapshot_files_bytes(const struct snapshot_files *f)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < f->count; i++)
        bytes += f->file[i].bytes;
    return bytes;
}

/* --- JSON ------------------------------------------------------------------------------------------------------------- */

cJSON *snapshot_files_describe(const struct snapshot_files *f)
{
    cJSON *list = cJSON_CreateArray();

    for (unsigned i = 0; i < f->count; i++) {
        cJSON *file = cJSON_CreateObject();

        cJSON_AddStringToObject(file, "name", f->file[i].name);
        cJSON_AddNumberToObject(file, "bytes", (double)f->file[i].bytes);
        cJSON_AddStringToObject(file, "sha256", f->file[i].sha256);
        cJSON_AddItemToArray(list, file);
    }
    return list;
}

static bool parse_file(const cJSON *item, struct snapshot_file *ret)
{
    const char *name = json_get_text(item, "name", ""), *sha256 = json_get_text(item, "sha256", "");

    snprintf(ret->name, sizeof(ret->name), "%s", name);
    snprintf(ret->sha256, sizeof(ret->sha256), "%s", sha256);
    ret->bytes = (uint64_t)json_get_number(item, "bytes", 0);
    return name[0] && strcmp(name, ret->name) == 0 && strlen(sha256) == sizeof(ret->sha256) - 1;
}

struct snapshot_files *snapshot_files_parse(const cJSON *list)
{
    unsigned count = (unsigned)cJSON_GetArraySize(list);
    auto_free struct snapshot_files *f = NULL;
    const cJSON *item;

    if (!cJSON_IsArray(list) || count == 0 || count > SNAPSHOT_FILES_MAX)
        return NULL;
    f = calloc(1, snapshot_files_size(count));
    if (!f)
        return NULL;
    cJSON_ArrayForEach(item, list)
    {
        if (!parse_file(item, &f->file[f->count++]))
            return NULL;
    }
    return take_ptr(&f);
}
