/*
 * What fnrun needs of a machine, each point with its fix. checks.def lists the checks; they are made in doctor_*.c.
 * `fnrun doctor` makes all of them, `fnrun up` the quick ones without which nothing would work.
 */
#ifndef FNRUN_DOCTOR_H
#define FNRUN_DOCTOR_H

#include <stdbool.h>
#include <stdio.h>

#include "../sandbox/base/buf.h"

#define DOCTOR_STATE "/var/lib/fnrun"
#define DOCTOR_LISTEN "127.0.0.1:4566"
#define DOCTOR_IMAGES "/var/lib/fnrun/images"

enum check_status { CHECK_OK, CHECK_WARN, CHECK_FAIL };

struct check {
    enum check_status status;
    char name[48];
    char detail[256];
    char fix[256]; /* "" where all is well */
};

struct doctor {
    const char *state, *listen, *images;
    long uid_base; /* first uid of the instance's block; 0: not known */
    bool root;     /* what needs privilege can be checked */
    bool starting; /* an instance is about to start: the port must be free */
    struct buf libexec;
    struct check *checks; /* the results */
    size_t count;
};

/* NULL stands for a default. */
void doctor_init(struct doctor *d, const char *state, const char *listen, const char *images);
void doctor_free(struct doctor *d);

/* Makes the checks: all, or the essential ones. */
void doctor_run(struct doctor *d, bool essential);
size_t doctor_count(const struct doctor *d, enum check_status status);
void doctor_print(FILE *out, const struct check *k, bool color);
const char *doctor_word(enum check_status status);

/* For the checks: adds a result. */
void doctor_ok(struct doctor *d, const char *name, const char *detail, ...) PRINTF_LIKE(3, 4);
void doctor_bad(struct doctor *d, enum check_status status, const char *name, const char *fix, const char *detail, ...)
    PRINTF_LIKE(5, 6);

#define CHECK(name, essential) void check_##name(struct doctor *d);
#include "checks.def"

#endif
