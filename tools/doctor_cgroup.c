/* Checks of control groups: the version, its controllers, and whether groups can be made. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../sandbox/base/fd.h"
#include "doctor.h"

#define FIX_V2 "mount cgroup version 2 with all controllers (boot with systemd.unified_cgroup_hierarchy=1)"
#define FIX_WRITE "run outside of the container, or give it a writable /sys/fs/cgroup (docker run --privileged)"

/* Where a cgroup file system is mounted; version 1 by controller. */
static bool find_mount(const char *type, const char *controller, char *ret, size_t size)
{
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    const struct mntent *m;
    bool found = false;

    while (mounts && !found && (m = getmntent(mounts))) {
        found = strcmp(m->mnt_type, type) == 0 && (!controller || hasmntopt(m, controller));
        if (found)
            snprintf(ret, size, "%s", m->mnt_dir);
    }
    if (mounts)
        endmntent(mounts);
    return found;
}

/* Makes a group under `mount`, looks for files in it, and removes it. Returns NULL, or what went wrong. */
static const char *try_group(const char *mount, const char *const *files)
{
    static char trouble[PATH_MAX];
    char path[PATH_MAX + 64], file[sizeof(path) + 64];

    snprintf(path, sizeof(path), "%s/fnrun-doctor-%d", mount, (int)getpid());
    if (mkdir(path, 0755) < 0) {
        snprintf(trouble, sizeof(trouble), "can't make a group in %s: %s", mount, strerror(errno));
        return trouble;
    }
    trouble[0] = '\0';
    for (; *files && !trouble[0]; files++) {
        snprintf(file, sizeof(file), "%s/%s", path, *files);
        if (access(file, F_OK) < 0)
            snprintf(trouble, sizeof(trouble), "no %s in a group", *files);
    }
    rmdir(path);
    return trouble[0] ? trouble : NULL;
}

/* Whether version 2 has the controllers: in hybrid layouts they stay with version 1. */
static bool has_v2_controllers(const char *mount)
{
    static const char *const needed[] = {"memory", "cpu", "pids"};
    char path[PATH_MAX + 32], text[512], padded[520], word[16];
    struct err e;

    snprintf(path, sizeof(path), "%s/cgroup.controllers", mount);
    if (fd_read_file_at(AT_FDCWD, path, text, sizeof(text), &e) < 0)
        return false;
    text[strcspn(text, "\n")] = '\0';
    snprintf(padded, sizeof(padded), " %s ", text);
    for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
        snprintf(word, sizeof(word), " %s ", needed[i]);
        if (!strstr(padded, word))
            return false;
    }
    return true;
}

static void check_v2(struct doctor *d, const char *mount)
{
    static const char *const files[] = {"cgroup.freeze", "cgroup.kill", NULL};
    const char *trouble = try_group(mount, files);

    if (trouble)
        doctor_bad(d, CHECK_FAIL, "cgroup v2", FIX_WRITE, "%s", trouble);
    else
        doctor_ok(d, "cgroup v2", "%s", mount);
}

static void check_v1(struct doctor *d)
{
    static const struct {
        const char *controller, *files[3];
    } needed[] = {
        {"memory", {"memory.limit_in_bytes", "memory.max_usage_in_bytes"}},
        {"cpu", {"cpu.cfs_period_us", "cpu.cfs_quota_us"}},
        {"pids", {"pids.max"}},
        {"freezer", {"freezer.state"}},
    };

    for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
        char mount[PATH_MAX], name[48];
        const char *trouble;

        snprintf(name, sizeof(name), "cgroup v1 %s", needed[i].controller);
        if (!find_mount("cgroup", needed[i].controller, mount, sizeof(mount)))
            doctor_bad(d, CHECK_FAIL, name, FIX_V2, "neither version 2 nor version 1 has this controller");
        else if ((trouble = try_group(mount, needed[i].files)))
            doctor_bad(d, CHECK_FAIL, name, FIX_WRITE, "%s", trouble);
        else
            doctor_ok(d, name, "%s", mount);
    }
}

void check_cgroups(struct doctor *d)
{
    char mount[PATH_MAX];

    if (!d->root)
        doctor_bad(d, CHECK_WARN, "cgroups", "run `sudo fnrun doctor`", "not checked");
    else if (find_mount("cgroup2", NULL, mount, sizeof(mount)) && has_v2_controllers(mount))
        check_v2(d, mount);
    else
        check_v1(d);
}

void check_cpu_quota(struct doctor *d)
{
    /* This file is there exactly if the kernel was built with quotas. */
    if (access("/proc/sys/kernel/sched_cfs_bandwidth_slice_us", F_OK) == 0)
        doctor_ok(d, "CPU quota", "a function's CPU time can follow its memory");
    else
        doctor_bad(d, CHECK_FAIL, "CPU quota", "a kernel with CONFIG_CFS_BANDWIDTH", "the kernel has none");
}
