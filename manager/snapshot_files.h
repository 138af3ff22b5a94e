/*
 * The files of a snapshot, as they were when it was dumped. criu believes what it reads: flipped bytes restore a process that goes
 * wrong somewhere. So all of them are summed when the snapshot is made, and once more before a manager uses it for the first time;
 * that is slow, and done in a child. From then on a look before each use is enough (inode, size, times; a microsecond a file):
 * whoever writes to a file changes its ctime, which nobody can put back.
 */
#ifndef FNRUN_SNAPSHOT_FILES_H
#define FNRUN_SNAPSHOT_FILES_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "../sandbox/base/err.h"

/* The manager's working directory is STATE/data; the warden keeps snapshots beside it, for root to write and us to read. */
#define SNAPSHOTS_DIR "../snapshots"

#define SNAPSHOT_FILES_MAX 1200 /* one for each thread that a sandbox may have, and some more */

struct snapshot_file {
    char name[64];
    char sha256[65]; /* hex */
    uint64_t bytes, inode;
    struct timespec mtime, ctime;
};

struct snapshot_files {
    struct err err; /* why they could not be read; code 0: all is here */
    uint64_t inode; /* of the directory */
    unsigned count;
    struct snapshot_file file[]; /* in the order of names */
};

/* Bytes for `count` files. */
size_t snapshot_files_size(unsigned count);

/* Reads and sums all files of the snapshot. `ret` has room for SNAPSHOT_FILES_MAX. Blocks: for a child. */
void snapshot_files_read(const char *id, struct snapshot_files *ret);

/* A copy that free() frees; NULL without memory. */
struct snapshot_files *snapshot_files_copy(const struct snapshot_files *f);

/* Do they have the same names and contents? Where not, *ret_which is the first that differs. */
bool snapshot_files_equal(const struct snapshot_files *a, const struct snapshot_files *b, const char **ret_which);

/* -EUCLEAN where one of them does not look any more as it did when it was read. Not for what snapshot_files_parse made. */
int snapshot_files_look(const char *id, const struct snapshot_files *f, struct err *e);

uint64_t snapshot_files_bytes(const struct snapshot_files *f);

/* [{"name","bytes","sha256"}, ...] and back; NULL where it is no such thing. */
cJSON *snapshot_files_describe(const struct snapshot_files *f);
struct snapshot_files *snapshot_files_parse(const cJSON *list);

#endif
