#include "criu_image.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"

#define IMAGE_MAX ((size_t)64 << 20)
#define MAGIC_BYTES (2 * sizeof(uint32_t))

void criu_image_close(struct criu_image *i)
{
    buf_free(&i->bytes);
}

int criu_image_open(int dir, const char *name, struct criu_image *ret, struct err *e)
{
    auto_fd int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);

    *ret = (struct criu_image){.at = MAGIC_BYTES};
    if (fd < 0)
        return err_errno(e, "read %s", name);
    if (size < (off_t)MAGIC_BYTES || (size_t)size > IMAGE_MAX)
        return err_set(e, EUCLEAN, "%s has %jd bytes", name, (intmax_t)size);
    if (buf_reserve(&ret->bytes, (size_t)size, e) < 0)
        return -e->code;
    if (pread(fd, ret->bytes.data, (size_t)size, 0) != (ssize_t)size)
        return err_errno(e, "read %s", name);
    ret->bytes.used = (size_t)size;
    return 0;
}

bool criu_image_next(struct criu_image *i, const uint8_t **ret_data, size_t *ret_size, struct err *e)
{
    size_t left = i->bytes.used - i->at;
    uint32_t size;

    e->code = 0;
    if (left == 0)
        return false;
    if (left >= sizeof(size))
        memcpy(&size, i->bytes.data + i->at, sizeof(size));
    if (left < sizeof(size) || size > left - sizeof(size)) {
        err_set(e, EUCLEAN, "an image of criu is damaged");
        return false;
    }
    *ret_data = (const uint8_t *)i->bytes.data + i->at + sizeof(size);
    *ret_size = size;
    i->at += sizeof(size) + size;
    return true;
}

const uint8_t *criu_image_skip(struct criu_image *i, size_t size)
{
    const uint8_t *data = (const uint8_t *)i->bytes.data + i->at;

    if (size > i->bytes.used - i->at)
        return NULL;
    i->at += size;
    return data;
}

bool criu_image_has(int dir, const char *name)
{
    auto_image struct criu_image i;
    const uint8_t *data;
    struct err e;
    size_t size;

    return criu_image_open(dir, name, &i, &e) == 0 ? criu_image_next(&i, &data, &size, &e) || e.code : e.code != ENOENT;
}
