#include "state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

/* Away from what distributions, directory services, user namespaces and systemd give out, below 2^31. */
#define UID_FIRST_BLOCK 1900000000u
#define UID_BLOCKS 3000u

#define LOCK_TRIES 40
#define LOCK_PAUSE_US 50000

static uint64_t hash_text(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */

    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3;
    return hash;
}

/* Does a process of some other instance have a uid of that block? */
static bool is_in_use(uint64_t base)
{
    DIR *proc = opendir("/proc");
    const struct dirent *entry;
    struct stat st;
    bool found = false;

    while (proc && !found && (entry = readdir(proc)))
        found = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
                fstatat(dirfd(proc), entry->d_name, &st, 0) == 0 && st.st_uid >= base &&
                st.st_uid - base < STATE_UID_BLOCK;
    if (proc)
        closedir(proc);
    return found;
}

/* The block that the manager's directory is of already; for a new instance one that its path leads to, or the next that nobody
 * uses now. */
static uint64_t find_block(const struct state *s)
{
    uint64_t base = 0;
    struct stat st;

    if (stat(s->data, &st) == 0 && st.st_uid >= UID_FIRST_BLOCK && (st.st_uid - UID_FIRST_BLOCK) % STATE_UID_BLOCK == 0)
        return st.st_uid;
    for (uint64_t i = 0; i < UID_BLOCKS; i++) {
        base = UID_FIRST_BLOCK + (s->hash + i) % UID_BLOCKS * STATE_UID_BLOCK;
        if (!is_in_use(base))
            break;
    }
    return base;
}

static int choose_ids(struct state_ids *ids, const char *user, uint64_t base, struct err *e)
{
    struct passwd *entry;

    if (base < 1000 || base > INT32_MAX - STATE_UID_BLOCK)
        return err_set(e, EINVAL, "uid base %llu is outside of 1000..%u", (unsigned long long)base,
                       INT32_MAX - STATE_UID_BLOCK);
    *ids = (struct state_ids){.manager_uid = (uid_t)base,
                              .manager_gid = (gid_t)base,
                              .init_uid = (uid_t)base + 1,
                              .first_function = (uid_t)base + 2};
    if (!user)
        return 0;
    errno = 0;
    entry = getpwnam(user);
    if (!entry)
        return err_set(e, errno ? errno : ENOENT, "there is no user \"%s\"", user);
    if (entry->pw_uid == 0)
        return err_set(e, EINVAL, "fnrund must not run as %s", user);
    ids->manager_uid = entry->pw_uid;
    ids->manager_gid = entry->pw_gid;
    return 0;
}

/* Tries for two seconds: a warden that was just killed still has its lock until its last forked child has ended. */
static int take_lock(struct state *s, struct err *e)
{
    char path[PATH_MAX + 8];

    snprintf(path, sizeof(path), "%s/lock", s->path);
    s->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->lock < 0)
        return err_errno(e, "open %s", path);
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(s->lock, LOCK_EX | LOCK_NB) == 0)
            return 0;
        if (errno != EWOULDBLOCK)
            return err_errno(e, "lock %s", path);
        usleep(LOCK_PAUSE_US);
    }
    return err_set(e, EBUSY, "%s is in use by another fnrun-warden", s->path);
}

static int make_directory(const char *path, uid_t uid, gid_t gid, struct err *e)
{
    struct stat st;

    if (mkdir(path, 0700) == 0)
        return chown(path, uid, gid) < 0 ? err_errno(e, "chown %s", path) : 0;
    if (errno != EEXIST)
        return err_errno(e, "mkdir %s", path);
    if (lstat(path, &st) < 0)
        return err_errno(e, "stat %s", path);
    if (!S_ISDIR(st.st_mode) || st.st_uid != uid)
        return err_set(e, EPERM, "%s is not a directory of uid %u (its files were made under another uid; chown them)",
                       path, uid);
    return 0;
}

static int name_paths(struct state *s, const char *path, struct err *e)
{
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return err_errno(e, "mkdir %s", path);
    if (!realpath(path, s->path))
        return err_errno(e, "%s", path);
    snprintf(s->data, sizeof(s->data), "%s/data", s->path);
    snprintf(s->code, sizeof(s->code), "%s/data/code", s->path);
    snprintf(s->run, sizeof(s->run), "%s/run", s->path);
    snprintf(s->snapshots, sizeof(s->snapshots), "%s/snapshots", s->path);
    snprintf(s->root, sizeof(s->root), "%s/run/root", s->path);
    s->hash = hash_text(s->path);
    return 0;
}

int state_open(struct state *ret_state, const char *path, const char *user, uint64_t uid_base, struct err *e)
{
    struct state s = {.lock = -1};

    if (name_paths(&s, path, e) < 0)
        return err_wrap(e, "state directory");
    if (!uid_base)
        uid_base = find_block(&s);
    if (choose_ids(&s.ids, user, uid_base, e) < 0 || take_lock(&s, e) < 0 || make_directory(s.run, 0, 0, e) < 0 ||
        make_directory(s.data, s.ids.manager_uid, s.ids.manager_gid, e) < 0) {
        state_close(&s);
        return err_wrap(e, "state directory");
    }
    *ret_state = s;
    return 0;
}

void state_close(struct state *s)
{
    fd_close(&s->lock);
}
