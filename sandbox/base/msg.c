#include "msg.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
    char bytes[CMSG_SPACE(sizeof(int) * MSG_FDS_MAX)];
    struct cmsghdr align;
};

void msg_fds_close(struct msg_fds *fds)
{
    for (unsigned i = 0; i < fds->count; i++)
        fd_close(&fds->fd[i]);
    fds->count = 0;
}

static void attach_fds(struct msghdr *h, union control *c, const struct msg_fds *fds)
{
    struct cmsghdr *cmsg;

    h->msg_control = c->bytes;
    h->msg_controllen = CMSG_SPACE(sizeof(int) * fds->count);
    cmsg = CMSG_FIRSTHDR(h);
    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(sizeof(int) * fds->count);
    memcpy(CMSG_DATA(cmsg), fds->fd, sizeof(int) * fds->count);
}

int msg_send(int sock, const void *data, size_t size, const struct msg_fds *fds, struct err *e)
{
    struct iovec iov = {.iov_base = (void *)data, .iov_len = size};
    struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};
    union control c = {0};
    ssize_t n;

    if (fds && fds->count)
        attach_fds(&h, &c, fds);
    do
        n = sendmsg(sock, &h, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return err_errno(e, "send message");
    return 0;
}

static void collect_fds(struct msghdr *h, struct msg_fds *ret_fds)
{
    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(h); cmsg; cmsg = CMSG_NXTHDR(h, cmsg)) {
        size_t n;

        if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
            continue;
        /* The control buffer has room for MSG_FDS_MAX, so the kernel never hands over more. */
        n = MIN((cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int), MSG_FDS_MAX - ret_fds->count);
        memcpy(ret_fds->fd + ret_fds->count, CMSG_DATA(cmsg), n * sizeof(int));
        ret_fds->count += (unsigned)n;
    }
}

ssize_t msg_recv(int sock, void *data, size_t size, struct msg_fds *ret_fds, struct err *e)
{
    struct iovec iov = {.iov_base = data, .iov_len = size};
    union control c;
    struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = c.bytes, .msg_controllen = sizeof(c.bytes)};
    ssize_t n;

    do
        n = recvmsg(sock, &h, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return err_errno(e, "receive message");
    collect_fds(&h, ret_fds);
    if (h.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        msg_fds_close(ret_fds);
        return err_set(e, EPROTO, "receive message: longer than %zu bytes or too many descriptors", size);
    }
    return n;
}
