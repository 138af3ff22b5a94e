/* An instance: what a fork of the template does until it is the runtime that was dumped. */
#ifndef FNRUN_THAW_INSTANCE_H
#define FNRUN_THAW_INSTANCE_H

#include "init_drop.h"
#include "thaw.h"

/* The template's part: the filter of every instance. Copied. */
void thaw_set_filter(const struct sock_filter *filter, uint32_t count);

/* Answers over THAW_CONTROL_FD and becomes the runtime; never returns. `fd` are those that came with `m`. */
void thaw_become(const struct thaw_fork *m, const int *fd, unsigned fds) __attribute__((noreturn));

/* Tells the warden: of one that failed, or runs. */
void thaw_answer(int control, enum thaw_kind kind, uint64_t sandbox, const struct init_failure *f);

#endif
