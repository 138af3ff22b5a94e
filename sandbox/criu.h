/*
 * CRIU's RPC: one SOCK_SEQPACKET message to a waiting `criu swrk FD`, one message back. Source: CRIU 4.1.1, images/rpc.proto
 * and criu/cr-service.c. The pair must be made by a process of criu's own pid namespace, because criu looks up the image
 * directory as /proc/<maker of the pair>/fd/N.
 *
 * Called by the warden (restore) and by its forked children (arming, dump).
 */
#ifndef FNRUN_CRIU_H
#define FNRUN_CRIU_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* criu's and its user's descriptors, the same in every sandbox. High, so that they are never the runtime's. */
enum criu_fd { CRIU_RPC_FD = 200, CRIU_IMAGES_FD, CRIU_CHANNEL_FD, CRIU_LOG_FD, CRIU_WORK_FD, CRIU_FD_END };

#define CRIU_FDS (CRIU_FD_END - CRIU_RPC_FD)

/* criu's pid in the sandbox: out of the way of the pids and thread ids that a restored runtime needs again. */
#define CRIU_PID 30000

/* The runtime's ends when it was dumped: criu names them by inode. */
struct criu_ends {
    uint64_t channel_inode; /* 0: a runtime without a channel */
    uint64_t log_inode;
};

/* Asks nothing of it: the answer says that criu is loaded and waits for a request. */
int criu_send_hello(int sock, struct err *e);

#define CRIU_LOG_NAME 40

/* The log of what is done for a sandbox, beneath CRIU_WORK_FD. */
void criu_name_log(char ret[CRIU_LOG_NAME], uint64_t sandbox);

/* Adds criu's first words of failure to `e`, and drops the log. */
void criu_explain(int work, const char *log_name, struct err *e);
void criu_drop_log(int work, const char *log_name);

/* Dumps the tree of pid 2 into the image directory and lets it run on. */
int criu_send_dump(int sock, const struct criu_ends *ends, const char *log_name, struct err *e);

/* Restores it as a child of criu's parent, with CRIU_CHANNEL_FD and CRIU_LOG_FD in place of its old ends. */
int criu_send_restore(int sock, const struct criu_ends *ends, const char *log_name, struct err *e);

/* Receives an answer. A refusal is -EIO, and criu_explain has more; -EPIPE when criu is gone. Blocks if the socket does. */
int criu_receive(int sock, struct err *e);

#endif
