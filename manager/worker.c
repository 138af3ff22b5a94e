#include "worker.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../sandbox/base/fd.h"

/* What the manager and its child share. */
struct shared {
    bool finished;
    max_align_t result[];
};

static struct shared *shared_of(void *result)
{
    return container_of(result, struct shared, result);
}

static void unmap(void *result, size_t size)
{
    munmap(shared_of(result), sizeof(struct shared) + size);
}

static int map(struct worker *w, struct err *e)
{
    struct shared *s =
        mmap(NULL, sizeof(*s) + w->result_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (s == MAP_FAILED)
        return err_errno(e, "worker: no memory");
    w->result = s->result;
    return 0;
}

static void work(struct worker *w)
{
    w->work(w);
    shared_of(w->result)->finished = true;
}

static void finish(struct worker *w)
{
    void *result = take_ptr(&w->result);
    size_t size = w->result_size;

    w->done(w, shared_of(result)->finished ? result : NULL);
    unmap(result, size);
}

/* The child, if there is one, has ended or does so at once. */
static void release_child(struct worker *w)
{
    loop_io_remove(w->loop, &w->io);
    fd_close(&w->io.fd);
    if (w->pid > 0)
        waitpid(w->pid, NULL, 0);
}

static void on_exit_of_child(struct loop_io *io, UNUSED uint32_t events)
{
    struct worker *w = container_of(io, struct worker, io);

    release_child(w);
    finish(w);
}

/* The child has no use for the manager's sockets, and holding them would keep clients from seeing their end. */
static void close_others(const int keep[2])
{
    unsigned low = (unsigned)MAX(MIN(keep[0], keep[1]), 2), high = (unsigned)MAX(MAX(keep[0], keep[1]), 2);

    if (low > 3)
        close_range(3, low - 1, 0);
    if (high > low + 1)
        close_range(low + 1, high - 1, 0);
    close_range(high + 1, ~0U, 0);
}

static int start_child(struct worker *w, struct err *e)
{
    pid_t parent = getpid();

    w->pid = fork();
    if (w->pid < 0)
        return err_errno(e, "worker: fork");
    if (w->pid == 0) {
        close_others(w->keep);
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent)
            work(w);
        _exit(0);
    }
    w->io.fd = pidfd_open(w->pid, 0);
    if (w->io.fd < 0)
        return err_errno(e, "worker: pidfd");
    return loop_io_add(w->loop, &w->io, EPOLLIN, e);
}

int worker_start(struct worker *w, struct err *e)
{
    w->pid = 0;
    w->io = (struct loop_io){.on_ready = on_exit_of_child, .fd = -1};
    if (map(w, e) < 0)
        return -e->code;
    if (start_child(w, e) < 0) {
        worker_cancel(w);
        return -e->code;
    }
    return 0;
}

int worker_run(struct worker *w, struct err *e)
{
    if (map(w, e) < 0)
        return -e->code;
    work(w);
    finish(w);
    return 0;
}

void worker_cancel(struct worker *w)
{
    if (!w->result)
        return;
    if (w->pid > 0)
        kill(w->pid, SIGKILL);
    release_child(w);
    unmap(take_ptr(&w->result), w->result_size);
}
