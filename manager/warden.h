/* fnrund's end of the socket to the warden: requests out, reports in. Message formats: sandbox/base/proto.h. */
#ifndef FNRUN_WARDEN_H
#define FNRUN_WARDEN_H

#include "../sandbox/base/buf.h"
#include "../sandbox/base/loop.h"
#include "../sandbox/base/msg.h"
#include "../sandbox/base/proto.h"

struct warden;

/* Called for each message about a sandbox. `fds` come with CREATED: what is to be kept must be taken. */
struct warden_handlers {
    void (*on_created)(void *ctx, const struct proto_created *m, struct msg_fds *fds);
    void (*on_armed)(void *ctx, const struct proto_created *m, struct msg_fds *fds);
    void (*on_dumped)(void *ctx, const struct proto_failed *m);
    void (*on_failed)(void *ctx, const struct proto_failed *m);
    void (*on_exited)(void *ctx, const struct proto_exited *m);
};

/* `fd` becomes the warden's. When the warden closes its end, the loop is stopped: nobody is left to work for. */
int warden_open(struct loop *loop, int fd, const struct warden_handlers *handlers, void *ctx, struct warden **ret,
                struct err *e);

/* `m` with header.sandbox and all fields set but header's others; `strings` as proto.h says. */
int warden_create_sandbox(struct warden *w, struct proto_create *m, const char *strings, struct err *e);

void warden_kill(struct warden *w, uint64_t sandbox);
void warden_lease(struct warden *w, uint64_t sandbox, uint32_t lease_ms);
/* Restores what an armed sandbox was made for. */
void warden_restore(struct warden *w, uint64_t sandbox, uint32_t lease_ms);
/* `connection` is what the runtime waits on, with its request; -1 where it has a channel. */
void warden_dump(struct warden *w, uint64_t sandbox, const char *snapshot, int connection, const struct buf *request);
void warden_drop_snapshot(struct warden *w, const char *snapshot);
void warden_cpu(struct warden *w, uint64_t sandbox, uint32_t cpu_millis);

#endif
