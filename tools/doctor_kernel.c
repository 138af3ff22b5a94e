/* Checks of the kernel: each thing the sandbox uses is tried, as version numbers and configurations lie. */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../sandbox/base/fd.h"
#include "doctor.h"

#define NEEDS_ROOT "run `sudo fnrun doctor`"
#define NEEDS_KERNEL "boot a kernel of at least 5.12, or let the container use the call (seccomp profile)"

void check_root(struct doctor *d)
{
    struct utsname u;

    uname(&u);
    if (d->root)
        doctor_ok(d, "root", "yes, kernel %s", u.release);
    else
        doctor_bad(d, CHECK_FAIL, "root", "run it as root: sudo fnrun ...", "the warden makes namespaces and cgroups");
}

/* Numbers of <linux/capability.h>, which can't be included beside libc's headers everywhere. */
static const struct capability {
    unsigned bit;
    enum check_status without;
    const char *name, *why;
} capabilities[] = {
    {0, CHECK_FAIL, "CAP_CHOWN", "files of the manager belong to its user"},
    {5, CHECK_FAIL, "CAP_KILL", "functions that run too long are killed"},
    {6, CHECK_FAIL, "CAP_SETGID", "functions run as users of their own"},
    {7, CHECK_FAIL, "CAP_SETUID", "functions run as users of their own"},
    {8, CHECK_FAIL, "CAP_SETPCAP", "functions lose all capabilities"},
    {12, CHECK_FAIL, "CAP_NET_ADMIN", "a sandbox gets a loopback interface"},
    {21, CHECK_FAIL, "CAP_SYS_ADMIN", "namespaces and mounts"},
    {24, CHECK_WARN, "CAP_SYS_RESOURCE", "limits above those of this shell can't be set"},
};

void check_capabilities(struct doctor *d)
{
    static const char fix[] = "start fnrun outside of the container, or let the container keep this capability";
    char text[4096];
    struct err e;
    const char *line;
    unsigned long long effective;
    size_t missing = 0;

    if (fd_read_file_at(AT_FDCWD, "/proc/self/status", text, sizeof(text), &e) < 0 ||
        !(line = strstr(text, "CapEff:"))) {
        doctor_bad(d, CHECK_FAIL, "capabilities", "mount /proc", "/proc/self/status can't be read");
        return;
    }
    effective = strtoull(line + strlen("CapEff:"), NULL, 16);
    for (size_t i = 0; d->root && i < ARRAY_LEN(capabilities); i++) {
        const struct capability *k = &capabilities[i];

        if (effective >> k->bit & 1)
            continue;
        doctor_bad(d, k->without, "capabilities", fix, "%s is missing: %s", k->name, k->why);
        missing++;
    }
    if (d->root && missing == 0)
        doctor_ok(d, "capabilities", "all that are needed");
}

static long try_openat2(void)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};

    return syscall(SYS_openat2, AT_FDCWD, ".", &how, sizeof(how));
}

static long try_clone3(void)
{
    int pidfd = -1;
    struct clone_args args = {.flags = CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)&pidfd, .exit_signal = SIGCHLD};
    long pid = syscall(SYS_clone3, &args, sizeof(args));

    if (pid == 0)
        _exit(0);
    if (pid > 0)
        waitpid((pid_t)pid, NULL, 0);
    return pid < 0 ? -1 : pidfd;
}

static long try_pidfd_open(void)
{
    return syscall(SYS_pidfd_open, getpid(), 0);
}

static long try_memfd(void)
{
    return memfd_create("fnrun-doctor", MFD_CLOEXEC);
}

static long try_close_range(void)
{
    return syscall(SYS_close_range, ~0U, ~0U, 0);
}

static long try_open_tree(void)
{
    return syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE | O_CLOEXEC);
}

static long try_mount_setattr(void)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID};
    auto_fd int tree = (int)try_open_tree();

    return tree < 0 ? -1 : syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof(attr));
}

static long try_fsopen(void)
{
    return syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
}

static const struct probe {
    const char *name;
    bool root;       /* needs privilege */
    bool descriptor; /* a success is one */
    long (*attempt)(void);
} probes[] = {
    {"clone3", false, true, try_clone3},
    {"pidfd_open", false, true, try_pidfd_open},
    {"openat2", false, true, try_openat2},
    {"close_range", false, false, try_close_range},
    {"memfd_create", false, true, try_memfd},
    {"open_tree", true, true, try_open_tree},
    {"mount_setattr", true, false, try_mount_setattr},
    {"fsopen", true, true, try_fsopen},
};

void check_system_calls(struct doctor *d)
{
    for (size_t i = 0; i < ARRAY_LEN(probes); i++) {
        char name[48];
        long rc;

        snprintf(name, sizeof(name), "call %s", probes[i].name);
        if (probes[i].root && !d->root) {
            doctor_bad(d, CHECK_WARN, name, NEEDS_ROOT, "not checked");
            continue;
        }
        rc = probes[i].attempt();
        if (rc < 0)
            doctor_bad(d, CHECK_FAIL, name, NEEDS_KERNEL, "%s", strerror(errno));
        else
            doctor_ok(d, name, "works");
        if (rc >= 0 && probes[i].descriptor)
            close((int)rc);
    }
}

/* Makes a namespace in a child that ends at once; returns an errno value. */
static int try_namespace(int flag)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0)
        _exit(unshare(flag) < 0 ? errno : 0);
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

void check_namespaces(struct doctor *d)
{
    static const struct {
        int flag;
        const char *name;
    } kinds[] = {
        {CLONE_NEWNS, "mnt"},  {CLONE_NEWPID, "pid"}, {CLONE_NEWNET, "net"},
        {CLONE_NEWIPC, "ipc"}, {CLONE_NEWUTS, "uts"}, {CLONE_NEWCGROUP, "cgroup"},
    };

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        char name[48], fix[128];
        int code = d->root ? try_namespace(kinds[i].flag) : 0;

        snprintf(name, sizeof(name), "namespace %s", kinds[i].name);
        snprintf(fix, sizeof(fix), "sysctl user.max_%s_namespaces=100000, or a kernel with this namespace",
                 kinds[i].name);
        if (!d->root)
            doctor_bad(d, CHECK_WARN, name, NEEDS_ROOT, "not checked");
        else if (code)
            doctor_bad(d, CHECK_FAIL, name, fix, "%s", strerror(code));
        else
            doctor_ok(d, name, "works");
    }
}

void check_seccomp(struct doctor *d)
{
    static const uint32_t actions[] = {SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO, SECCOMP_RET_KILL_PROCESS};

    for (size_t i = 0; i < ARRAY_LEN(actions); i++)
        if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &actions[i]) < 0) {
            doctor_bad(d, CHECK_FAIL, "seccomp filters", "a kernel with CONFIG_SECCOMP_FILTER", "action %#x: %s",
                       actions[i], strerror(errno));
            return;
        }
    doctor_ok(d, "seccomp filters", "allow, errno, kill");
}

void check_tmpfs(struct doctor *d)
{
    char text[8192];
    struct err e;

    if (fd_read_file_at(AT_FDCWD, "/proc/filesystems", text, sizeof(text), &e) >= 0 && strstr(text, "\ttmpfs\n"))
        doctor_ok(d, "tmpfs", "there is one");
    else
        doctor_bad(d, CHECK_FAIL, "tmpfs", "a kernel with CONFIG_TMPFS", "functions have none for /tmp");
}
