/*
 * A log is a row of segment files, NAME.OFFSET.log, OFFSET being the place of the segment's first byte in the whole
 * log. When the newest is full a new one begins and all but the last two go. A name has no dot, so no function's
 * segments can be taken for another's.
 */
#include "log_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../sandbox/base/fd.h"
#include "../sandbox/base/list.h"
#include "../sandbox/base/log.h"

#define LOG_DIR "logs"
#define SEGMENT_MAX (INT64_C(8) << 20)

struct function_log {
    struct list_node link;
    unsigned refs;
    char name[128];
    int fd;           /* the newest segment, for appending */
    int64_t start;    /* offset of its first byte */
    int64_t previous; /* offset of the one before; -1: none */
    int64_t end;      /* offset behind the last byte */
};

static struct list_node open_logs = {&open_logs, &open_logs};

static void segment_path(const char *name, int64_t start, char *ret, size_t size)
{
    snprintf(ret, size, LOG_DIR "/%s.%lld.log", name, (long long)start);
}

/* The offset in a segment's file name, -1 if it is none of this log. */
static int64_t segment_start(const char *file, const char *name)
{
    size_t n = strlen(name);
    char *end;
    long long start;

    if (strncmp(file, name, n) != 0 || file[n] != '.')
        return -1;
    start = strtoll(file + n + 1, &end, 10);
    return strcmp(end, ".log") == 0 ? start : -1;
}

static void each_segment(const char *name, void (*each)(void *ctx, int64_t start), void *ctx)
{
    DIR *d = opendir(LOG_DIR);
    struct dirent *entry;

    while (d && (entry = readdir(d))) {
        int64_t start = segment_start(entry->d_name, name);

        if (start >= 0)
            each(ctx, start);
    }
    if (d)
        closedir(d);
}

static void note_segment(void *ctx, int64_t start)
{
    struct function_log *log = ctx;

    if (start > log->start) {
        log->previous = log->start;
        log->start = start;
    } else if (start > log->previous && start < log->start) {
        log->previous = start;
    }
}

static int open_segment(struct function_log *log, struct err *e)
{
    char path[256];
    struct stat st;

    fd_close(&log->fd);
    segment_path(log->name, log->start, path, sizeof(path));
    log->fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (log->fd < 0 || fstat(log->fd, &st) < 0)
        return err_errno(e, "open %s", path);
    log->end = log->start + st.st_size;
    return 0;
}

int log_open(const char *function_name, struct function_log **ret, struct err *e)
{
    struct function_log *log;

    list_for_each(&open_logs, log, struct function_log, link)
        if (strcmp(log->name, function_name) == 0) {
            log->refs++;
            *ret = log;
            return 0;
        }
    log = calloc(1, sizeof(*log));
    if (!log)
        return err_set(e, ENOMEM, "log of %s: no memory", function_name);
    *log = (struct function_log){.refs = 1, .fd = -1, .start = -1, .previous = -1};
    snprintf(log->name, sizeof(log->name), "%s", function_name);
    each_segment(function_name, note_segment, log);
    log->start = MAX(log->start, 0);
    if (open_segment(log, e) < 0) {
        free(log);
        return err_wrap(e, "log");
    }
    list_append(&open_logs, &log->link);
    *ret = log;
    return 0;
}

void log_close(struct function_log *log)
{
    if (--log->refs)
        return;
    list_remove(&log->link);
    fd_close(&log->fd);
    free(log);
}

static void begin_segment(struct function_log *log, struct err *e)
{
    char path[256];

    if (log->previous >= 0) {
        segment_path(log->name, log->previous, path, sizeof(path));
        unlink(path);
    }
    log->previous = log->start;
    log->start = log->end;
    if (open_segment(log, e) < 0)
        log_warn("log of %s: %s", log->name, e->msg);
}

void log_append(struct function_log *log, const void *data, size_t size)
{
    struct err e;

    if (log->end - log->start >= SEGMENT_MAX)
        begin_segment(log, &e);
    if (fd_write_all(log->fd, data, size, &e) < 0)
        log_warn("log of %s: %s", log->name, e.msg); /* a full disk must not stop functions */
    else
        log->end += (int64_t)size;
}

static int read_segment(struct function_log *log, int64_t start, int64_t offset, size_t size, struct buf *out,
                        struct err *e)
{
    auto_fd int fd = -1;
    char path[256];
    ssize_t n;

    segment_path(log->name, start, path, sizeof(path));
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(e, "open %s", path);
    if (buf_reserve(out, size, e) < 0)
        return -e->code;
    n = pread(fd, out->data + out->used, size, offset - start);
    if (n < 0)
        return err_errno(e, "read %s", path);
    out->used += (size_t)n;
    out->data[out->used] = '\0';
    return (int)n;
}

int log_read(struct function_log *log, int64_t offset, size_t max, struct buf *out, int64_t *ret_next, struct err *e)
{
    int64_t first = log->previous >= 0 ? log->previous : log->start;
    int n = 0;

    if (offset < 0)
        offset = log->end + offset;
    offset = MIN(MAX(offset, first), log->end);
    while (max > 0 && offset < log->end) {
        bool old = offset < log->start;
        size_t size = MIN(max, (size_t)((old ? log->start : log->end) - offset));

        n = read_segment(log, old ? log->previous : log->start, offset, size, out, e);
        if (n <= 0)
            break;
        offset += n;
        max -= (size_t)n;
    }
    *ret_next = offset;
    return MIN(n, 0);
}

static void remove_segment(void *ctx, int64_t start)
{
    char path[256];

    segment_path(ctx, start, path, sizeof(path));
    unlink(path);
}

void log_remove(const char *function_name)
{
    struct function_log *log;

    /* Instances that are still ending write on into the removed file; a new function of that name begins a new one. */
    list_for_each(&open_logs, log, struct function_log, link)
        if (strcmp(log->name, function_name) == 0)
            list_remove(&log->link);
    each_segment(function_name, remove_segment, (void *)function_name);
}
