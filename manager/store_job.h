/*
 * The slow part of a write: filling a file from others, summing it, syncing it to the disk. A large one is done by a
 * child process, so that a big upload holds up no invocation.
 */
#ifndef FNRUN_STORE_JOB_H
#define FNRUN_STORE_JOB_H

#include <sys/types.h>

#include "store_digest.h"
#include "store_file.h"
#include "worker.h"

/* A piece of another file, to be appended. */
struct job_piece {
    char file[STORE_ID_SIZE];
    uint64_t offset, size;
};

struct job_result {
    struct err err; /* code 0: all went well */
    unsigned char md5[MD5_BYTES];
    unsigned char checksum[CHECKSUM_BYTES_MAX];
};

/* Lives in the owner's struct. The first group is the owner's to set; what it points at must live until `done`. */
struct job {
    struct store *store;
    int fd; /* the file to finish */
    const struct job_piece *pieces;
    size_t piece_count;
    bool md5;               /* to be taken over the whole file */
    enum checksum checksum; /* likewise */
    void (*done)(struct job *j, const struct job_result *result);

    struct worker worker;
};

/* Begins a job over `bytes` bytes; a small one is finished here, and `done` is called before this returns. */
int job_start(struct job *j, uint64_t bytes, struct err *e);

/* Ends a job that is under way; `done` will not be called. Harmless otherwise. */
void job_cancel(struct job *j);

#endif
