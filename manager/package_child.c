/*
 * The child that unpacks a zip. State: a fork of the manager, same uid, no capability. It parses what anybody may have
 * sent, so before that it drops every descriptor but its own four, takes limits on memory, CPU and file size, and (where
 * the kernel has Landlock) may write only beneath the folder it unpacks into: a zip that takes over libzip finds neither
 * the database nor other packages.
 */
#include "package_child.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../sandbox/base/fd.h"
#include "package.h"
#include "package_unpack.h"

#define CPU_SECONDS 60
#define MEMORY_BYTES ((rlim_t)512 * 1024 * 1024) /* beyond what the manager has mapped already */

/* Descriptors of the child, at fixed places so that all others can be closed with one call. */
enum { CHILD_DIR = 3, CHILD_SOURCE, CHILD_REPORT, CHILD_TEMP, CHILD_FIRST_FREE };

/* --- limits ------------------------------------------------------------------------------------------------------- */

static int keep_fds(int dir, int source, int report, struct err *e)
{
    int from[] = {dir, source, report};

    /* First out of the way, so that no dup2 below overwrites one that is still needed. */
    for (unsigned i = 0; i < ARRAY_LEN(from); i++) {
        from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, CHILD_FIRST_FREE);
        if (from[i] < 0)
            return err_errno(e, "descriptors");
    }
    for (unsigned i = 0; i < ARRAY_LEN(from); i++)
        if (dup2(from[i], CHILD_DIR + (int)i) < 0)
            return err_errno(e, "descriptors");
    return syscall(SYS_close_range, CHILD_TEMP, ~0U, 0) < 0 ? err_errno(e, "close descriptors") : 0;
}

static int set_limit(int which, rlim_t value, struct err *e)
{
    struct rlimit limit = {value, value};

    return setrlimit((__rlimit_resource_t)which, &limit) < 0 ? err_errno(e, "limit %d", which) : 0;
}

static rlim_t mapped_bytes(void)
{
    char text[64];
    struct err e;

    if (fd_read_file_at(AT_FDCWD, "/proc/self/statm", text, sizeof(text), &e) < 0)
        return 0;
    return (rlim_t)strtoull(text, NULL, 10) * (rlim_t)sysconf(_SC_PAGESIZE);
}

static int set_limits(struct err *e)
{
    signal(SIGXFSZ, SIG_IGN);
    umask(022);
    if (set_limit(RLIMIT_CORE, 0, e) < 0 || set_limit(RLIMIT_NPROC, 0, e) < 0 || set_limit(RLIMIT_NOFILE, 256, e) < 0 ||
        set_limit(RLIMIT_CPU, CPU_SECONDS, e) < 0 || set_limit(RLIMIT_FSIZE, PACKAGE_UNZIPPED_MAX, e) < 0)
        return -e->code;
    return set_limit(RLIMIT_AS, mapped_bytes() + MEMORY_BYTES, e);
}

static int allow_beneath(int ruleset, int dir, uint64_t access, struct err *e)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = dir};

    if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
        return err_errno(e, "landlock rule");
    return 0;
}

/* In the code folder only what renaming the result takes. */
static int confine(struct err *e)
{
    const uint64_t all = LANDLOCK_ACCESS_FS_MAKE_SYM * 2 - 1; /* every right of the first ABI */
    const uint64_t rename = LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR;
    struct landlock_ruleset_attr attr = {.handled_access_fs = all};
    auto_fd int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);

    if (ruleset < 0 && (errno == ENOSYS || errno == EOPNOTSUPP))
        return 0; /* a second wall, which this kernel doesn't have */
    if (ruleset < 0)
        return err_errno(e, "landlock");
    if (allow_beneath(ruleset, CHILD_TEMP, all & ~(uint64_t)LANDLOCK_ACCESS_FS_EXECUTE, e) < 0 ||
        allow_beneath(ruleset, CHILD_DIR, rename, e) < 0)
        return -e->code;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
        return err_errno(e, "landlock");
    return 0;
}

/* --- work --------------------------------------------------------------------------------------------------------- */

static int make_temp(const char *temp, struct err *e)
{
    auto_fd int fd = -1;

    if (mkdirat(CHILD_DIR, temp, 0755) < 0)
        return err_errno(e, "make %s", temp);
    fd = openat(CHILD_DIR, temp, O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_errno(e, "open %s", temp);
    if (fd == CHILD_TEMP) {
        take_fd(&fd);
        return 0;
    }
    return dup2(fd, CHILD_TEMP) < 0 ? err_errno(e, "descriptors") : 0;
}

static void print_digest(const unsigned char *digest, char ret[65])
{
    for (unsigned i = 0; i < 32; i++)
        snprintf(ret + 2 * i, 3, "%02x", digest[i]);
}

static int copy_pieces(EVP_MD_CTX *hash, int zip, struct package_info *info, struct err *e)
{
    static char data[131072];
    ssize_t n;

    while ((n = pread(CHILD_SOURCE, data, sizeof(data), (off_t)info->zip_bytes)) != 0) {
        if (n < 0)
            return err_errno(e, "read zip");
        info->zip_bytes += (uint64_t)n;
        if (info->zip_bytes > PACKAGE_UNZIPPED_MAX)
            return err_set(e, EFBIG, "zip: longer than %llu bytes", (unsigned long long)PACKAGE_UNZIPPED_MAX);
        if (EVP_DigestUpdate(hash, data, (size_t)n) != 1)
            return err_set(e, EIO, "sha256 failed");
        if (fd_write_all(zip, data, (size_t)n, e) < 0)
            return err_wrap(e, "store zip");
    }
    return info->zip_bytes ? 0 : err_set(e, ENODATA, "zip: empty");
}

static int copy_zip(int zip, struct package_info *info, struct err *e)
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    unsigned char digest[EVP_MAX_MD_SIZE];
    int rc = 0;

    if (!hash || EVP_DigestInit_ex(hash, EVP_sha256(), NULL) != 1)
        rc = err_set(e, ENOMEM, "sha256: no memory");
    else
        rc = copy_pieces(hash, zip, info, e);
    if (rc == 0 && EVP_DigestFinal_ex(hash, digest, NULL) != 1)
        rc = err_set(e, EIO, "sha256 failed");
    EVP_MD_CTX_free(hash);
    if (rc == 0)
        print_digest(digest, info->digest);
    return rc;
}

static int unpack_tree(int zip, struct err *e)
{
    auto_fd int tree = -1;

    if (mkdirat(CHILD_TEMP, "tree", 0755) < 0)
        return err_errno(e, "make tree");
    tree = openat(CHILD_TEMP, "tree", O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (tree < 0)
        return err_errno(e, "open tree");
    if (package_unpack(zip, tree, e) < 0)
        return -e->code;
    return syncfs(tree) < 0 ? err_errno(e, "sync package") : 0;
}

/* Gives the whole package its name. Another child may have brought the same zip at the same time: equally good. */
static int publish(const char *temp, const char *digest, struct err *e)
{
    if (renameat2(CHILD_DIR, temp, CHILD_DIR, digest, RENAME_NOREPLACE) < 0) {
        if (errno != EEXIST)
            return err_errno(e, "rename package");
        package_remove_tree(CHILD_DIR, temp);
        return 0;
    }
    return fsync(CHILD_DIR) < 0 ? err_errno(e, "sync code folder") : 0;
}

static int add(const char *temp, struct package_info *info, struct err *e)
{
    auto_fd int zip = -1;

    if (make_temp(temp, e) < 0)
        return -e->code;
    zip = openat(CHILD_TEMP, "zip", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (zip < 0)
        return err_errno(e, "create zip");
    if (copy_zip(zip, info, e) < 0)
        return -e->code;
    if (faccessat(CHILD_DIR, info->digest, F_OK, 0) == 0) {
        package_remove_tree(CHILD_DIR, temp);
        return 0;
    }
    if (confine(e) < 0 || unpack_tree(zip, e) < 0)
        return -e->code;
    return publish(temp, info->digest, e);
}

static enum package_result result_of(int code)
{
    switch (code) {
    case EBADMSG:
        return PACKAGE_NOT_A_ZIP;
    case ENODATA:
        return PACKAGE_EMPTY;
    case EFBIG:
        return PACKAGE_TOO_LARGE;
    default:
        return PACKAGE_FAILED;
    }
}

/* Names in a zip may hold anything; what is told about them is plain text. */
static void explain(struct package_info *info, const struct err *e)
{
    info->result = result_of(e->code);
    snprintf(info->why, sizeof(info->why), "%.*s", (int)sizeof(info->why) - 1, e->msg);
    for (char *p = info->why; *p; p++)
        if (*p < ' ' || *p > '~')
            *p = '?';
}

_Noreturn void package_child_add(int dir, int source, const char *temp, int report)
{
    struct package_info info = {.result = PACKAGE_OK};
    struct err e = {0};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (keep_fds(dir, source, report, &e) < 0)
        _exit(1);
    if (set_limits(&e) < 0 || add(temp, &info, &e) < 0) {
        explain(&info, &e);
        package_remove_tree(CHILD_DIR, temp);
    }
    _exit(fd_write_all(CHILD_REPORT, &info, sizeof(info), &e) < 0);
}

_Noreturn void package_child_remove(int dir, const char *temp)
{
    struct err e;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (keep_fds(dir, dir, dir, &e) < 0)
        _exit(1);
    package_remove_tree(CHILD_DIR, temp);
    _exit(0);
}

/* --- removal ------------------------------------------------------------------------------------------------------ */

static int open_dir(int dir, const char *name, DIR **ret)
{
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    *ret = fd < 0 ? NULL : fdopendir(fd);
    if (!*ret && fd >= 0)
        close(fd);
    return *ret ? 0 : -1;
}

/* Recursion, and one descriptor for each level: unpacking makes no tree deeper than 128. */
void package_remove_tree(int dir, const char *name)
{
    const struct dirent *entry;
    DIR *d;

    if (unlinkat(dir, name, 0) == 0 || errno == ENOENT || open_dir(dir, name, &d) < 0)
        return;
    while ((entry = readdir(d)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            package_remove_tree(dirfd(d), entry->d_name);
    closedir(d);
    unlinkat(dir, name, AT_REMOVEDIR);
}
