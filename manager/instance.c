#include "instance.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../sandbox/base/fd.h"
#include "../sandbox/base/log.h"
#include "environment.h"
#include "image.h"
#include "instance_log.h"
#include "invoker.h"
#include "runtime_api.h"
#include "sandbox_endpoint.h"
#include "snapshot.h"
#include "warden.h"

/* An instance that has been idle so long is frozen: nothing of it runs between invocations, as in AWS. */
#define FREEZE_AFTER NSEC_PER_SEC
#define LEASE_SLACK_MS 5000U
#define INIT_LEASE_MS (10000U + 900000U)

/* --- state ----------------------------------------------------------------------------------------------------- */

static const unsigned allowed[] = {
    [INSTANCE_CREATING] = 1U << INSTANCE_INIT | 1U << INSTANCE_ARMED | 1U << INSTANCE_DYING,
    [INSTANCE_ARMED] = 1U << INSTANCE_RESTORING | 1U << INSTANCE_DYING,
    [INSTANCE_RESTORING] = 1U << INSTANCE_IDLE | 1U << INSTANCE_DYING,
    [INSTANCE_PREPARING] = 1U << INSTANCE_DYING,
    [INSTANCE_INIT] = 1U << INSTANCE_IDLE | 1U << INSTANCE_DYING,
    [INSTANCE_IDLE] = 1U << INSTANCE_BUSY | 1U << INSTANCE_PREPARING | 1U << INSTANCE_DYING,
    [INSTANCE_BUSY] = 1U << INSTANCE_IDLE | 1U << INSTANCE_RETURNING | 1U << INSTANCE_DYING,
    [INSTANCE_RETURNING] = 1U << INSTANCE_IDLE | 1U << INSTANCE_DYING,
    [INSTANCE_DYING] = 0,
};

void instance_set_state(struct instance *i, enum instance_state state)
{
    if (!(allowed[i->state] & 1U << state)) {
        log_error("instance %llu: %d -> %d is not a transition", (unsigned long long)i->sandbox, (int)i->state,
                  (int)state);
        abort();
    }
    i->state = state;
    if (state == INSTANCE_IDLE)
        loop_timer_set(i->m->loop, &i->idle, clock_now() + FREEZE_AFTER);
    else
        loop_timer_clear(i->m->loop, &i->idle);
}

static void set_frozen(struct instance *i, bool frozen)
{
    const char *text = i->freeze_text[frozen];

    if (i->frozen == frozen)
        return;
    i->frozen = frozen;
    if (pwrite(i->freezer_fd, text, strnlen(text, sizeof(i->freeze_text[0])), 0) < 0)
        log_warn("instance %llu: %s: %s", (unsigned long long)i->sandbox, frozen ? "freeze" : "thaw", strerror(errno));
}

static void on_idle(struct loop_timer *t)
{
    struct instance *i = container_of(t, struct instance, idle);

    if (!i->frozen) {
        set_frozen(i, true);
        warden_lease(i->m->warden, i->sandbox, 0);
        i->lease_end = 0;
        loop_timer_set(i->m->loop, t, clock_now() + (nsec_t)i->m->config.idle_seconds * NSEC_PER_SEC);
    } else {
        instance_kill(i);
    }
}

/* --- frames from a bootstrap of ours ---------------------------------------------------------------------------- */

void instance_on_ready(struct instance *i)
{
    nsec_t now = clock_now();

    if (i->state == INSTANCE_PREPARING) {
        i->events->on_prepared(i);
        return;
    }
    if (i->state == INSTANCE_INIT || i->state == INSTANCE_RESTORING)
        i->init_ns = now - i->exec_at;
    /* Making itself ready to be dumped belongs to the init. */
    if (i->init_ns && i->fresh && i->role != INSTANCE_MAKES) {
        warden_cpu(i->m->warden, i->sandbox, invoker_cpu_millis(i->f->memory_mb, false));
    }
    instance_set_state(i, INSTANCE_IDLE);
    i->events->on_ready(i);
}

/* The runtime broke the protocol: what it does from here on means nothing. */
static bool reject_frame(struct instance *i, const char *why)
{
    log_warn("instance %llu of %s: %s; killed", (unsigned long long)i->sandbox, i->f->name, why);
    instance_kill(i);
    return false;
}

static bool on_answer(struct instance *i, const cJSON *head)
{
    const char *id = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(head, "id"));
    const char *type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(head, "type"));
    bool failed = i->channel.header.kind == FRAME_ERROR;

    if (i->state != INSTANCE_BUSY || !id || strcmp(id, i->current->request_id) != 0)
        return reject_frame(i, "answered an invocation that it does not have");
    i->ending = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(head, "last"));
    if (i->channel.too_large) {
        auto_buf struct buf error = {.data = NULL};
        struct err e;

        invoke_too_large_error(&error, &e);
        i->events->on_response(i, &error, "Function.ResponseSizeTooLarge");
        return i->state != INSTANCE_DYING;
    }
    i->events->on_response(i, &i->channel.body, failed ? (type ? type : "Unhandled") : NULL);
    return i->state != INSTANCE_DYING;
}

static void on_init_error(struct instance *i, const cJSON *head)
{
    const char *type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(head, "type"));

    i->events->on_init_error(i, &i->channel.body, type ? type : "Runtime.Unknown");
}

static bool is_getting_ready(const struct instance *i)
{
    return i->state == INSTANCE_INIT || i->state == INSTANCE_RESTORING || i->state == INSTANCE_PREPARING;
}

static bool on_frame(struct channel *c)
{
    struct instance *i = container_of(c, struct instance, channel);
    cJSON *head = cJSON_ParseWithLength(buf_str(&c->head), c->head.used);
    bool go_on = false;

    if (!cJSON_IsObject(head))
        go_on = reject_frame(i, "sent a frame without a head");
    else if (c->header.kind == FRAME_RESPONSE || c->header.kind == FRAME_ERROR)
        go_on = on_answer(i, head);
    else if (c->header.kind == FRAME_READY && is_getting_ready(i))
        instance_on_ready(i), go_on = i->state != INSTANCE_DYING;
    else if (c->header.kind == FRAME_INIT_ERROR && is_getting_ready(i))
        on_init_error(i, head);
    else
        go_on = reject_frame(i, "sent a frame that does not belong here");
    cJSON_Delete(head);
    return go_on;
}

/* The warden tells how the runtime ended; until then there is nothing to do. */
static void on_channel_closed(UNUSED struct channel *c)
{
}

static void on_channel_broken(struct channel *c)
{
    reject_frame(container_of(c, struct instance, channel), "sent what is no frame");
}

static void send_on_channel(struct instance *i, const struct runtime_call *call)
{
    cJSON *head = cJSON_CreateObject();
    auto_buf struct buf text = {.data = NULL};

    cJSON_AddStringToObject(head, "id", call->request_id);
    cJSON_AddNumberToObject(head, "deadline_ms", (double)call->deadline_ms);
    cJSON_AddStringToObject(head, "arn", call->arn);
    cJSON_AddStringToObject(head, "trace", call->trace_id);
    if (call->client_context)
        cJSON_AddStringToObject(head, "client_context", call->client_context);
    text.data = cJSON_PrintUnformatted(head);
    text.used = text.data ? strlen(text.data) : 0;
    cJSON_Delete(head);
    channel_send(&i->channel, FRAME_INVOKE, &text, call->payload);
}

/* --- invocations -------------------------------------------------------------------------------------------------- */

static void on_deadline(struct loop_timer *t)
{
    struct instance *i = container_of(t, struct instance, deadline);

    i->events->on_deadline(i);
}

void instance_set_deadline(struct instance *i, nsec_t due)
{
    loop_timer_set(i->m->loop, &i->deadline, due);
}

void instance_clear_deadline(struct instance *i)
{
    loop_timer_clear(i->m->loop, &i->deadline);
}

/* The warden kills the sandbox by itself should we fail to. Renewed only where what is left would not do: one message
 * for many short invocations. */
static void renew_lease(struct instance *i, uint32_t limit_ms)
{
    nsec_t now = clock_now();

    if (i->lease_end >= now + (nsec_t)(limit_ms + 1000) * NSEC_PER_MSEC)
        return;
    i->lease_end = now + (nsec_t)(limit_ms + LEASE_SLACK_MS) * NSEC_PER_MSEC;
    warden_lease(i->m->warden, i->sandbox, limit_ms + LEASE_SLACK_MS);
}

void instance_invoke(struct instance *i, const struct runtime_call *call, uint32_t limit_ms)
{
    instance_set_state(i, INSTANCE_BUSY);
    i->fresh = false;
    set_frozen(i, false);
    if (i->f->runtime->channel)
        send_on_channel(i, call);
    else
        runtime_api_invoke(i, call);
    renew_lease(i, limit_ms);
}

uint64_t instance_memory_peak(const struct instance *i)
{
    char text[32];
    ssize_t n = i->peak_fd < 0 ? 0 : pread(i->peak_fd, text, sizeof(text) - 1, 0);

    text[MAX(n, 0)] = '\0';
    return strtoull(text, NULL, 10);
}

/* --- snapshots ------------------------------------------------------------------------------------------------------ */

static void send_empty(struct instance *i, enum frame_kind kind, const char *head_text)
{
    auto_buf struct buf head = {.data = NULL}, body = {.data = NULL};
    struct err e;

    if (buf_add_str(&head, head_text, &e) == 0)
        channel_send(&i->channel, kind, &head, &body);
}

/* The frame waits in the channel until the runtime is there to read it. */
void instance_restore(struct instance *i)
{
    char head[200];

    instance_set_state(i, INSTANCE_RESTORING);
    i->exec_at = clock_now();
    warden_restore(i->m->warden, i->sandbox, INIT_LEASE_MS);
    if (!i->f->runtime->channel)
        return;
    snprintf(head, sizeof(head), "{\"env\":{\"AWS_LAMBDA_LOG_STREAM_NAME\":\"%s\"}}", i->log_stream);
    send_empty(i, FRAME_RESTORE, head);
}

void instance_prepare_dump(struct instance *i)
{
    instance_set_state(i, INSTANCE_PREPARING);
    if (i->f->runtime->channel)
        send_empty(i, FRAME_SNAPSHOT, "{}");
    else
        i->events->on_prepared(i);
}

int instance_dump(struct instance *i, const char *snapshot, struct err *e)
{
    auto_buf struct buf request = {.cap = PROTO_REQUEST_MAX};
    int connection = i->f->runtime->channel ? -1 : runtime_api_waiting(i, &request, e);

    if (connection < 0 && !i->f->runtime->channel)
        return -e->code;
    warden_dump(i->m->warden, i->sandbox, snapshot, connection, &request);
    return 0;
}

/* --- life --------------------------------------------------------------------------------------------------------- */

static int ask_for_sandbox(struct instance *i, struct err *e)
{
    const struct runtime *rt = i->f->runtime;
    auto_buf struct buf strings = {.cap = PROTO_STRINGS_MAX};
    struct proto_create c = {
        .header.sandbox = i->sandbox,
        .flags = rt->channel ? PROTO_WITH_CHANNEL : 0,
        .uid_index = i->f->uid_index,
        .memory_bytes = (uint64_t)i->f->memory_mb << 20,
        .tmp_bytes = (uint64_t)i->f->tmp_mb << 20,
        .cpu_millis = invoker_cpu_millis(i->f->memory_mb, true),
        .lease_ms = INIT_LEASE_MS,
    };

    snprintf(c.image, sizeof(c.image), "%s", rt->image);
    snprintf(c.runtime_dir, sizeof(c.runtime_dir), "%s", rt->dir);
    memcpy(c.code_digest, i->f->code_digest, sizeof(c.code_digest));
    if (i->role == INSTANCE_RESTORES)
        snprintf(c.snapshot, sizeof(c.snapshot), "%s", i->snapshot->id);
    if (image_current(i->m->config.images_dir, rt->image, c.image_digest, e) < 0 ||
        environment_build(i->m, i->f, i->log_stream, i->role == INSTANCE_STARTS ? "on-demand" : "snap-start", &strings,
                          &c.argc, &c.envc, e) < 0)
        return -e->code;
    c.strings_bytes = (uint32_t)strings.used;
    return warden_create_sandbox(i->m->warden, &c, strings.data, e);
}

static void destroy(struct instance *i)
{
    struct loop *loop = i->m->loop;

    instance_flush_log(i);
    loop_timer_clear(loop, &i->deadline);
    loop_timer_clear(loop, &i->idle);
    loop_io_remove(loop, &i->log_io);
    fd_close(&i->log_io.fd);
    fd_close(&i->peak_fd);
    fd_close(&i->freezer_fd);
    channel_close(&i->channel);
    runtime_api_close(i);
    sandbox_endpoint_close(i);
    if (i->log)
        log_close(i->log);
    buf_free(&i->log_pending);
    buf_free(&i->log_tail);
    list_remove(&i->link);
    list_remove(&i->all);
    function_unref(i->f);
    free(i);
}

int instance_create(struct manager *m, struct function *f, struct snapshot *snapshot, enum instance_role role,
                    const struct instance_events *events, struct instance **ret, struct err *e)
{
    static uint64_t last_id;
    struct instance *i = calloc(1, sizeof(*i));

    if (!i)
        return err_set(e, ENOMEM, "instance: no memory");
    *i = (struct instance){.m = m,
                           .events = events,
                           .f = function_ref(f),
                           .snapshot = snapshot,
                           .role = role,
                           .sandbox = ++last_id,
                           .fresh = true,
                           .created_at = clock_now(),
                           .peak_fd = -1,
                           .freezer_fd = -1,
                           .log_io.fd = -1,
                           .channel.io.fd = -1,
                           .deadline.on_due = on_deadline,
                           .idle.on_due = on_idle};
    list_init(&i->link);
    list_init(&i->all);
    instance_name_log_stream(i);
    if (log_open(f->name, &i->log, e) < 0 || ask_for_sandbox(i, e) < 0) {
        destroy(i);
        return -e->code;
    }
    list_append(&m->instances, &i->all);
    *ret = i;
    return 0;
}

void instance_kill(struct instance *i)
{
    if (i->state == INSTANCE_DYING)
        return;
    instance_set_state(i, INSTANCE_DYING);
    instance_clear_deadline(i);
    set_frozen(i, false);
    warden_kill(i->m->warden, i->sandbox);
}

/* --- the warden's reports ------------------------------------------------------------------------------------------ */

static struct instance *find(struct manager *m, uint64_t sandbox)
{
    struct instance *i;

    list_for_each(&m->instances, i, struct instance, all)
        if (i->sandbox == sandbox)
            return i;
    return NULL;
}

static int adopt_descriptors(struct instance *i, struct msg_fds *fds, struct err *e)
{
    bool channel = i->f->runtime->channel;
    unsigned expected = channel || i->role == INSTANCE_RESTORES ? PROTO_FD_CHANNEL + 1 : PROTO_FD_CHANNEL;

    if (fds->count != expected)
        return err_set(e, EPROTO, "%u descriptors came with it, not %u", fds->count, expected);
    i->peak_fd = take_fd(&fds->fd[PROTO_FD_PEAK]);
    i->freezer_fd = take_fd(&fds->fd[PROTO_FD_FREEZER]);
    if (instance_watch_log(i, take_fd(&fds->fd[PROTO_FD_LOG]), e) < 0)
        return -e->code;
    if (runtime_api_open(i, take_fd(&fds->fd[PROTO_FD_API]), e) < 0 ||
        sandbox_endpoint_open(i, take_fd(&fds->fd[PROTO_FD_AWS]), e) < 0)
        return -e->code;
    if (!channel && i->role == INSTANCE_RESTORES)
        runtime_api_keep(i, take_fd(&fds->fd[PROTO_FD_CHANNEL]));
    if (!channel)
        return 0;
    i->channel.on_frame = on_frame;
    i->channel.on_closed = on_channel_closed;
    i->channel.on_broken = on_channel_broken;
    return channel_open(&i->channel, i->m->loop, take_fd(&fds->fd[PROTO_FD_CHANNEL]), INVOKE_RESPONSE_MAX, e);
}

static void on_created(void *ctx, const struct proto_created *msg, struct msg_fds *fds)
{
    struct instance *i = find(ctx, msg->header.sandbox);
    struct err e;

    if (i && i->state == INSTANCE_RESTORING && !i->f->runtime->channel)
        runtime_api_resume(i);
    if (!i || fds->count == 0) /* restored: what matters comes over the channel, or is the request that waits */
        return;
    i->create_ns = msg->create_ns;
    i->exec_at = clock_now();
    memcpy(i->freeze_text, msg->freeze_text, sizeof(i->freeze_text));
    if (i->state == INSTANCE_CREATING)
        instance_set_state(i, INSTANCE_INIT);
    if (adopt_descriptors(i, fds, &e) < 0) {
        log_error("instance of %s: %s", i->f->name, e.msg);
        instance_kill(i);
    }
}

/* Its descriptors come now, so that the first frame waits in the channel when the runtime wakes up. */
static void on_armed(void *ctx, const struct proto_created *msg, struct msg_fds *fds)
{
    struct instance *i = find(ctx, msg->header.sandbox);
    struct err e;

    if (!i || i->state != INSTANCE_CREATING)
        return;
    i->create_ns = msg->create_ns;
    memcpy(i->freeze_text, msg->freeze_text, sizeof(i->freeze_text));
    if (adopt_descriptors(i, fds, &e) < 0) {
        log_error("instance of %s: %s", i->f->name, e.msg);
        instance_kill(i);
        return;
    }
    instance_set_state(i, INSTANCE_ARMED);
    i->events->on_armed(i);
}

static void on_dumped(void *ctx, const struct proto_failed *msg)
{
    struct instance *i = find(ctx, msg->header.sandbox);

    if (i && i->events->on_dumped)
        i->events->on_dumped(i, msg);
}

static void on_failed(void *ctx, const struct proto_failed *msg)
{
    struct instance *i = find(ctx, msg->header.sandbox);

    if (!i)
        return;
    i->events->on_failed(i, msg);
    destroy(i);
}

static void on_exited(void *ctx, const struct proto_exited *msg)
{
    struct instance *i = find(ctx, msg->header.sandbox);

    if (!i)
        return;
    instance_drain_log(i);
    i->events->on_exited(i, msg);
    destroy(i);
}

const struct warden_handlers instance_warden_handlers = {.on_created = on_created,
                                                         .on_armed = on_armed,
                                                         .on_dumped = on_dumped,
                                                         .on_failed = on_failed,
                                                         .on_exited = on_exited};
