/* What the files of the module share: snapshot.c has its states. Nobody else includes this. */
#ifndef FNRUN_SNAPSHOT_PART_H
#define FNRUN_SNAPSHOT_PART_H

#include "snapshot.h"

/* --- snapshot.c --- */

/* There will be none: functions start cold. */
void snapshot_give_up(struct snapshot *s, const char *why);

/* Removes what there is, in whatever state: NONE. */
void snapshot_throw_away(struct snapshot *s, const char *why);

/* --- snapshot_make.c --- */

/* Starts an instance that makes it: MAKING, or UNUSABLE. */
void snapshot_start_maker(struct snapshot *s);

/* --- snapshot_check.c --- */

/* It has been dumped: MAKING becomes READY when its files are summed. */
void snapshot_sum(struct snapshot *s);

/* Is there one on the disk, as far as can be seen without reading it? */
void snapshot_find(struct snapshot *s);

/* FOUND -> CHECKING. False where that can't be. */
bool snapshot_check(struct snapshot *s);

/* Is it READY, and do its files look as they did? Where not, it is thrown away. */
bool snapshot_is_intact(struct snapshot *s);

/* --- snapshot_disk.c --- */

/* Throws away what was unused for longest until all that are left fit into --snapshot-disk-mb. False where `newest` alone does not. */
bool snapshot_make_room(struct manager *m, const struct snapshot *newest);

/* --- snapshot_arm.c --- */

void snapshots_init_arming(struct snapshots *all);

/* It is ready: the first one is armed. */
void snapshot_arm_first(struct snapshot *s);

/* Ends all that are armed. */
void snapshot_disarm(struct snapshot *s);

#endif
