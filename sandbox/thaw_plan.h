/*
 * The plan of a template (thaw.h): the file `template` of a snapshot, a head and its parts. compile.c writes it from criu's images,
 * fnrun-thaw reads it without a C library. Numbers are in the machine's own byte order: a snapshot is of one machine and one
 * build.
 */
#ifndef FNRUN_THAW_PLAN_H
#define FNRUN_THAW_PLAN_H

#include <linux/prctl.h>
#include <stdint.h>

#define THAW_FILE "template"
#define THAW_MAGIC 0x776168746e7266ULL
#define THAW_PLAN_MAX (1U << 20)
#define THAW_THREADS_MAX 128
#define THAW_FILES_MAX 512 /* distinct open files */

/* Where fnrun-thaw itself lies (Makefile): far from where a kernel puts anything. A runtime with memory there is left to criu. */
#define THAW_BASE 0x100000000000ULL
#define THAW_END (THAW_BASE + (8U << 20))

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

#endif
