/* The runtime's open files and descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "compile_part.h"
#include "criu_image.h"

/* fdinfo.proto, fd_types */
enum type { TYPE_REGULAR = 1, TYPE_PIPE = 2, TYPE_UNIX = 5, TYPE_EVENTFD = 6, TYPE_EPOLL = 7 };

#define PIPE_BYTES 65536U /* what a new one has room for */

/* What belongs to the opening of a file, not to the open file. */
#define OPENING_FLAGS (O_CREAT | O_EXCL | O_TRUNC | O_NOCTTY)

const CriuRegular *compile_find_regular(const struct compile *c, uint32_t id, struct err *e)
{
    for (unsigned i = 0; i < c->files; i++) {
        const CriuRegular *r = c->file[i]->reg;

        if (c->file[i]->id != id || !r)
            continue;
        if (!r->ext && r->name[0] == '/')
            return r;
        err_set(e, ENOTSUP, "it has %s open", r->name);
        return NULL;
    }
    err_set(e, ENOTSUP, "it uses a file that is none (%u)", id);
    return NULL;
}

static int read_files(struct compile *c, struct err *e)
{
    auto_image struct criu_image image;
    const uint8_t *data;
    size_t size;

    if (criu_image_open(c->dir, "files.img", &image, e) < 0)
        return -e->code;
    while (criu_image_next(&image, &data, &size, e)) {
        if (c->files == THAW_FILES_MAX)
            return err_set(e, ENOTSUP, "it has more than %d open files", THAW_FILES_MAX);
        c->file[c->files] = criu_file__unpack(NULL, size, data);
        if (!c->file[c->files])
            return err_set(e, EUCLEAN, "files.img can't be read");
        c->files++;
    }
    return -e->code;
}

/* What was written into this pipe and not read. libuv keeps a byte in one as a lock. Each message has its bytes behind it. */
static int add_pipe_data(struct compile *c, uint32_t pipe_id, struct thaw_file *file, struct err *e)
{
    auto_image struct criu_image image;
    const uint8_t *data;
    size_t size;

    if (criu_image_open(c->dir, "pipes-data.img", &image, e) < 0)
        return e->code == ENOENT ? (e->code = 0) : -e->code;
    while (criu_image_next(&image, &data, &size, e)) {
        CriuPipeData *p = criu_pipe_data__unpack(NULL, size, data);
        const uint8_t *bytes = p ? criu_image_skip(&image, p->bytes) : NULL;
        uint32_t id = p ? p->pipe_id : 0, count = p ? p->bytes : 0, capacity = p && p->has_size ? p->size : PIPE_BYTES;

        if (p)
            criu_pipe_data__free_unpacked(p, NULL);
        if (!bytes)
            return err_set(e, EUCLEAN, "pipes-data.img can't be read");
        if (id == pipe_id) {
            if (capacity != PIPE_BYTES)
                return err_set(e, ENOTSUP, "it has a pipe of another size");
            file->bytes = count;
            return compile_bytes(c, bytes, count, &file->path, e);
        }
    }
    return -e->code;
}

static int describe_regular(struct compile *c, const CriuFile *f, struct thaw_file *ret, struct err *e)
{
    const CriuRegular *r = compile_find_regular(c, f->id, e);

    if (!r)
        return -e->code;
    *ret = (struct thaw_file){.kind = THAW_REGULAR, .flags = r->flags & ~(uint32_t)OPENING_FLAGS, .value = r->pos};
    return compile_string(c, r->name, &ret->path, e);
}

/* The index of the other end, or of none: an end alone whose other is closed. */
static int describe_pipe(struct compile *c, const CriuFile *f, struct thaw_file *ret, struct err *e)
{
    unsigned ends = 0;

    if ((f->pipe->flags & O_ACCMODE) == O_RDWR || f->pipe->flags & O_DIRECT)
        return err_set(e, ENOTSUP, "it has a pipe of a special kind");
    if (f->pipe->pipe_id == c->ends->log_inode) {
        *ret = (struct thaw_file){.kind = THAW_LOG, .flags = f->pipe->flags};
        return (f->pipe->flags & O_ACCMODE) == O_WRONLY ? 0 : err_set(e, ENOTSUP, "it reads its own log");
    }
    *ret = (struct thaw_file){.kind = THAW_PIPE, .flags = f->pipe->flags};
    for (unsigned i = 0; i < c->files; i++) {
        const CriuPipe *other = c->file[i]->pipe;

        if (!other || c->file[i] == f || other->pipe_id != f->pipe->pipe_id)
            continue;
        ret->value = i + 1;
        ends++;
        if ((other->flags & O_ACCMODE) == (f->pipe->flags & O_ACCMODE))
            ends = 2;
    }
    return ends < 2 ? add_pipe_data(c, f->pipe->pipe_id, ret, e)
                    : err_set(e, ENOTSUP, "it has opened an end of a pipe twice");
}

static int describe_epoll(struct compile *c, const CriuEpoll *p, struct thaw_file *ret, struct err *e)
{
    *ret = (struct thaw_file){.kind = THAW_EPOLL,
                              .flags = p->flags,
                              .first_watch = c->head.part[THAW_WATCHES].count,
                              .watches = (uint32_t)p->n_tfd};
    for (size_t i = 0; i < p->n_tfd; i++) {
        struct thaw_watch w = {p->tfd[i]->tfd, p->tfd[i]->events, p->tfd[i]->data};

        if (compile_add(c, THAW_WATCHES, &w, sizeof(w), e) < 0)
            return -e->code;
    }
    return 0;
}

static int describe(struct compile *c, const CriuFile *f, struct thaw_file *ret, struct err *e)
{
    if (f->type == TYPE_REGULAR && f->reg)
        return describe_regular(c, f, ret, e);
    if (f->type == TYPE_PIPE && f->pipe)
        return describe_pipe(c, f, ret, e);
    if (f->type == TYPE_EPOLL && f->epfd)
        return describe_epoll(c, f->epfd, ret, e);
    if (f->type == TYPE_UNIX && f->usk && f->usk->ino == c->ends->channel_inode) {
        *ret = (struct thaw_file){.kind = THAW_CHANNEL, .flags = f->usk->flags};
        return 0;
    }
    if (f->type == TYPE_EVENTFD && f->efd && f->efd->counter <= UINT32_MAX) {
        *ret = (struct thaw_file){.kind = THAW_EVENTFD, .flags = f->efd->flags, .value = f->efd->counter};
        return 0;
    }
    return err_set(e, ENOTSUP, "it has an open file of criu's type %u", f->type);
}

/* Signals when there is something to read or write. */
static int check_owner(const CriuFile *f, uint32_t flags, struct err *e)
{
    const CriuOwner *o = f->reg    ? f->reg->fown
                         : f->efd  ? f->efd->fown
                         : f->epfd ? f->epfd->fown
                         : f->usk  ? f->usk->fown
                         : f->pipe ? f->pipe->fown
                                   : NULL;

    return flags & O_ASYNC || (o && (o->signum || o->pid)) ? err_set(e, ENOTSUP, "it gets signals of open files") : 0;
}

/* Only what a descriptor refers to is opened again: mappings and directories are files of criu's, too. */
static int add_descriptor(struct compile *c, const CriuDescriptor *d, bool *used, struct err *e)
{
    struct thaw_fd fd = {.fd = d->fd, .flags = d->flags};

    while (fd.file < c->files && c->file[fd.file]->id != d->id)
        fd.file++;
    if (fd.file == c->files)
        return err_set(e, EUCLEAN, "descriptor %u is of no file", d->fd);
    used[fd.file] = true;
    return compile_add(c, THAW_FDS, &fd, sizeof(fd), e);
}

static int add_descriptors(struct compile *c, bool *used, struct err *e)
{
    auto_image struct criu_image image;
    const uint8_t *data;
    size_t size;

    if (criu_image_open(c->dir, "fdinfo-2.img", &image, e) < 0)
        return -e->code;
    while (criu_image_next(&image, &data, &size, e)) {
        CriuDescriptor *d = criu_descriptor__unpack(NULL, size, data);
        int rc = d ? add_descriptor(c, d, used, e) : err_set(e, EUCLEAN, "fdinfo-2.img can't be read");

        if (d)
            criu_descriptor__free_unpacked(d, NULL);
        if (rc < 0)
            return rc;
    }
    return -e->code;
}

/* With the same index as in c->file, so that descriptors and pipes can name them; what is not open is of kind THAW_REGULAR without
 * a path. */
int compile_files(struct compile *c, struct err *e)
{
    bool used[THAW_FILES_MAX] = {false};

    if (read_files(c, e) < 0 || add_descriptors(c, used, e) < 0)
        return -e->code;
    for (unsigned i = 0; i < c->files; i++) {
        struct thaw_file file = {.kind = THAW_REGULAR};

        if ((used[i] && (describe(c, c->file[i], &file, e) < 0 || check_owner(c->file[i], file.flags, e) < 0)) ||
            compile_add(c, THAW_FILES, &file, sizeof(file), e) < 0)
            return -e->code;
    }
    return 0;
}
