#include "sandbox.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "base/log.h"
#include "init.h"

/* A kill is repeated, because a hostile manager could freeze a v1 group again between thaw and death. */
#define KILL_AGAIN (20 * NSEC_PER_MSEC)
#define REMOVE_AGAIN_FIRST (500 * NSEC_PER_USEC)
#define REMOVE_AGAIN_MAX (50 * NSEC_PER_MSEC)

static const char *const state_names[SANDBOX_STATES] = {"new",     "starting", "armed",   "restoring",
                                                        "running", "ending",   "removing"};

/* allowed[from] has a bit for each state that may follow. */
static const unsigned allowed[SANDBOX_STATES] = {
    [SANDBOX_NEW] = 1u << SANDBOX_STARTING,
    [SANDBOX_STARTING] = 1u << SANDBOX_ARMED | 1u << SANDBOX_RUNNING | 1u << SANDBOX_ENDING | 1u << SANDBOX_REMOVING,
    [SANDBOX_ARMED] = 1u << SANDBOX_RESTORING | 1u << SANDBOX_ENDING | 1u << SANDBOX_REMOVING,
    [SANDBOX_RESTORING] = 1u << SANDBOX_RUNNING | 1u << SANDBOX_ENDING | 1u << SANDBOX_REMOVING,
    [SANDBOX_RUNNING] = 1u << SANDBOX_ENDING | 1u << SANDBOX_REMOVING,
    [SANDBOX_ENDING] = 1u << SANDBOX_REMOVING,
};

static void set_state(struct sandbox *s, enum sandbox_state next)
{
    if (!(allowed[s->state] & 1u << next)) {
        log_error("sandbox %s: %s after %s", s->group, state_names[next], state_names[s->state]);
        abort();
    }
    log_debug("sandbox %s: %s", s->group, state_names[next]);
    s->state = next;
}

void sandboxes_init(struct sandboxes *all)
{
    list_init(&all->list);
    list_init(&all->dumps);
    all->count = 0;
}

struct sandbox *sandbox_find(struct sandboxes *all, uint64_t id)
{
    struct sandbox *s;

    list_for_each(&all->list, s, struct sandbox, node)
        if (s->id == id && !s->disowned)
            return s;
    return NULL;
}

/* PID 1 lives, and nobody has decided its end yet. */
static bool is_alive(const struct sandbox *s)
{
    return SANDBOX_STARTING <= s->state && s->state <= SANDBOX_RUNNING;
}

static bool is_starting(const struct sandbox *s)
{
    return is_alive(s) && s->state != SANDBOX_RUNNING;
}

static void tell(struct sandbox *s, const void *m, size_t size, struct msg_fds *fds)
{
    if (!s->disowned)
        link_send(s->all->link, m, size, fds);
    else if (fds)
        msg_fds_close(fds);
}

static struct proto_header header(const struct sandbox *s, enum proto_kind kind)
{
    return (struct proto_header){PROTO_VERSION, kind, s->id};
}

static void tell_failed(struct sandbox *s)
{
    struct proto_failed m = {.header = header(s, PROTO_FAILED), .code = s->failure.code};

    memcpy(m.text, s->failure.msg, MIN(sizeof(m.text), sizeof(s->failure.msg)));
    m.text[sizeof(m.text) - 1] = '\0';
    tell(s, &m, sizeof(m), NULL);
}

static void tell_exited(struct sandbox *s)
{
    struct proto_exited m;

    memset(&m, 0, sizeof(m)); /* it has padding, and the stack is nobody else's business */
    m.header = header(s, PROTO_EXITED);
    m.cause = s->cause;
    m.value = s->value;
    m.oom_kills = s->usage.oom_kills;
    m.memory_peak = s->usage.memory_peak;
    m.cpu_ns = s->usage.cpu_ns;
    tell(s, &m, sizeof(m), NULL);
}

/* All is gone: processes, control group. */
static void finish(struct sandbox *s)
{
    struct sandboxes *all = s->all;

    if (s->failure.code)
        tell_failed(s);
    else
        tell_exited(s);
    log_debug("sandbox %s: gone", s->group);
    loop_timer_clear(all->loop, &s->again);
    list_remove(&s->node);
    free(s);
    if (--all->count == 0 && all->on_empty)
        all->on_empty(all->ctx);
}

static void try_remove(struct sandbox *s)
{
    struct err e;
    nsec_t pause;

    if (cgroup_remove(s->all->cgroups, s->group, &e) == 0) {
        finish(s);
        return;
    }
    if (e.code != EBUSY && s->tries == 0)
        log_error("sandbox %s: %s", s->group, e.msg);
    pause = MIN(REMOVE_AGAIN_FIRST << MIN(s->tries, 16u), REMOVE_AGAIN_MAX);
    s->tries++;
    loop_timer_set(s->all->loop, &s->again, clock_now() + pause);
}

/* What the manager is told if nobody has said why PID 1 died: the kernel did it, for memory more often than not. */
static void explain_death(struct sandbox *s, bool never_ran)
{
    if (never_ran && !s->failure.code)
        err_set(&s->failure, s->usage.oom_kills ? ENOMEM : EIO,
                s->usage.oom_kills ? "the memory limit is too low to start" : "PID 1 died while it was starting");
    if (!s->cause) {
        s->cause = PROTO_EXIT_SIGNAL;
        s->value = SIGKILL;
    }
}

/* What only a restore needs. */
static void close_restore(struct sandbox *s)
{
    loop_io_remove(s->all->loop, &s->rpc);
    fd_close(&s->rpc.fd);
    fd_close(&s->channel);
    fd_close(&s->log_write);
    fd_close(&s->runtime_end);
    cgroup_door_close(&s->door);
}

static void on_dead(struct sandbox *s)
{
    bool never_ran = is_starting(s);
    struct err e;

    set_state(s, SANDBOX_REMOVING);
    loop_io_remove(s->all->loop, &s->pid);
    loop_io_remove(s->all->loop, &s->control);
    fd_close(&s->pid.fd);
    fd_close(&s->control.fd);
    fd_close(&s->log);
    close_restore(s);
    loop_timer_clear(s->all->loop, &s->lease);
    if (s->all->cgroups->ops->usage(s->all->cgroups, s->group, &s->usage, &e) < 0)
        log_warn("sandbox %s: %s", s->group, e.msg);
    explain_death(s, never_ran);
    s->tries = 0;
    try_remove(s);
}

/* The pidfd is readable when PID 1 has been killed or has exited: the kernel reaps the others of the namespace first. */
static bool reap(struct sandbox *s)
{
    siginfo_t info = {0};

    return waitid(P_PIDFD, (id_t)s->pid.fd, &info, WEXITED | WNOHANG) == 0 && info.si_pid != 0;
}

static void send_kill(struct sandbox *s)
{
    struct err e;

    if (pidfd_send_signal(s->pid.fd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
        log_error("sandbox %s: kill: %s", s->group, strerror(errno));
    /* Second: a frozen task acts on the signal when it is thawed. */
    if (s->all->cgroups->ops->unstick(s->all->cgroups, s->group, &e) < 0)
        log_error("sandbox %s: %s", s->group, e.msg);
    loop_timer_set(s->all->loop, &s->again, clock_now() + KILL_AGAIN);
}

/* Kills it; `cause` is what the manager will hear, unless it already ended by itself. */
static void end(struct sandbox *s, enum proto_exit_cause cause, const char *why_not_started)
{
    if (!is_alive(s))
        return;
    if (is_starting(s) && !s->failure.code)
        err_set(&s->failure, ECANCELED, "%s", why_not_started);
    if (!s->cause)
        s->cause = cause;
    set_state(s, SANDBOX_ENDING);
    loop_timer_clear(s->all->loop, &s->lease);
    send_kill(s);
}

void sandbox_kill(struct sandbox *s)
{
    end(s, PROTO_EXIT_KILLED, "killed while it was starting");
}

static void on_lease_due(struct loop_timer *t)
{
    end(container_of(t, struct sandbox, lease), PROTO_EXIT_LEASE, "the lease ran out while it was starting");
}

void sandbox_set_lease(struct sandbox *s, uint32_t lease_ms)
{
    if (!is_alive(s))
        return;
    if (lease_ms)
        loop_timer_set(s->all->loop, &s->lease, clock_now() + lease_ms * NSEC_PER_MSEC);
    else
        loop_timer_clear(s->all->loop, &s->lease);
}

void sandbox_set_cpu(struct sandbox *s, uint32_t cpu_millis)
{
    const struct cgroups *c = s->all->cgroups;
    struct err e;

    if (s->state != SANDBOX_REMOVING && c->ops->set_cpu(c, s->group, cpu_millis, &e) < 0)
        log_error("sandbox %s: %s", s->group, e.msg);
}

/* Opens what the manager gets of a sandbox; `sockets` are those that PID 1 sent. */
static int gather_fds(struct sandbox *s, struct msg_fds *sockets, struct msg_fds *ret, struct err *e)
{
    const struct cgroups *c = s->all->cgroups;
    struct cgroup_handles handles;

    if (c->ops->open_handles(c, s->group, &handles, e) < 0)
        return -e->code;
    *ret = (struct msg_fds){.count = PROTO_FD_API};
    ret->fd[PROTO_FD_LOG] = take_fd(&s->log);
    ret->fd[PROTO_FD_PEAK] = handles.peak;
    ret->fd[PROTO_FD_FREEZER] = handles.freezer;
    for (unsigned i = 0; i < sockets->count; i++)
        ret->fd[ret->count++] = take_fd(&sockets->fd[i]);
    return 0;
}

static void tell_created(struct sandbox *s, enum proto_kind kind, struct msg_fds *fds)
{
    const struct cgroups *c = s->all->cgroups;
    struct proto_created m = {.header = header(s, kind), .create_ns = clock_now() - s->asked};

    memcpy(m.freeze_text[0], c->ops->freeze_text[0], strlen(c->ops->freeze_text[0]));
    memcpy(m.freeze_text[1], c->ops->freeze_text[1], strlen(c->ops->freeze_text[1]));
    tell(s, &m, sizeof(m), fds);
}

/* PID 1's sockets are there: the runtime has been exec'd, or criu waits to bring it. Nothing of the function runs in an armed
 * one, so it needs no lease. */
static void on_sockets(struct sandbox *s, struct msg_fds *sockets)
{
    struct msg_fds fds;

    if (gather_fds(s, sockets, &fds, &s->failure) < 0) {
        end(s, PROTO_EXIT_KILLED, "");
        return;
    }
    set_state(s, s->restores ? SANDBOX_ARMED : SANDBOX_RUNNING);
    if (s->restores)
        sandbox_set_lease(s, 0);
    tell_created(s, s->restores ? PROTO_ARMED : PROTO_CREATED, &fds);
}

/* criu's answer: the runtime runs, or criu has removed all it had made of it. */
static void on_restored(struct loop_io *io, UNUSED uint32_t events)
{
    struct sandbox *s = container_of(io, struct sandbox, rpc);
    char log_name[CRIU_LOG_NAME];
    struct err e = {.code = 0};
    int rc = criu_receive(io->fd, &e);

    if (s->state != SANDBOX_RESTORING)
        err_set(&e, EPIPE, "criu has ended");
    criu_name_log(log_name, s->id);
    loop_io_remove(s->all->loop, io);
    if (e.code == 0 && rc == 0) {
        criu_drop_log(s->all->work, log_name);
        set_state(s, SANDBOX_RUNNING);
        tell_created(s, PROTO_CREATED, NULL);
        return;
    }
    criu_explain(s->all->work, log_name, &e);
    err_wrap(&e, "restore");
    s->failure = e;
    end(s, PROTO_EXIT_KILLED, "");
}

void sandbox_forked(struct sandbox *s, int code, const char *what)
{
    close_restore(s);
    if (code == 0) {
        set_state(s, SANDBOX_RUNNING);
        tell_created(s, PROTO_CREATED, NULL);
        return;
    }
    err_set(&s->failure, code, "restore: %s: %s", what, strerror(code));
    end(s, PROTO_EXIT_KILLED, "");
}

/* The template may have gone since this one was armed. */
static int ask_template(struct sandbox *s, struct err *e)
{
    auto_fd int snapshot = -1;

    if (template_fork(s->all->templates, s, e) == 0)
        return 0;
    if (e->code != ENOENT)
        return -e->code;
    e->code = 0;
    snapshot = snapshots_use(s->all->snapshots, s->request.snapshot, &s->ends, e);
    if (snapshot < 0 || template_prepare(s->all->templates, snapshot, &s->request, e) < 0)
        return -e->code;
    return template_fork(s->all->templates, s, e);
}

static int ask_criu(struct sandbox *s, struct err *e)
{
    char log_name[CRIU_LOG_NAME];

    criu_name_log(log_name, s->id);
    return criu_send_restore(s->rpc.fd, &s->ends, log_name, e);
}

void sandbox_restore(struct sandbox *s, uint32_t lease_ms)
{
    if (s->state != SANDBOX_ARMED)
        return;
    set_state(s, SANDBOX_RESTORING);
    sandbox_set_lease(s, lease_ms);
    s->asked = clock_now();
    if ((s->by_template ? ask_template(s, &s->failure) : ask_criu(s, &s->failure)) < 0)
        end(s, PROTO_EXIT_KILLED, "");
}

/* criu waits: its socket comes. Or a template will be asked: the runtime's end of the channel comes. And the manager's end of the
 * channel or connection. */
static void on_init_armed(struct sandbox *s, struct msg_fds *fds)
{
    s->channel = take_fd(&fds->fd[1]);
    if (s->by_template) {
        s->runtime_end = take_fd(&fds->fd[0]);
        return;
    }
    s->rpc.fd = take_fd(&fds->fd[0]);
    s->rpc.on_ready = on_restored;
    if (fd_set_nonblock(s->rpc.fd, &s->failure) < 0 || loop_io_add(s->all->loop, &s->rpc, EPOLLIN, &s->failure) < 0)
        end(s, PROTO_EXIT_KILLED, "");
}

/* PID 1 has given up its privileges. With a criu that waits, the channel is not among its sockets. */
static void on_init_started(struct sandbox *s, struct msg_fds *fds)
{
    if (s->restores)
        fds->fd[fds->count++] = take_fd(&s->channel);
    on_sockets(s, fds);
}

static void on_failed(struct sandbox *s, const struct init_failed *m)
{
    err_set(&s->failure, m->code, "%.*s%s%s", (int)sizeof(m->text), m->text, m->add_errno ? ": " : "",
            m->add_errno ? strerror(m->code) : "");
    end(s, PROTO_EXIT_KILLED, "");
}

static void on_ended(struct sandbox *s, int status)
{
    if (s->cause)
        return;
    s->cause = WIFSIGNALED(status) ? PROTO_EXIT_SIGNAL : PROTO_EXIT_STATUS;
    s->value = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

/* PID 1 is our own program but lives with the function: what it says is checked as well. */
static void on_message(struct sandbox *s, const union init_report *m, size_t size, struct msg_fds *fds)
{
    bool channel = s->flags & PROTO_WITH_CHANNEL, starting = s->state == SANDBOX_STARTING;
    unsigned sockets = channel && !s->restores ? 3 : 2;

    if (size == sizeof(m->started) && m->kind == INIT_STARTED && starting && fds->count == sockets)
        on_init_started(s, fds);
    else if (size == sizeof(m->started) && m->kind == INIT_ARMED && starting && s->restores && s->channel < 0 &&
             fds->count == 2)
        on_init_armed(s, fds);
    else if (size == sizeof(m->failed) && m->kind == INIT_FAILED && starting)
        on_failed(s, &m->failed);
    else if (size == sizeof(m->ended) && m->kind == INIT_ENDED)
        on_ended(s, m->ended.wait_status);
    else if (is_alive(s))
        log_error("sandbox %s: unexpected message of %zu bytes from PID 1", s->group, size);
}

/* Receives one report; false when there is none. */
static bool receive(struct sandbox *s)
{
    auto_msg_fds struct msg_fds fds = {.count = 0};
    union init_report m;
    struct err e;
    ssize_t n = msg_recv(s->control.fd, &m, sizeof(m), &fds, &e);

    /* Who ends with its specification unread leaves this error, once, in front of its last words. */
    if (n == -ECONNRESET)
        n = msg_recv(s->control.fd, &m, sizeof(m), &fds, &e);
    if (n >= (ssize_t)sizeof(m.kind))
        on_message(s, &m, (size_t)n, &fds);
    else if (n != -EAGAIN)
        loop_io_remove(s->all->loop, &s->control); /* closed; the pidfd tells the rest */
    return n > 0;
}

static void on_control_ready(struct loop_io *io, UNUSED uint32_t events)
{
    receive(container_of(io, struct sandbox, control));
}

static void on_pid_ready(struct loop_io *io, UNUSED uint32_t events)
{
    struct sandbox *s = container_of(io, struct sandbox, pid);

    if (!reap(s))
        return;
    /* What PID 1 said last may still be unread. */
    while (s->control.active && receive(s))
        ;
    on_dead(s);
}

static void on_again(struct loop_timer *t)
{
    struct sandbox *s = container_of(t, struct sandbox, again);

    if (s->state == SANDBOX_REMOVING)
        try_remove(s);
    else if (reap(s))
        on_dead(s);
    else
        send_kill(s);
}

void sandbox_watch(struct sandbox *s, uint32_t lease_ms)
{
    struct sandboxes *all = s->all;

    list_append(&all->list, &s->node);
    all->count++;
    set_state(s, SANDBOX_STARTING);
    s->control.on_ready = on_control_ready;
    s->pid.on_ready = on_pid_ready;
    s->lease.on_due = on_lease_due;
    s->again.on_due = on_again;
    sandbox_set_lease(s, lease_ms);
    if (loop_io_add(all->loop, &s->control, EPOLLIN, &s->failure) < 0 ||
        loop_io_add(all->loop, &s->pid, EPOLLIN, &s->failure) < 0)
        end(s, PROTO_EXIT_KILLED, "");
}

void sandboxes_disown(struct sandboxes *all)
{
    struct sandbox *s;

    list_for_each(&all->list, s, struct sandbox, node) {
        s->disowned = true;
        sandbox_kill(s);
    }
}
