/* Checks of what lies around the kernel: programs, images, the port, disk, limits, uids. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pwd.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "../sandbox/base/fd.h"
#include "api.h"
#include "doctor.h"
#include "libexec.h"

#define MIB (1024ULL * 1024)
#define DISK_NEEDED (100 * MIB)
#define DISK_WANTED (1024 * MIB)
/* About eight per instance and one per client, for a thousand instances. */
#define OPEN_FILES_WANTED 16384
/* The warden's way to choose (sandbox/state.c). */
#define UID_BLOCK 65536UL
#define UID_FIRST_BLOCK 1900000000UL
#define UID_BLOCKS 3000UL

static const char *const programs[] = {"fnrun-warden", "fnrund", "fnrun-init"};

void check_programs(struct doctor *d)
{
    static const char fix[] = "build or install all of fnrun";

    if (d->libexec.used == 0) {
        doctor_bad(d, CHECK_FAIL, "programs", fix, "fnrun-warden is neither beside fnrun nor in ../libexec/fnrun");
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
        auto_buf struct buf path = {0};
        struct err e;

        if (buf_addf(&path, &e, "%s/%s", d->libexec.data, programs[i]) < 0 || access(path.data, X_OK) < 0) {
            doctor_bad(d, CHECK_FAIL, "programs", fix, "there is no %s in %s", programs[i], d->libexec.data);
            return;
        }
    }
    doctor_ok(d, "programs", "%s", d->libexec.data);
}

/* Asks the dynamic loader what it would load; reports each line that says "not found". */
static bool check_program_libraries(struct doctor *d, const char *program)
{
    char *const environment[] = {"LD_TRACE_LOADED_OBJECTS=1", NULL};
    auto_buf struct buf path = {0}, text = {0};
    bool complete = true;
    struct err e;

    if (buf_addf(&path, &e, "%s/%s", buf_str(&d->libexec), program) < 0)
        return false;
    char *const argv[] = {path.data, NULL};
    if (libexec_read(argv, environment, &text, &e) < 0) {
        doctor_bad(d, CHECK_FAIL, "libraries", "build or install all of fnrun", "%s", e.msg);
        return false;
    }
    for (char *line = text.used ? strtok(text.data, "\n") : NULL; line; line = strtok(NULL, "\n"))
        if (strstr(line, "not found")) {
            line += strspn(line, " \t");
            doctor_bad(d, CHECK_FAIL, "libraries", "in the source tree: tools/dev/deps build", "%s: %.*s is missing",
                       program, (int)strcspn(line, " "), line);
            complete = false;
        }
    return complete;
}

void check_libraries(struct doctor *d)
{
    bool complete = d->libexec.used > 0;

    /* fnrun-init is static. */
    for (size_t i = 0; complete && i < 2; i++)
        complete = check_program_libraries(d, programs[i]);
    if (complete)
        doctor_ok(d, "libraries", "all there");
}

/* Counts the images that are in use. */
static size_t count_images(const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    size_t count = 0;

    while (dir && (entry = readdir(dir))) {
        char path[512];

        snprintf(path, sizeof(path), "%s/current", entry->d_name);
        count += entry->d_name[0] != '.' && faccessat(dirfd(dir), path, R_OK, 0) == 0;
    }
    if (dir)
        closedir(dir);
    return count;
}

void check_images(struct doctor *d)
{
    size_t count = count_images(d->images);

    if (count > 0)
        doctor_ok(d, "images", "%zu in %s", count, d->images);
    else /* One may be built while an instance runs. */
        doctor_bad(d, d->starting ? CHECK_WARN : CHECK_FAIL, "images", "fnrun image build",
                   "none in %s: no function can run", d->images);
}

static void report_image(struct doctor *d, const char *name, const char *state)
{
    char label[48], fix[128];

    snprintf(label, sizeof(label), "image %s", name);
    snprintf(fix, sizeof(fix), "fnrun image build %s", name);
    if (strcmp(state, "up to date") == 0)
        doctor_ok(d, label, "%s", state);
    else
        doctor_bad(d, CHECK_WARN, label, fix, "%s", state);
}

/* The image tool itself knows which images there can be and what state they are in. */
void check_image_states(struct doctor *d)
{
    auto_buf struct buf tool = {0}, text = {0};
    auto_json cJSON *list = NULL;
    const cJSON *image;
    struct err e;

    if (d->libexec.used == 0 || buf_addf(&tool, &e, "%s/images/image", d->libexec.data) < 0)
        return; /* check_programs has said it */
    char *const argv[] = {tool.data, "list", "--json", "--images", (char *)d->images, NULL};
    if (libexec_read(argv, NULL, &text, &e) == 0)
        list = cJSON_Parse(buf_str(&text));
    if (!cJSON_IsArray(list)) {
        doctor_bad(d, CHECK_FAIL, "image tool", "build or install all of fnrun", "%s doesn't work", tool.data);
        return;
    }
    cJSON_ArrayForEach(image, list)
    {
        report_image(d, json_text(image, "name", "?"), json_text(image, "state", "?"));
    }
}

static bool in_path(const char *program)
{
    const char *path = getenv("PATH");
    auto_free char *copy = strdup(path ? path : "/usr/sbin:/usr/bin:/sbin:/bin");
    char file[512];

    for (char *dir = copy ? strtok(copy, ":") : NULL; dir; dir = strtok(NULL, ":")) {
        snprintf(file, sizeof(file), "%s/%s", dir, program);
        if (access(file, X_OK) == 0)
            return true;
    }
    return false;
}

/* Only building images needs these, so nothing here is worse than a warning. */
void check_image_tools(struct doctor *d)
{
    static const char keyring[] = "/usr/share/keyrings/debian-archive-keyring.gpg";
    bool mirror = getenv("FNRUN_MIRROR") || access("/etc/apt/sources.list", R_OK) == 0 ||
                  access("/etc/apt/sources.list.d/debian.sources", R_OK) == 0;

    if (in_path("mmdebstrap"))
        doctor_ok(d, "mmdebstrap", "installed");
    else
        doctor_bad(d, CHECK_WARN, "mmdebstrap", "apt-get install mmdebstrap", "missing: images can't be built");
    if (access(keyring, R_OK) == 0)
        doctor_ok(d, "Debian keyring", "installed");
    else
        doctor_bad(d, CHECK_WARN, "Debian keyring", "apt-get install debian-archive-keyring",
                   "missing: images can't be built");
    if (mirror)
        doctor_ok(d, "Debian mirror", "%s", getenv("FNRUN_MIRROR") ? "FNRUN_MIRROR" : "as apt has it");
    else
        doctor_bad(d, CHECK_WARN, "Debian mirror", "set FNRUN_MIRROR to the address of a Debian mirror",
                   "none is known: images can't be built");
}

/* Whether an instance answers at `address` already. */
static bool answers(const char *address)
{
    struct request r = {.method = "GET", .path = "/_fnrun/ping", .timeout_ms = 1000};
    struct client *c = NULL;
    bool yes = false;
    char url[300];
    struct err e;

    snprintf(url, sizeof(url), "http://%s", address);
    /* Whatever else listens there may never answer. */
    if (client_create(url, &c, &e) == 0 && client_prepare(c, &r, &e) == 0 &&
        curl_easy_setopt(c->curl, CURLOPT_TIMEOUT_MS, 1000L) == CURLE_OK && client_perform(c, &e) == 0)
        yes = c->status == 200;
    client_free(c);
    return yes;
}

/* Returns 0 or an errno value. */
static int try_bind(const struct addrinfo *a)
{
    auto_fd int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
    int on = 1;

    if (fd < 0)
        return errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    /* An instance that was killed a moment ago may still be on its way out. */
    for (int tries = 0; bind(fd, a->ai_addr, a->ai_addrlen) < 0; tries++)
        if (errno != EADDRINUSE || tries == 20 || usleep(50000) < 0)
            return errno;
    return 0;
}

/* ADDR:PORT or [ADDR]:PORT. The caller frees *ret; NULL where it is neither. */
static struct addrinfo *resolve(const char *listen)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    auto_free char *host = strdup(listen);
    char *port = host ? strrchr(host, ':') : NULL;
    struct addrinfo *list = NULL;

    if (!port)
        return NULL;
    *port++ = '\0';
    if (host[0] == '[' && host[strlen(host) - 1] == ']') {
        host[strlen(host) - 1] = '\0';
        return getaddrinfo(host + 1, port, &hints, &list) == 0 ? list : NULL;
    }
    return getaddrinfo(host, port, &hints, &list) == 0 ? list : NULL;
}

void check_listen(struct doctor *d)
{
    struct addrinfo *a = resolve(d->listen);
    int code = a ? try_bind(a) : EINVAL;

    if (a)
        freeaddrinfo(a);
    if (code == 0)
        doctor_ok(d, "listen", "%s is free", d->listen);
    else if (!a)
        doctor_bad(d, CHECK_FAIL, "listen", "give --listen ADDR:PORT with a number as address",
                   "%s is no address and port", d->listen);
    else if (code == EADDRINUSE && answers(d->listen) && !d->starting)
        doctor_ok(d, "listen", "fnrun answers at %s", d->listen);
    else
        doctor_bad(d, CHECK_FAIL, "listen", "give another --listen ADDR:PORT, or end what has it (ss -ltnp)", "%s: %s",
                   d->listen, strerror(code));
}

/* The state directory may not be there yet: what counts is the file system it will be on. */
static int statvfs_above(const char *path, struct statvfs *ret)
{
    auto_free char *part = strdup(path);
    char *slash;

    while (part && statvfs(part, ret) < 0) {
        slash = strrchr(part, '/');
        if (errno != ENOENT || !slash)
            return -1;
        slash[slash == part && slash[1]] = '\0';
    }
    return part ? 0 : -1;
}

void check_disk(struct doctor *d)
{
    static const char fix[] = "make room, or put the state elsewhere: fnrun up --state DIR";
    struct statvfs v;
    unsigned long long room;

    if (statvfs_above(d->state, &v) < 0) {
        doctor_bad(d, CHECK_FAIL, "disk", fix, "%s: %s", d->state, strerror(errno));
        return;
    }
    room = (unsigned long long)v.f_bavail * v.f_frsize;
    if (v.f_flag & ST_RDONLY)
        doctor_bad(d, CHECK_FAIL, "disk", fix, "%s is read-only", d->state);
    else if (room < DISK_WANTED)
        doctor_bad(d, room < DISK_NEEDED ? CHECK_FAIL : CHECK_WARN, "disk", fix, "%llu MiB free for %s", room / MIB,
                   d->state);
    else
        doctor_ok(d, "disk", "%llu MiB free for %s", room / MIB, d->state);
}

void check_open_files(struct doctor *d)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max >= OPEN_FILES_WANTED)
        doctor_ok(d, "open files", "%llu", (unsigned long long)limit.rlim_max);
    else
        doctor_bad(d, CHECK_WARN, "open files", "ulimit -Hn 65536 (systemd: LimitNOFILE=65536)",
                   "%llu: enough for about %llu instances", (unsigned long long)limit.rlim_max,
                   (unsigned long long)limit.rlim_max / 10);
}

/* The uids that are the instance's; without --uid-base all from which the warden chooses by the state's path. */
static void uid_range(const struct doctor *d, unsigned long *ret_first, unsigned long *ret_end)
{
    *ret_first = d->uid_base ? (unsigned long)d->uid_base : UID_FIRST_BLOCK;
    *ret_end = *ret_first + UID_BLOCK * (d->uid_base ? 1 : UID_BLOCKS);
}

/* Looks for NAME:FIRST:COUNT in /etc/subuid that reaches into the range. Rootless containers run as those uids. */
static bool check_subuids(struct doctor *d, unsigned long first, unsigned long end, const char *fix)
{
    FILE *f = fopen("/etc/subuid", "re");
    unsigned long start, count;
    char line[256];
    bool clear = true;

    while (f && fgets(line, sizeof(line), f)) {
        const char *numbers = strchr(line, ':');

        if (!numbers || sscanf(numbers, ":%lu:%lu", &start, &count) != 2 || start >= end || start + count <= first)
            continue;
        doctor_bad(d, CHECK_WARN, "uids", fix, "/etc/subuid gives %.*s uids from %lu on", (int)(numbers - line), line,
                   start);
        clear = false;
    }
    if (f)
        fclose(f);
    return clear;
}

void check_uids(struct doctor *d)
{
    static const char fix[] = "choose a free block of 65536: fnrun up --uid-base UID";
    const struct passwd *user;
    unsigned long first, end;
    bool clear;

    uid_range(d, &first, &end);
    clear = check_subuids(d, first, end, fix);
    setpwent();
    while ((user = getpwent())) {
        if (user->pw_uid < first || user->pw_uid >= end)
            continue;
        doctor_bad(d, CHECK_WARN, "uids", fix, "user %s has uid %lu", user->pw_name, (unsigned long)user->pw_uid);
        clear = false;
    }
    endpwent();
    if (clear)
        doctor_ok(d, "uids", "%lu to %lu are nobody's", first, end - 1);
}
