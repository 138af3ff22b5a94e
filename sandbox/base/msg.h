/*
 * One typed message with descriptors over a SOCK_SEQPACKET socket. The kernel keeps message borders; this adds the
 * length checks. Received descriptors are close-on-exec and owned by the struct until taken.
 */
#ifndef FNRUN_MSG_H
#define FNRUN_MSG_H

#include <stdint.h>
#include <sys/types.h>

#include "err.h"
#include "fd.h"

#define MSG_FDS_MAX 16
#define MSG_BYTES_MAX 65536

struct msg_fds {
    int fd[MSG_FDS_MAX];
    unsigned count;
};

/* Closes what is left in it. */
void msg_fds_close(struct msg_fds *fds);

#define auto_msg_fds __attribute__((cleanup(msg_fds_close)))

/* Sends one message of `size` bytes and, where `fds` isn't NULL, duplicates of its descriptors; they stay the
 * caller's. Retries EINTR. On a non-blocking socket a full queue is -EAGAIN. */
int msg_send(int sock, const void *data, size_t size, const struct msg_fds *fds, struct err *e);

/* Receives one message into `data` (at most `size` bytes). Returns its length; 0 when the peer has closed; -EAGAIN
 * when none is there; -EPROTO for a message longer than `size` or with too many descriptors (all are closed then).
 * `ret_fds` must be empty. */
ssize_t msg_recv(int sock, void *data, size_t size, struct msg_fds *ret_fds, struct err *e);

#endif
