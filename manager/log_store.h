/*
 * Function logs: data/logs/NAME.log, appended to. Past LOG_FILE_MAX the file is cut at its front: the newest part stays.
 * Offsets count from the first byte ever written, so a reader that follows survives the cut.
 */
#ifndef FNRUN_LOG_STORE_H
#define FNRUN_LOG_STORE_H

#include <stdint.h>

#include "../sandbox/base/buf.h"
#include "../sandbox/base/err.h"

struct function_log;

/* The open log of a function (made if absent); one per name, shared; release with log_close. */
int log_open(const char *function_name, struct function_log **ret, struct err *e);
void log_close(struct function_log *log);

void log_append(struct function_log *log, const void *data, size_t size);

/* Reads up to `max` bytes from `offset` (negative: that many bytes before the end) into `out`; *ret_next is where to go
 * on. */
int log_read(struct function_log *log, int64_t offset, size_t max, struct buf *out, int64_t *ret_next, struct err *e);

/* Removes a deleted function's log. */
void log_remove(const char *function_name);

#endif
