/*
 * cgroup version 2. Groups may hold processes or have groups with controllers below them, not both, so:
 *
 *   started by systemd with Delegate=yes:  OWN/warden/ holds this process and fnrund, OWN/fnrun-HASH/N one sandbox each
 *   started from a shell as root:          /sys/fs/cgroup/fnrun-HASH/N
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "cgroup.h"

#define CONTROLLERS "+memory +pids +cpu"

static int check_controllers(int dir, struct err *e)
{
    static const char *const needed[] = {"memory", "pids", "cpu"};
    char text[1024], padded[sizeof(text) + 2], word[32];

    if (fd_read_file_at(dir, "cgroup.controllers", text, sizeof(text), e) < 0)
        return -e->code;
    text[strcspn(text, "\n")] = '\0';
    snprintf(padded, sizeof(padded), " %s ", text);
    for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
        snprintf(word, sizeof(word), " %s ", needed[i]);
        if (!strstr(padded, word))
            return err_set(e, ENOENT,
                           "controller %s is not available (is it in a v1 hierarchy, or is Delegate=yes missing?)",
                           needed[i]);
    }
    return 0;
}

/* The calling process's own group below the mount point. */
static int open_own(int mount, struct err *e)
{
    char text[4096], *path = text;
    int fd;

    if (fd_read_file_at(AT_FDCWD, "/proc/self/cgroup", text, sizeof(text), e) < 0)
        return -e->code;
    while (path && strncmp(path, "0::/", 4) != 0) {
        path = strchr(path, '\n');
        path += path != NULL;
    }
    if (!path)
        return err_set(e, ENOENT, "not in a v2 group");
    path += 4;
    path[strcspn(path, "\n")] = '\0';
    fd = openat(mount, path[0] ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? err_errno(e, "open own group /%s", path) : fd;
}

/* systemd marks what it has delegated with an extended attribute. */
static bool is_delegated(int dir)
{
    char value = '0';

    if (fgetxattr(dir, "user.delegate", &value, 1) != 1 && fgetxattr(dir, "trusted.delegate", &value, 1) != 1)
        return false;
    return value == '1';
}

static int move_self_to_leaf(int own, struct err *e)
{
    if (mkdirat(own, "warden", 0755) < 0 && errno != EEXIST)
        return err_errno(e, "mkdir warden");
    return cgroup_write(own, "warden", "cgroup.procs", "0", e);
}

static int find(struct cgroups *c, struct err *e)
{
    auto_fd int mount = cgroup_open_mount("cgroup2", NULL, e), own = -1;
    bool delegated;

    if (mount < 0)
        return -e->code;
    own = open_own(mount, e);
    if (own < 0)
        return -e->code;
    delegated = is_delegated(own);
    c->above[0] = delegated ? take_fd(&own) : take_fd(&mount);
    if (check_controllers(c->above[0], e) < 0)
        return -e->code;
    return delegated ? move_self_to_leaf(c->above[0], e) : 0;
}

static int enable(const struct cgroups *c, struct err *e)
{
    if (cgroup_write(c->above[0], ".", "cgroup.subtree_control", CONTROLLERS, e) < 0)
        return err_wrap(e, "%s", e->code == EBUSY ? "start fnrun by systemd with Delegate=yes" : "enable controllers");
    return cgroup_write(c->parent[0], ".", "cgroup.subtree_control", CONTROLLERS, e);
}

static int set_cpu(const struct cgroups *c, const char *group, uint32_t cpu_millis, struct err *e)
{
    char text[64];

    snprintf(text, sizeof(text), "%u %u", cgroup_cpu_quota_us(cpu_millis), CGROUP_CPU_PERIOD_US);
    return cgroup_write(c->parent[0], group, "cpu.max", text, e);
}

static int set_limits(const struct cgroups *c, const char *group, const struct cgroup_limits *limits, struct err *e)
{
    char memory[32], pids[32];

    snprintf(memory, sizeof(memory), "%" PRIu64, limits->memory_bytes);
    snprintf(pids, sizeof(pids), "%u", limits->pids);
    /* Without swap accounting in the kernel there is no memory.swap.max. */
    if (cgroup_write(c->parent[0], group, "memory.swap.max", "0", e) < 0 && e->code != ENOENT)
        return -e->code;
    if (cgroup_write(c->parent[0], group, "memory.max", memory, e) < 0 ||
        cgroup_write(c->parent[0], group, "memory.oom.group", "1", e) < 0 ||
        cgroup_write(c->parent[0], group, "pids.max", pids, e) < 0)
        return -e->code;
    return set_cpu(c, group, limits->cpu_millis, e);
}

static int create(const struct cgroups *c, const char *group, const struct cgroup_limits *limits,
                  struct cgroup_door *ret_door, struct err *e)
{
    if (mkdirat(c->parent[0], group, 0755) < 0)
        return err_errno(e, "cgroup: mkdir %s", group);
    if (set_limits(c, group, limits, e) < 0)
        return -e->code;
    ret_door->fd[0] = openat(c->parent[0], group, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return ret_door->fd[0] < 0 ? err_errno(e, "cgroup: open %s", group) : 0;
}

static int open_handles(const struct cgroups *c, const char *group, struct cgroup_handles *ret, struct err *e)
{
    auto_fd int peak = cgroup_open_file(c->parent[0], group, "memory.peak", O_RDONLY, e);
    int freezer;

    if (peak < 0)
        return -e->code;
    freezer = cgroup_open_file(c->parent[0], group, "cgroup.freeze", O_WRONLY, e);
    if (freezer < 0)
        return -e->code;
    *ret = (struct cgroup_handles){take_fd(&peak), freezer};
    return 0;
}

static int unstick(const struct cgroups *c, const char *group, struct err *e)
{
    return cgroup_write(c->parent[0], group, "cgroup.kill", "1", e);
}

static int usage(const struct cgroups *c, const char *group, struct cgroup_usage *ret, struct err *e)
{
    uint64_t peak, kills, cpu_us;

    if (cgroup_read_number(c->parent[0], group, "memory.peak", &peak, e) < 0 ||
        cgroup_read_keyed(c->parent[0], group, "memory.events", "oom_kill", &kills, e) < 0 ||
        cgroup_read_keyed(c->parent[0], group, "cpu.stat", "usage_usec", &cpu_us, e) < 0)
        return -e->code;
    *ret = (struct cgroup_usage){(uint32_t)MIN(kills, UINT32_MAX), peak, cpu_us * NSEC_PER_USEC};
    return 0;
}

const struct cgroup_ops cgroup_v2 = {
    .freeze_text = {"0", "1"},
    .clones_into = true,
    .find = find,
    .enable = enable,
    .create = create,
    .set_cpu = set_cpu,
    .open_handles = open_handles,
    .unstick = unstick,
    .usage = usage,
};
