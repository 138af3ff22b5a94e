// links: sandbox/base/loop.c sandbox/base/fd.c sandbox/base/err.c
#include "../../sandbox/base/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "../../sandbox/base/fd.h"
#include "check.h"

static struct loop *loop;
static char trace[256];

static void note(const char *what)
{
    strncat(trace, what, sizeof(trace) - strlen(trace) - 1);
}

static void start(void)
{
    struct err e;

    trace[0] = '\0';
    CHECK_INT(loop_create(&loop, &e), 0);
}

static void run(void)
{
    struct err e;

    CHECK_INT(loop_run(loop, &e), 0);
    loop_destroy(loop);
}

/* --- timers ------------------------------------------------------------------------------------------------------- */

struct named_timer {
    struct loop_timer timer;
    const char *name;
    struct named_timer *other;
};

static const char *name_of(struct loop_timer *t)
{
    return container_of(t, struct named_timer, timer)->name;
}

static void on_note(struct loop_timer *t)
{
    note(name_of(t));
}

static void on_stop(struct loop_timer *t)
{
    note(name_of(t));
    loop_stop(loop);
}

static void on_clear_other(struct loop_timer *t)
{
    note(name_of(t));
    loop_timer_clear(loop, &container_of(t, struct named_timer, timer)->other->timer);
}

static void on_set_again(struct loop_timer *t)
{
    note(name_of(t));
    if (strlen(trace) < 3)
        loop_timer_set(loop, t, clock_now() + NSEC_PER_MSEC);
    else
        loop_stop(loop);
}

TEST(timers_fire_in_order_of_their_time_not_of_setting)
{
    struct named_timer t[] = {{.timer.on_due = on_note, .name = "a"},
                              {.timer.on_due = on_note, .name = "b"},
                              {.timer.on_due = on_stop, .name = "c"},
                              {.timer.on_due = on_note, .name = "d"}};
    nsec_t now = clock_now();

    start();
    loop_timer_set(loop, &t[2].timer, now + 3 * NSEC_PER_MSEC);
    loop_timer_set(loop, &t[1].timer, now + 2 * NSEC_PER_MSEC);
    loop_timer_set(loop, &t[3].timer, now + 60 * NSEC_PER_SEC);
    loop_timer_set(loop, &t[0].timer, now - NSEC_PER_SEC);
    run();
    CHECK_STR(trace, "abc");
}

TEST(timer_never_fires_early)
{
    struct named_timer t = {.timer.on_due = on_stop, .name = "t"};
    nsec_t due = clock_now() + 20 * NSEC_PER_MSEC + 1;

    start();
    loop_timer_set(loop, &t.timer, due);
    run();
    CHECK(clock_now() >= due);
    CHECK(clock_now() < due + 2 * NSEC_PER_SEC);
}

TEST(timer_that_is_set_again_fires_once_at_its_new_time)
{
    struct named_timer t = {.timer.on_due = on_note, .name = "t"}, stop = {.timer.on_due = on_stop, .name = "s"};
    nsec_t now = clock_now();

    start();
    loop_timer_set(loop, &t.timer, now);
    loop_timer_set(loop, &t.timer, now + 2 * NSEC_PER_MSEC);
    loop_timer_set(loop, &stop.timer, now + 5 * NSEC_PER_MSEC);
    loop_timer_set(loop, &t.timer, now + 3 * NSEC_PER_MSEC);
    run();
    CHECK_STR(trace, "ts");
}

TEST(timer_may_be_set_again_by_its_own_callback)
{
    struct named_timer t = {.timer.on_due = on_set_again, .name = "t"};

    start();
    loop_timer_set(loop, &t.timer, clock_now());
    run();
    CHECK_STR(trace, "ttt");
}

TEST(callback_may_clear_a_timer_that_is_due_as_well)
{
    struct named_timer b = {.timer.on_due = on_note, .name = "b"},
                       a = {.timer.on_due = on_clear_other, .name = "a", .other = &b},
                       stop = {.timer.on_due = on_stop, .name = "s"};
    nsec_t past = clock_now() - NSEC_PER_SEC;

    start();
    loop_timer_set(loop, &a.timer, past);
    loop_timer_set(loop, &b.timer, past + 1);
    loop_timer_set(loop, &stop.timer, past + 2);
    run();
    CHECK_STR(trace, "as");
    CHECK_INT(b.timer.slot, 0);
}

TEST(clearing_what_is_not_set_is_harmless)
{
    struct named_timer t = {.timer.on_due = on_note, .name = "t"}, stop = {.timer.on_due = on_stop, .name = "s"};

    start();
    loop_timer_clear(loop, &t.timer);
    loop_timer_set(loop, &t.timer, clock_now());
    loop_timer_clear(loop, &t.timer);
    loop_timer_clear(loop, &t.timer);
    loop_timer_set(loop, &stop.timer, clock_now());
    run();
    CHECK_STR(trace, "s");
}

static nsec_t last_due;
static unsigned fired, out_of_order;

static void on_counted(struct loop_timer *t)
{
    out_of_order += t->due < last_due;
    last_due = t->due;
    fired++;
}

/* Any order of setting, moving and clearing must leave the heap a heap. */
TEST(thousands_of_timers_set_moved_and_cleared_at_random_fire_in_order)
{
    enum { COUNT = 5000 };
    static struct loop_timer t[COUNT];
    struct named_timer stop = {.timer.on_due = on_stop, .name = "s"};
    nsec_t base = clock_now() - NSEC_PER_SEC;
    unsigned left = 0;

    srand(1);
    start();
    for (unsigned i = 0; i < COUNT; i++)
        t[i].on_due = on_counted;
    for (unsigned i = 0; i < 10 * COUNT; i++) {
        struct loop_timer *one = &t[rand() % COUNT];

        if (rand() % 3)
            loop_timer_set(loop, one, base + rand() % 1000);
        else
            loop_timer_clear(loop, one);
    }
    for (unsigned i = 0; i < COUNT; i++)
        left += t[i].slot != 0;
    loop_timer_set(loop, &stop.timer, base + 2000);
    run();
    CHECK(left > COUNT / 2);
    CHECK_INT(fired, left);
    CHECK_INT(out_of_order, 0);
}

/* --- descriptors -------------------------------------------------------------------------------------------------- */

struct pipe_io {
    struct loop_io io;
    const char *name;
    int write_end;
    struct pipe_io *other;
};

static void open_pipe(struct pipe_io *p, const char *name, void (*on_ready)(struct loop_io *, uint32_t))
{
    int pair[2] = {-1, -1};
    struct err e;

    CHECK(pipe2(pair, O_CLOEXEC) == 0);
    *p = (struct pipe_io){.io = {.fd = pair[0], .on_ready = on_ready}, .name = name, .write_end = pair[1]};
    CHECK_INT(loop_io_add(loop, &p->io, EPOLLIN, &e), 0);
    CHECK_INT(write(p->write_end, "x", 1), 1);
}

static void close_pipe(struct pipe_io *p)
{
    fd_close(&p->io.fd);
    fd_close(&p->write_end);
}

/* Reads, and takes the other one's descriptor away, as an owner does that is destroyed. */
static void on_remove_other(struct loop_io *io, UNUSED uint32_t events)
{
    struct pipe_io *p = container_of(io, struct pipe_io, io);
    char byte;

    note(p->name);
    CHECK_INT(read(io->fd, &byte, 1), 1);
    loop_io_remove(loop, &p->other->io);
    close_pipe(p->other);
    loop_stop(loop);
}

TEST(io_removed_in_a_callback_is_not_called_although_it_was_ready)
{
    struct pipe_io a, b;

    start();
    open_pipe(&a, "x", on_remove_other);
    open_pipe(&b, "x", on_remove_other);
    a.other = &b;
    b.other = &a;
    run();
    CHECK_STR(trace, "x"); /* whichever came first */
    close_pipe(&a);
    close_pipe(&b);
}

static void on_remove_itself(struct loop_io *io, UNUSED uint32_t events)
{
    note("r");
    loop_io_remove(loop, io);
    loop_io_remove(loop, io);
}

TEST(io_may_remove_itself_and_is_not_called_again)
{
    struct named_timer stop = {.timer.on_due = on_stop, .name = "s"};
    struct pipe_io p;

    start();
    open_pipe(&p, "p", on_remove_itself);
    loop_timer_set(loop, &stop.timer, clock_now() + 5 * NSEC_PER_MSEC);
    run();
    CHECK_STR(trace, "rs");
    CHECK(!p.io.active);
    close_pipe(&p);
}

static void on_end(struct loop_io *io, uint32_t events)
{
    note(events & EPOLLHUP ? "hup" : "other");
    loop_io_remove(loop, io);
    loop_stop(loop);
}

TEST(end_of_the_other_side_is_an_event)
{
    struct pipe_io p;
    char byte;

    start();
    open_pipe(&p, "p", on_end);
    CHECK_INT(read(p.io.fd, &byte, 1), 1);
    fd_close(&p.write_end);
    run();
    CHECK_STR(trace, "hup");
    close_pipe(&p);
}

TEST(events_that_nobody_waits_for_are_not_reported)
{
    struct named_timer stop = {.timer.on_due = on_stop, .name = "s"};
    struct pipe_io p;
    struct err e;

    start();
    open_pipe(&p, "p", on_remove_other);
    CHECK_INT(loop_io_change(loop, &p.io, 0, &e), 0);
    loop_timer_set(loop, &stop.timer, clock_now() + 5 * NSEC_PER_MSEC);
    run();
    CHECK_STR(trace, "s");
    close_pipe(&p);
}

TEST(descriptor_that_cannot_be_watched_is_an_error)
{
    struct loop_io io = {.fd = -1, .on_ready = on_end};
    struct err e;

    start();
    CHECK_INT(loop_io_add(loop, &io, EPOLLIN, &e), -EBADF);
    CHECK(!io.active);
    loop_io_remove(loop, &io);
    loop_destroy(loop);
}

/* --- later, signals ----------------------------------------------------------------------------------------------- */

static struct loop_later again;

static void later_note(UNUSED struct loop_later *l)
{
    note("l");
}

static void later_again(struct loop_later *l)
{
    note("a");
    if (strlen(trace) < 3)
        loop_later(loop, l);
    else
        loop_stop(loop);
}

TEST(later_runs_once_however_often_it_is_asked_for)
{
    struct loop_later l = {.run = later_note};
    struct named_timer stop = {.timer.on_due = on_stop, .name = "s"};

    start();
    for (int i = 0; i < 3; i++)
        loop_later(loop, &l);
    loop_timer_set(loop, &stop.timer, clock_now() + 5 * NSEC_PER_MSEC);
    run();
    CHECK_STR(trace, "ls");
    CHECK(!l.queued);
}

TEST(later_that_asks_again_runs_in_the_next_round_without_waiting)
{
    nsec_t begun = clock_now();

    again = (struct loop_later){.run = later_again};
    start();
    loop_later(loop, &again);
    run();
    CHECK_STR(trace, "aaa");
    CHECK(clock_now() - begun < NSEC_PER_SEC);
}

static void on_signal(void *ctx, int signo)
{
    *(int *)ctx = signo;
    loop_stop(loop);
}

TEST(signals_are_reported_in_the_loop)
{
    static const int signals[] = {SIGUSR1, SIGUSR2, 0};
    struct err e;
    int got = 0;

    start();
    CHECK_INT(loop_signals(loop, signals, on_signal, &got, &e), 0);
    raise(SIGUSR2);
    CHECK_INT(got, 0);
    run();
    CHECK_INT(got, SIGUSR2);
}
