/*
 * A template: a process that has a snapshot's memory, and from which instances are forked. It is the program fnrun-thaw.
 *
 * compile.c makes the plan from what criu dumped, once, at the dump: the file `template` beside criu's images. A template reads
 * it and the pages, and becomes a process with the runtime's memory at the runtime's addresses, beside its own code. Nothing of
 * the function ever runs in it. For each instance it forks a child into a waiting sandbox; the child gets the runtime's
 * descriptors, threads, ids and system call filter and goes on where the runtime was dumped. Memory that an instance doesn't
 * write to stays shared by all of them, and costs no time to make: the kernel copies page tables only.
 *
 * This file is the plan's form, read by fnrun-thaw without a C library, and what it and the warden say to each other. All numbers
 * are in the machine's own byte order: a snapshot is of one machine and one build.
 */
#ifndef FNRUN_THAW_H
#define FNRUN_THAW_H

#include <linux/filter.h>
#include <linux/prctl.h>
#include <stdint.h>

#define THAW_FILE "template"
#define THAW_MAGIC 0x776168746e7266ULL
#define THAW_PLAN_MAX (1U << 20)
#define THAW_THREADS_MAX 128
#define THAW_FILES_MAX 512 /* distinct open files */
#define THAW_FILTER_MAX 2048

/* Where fnrun-thaw itself lies (Makefile): far from where a kernel puts anything. A runtime with memory there is left to criu. */
#define THAW_BASE 0x100000000000ULL
#define THAW_END (THAW_BASE + (8U << 20))

/* fnrun-thaw's descriptors at its start, beside /dev/null as 0, 1, 2. */
#define THAW_CONTROL_FD 3
#define THAW_PLAN_FD 4
#define THAW_PAGES_FD 5

/* A part of the plan: `count` things of one kind, `offset` bytes from its start. */
struct thaw_part {
    uint32_t offset, count;
};

enum thaw_parts {
    THAW_AREAS,   /* struct thaw_area, by address */
    THAW_PAGES,   /* struct thaw_pages, in the order of the pages file */
    THAW_FILES,   /* struct thaw_file */
    THAW_FDS,     /* struct thaw_fd */
    THAW_WATCHES, /* struct thaw_watch, by epoll */
    THAW_ACTIONS, /* struct thaw_action */
    THAW_LIMITS,  /* struct thaw_limit, by resource */
    THAW_THREADS, /* struct thaw_thread, the main one first */
    THAW_AUXV,    /* uint64_t */
    THAW_STRINGS, /* char */
    THAW_PARTS
};

struct thaw_plan {
    uint64_t magic;
    uint32_t bytes; /* of all of it */
    uint32_t uid, umask, thp_disabled, membarrier;
    uint32_t cwd, exe; /* strings */
    struct prctl_mm_map mm;
    struct thaw_part part[THAW_PARTS];
};

enum thaw_area_kind { THAW_MEMORY, THAW_MAPPED_FILE, THAW_VDSO, THAW_VVAR };

struct thaw_area {
    uint64_t start, end, offset; /* offset: in the file */
    uint32_t kind, prot, flags;  /* flags: MAP_* */
    uint32_t path;               /* string; of a file */
    uint64_t advice;             /* a bit for each MADV_* */
};

struct thaw_pages {
    uint64_t start, count; /* start 0: they are passed over, being the kernel's */
};

enum thaw_file_kind { THAW_REGULAR, THAW_LOG, THAW_CHANNEL, THAW_PIPE, THAW_EVENTFD, THAW_EPOLL };

struct thaw_file {
    uint32_t kind, flags;          /* flags: O_*, EFD_* */
    uint64_t value;                /* position, counter; of a pipe, its other end's index + 1, or 0 */
    uint32_t path;                 /* string; of a regular one */
    uint32_t first_watch, watches; /* of an epoll */
    uint32_t bytes;                /* of a pipe: how many wait in it, at `path` */
};

struct thaw_fd {
    uint32_t fd, file, flags; /* file: index; flags: FD_CLOEXEC */
};

struct thaw_watch {
    uint32_t fd, events;
    uint64_t data;
};

struct thaw_action {
    uint64_t signo, handler, flags, restorer, mask;
};

struct thaw_limit {
    uint64_t current, maximum;
};

/* What rt_sigreturn takes; arch/x86/include/uapi/asm/sigcontext.h and ucontext.h, which don't go together with the C library's. */
struct thaw_frame {
    uint64_t flags, link;
    uint64_t stack;
    uint32_t stack_flags, pad;
    uint64_t stack_size;
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15, di, si, bp, bx, dx, ax, cx, sp, ip, eflags;
    uint16_t cs, gs, fs, ss;
    uint64_t error, trap, old_mask, cr2;
    uint64_t fpu; /* offset among the strings; fnrun-thaw makes it an address */
    uint64_t reserved[8];
    uint64_t mask;
};

struct thaw_thread {
    uint64_t clear_tid, robust_list, rseq, fs_base, gs_base;
    uint32_t tid, robust_size, rseq_size, rseq_signature;
    char name[16];
    struct thaw_frame frame;
};

/* --- warden <-> fnrun-thaw, one SOCK_SEQPACKET pair ----------------------------------------------------------------------- */

enum thaw_kind { THAW_SPEC = 1, THAW_LOADED, THAW_FORK, THAW_FORKED };

/* warden -> template, the first message; `filter_count` struct sock_filter follow */
struct thaw_spec {
    uint32_t kind, filter_count;
};

/* template -> warden: it has loaded its snapshot, or can't (code != 0; it ends then) */
struct thaw_answer {
    uint32_t kind;
    int32_t code;     /* errno */
    uint64_t sandbox; /* of THAW_FORKED */
    char what[64];    /* what failed */
};

enum thaw_fork_fd { THAW_FD_PID1, THAW_FD_LOG, THAW_FD_CHANNEL, THAW_FD_DOORS };

/* warden -> template, with descriptors: a pidfd of the sandbox's PID 1, the log's write end, the runtime's end of the channel, the
 * cgroup's doors. Answered with THAW_FORKED: by the instance itself when it runs, or by the template when it can't be made. */
struct thaw_fork {
    uint32_t kind;
    uint32_t clones_into; /* the one door is for CLONE_INTO_CGROUP (cgroup.h) */
    uint64_t sandbox;
};

#endif
