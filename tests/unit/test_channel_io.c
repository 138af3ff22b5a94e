// links: manager/channel_io.c sandbox/base/loop.c sandbox/base/buf.c sandbox/base/fd.c sandbox/base/err.c
#include "../../manager/channel_io.h"

#include <sys/socket.h>
#include <unistd.h>

#include "../../sandbox/base/fd.h"
#include "check.h"

#define BODY_CAP 100

static struct loop *loop;
static struct channel channel;
static struct loop_timer patience;
static int peer; /* the function's end */
static char trace[1024];
static bool stop_reading;

static bool on_frame(struct channel *c)
{
    size_t used = strlen(trace);

    snprintf(trace + used, sizeof(trace) - used, "%u:%s:%s%s;", c->header.kind, buf_str(&c->head), buf_str(&c->body),
             c->too_large ? "(large)" : "");
    return !stop_reading;
}

static void on_closed(struct channel *c)
{
    strcat(trace, "closed");
    channel_close(c);
    loop_stop(loop);
}

static void on_broken(struct channel *c)
{
    strcat(trace, "broken");
    channel_close(c);
    loop_stop(loop);
}

static void on_patience(UNUSED struct loop_timer *t)
{
    loop_stop(loop);
}

static void start(void)
{
    int pair[2] = {-1, -1};
    struct err e;

    trace[0] = '\0';
    stop_reading = false;
    CHECK(loop_create(&loop, &e) == 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    peer = pair[1];
    channel = (struct channel){.on_frame = on_frame, .on_closed = on_closed, .on_broken = on_broken};
    CHECK_INT(channel_open(&channel, loop, pair[0], BODY_CAP, &e), 0);
    patience = (struct loop_timer){.on_due = on_patience};
}

static void run(void)
{
    struct err e;

    loop_timer_set(loop, &patience, clock_now() + 2 * NSEC_PER_MSEC);
    loop_run(loop, &e);
}

static void finish(void)
{
    channel_close(&channel);
    fd_close(&peer);
    loop_destroy(loop);
}

static void say(const void *data, size_t size)
{
    CHECK_INT(send(peer, data, size, MSG_NOSIGNAL), size);
}

static void say_frame(uint32_t kind, const char *head, const char *body)
{
    struct frame_header h = {kind, (uint32_t)strlen(head), (uint32_t)strlen(body)};

    say(&h, sizeof(h));
    say(head, strlen(head));
    say(body, strlen(body));
}

TEST(frames_with_and_without_head_and_body)
{
    start();
    say_frame(1, "{}", "");
    say_frame(2, "{\"id\":1}", "result");
    say_frame(3, "", "");
    say_frame(4, "", "body");
    run();
    CHECK_STR(trace, "1:{}:;2:{\"id\":1}:result;3::;4::body;");
    finish();
}

TEST(frame_that_comes_byte_by_byte)
{
    struct frame_header h = {2, 3, 4};
    char bytes[sizeof(h) + 7];

    memcpy(bytes, &h, sizeof(h));
    memcpy(bytes + sizeof(h), "abcdefg", 7);
    start();
    for (size_t i = 0; i < sizeof(bytes); i++) {
        CHECK_STR(trace, "");
        say(bytes + i, 1);
        run();
    }
    CHECK_STR(trace, "2:abc:defg;");
    finish();
}

TEST(body_at_its_cap_is_kept_and_a_larger_one_thrown_away)
{
    char body[BODY_CAP + 2], wanted[200];

    memset(body, 'b', sizeof(body));
    body[BODY_CAP] = '\0';
    start();
    say_frame(2, "h", body);
    run();
    snprintf(wanted, sizeof(wanted), "2:h:%s;", body);
    CHECK_STR(trace, wanted);
    trace[0] = '\0';
    body[BODY_CAP] = 'b';
    body[BODY_CAP + 1] = '\0';
    say_frame(2, "h", body);
    say_frame(3, "next", "x");
    run();
    CHECK_STR(trace, "2:h:(large);3:next:x;");
    finish();
}

TEST(header_that_is_none_breaks_the_channel_before_more_comes)
{
    static const struct frame_header none[] = {
        {2, CHANNEL_HEAD_MAX + 1, 0},         {2, 0, CHANNEL_BODY_MAX + 1}, {0, 2, 2},
        {FRAME_INIT_ERROR + 1, 2, 2},         {FRAME_INVOKE, 2, 2}, /* what only we say */
        {UINT32_MAX, UINT32_MAX, UINT32_MAX},
    };

    for (unsigned i = 0; i < ARRAY_LEN(none); i++) {
        start();
        say(&none[i], sizeof(none[i]));
        run();
        CHECK_STR(trace, "broken");
        finish();
    }
}

TEST(longest_head_is_taken)
{
    struct frame_header h = {2, CHANNEL_HEAD_MAX, 0};
    static char head[CHANNEL_HEAD_MAX];

    memset(head, 'h', sizeof(head));
    start();
    say(&h, sizeof(h));
    say(head, sizeof(head));
    run();
    CHECK_INT(channel.head.used, CHANNEL_HEAD_MAX);
    CHECK_INT(strncmp(trace, "2:hhhh", 6), 0);
    finish();
}

/* What is announced costs nothing until they come. */
TEST(announced_body_needs_no_memory)
{
    struct frame_header h = {2, 0, CHANNEL_BODY_MAX};

    start();
    say(&h, sizeof(h));
    say("0123456789", 10);
    run();
    CHECK_STR(trace, "");
    CHECK(channel.body.size <= BODY_CAP);
    CHECK(channel.left == (uint64_t)CHANNEL_BODY_MAX - 10);
    finish();
}

TEST(end_within_a_frame_is_an_end)
{
    struct frame_header h = {2, 5, 5};

    start();
    say_frame(1, "", "");
    say(&h, sizeof(h));
    say("he", 2);
    fd_close(&peer);
    run();
    CHECK_STR(trace, "1::;closed");
    finish();
}

TEST(owner_that_has_enough_is_told_nothing_more)
{
    start();
    stop_reading = true;
    say_frame(1, "", "");
    say_frame(2, "", "");
    run();
    CHECK_STR(trace, "1::;");
    finish();
}

/* Reads what the channel sent: a frame whose body is all 'x'. Returns the body's size, -1 for anything else. */
static long hear_frame(void)
{
    struct frame_header h = {0};
    char chunk[65536];
    size_t heard = 0;

    if (recv(peer, &h, sizeof(h), MSG_WAITALL) != (ssize_t)sizeof(h) ||
        recv(peer, chunk, h.head_bytes, MSG_WAITALL) != 2)
        return -1;
    while (heard < h.body_bytes) {
        ssize_t n = recv(peer, chunk, MIN(sizeof(chunk), h.body_bytes - heard), MSG_DONTWAIT);

        if (n < 0)
            run(); /* the rest goes out when the loop runs */
        for (ssize_t i = 0; i < n; i++)
            if (chunk[i] != 'x')
                return -1;
        heard += n > 0 ? (size_t)n : 0;
    }
    return (long)heard;
}

TEST(frames_larger_than_the_socket_takes_arrive_whole_and_in_order)
{
    auto_buf struct buf head = {0}, body = {0}, none = {0};
    struct err e;

    start();
    buf_add_str(&head, "{}", &e);
    buf_reserve(&body, 6000000, &e);
    memset(body.data, 'x', 6000000);
    body.used = 6000000;
    channel_send(&channel, FRAME_INVOKE, &head, &body);
    channel_send(&channel, FRAME_INVOKE, &head, &none);
    body.used = 1;
    channel_send(&channel, FRAME_INVOKE, &head, &body);
    CHECK(channel.out.used > 0);
    CHECK_INT(hear_frame(), 6000000);
    CHECK_INT(hear_frame(), 0);
    CHECK_INT(hear_frame(), 1);
    CHECK_INT(channel.out.used, 0);
    finish();
}

TEST(sending_to_one_that_is_gone_ends_in_closed)
{
    auto_buf struct buf head = {0}, body = {0};
    struct err e;

    start();
    buf_add_str(&head, "{}", &e);
    fd_close(&peer);
    channel_send(&channel, FRAME_INVOKE, &head, &body);
    run();
    CHECK_STR(trace, "closed");
    finish();
}
