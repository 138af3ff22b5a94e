/* What criu would leave out of a snapshot without a word. Called by dump.c's child inside the sandbox. */
#ifndef FNRUN_DUMP_CHECK_H
#define FNRUN_DUMP_CHECK_H

#include "base/err.h"

/* criu dumps pid 2 and its descendants: -EBUSY where there is another process, which lost its parent. */
int dump_check_processes(struct err *e);

#endif
