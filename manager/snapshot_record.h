/* What the manager keeps of each snapshot from one life to the next, in data/snapshots/ID: whose it is, when it was made, its files. */
#ifndef FNRUN_SNAPSHOT_RECORD_H
#define FNRUN_SNAPSHOT_RECORD_H

#include "../sandbox/base/clock.h"
#include "function.h"
#include "snapshot_files.h"

#define RECORDS_DIR "snapshots"

struct snapshot_record {
    char function[FUNCTION_NAME_MAX + 1];
    nsec_t made_at, used_at; /* wall clock */
    struct snapshot_files *files;
};

/* Writes it durably: blocks, for a child. */
int snapshot_record_write(const char *id, const struct snapshot_record *r, struct err *e);

/* -ENOENT where there is none. The caller frees ret->files. */
int snapshot_record_read(const char *id, struct snapshot_record *ret, struct err *e);

/* It is used now. */
void snapshot_record_touch(const char *id);

void snapshot_record_remove(const char *id);

#endif
