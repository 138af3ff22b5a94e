#include "manager.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/proto.h"
#include "caps.h"
#include "fdplace.h"

#define FIRST_PAUSE (50 * NSEC_PER_MSEC)
#define LONGEST_PAUSE (2 * NSEC_PER_SEC)

/* What the warden changed for itself. */
static void reset_signals(void)
{
    sigset_t none;

    signal(SIGPIPE, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* State at entry: a fork of the warden, with its uid, capabilities and descriptors. */
static int become_manager(const struct manager *m, int peer, pid_t warden, struct err *e)
{
    const int place[] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, peer, m->listener};

    int program;

    _Static_assert(PROTO_WARDEN_FD == 3 && PROTO_LISTEN_FD == 4, "the order in place[]");
    reset_signals();
    umask(077);
    if (chdir(m->cwd) < 0)
        return err_errno(e, "chdir %s", m->cwd);
    if (fd_place(place, ARRAY_LEN(place), NULL, e) < 0)
        return -e->code;
    /* Opened while the folders on the way may be searched: a clone under /root is closed to the manager's user. */
    program = open(m->argv[0], O_PATH | O_CLOEXEC);
    if (program < 0)
        return err_errno(e, "open %s", m->argv[0]);
    if (caps_become(m->ids.manager_uid, m->ids.manager_gid, e) < 0)
        return -e->code;
    /* After the change of uid, which would clear it. A warden that died before this line can't send the signal any more. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return err_errno(e, "prctl PR_SET_PDEATHSIG");
    if (getppid() != warden)
        _exit(1);
    execveat(program, "", m->argv, environ, AT_EMPTY_PATH);
    if (errno == ENOENT) /* a script: its interpreter can't read what closes at exec */
        execv(m->argv[0], m->argv);
    return err_errno(e, "exec %s", m->argv[0]);
}

static int spawn(struct manager *m, int peer, struct err *e)
{
    pid_t warden = getpid(), pid = fork();

    if (pid < 0)
        return err_errno(e, "fork");
    if (pid == 0) {
        become_manager(m, peer, warden, e);
        log_error("start fnrund: %s", e->msg);
        _exit(1);
    }
    m->pid.fd = pidfd_open(pid, 0);
    if (m->pid.fd >= 0)
        return loop_io_add(m->loop, &m->pid, EPOLLIN, e);
    err_errno(e, "pidfd_open");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return -e->code;
}

static void send_signal(struct manager *m, int signo)
{
    if (m->pid.fd >= 0 && pidfd_send_signal(m->pid.fd, signo, NULL, 0) < 0 && errno != ESRCH)
        log_error("fnrund: signal %d: %s", signo, strerror(errno));
}

/* Its pidfd tells when it is really gone. */
static void condemn(struct manager *m, const char *why)
{
    if (m->link.io.fd < 0)
        return;
    if (!m->stopping)
        log_error("fnrund: %s; killing it", why);
    link_close(&m->link);
    send_signal(m, SIGKILL);
}

static void on_link_broken(void *ctx, const char *why)
{
    condemn(ctx, why);
}

static void on_link_message(void *ctx, const void *data, size_t size, const struct msg_fds *fds)
{
    struct manager *m = ctx;
    struct err e;

    if (m->on_message(m->ctx, data, size, fds, &e) < 0)
        condemn(m, e.msg);
}

/* How many deaths, with this one, are no older than the window. */
static unsigned count_death(struct manager *m)
{
    nsec_t now = clock_now();
    unsigned recent = 0;

    m->deaths[m->death_count++ % MANAGER_DEATHS_MAX] = now;
    for (unsigned i = 0; i < MIN(m->death_count, (unsigned)MANAGER_DEATHS_MAX); i++)
        recent += now - m->deaths[i] < MANAGER_DEATHS_WINDOW;
    return recent;
}

static void describe_end(const siginfo_t *info)
{
    if (info->si_code == CLD_EXITED)
        log_error("fnrund ended with status %d", info->si_status);
    else
        log_error("fnrund died of signal %d", info->si_status);
}

static void after_death(struct manager *m)
{
    unsigned recent;

    loop_timer_clear(m->loop, &m->timer);
    if (m->stopping) {
        m->on_finished(m->ctx, false);
        return;
    }
    recent = count_death(m);
    if (m->max_deaths && recent >= m->max_deaths) {
        log_error("fnrund ended %u times within %d s: giving up", recent, (int)(MANAGER_DEATHS_WINDOW / NSEC_PER_SEC));
        m->on_finished(m->ctx, true);
        return;
    }
    loop_timer_set(m->loop, &m->timer,
                   clock_now() + (recent == 1 ? 0 : MIN(FIRST_PAUSE << MIN(recent - 2, 10u), LONGEST_PAUSE)));
}

static void on_pid_ready(struct loop_io *io, UNUSED uint32_t events)
{
    struct manager *m = container_of(io, struct manager, pid);
    siginfo_t info = {0};

    if (waitid(P_PIDFD, (id_t)m->pid.fd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
        return;
    if (!m->stopping)
        describe_end(&info);
    loop_io_remove(m->loop, &m->pid);
    fd_close(&m->pid.fd);
    link_close(&m->link);
    m->on_gone(m->ctx);
    after_death(m);
}

static int start(struct manager *m, struct err *e)
{
    auto_fd int peer = -1;

    if (link_open(&m->link, m->loop, &peer, e) < 0)
        return err_wrap(e, "start fnrund");
    if (spawn(m, peer, e) < 0) {
        link_close(&m->link);
        return err_wrap(e, "start fnrund");
    }
    return 0;
}

static void on_timer(struct loop_timer *t)
{
    struct manager *m = container_of(t, struct manager, timer);
    struct err e;

    if (m->stopping) {
        log_warn("fnrund doesn't stop; killing it");
        send_signal(m, SIGKILL);
    } else if (start(m, &e) < 0) {
        log_error("%s", e.msg);
        after_death(m);
    }
}

int manager_start(struct manager *m, struct err *e)
{
    m->link = (struct link){
        .on_message = on_link_message, .on_broken = on_link_broken, .ctx = m, .loop = m->loop, .io.fd = -1};
    m->pid = (struct loop_io){.fd = -1, .on_ready = on_pid_ready};
    m->timer.on_due = on_timer;
    return start(m, e);
}

void manager_stop(struct manager *m)
{
    if (m->stopping)
        return;
    m->stopping = true;
    if (m->pid.fd < 0) {
        after_death(m);
        return;
    }
    send_signal(m, SIGTERM);
    loop_timer_set(m->loop, &m->timer, clock_now() + MANAGER_STOP_PATIENCE);
}
