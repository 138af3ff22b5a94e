/* What a snapshot depends on: another function, another machine or another fnrun never finds it. */
#ifndef FNRUN_IDENTITY_H
#define FNRUN_IDENTITY_H

#include <cjson/cJSON.h>

#include "../sandbox/base/proto.h"
#include "function.h"
#include "manager.h"

/* All of it, by name; the caller's. NULL: ENOENT where an image is missing. */
cJSON *identity_describe(const struct manager *m, const struct function *f, struct err *e);

/* A hash of that. */
int identity_of(const struct manager *m, const struct function *f, char ret_id[PROTO_SNAPSHOT_ID], struct err *e);

#endif
