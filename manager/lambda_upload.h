/*
 * The body of CreateFunction and UpdateFunctionCode while it arrives: JSON with a zip of up to 50 MB in it as base64.
 * The zip goes to a file piece by piece; what stays in memory is the JSON with "" in its place. Nothing here blocks the
 * loop for longer than one piece of input takes.
 */
#ifndef FNRUN_LAMBDA_UPLOAD_H
#define FNRUN_LAMBDA_UPLOAD_H

#include "../sandbox/base/buf.h"
#include "package.h"

enum upload_state { UPLOAD_NONE, UPLOAD_GOOD, UPLOAD_BAD_BASE64, UPLOAD_TOO_LARGE, UPLOAD_FAILED };

struct upload;

/* `parent`: the member that holds ZipFile ("Code"), or NULL where it stands at the top. NULL without memory. */
struct upload *upload_create(struct packages *ps, const char *parent, uint64_t request_max, size_t json_max);
void upload_free(struct upload *u);

/* Takes a piece of the body; negative where it is too large. */
int upload_feed(struct upload *u, const char *data, size_t size);

/* The body without the zip. */
const struct buf *upload_json(const struct upload *u);

/* What became of the zip. With UPLOAD_GOOD the file is the caller's, in *ret_fd; with UPLOAD_FAILED *e says why. */
enum upload_state upload_take(struct upload *u, int *ret_fd, struct err *e);

#endif
