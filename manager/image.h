/* Language images as the manager sees them: which build of an image is in use. Building them: images/image. */
#ifndef FNRUN_IMAGE_H
#define FNRUN_IMAGE_H

#include "../sandbox/base/err.h"
#include "../sandbox/base/proto.h"

/* Reads IMAGES/NAME/current. -ENOENT, with words on what to do, where the image was not built. */
int image_current(const char *images_dir, const char *name, char ret_digest[PROTO_IMAGE_DIGEST], struct err *e);

#endif
