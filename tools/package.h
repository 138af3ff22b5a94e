/* Code packages: zip files in memory. May block on the disk. */
#ifndef FNRUN_PACKAGE_H
#define FNRUN_PACKAGE_H

#include "../sandbox/base/buf.h"

/* AWS Lambda's limits, which the server enforces. */
#define PACKAGE_DIRECT_MAX_BYTES ((size_t)50 * 1024 * 1024)    /* zip in the request; a larger one goes by S3 */
#define PACKAGE_UNPACKED_MAX_BYTES ((size_t)250 * 1024 * 1024) /* all files */

/* A file in a folder that holds options of `fnrun deploy` and isn't part of the package. */
#define PACKAGE_OPTIONS_FILE "fnrun.json"

/* Packs a folder: the same files give the same bytes. `folder` must not end in a slash. */
int package_pack(const char *folder, struct buf *ret, struct err *e);
/* Reads a zip file. */
int package_read(const char *path, struct buf *ret, struct err *e);

struct guess {
    char runtime[32];
    char handler[160];
};

/*
 * Guesses what runs a package from the files at its top. `runtime` narrows it down to a handler for that runtime;
 * NULL lets all be tried. -ENOENT if nothing fits.
 */
int package_guess(const struct buf *zip, const char *runtime, struct guess *ret, struct err *e);

#endif
