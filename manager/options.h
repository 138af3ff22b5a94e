/* fnrund's command line, which the warden writes. options.def is the table. */
#ifndef FNRUN_MANAGER_OPTIONS_H
#define FNRUN_MANAGER_OPTIONS_H

#include "manager.h"

/* Fills `ret` from the defaults and argv. Texts point into argv. */
int options_parse(int argc, char **argv, struct manager_config *ret, struct err *e);

#endif
