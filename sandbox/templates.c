#include "templates.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../rootfs/skeleton.h"
#include "base/log.h"
#include "caps.h"
#include "child.h"
#include "fdplace.h"
#include "sandbox.h"
#include "thaw.h"
#include "thaw_plan.h"

#define PAGES_FILE "pages-1.img"

/* Namespaces and file descriptors of other uids' processes; ids, bounding set and thread ids of what it forks. */
static const cap_value_t kept[] = {CAP_SYS_ADMIN, CAP_SYS_CHROOT, CAP_SYS_PTRACE,        CAP_SETUID,
                                   CAP_SETGID,    CAP_SETPCAP,    CAP_CHECKPOINT_RESTORE};

struct template_proc {
    struct list_node node; /* in templates.list, or .dying from its end until it is reaped */
    struct templates *all;
    struct loop_io control, pid;
    char id[PROTO_SNAPSHOT_ID];
    uint64_t bytes;
    nsec_t used;
    bool broken; /* it could not load its snapshot, and another could not either: only criu restores it */
};

/* What the child needs. */
struct start {
    const struct templates *all;
    struct plan plan;
    int control, thaw_plan, pages;
};

static void start_close(struct start *s)
{
    fd_close(&s->control);
    fd_close(&s->thaw_plan);
    fd_close(&s->pages);
}

/* --- the child -------------------------------------------------------------------------------------------------------------------- */

static int exec_thaw(const struct start *s, struct err *e)
{
    char *argv[] = {"fnrun-thaw", NULL}, *env[] = {NULL};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC), program = s->all->program;
    const int place[] = {null, null, null, s->control, s->thaw_plan, s->pages};

    _Static_assert(THAW_CONTROL_FD == 3 && THAW_PLAN_FD == 4 && THAW_PAGES_FD == 5, "the order in place[]");
    if (null < 0)
        return err_errno(e, "open /dev/null");
    if (caps_limit(kept, ARRAY_LEN(kept), e) < 0 || fd_place(place, ARRAY_LEN(place), &program, e) < 0)
        return -e->code;
    execveat(program, "", argv, env, AT_EMPTY_PATH);
    return err_errno(e, "exec fnrun-thaw");
}

/* State: a fork of the warden. It sees the files that the runtime saw. */
static void run_child(const struct start *s) __attribute__((noreturn));
static void run_child(const struct start *s)
{
    struct err e = {.code = 0};
    int oom = -1;

    if (child_reset(&e) == 0 && (oom = child_raise_oom_score(&e)) >= 0) {
        close(oom);
        if (apply_plan(&s->plan, &s->all->all->paths, &e) == 0)
            exec_thaw(s, &e);
    }
    log_error("template: %s", e.msg);
    _exit(1);
}

/* --- the warden ---------------------------------------------------------------------------------------------------------------------- */

static struct template_proc *find(struct templates *t, const char *id)
{
    struct template_proc *p;

    list_for_each(&t->list, p, struct template_proc, node)
        if (strcmp(p->id, id) == 0)
            return p;
    return NULL;
}

static bool waits_for(const struct sandbox *s, const struct template_proc *p)
{
    return s->state == SANDBOX_RESTORING && s->by_template && strcmp(s->request.snapshot, p->id) == 0;
}

static bool is_waited_for(const struct template_proc *p)
{
    const struct sandbox *s;

    list_for_each(&p->all->all->list, s, const struct sandbox, node)
        if (waits_for(s, p))
            return true;
    return false;
}

/* Those that wait for it will not get an answer. EAGAIN: it is not the snapshot's fault. */
static void fail_waiting(const struct template_proc *p, const char *why)
{
    struct sandbox *s;

    list_for_each(&p->all->all->list, s, struct sandbox, node)
        if (waits_for(s, p))
            sandbox_forked(s, EAGAIN, why);
}

static void reap(struct template_proc *p, int options)
{
    siginfo_t info;

    loop_io_remove(p->all->all->loop, &p->pid);
    if (p->pid.fd >= 0)
        waitid(P_PIDFD, (id_t)p->pid.fd, &info, WEXITED | options);
    fd_close(&p->pid.fd);
}

/* From here on nobody finds it. Killing it may take the kernel a while, with much memory: on_dead frees it. */
static void end(struct template_proc *p, const char *why)
{
    list_remove(&p->node);
    loop_io_remove(p->all->all->loop, &p->control);
    fd_close(&p->control.fd);
    fail_waiting(p, why);
    if (p->pid.fd < 0) {
        free(p);
        return;
    }
    list_append(&p->all->dying, &p->node);
    pidfd_send_signal(p->pid.fd, SIGKILL, NULL, 0);
}

static bool is_dying(const struct template_proc *p)
{
    return p->control.fd < 0;
}

static struct sandbox *find_asking(const struct template_proc *p, uint64_t serial)
{
    struct sandbox *s;

    list_for_each(&p->all->all->list, s, struct sandbox, node)
        if (s->serial == serial && waits_for(s, p))
            return s;
    return NULL;
}

static void on_answer(struct template_proc *p, const struct thaw_answer *m)
{
    struct sandbox *s = m->kind == THAW_FORKED ? find_asking(p, m->sandbox) : NULL;
    char why[sizeof(m->what) + 1];

    snprintf(why, sizeof(why), "%.*s", (int)sizeof(m->what), m->what);
    if (s) {
        sandbox_forked(s, m->code, why);
    } else if (m->kind == THAW_LOADED && m->code) {
        log_warn("template %s: %s: %s; criu restores it from now on", p->id, why, strerror(m->code));
        p->broken = true;
        fail_waiting(p, "its template can't be loaded");
    }
}

/* One answer; false when there is none. */
static bool receive(struct template_proc *p)
{
    auto_msg_fds struct msg_fds none = {.count = 0};
    struct thaw_answer m;
    struct err e = {.code = 0};
    ssize_t n = msg_recv(p->control.fd, &m, sizeof(m), &none, &e);

    if (n == sizeof(m))
        on_answer(p, &m);
    else if (e.code != EAGAIN)
        loop_io_remove(p->all->all->loop, &p->control); /* closed; the pidfd tells the rest */
    return n == sizeof(m);
}

static void on_control(struct loop_io *io, UNUSED uint32_t events)
{
    receive(container_of(io, struct template_proc, control));
}

static void on_dead(struct loop_io *io, UNUSED uint32_t events)
{
    struct template_proc *p = container_of(io, struct template_proc, pid);

    /* What it said last may still be unread. */
    while (!is_dying(p) && receive(p))
        ;
    reap(p, WNOHANG);
    if (p->broken && !is_dying(p))
        return;
    if (!is_dying(p))
        end(p, "its template has ended");
    else
        list_remove(&p->node), free(p);
}

static int send_spec(int sock, const struct buf *filter, struct err *e)
{
    auto_buf struct buf out = {.data = NULL};
    struct thaw_spec spec = {THAW_SPEC, (uint32_t)(filter->used / sizeof(struct sock_filter))};

    if (buf_add(&out, &spec, sizeof(spec), e) < 0 || buf_add(&out, filter->data, filter->used, e) < 0)
        return -e->code;
    return msg_send(sock, out.data, out.used, NULL, e);
}

static int start(struct template_proc *p, struct start *s, struct err *e)
{
    struct clone_args args = {.flags = CLONE_PIDFD, .pidfd = (uintptr_t)&p->pid.fd, .exit_signal = SIGCHLD};
    struct loop *loop = p->all->all->loop;
    int pair[2];
    long pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_errno(e, "socketpair");
    p->control.fd = pair[0];
    s->control = pair[1];
    if (fd_set_nonblock(pair[0], e) < 0 || send_spec(pair[0], p->all->all->filter, e) < 0)
        return -e->code;
    pid = syscall(SYS_clone3, &args, sizeof(args));
    if (pid == 0)
        run_child(s);
    if (pid < 0)
        return err_errno(e, "clone3");
    p->control.on_ready = on_control;
    p->pid.on_ready = on_dead;
    return loop_io_add(loop, &p->control, EPOLLIN, e) < 0 || loop_io_add(loop, &p->pid, EPOLLIN, e) < 0 ? -e->code : 0;
}

static int make_plan(const struct templates *t, const struct proto_create *m, struct plan *ret, struct err *e)
{
    uid_t uid = t->all->ids.first_function + m->uid_index;
    struct plan_request request = {.image = m->image,
                                   .image_digest = m->image_digest,
                                   .code_digest = m->code_digest,
                                   .runtime_dir = m->runtime_dir,
                                   .uid = uid,
                                   .tmp_bytes = m->tmp_bytes};

    if (skeleton_add_passwd(t->all->run, uid, e) < 0)
        return -e->code;
    plan_make(ret, &request);
    return 0;
}

/* The one unused for longest goes, but not the newest, and none that is about to be used. */
static void keep_budget(struct templates *t, const struct template_proc *newest)
{
    for (;;) {
        struct template_proc *p, *oldest = NULL;
        uint64_t sum = 0;

        list_for_each(&t->list, p, struct template_proc, node) {
            sum += p->broken ? 0 : p->bytes;
            if (p != newest && !p->broken && !is_waited_for(p) && (!oldest || p->used < oldest->used))
                oldest = p;
        }
        if (sum <= t->budget || !oldest)
            return;
        end(oldest, "memory was needed for other templates");
    }
}

static int open_files(int snapshot, struct start *s, uint64_t *ret_bytes, struct err *e)
{
    struct stat st;

    s->thaw_plan = openat(snapshot, THAW_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (s->thaw_plan < 0)
        return err_errno(e, "open the snapshot's plan");
    s->pages = openat(snapshot, PAGES_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (s->pages < 0 || fstat(s->pages, &st) < 0)
        return err_set(e, errno == ENOENT ? EUCLEAN : errno, "open the snapshot's pages: %s", strerror(errno));
    *ret_bytes = (uint64_t)st.st_size;
    return 0;
}

int template_prepare(struct templates *t, int snapshot, const struct proto_create *m, struct err *e)
{
    __attribute__((cleanup(start_close))) struct start s = {.all = t, .control = -1, .thaw_plan = -1, .pages = -1};
    struct template_proc *p = find(t, m->snapshot);
    uint64_t bytes = 0;

    if (p) {
        p->used = clock_now();
        return p->broken ? err_set(e, ENOENT, "its template can't be loaded") : 0;
    }
    if (open_files(snapshot, &s, &bytes, e) < 0 || make_plan(t, m, &s.plan, e) < 0)
        return -e->code;
    p = calloc(1, sizeof(*p));
    if (!p)
        return err_set(e, ENOMEM, "no memory");
    *p = (struct template_proc){.all = t, .control.fd = -1, .pid.fd = -1, .bytes = bytes, .used = clock_now()};
    memcpy(p->id, m->snapshot, sizeof(p->id));
    list_append(&t->list, &p->node);
    if (start(p, &s, e) < 0) {
        end(p, "a template can't be started");
        return -e->code;
    }
    keep_budget(t, p);
    return 0;
}

int template_fork(struct templates *t, struct sandbox *s, struct err *e)
{
    struct template_proc *p = find(t, s->request.snapshot);
    struct thaw_fork m = {.kind = THAW_FORK, .clones_into = t->all->cgroups->ops->clones_into, .sandbox = s->serial};
    struct msg_fds fds = {.fd = {s->pid.fd, s->log_write, s->runtime_end}, .count = THAW_FD_DOORS};

    if (!p || p->broken)
        return err_set(e, ENOENT, "there is no template");
    for (int i = 0; i < CGROUP_PARTS; i++)
        if (s->door.fd[i] >= 0)
            fds.fd[fds.count++] = s->door.fd[i];
    p->used = clock_now();
    return msg_send(p->control.fd, &m, sizeof(m), &fds, e);
}

void template_drop(struct templates *t, const char *id)
{
    struct template_proc *p = find(t, id);

    if (p)
        end(p, "the snapshot was removed");
}

int templates_open(struct templates *t, struct sandboxes *all, const char *libexec, uint64_t budget, struct err *e)
{
    char path[PATH_MAX + 16];

    *t = (struct templates){.all = all, .budget = budget};
    list_init(&t->list);
    list_init(&t->dying);
    snprintf(path, sizeof(path), "%s/fnrun-thaw", libexec);
    t->program = open(path, O_RDONLY | O_CLOEXEC);
    return t->program < 0 ? err_errno(e, "open %s", path) : 0;
}

void templates_close(struct templates *t)
{
    struct template_proc *p;

    while ((p = list_first(&t->list, struct template_proc, node)))
        end(p, "fnrun is stopping");
    while ((p = list_first(&t->dying, struct template_proc, node))) {
        reap(p, 0);
        list_remove(&p->node);
        free(p);
    }
    fd_close(&t->program);
}
