/*
 * The log of a daemon: one line per event on standard error, which systemd's journal or the terminal takes.
 * Lines begin with a syslog priority ("<3>") when $JOURNAL_STREAM is set, with the program's name otherwise.
 */
#ifndef FNRUN_LOG_H
#define FNRUN_LOG_H

#include "macros.h"

enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARN = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

/* Names the program and the highest level that is written. Call once, before anything else. */
void log_init(const char *program, enum log_level highest);

void log_write(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
