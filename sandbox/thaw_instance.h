/* An instance: what a fork of the template does until it is the runtime that was dumped. */
#ifndef FNRUN_THAW_INSTANCE_H
#define FNRUN_THAW_INSTANCE_H

#include "init_drop.h"
#include "thaw.h"

/* Descriptors that came with a THAW_FORK. */
struct thaw_ends {
    int log, channel; /* channel: -1 where there is none */
};

/* The template's part: the filter of every instance. Copied. */
void thaw_set_filter(const struct sock_filter *filter, uint32_t count);

/* Answers over THAW_CONTROL_FD and becomes the runtime; never returns. */
void thaw_become(const struct thaw_fork *m, const struct thaw_ends *ends) __attribute__((noreturn));

/* Tells the warden: of one that failed, or runs. */
void thaw_answer(int control, enum thaw_kind kind, uint64_t sandbox, const struct init_failure *f);

#endif
