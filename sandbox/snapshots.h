/*
 * The snapshots of an instance on disk: STATE/snapshots/ID/ has what criu wrote, `tmp` (tmp_files.h), for a third-party runtime
 * `connection` (tcp_end.h), `ends`, the old ends of the runtime's channel and log, and `template`, a template's plan (thaw.h), or why
 * there can be none. Only root writes there, because root's criu believes what it reads; the manager may read. What is restored
 * often is in the page cache: it needs no tmpfs of its own, and survives a restart of the machine.
 */
#ifndef FNRUN_SNAPSHOTS_H
#define FNRUN_SNAPSHOTS_H

#include "criu.h"
#include "state.h"

/* In a snapshot that only criu can restore: the reason. */
#define SNAPSHOTS_WHY_CRIU "why-criu"

/* Opens the directory of all snapshots and removes what an interrupted dump left. Returns its descriptor. */
int snapshots_open(const char *path, const struct state_ids *ids, struct err *e);

/* Opens one and reads its ends. Returns a descriptor of its directory. -ENOENT where there is none. */
int snapshots_use(int top, const char *id, struct criu_ends *ret_ends, struct err *e);

/* Makes an empty directory for a dump. Returns its descriptor. */
int snapshots_begin(int top, const char *id, struct err *e);

/* The dump is complete: from here on snapshots_use finds it. */
int snapshots_commit(int top, const char *id, const struct criu_ends *ends, struct err *e);

/* Removes one; also what snapshots_begin made. Fine where there is none. */
void snapshots_drop(int top, const char *id);

#endif
