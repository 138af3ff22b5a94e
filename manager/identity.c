#include "identity.h"

#include <errno.h>

#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "../sandbox/base/buf.h"
#include "../sandbox/base/fd.h"
#include "image.h"

#define TOOLBOX "toolbox"

static int add_file_stamp(const char *path, struct buf *out, struct err *e)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return err_errno(e, "stat %s", path);
    return buf_addf(out, e, "%s %jd %jd.%09ld\n", path, (intmax_t)st.st_size, (intmax_t)st.st_mtim.tv_sec,
                    st.st_mtim.tv_nsec);
}

/* fnrun itself and the bootstrap that the runtime has loaded: by size and time, as a build or a package leaves them. */
static int add_fnrun(struct manager *m, const struct function *f, struct buf *out, struct err *e)
{
    char self[4096], path[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (n < 0)
        return err_errno(e, "read /proc/self/exe");
    self[n] = '\0';
    if (!f->runtime->dir[0])
        return add_file_stamp(self, out, e);
    snprintf(path, sizeof(path), "%s/%s/bootstrap.%s", m->config.runtimes_dir, f->runtime->dir,
             strcmp(f->runtime->dir, "python") == 0 ? "py" : "js");
    return add_file_stamp(self, out, e) < 0 ? -e->code : add_file_stamp(path, out, e);
}

/* This boot (a snapshot has the monotonic clock's readings in it), and the first processor's model and features: all are alike. A vDSO, a libc that chose its routines by them, V8's code. */
static int add_machine(struct buf *out, struct err *e)
{
    static char cpuinfo[8192]; /* read once: it takes the kernel a millisecond */
    struct utsname u;
    char *end, boot[64];

    if (uname(&u) < 0)
        return err_errno(e, "uname");
    if (!cpuinfo[0]) {
        int fd = open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, cpuinfo, sizeof(cpuinfo) - 1);

        fd_close(&fd);
        if (n <= 0)
            return err_errno(e, "read /proc/cpuinfo");
        cpuinfo[n] = '\0';
        /* The clock rate of the moment is no part of it. */
        for (char *line = strstr(cpuinfo, "cpu MHz"); line && *line != '\n'; line++)
            *line = ' ';
        end = strstr(cpuinfo, "\n\n");
        if (end)
            *end = '\0';
    }
    if (fd_read_file_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", boot, sizeof(boot), e) < 0)
        return -e->code;
    return buf_addf(out, e, "%s %s %s\n%s\n", u.release, u.version, boot, cpuinfo);
}

static int add_function(struct manager *m, const struct function *f, struct buf *out, struct err *e)
{
    char *environment = f->environment ? cJSON_PrintUnformatted(f->environment) : NULL;
    int rc =
        buf_addf(out, e, "%s\n%s\n%s\n%s\n%s\n%u %u %u %u\n%s\n%s\n%s %s\n", f->name, f->runtime->name, f->handler,
                 f->log_group, f->code_digest, f->memory_mb, f->tmp_mb, f->uid_index, getuid(),
                 environment ? environment : "", f->warm_up ? f->warm_up : "", m->config.region, m->config.account);

    free(environment);
    return rc;
}

static int add_images(struct manager *m, const struct function *f, struct buf *out, struct err *e)
{
    char image[PROTO_IMAGE_DIGEST], toolbox[PROTO_IMAGE_DIGEST];

    if (image_current(m->config.images_dir, f->runtime->image, image, e) < 0 ||
        image_current(m->config.images_dir, TOOLBOX, toolbox, e) < 0)
        return -e->code;
    return buf_addf(out, e, "%s %s\n", image, toolbox);
}

int identity_of(struct manager *m, const struct function *f, char ret_id[PROTO_SNAPSHOT_ID], struct err *e)
{
    auto_buf struct buf text = {.data = NULL};
    unsigned char hash[EVP_MAX_MD_SIZE];

    if (add_function(m, f, &text, e) < 0 || add_images(m, f, &text, e) < 0 || add_fnrun(m, f, &text, e) < 0 ||
        add_machine(&text, e) < 0)
        return err_wrap(e, "identity");
    if (EVP_Digest(text.data, text.used, hash, NULL, EVP_sha256(), NULL) != 1)
        return err_set(e, EIO, "identity: sha256 failed");
    for (int i = 0; i < (PROTO_SNAPSHOT_ID - 1) / 2; i++)
        snprintf(ret_id + 2 * i, 3, "%02x", hash[i]);
    return 0;
}
