/* What a process in the sandbox must not be able to do, tried. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "probe.h"

/* The places of marks: see attempts_leave_marks. */
#define MARK_FILE "/tmp/mark"
#define MARK_ABSTRACT "@fnrun-mark"
#define MARK_PORT 7777
#define MARK_KEY 0x4d41524b

static char zeros[4096];

static long try_setns(void)
{
    int fd = open("/proc/self/ns/net", O_RDONLY);

    return fd < 0 ? -1 : setns(fd, CLONE_NEWNET);
}

/* A child that comes to be ends at once. */
static long ended(long pid)
{
    if (pid == 0)
        _exit(0);
    if (pid > 0)
        waitpid((pid_t)pid, NULL, 0);
    return pid;
}

static long try_clone(unsigned long flags)
{
    return ended(syscall(SYS_clone, flags, NULL, NULL, NULL, NULL));
}

static long try_clone3(void)
{
    struct {
        uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
    } args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};

    return ended(syscall(SYS_clone3, &args, sizeof(args)));
}

static long try_capset(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct all[2] = {{~0u, ~0u, ~0u}, {~0u, ~0u, ~0u}};

    return syscall(SYS_capset, &header, all);
}

static long try_raise(int resource)
{
    struct rlimit limit;

    if (getrlimit((__rlimit_resource_t)resource, &limit) < 0)
        return -1;
    limit.rlim_max++;
    return setrlimit((__rlimit_resource_t)resource, &limit);
}

static long try_process_vm(pid_t pid)
{
    char byte;
    struct iovec to = {&byte, 1}, from = {zeros, 1};

    return process_vm_readv(pid, &to, 1, &from, 1, 0);
}

static struct sockaddr_in address(const char *host, int port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = inet_addr(host)};
}

static long try_connect(const char *host, int port)
{
    struct sockaddr_in to = address(host, port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    return fd < 0 ? -1 : connect(fd, (struct sockaddr *)&to, sizeof(to));
}

static long try_bind(int port)
{
    struct sockaddr_in at = address("127.0.0.1", port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    return fd < 0 ? -1 : bind(fd, (struct sockaddr *)&at, sizeof(at));
}

/* A leading '@' stands for the abstract name space. */
static socklen_t unix_address(struct sockaddr_un *at, const char *path)
{
    *at = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(at->sun_path, path, strlen(path));
    if (*path == '@')
        at->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
}

static long try_unix(const char *path)
{
    struct sockaddr_un to;
    socklen_t size = unix_address(&to, path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    return fd < 0 ? -1 : connect(fd, (struct sockaddr *)&to, size);
}

/* A masked file is there but has nothing in it. */
static long try_read(const char *path)
{
    char byte;
    int fd = open(path, O_RDONLY | O_NONBLOCK);

    if (fd < 0 || read(fd, &byte, 1) < 0)
        return -1;
    if (lseek(fd, 0, SEEK_SET) == 0 && read(fd, &byte, 1) == 1)
        return 0;
    errno = ENODATA;
    return -1;
}

static long try_create(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
}

/* What doesn't work here shows in the attempts of the same process, which must find every mark. */
void attempts_leave_marks(void)
{
    struct sockaddr_in tcp = address("127.0.0.1", MARK_PORT);
    struct sockaddr_un at;
    socklen_t size = unix_address(&at, MARK_ABSTRACT);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (bind(fd, (struct sockaddr *)&at, size) == 0)
        listen(fd, 5);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&tcp, sizeof(tcp)) == 0)
        listen(fd, 5);
    shmget(MARK_KEY, 4096, IPC_CREAT | 0666);
    try_create(MARK_FILE);
}

static void add_result(struct buf *out, const char *name, long result, int error)
{
    const char *text = result >= 0 ? "OK" : strerrorname_np(error);

    out_addf(out, "\"%s\":\"%s\",", name, text ? text : "unknown");
}

/* Each in a child: one that works, or kills, must not spoil the next. */
static void run_attempt(struct buf *out, const char *name, long (*attempt)(void))
{
    int result[2] = {-1, ECHILD}, pair[2];
    pid_t pid;

    if (pipe(pair) < 0)
        return;
    pid = fork();
    if (pid == 0) {
        errno = 0;
        result[0] = attempt() < 0 ? -1 : 0;
        result[1] = errno;
        _exit(write(pair[1], result, sizeof(result)) < 0);
    }
    close(pair[1]);
    if (pid > 0 && read(pair[0], result, sizeof(result)) != (ssize_t)sizeof(result))
        result[1] = EINTR; /* it was killed */
    close(pair[0]);
    waitpid(pid, NULL, 0);
    add_result(out, name, result[0], result[1]);
}

#define TRY(name, expression)        \
    static long attempt_##name(void) \
    {                                \
        return expression;           \
    }
#include "attempts.def"
#undef TRY

static const struct {
    const char *name;
    long (*attempt)(void);
} attempts[] = {
#define TRY(name, expression) {#name, attempt_##name},
#include "attempts.def"
#undef TRY
};

/* The 32-bit way into the kernel has other call numbers: the filter kills who takes it. */
static void add_foreign_architecture(struct buf *out)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
#ifdef __x86_64__
        long rc = syscall(0x40000000 | SYS_getpid);

        (void)rc;
#endif
        _exit(0);
    }
    waitpid(pid, &status, 0);
    out_addf(out, "\"x32\":\"%s\"", WIFSIGNALED(status) ? "KILLED" : "OK");
}

void attempts_add(struct buf *out)
{
    out_addf(out, "{");
    for (size_t i = 0; i < ARRAY_LEN(attempts); i++)
        run_attempt(out, attempts[i].name, attempts[i].attempt);
    add_foreign_architecture(out);
    out_addf(out, "}");
}
