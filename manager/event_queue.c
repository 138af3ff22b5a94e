#include "event_queue.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../sandbox/base/list.h"
#include "../sandbox/base/log.h"

#define ATTEMPTS_MAX 3
#define IN_FLIGHT_MAX 100
/* Finished events leave the disk together: one sync for many. A crash before it makes them run again. */
#define DELETE_DELAY (20 * NSEC_PER_MSEC)

/* An event that is being run, or that has been run and still stands in the database. */
struct running {
    struct list_node link;
    struct event_queue *q;
    int64_t id;
    int attempts; /* before this one */
    bool finished;
    int64_t due_ms; /* finished: run again then; 0: delete */
};

struct event_queue {
    struct manager *m;
    struct list_node running;
    unsigned in_flight;
    struct loop_timer due_timer, settle_timer;
    struct loop_later dispatch;
};

static int64_t wall_ms(void)
{
    return clock_wall() / NSEC_PER_MSEC;
}

/* AWS: the second try after a minute, the third two minutes after that. */
static int64_t retry_delay_ms(const struct event_queue *q, int attempts)
{
    return (int64_t)q->m->config.retry_seconds * 1000 * (attempts + 1);
}

static void settle(struct running *r, int64_t due_ms, bool counts)
{
    struct event_queue *q = r->q;

    r->finished = true;
    r->due_ms = due_ms;
    r->attempts += counts;
    q->in_flight--;
    if (!q->settle_timer.slot)
        loop_timer_set(q->m->loop, &q->settle_timer, clock_now() + DELETE_DELAY);
}

static void on_done(void *ctx, const struct invoke_result *result)
{
    struct running *r = ctx;

    switch (result->outcome) {
    case INVOKE_OK:
        settle(r, 0, true);
        break;
    case INVOKE_FUNCTION_ERROR:
        settle(r, r->attempts + 1 < ATTEMPTS_MAX ? wall_ms() + retry_delay_ms(r->q, r->attempts) : 0, true);
        break;
    case INVOKE_THROTTLED:
    case INVOKE_UNAVAILABLE:
        settle(r, wall_ms() + 1000, false);
        break;
    }
}

static int settle_one(struct event_queue *q, const struct running *r, struct err *e)
{
    if (r->due_ms == 0)
        return db_run(&q->m->db, e, "DELETE FROM events WHERE id = ?", "i", r->id);
    return db_run(&q->m->db, e, "UPDATE events SET due_ms = ?, attempts = ? WHERE id = ?", "iii", r->due_ms,
                  (int64_t)r->attempts, r->id);
}

static int settle_all(struct event_queue *q, struct err *e)
{
    struct running *r;

    if (db_exec(&q->m->db, "BEGIN", e) < 0)
        return -e->code;
    list_for_each(&q->running, r, struct running, link) {
        if (r->finished && settle_one(q, r, e) < 0) {
            struct err ignored;

            db_exec(&q->m->db, "ROLLBACK", &ignored);
            return -e->code;
        }
    }
    return db_exec(&q->m->db, "COMMIT", e);
}

static void on_settle(struct loop_timer *t)
{
    struct event_queue *q = container_of(t, struct event_queue, settle_timer);
    struct running *r;
    struct err e;

    if (settle_all(q, &e) < 0) {
        log_error("event queue: %s; trying again", e.msg);
        loop_timer_set(q->m->loop, t, clock_now() + NSEC_PER_SEC);
        return;
    }
    list_for_each(&q->running, r, struct running, link) {
        if (!r->finished)
            continue;
        list_remove(&r->link);
        free(r);
    }
    loop_later(q->m->loop, &q->dispatch);
}

static bool is_running(const struct event_queue *q, int64_t id)
{
    struct running *r;

    list_for_each(&q->running, r, struct running, link)
        if (r->id == id)
            return true;
    return false;
}

/* "NAME" or "NAME:QUALIFIER", as the event was sent to it. The qualifier is in `target`, NULL where there is none. */
static struct function *find_target(struct event_queue *q, const char *target, const char **ret_qualifier)
{
    size_t size = strcspn(target, ":");
    char name[FUNCTION_NAME_MAX + 1];

    snprintf(name, sizeof(name), "%.*s", (int)size, target);
    *ret_qualifier = target[size] ? target + size + 1 : NULL;
    return functions_find(q->m->functions, name);
}

static void run_event(struct event_queue *q, sqlite3_stmt *row)
{
    const char *qualifier;
    struct function *f = find_target(q, (const char *)sqlite3_column_text(row, 1), &qualifier);
    struct running *r = calloc(1, sizeof(*r));
    struct invoke_request request = {
        .request_id = (const char *)sqlite3_column_text(row, 2),
        .qualifier = qualifier,
        .client_context = (const char *)sqlite3_column_text(row, 3),
        .trace_id = (const char *)sqlite3_column_text(row, 4),
        .payload = sqlite3_column_blob(row, 5),
        .payload_bytes = (size_t)sqlite3_column_bytes(row, 5),
    };

    if (!r)
        return;
    *r = (struct running){.q = q, .id = sqlite3_column_int64(row, 0), .attempts = sqlite3_column_int(row, 6)};
    list_append(&q->running, &r->link);
    q->in_flight++;
    if (f)
        invoker_invoke(q->m->invoker, f, &request, on_done, r);
    else
        settle(r, 0, true); /* the function was deleted: nobody waits for its events */
}

/* Wakes up when the next event that waits for its time is due. */
static void wait_for_due(struct event_queue *q)
{
    auto_stmt sqlite3_stmt *stmt = NULL;
    struct err e;

    if (db_prepare(&q->m->db, &stmt, &e, "SELECT min(due_ms) FROM events WHERE due_ms > ?", "i", wall_ms()) < 0 ||
        db_step(&q->m->db, stmt, &e) != 1 || sqlite3_column_type(stmt, 0) == SQLITE_NULL)
        return;
    loop_timer_set(q->m->loop, &q->due_timer,
                   clock_now() + (sqlite3_column_int64(stmt, 0) - wall_ms() + 1) * NSEC_PER_MSEC);
}

static int run_due(struct event_queue *q, struct err *e)
{
    auto_stmt sqlite3_stmt *stmt = NULL;
    int rc = db_prepare(&q->m->db, &stmt, e,
                        "SELECT id, function, request_id, client_context, trace_id, payload, attempts FROM events "
                        "WHERE due_ms <= ? ORDER BY due_ms, id LIMIT ?",
                        "ii", wall_ms(), (int64_t)IN_FLIGHT_MAX * 2);

    while (rc >= 0 && q->in_flight < IN_FLIGHT_MAX && (rc = db_step(&q->m->db, stmt, e)) == 1)
        if (!is_running(q, sqlite3_column_int64(stmt, 0)))
            run_event(q, stmt);
    return rc;
}

static void on_dispatch(struct loop_later *l)
{
    struct event_queue *q = container_of(l, struct event_queue, dispatch);
    struct err e;

    if (run_due(q, &e) < 0)
        log_error("event queue: %s", e.msg);
    wait_for_due(q);
}

static void on_due(struct loop_timer *t)
{
    struct event_queue *q = container_of(t, struct event_queue, due_timer);

    loop_later(q->m->loop, &q->dispatch);
}

int event_queue_add(struct event_queue *q, const char *function_name, const struct invoke_request *r, struct err *e)
{
    char target[FUNCTION_NAME_MAX + FUNCTION_QUALIFIER_MAX + 2];
    int rc;

    snprintf(target, sizeof(target), "%s%s%s", function_name, r->qualifier && r->qualifier[0] ? ":" : "",
             r->qualifier ? r->qualifier : "");
    rc = db_run(&q->m->db, e,
                "INSERT INTO events (function, request_id, client_context, trace_id, payload, due_ms) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                "ttttbi", target, r->request_id, r->client_context, r->trace_id, r->payload, r->payload_bytes,
                wall_ms());

    if (rc < 0)
        return err_wrap(e, "event queue");
    loop_later(q->m->loop, &q->dispatch);
    return 0;
}

int event_queue_open(struct manager *m, struct event_queue **ret, struct err *e)
{
    struct event_queue *q = calloc(1, sizeof(*q));

    if (!q)
        return err_set(e, ENOMEM, "event queue: no memory");
    *q = (struct event_queue){
        .m = m, .due_timer.on_due = on_due, .settle_timer.on_due = on_settle, .dispatch.run = on_dispatch};
    list_init(&q->running);
    if (db_exec(&m->db,
                "CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY AUTOINCREMENT, function TEXT NOT NULL, "
                "request_id TEXT NOT NULL, client_context TEXT, trace_id TEXT, payload BLOB NOT NULL, "
                "attempts INTEGER NOT NULL DEFAULT 0, due_ms INTEGER NOT NULL);"
                "CREATE INDEX IF NOT EXISTS events_due ON events (due_ms)",
                e) < 0) {
        free(q);
        return err_wrap(e, "event queue");
    }
    *ret = q;
    loop_later(m->loop, &q->dispatch);
    return 0;
}
