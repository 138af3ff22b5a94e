#include "store_job.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
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

static int sum_file(struct job *j, struct err *e)
{
    struct digest d;
    int rc;

    if (!j->md5 && !j->checksum)
        return 0;
    rc = digest_begin(&d, j->md5, false, j->checksum, e);
    if (rc == 0)
        rc = add_file(&d, j->fd, e);
    if (rc == 0 && j->md5)
        rc = digest_md5(&d, j->result->md5, e);
    if (rc == 0 && j->checksum)
        rc = digest_checksum(&d, j->result->checksum, e);
    digest_free(&d);
    return rc;
}

static int work(struct job *j, struct err *e)
{
    for (size_t i = 0; i < j->piece_count; i++)
        if (append_piece(j, &j->pieces[i], e) < 0)
            return err_wrap(e, "store");
    if (sum_file(j, e) < 0)
        return err_wrap(e, "store");
    /* The folder too: else the file's name could be lost while the row that names it is not. */
    if (fsync(j->fd) < 0 || fsync(j->store->dir_fd) < 0)
        return err_errno(e, "store: sync");
    return 0;
}

static void run(struct job *j)
{
    if (work(j, &j->result->err) == 0)
        j->result->err.code = 0;
    j->result->finished = true;
}

/* --- the child ------------------------------------------------------------------------------------------------------ */

static void release(struct job *j)
{
    loop_io_remove(j->store->loop, &j->io);
    if (j->io.fd >= 0)
        close(j->io.fd);
    if (j->pid > 0)
        waitpid(j->pid, NULL, 0);
    munmap(j->result, sizeof(*j->result));
    j->result = NULL;
}

static void finish(struct job *j)
{
    struct job_result result = *j->result;

    release(j);
    if (!result.finished)
        err_set(&result.err, EIO, "store: the writing process ended early");
    j->done(j, &result);
}

static void on_exit_of_child(struct loop_io *io, UNUSED uint32_t events)
{
    finish(container_of(io, struct job, io));
}

/* The child has no use for the manager's sockets, and holding them would keep clients from seeing their end. */
static void close_others(int one, int other)
{
    unsigned low = (unsigned)MIN(one, other), high = (unsigned)MAX(one, other);

    close_range(3, low - 1, 0);
    close_range(low + 1, high - 1, 0);
    close_range(high + 1, ~0U, 0);
}

static int start_child(struct job *j, struct err *e)
{
    pid_t parent = getpid();

    j->pid = fork();
    if (j->pid < 0)
        return err_errno(e, "store: fork");
    if (j->pid == 0) {
        close_others(j->fd, j->store->dir_fd);
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent)
            run(j);
        _exit(0);
    }
    j->io.fd = pidfd_open(j->pid, 0);
    if (j->io.fd < 0)
        return err_errno(e, "store: pidfd");
    return loop_io_add(j->store->loop, &j->io, EPOLLIN, e);
}

int job_start(struct job *j, uint64_t bytes, struct err *e)
{
    j->pid = 0;
    j->io = (struct loop_io){.on_ready = on_exit_of_child, .fd = -1};
    j->result = mmap(NULL, sizeof(*j->result), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (j->result == MAP_FAILED) {
        j->result = NULL;
        return err_errno(e, "store: no memory");
    }
    if (bytes <= INLINE_BYTES_MAX) {
        run(j);
        finish(j);
    } else if (start_child(j, e) < 0) {
        job_cancel(j);
        return -e->code;
    }
    return 0;
}

void job_cancel(struct job *j)
{
    if (!j->result)
        return;
    if (j->pid > 0)
        kill(j->pid, SIGKILL);
    release(j);
}
