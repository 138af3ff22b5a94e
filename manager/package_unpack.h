/* Unpacks a zip from anybody into an empty folder. Blocks, and may be made to work hard: for a child with limits. */
#ifndef FNRUN_PACKAGE_UNPACK_H
#define FNRUN_PACKAGE_UNPACK_H

#include "../sandbox/base/err.h"

/*
 * Reads the zip from `zip_fd`, writes its files beneath `tree_fd`. What was written stays where it fails; told apart:
 * -EBADMSG no zip, damaged, encrypted, or an entry that has no place in a package; -ENODATA no entries;
 * -EFBIG more than PACKAGE_UNZIPPED_MAX bytes.
 */
int package_unpack(int zip_fd, int tree_fd, struct err *e);

#endif
