/* The parts of `fnrun deploy`: options from a file, guesses, the request's code and settings. */
#ifndef FNRUN_DEPLOY_H
#define FNRUN_DEPLOY_H

#include "cli.h"
#include "package.h"

struct deploy {
    struct cli *c;
    char name[256];
    struct buf zip;
    struct buf warm_up; /* the event, where one was given */
    struct guess guess;
    cJSON *now;    /* the function's configuration after the last wait; owned */
    bool exists;   /* an update */
    bool uploaded; /* the package lies in the object store */
};

/* Takes options of fnrun.json in `folder`, if there is one, as if they stood before the command line's own. */
int deploy_read_options(struct cli *c, const char *folder, struct err *e);

/* Fills d->guess: what was said, and guesses (which it prints) for what wasn't. */
int deploy_guess(struct deploy *d, struct err *e);

/* Adds ZipFile, or for a large package uploads it and adds S3Bucket and S3Key. */
int deploy_add_code(struct deploy *d, cJSON *code, struct err *e);
/* Removes what deploy_add_code has uploaded. */
void deploy_remove_upload(struct deploy *d);

/* Adds MemorySize, Timeout, EphemeralStorage and Environment, as far as they were given. */
int deploy_add_settings(struct deploy *d, cJSON *json, struct err *e);
/* Reads the warm-up event, if one was given; a wrong one is said before anything is changed. */
int deploy_read_warm_up(struct deploy *d, struct err *e);
/* Sets or removes it. */
int deploy_set_warm_up(struct deploy *d, struct err *e);

/* Adds one option's text as `member` if it was given. */
void deploy_add_text(struct deploy *d, cJSON *json, enum cli_option option, const char *member);

#endif
