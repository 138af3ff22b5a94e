#include "cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <mntent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"

#define SWEEP_TRIES 500
#define SWEEP_PAUSE_US 10000

uint32_t cgroup_cpu_quota_us(uint32_t cpu_millis)
{
    uint64_t quota = (uint64_t)cpu_millis * CGROUP_CPU_PERIOD_US / 1000;

    return (uint32_t)MAX(MIN(quota, UINT32_MAX), 1000u);
}

int cgroup_open_file(int dir, const char *group, const char *file, int flags, struct err *e)
{
    char path[128];
    int fd;

    snprintf(path, sizeof(path), "%s/%s", group, file);
    fd = openat(dir, path, flags | O_CLOEXEC | O_NOFOLLOW);
    return fd < 0 ? err_errno(e, "cgroup: open %s", file) : fd;
}

int cgroup_write(int dir, const char *group, const char *file, const char *text, struct err *e)
{
    auto_fd int fd = cgroup_open_file(dir, group, file, O_WRONLY, e);

    if (fd < 0)
        return -e->code;
    if (write(fd, text, strlen(text)) < 0)
        return err_errno(e, "cgroup: write \"%s\" to %s", text, file);
    return 0;
}

static int read_file(int dir, const char *group, const char *file, char *text, size_t size, struct err *e)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", group, file);
    return fd_read_file_at(dir, path, text, size, e) < 0 ? err_wrap(e, "cgroup") : 0;
}

int cgroup_read_number(int dir, const char *group, const char *file, uint64_t *ret_value, struct err *e)
{
    char text[64];

    if (read_file(dir, group, file, text, sizeof(text), e) < 0)
        return -e->code;
    *ret_value = strtoull(text, NULL, 10);
    return 0;
}

int cgroup_read_keyed(int dir, const char *group, const char *file, const char *key, uint64_t *ret_value, struct err *e)
{
    size_t size = strlen(key);
    char text[4096];

    if (read_file(dir, group, file, text, sizeof(text), e) < 0)
        return -e->code;
    for (char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, size) == 0 && line[size] == ' ') {
            *ret_value = strtoull(line + size + 1, NULL, 10);
            return 0;
        }
    }
    return err_set(e, ENOENT, "cgroup: no %s in %s", key, file);
}

void cgroup_door_close(struct cgroup_door *door)
{
    for (int i = 0; i < CGROUP_PARTS; i++)
        fd_close(&door->fd[i]);
}

int cgroup_remove(const struct cgroups *c, const char *group, struct err *e)
{
    for (int i = 0; i < CGROUP_PARTS; i++)
        if (c->parent[i] >= 0 && unlinkat(c->parent[i], group, AT_REMOVEDIR) < 0 && errno != ENOENT)
            return err_errno(e, "cgroup: remove %s", group);
    return 0;
}

int cgroup_create(const struct cgroups *c, const char *group, const struct cgroup_limits *limits,
                  struct cgroup_door *ret_door, struct err *e)
{
    struct cgroup_door door = CGROUP_DOOR_CLOSED;
    struct err ignored;

    if (c->ops->create(c, group, limits, &door, e) < 0) {
        cgroup_door_close(&door);
        cgroup_remove(c, group, &ignored);
        return -e->code;
    }
    *ret_door = door;
    return 0;
}

int cgroup_enter(const struct cgroups *c, const struct cgroup_door *door, struct err *e)
{
    if (c->ops->clones_into)
        return 0;
    for (int i = 0; i < CGROUP_PARTS; i++)
        if (door->fd[i] >= 0 && write(door->fd[i], "0", 1) < 0)
            return err_errno(e, "cgroup: enter");
    return 0;
}

int cgroup_open_mount(const char *type, const char *controller, struct err *e)
{
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    struct mntent *m;
    int fd = -1;

    if (!mounts)
        return err_errno(e, "open /proc/self/mounts");
    while (fd < 0 && (m = getmntent(mounts)))
        if (strcmp(m->mnt_type, type) == 0 && (!controller || hasmntopt(m, controller)))
            fd = open(m->mnt_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    endmntent(mounts);
    return fd < 0 ? err_set(e, ENOENT, "%s is not mounted", controller ? controller : type) : fd;
}

/* By number: a leftover's PID 1 is nobody's child that could be held by a pidfd. */
static void kill_members(const struct cgroups *c, const char *group)
{
    char text[65536];
    struct err e;

    for (int i = 0; i < CGROUP_PARTS; i++) {
        if (c->parent[i] < 0 || read_file(c->parent[i], group, "cgroup.procs", text, sizeof(text), &e) < 0)
            continue;
        for (char *pid = strtok(text, "\n"); pid; pid = strtok(NULL, "\n"))
            if (atoi(pid) > 1)
                kill(atoi(pid), SIGKILL);
    }
}

/* Kills what `group` holds and removes it. */
static int sweep_group(const struct cgroups *c, const char *group, struct err *e)
{
    for (int i = 0; i < SWEEP_TRIES; i++) {
        if (cgroup_remove(c, group, e) == 0)
            return 0;
        if (e->code != EBUSY)
            return -e->code;
        if (c->ops->unstick(c, group, e) < 0)
            log_debug("sweep: %s", e->msg);
        kill_members(c, group);
        usleep(SWEEP_PAUSE_US);
    }
    return err_set(e, EBUSY, "cgroup: %s/%s is still busy", c->name, group);
}

/* All groups below the parent's part `i`. A group may be left in some parts only, so every part is looked at. */
static int sweep_part(const struct cgroups *c, int i, struct err *e)
{
    int fd = openat(c->parent[i], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    if (!dir) {
        fd_close(&fd);
        return err_errno(e, "cgroup: list %s", c->name);
    }
    while (rc == 0 && (entry = readdir(dir)))
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.' && strlen(entry->d_name) < CGROUP_NAME_MAX)
            rc = sweep_group(c, entry->d_name, e);
    closedir(dir);
    return rc;
}

static int open_parent(struct cgroups *c, int i, struct err *e)
{
    if (mkdirat(c->above[i], c->name, 0755) < 0 && errno != EEXIST)
        return err_errno(e, "cgroup: mkdir %s", c->name);
    c->parent[i] = openat(c->above[i], c->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (c->parent[i] < 0)
        return err_errno(e, "cgroup: open %s", c->name);
    return 0;
}

static int open_parents(struct cgroups *c, struct err *e)
{
    for (int i = 0; i < CGROUP_PARTS; i++)
        if (c->above[i] >= 0 && open_parent(c, i, e) < 0)
            return -e->code;
    for (int i = 0; i < CGROUP_PARTS; i++)
        if (c->parent[i] >= 0 && sweep_part(c, i, e) < 0)
            return -e->code;
    return 0;
}

int cgroups_open(struct cgroups *ret_cgroups, uint64_t instance_hash, struct err *e)
{
    static const struct cgroup_ops *const versions[] = {&cgroup_v2, &cgroup_v1};
    struct err why[ARRAY_LEN(versions)] = {0};

    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        struct cgroups c = {.ops = versions[i], .above = {-1, -1, -1, -1, -1}, .parent = {-1, -1, -1, -1, -1}};

        snprintf(c.name, sizeof(c.name), "fnrun-%016" PRIx64, instance_hash);
        if (c.ops->find(&c, &why[i]) < 0) {
            cgroups_close(&c);
            continue;
        }
        if (open_parents(&c, e) < 0 || c.ops->enable(&c, e) < 0) {
            cgroups_close(&c);
            return -e->code;
        }
        *ret_cgroups = c;
        return 0;
    }
    return err_set(e, ENOTSUP, "no usable control groups: v2: %s; v1: %s", why[0].msg, why[1].msg);
}

void cgroups_close(struct cgroups *c)
{
    for (int i = 0; i < CGROUP_PARTS; i++) {
        fd_close(&c->parent[i]);
        if (c->above[i] >= 0 && unlinkat(c->above[i], c->name, AT_REMOVEDIR) < 0 && errno != ENOENT)
            log_warn("cgroup: remove %s: %s", c->name, strerror(errno));
        fd_close(&c->above[i]);
    }
}
