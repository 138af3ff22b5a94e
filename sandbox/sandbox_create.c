/* Making a sandbox, up to the moment where its PID 1 exists; sandbox.c waits for the rest. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../rootfs/skeleton.h"
#include "base/log.h"
#include "child.h"
#include "init.h"
#include "sandbox.h"

/* The two things PID 1 holds from its start. */
struct ends {
    int control, log;
};

static void ends_close(struct ends *ends)
{
    fd_close(&ends->control);
    fd_close(&ends->log);
}

static int make_control(struct sandbox *s, struct ends *ends, struct err *e)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_errno(e, "socketpair");
    s->control.fd = pair[0];
    ends->control = pair[1];
    return fd_set_nonblock(s->control.fd, e);
}

static int make_log(struct sandbox *s, struct ends *ends, struct err *e)
{
    int pair[2];

    if (pipe2(pair, O_CLOEXEC) < 0)
        return err_errno(e, "pipe");
    s->log = pair[0];
    ends->log = pair[1];
    /* So that a function can open /dev/stdout and /dev/stderr, for writing only. */
    if (fchmod(ends->log, 0622) < 0)
        return err_errno(e, "fchmod of the log pipe");
    return 0;
}

/* Queues the specification in the control socket, where fnrun-init will find it. */
static int send_spec(struct sandbox *s, const struct proto_create *m, const char *strings, struct err *e)
{
    static char bytes[INIT_SPEC_MAX];
    const struct sandboxes *all = s->all;
    struct init_spec spec = {.kind = INIT_SPEC,
                             .flags = m->flags,
                             .uid = s->uid,
                             .restored = s->restores,
                             .init_uid = all->ids.init_uid,
                             .argc = m->argc,
                             .envc = m->envc,
                             .strings_bytes = m->strings_bytes,
                             .filter_count = (uint32_t)(all->filter->used / sizeof(struct sock_filter))};
    char *p = bytes;

    p = mempcpy(p, &spec, sizeof(spec));
    p = mempcpy(p, all->filter->data, all->filter->used);
    p = mempcpy(p, strings, m->strings_bytes);
    return msg_send(s->control.fd, bytes, (size_t)(p - bytes), NULL, e);
}

static int start_child(struct sandbox *s, const struct proto_create *m, const struct cgroup_door *door,
                       const struct ends *ends, int images, struct err *e)
{
    struct sandboxes *all = s->all;
    __attribute__((cleanup(spare_close))) struct spare spare = spares_take(all->spares);
    struct plan plan;
    struct plan_request request = {.image = m->image,
                                   .image_digest = m->image_digest,
                                   .code_digest = m->code_digest,
                                   .runtime_dir = m->runtime_dir,
                                   .uid = s->uid,
                                   .toolbox_digest = s->restores && !s->by_template ? all->toolbox->digest : NULL,
                                   .tmp_bytes = m->tmp_bytes};
    struct child child = {.cgroups = all->cgroups,
                          .door = door,
                          .spare = &spare,
                          .plan = &plan,
                          .paths = &all->paths,
                          .control = ends->control,
                          .log = ends->log,
                          .init = all->init,
                          .restores = s->restores,
                          .by_template = s->by_template,
                          .arm = {.images = images,
                                  .work = all->work,
                                  .log = ends->log,
                                  .uid = s->uid,
                                  .with_channel = s->flags & PROTO_WITH_CHANNEL}};

    if (skeleton_add_passwd(all->run, request.uid, e) < 0)
        return -e->code;
    plan_make(&plan, &request);
    return nursery_fork(all->nursery, &child, &s->pid.fd, e);
}

static int open_snapshot(struct sandbox *s, const struct proto_create *m, struct err *e)
{
    auto_fd int dir = snapshots_use(s->all->snapshots, m->snapshot, &s->ends, e);

    if (dir < 0)
        return -e->code;
    s->by_template = template_prepare(s->all->templates, dir, m, e) == 0;
    if (!s->by_template && (e->code != ENOENT || toolbox_check(s->all->toolbox, e) < 0))
        return -e->code;
    s->request = *m;
    return take_fd(&dir);
}

/* What the template will give to the runtime must outlive the creation. */
static int keep_log(struct sandbox *s, const struct ends *ends, struct err *e)
{
    if (!s->by_template)
        return 0;
    s->log_write = fcntl(ends->log, F_DUPFD_CLOEXEC, 0);
    return s->log_write < 0 ? err_errno(e, "F_DUPFD_CLOEXEC") : 0;
}

static void keep_door(struct sandbox *s, struct cgroup_door *door)
{
    if (!s->by_template)
        return;
    s->door = *door;
    *door = CGROUP_DOOR_CLOSED;
}

static int make(struct sandbox *s, const struct proto_create *m, const char *strings, struct err *e)
{
    struct cgroup_limits limits = {m->memory_bytes, m->cpu_millis, SANDBOX_PIDS_MAX};
    __attribute__((cleanup(ends_close))) struct ends ends = {-1, -1};
    __attribute__((cleanup(cgroup_door_close))) struct cgroup_door door = CGROUP_DOOR_CLOSED;

    auto_fd int images = -1;

    if (s->all->count >= s->all->max)
        return err_set(e, EAGAIN, "there are already %" PRIu64 " sandboxes", s->all->count);
    if (s->restores && (images = open_snapshot(s, m, e)) < 0)
        return -e->code;
    if (make_control(s, &ends, e) < 0 || make_log(s, &ends, e) < 0 || keep_log(s, &ends, e) < 0 ||
        send_spec(s, m, strings, e) < 0 || cgroup_create(s->all->cgroups, s->group, &limits, &door, e) < 0)
        return -e->code;
    if (start_child(s, m, &door, &ends, images, e) < 0) {
        struct err ignored;

        cgroup_remove(s->all->cgroups, s->group, &ignored);
        return -e->code;
    }
    keep_door(s, &door);
    return 0;
}

static void fail(struct sandboxes *all, uint64_t id, const struct err *e)
{
    struct proto_failed m = {.header = {PROTO_VERSION, PROTO_FAILED, id}, .code = e->code};

    memcpy(m.text, e->msg, MIN(sizeof(m.text), sizeof(e->msg)));
    m.text[sizeof(m.text) - 1] = '\0';
    link_send(all->link, &m, sizeof(m), NULL);
}

void sandbox_create(struct sandboxes *all, const struct proto_create *m, const char *strings)
{
    struct sandbox *s = calloc(1, sizeof(*s));
    struct err e;

    if (!s) {
        err_set(&e, ENOMEM, "no memory");
        fail(all, m->header.sandbox, &e);
        return;
    }
    s->all = all;
    s->id = m->header.sandbox;
    s->flags = m->flags;
    s->uid = all->ids.first_function + m->uid_index;
    s->restores = m->snapshot[0] != '\0';
    s->asked = clock_now();
    s->log = s->control.fd = s->pid.fd = s->rpc.fd = s->channel = s->log_write = s->runtime_end = -1;
    s->door = CGROUP_DOOR_CLOSED;
    list_init(&s->node);
    s->serial = ++all->serial;
    snprintf(s->group, sizeof(s->group), "%" PRIu64, s->serial);
    if (make(s, m, strings, &e) < 0) {
        fail(all, s->id, &e);
        fd_close(&s->control.fd);
        fd_close(&s->log);
        fd_close(&s->log_write);
        free(s);
        return;
    }
    sandbox_watch(s, m->lease_ms);
}
