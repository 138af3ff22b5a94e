/*
 * Code packages: zips, kept by the sha256 of their bytes under data/code/HEX/ as `zip` (the file) and `tree/`
 * (unpacked, directories 0755, files 0644 or 0755). A package is unpacked by a child process with limits of its own
 * into a temporary folder, checked, synced and renamed: what stands under its digest is whole.
 *
 * Refused before anything is written outside that temporary folder: entries with absolute or ".." paths, device and
 * other special entries, symlinks that lead out of the package, duplicate names, more than 262,144,000 bytes
 * unpacked (counted while unpacking: what the zip claims is not believed), encrypted or damaged zips.
 */
#ifndef FNRUN_PACKAGE_H
#define FNRUN_PACKAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "../sandbox/base/err.h"
#include "../sandbox/base/loop.h"

#define PACKAGE_ZIP_MAX UINT64_C(52428800)       /* bytes of a zip in the request itself */
#define PACKAGE_UNZIPPED_MAX UINT64_C(262144000) /* bytes of its files together */

struct packages;

enum package_result { PACKAGE_OK, PACKAGE_NOT_A_ZIP, PACKAGE_TOO_LARGE, PACKAGE_FAILED };

/* `why` says what was wrong, for the log; "" for PACKAGE_OK. */
typedef void (*package_done)(void *ctx, enum package_result result, const char *why);

/* `dir` is data/code; made if absent; what an interrupted unpacking left there is removed. */
int packages_open(struct loop *loop, const char *dir, struct packages **ret, struct err *e);

/* Stores and unpacks the zip in the file `zip_path`, a file in the code folder that becomes the packages' (it is renamed
 * or removed). Computes nothing by itself: `digest` (hex sha256) is the caller's. `done` is called later, once. */
void package_add(struct packages *ps, const char *zip_path, const char *digest, package_done done, void *ctx);

bool package_exists(struct packages *ps, const char *digest);

/* Opens `name` in the unpacked package, or the zip itself for name NULL; for reading. Caller closes. */
int package_open(struct packages *ps, const char *digest, const char *name, struct err *e);

/* Removes a package that no function uses any more. */
void package_remove(struct packages *ps, const char *digest);

#endif
