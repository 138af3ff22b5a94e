#include "runtime.h"

#include <string.h>

#include "../sandbox/base/macros.h"

static const struct runtime runtimes[] = {
#define RUNTIME(name, image, dir, env, channel, ...) {name, image, dir, env, {__VA_ARGS__}, channel},
#include "runtime.def"
#undef RUNTIME
};

const struct runtime *runtime_at(unsigned i)
{
    return i < ARRAY_LEN(runtimes) ? &runtimes[i] : NULL;
}

const struct runtime *runtime_find(const char *name)
{
    for (unsigned i = 0; i < ARRAY_LEN(runtimes); i++)
        if (strcmp(runtimes[i].name, name) == 0)
            return &runtimes[i];
    return NULL;
}
