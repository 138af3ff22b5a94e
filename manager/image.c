#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "../sandbox/base/fd.h"

int image_current(const char *images_dir, const char *name, char ret_digest[PROTO_IMAGE_DIGEST], struct err *e)
{
    char path[4096], text[64];

    snprintf(path, sizeof(path), "%s/%s/current", images_dir, name);
    if (fd_read_file_at(AT_FDCWD, path, text, sizeof(text), e) < 0)
        return err_set(e, e->code, "image %s is not there (%s): run `fnrun image build %s`", name, e->msg, name);
    text[strcspn(text, "\n")] = '\0';
    if (strlen(text) != PROTO_IMAGE_DIGEST - 1)
        return err_set(e, EINVAL, "%s holds no digest: run `fnrun image build %s`", path, name);
    memcpy(ret_digest, text, PROTO_IMAGE_DIGEST);
    return 0;
}
