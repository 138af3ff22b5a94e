#include "instance_log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

#include "../sandbox/base/fd.h"
#include "../sandbox/base/log.h"

static void log_bytes(struct instance *i, const void *data, size_t size)
{
    struct err e;

    if (buf_add(&i->log_pending, data, size, &e) < 0 || buf_add(&i->log_tail, data, size, &e) < 0)
        log_warn("log of %s: %s", i->f->name, e.msg);
    if (i->log_tail.used > (size_t)16 * LOG_TAIL_BYTES)
        buf_consume(&i->log_tail, i->log_tail.used - LOG_TAIL_BYTES);
}

void instance_log(struct instance *i, const char *fmt, ...)
{
    char line[1024];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    log_bytes(i, line, (size_t)MIN(MAX(n, 0), (int)sizeof(line) - 1));
}

void instance_flush_log(struct instance *i)
{
    if (i->log_pending.used)
        log_append(i->log, i->log_pending.data, i->log_pending.used);
    buf_clear(&i->log_pending);
}

void instance_drain_log(struct instance *i)
{
    char chunk[16384];
    ssize_t n = 0;

    /* Bounded: a function that writes without end must not keep the manager here. A pipe holds 64 KiB. */
    for (int round = 0; i->log_io.fd >= 0 && round < 8; round++) {
        n = read(i->log_io.fd, chunk, sizeof(chunk));
        if (n <= 0)
            break;
        log_bytes(i, chunk, (size_t)n);
    }
    if (n == 0 && i->log_io.fd >= 0)
        loop_io_remove(i->m->loop, &i->log_io); /* nobody writes any more */
}

static void on_log(struct loop_io *io, UNUSED uint32_t events)
{
    struct instance *i = container_of(io, struct instance, log_io);

    instance_drain_log(i);
    instance_flush_log(i);
}

int instance_watch_log(struct instance *i, int fd, struct err *e)
{
    i->log_io = (struct loop_io){.fd = fd, .on_ready = on_log};
    if (fd_set_nonblock(fd, e) < 0)
        return -e->code;
    return loop_io_add(i->m->loop, &i->log_io, EPOLLIN, e);
}

/* As AWS names them: the date, the version, 32 random hex digits. */
void instance_name_log_stream(struct instance *i)
{
    time_t now = (time_t)(clock_wall() / NSEC_PER_SEC);
    unsigned char random[16] = {0};
    struct tm tm;
    size_t n;

    if (getrandom(random, sizeof(random), 0) < 0)
        log_warn("getrandom: %s", strerror(errno));
    n = strftime(i->log_stream, sizeof(i->log_stream), "%Y/%m/%d/[$LATEST]", gmtime_r(&now, &tm));
    for (unsigned k = 0; k < sizeof(random); k++, n += 2)
        snprintf(i->log_stream + n, 3, "%02x", random[k]);
}
