/*
 * The mount namespace that every sandbox's is a copy of: an empty directory that nobody can write to, and nothing else. A copy of
 * the warden's own would have all mounts of the host in it, which then had to be left again by pivot_root and umount; both wait
 * for the kernel (pivot_root looks at every process of the machine, umount waits for an RCU grace period), together longer than all the rest of a sandbox's
 * file system takes. Here the new root is mounted over the bare one, which stays beneath it, out of reach and empty.
 */
#ifndef FNRUN_ROOTFS_BARE_H
#define FNRUN_ROOTFS_BARE_H

#include "../sandbox/base/err.h"

/* Makes it with the help of a forked child. `mount_point` is an empty directory. Returns a descriptor of the namespace. Blocks for
 * some milliseconds. */
int bare_make(const char *mount_point, struct err *e);

#endif
