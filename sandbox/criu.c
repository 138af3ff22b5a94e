#include "criu.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"
#include "criu.pb-c.h"

#define MESSAGE_MAX 4096

enum criu_type { TYPE_DUMP = 1, TYPE_RESTORE = 2, TYPE_VERSION = 10 };

#define NETWORK_LOCK_SKIP 3
#define LOG_ERRORS 1

static int send_request(int sock, CriuReq *r, struct err *e)
{
    uint8_t bytes[MESSAGE_MAX];

    if (criu_req__get_packed_size(r) > sizeof(bytes))
        return err_set(e, EMSGSIZE, "request to criu");
    return msg_send(sock, bytes, criu_req__pack(r, bytes), NULL, e);
}

int criu_send_hello(int sock, struct err *e)
{
    CriuReq r = CRIU_REQ__INIT;

    r.type = TYPE_VERSION;
    r.has_keep_open = r.keep_open = true;
    return send_request(sock, &r, e);
}

/* What dump and restore have in common. */
static void set_common(CriuOpts *o, const char *log_file)
{
    o->images_dir_fd = CRIU_IMAGES_FD;
    o->has_work_dir_fd = true;
    o->work_dir_fd = CRIU_WORK_FD;
    o->has_log_level = true;
    o->log_level = LOG_ERRORS;
    o->log_file = (char *)log_file; /* protobuf-c only reads it */
    o->has_manage_cgroups_mode = true;
    o->manage_cgroups_mode = 0;
    /* The peer of a third-party runtime is made by tcp_end.c. Others have none in another sandbox: they are reset on first use. */
    o->has_tcp_established = o->tcp_established = true;
    o->has_network_lock = true;
    o->network_lock = NETWORK_LOCK_SKIP;
}

void criu_name_log(char ret[CRIU_LOG_NAME], uint64_t sandbox)
{
    snprintf(ret, CRIU_LOG_NAME, "%" PRIu64 ".log", sandbox);
}

void criu_drop_log(int work, const char *log_name)
{
    unlinkat(work, log_name, 0);
}

/* Errors that criu goes on after: it lacks CAP_SYS_RESOURCE, and /proc is read-only (the score is inherited all the same). */
static bool is_harmless(const char *error)
{
    return strstr(error, "RLIMIT_NOFILE") || strstr(error, "oom_score_adj");
}

/* The line that matters is the first error. */
static const char *find_error(char *text)
{
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        char *error = strstr(line, "Error (");

        if (error && !is_harmless(error))
            return error;
    }
    return NULL;
}

void criu_explain(int work, const char *log_name, struct err *e)
{
    char text[8192];
    auto_fd int fd = openat(work, log_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    const char *error = NULL;

    if (n > 0) {
        text[n] = '\0';
        error = find_error(text);
    }
    if (error)
        err_set(e, e->code, "criu: %s", error);
    criu_drop_log(work, log_name);
}

int criu_send_dump(int sock, const struct criu_ends *ends, const char *log_name, struct err *e)
{
    char external[64], *externals[] = {external};
    CriuOpts o = CRIU_OPTS__INIT;
    CriuReq r = CRIU_REQ__INIT;

    set_common(&o, log_name);
    o.has_pid = o.has_leave_running = o.leave_running = true;
    o.pid = 2;
    snprintf(external, sizeof(external), "unix[%" PRIu64 "]", ends->channel_inode);
    o.n_external = ends->channel_inode != 0;
    o.external = externals;
    r.type = TYPE_DUMP;
    r.opts = &o;
    return send_request(sock, &r, e);
}

int criu_send_restore(int sock, const struct criu_ends *ends, const char *log_name, struct err *e)
{
    char log[64], channel[64];
    CriuInheritFd inherit[2] = {CRIU_INHERIT_FD__INIT, CRIU_INHERIT_FD__INIT}, *list[] = {&inherit[0], &inherit[1]};
    CriuOpts o = CRIU_OPTS__INIT;
    CriuReq r = CRIU_REQ__INIT;

    set_common(&o, log_name);
    o.has_rst_sibling = o.rst_sibling = true;
    snprintf(log, sizeof(log), "pipe:[%" PRIu64 "]", ends->log_inode);
    snprintf(channel, sizeof(channel), "socket:[%" PRIu64 "]", ends->channel_inode);
    inherit[0].key = log;
    inherit[0].fd = CRIU_LOG_FD;
    inherit[1].key = channel;
    inherit[1].fd = CRIU_CHANNEL_FD;
    o.n_inherit_fd = ends->channel_inode ? 2 : 1;
    o.inherit_fd = list;
    r.type = TYPE_RESTORE;
    r.opts = &o;
    return send_request(sock, &r, e);
}

int criu_receive(int sock, struct err *e)
{
    uint8_t bytes[MESSAGE_MAX];
    auto_msg_fds struct msg_fds none = {.count = 0};
    ssize_t n = msg_recv(sock, bytes, sizeof(bytes), &none, e);
    CriuResp *answer;
    bool success;

    if (n <= 0)
        return n == 0 ? err_set(e, EPIPE, "criu has ended") : (int)n;
    answer = criu_resp__unpack(NULL, (size_t)n, bytes);
    if (!answer)
        return err_set(e, EPROTO, "criu's answer can't be read");
    success = answer->success;
    if (!success)
        err_set(e, EIO, "criu: %s", strerror(answer->cr_errno ? answer->cr_errno : EIO));
    criu_resp__free_unpacked(answer, NULL);
    return success ? 0 : -EIO;
}
