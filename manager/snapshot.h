/*
 * The snapshot of one function revision: how it comes to be, and the armed sandboxes that wait to be restored from it.
 *
 *     NONE --first start--> MAKING --dumped and summed--> READY --restore failed--> NONE (or UNUSABLE, when that happens again
 *                                \--can't be--> UNUSABLE                               and again)
 *     FOUND (by a new manager) --first use--> CHECKING --still as it was--> READY
 *
 * It is made by an instance of its own, off everybody's path: init, before-snapshot hooks, dump, end. Its id is a hash of all
 * that it depends on (code, configuration, image, bootstrap, kernel, processor, criu, fnrun), so that a snapshot of anything
 * else is never found. The warden keeps the files; what the manager knows of them is in snapshot_record.h.
 */
#ifndef FNRUN_SNAPSHOT_H
#define FNRUN_SNAPSHOT_H

#include "instance.h"
#include "snapshot_files.h"
#include "worker.h"

enum snapshot_state {
    SNAPSHOT_NONE,
    SNAPSHOT_MAKING,
    SNAPSHOT_FOUND,
    SNAPSHOT_CHECKING,
    SNAPSHOT_READY,
    SNAPSHOT_UNUSABLE,
    SNAPSHOT_OFF,
};

enum restore_cause {
#define CAUSE(id, name, text) CAUSE_##id,
#include "restore_cause.def"
#undef CAUSE
    CAUSE_COUNT
};

extern const char *const restore_cause_names[CAUSE_COUNT];

struct snapshot {
    struct manager *m;
    struct function *f;    /* whose pool has this; no reference of its own */
    struct list_node node; /* in struct snapshots.all */
    enum snapshot_state state;
    char id[PROTO_SNAPSHOT_ID];
    char reason[300];             /* why there is none */
    struct snapshot_files *files; /* from FOUND to READY */
    nsec_t made_at, used_at;      /* wall clock */
    nsec_t noted_at;              /* the used_at that the disk knows of */
    uint64_t restores;
    unsigned failures[CAUSE_COUNT], thrown_away;
    struct worker worker; /* sums the files */
    struct instance *maker;
    bool dump_again;                                            /* when its deadline is over: the warden was busy */
    enum { WARM_UP_DUE, WARM_UP_RUN, WARM_UP_SKIPPED } warm_up; /* the maker's */
    struct list_node armed; /* struct instance.link: CREATING or ARMED; the oldest first */
    unsigned armed_count;
    unsigned needed;      /* armed ones that invocations wait for */
    unsigned peak, taken; /* the highest demand of late; those taken since window_start */
    nsec_t peak_at, asked_at, window_start;
    nsec_t not_before; /* nothing is armed until then */
    /* An armed sandbox is ready or gone: the invoker looks whether somebody waits for it. */
    void (*on_change)(struct snapshot *s);
};

/* All that there are. */
struct snapshots {
    struct manager *m;
    struct list_node all;
    unsigned places;            /* for restores, and for arming, at one time */
    unsigned armed;             /* of all functions: CREATING or ARMED */
    unsigned arming, restoring; /* CREATING; RESTORING */
    uint64_t failures[CAUSE_COUNT];
    struct loop_later later;
    bool refills; /* a restore is over since, or a sandbox armed */
    struct loop_timer refill, tend;
    void (*open)(struct manager *m, struct function *f); /* opens that function's */
};

int snapshots_create(struct manager *m, struct snapshots **ret, struct err *e);

/* Finds what an earlier life of the manager has left, and drops what is nobody's. */
void snapshots_find(struct manager *m);

/* Looks whether there is one already. m, f and on_change are set by the caller. */
void snapshot_open(struct snapshot *s);

/* The function has just started cold, and well: makes a snapshot if there is none. */
void snapshot_make(struct snapshot *s);

/* Removes it: the revision is retired. */
void snapshot_close(struct snapshot *s);

/* Takes an armed sandbox out of the list, NULL if none is ready; the caller sets its events and restores it. */
struct instance *snapshot_take(struct snapshot *s);

/* Will snapshot_take have one soon? `needed` invocations wait for one each: arms as many as can be, and calls on_change for each. */
bool snapshot_will_have(struct snapshot *s, unsigned needed);

/* A restore begins (1) or is over (-1). */
void snapshot_count_restoring(struct snapshots *all, int change);

/* A restore has failed. It is counted, and the snapshot thrown away, unless that is the function's own fault. */
void snapshot_failed(struct snapshot *s, enum restore_cause cause, const char *why);

/* Why that function is to have none; NULL: it may have one. */
const char *snapshot_off(const struct manager *m, const struct function *f);

/* Removes it, and forgets what has kept it from being: a later start makes another. */
void snapshot_remove(struct snapshot *s);

/* Adds state, id, size in bytes, armed sandboxes and, where there is none, the reason. */
void snapshot_describe(const struct snapshot *s, cJSON *out);

/* Adds all the rest: times, restores, failures by cause, files, what it is bound to. */
void snapshot_inspect(const struct snapshot *s, cJSON *out);

#endif
