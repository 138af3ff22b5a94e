/*
 * What fnrun-warden and fnrun-init say to each other, over one SOCK_SEQPACKET pair per sandbox (base/msg.h).
 *
 * The warden queues INIT_SPEC before PID 1 exists. PID 1, first as the warden's forked child (child.h), then as
 * fnrun-init, answers INIT_STARTED or INIT_FAILED, and INIT_ENDED when the runtime is over. Where a
 * snapshot is to be restored, INIT_ARMED comes first, with the socket to the waiting criu (or, for a template, the runtime's channel end) and the manager's end, and
 * INIT_STARTED has the two listening sockets alone. The end of the
 * warden's side ends PID 1, and with it the sandbox.
 */
#ifndef FNRUN_INIT_H
#define FNRUN_INIT_H

#include <linux/filter.h>
#include <stdint.h>

#include "base/proto.h"

/* fnrun-init's descriptors at its start, beside /dev/null as 0, 1, 2. */
#define INIT_CONTROL_FD 3 /* the socket to the warden */
#define INIT_LOG_FD 4     /* write end of the pipe that becomes the runtime's stdout and stderr */
#define INIT_OOM_FD 5     /* PID 1's own oom_score_adj, opened for writing */

#define INIT_API_PORT 9001
#define INIT_AWS_PORT 9002
#define INIT_FILTER_MAX 2048 /* BPF instructions */

enum init_kind { INIT_SPEC = 1, INIT_STARTED, INIT_FAILED, INIT_ENDED, INIT_ARMED };

/* warden -> init; behind it `filter_count` struct sock_filter, then `strings_bytes` of argv and environment */
struct init_spec {
    uint32_t kind;
    uint32_t flags;    /* enum proto_create_flags */
    uint32_t uid;      /* the runtime's uid and gid */
    uint32_t init_uid; /* PID 1's, once the runtime runs */
    uint32_t argc, envc;
    uint32_t strings_bytes;
    uint32_t filter_count;
    uint32_t restored; /* nothing is started: criu, a child of PID 1, brings pid 2 */
};

#define INIT_SPEC_MAX (sizeof(struct init_spec) + INIT_FILTER_MAX * sizeof(struct sock_filter) + PROTO_STRINGS_MAX)

/* init -> warden; with it come the listening sockets of Runtime API and AWS endpoint and, with PROTO_WITH_CHANNEL, the manager's channel end */
struct init_started {
    uint32_t kind;
};

struct init_failed {
    uint32_t kind;
    int32_t code;       /* errno */
    uint32_t add_errno; /* the text lacks its words: fnrun-init has no strerror */
    char text[400];
};

struct init_ended {
    uint32_t kind;
    int32_t wait_status; /* of the runtime, as waitpid gives it */
};

/* What the warden receives. */
union init_report {
    uint32_t kind;
    struct init_started started;
    struct init_failed failed;
    struct init_ended ended;
};

#endif
