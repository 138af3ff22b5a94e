/*
 * cgroup version 1: one hierarchy for each controller, mounted beside each other ("hybrid" layouts, some containers and CI
 * machines). A child moves itself by writing "0" to each `tasks` file: moving one's own thread doesn't take the kernel's
 * lock over all thread groups, whose other side waits for an RCU grace period of milliseconds.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "cgroup.h"

enum part { MEMORY, CPU, CPUACCT, PIDS, FREEZER };

static const char *const controllers[CGROUP_PARTS] = {"memory", "cpu", "cpuacct", "pids", "freezer"};

static int find(struct cgroups *c, struct err *e)
{
    for (int i = 0; i < CGROUP_PARTS; i++) {
        c->above[i] = cgroup_open_mount("cgroup", controllers[i], e);
        if (c->above[i] < 0 && i != CPUACCT)
            return err_wrap(e, "controller %s (mount it below /sys/fs/cgroup)", controllers[i]);
    }
    return 0;
}

static int enable(UNUSED const struct cgroups *c, UNUSED struct err *e)
{
    return 0;
}

static int set_cpu(const struct cgroups *c, const char *group, uint32_t cpu_millis, struct err *e)
{
    char text[32];

    snprintf(text, sizeof(text), "%u", cgroup_cpu_quota_us(cpu_millis));
    return cgroup_write(c->parent[CPU], group, "cpu.cfs_quota_us", text, e);
}

static int set_memory(const struct cgroups *c, const char *group, uint64_t bytes, struct err *e)
{
    char text[32];

    snprintf(text, sizeof(text), "%" PRIu64, bytes);
    if (cgroup_write(c->parent[MEMORY], group, "memory.limit_in_bytes", text, e) < 0)
        return -e->code;
    /* Memory and swap together. A kernel without swap accounting has no such file; swappiness 0 is what is left then. */
    if (cgroup_write(c->parent[MEMORY], group, "memory.memsw.limit_in_bytes", text, e) == 0)
        return 0;
    return e->code == ENOENT ? cgroup_write(c->parent[MEMORY], group, "memory.swappiness", "0", e) : -e->code;
}

static int set_limits(const struct cgroups *c, const char *group, const struct cgroup_limits *limits, struct err *e)
{
    char period[32], pids[32];

    snprintf(period, sizeof(period), "%u", CGROUP_CPU_PERIOD_US);
    snprintf(pids, sizeof(pids), "%u", limits->pids);
    if (set_memory(c, group, limits->memory_bytes, e) < 0 ||
        cgroup_write(c->parent[PIDS], group, "pids.max", pids, e) < 0 ||
        cgroup_write(c->parent[CPU], group, "cpu.cfs_period_us", period, e) < 0)
        return -e->code;
    return set_cpu(c, group, limits->cpu_millis, e);
}

static int create(const struct cgroups *c, const char *group, const struct cgroup_limits *limits,
                  struct cgroup_door *ret_door, struct err *e)
{
    /* Controllers may share a hierarchy (cpu and cpuacct often do): then the group is there already. */
    for (int i = 0; i < CGROUP_PARTS; i++)
        if (c->parent[i] >= 0 && mkdirat(c->parent[i], group, 0755) < 0 && errno != EEXIST)
            return err_errno(e, "cgroup: mkdir %s/%s", controllers[i], group);
    if (set_limits(c, group, limits, e) < 0)
        return -e->code;
    for (int i = 0; i < CGROUP_PARTS; i++) {
        if (c->parent[i] < 0)
            continue;
        ret_door->fd[i] = cgroup_open_file(c->parent[i], group, "tasks", O_WRONLY, e);
        if (ret_door->fd[i] < 0)
            return -e->code;
    }
    return 0;
}

static int open_handles(const struct cgroups *c, const char *group, struct cgroup_handles *ret, struct err *e)
{
    auto_fd int peak = cgroup_open_file(c->parent[MEMORY], group, "memory.max_usage_in_bytes", O_RDONLY, e);
    int freezer;

    if (peak < 0)
        return -e->code;
    freezer = cgroup_open_file(c->parent[FREEZER], group, "freezer.state", O_WRONLY, e);
    if (freezer < 0)
        return -e->code;
    *ret = (struct cgroup_handles){take_fd(&peak), freezer};
    return 0;
}

static int unstick(const struct cgroups *c, const char *group, struct err *e)
{
    return cgroup_write(c->parent[FREEZER], group, "freezer.state", "THAWED", e);
}

static int usage(const struct cgroups *c, const char *group, struct cgroup_usage *ret, struct err *e)
{
    uint64_t peak, kills, cpu_ns = 0;

    if (cgroup_read_number(c->parent[MEMORY], group, "memory.max_usage_in_bytes", &peak, e) < 0 ||
        cgroup_read_keyed(c->parent[MEMORY], group, "memory.oom_control", "oom_kill", &kills, e) < 0)
        return -e->code;
    if (c->parent[CPUACCT] >= 0 && cgroup_read_number(c->parent[CPUACCT], group, "cpuacct.usage", &cpu_ns, e) < 0)
        return -e->code;
    *ret = (struct cgroup_usage){(uint32_t)MIN(kills, UINT32_MAX), peak, cpu_ns};
    return 0;
}

const struct cgroup_ops cgroup_v1 = {
    .freeze_text = {"THAWED", "FROZEN"},
    .clones_into = false,
    .find = find,
    .enable = enable,
    .create = create,
    .set_cpu = set_cpu,
    .open_handles = open_handles,
    .unstick = unstick,
    .usage = usage,
};
