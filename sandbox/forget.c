#include "forget.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHUNK 4096UL

static void file_release(FILE **f)
{
    if (*f)
        fclose(*f);
}

/* Not through /proc/2/mem: the sandbox's /proc is read-only. */
static int write_zeros(unsigned long start, unsigned long end, struct err *e)
{
    static char zeros[CHUNK];
    struct iovec local = {zeros, CHUNK}, remote = {.iov_len = CHUNK};

    for (; start < end; start += CHUNK) {
        remote.iov_base = (void *)start;
        if (process_vm_writev(2, &local, 1, &remote, 1, 0) != (ssize_t)CHUNK)
            return err_errno(e, "write zeros over the runtime's random state");
    }
    return 0;
}

static bool is_droppable(const char *line)
{
    return strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " dp");
}

static int overwrite(struct err *e)
{
    __attribute__((cleanup(file_release))) FILE *maps = fopen("/proc/2/smaps", "re");
    unsigned long start = 0, end = 0, a, b;
    char line[1024];

    if (!maps)
        return err_errno(e, "read the runtime's mappings");
    while (fgets(line, sizeof(line), maps)) {
        if (sscanf(line, "%lx-%lx ", &a, &b) == 2) {
            start = a;
            end = b;
        } else if (is_droppable(line) && write_zeros(start, end, e) < 0) {
            return -e->code;
        }
    }
    return 0;
}

/* By a child: only what is forked after setns is in the pid namespace where the runtime is pid 2. */
int forget_random(struct err *e)
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(overwrite(e) < 0 ? e->code & 0xff : 0);
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return err_errno(e, "fork");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return err_set(e, WIFEXITED(status) ? WEXITSTATUS(status) : EIO, "forget the runtime's random state: %s",
                       strerror(WIFEXITED(status) ? WEXITSTATUS(status) : EIO));
    return 0;
}
