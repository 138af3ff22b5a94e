/* The warden's command line. The strings point into argv or are constants. */
#ifndef FNRUN_OPTIONS_H
#define FNRUN_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define OPTIONS_MANAGER_ARGS_MAX 32

struct option_list {
    const char *item[OPTIONS_MANAGER_ARGS_MAX];
    unsigned count;
};

struct options {
    const char *state, *listen, *images, *libexec, *user;
    uint64_t uid_base, max_sandboxes, template_mb, max_deaths;
    struct option_list manager_args;
    bool verbose, help;
};

/* Fills *ret_options from `argv`; -EINVAL with a text for the user. */
int options_parse(int argc, char **argv, struct options *ret_options, struct err *e);

/* Writes the help text to standard output. */
void options_print_help(void);

#endif
