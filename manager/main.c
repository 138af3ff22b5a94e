/*
 * fnrund, the manager. State: started by the warden as the manager's user, without any capability, with
 * no_new_privs; descriptors 0-2, the warden's socket and the API's listening socket. It trusts nothing it reads.
 */
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../sandbox/base/fd.h"
#include "../sandbox/base/log.h"
#include "../sandbox/base/proto.h"
#include "event_queue.h"
#include "instance.h"
#include "invoker.h"
#include "manager.h"
#include "options.h"
#include "package.h"
#include "runtime_api.h"
#include "sandbox_endpoint.h"
#include "snapshot.h"
#include "store.h"
#include "warden.h"

static void on_signal(void *ctx, UNUSED int signo)
{
    loop_stop(ctx);
}

static void on_retired(void *ctx, struct function *f)
{
    struct manager *m = ctx;

    if (m->invoker)
        invoker_retire(m->invoker, f);
}

static int enter_data_dir(struct manager *m, struct err *e)
{
    char path[PATH_MAX];

    if (chdir(m->config.data_dir) < 0)
        return err_errno(e, "%s", m->config.data_dir);
    /* SQLite goes by absolute paths, whatever the working directory allows. */
    if (!getcwd(path, sizeof(path)) || access(path, R_OK | W_OK | X_OK) < 0)
        return err_errno(e,
                         "state directory: user %u can't get there; make every folder above it searchable (chmod o+x)",
                         (unsigned)getuid());
    if (mkdir("logs", 0700) < 0 && errno != EEXIST)
        return err_errno(e, "%s/logs", m->config.data_dir);
    return 0;
}

static bool is_code_in_use(void *ctx, const char *digest)
{
    return functions_use_code(ctx, digest);
}

static int open_parts(struct manager *m, struct err *e)
{
    if (db_open(&m->db, "fnrun.db", e) < 0 || packages_open(m->loop, "code", &m->packages, e) < 0 ||
        store_open(m->loop, &m->db, "store", &m->store, e) < 0 ||
        functions_open(&m->db, on_retired, m, &m->functions, e) < 0)
        return -e->code;
    /* What an earlier life had unpacked for a function that was never stored, or just deleted. */
    packages_sweep(m->packages, is_code_in_use, m->functions);
    if (warden_open(m->loop, PROTO_WARDEN_FD, &instance_warden_handlers, m, &m->warden, e) < 0 ||
        runtime_api_start(m, e) < 0 || sandbox_endpoint_start(m, e) < 0 || snapshots_create(m, &m->snapshots, e) < 0 ||
        invoker_create(m, &m->invoker, e) < 0)
        return -e->code;
    return event_queue_open(m, &m->events, e);
}

/* The port may have been chosen by the kernel (":0"): tell the one that clients can use. */
static int announce(struct manager *m, struct err *e)
{
    static char name[NI_MAXHOST + NI_MAXSERV + 4];
    struct sockaddr_storage addr;
    socklen_t size = sizeof(addr);
    char host[NI_MAXHOST], port[NI_MAXSERV];

    if (getsockname(PROTO_LISTEN_FD, (struct sockaddr *)&addr, &size) < 0)
        return err_errno(e, "listening socket");
    if (getnameinfo((struct sockaddr *)&addr, size, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return err_set(e, EIO, "listening socket has no name");
    snprintf(name, sizeof(name), addr.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
    m->config.listen_name = name;
    printf("ready http://%s\n", name);
    return fflush(stdout) == 0 ? 0 : err_errno(e, "write to stdout");
}

static int run(struct manager *m, struct err *e)
{
    static const int signals[] = {SIGTERM, SIGINT, 0};

    list_init(&m->instances);
    signal(SIGPIPE, SIG_IGN);
    if (enter_data_dir(m, e) < 0 || loop_create(&m->loop, e) < 0 ||
        loop_signals(m->loop, signals, on_signal, m->loop, e) < 0 || open_parts(m, e) < 0 ||
        http_create(m->loop, PROTO_LISTEN_FD, &route_handlers, m, &m->api, e) < 0 || announce(m, e) < 0)
        return -e->code;
    return loop_run(m->loop, e);
}

int main(int argc, char **argv)
{
    /* Static: what it still holds when the process ends was not lost on the way. */
    static struct manager m;
    struct err e;

    log_init("fnrund", getenv("FNRUN_DEBUG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
    if (options_parse(argc, argv, &m.config, &e) < 0 || run(&m, &e) < 0) {
        log_error("%s", e.msg);
        return 1;
    }
    /* Crash-only: all that matters is on disk, and the warden ends what still runs. */
    return 0;
}
