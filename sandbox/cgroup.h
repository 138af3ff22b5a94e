/*
 * The control groups of one instance: one group per sandbox with limits on memory, CPU and processes, a freezer and counters.
 * One interface, two kernels' worth of implementation: cgroup_v2.c (the product's home) and cgroup_v1.c (hybrid layouts).
 *
 * The instance's parent group is called fnrun-<16 hex digits of its state path's hash>; a group in it is named by a number
 * that the caller never uses twice at one time. Only the warden calls this; cgroup_enter is for its forked child.
 */
#ifndef FNRUN_CGROUP_H
#define FNRUN_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

#define CGROUP_PARTS 5 /* v1: one directory for each controller; v2 uses the first alone */
#define CGROUP_NAME_MAX 32

struct cgroup_limits {
    uint64_t memory_bytes; /* with swap: there is none beyond it */
    uint32_t cpu_millis;
    uint32_t pids;
};

struct cgroup_usage {
    uint32_t oom_kills;
    uint64_t memory_peak; /* bytes */
    uint64_t cpu_ns;
};

/* How a new process gets into its group: opened before it is cloned, closed after. */
struct cgroup_door {
    int fd[CGROUP_PARTS]; /* v2: the group's directory for CLONE_INTO_CGROUP; v1: each controller's `tasks` */
};

#define CGROUP_DOOR_CLOSED ((struct cgroup_door){{-1, -1, -1, -1, -1}})

/* What the manager gets of a sandbox. */
struct cgroup_handles {
    int peak, freezer;
};

struct cgroups {
    const struct cgroup_ops *ops;
    char name[64];           /* of the parent group */
    int above[CGROUP_PARTS]; /* where the parent group is made; -1: not used */
    int parent[CGROUP_PARTS];
};

struct cgroup_ops {
    const char *freeze_text[2]; /* thawed, frozen */
    bool clones_into;           /* clone3 takes door.fd[0] */
    /* Fills `above`, or says what is missing on this machine. */
    int (*find)(struct cgroups *c, struct err *e);
    /* Prepares the new parent group for groups in it. */
    int (*enable)(const struct cgroups *c, struct err *e);
    int (*create)(const struct cgroups *c, const char *group, const struct cgroup_limits *limits,
                  struct cgroup_door *ret_door, struct err *e);
    int (*set_cpu)(const struct cgroups *c, const char *group, uint32_t cpu_millis, struct err *e);
    int (*open_handles)(const struct cgroups *c, const char *group, struct cgroup_handles *ret, struct err *e);
    /* Makes sure that a SIGKILL reaches all in it, frozen or not. v2 sends it as well. */
    int (*unstick)(const struct cgroups *c, const char *group, struct err *e);
    int (*usage)(const struct cgroups *c, const char *group, struct cgroup_usage *ret, struct err *e);
};

/* Chooses the version, takes away what an earlier instance of this name left (its processes are killed) and makes the
 * parent group. Blocks up to a few seconds for the sake of the leftovers. */
int cgroups_open(struct cgroups *ret_cgroups, uint64_t instance_hash, struct err *e);

/* Removes the parent group, which must be empty. */
void cgroups_close(struct cgroups *c);

/* Makes the group with its limits. On failure nothing is left. */
int cgroup_create(const struct cgroups *c, const char *group, const struct cgroup_limits *limits,
                  struct cgroup_door *ret_door, struct err *e);

/* Moves the calling process into the group; does nothing where clone3 did it. */
int cgroup_enter(const struct cgroups *c, const struct cgroup_door *door, struct err *e);
void cgroup_door_close(struct cgroup_door *door);

/* -EBUSY while its last processes are still ending. A group that is already gone is fine. */
int cgroup_remove(const struct cgroups *c, const char *group, struct err *e);

/* Opens the directory where a cgroup file system of `type` ("cgroup", "cgroup2") is mounted, for v1 the one with the
 * mount option `controller`. -ENOENT where there is none. */
int cgroup_open_mount(const char *type, const char *controller, struct err *e);

/* Pieces that both versions need. */
int cgroup_write(int dir, const char *group, const char *file, const char *text, struct err *e);
int cgroup_read_number(int dir, const char *group, const char *file, uint64_t *ret_value, struct err *e);
/* The number behind "key " in a file of "key number" lines. */
int cgroup_read_keyed(int dir, const char *group, const char *file, const char *key, uint64_t *ret_value,
                      struct err *e);
int cgroup_open_file(int dir, const char *group, const char *file, int flags, struct err *e);

/* AWS's own scheduling period: short, so that a small share still reacts within tens of milliseconds. */
#define CGROUP_CPU_PERIOD_US 20000u
/* The quota for `cpu_millis` within one period; the kernel refuses less than 1 ms. */
uint32_t cgroup_cpu_quota_us(uint32_t cpu_millis);

extern const struct cgroup_ops cgroup_v1, cgroup_v2;

#endif
