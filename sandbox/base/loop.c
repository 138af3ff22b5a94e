#include "loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "fd.h"

#define EVENTS_PER_ROUND 64

struct loop {
    int epoll_fd;
    bool stopped;
    struct epoll_event ready[EVENTS_PER_ROUND];
    int ready_count;
    struct loop_timer **heap; /* a binary heap ordered by due time */
    size_t heap_used, heap_size;
    struct loop_later *later_first, **later_last;
    struct loop_io signal_io;
    void (*on_signal)(void *ctx, int signo);
    void *signal_ctx;
};

int loop_create(struct loop **ret_loop, struct err *e)
{
    struct loop *l = calloc(1, sizeof(*l));

    if (!l)
        return err_set(e, ENOMEM, "event loop: no memory");
    l->signal_io.fd = -1;
    l->later_last = &l->later_first;
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (l->epoll_fd < 0) {
        free(l);
        return err_errno(e, "event loop: epoll_create1");
    }
    *ret_loop = l;
    return 0;
}

void loop_destroy(struct loop *l)
{
    if (!l)
        return;
    fd_close(&l->signal_io.fd);
    fd_close(&l->epoll_fd);
    free(l->heap);
    free(l);
}

static int io_control(struct loop *l, int op, struct loop_io *io, uint32_t events, struct err *e)
{
    struct epoll_event ev = {.events = events, .data.ptr = io};

    if (epoll_ctl(l->epoll_fd, op, io->fd, &ev) < 0)
        return err_errno(e, "event loop: epoll_ctl");
    io->active = true;
    return 0;
}

int loop_io_add(struct loop *l, struct loop_io *io, uint32_t events, struct err *e)
{
    return io_control(l, EPOLL_CTL_ADD, io, events, e);
}

int loop_io_change(struct loop *l, struct loop_io *io, uint32_t events, struct err *e)
{
    return io_control(l, EPOLL_CTL_MOD, io, events, e);
}

void loop_io_remove(struct loop *l, struct loop_io *io)
{
    if (!io->active)
        return;
    epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, io->fd, NULL);
    io->active = false;
    /* The round under way may hold an event for it that was fetched before: its owner may be gone by then. */
    for (int i = 0; i < l->ready_count; i++)
        if (l->ready[i].data.ptr == io)
            l->ready[i].data.ptr = NULL;
}

static void heap_place(struct loop *l, size_t i, struct loop_timer *t)
{
    l->heap[i] = t;
    t->slot = i + 1;
}

static void heap_sift_up(struct loop *l, size_t i)
{
    struct loop_timer *t = l->heap[i];

    while (i > 0 && l->heap[(i - 1) / 2]->due > t->due) {
        heap_place(l, i, l->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    heap_place(l, i, t);
}

static void heap_sift_down(struct loop *l, size_t i)
{
    struct loop_timer *t = l->heap[i];

    for (;;) {
        size_t child = 2 * i + 1;

        if (child + 1 < l->heap_used && l->heap[child + 1]->due < l->heap[child]->due)
            child++;
        if (child >= l->heap_used || l->heap[child]->due >= t->due)
            break;
        heap_place(l, i, l->heap[child]);
        i = child;
    }
    heap_place(l, i, t);
}

static void heap_grow(struct loop *l)
{
    size_t size = l->heap_size ? l->heap_size * 2 : 64;
    struct loop_timer **heap = realloc(l->heap, size * sizeof(*heap));

    /* A lost deadline would let a function run for ever: end the process instead, its parent starts it again. */
    if (!heap)
        abort();
    l->heap = heap;
    l->heap_size = size;
}

void loop_timer_set(struct loop *l, struct loop_timer *t, nsec_t due)
{
    loop_timer_clear(l, t);
    if (l->heap_used == l->heap_size)
        heap_grow(l);
    t->due = due;
    l->heap[l->heap_used] = t;
    heap_sift_up(l, l->heap_used++);
}

void loop_timer_clear(struct loop *l, struct loop_timer *t)
{
    size_t i = t->slot;

    if (i-- == 0)
        return;
    t->slot = 0;
    l->heap_used--;
    if (i == l->heap_used)
        return;
    heap_place(l, i, l->heap[l->heap_used]);
    heap_sift_up(l, i);
    heap_sift_down(l, l->heap[i]->slot - 1);
}

void loop_later(struct loop *l, struct loop_later *later)
{
    if (later->queued)
        return;
    later->queued = true;
    later->next = NULL;
    *l->later_last = later;
    l->later_last = &later->next;
}

static void on_signal_ready(struct loop_io *io, UNUSED uint32_t events)
{
    struct loop *l = container_of(io, struct loop, signal_io);
    struct signalfd_siginfo info;

    while (read(io->fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        l->on_signal(l->signal_ctx, (int)info.ssi_signo);
}

int loop_signals(struct loop *l, const int *signals, void (*on_signal)(void *, int), void *ctx, struct err *e)
{
    sigset_t set;

    sigemptyset(&set);
    for (; *signals; signals++)
        sigaddset(&set, *signals);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return err_errno(e, "event loop: sigprocmask");
    l->signal_io.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (l->signal_io.fd < 0)
        return err_errno(e, "event loop: signalfd");
    l->signal_io.on_ready = on_signal_ready;
    l->on_signal = on_signal;
    l->signal_ctx = ctx;
    return loop_io_add(l, &l->signal_io, EPOLLIN, e);
}

static int timeout_ms(const struct loop *l)
{
    nsec_t left;

    if (l->later_first)
        return 0;
    if (l->heap_used == 0)
        return -1;
    left = l->heap[0]->due - clock_now();
    if (left <= 0)
        return 0;
    /* Rounded up: a timer must not be polled for in a busy loop during its last millisecond. */
    return (int)MIN((left + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC, 60000);
}

static void run_timers(struct loop *l)
{
    nsec_t now = clock_now();

    while (l->heap_used && l->heap[0]->due <= now) {
        struct loop_timer *t = l->heap[0];

        loop_timer_clear(l, t);
        t->on_due(t);
    }
}

static void run_later(struct loop *l)
{
    struct loop_later *first = l->later_first;

    l->later_first = NULL;
    l->later_last = &l->later_first;
    while (first) {
        struct loop_later *next = first->next;

        first->queued = false;
        first->run(first);
        first = next;
    }
}

int loop_run(struct loop *l, struct err *e)
{
    l->stopped = false;
    while (!l->stopped) {
        int n = epoll_wait(l->epoll_fd, l->ready, EVENTS_PER_ROUND, timeout_ms(l));

        if (n < 0 && errno != EINTR)
            return err_errno(e, "event loop: epoll_wait");
        l->ready_count = MAX(n, 0);
        for (int i = 0; i < l->ready_count; i++) {
            struct loop_io *io = l->ready[i].data.ptr;

            if (io)
                io->on_ready(io, l->ready[i].events);
        }
        l->ready_count = 0;
        run_timers(l);
        run_later(l);
    }
    return 0;
}

void loop_stop(struct loop *l)
{
    l->stopped = true;
}
