/*
 * An instance: one sandbox with one runtime in it, from the manager's side. It knows the sandbox's descriptors, its
 * state, its log, and the transport that its runtime speaks (channel.c or runtime_api.c). Which invocation goes to
 * which instance is the invoker's business; the instance reports to it through struct instance_events.
 */
#ifndef FNRUN_INSTANCE_H
#define FNRUN_INSTANCE_H

#include "../sandbox/base/list.h"
#include "../sandbox/base/msg.h"
#include "../sandbox/base/proto.h"
#include "acceptor.h"
#include "channel_io.h"
#include "function.h"
#include "instance_state.h"
#include "log_store.h"
#include "manager.h"

struct invocation;
struct instance;
struct snapshot;

struct instance_events {
    void (*on_ready)(struct instance *i); /* INIT -> IDLE, or RETURNING -> IDLE */
    /* The answer to the invocation under way. `error_type` is NULL for a result. `payload` may be emptied. */
    void (*on_response)(struct instance *i, struct buf *payload, const char *error_type);
    /* The runtime reported that its init failed; it ends soon after. */
    void (*on_init_error)(struct instance *i, struct buf *payload, const char *error_type);
    /* No sandbox could be made. The instance is freed after this. */
    void (*on_failed)(struct instance *i, const struct proto_failed *m);
    /* The sandbox is gone. The instance is freed after this. */
    void (*on_exited)(struct instance *i, const struct proto_exited *m);
    void (*on_armed)(struct instance *i);                                /* CREATING -> ARMED */
    void (*on_prepared)(struct instance *i);                             /* its runtime waits to be dumped */
    void (*on_dumped)(struct instance *i, const struct proto_failed *m); /* code 0: well */
    void (*on_deadline)(struct instance *i); /* the time given to instance_set_deadline is over */
};

struct runtime_api;

struct instance {
    struct list_node link; /* in its pool */
    struct list_node all;  /* in the manager's list of all instances */
    struct manager *m;
    const struct instance_events *events;
    struct function *f;
    enum instance_role role;
    struct snapshot *snapshot; /* what it is restored from, or makes; with another role NULL */
    uint64_t sandbox;
    enum instance_state state;
    struct invocation *current; /* the invoker's: what it is BUSY with */
    bool retired;               /* ends as soon as it is free */
    bool init_reported;         /* an init error was delivered already */
    bool init_extended;         /* its init may use the function's own time now; the invoker's */
    bool starting;              /* counted among its pool's starts; the invoker's */
    bool arming;                /* counted among those being armed; snapshot_arm.c's */
    bool ending;                /* its runtime has said that it ends now */
    bool fresh;                 /* has run no invocation yet */
    nsec_t created_at, exec_at; /* when it was asked for; when its runtime was started */
    nsec_t create_ns, init_ns;  /* making the sandbox; from exec, or from the wish to restore, to ready */
    nsec_t lease_end;
    struct loop_timer deadline, idle;
    struct loop_io log_io;
    int peak_fd, freezer_fd;
    char freeze_text[2][8];
    bool frozen;
    struct channel channel;  /* where the runtime has one */
    struct runtime_api *api; /* the Runtime API of this sandbox */
    struct acceptor endpoint;
    char last_id[37]; /* the invocation before: a second answer to it is told apart from an unknown one */
    struct function_log *log;
    struct buf log_pending; /* not yet in the log file */
    struct buf log_tail;    /* the end of the current invocation's log */
    char log_stream[64];
};

/* Asks the warden for a sandbox for `f`. It appears in m's list at once; events follow. `snapshot` as in struct instance. */
int instance_create(struct manager *m, struct function *f, struct snapshot *snapshot, enum instance_role role,
                    const struct instance_events *events, struct instance **ret, struct err *e);

/* ARMED -> RESTORING. */
void instance_restore(struct instance *i);

/* IDLE -> PREPARING: on_prepared follows. */
void instance_prepare_dump(struct instance *i);

/* Gives an invocation to the runtime: IDLE -> BUSY. */
struct runtime_call {
    const char *request_id, *client_context, *trace_id;
    const char *arn;
    int64_t deadline_ms; /* wall clock */
    const struct buf *payload;
};

void instance_invoke(struct instance *i, const struct runtime_call *call, uint32_t limit_ms);

/* Ends it: everything in the sandbox is killed. */
void instance_kill(struct instance *i);

void instance_set_deadline(struct instance *i, nsec_t due);
void instance_clear_deadline(struct instance *i);

/* Bytes: the most memory that the sandbox has used so far; 0 if unknown. */
uint64_t instance_memory_peak(const struct instance *i);

/* For the transports. */
void instance_set_state(struct instance *i, enum instance_state state);
void instance_on_ready(struct instance *i);

/* The warden's reports, for the handlers that main.c registers; ctx is struct manager. */
extern const struct warden_handlers instance_warden_handlers;

#endif
