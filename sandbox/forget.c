#include "forget.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "criu.h"
#include "criu_image.h"
#include "criu_images.pb-c.h"

#define CHUNK 4096UL
#define IMAGE_MAX ((size_t)64 << 20)

struct range {
    int pid;
    unsigned long start, end;
};

typedef int (*range_fn)(const struct range *r, void *ctx, struct err *e);

static void file_release(FILE **f)
{
    if (*f)
        fclose(*f);
}

static void dir_release(DIR **d)
{
    if (*d)
        closedir(*d);
}

static bool is_droppable(const char *line)
{
    return strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " dp");
}

/* The droppable mappings of one process. One that has just ended has none. */
static int each_mapping(int pid, range_fn fn, void *ctx, struct err *e)
{
    __attribute__((cleanup(file_release))) FILE *maps = NULL;
    struct range r = {.pid = pid}, found;
    char line[1024];

    snprintf(line, sizeof(line), "/proc/%d/smaps", pid);
    maps = fopen(line, "re");
    if (!maps)
        return errno == ENOENT ? 0 : err_errno(e, "open %s", line);
    while (fgets(line, sizeof(line), maps)) {
        if (sscanf(line, "%lx-%lx ", &found.start, &found.end) == 2) {
            r.start = found.start;
            r.end = found.end;
        } else if (is_droppable(line) && fn(&r, ctx, e) < 0) {
            return -e->code;
        }
    }
    return 0;
}

/* Of all processes but PID 1, criu and what else of ours has a high pid. */
static int each_range(range_fn fn, void *ctx, struct err *e)
{
    __attribute__((cleanup(dir_release))) DIR *proc = opendir("/proc");
    const struct dirent *entry;

    if (!proc)
        return err_errno(e, "open /proc");
    while ((entry = readdir(proc))) {
        int pid = atoi(entry->d_name);

        if (pid > 1 && pid < CRIU_PID && pid != getpid() && each_mapping(pid, fn, ctx, e) < 0)
            return -e->code;
    }
    return 0;
}

/* Not through /proc/PID/mem: the sandbox's /proc is read-only. */
static int write_zeros(const struct range *r, UNUSED void *ctx, struct err *e)
{
    static char zeros[CHUNK];
    struct iovec local = {zeros, CHUNK}, remote = {.iov_len = CHUNK};

    for (unsigned long at = r->start; at < r->end; at += CHUNK) {
        remote.iov_base = (void *)at;
        if (process_vm_writev(r->pid, &local, 1, &remote, 1, 0) != (ssize_t)CHUNK)
            return err_errno(e, "write zeros over the random state of process %d", r->pid);
    }
    return 0;
}

/* By a child: only what is forked after setns is in the pid namespace where the runtime is pid 2. */
int forget_random(struct err *e)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0)
        _exit(each_range(write_zeros, NULL, e) < 0 ? e->code & 0xff : 0);
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return err_errno(e, "fork");
    status = WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
    return status ? err_set(e, status, "forget random state: %s", strerror(status)) : 0;
}

/* --- mm-PID.img ------------------------------------------------------------------------------------------------------ */

/* What stands before the one message of such an image: criu_image.h. */
struct image_header {
    uint32_t magic, kind, size;
};

static int write_image(int dir, const char *name, const struct image_header *old, const CriuMm *mm, struct err *e)
{
    auto_buf struct buf out = {.cap = IMAGE_MAX};
    struct image_header header = *old;
    auto_fd int fd = openat(dir, name, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return err_errno(e, "open %s", name);
    header.size = (uint32_t)criu_mm__get_packed_size(mm);
    if (buf_add(&out, &header, sizeof(header), e) < 0 || buf_reserve(&out, header.size, e) < 0)
        return -e->code;
    out.used += criu_mm__pack(mm, (uint8_t *)out.data + out.used);
    return fd_write_all(fd, out.data, out.used, e);
}

static bool mark(CriuMm *mm, const struct range *r)
{
    for (size_t i = 0; i < mm->n_vmas; i++)
        if (mm->vmas[i]->start == r->start && mm->vmas[i]->end == r->end) {
            mm->vmas[i]->has_madv = true;
            mm->vmas[i]->madv |= UINT64_C(1) << MADV_WIPEONFORK;
            return true;
        }
    return false;
}

static int mark_in_image(const struct range *r, void *ctx, struct err *e)
{
    auto_image struct criu_image image;
    const int *dir = ctx;
    struct image_header header;
    const uint8_t *data;
    char name[32];
    size_t size;
    CriuMm *mm;
    int rc;

    snprintf(name, sizeof(name), "mm-%d.img", r->pid);
    if (criu_image_open(*dir, name, &image, e) < 0)
        return -e->code;
    if (!criu_image_next(&image, &data, &size, e) || image.at != image.bytes.used)
        return err_set(e, EUCLEAN, "%s has another form than that of criu 4.1.1", name);
    memcpy(&header, image.bytes.data, sizeof(header));
    mm = criu_mm__unpack(NULL, size, data);
    if (!mm)
        return err_set(e, EUCLEAN, "%s can't be read", name);
    rc = mark(mm, r) ? write_image(*dir, name, &header, mm, e)
                     : err_set(e, EUCLEAN, "%s lacks the mapping at %lx", name, r->start);
    criu_mm__free_unpacked(mm, NULL);
    return rc;
}

int forget_random_on_fork(int images, struct err *e)
{
    return each_range(mark_in_image, &images, e);
}
