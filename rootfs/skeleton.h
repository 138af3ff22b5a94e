/*
 * The small files of every sandbox that are no part of an image: the warden's STATE/run. It is a tmpfs in the warden's own
 * mount namespace, so nothing of it outlives the warden.
 *
 *   run/dev/              null zero full random urandom, links fd stdin stdout stderr
 *   run/empty/            file, directory: what lies over masked parts of /proc
 *   run/passwd/UID        /etc/passwd of the function with that uid
 *   run/root/             mount point for bare.h
 */
#ifndef FNRUN_ROOTFS_SKELETON_H
#define FNRUN_ROOTFS_SKELETON_H

#define SKELETON_WORK "work" /* criu's logs, while it works */

#include <sys/types.h>

#include "../sandbox/base/err.h"

/* Mounts and fills the tmpfs at `path`. Needs a mount namespace of its own, CAP_SYS_ADMIN and CAP_MKNOD. Returns a
 * descriptor of the directory, the caller's. */
int skeleton_make(const char *path, struct err *e);

/* Makes sure that `run`/passwd/UID exists. */
int skeleton_add_passwd(int run, uid_t uid, struct err *e);

#endif
