/* What the parts of compile.c share: the plan as it grows. */
#ifndef FNRUN_COMPILE_PART_H
#define FNRUN_COMPILE_PART_H

#include "base/buf.h"
#include "criu.h"
#include "criu_images.pb-c.h"
#include "thaw_plan.h"

struct compile {
    int dir; /* the snapshot's directory */
    const struct criu_ends *ends;
    uid_t uid;
    struct thaw_plan head;
    struct buf part[THAW_PARTS];
    CriuFile *file[THAW_FILES_MAX]; /* all of criu's open files */
    unsigned files;
    uint32_t tids[THAW_THREADS_MAX];
    unsigned threads;
};

/* Each adds its part. -ENOTSUP as compile_template. */
int compile_memory(struct compile *c, struct err *e);
int compile_files(struct compile *c, struct err *e);
int compile_threads(struct compile *c, struct err *e);

/* Appends one thing to a part. */
int compile_add(struct compile *c, enum thaw_parts part, const void *thing, size_t size, struct err *e);

/* Where the bytes are among the strings from now on. */
int compile_bytes(struct compile *c, const void *data, size_t size, uint32_t *ret_offset, struct err *e);
int compile_string(struct compile *c, const char *text, uint32_t *ret_offset, struct err *e);

/* A regular file by criu's id; NULL with *e set where it is none or can't be opened again. */
const CriuRegular *compile_find_regular(const struct compile *c, uint32_t id, struct err *e);

#endif
