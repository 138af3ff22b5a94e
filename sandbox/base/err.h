/*
 * One error value for all of fnrun. It owns no memory and may be copied.
 *
 * A function that can fail takes `struct err *e` as its last parameter and returns a negative value, always
 * -e->code, when it fails. Text grows on the way up, outermost first:
 *     "create sandbox 42: cgroup: open memory.max: No such file or directory"
 * Only the top layer logs it; one failure is one line.
 */
#ifndef FNRUN_ERR_H
#define FNRUN_ERR_H

#include "macros.h"

struct err {
    int code; /* an errno value, > 0; 0 means no error */
    char msg[512];
};

/* Sets code and text; returns -code. A code of 0 is stored as EIO, so that a failure can't look like success. */
int err_set(struct err *e, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* As err_set with code = errno, and ": strerror(errno)" behind the text. Returns -errno. */
int err_errno(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Puts "text: " before what *e says; returns -e->code. */
int err_wrap(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
