/*
 * A template: a process that has a snapshot's memory, and from which instances are forked. It is the program fnrun-thaw.
 *
 * compile.c makes the plan from what criu dumped, once, at the dump: the file `template` beside criu's images. A template reads
 * it and the pages, and becomes a process with the runtime's memory at the runtime's addresses, beside its own code. Nothing of
 * the function ever runs in it. For each instance it forks a child into a waiting sandbox; the child gets the runtime's
 * descriptors, threads, ids and system call filter and goes on where the runtime was dumped. Memory that an instance doesn't
 * write to stays shared by all of them, and costs no time to make: the kernel copies page tables only.
 *
 * This file is what fnrun-thaw and the warden say to each other, over one SOCK_SEQPACKET pair. thaw_plan.h is the plan's form.
 */
#ifndef FNRUN_THAW_H
#define FNRUN_THAW_H

#include <linux/filter.h>
#include <stdint.h>

#define THAW_FILTER_MAX 2048 /* BPF instructions */

/* fnrun-thaw's descriptors at its start, beside /dev/null as 0, 1, 2. */
#define THAW_CONTROL_FD 3
#define THAW_PLAN_FD 4
#define THAW_PAGES_FD 5

enum thaw_kind { THAW_SPEC = 1, THAW_LOADED, THAW_FORK, THAW_FORKED };

/* warden -> template, the first message; `filter_count` struct sock_filter follow */
struct thaw_spec {
    uint32_t kind, filter_count;
};

/* template -> warden: it has loaded its snapshot, or can't (code != 0; it ends then) */
struct thaw_answer {
    uint32_t kind;
    int32_t code;     /* errno */
    uint64_t sandbox; /* of THAW_FORKED: as in the question */
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
