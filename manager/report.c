#include "report.h"

#include "instance_log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void report_init_start(struct instance *i)
{
    instance_log(i, "INIT_START Runtime Version: %s\n", i->f->runtime->name);
}

void report_restore_start(struct instance *i)
{
    instance_log(i, "RESTORE_START Runtime Version: %s\n", i->f->runtime->name);
}

void report_start(struct instance *i, const char *request_id)
{
    instance_log(i, "START RequestId: %s Version: $LATEST\n", request_id);
}

static double to_ms(nsec_t t)
{
    return (double)t / (double)NSEC_PER_MSEC;
}

static long long round_up(nsec_t t, nsec_t unit)
{
    return (long long)((t + unit - 1) / unit);
}

/* Megabytes as AWS shows them; never more than the function was given, which page rounding could seem to exceed. */
static unsigned used_mb(const struct instance *i, uint64_t peak)
{
    uint64_t mb = (peak + (1U << 20) - 1) >> 20;

    return (unsigned)MIN(mb, (uint64_t)i->f->memory_mb);
}

static void print_status(const char *status, const char *error_type, char *ret, size_t size)
{
    ret[0] = '\0';
    if (error_type)
        snprintf(ret, size, "Status: %s\tError Type: %s", status, error_type);
    else if (status)
        snprintf(ret, size, "Status: %s", status);
}

void report_warm_up_start(struct instance *i, const char *request_id)
{
    instance_log(i, "WARM_UP_START RequestId: %s\n", request_id);
}

void report_warm_up_end(struct instance *i, const char *request_id, nsec_t duration, const char *status,
                        const char *error_type)
{
    char text[128];

    print_status(status, error_type, text, sizeof(text));
    instance_log(i, "WARM_UP_END RequestId: %s\tDuration: %.2f ms%s%s\n", request_id, to_ms(duration),
                 text[0] ? "\t" : "", text);
}

void report_warm_up_given_up(struct instance *i, const char *why)
{
    instance_log(i, "WARM_UP_GIVEN_UP The snapshot is made without it: %s\n", why);
}

void report_end(struct instance *i, const struct report *r)
{
    char init[100] = "", status[128];

    if (r->init)
        snprintf(init, sizeof(init), "Init Duration: %.2f ms\t", to_ms(r->init));
    if (r->restore)
        snprintf(init, sizeof(init), "Restore Duration: %.2f ms\tBilled Restore Duration: %lld ms\t", to_ms(r->restore),
                 round_up(r->restore, NSEC_PER_MSEC));
    print_status(r->status, r->error_type, status, sizeof(status));
    instance_log(i,
                 "END RequestId: %s\nREPORT RequestId: %s\tDuration: %.2f ms\tBilled Duration: %lld ms\t"
                 "Memory Size: %u MB\tMax Memory Used: %u MB\t%s%s\n",
                 r->request_id, r->request_id, to_ms(r->duration), round_up(r->duration, NSEC_PER_MSEC),
                 i->f->memory_mb, used_mb(i, r->memory_peak), init, status);
}

int report_error(const char *type, const char *message, struct buf *out, struct err *e)
{
    cJSON *o = cJSON_CreateObject();

    cJSON_AddStringToObject(o, "errorType", type);
    cJSON_AddStringToObject(o, "errorMessage", message);
    buf_free(out);
    out->data = cJSON_PrintUnformatted(o);
    cJSON_Delete(o);
    if (!out->data)
        return err_set(e, ENOMEM, "error object: no memory");
    out->used = strlen(out->data);
    out->size = out->used + 1;
    return 0;
}

static int add_id(const char *type, const char *request_id, const char *what, struct buf *out, struct err *e)
{
    char message[600];

    snprintf(message, sizeof(message), "RequestId: %s Error: %s", request_id, what);
    return report_error(type, message, out, e);
}

int report_timeout(struct instance *i, const char *request_id, uint32_t timeout_s, struct buf *out, struct err *e)
{
    nsec_t wall = clock_wall();
    time_t now = (time_t)(wall / NSEC_PER_SEC);
    char date[32], what[64];
    struct tm tm;

    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", gmtime_r(&now, &tm));
    instance_log(i, "%s.%03dZ %s Task timed out after %u.00 seconds\n\n", date, (int)(wall / NSEC_PER_MSEC % 1000),
                 request_id, timeout_s);
    snprintf(what, sizeof(what), "Task timed out after %u.00 seconds", timeout_s);
    return add_id("Sandbox.Timedout", request_id, what, out, e);
}

/* The names that AWS (Go's os/exec) uses for the signals a runtime dies of. */
static const char *signal_name(int signo, char *scratch, size_t size)
{
    static const char *const names[] = {
        [1] = "hangup",
        [2] = "interrupt",
        [3] = "quit",
        [4] = "illegal instruction",
        [5] = "trace/breakpoint trap",
        [6] = "aborted",
        [7] = "bus error",
        [8] = "floating point exception",
        [9] = "killed",
        [11] = "segmentation fault",
        [13] = "broken pipe",
        [14] = "alarm clock",
        [15] = "terminated",
    };

    if (signo > 0 && signo < (int)ARRAY_LEN(names) && names[signo])
        return names[signo];
    snprintf(scratch, size, "signal %d", signo);
    return scratch;
}

int report_exit(const struct proto_exited *m, const char *request_id, struct buf *out, struct err *e)
{
    char scratch[32], how[80];

    if (m->cause == PROTO_EXIT_STATUS && m->value == 0)
        snprintf(how, sizeof(how), "Runtime exited without providing a reason");
    else if (m->cause == PROTO_EXIT_STATUS)
        snprintf(how, sizeof(how), "Runtime exited with error: exit status %d", m->value);
    else
        snprintf(how, sizeof(how), "Runtime exited with error: signal: %s",
                 m->cause == PROTO_EXIT_SIGNAL ? signal_name(m->value, scratch, sizeof(scratch)) : "killed");
    return add_id("Runtime.ExitError", request_id, how, out, e);
}

int report_wrapper(struct instance *i, const char *wrapper, int code, const char *request_id, struct buf *out,
                   struct err *e)
{
    bool absent = code == ENOENT;
    const struct proto_exited script = {.cause = PROTO_EXIT_STATUS, .value = absent ? 127 : 126};

    instance_log(i, "%s: %s\n", wrapper, absent ? "does not exist" : "is not an executable");
    return report_exit(&script, request_id, out, e);
}

int report_entrypoint(const char *why, const char *request_id, struct buf *out, struct err *e)
{
    return add_id("Runtime.InvalidEntrypoint", request_id, why, out, e);
}
