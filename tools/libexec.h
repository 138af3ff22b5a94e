/* fnrun's other programs: where they are, and running one. */
#ifndef FNRUN_LIBEXEC_H
#define FNRUN_LIBEXEC_H

#include "../sandbox/base/buf.h"

/* Adds the path of the directory that holds fnrun-warden and the rest: this program's own (a build tree) or
 * ../libexec/fnrun beside it (installed). -ENOENT if it is in neither. */
int libexec_find(struct buf *ret, struct err *e);

/* Becomes argv[0] (a path). Returns only on failure. */
int libexec_exec(char *const *argv, struct err *e);

/* Runs argv[0] (a path) with `environment` or, where NULL, this process's own, and adds what it prints on standard
 * output to `ret`. Its exit status is returned. Blocks until it ends. */
int libexec_read(char *const *argv, char *const *environment, struct buf *ret, struct err *e);

#endif
