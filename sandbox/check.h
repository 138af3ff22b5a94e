/*
 * Is a message from fnrund valid? Pure: looks at nothing but the bytes. What passes may be cast to the struct of its kind, and
 * every name in it is a plain file name.
 */
#ifndef FNRUN_CHECK_H
#define FNRUN_CHECK_H

#include <stddef.h>

#include "base/err.h"

/* `data` must be aligned for any struct of proto.h. -EPROTO says that the manager is broken or hostile. */
int check_message(const void *data, size_t size, unsigned fd_count, struct err *e);

#endif
