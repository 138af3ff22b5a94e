/*
 * Reading what criu has written. An image is two magic numbers and a row of messages, each behind its size. Source: CRIU,
 * images/README and criu/include/magic.h. For dump.c's child; criu_images.proto has the messages.
 */
#ifndef FNRUN_CRIU_IMAGE_H
#define FNRUN_CRIU_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct criu_image {
    struct buf bytes;
    size_t at;
};

void criu_image_close(struct criu_image *i);
#define auto_image __attribute__((cleanup(criu_image_close)))

/* Reads all of it. -ENOENT where there is none: criu leaves out what would be empty. */
int criu_image_open(int dir, const char *name, struct criu_image *ret, struct err *e);

/* The next message, in the image's own memory; false at the end. A size that can't be is -EUCLEAN in e->code, 0 otherwise. */
bool criu_image_next(struct criu_image *i, const uint8_t **ret_data, size_t *ret_size, struct err *e);

/* Raw bytes between two messages; NULL where there are not so many. */
const uint8_t *criu_image_skip(struct criu_image *i, size_t size);

/* Is there such an image with any message in it? */
bool criu_image_has(int dir, const char *name);

#endif
