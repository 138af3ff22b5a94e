/* What a process in the sandbox sees. */
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <ifaddrs.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "probe.h"

static size_t read_whole(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t used = 0;
    ssize_t n;

    if (fd < 0)
        return 0;
    while (used < size && (n = read(fd, text + used, size - used)) > 0)
        used += (size_t)n;
    close(fd);
    return used;
}

static void add_file(struct buf *out, const char *name, const char *path)
{
    static char text[65536];

    out_addf(out, ",\"%s\":", name);
    json_add_string(out, text, read_whole(path, text, sizeof(text)));
}

static void add_ids(struct buf *out)
{
    uid_t u[3] = {0};
    gid_t g[3] = {0}, groups[64];
    int count = getgroups(64, groups);

    getresuid(&u[0], &u[1], &u[2]);
    getresgid(&g[0], &g[1], &g[2]);
    out_addf(out, "\"uid\":[%u,%u,%u],\"gid\":[%u,%u,%u],\"groups\":[", u[0], u[1], u[2], g[0], g[1], g[2]);
    for (int i = 0; i < count; i++)
        out_addf(out, "%s%u", i ? "," : "", groups[i]);
    out_addf(out, "],\"pid\":%d,\"ppid\":%d,\"sid\":%d", getpid(), getppid(), getsid(0));
}

static void add_privileges(struct buf *out)
{
    int bounding = 0;

    for (int cap = 0; cap < 64; cap++)
        bounding += prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1;
    out_addf(out, ",\"no_new_privs\":%d,\"seccomp\":%d,\"dumpable\":%d,\"bounding_set\":%d",
             prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), prctl(PR_GET_SECCOMP, 0, 0, 0, 0),
             prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), bounding);
}

/* Entries of a directory of links, as an object name -> target. */
static void add_links(struct buf *out, const char *name, const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    const char *comma = "";

    out_addf(out, ",\"%s\":{", name);
    while (dir && (entry = readdir(dir))) {
        char target[PATH_MAX];
        ssize_t n = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target));

        if (n < 0 || (dirfd(dir) == atoi(entry->d_name) && strstr(path, "/fd")))
            continue;
        out_addf(out, "%s\"%s\":", comma, entry->d_name);
        json_add_string(out, target, (size_t)n);
        comma = ",";
    }
    out_addf(out, "}");
    if (dir)
        closedir(dir);
}

static void add_names(struct buf *out, const char *name, const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    const char *comma = "";

    out_addf(out, ",\"%s\":[", name);
    while (dir && (entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        out_addf(out, "%s", comma);
        json_add_string(out, entry->d_name, strlen(entry->d_name));
        comma = ",";
    }
    out_addf(out, "]");
    if (dir)
        closedir(dir);
}

static void add_interfaces(struct buf *out)
{
    struct ifaddrs *all = NULL;
    const char *comma = "";

    out_addf(out, ",\"interfaces\":[");
    if (getifaddrs(&all) == 0)
        for (struct ifaddrs *i = all; i; i = i->ifa_next, comma = ",")
            out_addf(out, "%s{\"name\":\"%s\",\"flags\":%u,\"family\":%d}", comma, i->ifa_name, i->ifa_flags,
                     i->ifa_addr ? i->ifa_addr->sa_family : -1);
    freeifaddrs(all);
    out_addf(out, "]");
}

static void add_environment(struct buf *out)
{
    out_addf(out, ",\"env\":[");
    for (char **e = environ; *e; e++) {
        out_addf(out, e == environ ? "" : ",");
        json_add_string(out, *e, strlen(*e));
    }
    out_addf(out, "]");
}

void view_add(struct buf *out)
{
    char host[256] = "", cwd[PATH_MAX] = "";
    struct statvfs tmp = {0};

    gethostname(host, sizeof(host) - 1);
    if (!getcwd(cwd, sizeof(cwd)))
        cwd[0] = '\0';
    statvfs("/tmp", &tmp);
    out_addf(out, "{");
    add_ids(out);
    add_privileges(out);
    out_addf(out, ",\"hostname\":\"%s\",\"cwd\":\"%s\",\"tmp_bytes\":%llu,\"tmp_inodes\":%llu,\"umask\":%u", host, cwd,
             (unsigned long long)tmp.f_blocks * tmp.f_frsize, (unsigned long long)tmp.f_files, umask(022));
    add_links(out, "namespaces", "/proc/self/ns");
    add_links(out, "fds", "/proc/self/fd");
    add_names(out, "root", "/");
    add_names(out, "dev", "/dev");
    add_names(out, "proc", "/proc");
    add_names(out, "tmp", "/tmp");
    add_interfaces(out);
    add_environment(out);
    add_file(out, "status", "/proc/self/status");
    add_file(out, "limits", "/proc/self/limits");
    add_file(out, "mounts", "/proc/self/mountinfo");
    add_file(out, "cgroup", "/proc/self/cgroup");
    add_file(out, "passwd", "/etc/passwd");
    add_file(out, "oom_score_adj", "/proc/self/oom_score_adj");
    add_file(out, "unix_sockets", "/proc/net/unix");
    add_file(out, "keys", "/proc/keys");
    add_file(out, "cmdline", "/proc/cmdline");
    out_addf(out, "}");
}
