/* What a snapshot depends on, as one hash: another function, another machine or another fnrun never finds it. */
#ifndef FNRUN_IDENTITY_H
#define FNRUN_IDENTITY_H

#include "../sandbox/base/proto.h"
#include "function.h"
#include "manager.h"

/* -ENOENT where an image is missing. */
int identity_of(struct manager *m, const struct function *f, char ret_id[PROTO_SNAPSHOT_ID], struct err *e);

#endif
