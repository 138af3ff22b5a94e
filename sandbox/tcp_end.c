#include "tcp_end.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/macros.h"
#include "base/proto.h"

#define FILE_NAME "connection"

#define REPAIR_ON 1
#define REPAIR_OFF (-1) /* 0 would also send the peer a probe, which it may not be there to answer */

/* What the file begins with; the request follows. Written and read by one build of fnrun: manager/identity.c. */
struct tcp_end {
    struct sockaddr_in own, peer;
    uint32_t received, sent; /* sequence numbers: of the next byte to come, of the next to send */
    struct tcp_repair_window window;
    uint32_t mss, options, send_scale, receive_scale; /* options: TCPI_OPT_* */
    uint32_t request_bytes;
};

static int set(int sock, int name, const void *value, size_t size, const char *what, struct err *e)
{
    return setsockopt(sock, IPPROTO_TCP, name, value, (socklen_t)size) < 0 ? err_errno(e, "%s", what) : 0;
}

static int set_int(int sock, int name, int value, const char *what, struct err *e)
{
    return set(sock, name, &value, sizeof(value), what, e);
}

static int get(int sock, int name, void *value, size_t size, const char *what, struct err *e)
{
    socklen_t length = (socklen_t)size;

    return getsockopt(sock, IPPROTO_TCP, name, value, &length) < 0 ? err_errno(e, "%s", what) : 0;
}

/* --- save ------------------------------------------------------------------------------------------------------------- */

/* The descriptor comes from the manager: only a connection of this sandbox is its business. */
static int check_namespace(int sock, struct err *e)
{
    auto_fd int ours = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    uint64_t here, there;
    socklen_t size = sizeof(here);

    if (ours < 0 || getsockopt(ours, SOL_SOCKET, SO_NETNS_COOKIE, &here, &size) < 0 ||
        getsockopt(sock, SOL_SOCKET, SO_NETNS_COOKIE, &there, &size) < 0)
        return err_errno(e, "find the connection's network namespace");
    return here == there ? 0 : err_set(e, EINVAL, "the connection belongs to another sandbox");
}

static int get_addresses(int sock, struct tcp_end *t, struct err *e)
{
    socklen_t own = sizeof(t->own), peer = sizeof(t->peer);

    if (getsockname(sock, (struct sockaddr *)&t->own, &own) < 0 ||
        getpeername(sock, (struct sockaddr *)&t->peer, &peer) < 0)
        return err_errno(e, "read the connection's addresses");
    return t->own.sin_family == AF_INET ? 0 : err_set(e, EINVAL, "the connection is not of TCP over IPv4");
}

static int get_sequence(int sock, int queue, uint32_t *ret, struct err *e)
{
    if (set_int(sock, TCP_REPAIR_QUEUE, queue, "choose a queue", e) < 0)
        return -e->code;
    return get(sock, TCP_QUEUE_SEQ, ret, sizeof(*ret), "read a sequence number", e);
}

static int read_repaired(int sock, struct tcp_end *t, struct err *e)
{
    struct tcp_info info = {0};

    if (get_sequence(sock, TCP_RECV_QUEUE, &t->received, e) < 0 ||
        get_sequence(sock, TCP_SEND_QUEUE, &t->sent, e) < 0 ||
        get(sock, TCP_REPAIR_WINDOW, &t->window, sizeof(t->window), "read the windows", e) < 0 ||
        get(sock, TCP_MAXSEG, &t->mss, sizeof(t->mss), "read the segment size", e) < 0 ||
        get(sock, TCP_INFO, &info, sizeof(info), "read the options", e) < 0)
        return -e->code;
    t->options = info.tcpi_options;
    t->send_scale = info.tcpi_snd_wscale;
    t->receive_scale = info.tcpi_rcv_wscale;
    return 0;
}

static int write_file(int dir, const struct tcp_end *t, const void *request, struct err *e)
{
    auto_fd int fd = openat(dir, FILE_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);

    if (fd < 0)
        return err_errno(e, "create " FILE_NAME);
    return fd_write_all(fd, t, sizeof(*t), e) < 0 ? -e->code : fd_write_all(fd, request, t->request_bytes, e);
}

int tcp_end_save(int sock, const void *request, size_t size, int dir, struct err *e)
{
    struct tcp_end t = {.request_bytes = (uint32_t)size};
    struct err ignored;
    int rc;

    if (check_namespace(sock, e) < 0 || get_addresses(sock, &t, e) < 0 ||
        set_int(sock, TCP_REPAIR, REPAIR_ON, "start to repair the connection", e) < 0)
        return err_wrap(e, "save the connection");
    rc = read_repaired(sock, &t, e);
    set_int(sock, TCP_REPAIR, REPAIR_OFF, "", &ignored);
    if (rc < 0 || write_file(dir, &t, request, e) < 0)
        return err_wrap(e, "save the connection");
    return 0;
}

/* --- restore -------------------------------------------------------------------------------------------------------------- */

/* The next byte to receive is again the request's first one. */
static int set_sequences(int sock, const struct tcp_end *t, struct err *e)
{
    uint32_t received = t->received - t->request_bytes;

    if (set_int(sock, TCP_REPAIR_QUEUE, TCP_RECV_QUEUE, "choose a queue", e) < 0 ||
        set(sock, TCP_QUEUE_SEQ, &received, sizeof(received), "set a sequence number", e) < 0 ||
        set_int(sock, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE, "choose a queue", e) < 0)
        return -e->code;
    return set(sock, TCP_QUEUE_SEQ, &t->sent, sizeof(t->sent), "set a sequence number", e);
}

/* While it is repaired, bind() takes a port that is taken and connect() sends nothing. */
static int connect_silently(int sock, const struct tcp_end *t, struct err *e)
{
    if (bind(sock, (const struct sockaddr *)&t->own, sizeof(t->own)) < 0)
        return err_errno(e, "bind");
    if (set_sequences(sock, t, e) < 0)
        return -e->code;
    return connect(sock, (const struct sockaddr *)&t->peer, sizeof(t->peer)) < 0 ? err_errno(e, "connect") : 0;
}

/* What the two ends had agreed on. */
static int set_options(int sock, const struct tcp_end *t, struct err *e)
{
    struct tcp_repair_opt list[4];
    size_t count = 0;

    list[count++] = (struct tcp_repair_opt){TCPOPT_MAXSEG, t->mss};
    if (t->options & TCPI_OPT_WSCALE)
        list[count++] = (struct tcp_repair_opt){TCPOPT_WINDOW, t->send_scale | t->receive_scale << 16};
    if (t->options & TCPI_OPT_SACK)
        list[count++] = (struct tcp_repair_opt){TCPOPT_SACK_PERMITTED, 0};
    if (t->options & TCPI_OPT_TIMESTAMPS)
        list[count++] = (struct tcp_repair_opt){TCPOPT_TIMESTAMP, 0};
    return set(sock, TCP_REPAIR_OPTIONS, list, count * sizeof(list[0]), "set the options", e);
}

/* While it is repaired, what is sent goes into the chosen queue. */
static int put_back(int sock, const void *request, size_t size, struct err *e)
{
    if (set_int(sock, TCP_REPAIR_QUEUE, TCP_RECV_QUEUE, "choose a queue", e) < 0)
        return -e->code;
    return send(sock, request, size, 0) == (ssize_t)size ? 0 : err_errno(e, "put the request back");
}

static int repair(int sock, const struct tcp_end *t, const void *request, struct err *e)
{
    int one = 1;

    if (set_int(sock, TCP_REPAIR, REPAIR_ON, "start to repair", e) < 0 || connect_silently(sock, t, e) < 0 ||
        set_options(sock, t, e) < 0 || put_back(sock, request, t->request_bytes, e) < 0 ||
        set(sock, TCP_REPAIR_WINDOW, &t->window, sizeof(t->window), "set the windows", e) < 0 ||
        set_int(sock, TCP_REPAIR, REPAIR_OFF, "end the repair", e) < 0)
        return -e->code;
    /* fnrun-init will listen on the port. The repair's end has reset the option. */
    return setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ? err_errno(e, "set SO_REUSEADDR") : 0;
}

/* Returns the size of the request. */
static ssize_t read_file(int dir, struct tcp_end *t, char *request, size_t size, struct err *e)
{
    auto_fd int fd = openat(dir, FILE_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return err_errno(e, "open " FILE_NAME);
    if (read(fd, t, sizeof(*t)) != sizeof(*t) || t->request_bytes > size ||
        read(fd, request, size) != (ssize_t)t->request_bytes)
        return err_set(e, EUCLEAN, "the snapshot's file '" FILE_NAME "' is damaged");
    return (ssize_t)t->request_bytes;
}

int tcp_end_restore(int dir, int *ret, struct err *e)
{
    static char request[PROTO_REQUEST_MAX];
    struct tcp_end t;
    auto_fd int sock = -1;

    if (read_file(dir, &t, request, sizeof(request), e) < 0)
        return -e->code;
    sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (sock < 0 || repair(sock, &t, request, e) < 0)
        return sock < 0 ? err_errno(e, "socket") : err_wrap(e, "restore the connection");
    *ret = take_fd(&sock);
    return 0;
}
