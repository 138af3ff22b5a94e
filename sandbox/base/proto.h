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
 * After CREATED the manager may send KILL, LEASE and CPU any number of times; for an id that is already gone they
 * are ignored (EXITED was under way). FAILED and EXITED end the id.
 */
#ifndef FNRUN_PROTO_H
#define FNRUN_PROTO_H

#include <stdint.h>

#define PROTO_VERSION 1

/* Descriptors of fnrund at its start, passed by the warden. */
#define PROTO_WARDEN_FD 3 /* the SEQPACKET socket */
#define PROTO_LISTEN_FD 4 /* the API's listening TCP socket */

#define PROTO_NAME_MAX 64       /* an image's or a bootstrap's name, with its NUL */
#define PROTO_IMAGE_DIGEST 17   /* 16 hex digits and a NUL */
#define PROTO_CODE_DIGEST 65    /* 64 hex digits and a NUL */
#define PROTO_STRINGS_MAX 32768 /* argv and environment together, bytes */
#define PROTO_ARGV_MAX 16
#define PROTO_ENV_MAX 640                               /* the 4 KB of a configuration hold 511 at most, and ours */
#define PROTO_LEASE_MAX_MS (15 * 60 * 1000 + 15 * 1000) /* 15 minutes of function, 10 s of init, 5 s of slack */

enum proto_kind {
    PROTO_CREATE = 1, /* manager -> warden: struct proto_create, then the strings */
    PROTO_KILL,       /* manager -> warden: struct proto_header */
    PROTO_LEASE,      /* manager -> warden: struct proto_lease */
    PROTO_CPU,        /* manager -> warden: struct proto_cpu */
    PROTO_CREATED,    /* warden -> manager: struct proto_created with descriptors, see below */
    PROTO_FAILED,     /* warden -> manager: struct proto_failed */
    PROTO_EXITED,     /* warden -> manager: struct proto_exited */
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
    uint32_t strings_bytes; /* argc + envc strings follow, each with its NUL */
};

struct proto_lease {
    struct proto_header header;
    uint32_t lease_ms; /* from now; 0: none (the sandbox is idle: nothing runs on anybody's behalf) */
};

struct proto_cpu {
    struct proto_header header;
    uint32_t cpu_millis;
};

/*
 * Descriptors that come with CREATED, in this order, all the manager's to close:
 *   log     read end of the pipe behind the runtime's stdout and stderr
 *   peak    read-only memory peak of the sandbox: pread at 0 gives bytes as decimal text
 *   freezer write proto_created.freeze_text[1] to freeze, [0] to thaw, at offset 0
 *   api     listening TCP socket on 127.0.0.1:9001 inside the sandbox (the Runtime API)
 *   aws     listening TCP socket on 127.0.0.1:9002 inside the sandbox (the function's AWS endpoint)
 *   channel the manager's end of the channel; only with PROTO_WITH_CHANNEL
 */
enum proto_created_fd { PROTO_FD_LOG, PROTO_FD_PEAK, PROTO_FD_FREEZER, PROTO_FD_API, PROTO_FD_AWS, PROTO_FD_CHANNEL };

struct proto_created {
    struct proto_header header;
    int64_t create_ns;      /* from receiving CREATE to the runtime's exec */
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
