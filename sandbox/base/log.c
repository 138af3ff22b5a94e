#include "log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *log_program = "fnrun";
static enum log_level log_highest = LOG_LEVEL_INFO;
static bool log_to_journal;

void log_init(const char *program, enum log_level highest)
{
    log_program = program;
    log_highest = highest;
    log_to_journal = getenv("JOURNAL_STREAM") != NULL;
}

void log_write(enum log_level level, const char *fmt, ...)
{
    char line[1024];
    va_list ap;
    int n, m;

    if (level > log_highest)
        return;
    n = log_to_journal ? snprintf(line, sizeof(line), "<%d>", (int)level)
                       : snprintf(line, sizeof(line), "%s: ", log_program);
    va_start(ap, fmt);
    m = vsnprintf(line + n, sizeof(line) - (size_t)n, fmt, ap);
    va_end(ap);
    n = m < 0 ? n : MIN(n + m, (int)sizeof(line) - 2);
    line[n++] = '\n';
    /* One write per line keeps lines of several processes whole. Nothing can be done where it fails. */
    if (write(STDERR_FILENO, line, (size_t)n) < 0)
        return;
}
