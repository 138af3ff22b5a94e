#include "libexec.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../sandbox/base/fd.h"
#include "cli.h"

int libexec_find(struct buf *ret, struct err *e)
{
    static const char *const places[] = {"", "/../libexec/fnrun"};
    char self[PATH_MAX], path[PATH_MAX + 64];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (n < 0)
        return err_errno(e, "/proc/self/exe");
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        snprintf(path, sizeof(path), "%s%s/fnrun-warden", self, places[i]);
        if (access(path, X_OK) == 0)
            return buf_addf(ret, e, "%s%s", self, places[i]);
    }
    return err_set(e, ENOENT, "fnrun-warden is neither in %s nor in %s%s", self, self, places[1]);
}

int libexec_exec(char *const *argv, struct err *e)
{
    execv(argv[0], argv);
    return err_errno(e, "run %s", argv[0]);
}

static int spawn(char *const *argv, char *const *environment, int out, pid_t *ret_pid, struct err *e)
{
    posix_spawn_file_actions_t actions;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    errno = posix_spawn(ret_pid, argv[0], &actions, NULL, argv, environment ? environment : environ);
    posix_spawn_file_actions_destroy(&actions);
    return errno ? err_errno(e, "run %s", argv[0]) : 0;
}

int libexec_read(char *const *argv, char *const *environment, struct buf *ret, struct err *e)
{
    int pipe_fd[2], status, rc;
    pid_t pid;

    if (pipe2(pipe_fd, O_CLOEXEC) < 0)
        return err_errno(e, "pipe");
    auto_fd int in = pipe_fd[0], out = pipe_fd[1];
    if (spawn(argv, environment, out, &pid, e) < 0)
        return -e->code;
    fd_close(&out);
    rc = cli_read_fd(in, ret, e);
    if (waitpid(pid, &status, 0) < 0)
        return err_errno(e, "wait for %s", argv[0]);
    return rc < 0 ? rc : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
