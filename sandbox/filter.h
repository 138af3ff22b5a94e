/*
 * The system call filter of every function: an allow-list (filter.def) that libseccomp compiles once, in the warden.
 */
#ifndef FNRUN_FILTER_H
#define FNRUN_FILTER_H

#include "base/buf.h"

/* Appends the BPF program (an array of struct sock_filter) to `out`. */
int filter_compile(struct buf *out, struct err *e);

#endif
