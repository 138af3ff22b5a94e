/*
 * Sandboxes, seen from the warden: which there are, and what state each is in.
 *
 *     STARTING --INIT_STARTED--> RUNNING --end, KILL, lease--> ENDING --PID 1 is dead--> REMOVING --no cgroup--> gone
 *     STARTING --> ARMED --RESTORE--> RESTORING --the template's or criu's answer--> RUNNING, where a snapshot is restored
 *         \__________________________failure________________________/
 *
 * The manager hears of it through the link: CREATED on entering RUNNING; EXITED, or FAILED if it never ran, when it is gone.
 */
#ifndef FNRUN_SANDBOX_H
#define FNRUN_SANDBOX_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/loop.h"
#include "base/proto.h"
#include "cgroup.h"
#include "link.h"
#include "nursery.h"
#include "snapshots.h"
#include "spare.h"
#include "state.h"
#include "templates.h"
#include "toolbox.h"

#include "../rootfs/apply.h"

#define SANDBOX_PIDS_MAX 1024

enum sandbox_state {
    SANDBOX_NEW,
    SANDBOX_STARTING,
    SANDBOX_ARMED,     /* it waits for its runtime */
    SANDBOX_RESTORING, /* the runtime is on its way */
    SANDBOX_RUNNING,
    SANDBOX_ENDING,
    SANDBOX_REMOVING,
    SANDBOX_STATES
};

/* All of them, and what they share. Everything but the last group is set by the owner and only read here. */
struct sandboxes {
    struct loop *loop;
    struct link *link;
    struct cgroups *cgroups;
    struct spares *spares;
    const struct buf *filter; /* filter.h */
    struct state_ids ids;
    struct apply_paths paths;
    const struct toolbox *toolbox;
    struct templates *templates;
    struct nursery *nursery;
    int snapshots; /* snapshots.h */
    int work;      /* where criu leaves its logs: RUN/criu-work */
    int run;       /* rootfs/skeleton.h */
    int init;      /* the fnrun-init program */
    uint64_t max;
    void (*on_empty)(void *ctx); /* the last one is gone; may be NULL */
    void *ctx;

    struct list_node list;
    struct list_node dumps; /* dump.c's: those under way */
    uint64_t count, serial;
};

struct sandbox {
    struct list_node node;
    struct sandboxes *all;
    enum sandbox_state state;
    bool disowned;       /* its manager is dead: nobody is told */
    uint64_t id, serial; /* the manager's, and our own, which never comes again */
    uint32_t flags;
    uid_t uid;
    bool restores;    /* a snapshot, instead of starting anything */
    bool by_template; /* and not by criu */
    char group[CGROUP_NAME_MAX];
    int log;                        /* read end, until the manager has it */
    struct loop_io control, pid;    /* socket to fnrun-init; pidfd of PID 1 */
    struct loop_io rpc;             /* to the criu that waits in it; -1 */
    struct criu_ends ends;          /* of what is to be restored */
    int channel;                    /* the manager's end, until it is ARMED; -1 */
    int log_write, runtime_end;     /* what a template gives to the runtime; -1 */
    struct cgroup_door door;        /* by which it gets in */
    struct proto_create request;    /* of what restores */
    struct loop_timer lease, again; /* again: the next try of ENDING or REMOVING */
    unsigned tries;
    nsec_t asked;
    uint32_t cause; /* enum proto_exit_cause; 0: not known yet */
    int32_t value;
    struct err failure; /* code != 0: it never ran */
    struct cgroup_usage usage;
};

void sandboxes_init(struct sandboxes *all);

/* The manager's sandbox of that id, NULL if there is none. */
struct sandbox *sandbox_find(struct sandboxes *all, uint64_t id);

/* Starts to make one; answers over the link, at once if that already fails. `m` is checked (check.h), `strings` behind it. */
void sandbox_create(struct sandboxes *all, const struct proto_create *m, const char *strings);

void sandbox_kill(struct sandbox *s);

/* Brings the runtime that the ARMED one was made for. Ignored in any other state. */
void sandbox_restore(struct sandbox *s, uint32_t lease_ms);
void sandbox_set_lease(struct sandbox *s, uint32_t lease_ms);
void sandbox_set_cpu(struct sandbox *s, uint32_t cpu_millis);

/* A template's answer: the runtime runs (code 0), or it can't be (errno, and what failed). */
void sandbox_forked(struct sandbox *s, int code, const char *what);

/* Kills all and tells nobody: their manager is gone. */
void sandboxes_disown(struct sandboxes *all);

/* For sandbox_create.c: puts a started one under the loop's eyes. */
void sandbox_watch(struct sandbox *s, uint32_t lease_ms);

#endif
