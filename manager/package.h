/*
 * Code packages: zips, kept by the sha256 of their bytes under data/code/HEX/ as `zip` (the file) and `tree/`
 * (unpacked, directories 0755, files 0644 or 0755). A package is copied, hashed and unpacked by a child process with
 * limits of its own into a temporary folder, checked, synced and renamed: what stands under its digest is whole.
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
#define PACKAGE_UNZIPPED_MAX UINT64_C(262144000) /* bytes of its files together; also of a zip from the object store */

struct packages;

enum package_result {
    PACKAGE_OK,
    PACKAGE_NOT_A_ZIP, /* damaged, encrypted or hostile */
    PACKAGE_EMPTY,     /* no bytes, or a zip without entries */
    PACKAGE_TOO_LARGE,
    PACKAGE_FAILED, /* no space, no memory: not the zip's fault */
};

/* What was found out about a zip; also what the unpacking child tells. */
struct package_info {
    enum package_result result;
    char digest[65]; /* hex sha256; with PACKAGE_OK */
    uint64_t zip_bytes;
    char why[320]; /* what was wrong, for the log; "" for PACKAGE_OK */
};

typedef void (*package_done)(void *ctx, const struct package_info *info);

/* `dir` is data/code; made if absent; what an interrupted unpacking left there is removed. */
int packages_open(struct loop *loop, const char *dir, struct packages **ret, struct err *e);

/* A nameless file beside the packages, to collect an upload in: gone when its descriptor, the caller's, is closed. */
int packages_new_file(struct packages *ps, struct err *e);

/* Stores and unpacks the zip that `fd` reads from its start; `fd` becomes the packages' in every case. `done` is called
 * later, once. The package is there when it is called and stays until package_remove. */
void package_add(struct packages *ps, int fd, package_done done, void *ctx);

bool package_exists(const struct packages *ps, const char *digest);

/* Opens `name` in the unpacked package, or the zip itself for name NULL; for reading. Caller closes. */
int package_open(struct packages *ps, const char *digest, const char *name, struct err *e);

/* Removes a package that no function uses any more; without waiting. */
void package_remove(struct packages *ps, const char *digest);

/* Removes every package that `in_use` denies. */
void packages_sweep(struct packages *ps, bool (*in_use)(void *ctx, const char *digest), void *ctx);

#endif
