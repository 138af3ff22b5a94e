#include "bare.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../sandbox/base/fd.h"

static int leave_all(const char *mount_point, struct err *e)
{
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return err_errno(e, "unshare");
    if (mount("bare", mount_point, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k,nr_inodes=1,mode=0555") < 0)
        return err_errno(e, "mount a tmpfs on %s", mount_point);
    if (chdir(mount_point) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0)
        return err_errno(e, "leave the old root");
    return mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0
               ? err_errno(e, "make the bare root read-only")
               : 0;
}

/* State: a fork of the warden. It says 0 or why not, and waits for its end. */
static void run_child(const char *mount_point, int answer) __attribute__((noreturn));
static void run_child(const char *mount_point, int answer)
{
    struct err e = {.code = 0};

    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    leave_all(mount_point, &e);
    if (write(answer, &e, sizeof(e)) == sizeof(e) && e.code == 0)
        pause();
    _exit(1);
}

int bare_make(const char *mount_point, struct err *e)
{
    int answer[2], ns = -1;
    struct err said;
    char path[64];
    pid_t pid;

    if (pipe2(answer, O_CLOEXEC) < 0)
        return err_errno(e, "pipe");
    pid = fork();
    if (pid == 0)
        run_child(mount_point, answer[1]);
    close(answer[1]);
    if (pid < 0) {
        err_errno(e, "fork");
    } else if (read(answer[0], &said, sizeof(said)) != sizeof(said)) {
        err_set(e, EIO, "the child has ended");
    } else if (said.code) {
        *e = said;
    } else {
        snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
        ns = open(path, O_RDONLY | O_CLOEXEC);
        if (ns < 0)
            err_errno(e, "open %s", path);
    }
    close(answer[0]);
    if (pid > 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    return ns < 0 ? err_wrap(e, "bare mount namespace") : ns;
}
