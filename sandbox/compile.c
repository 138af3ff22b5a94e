#include "compile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "compile_part.h"
#include "criu_image.h"

#define ALIGN 64 /* of every part: a thread's floating point state asks for it */

static void compile_close(struct compile *c)
{
    for (int i = 0; i < THAW_PARTS; i++)
        buf_free(&c->part[i]);
    for (unsigned i = 0; i < c->files; i++)
        criu_file__free_unpacked(c->file[i], NULL);
}

int compile_add(struct compile *c, enum thaw_parts part, const void *thing, size_t size, struct err *e)
{
    c->head.part[part].count++;
    return buf_add(&c->part[part], thing, size, e);
}

int compile_bytes(struct compile *c, const void *data, size_t size, uint32_t *ret_offset, struct err *e)
{
    struct buf *strings = &c->part[THAW_STRINGS];

    *ret_offset = (uint32_t)strings->used;
    if (buf_add(strings, data, size, e) < 0)
        return -e->code;
    c->head.part[THAW_STRINGS].count = (uint32_t)strings->used;
    return 0;
}

int compile_string(struct compile *c, const char *text, uint32_t *ret_offset, struct err *e)
{
    return compile_bytes(c, text, strlen(text) + 1, ret_offset, e);
}

/* The tree is one process, pid 2, leader of its session. */
static int read_process(struct compile *c, struct err *e)
{
    auto_image struct criu_image image;
    const uint8_t *data;
    CriuProcess *p;
    size_t size;
    int rc = 0;

    if (criu_image_open(c->dir, "pstree.img", &image, e) < 0)
        return -e->code;
    if (!criu_image_next(&image, &data, &size, e) || !(p = criu_process__unpack(NULL, size, data)))
        return err_set(e, EUCLEAN, "pstree.img can't be read");
    if (p->pid != 2 || p->pgid != 2 || p->sid != 2 || criu_image_next(&image, &data, &size, e))
        rc = err_set(e, ENOTSUP, "it has more than one process");
    else if (p->n_threads > THAW_THREADS_MAX)
        rc = err_set(e, ENOTSUP, "it has %zu threads", p->n_threads);
    for (size_t i = 0; rc == 0 && i < p->n_threads; i++)
        c->tids[c->threads++] = p->threads[i];
    criu_process__free_unpacked(p, NULL);
    return rc;
}

static int read_fs(struct compile *c, struct err *e)
{
    auto_image struct criu_image image;
    const CriuRegular *cwd, *root;
    const uint8_t *data;
    CriuFs *fs;
    size_t size;
    int rc;

    if (criu_image_open(c->dir, "fs-2.img", &image, e) < 0)
        return -e->code;
    if (!criu_image_next(&image, &data, &size, e) || !(fs = criu_fs__unpack(NULL, size, data)))
        return err_set(e, EUCLEAN, "fs-2.img can't be read");
    cwd = compile_find_regular(c, fs->cwd_id, e);
    root = compile_find_regular(c, fs->root_id, e);
    c->head.umask = fs->umask;
    criu_fs__free_unpacked(fs, NULL);
    if (!cwd || !root)
        return -e->code;
    rc = strcmp(root->name, "/") == 0 ? 0 : err_set(e, ENOTSUP, "it has another root directory");
    return rc < 0 ? rc : compile_string(c, cwd->name, &c->head.cwd, e);
}

/* One filter is the sandbox's own; a runtime may have added its own. */
static int check_filters(const struct compile *c, struct err *e)
{
    auto_image struct criu_image image;
    const uint8_t *data;
    CriuFilters *f;
    size_t size, count;

    if (criu_image_open(c->dir, "seccomp.img", &image, e) < 0)
        return -e->code;
    if (!criu_image_next(&image, &data, &size, e) || !(f = criu_filters__unpack(NULL, size, data)))
        return err_set(e, EUCLEAN, "seccomp.img can't be read");
    count = f->n_seccomp_filters;
    criu_filters__free_unpacked(f, NULL);
    return count == 1 ? 0 : err_set(e, ENOTSUP, "it has system call filters of its own");
}

/* Images that say of something this compiler has no part for. */
static int check_rest(const struct compile *c, struct err *e)
{
    static const char *const others[] = {"remap-fpath.img", "filelocks.img", "memfd.img", "ghost-file.img"};

    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (criu_image_has(c->dir, others[i]))
            return err_set(e, ENOTSUP, "it has deleted or locked files (%s)", others[i]);
    return 0;
}

static int write_plan(struct compile *c, struct err *e)
{
    auto_buf struct buf out = {.cap = THAW_PLAN_MAX};
    auto_fd int fd = -1;
    static const char zeros[ALIGN];

    c->head.magic = THAW_MAGIC;
    c->head.uid = c->uid;
    if (buf_add(&out, &c->head, sizeof(c->head), e) < 0)
        return -e->code;
    for (int i = 0; i < THAW_PARTS; i++) {
        if (buf_add(&out, zeros, (ALIGN - out.used % ALIGN) % ALIGN, e) < 0)
            return -e->code;
        c->head.part[i].offset = (uint32_t)out.used;
        if (buf_add(&out, buf_str(&c->part[i]), c->part[i].used, e) < 0)
            return e->code == EMSGSIZE ? err_set(e, ENOTSUP, "it is too complex") : -e->code;
    }
    c->head.bytes = (uint32_t)out.used;
    memcpy(out.data, &c->head, sizeof(c->head));
    fd = openat(c->dir, THAW_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
    return fd < 0 ? err_errno(e, "create " THAW_FILE) : fd_write_all(fd, out.data, out.used, e);
}

int compile_template(int dir, const struct criu_ends *ends, uid_t uid, struct err *e)
{
    __attribute__((cleanup(compile_close))) struct compile c = {.dir = dir, .ends = ends, .uid = uid};

    if (compile_string(&c, "", &c.head.cwd, e) < 0 || read_process(&c, e) < 0 || compile_files(&c, e) < 0 ||
        read_fs(&c, e) < 0 || check_filters(&c, e) < 0 || check_rest(&c, e) < 0 || compile_threads(&c, e) < 0 ||
        compile_memory(&c, e) < 0 || write_plan(&c, e) < 0)
        return -e->code;
    return 0;
}
