/*
 * Whether a snapshot is still what was dumped. criu believes what it reads: a truncated page file restores a process that
 * crashes somewhere. So the manager keeps a stamp of each snapshot (names, sizes, times of all its files) and looks before each
 * use. It finds what was written, truncated, removed or replaced; not a disk that gives back other bytes than were written.
 */
#ifndef FNRUN_SNAPSHOT_STAMP_H
#define FNRUN_SNAPSHOT_STAMP_H

#include "../sandbox/base/err.h"

/* The manager's working directory is STATE/data; the warden keeps snapshots beside it, for root to write and us to read. */
#define SNAPSHOTS_DIR "../snapshots"

/* Remembers the snapshot as it is now, durably. */
int snapshot_stamp_keep(const char *id, struct err *e);

/* -EUCLEAN where it is not what was kept; -ENOENT where nothing was. */
int snapshot_stamp_check(const char *id, struct err *e);

void snapshot_stamp_drop(const char *id);

#endif
