#include "store_job.h"

#include <errno.h>
#include <unistd.h>

#include "../sandbox/base/fd.h"

/* A sync of so little takes about as long as making a child. */
#define INLINE_BYTES_MAX (UINT64_C(1) << 20)

/* --- the work; in the child, where there is one -------------------------------------------------------------------- */

static int append_piece(struct job *j, const struct job_piece *piece, struct err *e)
{
    auto_fd int in = store_file_open(j->store, piece->file, e);
    uint64_t left = piece->size;
    off_t offset = (off_t)piece->offset;

    if (in < 0)
        return -e->code;
    while (left > 0) {
        ssize_t n = copy_file_range(in, &offset, j->fd, NULL, MIN(left, UINT64_C(1) << 30), 0);

        if (n <= 0)
            return n < 0 ? err_errno(e, "copy") : err_set(e, EIO, "%s is too short", piece->file);
        left -= (uint64_t)n;
    }
    return 0;
}

static int add_file(struct digest *d, int fd, struct err *e)
{
    char data[65536];
    off_t offset = 0;
    ssize_t n;

    while ((n = pread(fd, data, sizeof(data), offset)) > 0) {
        if (digest_add(d, data, (size_t)n, e) < 0)
            return -e->code;
        offset += n;
    }
    return n < 0 ? err_errno(e, "read back") : 0;
}

static int sum_file(struct job *j, struct job_result *ret, struct err *e)
{
    struct digest d;
    int rc;

    if (!j->md5 && !j->checksum)
        return 0;
    rc = digest_begin(&d, j->md5, false, j->checksum, e);
    if (rc == 0)
        rc = add_file(&d, j->fd, e);
    if (rc == 0 && j->md5)
        rc = digest_md5(&d, ret->md5, e);
    if (rc == 0 && j->checksum)
        rc = digest_checksum(&d, ret->checksum, e);
    digest_free(&d);
    return rc;
}

static int write_file(struct job *j, struct job_result *ret, struct err *e)
{
    for (size_t i = 0; i < j->piece_count; i++)
        if (append_piece(j, &j->pieces[i], e) < 0)
            return err_wrap(e, "store");
    if (sum_file(j, ret, e) < 0)
        return err_wrap(e, "store");
    /* The folder too: else the file's name could be lost while the row that names it is not. */
    if (fsync(j->fd) < 0 || fsync(j->store->dir_fd) < 0)
        return err_errno(e, "store: sync");
    return 0;
}

static void work(struct worker *w)
{
    struct job_result *result = w->result;

    if (write_file(container_of(w, struct job, worker), result, &result->err) == 0)
        result->err.code = 0;
}

static void on_done(struct worker *w, const void *result)
{
    struct job *j = container_of(w, struct job, worker);
    struct job_result killed = {0};

    err_set(&killed.err, EIO, "store: the writing process ended early");
    j->done(j, result ? result : &killed);
}

int job_start(struct job *j, uint64_t bytes, struct err *e)
{
    j->worker = (struct worker){.loop = j->store->loop,
                                .work = work,
                                .done = on_done,
                                .result_size = sizeof(struct job_result),
                                .keep = {j->fd, j->store->dir_fd}};
    return bytes <= INLINE_BYTES_MAX ? worker_run(&j->worker, e) : worker_start(&j->worker, e);
}

void job_cancel(struct job *j)
{
    worker_cancel(&j->worker);
}
