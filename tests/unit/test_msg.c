// links: sandbox/base/msg.c sandbox/base/fd.c sandbox/base/err.c
#include "../../sandbox/base/msg.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

struct pair {
    int a, b;
};

static struct pair open_pair(void)
{
    int fd[2] = {-1, -1};

    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd) == 0);
    return (struct pair){fd[0], fd[1]};
}

static void close_pair(struct pair *p)
{
    fd_close(&p->a);
    fd_close(&p->b);
}

#define auto_pair __attribute__((cleanup(close_pair))) struct pair

static int count_open(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;

    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* Sends `count` descriptors in one message, more than msg_send could. */
static void send_many(int sock, unsigned count)
{
    char control[CMSG_SPACE(sizeof(int) * 64)] = {0};
    struct iovec iov = {.iov_base = "x", .iov_len = 1};
    struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control};
    struct cmsghdr *cmsg;

    h.msg_controllen = CMSG_SPACE(sizeof(int) * count);
    cmsg = CMSG_FIRSTHDR(&h);
    *cmsg = (struct cmsghdr){CMSG_LEN(sizeof(int) * count), SOL_SOCKET, SCM_RIGHTS};
    memset(CMSG_DATA(cmsg), 0, sizeof(int) * count); /* descriptor 0, again and again */
    CHECK_INT(sendmsg(sock, &h, 0), 1);
}

TEST(borders_between_messages_are_kept)
{
    auto_pair p = open_pair();
    struct msg_fds none = {.count = 0};
    char data[100];
    struct err e;

    CHECK_INT(msg_send(p.a, "first", 5, NULL, &e), 0);
    CHECK_INT(msg_send(p.a, "second!", 7, &none, &e), 0);
    CHECK_INT(msg_recv(p.b, data, sizeof(data), &none, &e), 5);
    CHECK_MEM(data, "first", 5);
    CHECK_INT(msg_recv(p.b, data, sizeof(data), &none, &e), 7);
    CHECK_MEM(data, "second!", 7);
    CHECK_INT(none.count, 0);
    CHECK_INT(msg_recv(p.b, data, sizeof(data), &none, &e), -EAGAIN);
}

TEST(message_as_long_as_the_room_is_taken_and_a_longer_one_is_not)
{
    auto_pair p = open_pair();
    struct msg_fds fds = {.count = 0};
    char data[8];
    struct err e;

    msg_send(p.a, "12345678", 8, NULL, &e);
    msg_send(p.a, "123456789", 9, NULL, &e);
    msg_send(p.a, "next", 4, NULL, &e);
    CHECK_INT(msg_recv(p.b, data, sizeof(data), &fds, &e), 8);
    CHECK_INT(msg_recv(p.b, data, sizeof(data), &fds, &e), -EPROTO);
    CHECK_INT(msg_recv(p.b, data, sizeof(data), &fds, &e), 4);
}

TEST(descriptors_of_a_message_that_is_too_long_are_closed)
{
    auto_pair p = open_pair();
    struct msg_fds fds = {.fd = {p.a, p.b}, .count = 2}, got = {.count = 0};
    int before = count_open();
    char data[4];
    struct err e;

    msg_send(p.a, "too long", 8, &fds, &e);
    CHECK_INT(msg_recv(p.b, data, sizeof(data), &got, &e), -EPROTO);
    CHECK_INT(got.count, 0);
    CHECK_INT(count_open(), before);
}

TEST(too_many_descriptors_are_refused_and_closed)
{
    auto_pair p = open_pair();
    struct msg_fds got = {.count = 0};
    int before = count_open();
    char data[4];
    struct err e;

    send_many(p.a, MSG_FDS_MAX + 1);
    CHECK_INT(msg_recv(p.b, data, sizeof(data), &got, &e), -EPROTO);
    send_many(p.a, 60);
    CHECK_INT(msg_recv(p.b, data, sizeof(data), &got, &e), -EPROTO);
    CHECK_INT(got.count, 0);
    CHECK_INT(count_open(), before);
    send_many(p.a, MSG_FDS_MAX);
    CHECK_INT(msg_recv(p.b, data, sizeof(data), &got, &e), 1);
    CHECK_INT(got.count, MSG_FDS_MAX);
    msg_fds_close(&got);
    CHECK_INT(count_open(), before);
}

TEST(descriptors_arrive_in_order_and_closed_at_exec)
{
    auto_pair p = open_pair();
    auto_fd int null = open("/dev/null", O_RDONLY | O_CLOEXEC), zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    auto_msg_fds struct msg_fds got = {.count = 0};
    struct msg_fds fds = {.fd = {null, zero}, .count = 2};
    struct stat want, found;
    char data[4];
    struct err e;

    CHECK_INT(msg_send(p.a, "x", 1, &fds, &e), 0);
    CHECK(fcntl(null, F_GETFD) >= 0);
    CHECK_INT(msg_recv(p.b, data, sizeof(data), &got, &e), 1);
    if (!CHECK_INT(got.count, 2))
        return;
    for (int i = 0; i < 2; i++) {
        fstat(fds.fd[i], &want);
        fstat(got.fd[i], &found);
        CHECK(want.st_rdev == found.st_rdev && got.fd[i] != fds.fd[i]);
        CHECK_INT(fcntl(got.fd[i], F_GETFD), FD_CLOEXEC);
    }
}

TEST(end_of_the_peer_is_told)
{
    auto_pair p = open_pair();
    struct msg_fds fds = {.count = 0};
    char data[4];
    struct err e;

    msg_send(p.a, "last", 4, NULL, &e);
    fd_close(&p.a);
    CHECK_INT(msg_recv(p.b, data, sizeof(data), &fds, &e), 4);
    CHECK_INT(msg_recv(p.b, data, sizeof(data), &fds, &e), 0);
    CHECK_INT(msg_send(p.b, "x", 1, NULL, &e), -EPIPE); /* and no SIGPIPE */
}

TEST(full_queue_is_EAGAIN_and_loses_nothing_that_was_taken)
{
    auto_pair p = open_pair();
    struct msg_fds fds = {.count = 0};
    unsigned sent = 0, received = 0, data;
    struct err e;

    while (msg_send(p.a, &sent, sizeof(sent), NULL, &e) == 0)
        sent++;
    CHECK_INT(e.code, EAGAIN);
    CHECK(sent > 0);
    while (msg_recv(p.b, &data, sizeof(data), &fds, &e) == (ssize_t)sizeof(data))
        received += data == received;
    CHECK_INT(received, sent);
}
