/*
 * fnrun-warden: the one privileged process of an instance. It makes and ends sandboxes for fnrund, which it starts and watches.
 *
 * State: uid 0 in the host's namespaces but for a mount namespace of its own, so that no mount it makes can outlive it.
 * It starts with what its caller has and, once all is set up, keeps only the capabilities of kept[].
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../rootfs/bare.h"
#include "../rootfs/skeleton.h"
#include "base/log.h"
#include "caps.h"
#include "dump.h"
#include "filter.h"
#include "init.h"
#include "listen.h"
#include "manager.h"
#include "options.h"
#include "requests.h"
#include "sandbox.h"
#include "state.h"

/* Mounts and namespaces; lo; ids and bounding sets of children; killing other uids; the manager's private directory and the
 * root of the cgroup file systems, which even root may not write to; what criu needs to read and rebuild a process. */
static const cap_value_t kept[] = {
    CAP_SYS_ADMIN,  CAP_NET_ADMIN,          CAP_SETUID,     CAP_SETGID, CAP_SETPCAP, CAP_KILL, CAP_DAC_OVERRIDE,
    CAP_SYS_PTRACE, CAP_CHECKPOINT_RESTORE, CAP_SYS_CHROOT, CAP_CHOWN,  CAP_FOWNER};

#define MANAGER_ARGV_MAX (OPTIONS_MANAGER_ARGS_MAX + 16)

/* How long a stop may take after fnrund is gone. */
#define STOP_PATIENCE (10 * NSEC_PER_SEC)

struct warden {
    struct options options;
    char images[PATH_MAX], libexec[PATH_MAX], runtimes[PATH_MAX + 16], fnrund[PATH_MAX + 16];
    char *manager_argv[MANAGER_ARGV_MAX];
    struct state state;
    struct loop *loop;
    struct cgroups cgroups;
    struct spares spares;
    struct toolbox toolbox;
    struct templates templates;
    struct nursery nursery;
    struct buf filter;
    struct sandboxes sandboxes;
    struct manager manager;
    struct loop_timer patience;
    bool manager_finished, failed;
};

static int find_libexec(struct warden *w, struct err *e)
{
    char self[PATH_MAX];
    ssize_t n;

    if (w->options.libexec)
        return realpath(w->options.libexec, w->libexec) ? 0 : err_errno(e, "--libexec %s", w->options.libexec);
    n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n < 0)
        return err_errno(e, "read /proc/self/exe");
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    memcpy(w->libexec, self, sizeof(w->libexec));
    return 0;
}

static int find_paths(struct warden *w, struct err *e)
{
    if (find_libexec(w, e) < 0)
        return -e->code;
    if (!realpath(w->options.images, w->images))
        return err_errno(e, "--images %s", w->options.images);
    snprintf(w->runtimes, sizeof(w->runtimes), "%s/runtimes", w->libexec);
    snprintf(w->fnrund, sizeof(w->fnrund), "%s/fnrund", w->libexec);
    return 0;
}

static void name_manager_argv(struct warden *w)
{
    const struct option_list *more = &w->options.manager_args;
    char **p = w->manager_argv;
    const char *const fixed[] = {w->fnrund,        "--data",     ".",         /* its working directory */ "--images",
                                 w->images,        "--runtimes", w->runtimes, "--listen-name",
                                 w->options.listen};

    _Static_assert(ARRAY_LEN(fixed) + OPTIONS_MANAGER_ARGS_MAX < MANAGER_ARGV_MAX, "room for all arguments");
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
        *p++ = (char *)fixed[i];
    for (unsigned i = 0; i < more->count; i++)
        *p++ = (char *)more->item[i];
    *p = NULL;
}

/* What the warden mounts is seen by itself and its children alone; what the host mounts later is still seen here. */
static int leave_mount_namespace(struct err *e)
{
    if (unshare(CLONE_NEWNS) < 0)
        return err_errno(e, "unshare the mount namespace");
    if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
        return err_errno(e, "make mounts slaves");
    return 0;
}

/* fnrund holds several descriptors for each sandbox. */
static int raise_file_limit(struct err *e)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return err_errno(e, "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? err_errno(e, "setrlimit") : 0;
}

static int set_up_sandboxes(struct warden *w, struct err *e)
{
    struct sandboxes *all = &w->sandboxes;
    char path[PATH_MAX + 16];

    *all = (struct sandboxes){
        .loop = w->loop,
        .link = &w->manager.link,
        .cgroups = &w->cgroups,
        .spares = &w->spares,
        .toolbox = &w->toolbox,
        .templates = &w->templates,
        .nursery = &w->nursery,
        .filter = &w->filter,
        .ids = w->state.ids,
        .max = w->options.max_sandboxes,
        .paths = {.base = {[PLAN_IMAGES] = w->images,
                           [PLAN_CODE] = w->state.code,
                           [PLAN_RUNTIMES] = w->runtimes,
                           [PLAN_RUN] = w->state.run},
                  .bare = -1},
        .ctx = w,
    };
    sandboxes_init(all);
    snprintf(path, sizeof(path), "%s/fnrun-init", w->libexec);
    all->init = open(path, O_RDONLY | O_CLOEXEC);
    if (all->init < 0)
        return err_errno(e, "open %s", path);
    if (templates_open(&w->templates, all, w->libexec, w->options.template_mb << 20, e) < 0)
        return -e->code;
    all->run = skeleton_make(w->state.run, e);
    if (all->run < 0)
        return -e->code;
    all->paths.bare = bare_make(w->state.root, e);
    if (all->paths.bare < 0)
        return -e->code;
    all->work = openat(all->run, SKELETON_WORK, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (all->work < 0)
        return err_errno(e, "open " SKELETON_WORK);
    all->snapshots = snapshots_open(w->state.snapshots, &w->state.ids, e);
    if (all->snapshots < 0 || filter_compile(&w->filter, e) < 0)
        return -e->code;
    if (w->filter.used > INIT_FILTER_MAX * sizeof(struct sock_filter))
        return err_set(e, E2BIG, "the system call filter has %zu bytes", w->filter.used);
    return cgroups_open(&w->cgroups, w->state.hash, e);
}

static void stop_if_done(struct warden *w)
{
    if (w->manager_finished && w->sandboxes.count == 0)
        loop_stop(w->loop);
}

static void on_no_sandboxes(void *ctx)
{
    stop_if_done(ctx);
}

static int on_manager_message(void *ctx, const void *data, size_t size, const struct msg_fds *fds, struct err *e)
{
    return requests_handle(&((struct warden *)ctx)->sandboxes, data, size, fds, e);
}

static void on_manager_gone(void *ctx)
{
    struct warden *w = ctx;

    dumps_cancel(&w->sandboxes);
    sandboxes_disown(&w->sandboxes);
}

static void on_manager_finished(void *ctx, bool failed)
{
    struct warden *w = ctx;

    w->manager_finished = true;
    w->failed = failed;
    dumps_cancel(&w->sandboxes);
    sandboxes_disown(&w->sandboxes);
    loop_timer_set(w->loop, &w->patience, clock_now() + STOP_PATIENCE);
    stop_if_done(w);
}

static void on_patience_over(struct loop_timer *t)
{
    struct warden *w = container_of(t, struct warden, patience);

    log_error("%llu sandboxes don't end; leaving them to the next start", (unsigned long long)w->sandboxes.count);
    w->failed = true;
    loop_stop(w->loop);
}

static void on_signal(void *ctx, int signo)
{
    struct warden *w = ctx;

    if (signo != SIGHUP)
        manager_stop(&w->manager);
}

static int set_up_manager(struct warden *w, int listener, struct err *e)
{
    name_manager_argv(w);
    w->manager = (struct manager){.loop = w->loop,
                                  .ids = w->state.ids,
                                  .argv = w->manager_argv,
                                  .cwd = w->state.data,
                                  .listener = listener,
                                  .max_deaths = (unsigned)MIN(w->options.max_deaths, (uint64_t)MANAGER_DEATHS_MAX),
                                  .on_message = on_manager_message,
                                  .on_gone = on_manager_gone,
                                  .on_finished = on_manager_finished,
                                  .ctx = w};
    return manager_start(&w->manager, e);
}

static int serve(struct warden *w, int listener, struct err *e)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, 0};

    w->sandboxes.on_empty = on_no_sandboxes;
    w->patience.on_due = on_patience_over;
    if (caps_limit(kept, ARRAY_LEN(kept), e) < 0 || nursery_start(&w->nursery, &w->sandboxes, e) < 0 ||
        loop_signals(w->loop, signals, on_signal, w, e) < 0 || set_up_manager(w, listener, e) < 0)
        return -e->code;
    spares_init(&w->spares, w->loop);
    toolbox_open(&w->toolbox, w->loop, w->images, w->state.run, w->libexec);
    return loop_run(w->loop, e);
}

static int run(struct warden *w, struct err *e)
{
    auto_fd int listener = -1;
    int rc;

    if (find_paths(w, e) < 0 || state_open(&w->state, w->options.state, w->options.user, w->options.uid_base, e) < 0)
        return -e->code;
    listener = listen_open(w->options.listen, e);
    if (listener < 0 || raise_file_limit(e) < 0 || leave_mount_namespace(e) < 0 || loop_create(&w->loop, e) < 0 ||
        set_up_sandboxes(w, e) < 0)
        return -e->code;
    rc = serve(w, listener, e);
    templates_close(&w->templates);
    nursery_stop(&w->nursery);
    spares_close(&w->spares);
    toolbox_close(&w->toolbox);
    cgroups_close(&w->cgroups);
    return rc;
}

/* Descriptors and settings of whoever started this are none of its children's business. */
static void leave_caller(void)
{
    sigset_t none;

    close_range(STDERR_FILENO + 1, ~0u, 0);
    umask(022);
    for (int signo = 1; signo < NSIG; signo++)
        signal(signo, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv)
{
    static struct warden w;
    struct err e = {0};

    leave_caller();
    log_init("fnrun-warden", LOG_LEVEL_INFO);
    if (options_parse(argc, argv, &w.options, &e) < 0) {
        log_error("%s", e.msg);
        return 2;
    }
    if (w.options.help) {
        options_print_help();
        return 0;
    }
    if (w.options.verbose)
        log_init("fnrun-warden", LOG_LEVEL_DEBUG);
    if (run(&w, &e) < 0) {
        log_error("%s", e.msg);
        return 1;
    }
    return w.failed ? 1 : 0;
}
