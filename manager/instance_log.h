/* The log of an instance: what its runtime writes, and the lines about it that the manager adds. */
#ifndef FNRUN_INSTANCE_LOG_H
#define FNRUN_INSTANCE_LOG_H

#include "instance.h"

#define LOG_TAIL_BYTES 4096

/* Chooses i->log_stream. */
void instance_name_log_stream(struct instance *i);

/* Reads the runtime's output from the pipe `fd`, which becomes the instance's. */
int instance_watch_log(struct instance *i, int fd, struct err *e);

/* Reads what the function has written so far. Call before writing the lines that close an invocation. */
void instance_drain_log(struct instance *i);
void instance_log(struct instance *i, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Puts what was logged into the log file. */
void instance_flush_log(struct instance *i);

#endif
