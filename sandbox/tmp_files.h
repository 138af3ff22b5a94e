/*
 * What a function's init left in /tmp, kept with its snapshot: /tmp is a mount of each sandbox, which criu leaves alone. Kept are
 * directories, files, symbolic links and FIFOs with mode and (but for directories) time; a file's second name becomes a second
 * file. Sockets are criu's business.
 *
 * Called by the warden's forked children inside a sandbox, as root. Both act on /tmp with the function's uid: it owns all that is
 * there, and may change it at any time.
 */
#ifndef FNRUN_TMP_FILES_H
#define FNRUN_TMP_FILES_H

#include <sys/types.h>

#include "base/err.h"

/* More than this is refused: each armed sandbox has a copy, in memory. */
#define TMP_FILES_MAX ((off_t)64 << 20)

/* Writes /tmp into the snapshot's directory `dir`. -EFBIG where there is too much. Changes the working directory. */
int tmp_files_save(uid_t uid, int dir, struct err *e);

/* Fills the empty /tmp of a new sandbox. */
int tmp_files_restore(uid_t uid, int dir, struct err *e);

#endif
