/*
 * Messages between fnrund (the manager, no privilege) and fnrun-warden (root), over one SOCK_SEQPACKET pair.
 *
 * Every message is a struct of this file, in the machine's own byte order: both ends come from one build, and the
 * warden refuses another PROTO_VERSION. The manager names nothing by path. The warden checks every field and trusts
 * none; a message that is not valid ends the manager (a manager that sends one is broken or taken over), while a
 * sandbox that cannot be made is an ordinary PROTO_FAILED.
 *
 * A sandbox is named by an id that the manager chooses and never uses twice in its life. Its life on the wire:
 *     CREATE -> CREATED (the runtime has been exec'd) or FAILED -> ... -> EXITED (all is gone: processes, cgroup)
 * and with a snapshot, where nothing of the function runs until RESTORE:
 *     CREATE -> ARMED -> RESTORE -> CREATED (the runtime has been restored) or FAILED -> ... -> EXITED
 * After CREATED the manager may send KILL, LEASE and CPU any number of times; for an id that is already gone they
 * are ignored (EXITED was under way). FAILED and EXITED end the id.
 */
#ifndef FNRUN_PROTO_H
#define FNRUN_PROTO_H

#include <stdint.h>

#include "proto_limits.h"

#define PROTO_VERSION 2

enum proto_kind {
    PROTO_CREATE = 1, /* manager -> warden: struct proto_create, then the strings */
    PROTO_KILL,       /* manager -> warden: struct proto_header */
    PROTO_LEASE,      /* manager -> warden: struct proto_number */
    PROTO_CPU,        /* manager -> warden: struct proto_number */
    PROTO_RESTORE,    /* manager -> warden: struct proto_number; what is ARMED runs from here on */
    PROTO_DUMP,       /* manager -> warden: struct proto_dump, then the request; with a descriptor where there is one */
    PROTO_DROP,       /* manager -> warden: struct proto_dump, sandbox 0: removes that snapshot */
    PROTO_CREATED,    /* warden -> manager: struct proto_created with descriptors, see below */
    PROTO_FAILED,     /* warden -> manager: struct proto_failed */
    PROTO_EXITED,     /* warden -> manager: struct proto_exited */
    PROTO_ARMED,      /* warden -> manager: struct proto_created with descriptors; the later CREATED has none */
    PROTO_DUMPED,     /* warden -> manager: struct proto_failed; code 0: the snapshot is there */
};

struct proto_header {
    uint32_t version;
    uint32_t kind;
    uint64_t sandbox;
};

enum proto_create_flags {
    PROTO_WITH_CHANNEL = 1, /* a bootstrap of ours: the runtime gets CHANNEL_FD */
};

struct proto_create {
    struct proto_header header;
    uint32_t flags;
    uint32_t uid_index;         /* the function's own uid = the block's first uid + 2 + this */
    char image[PROTO_NAME_MAX]; /* IMAGES/image/image_digest/rootfs becomes / */
    char image_digest[PROTO_IMAGE_DIGEST];
    char code_digest[PROTO_CODE_DIGEST]; /* data/code/code_digest/tree becomes /var/task */
    char runtime_dir[PROTO_NAME_MAX];    /* runtimes/runtime_dir becomes /var/runtime; "" for none */
    uint64_t memory_bytes;               /* hard limit */
    uint64_t tmp_bytes;                  /* size of /tmp */
    uint32_t cpu_millis;                 /* CPU time per second of wall time, in ms; 1000 is one CPU */
    uint32_t lease_ms;                   /* kill after this, unless a LEASE moves it; 1..PROTO_LEASE_MAX_MS */
    uint32_t argc, envc;
    char snapshot[PROTO_SNAPSHOT_ID]; /* restore this one instead of starting argv; "": none */
    uint32_t strings_bytes;           /* argc + envc strings follow, each with its NUL */
};

/* LEASE, RESTORE: kill after so many ms from now, unless a LEASE moves it; 0: never (idle: nothing runs on anybody's behalf).
 * CPU: CPU time per second of wall time, in ms. */
struct proto_number {
    struct proto_header header;
    uint32_t value;
};

/* Dumps the runtime of a sandbox, which runs on, as snapshot `id`; one of that id that is there is replaced. A runtime without
 * channel waits for the answer to its last request: that follows, and the manager's end of the connection comes with it. */
struct proto_dump {
    struct proto_header header;
    char id[PROTO_SNAPSHOT_ID];
    uint32_t request_bytes;
};

/* Descriptors that come with CREATED, or ARMED, in this order; all the manager's to close. */
enum proto_created_fd {
    PROTO_FD_LOG,     /* read end of the pipe behind the runtime's stdout and stderr */
    PROTO_FD_PEAK,    /* memory peak of the sandbox: pread at 0 gives bytes as decimal text */
    PROTO_FD_FREEZER, /* pwrite proto_created.freeze_text[1] at 0 to freeze, [0] to thaw */
    PROTO_FD_API,     /* listening TCP socket on 127.0.0.1:9001 inside the sandbox: the Runtime API */
    PROTO_FD_AWS,     /* the same on 127.0.0.1:9002: the function's AWS endpoint */
    PROTO_FD_CHANNEL, /* the manager's end of the channel, with PROTO_WITH_CHANNEL; or, with ARMED, of what proto_dump says */
};

struct proto_created {
    struct proto_header header;
    int64_t create_ns;      /* from CREATE to the runtime's exec, or until it is armed; from RESTORE to the runtime */
    char freeze_text[2][8]; /* "0","1" on cgroup v2; "THAWED","FROZEN" on v1 */
};

struct proto_failed {
    struct proto_header header;
    int32_t code; /* errno */
    char text[400];
};

enum proto_exit_cause {
    PROTO_EXIT_STATUS = 1, /* the runtime ended by itself: `value` is its exit status */
    PROTO_EXIT_SIGNAL,     /* the runtime died of signal `value` */
    PROTO_EXIT_KILLED,     /* PROTO_KILL */
    PROTO_EXIT_LEASE,      /* the lease ran out */
};

struct proto_exited {
    struct proto_header header;
    uint32_t cause;
    int32_t value;
    uint32_t oom_kills;   /* how often the kernel killed a process in it for memory */
    uint64_t memory_peak; /* bytes */
    uint64_t cpu_ns;
};

#endif
