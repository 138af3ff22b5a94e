/*
 * State: PID 1 of a sandbox before it is fnrun-init, or dump.c's child: the sandbox's namespaces, the warden's capabilities,
 * uid 0. criu gets as much: it acts on the runtime from inside, where it can reach nothing else.
 */
#include "arm.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"
#include "criu.h"
#include "tcp_end.h"
#include "tmp_files.h"
#include "toolbox.h"

struct pair {
    int fd[2];
};

static void pair_close(struct pair *p)
{
    fd_close(&p->fd[0]);
    fd_close(&p->fd[1]);
}

#define auto_pair __attribute__((cleanup(pair_close))) struct pair

static int make_pair(int type, struct pair *ret, struct err *e)
{
    return socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ret->fd) < 0 ? err_errno(e, "socketpair") : 0;
}

/* First out of the way of every place, then to their places. `fds` in the order of enum criu_fd; -1: none. */
static int place_all(const int *fds, struct err *e)
{
    int lifted[CRIU_FDS];

    for (int i = 0; i < CRIU_FDS; i++) {
        lifted[i] = fds[i] < 0 ? -1 : fcntl(fds[i], F_DUPFD_CLOEXEC, CRIU_RPC_FD + CRIU_FDS);
        if (fds[i] >= 0 && lifted[i] < 0)
            return err_errno(e, "F_DUPFD_CLOEXEC");
    }
    for (int i = 0; i < CRIU_FDS; i++)
        if (lifted[i] >= 0 && dup2(lifted[i], CRIU_RPC_FD + i) < 0)
            return err_errno(e, "dup2");
    if (close_range(3, CRIU_RPC_FD - 1, 0) < 0 || close_range(CRIU_RPC_FD + CRIU_FDS, ~0u, 0) < 0)
        return err_errno(e, "close_range");
    return 0;
}

/* Real ids of the runtime, effective ids of root: see struct arm. */
static int set_ids(uid_t uid, struct err *e)
{
    if (setgroups(0, NULL) < 0 || setresgid(uid, 0, 0) < 0 || setresuid(uid, 0, 0) < 0)
        return err_errno(e, "set criu's ids");
    return 0;
}

/* criu looks up the image directory through the process that made the RPC's socket pair, so that is itself. */
static int become_criu(const struct arm *a, int channel, int handover, struct err *e)
{
    auto_pair rpc = {{-1, -1}};
    struct msg_fds fds = {.count = 1};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0)
        return err_errno(e, "open /dev/null");
    if (make_pair(SOCK_SEQPACKET, &rpc, e) < 0)
        return -e->code;
    fds.fd[0] = rpc.fd[0];
    if (msg_send(handover, "", 1, &fds, e) < 0)
        return -e->code;
    for (int i = 0; i < 3; i++)
        if (dup2(null, i) < 0)
            return err_errno(e, "dup2");
    if (place_all((const int[CRIU_FDS]){rpc.fd[1], a->images, channel, a->log, a->work}, e) < 0)
        return -e->code;
    /* Without no_new_privs: before Linux 6.16 an exec with it takes the effective uid away from whoever has another real one. All that
     * criu sees is mounted nosuid, so no program gives it more than it has. */
    return set_ids(a->uid, e) < 0 ? -e->code : toolbox_exec_criu(e);
}

static void run_criu(const struct arm *a, int channel, int handover) __attribute__((noreturn));
static void run_criu(const struct arm *a, int channel, int handover)
{
    struct err e = {.code = 0};

    become_criu(a, channel, handover, &e);
    _exit(1);
}

/* With a high pid: the runtime's own must stay free. */
static pid_t fork_high(void)
{
    pid_t pid = CRIU_PID;
    struct clone_args args = {.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&pid, .set_tid_size = 1};

    return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

int arm_start_criu(const struct arm *a, int channel, int *ret_rpc, struct err *e)
{
    auto_pair handover = {{-1, -1}};
    auto_msg_fds struct msg_fds fds = {.count = 0};
    pid_t pid;
    char byte;

    if (make_pair(SOCK_SEQPACKET, &handover, e) < 0)
        return -e->code;
    pid = fork_high();
    if (pid < 0)
        return err_errno(e, "clone3 with pid %d", CRIU_PID);
    if (pid == 0)
        run_criu(a, channel, handover.fd[1]);
    fd_close(&handover.fd[1]);
    if (msg_recv(handover.fd[0], &byte, 1, &fds, e) != 1 || fds.count != 1)
        return err_set(e, EIO, "criu could not be started");
    /* The answer to the greeting says that it is loaded. */
    if (criu_send_hello(fds.fd[0], e) < 0 || criu_receive(fds.fd[0], e) < 0)
        return err_wrap(e, "start criu");
    *ret_rpc = take_fd(&fds.fd[0]);
    return 0;
}

int arm_sandbox(const struct arm *a, struct armed *ret, struct err *e)
{
    auto_pair channel = {{-1, -1}};

    if (tmp_files_restore(a->uid, a->images, e) < 0)
        return -e->code;
    if ((a->with_channel ? make_pair(SOCK_STREAM, &channel, e) : tcp_end_restore(a->images, &channel.fd[0], e)) < 0)
        return -e->code;
    if (arm_start_criu(a, channel.fd[1], &ret->rpc, e) < 0)
        return -e->code;
    /* criu runs on from what it has mapped. */
    if (umount2(TOOLBOX_MOUNT, MNT_DETACH) < 0)
        return err_errno(e, "detach the toolbox");
    ret->channel = take_fd(&channel.fd[0]);
    return 0;
}
