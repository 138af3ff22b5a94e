#include "package_unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <zip.h>

#include "../sandbox/base/fd.h"
#include "package.h"

#define INODES_MAX 131072U /* files, directories and links of one package */
#define DEPTH_MAX 128U     /* what removes the tree again recurses */

struct link {
    char *name, *target;
};

struct unpack {
    zip_t *zip;
    int tree;
    uint64_t bytes_left;
    unsigned inodes_left;
    struct link *links;
    size_t link_count;
};

enum entry_kind { ENTRY_FILE, ENTRY_DIR, ENTRY_LINK, ENTRY_OTHER };

struct entry {
    zip_uint64_t index;
    char path[PATH_MAX]; /* relative, no "." or ".." or empty part; "" for the package's root */
    uint64_t bytes;
    enum entry_kind kind;
    bool executable;
};

static int refuse(struct err *e, const char *name, const char *why)
{
    return err_set(e, EBADMSG, "zip entry '%.100s': %s", name, why);
}

static bool is_parent(const char *part, size_t n)
{
    return n == 2 && part[0] == '.' && part[1] == '.';
}

/* Old Windows tools write backslashes. They are ordinary characters here as on AWS, but nobody means "..\" by them. */
static bool climbs_by_backslash(const char *raw)
{
    for (const char *p = raw; p; p = strpbrk(p, "/\\")) {
        p += *p == '/' || *p == '\\';
        if (is_parent(p, strcspn(p, "/\\")))
            return true;
    }
    return false;
}

/* Brings a name into the form of struct entry. */
static int clean_path(const char *raw, char ret[PATH_MAX], struct err *e)
{
    size_t used = 0;
    unsigned depth = 0;

    if (raw[0] == '/' || climbs_by_backslash(raw))
        return refuse(e, raw, "leads out of the package");
    for (const char *p = raw; *p; p += strspn(p, "/")) {
        size_t n = strcspn(p, "/");

        if (n > NAME_MAX || used + n + 2 > PATH_MAX || ++depth > DEPTH_MAX)
            return refuse(e, raw, "the name is too long or too deep");
        if (!(n == 1 && p[0] == '.')) {
            if (used)
                ret[used++] = '/';
            memcpy(ret + used, p, n);
            used += n;
        }
        p += n;
    }
    ret[used] = '\0';
    return 0;
}

/* Only Unix zips have file types and modes; of the mode only "may be executed" counts. */
static void read_mode(struct unpack *u, struct entry *entry, const char *raw)
{
    zip_uint8_t system = 0;
    zip_uint32_t attributes = 0;
    unsigned mode = 0, type;

    if (zip_file_get_external_attributes(u->zip, entry->index, 0, &system, &attributes) == 0 &&
        (system == ZIP_OPSYS_UNIX || system == ZIP_OPSYS_OS_X))
        mode = attributes >> 16;
    type = mode & S_IFMT;
    entry->executable = mode & 0111;
    if ((raw[0] && raw[strlen(raw) - 1] == '/') || type == S_IFDIR)
        entry->kind = ENTRY_DIR;
    else if (type == S_IFLNK)
        entry->kind = ENTRY_LINK;
    else
        entry->kind = type == 0 || type == S_IFREG ? ENTRY_FILE : ENTRY_OTHER;
}

static int read_entry(struct unpack *u, zip_uint64_t index, struct entry *ret, struct err *e)
{
    struct zip_stat st;
    const char *raw = zip_get_name(u->zip, index, ZIP_FL_ENC_RAW);
    char number[32];

    snprintf(number, sizeof(number), "#%llu", (unsigned long long)index);
    if (!raw || zip_stat_index(u->zip, index, 0, &st) < 0 || !(st.valid & ZIP_STAT_SIZE))
        return refuse(e, raw ? raw : number, zip_strerror(u->zip));
    if (st.valid & ZIP_STAT_ENCRYPTION_METHOD && st.encryption_method != ZIP_EM_NONE)
        return refuse(e, raw, "is encrypted");
    ret->index = index;
    ret->bytes = st.size;
    read_mode(u, ret, raw);
    if (clean_path(raw, ret->path, e) < 0)
        return -e->code;
    if (ret->kind == ENTRY_OTHER)
        return refuse(e, raw, "is no file, directory or link");
    if (ret->kind != ENTRY_DIR && !ret->path[0])
        return refuse(e, raw, "has no name");
    return 0;
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

static int count_inode(struct unpack *u, struct err *e)
{
    if (u->inodes_left == 0)
        return err_set(e, EBADMSG, "zip: more than %u files and directories", INODES_MAX);
    u->inodes_left--;
    return 0;
}

/* Goes one directory down, making it if it isn't there. A link or a file of that name is an error. */
static int enter_dir(struct unpack *u, int *dir, const char *name, struct err *e)
{
    auto_fd int next = openat(*dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (next < 0 && errno == ENOENT) {
        if (count_inode(u, e) < 0)
            return -e->code;
        if (mkdirat(*dir, name, 0755) < 0)
            return err_errno(e, "make directory '%.100s'", name);
        next = openat(*dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    }
    if (next < 0)
        return errno == ENOTDIR || errno == ELOOP ? refuse(e, name, "is a file and a directory")
                                                  : err_errno(e, "directory '%.100s'", name);
    fd_close(dir);
    *dir = take_fd(&next);
    return 0;
}

/* Makes and opens the directory that `path` stands in; *ret_name is its last part. With `whole`, `path` itself. */
static int open_parent(struct unpack *u, const char *path, bool whole, int *ret_dir, const char **ret_name,
                       struct err *e)
{
    auto_fd int dir = openat(u->tree, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    const char *slash;

    if (dir < 0)
        return err_errno(e, "open package folder");
    for (; (slash = strchrnul(path, '/')), *slash || (whole && *path); path = slash + (*slash == '/')) {
        char part[NAME_MAX + 1];

        snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
        if (enter_dir(u, &dir, part, e) < 0)
            return -e->code;
    }
    *ret_name = path;
    *ret_dir = take_fd(&dir);
    return 0;
}

static int read_some(zip_file_t *in, const char *path, void *data, size_t size, size_t *ret_n, struct err *e)
{
    zip_int64_t n = zip_fread(in, data, size);

    if (n < 0)
        return refuse(e, path, zip_error_strerror(zip_file_get_error(in)));
    *ret_n = (size_t)n;
    return 0;
}

static int copy_data(struct unpack *u, zip_file_t *in, const struct entry *entry, int out, struct err *e)
{
    static char data[65536];
    uint64_t total = 0;
    size_t n = 0;

    for (;;) {
        if (read_some(in, entry->path, data, sizeof(data), &n, e) < 0)
            return -e->code;
        if (n == 0)
            break;
        if (n > u->bytes_left)
            return err_set(e, EFBIG, "zip: unpacks to more than %llu bytes", (unsigned long long)PACKAGE_UNZIPPED_MAX);
        u->bytes_left -= n;
        total += n;
        if (fd_write_all(out, data, n, e) < 0)
            return err_wrap(e, "write '%.100s'", entry->path);
    }
    return total == entry->bytes ? 0 : refuse(e, entry->path, "is not as long as the directory says");
}

static int write_file(struct unpack *u, zip_file_t *in, const struct entry *entry, struct err *e)
{
    auto_fd int dir = -1;
    auto_fd int out = -1;
    const char *name;

    if (count_inode(u, e) < 0 || open_parent(u, entry->path, false, &dir, &name, e) < 0)
        return -e->code;
    out = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, entry->executable ? 0755 : 0644);
    if (out < 0)
        return errno == EEXIST ? refuse(e, entry->path, "stands twice in the zip")
                               : err_errno(e, "create '%.100s'", entry->path);
    return copy_data(u, in, entry, out, e);
}

/* Links are made when all else is in place, so that nothing can be written through one. */
static int remember_link(struct unpack *u, zip_file_t *in, const struct entry *entry, struct err *e)
{
    char target[PATH_MAX];
    struct link *grown = realloc(u->links, (u->link_count + 1) * sizeof(struct link));
    size_t n = 0;

    if (!grown)
        return err_set(e, ENOMEM, "no memory for links");
    u->links = grown;
    if (entry->bytes >= sizeof(target) || entry->bytes > u->bytes_left)
        return refuse(e, entry->path, "the link's target is too long");
    if (read_some(in, entry->path, target, sizeof(target) - 1, &n, e) < 0)
        return -e->code;
    target[n] = '\0';
    if (n != entry->bytes || n == 0 || strlen(target) != n)
        return refuse(e, entry->path, "the link has no good target");
    u->bytes_left -= n;
    u->links[u->link_count++] = (struct link){strdup(entry->path), strdup(target)};
    return 0;
}

static int unpack_entry(struct unpack *u, const struct entry *entry, struct err *e)
{
    auto_fd int dir = -1;
    const char *name;
    zip_file_t *in;
    int rc;

    if (entry->kind == ENTRY_DIR)
        return open_parent(u, entry->path, true, &dir, &name, e);
    in = zip_fopen_index(u->zip, entry->index, 0);
    if (!in)
        return refuse(e, entry->path, zip_strerror(u->zip));
    rc = entry->kind == ENTRY_LINK ? remember_link(u, in, entry, e) : write_file(u, in, entry, e);
    zip_fclose(in);
    return rc;
}

/* --- links -------------------------------------------------------------------------------------------------------- */

static int make_link(struct unpack *u, const struct link *l, struct err *e)
{
    auto_fd int dir = -1;
    const char *name;

    if (!l->name || !l->target)
        return err_set(e, ENOMEM, "no memory for links");
    if (count_inode(u, e) < 0 || open_parent(u, l->name, false, &dir, &name, e) < 0)
        return -e->code;
    if (symlinkat(l->target, dir, name) < 0)
        return errno == EEXIST ? refuse(e, l->name, "stands twice in the zip") : err_errno(e, "link '%.100s'", l->name);
    return 0;
}

/* The kernel follows the link, through others if need be, and says whether it leaves the tree. One that leads nowhere
 * is harmless: the tree is read-only from now on. */
static int check_link(struct unpack *u, const struct link *l, struct err *e)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    auto_fd int fd = (int)syscall(SYS_openat2, u->tree, l->name, &how, sizeof(how));

    if (fd >= 0 || errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == ENAMETOOLONG)
        return 0;
    return errno == EXDEV ? refuse(e, l->name, "the link leads out of the package")
                          : err_errno(e, "link '%.100s'", l->name);
}

static int make_links(struct unpack *u, struct err *e)
{
    for (size_t i = 0; i < u->link_count; i++)
        if (make_link(u, &u->links[i], e) < 0)
            return -e->code;
    for (size_t i = 0; i < u->link_count; i++)
        if (check_link(u, &u->links[i], e) < 0)
            return -e->code;
    return 0;
}

/* --- all of it ---------------------------------------------------------------------------------------------------- */

/* A first look at what the zip claims: an honest bomb costs nothing. */
static int check_claims(struct unpack *u, zip_int64_t count, struct err *e)
{
    uint64_t total = 0;
    struct entry entry;

    if (count <= 0)
        return err_set(e, ENODATA, "zip: no entries");
    if (count > INODES_MAX)
        return err_set(e, EBADMSG, "zip: more than %u entries", INODES_MAX);
    for (zip_int64_t i = 0; i < count; i++) {
        if (read_entry(u, (zip_uint64_t)i, &entry, e) < 0)
            return -e->code;
        if (entry.bytes > PACKAGE_UNZIPPED_MAX - total)
            return err_set(e, EFBIG, "zip: says it unpacks to more than %llu bytes",
                           (unsigned long long)PACKAGE_UNZIPPED_MAX);
        total += entry.bytes;
    }
    return 0;
}

static int unpack_all(struct unpack *u, struct err *e)
{
    zip_int64_t count = zip_get_num_entries(u->zip, 0);
    struct entry entry;

    if (check_claims(u, count, e) < 0)
        return -e->code;
    for (zip_int64_t i = 0; i < count; i++)
        if (read_entry(u, (zip_uint64_t)i, &entry, e) < 0 || unpack_entry(u, &entry, e) < 0)
            return -e->code;
    return make_links(u, e);
}

static int open_zip(int zip_fd, zip_t **ret, struct err *e)
{
    int code = 0, copy = fcntl(zip_fd, F_DUPFD_CLOEXEC, 0);
    zip_error_t error;

    if (copy < 0)
        return err_errno(e, "zip");
    *ret = zip_fdopen(copy, 0, &code);
    if (*ret)
        return 0;
    close(copy);
    zip_error_init_with_code(&error, code);
    err_set(e, code == ZIP_ER_MEMORY ? ENOMEM : EBADMSG, "zip: %s", zip_error_strerror(&error));
    zip_error_fini(&error);
    return -e->code;
}

int package_unpack(int zip_fd, int tree_fd, struct err *e)
{
    struct unpack u = {.tree = tree_fd, .bytes_left = PACKAGE_UNZIPPED_MAX, .inodes_left = INODES_MAX};
    int rc;

    if (open_zip(zip_fd, &u.zip, e) < 0)
        return -e->code;
    rc = unpack_all(&u, e);
    zip_discard(u.zip);
    for (size_t i = 0; i < u.link_count; i++) {
        free(u.links[i].name);
        free(u.links[i].target);
    }
    free(u.links);
    return rc;
}
