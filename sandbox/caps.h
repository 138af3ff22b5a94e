/* Capabilities of the calling process, through libcap. Each drop is read back: a kernel that kept one is a failure. */
#ifndef FNRUN_CAPS_H
#define FNRUN_CAPS_H

#include <sys/capability.h>
#include <sys/types.h>

#include "base/err.h"

/* Drops the bounding set, permitted, effective, inheritable and ambient down to the `count` capabilities of `keep`.
 * Those of them that the process doesn't have stay missing. Needs CAP_SETPCAP where something is to be dropped. */
int caps_limit(const cap_value_t *keep, unsigned count, struct err *e);

/* Becomes `uid`:`gid` for good: no groups, no capability, empty bounding set, no_new_privs. */
int caps_become(uid_t uid, gid_t gid, struct err *e);

#endif
