#include "package.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

#include "../sandbox/base/fd.h"
#include "cli.h"

/* 1980-01-01 00:00, the earliest time that a zip file can hold. */
#define FIXED_DATE 0x21
#define FIXED_TIME 0

/* What never belongs to a function: version control, caches, what file managers leave. */
static const char *const left_out[] = {".git", ".hg", ".svn", "__pycache__", ".pytest_cache", ".DS_Store"};

static void release_archive(zip_t **z)
{
    if (*z)
        zip_discard(*z);
}

static void release_source(zip_source_t **s)
{
    zip_source_free(*s);
}

static void release_fts(FTS **f)
{
    if (*f)
        fts_close(*f);
}

#define auto_archive __attribute__((cleanup(release_archive)))
#define auto_source __attribute__((cleanup(release_source)))
#define auto_fts __attribute__((cleanup(release_fts)))

static bool is_left_out(const FTSENT *f)
{
    const char *dot = strrchr(f->fts_name, '.');

    for (size_t i = 0; i < ARRAY_LEN(left_out); i++)
        if (strcmp(f->fts_name, left_out[i]) == 0)
            return true;
    return (dot && strcmp(dot, ".pyc") == 0) || (f->fts_level == 1 && strcmp(f->fts_name, PACKAGE_OPTIONS_FILE) == 0);
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* The target of a symlink is its content in a zip file. */
static zip_source_t *source_of_link(zip_t *z, const FTSENT *f)
{
    char *target = malloc(PATH_MAX);
    ssize_t n = target ? readlink(f->fts_accpath, target, PATH_MAX) : -1;

    if (n < 0) {
        free(target);
        return NULL;
    }
    return zip_source_buffer(z, target, (zip_uint64_t)n, 1);
}

static zip_int64_t add_content(zip_t *z, const FTSENT *f, const char *name)
{
    bool is_link = f->fts_info == FTS_SL || f->fts_info == FTS_SLNONE;
    zip_source_t *s = is_link ? source_of_link(z, f) : zip_source_file(z, f->fts_accpath, 0, -1);
    zip_int64_t index = s ? zip_file_add(z, name, s, 0) : -1;

    if (s && index < 0)
        zip_source_free(s);
    return index;
}

/* The mode that a file gets in the package: what is executable stays so, and whoever the function runs as can read
 * it. Other differences come from a umask and would make another package of the same files. */
static mode_t package_mode(const FTSENT *f)
{
    mode_t mode = f->fts_statp->st_mode;

    if (S_ISLNK(mode))
        return S_IFLNK | 0777;
    return (mode & S_IFMT) | (S_ISDIR(mode) || (mode & 0111) ? 0755 : 0644);
}

static int add_entry(zip_t *z, const FTSENT *f, const char *name, struct err *e)
{
    zip_int64_t index = f->fts_info == FTS_D ? zip_dir_add(z, name, 0) : add_content(z, f, name);

    if (index < 0 ||
        zip_file_set_external_attributes(z, (zip_uint64_t)index, 0, ZIP_OPSYS_UNIX,
                                         (zip_uint32_t)package_mode(f) << 16) < 0 ||
        zip_file_set_dostime(z, (zip_uint64_t)index, FIXED_TIME, FIXED_DATE, 0) < 0)
        return err_set(e, EIO, "%s: %s", name, zip_strerror(z));
    return 0;
}

/* One step of the walk; *total counts bytes. */
static int take(zip_t *z, FTS *fts, FTSENT *f, const char *name, size_t *total, struct err *e)
{
    if (f->fts_info == FTS_DP || f->fts_level == 0)
        return 0;
    if (is_left_out(f)) {
        fts_set(fts, f, FTS_SKIP);
        return 0;
    }
    if (f->fts_info == FTS_DNR || f->fts_info == FTS_ERR || f->fts_info == FTS_NS) {
        errno = f->fts_errno;
        return err_errno(e, "%s", f->fts_path);
    }
    if (f->fts_info == FTS_DEFAULT)
        return err_set(e, EINVAL, "%s: neither file nor folder nor symlink", f->fts_path);
    *total += f->fts_info == FTS_F ? (size_t)f->fts_statp->st_size : 0;
    if (*total > PACKAGE_UNPACKED_MAX_BYTES)
        return err_set(e, EFBIG, "more than %zu bytes", PACKAGE_UNPACKED_MAX_BYTES);
    return add_entry(z, f, name, e);
}

static int walk(zip_t *z, const char *folder, struct err *e)
{
    char *const roots[] = {(char *)folder, NULL};
    auto_fts FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
    size_t total = 0;
    FTSENT *f;

    if (!fts)
        return err_errno(e, "%s", folder);
    while ((f = fts_read(fts)))
        if (take(z, fts, f, f->fts_path + MIN(strlen(folder) + 1, (size_t)f->fts_pathlen), &total, e) < 0)
            return -e->code;
    return 0;
}

/* Copies a finished archive out of libzip's memory. */
static int read_source(zip_source_t *s, struct buf *ret, struct err *e)
{
    zip_stat_t st;
    zip_int64_t n;

    if (zip_source_stat(s, &st) < 0 || zip_source_open(s) < 0)
        return err_set(e, EIO, "%s", zip_error_strerror(zip_source_error(s)));
    ret->cap = (size_t)st.size;
    n = buf_reserve(ret, (size_t)st.size, e) < 0 ? -1 : zip_source_read(s, ret->data, st.size);
    zip_source_close(s);
    if (n < 0 || (zip_uint64_t)n != st.size)
        return err_set(e, EIO, "can't read the finished zip file");
    ret->used = (size_t)n;
    return 0;
}

int package_pack(const char *folder, struct buf *ret, struct err *e)
{
    auto_source zip_source_t *memory = zip_source_buffer_create(NULL, 0, 0, NULL);
    auto_archive zip_t *z = NULL;

    if (!memory)
        return err_set(e, ENOMEM, "no memory");
    z = zip_open_from_source(memory, ZIP_CREATE | ZIP_TRUNCATE, NULL);
    if (!z)
        return err_set(e, EIO, "libzip can't begin a zip file");
    zip_source_keep(memory); /* the archive frees its own reference */
    if (walk(z, folder, e) < 0)
        return -e->code;
    if (zip_get_num_entries(z, 0) == 0)
        return err_set(e, ENOENT, "%s: the folder is empty", folder);
    if (zip_close(z) < 0)
        return err_set(e, EIO, "%s: %s", folder, zip_strerror(z));
    z = NULL;
    return read_source(memory, ret, e);
}

int package_read(const char *path, struct buf *ret, struct err *e)
{
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);

    ret->cap = PACKAGE_UNPACKED_MAX_BYTES;
    if (fd < 0)
        return err_errno(e, "open %s", path);
    return cli_read_fd(fd, ret, e) < 0 ? err_wrap(e, "%s", path) : 0;
}
