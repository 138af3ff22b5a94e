/*
 * An instance: one sandbox with one runtime in it, from the manager's side. It knows the sandbox's descriptors, its
 * state, its log, and the transport that its runtime speaks (channel.c or runtime_api.c). Which invocation goes to
 * which instance is the invoker's business; the instance reports to it through struct instance_events.
 *
 *     CREATING -> INIT -> IDLE <-> BUSY -> DYING -> (freed)
 *
 * RETURNING is a third-party runtime that has answered but not yet asked for the next invocation.
 */
#ifndef FNRUN_INSTANCE_H
#define FNRUN_INSTANCE_H

#include "../sandbox/base/list.h"
#include "../sandbox/base/msg.h"
#include "../sandbox/base/proto.h"
#include "acceptor.h"
#include "channel_io.h"
#include "function.h"
#include "log_store.h"
#include "manager.h"

enum instance_state {
    INSTANCE_CREATING, /* the warden is making the sandbox */
    INSTANCE_INIT,     /* the runtime runs and has not said that it is ready */
    INSTANCE_IDLE,
    INSTANCE_BUSY,
    INSTANCE_RETURNING,
    INSTANCE_DYING, /* killed or broken: waiting for the warden to say that all is gone */
};

struct invocation;
struct instance;

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
    void (*on_deadline)(struct instance *i); /* the time given to instance_set_deadline is over */
};

struct runtime_api;

struct instance {
    struct list_node link; /* in its pool */
    struct list_node all;  /* in the manager's list of all instances */
    struct manager *m;
    const struct instance_events *events;
    struct function *f;
    uint64_t sandbox;
    enum instance_state state;
    struct invocation *current; /* the invoker's: what it is BUSY with */
    bool retired;               /* ends as soon as it is free */
    bool init_reported;         /* an init error was delivered already */
    bool init_extended;         /* its init may use the function's own time now; the invoker's */
    bool starting;              /* counted among its pool's starts; the invoker's */
    bool ending;                /* its runtime has said that it ends now */
    bool fresh;                 /* has run no invocation yet */
    nsec_t created_at, exec_at; /* when it was asked for; when its runtime was started */
    nsec_t create_ns, init_ns;  /* making the sandbox; from exec to ready */
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

/* Asks the warden for a sandbox for `f`. It appears in m's list at once; events follow. */
int instance_create(struct manager *m, struct function *f, const struct instance_events *events, struct instance **ret,
                    struct err *e);

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

/* Reads what the function has written so far. Call before writing the lines that close an invocation. */
void instance_drain_log(struct instance *i);
void instance_log(struct instance *i, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Puts what was logged into the log file. */
void instance_flush_log(struct instance *i);

/* For the transports. */
void instance_set_state(struct instance *i, enum instance_state state);
void instance_on_ready(struct instance *i);

/* The warden's reports, for the handlers that main.c registers; ctx is struct manager. */
extern const struct warden_handlers instance_warden_handlers;

#define LOG_TAIL_BYTES 4096

#endif
