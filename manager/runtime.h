/* The runtimes that fnrun has, as a table: runtime.def is the one place where they stand. */
#ifndef FNRUN_RUNTIME_H
#define FNRUN_RUNTIME_H

#include <stdbool.h>

struct runtime {
    const char *name;          /* as in the API: "python3.13" */
    const char *image;         /* the image that holds it */
    const char *dir;           /* bootstrap folder that becomes /var/runtime; "" for none */
    const char *execution_env; /* AWS_EXECUTION_ENV; NULL where AWS sets none */
    const char *argv[8];       /* NULL-terminated */
    bool channel;              /* speaks frames on the channel; else the Runtime API over HTTP */
};

/* NULL if there is none of that name. */
const struct runtime *runtime_find(const char *name);

/* The i-th runtime, NULL behind the last. */
const struct runtime *runtime_at(unsigned i);

#endif
