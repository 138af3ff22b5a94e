#include "requests.h"

#include <errno.h>

#include "base/proto.h"
#include "check.h"
#include "dump.h"

static int handle_create(struct sandboxes *all, const struct proto_create *m, struct err *e)
{
    if (sandbox_find(all, m->header.sandbox))
        return err_set(e, EPROTO, "CREATE of sandbox %llu, which exists", (unsigned long long)m->header.sandbox);
    sandbox_create(all, m, (const char *)(m + 1));
    return 0;
}

/* About a sandbox that is there. */
static void handle_known(struct sandbox *s, const struct proto_header *h, const struct msg_fds *fds)
{
    if (h->kind == PROTO_KILL)
        sandbox_kill(s);
    else if (h->kind == PROTO_LEASE)
        sandbox_set_lease(s, ((const struct proto_number *)h)->value);
    else if (h->kind == PROTO_RESTORE)
        sandbox_restore(s, ((const struct proto_number *)h)->value);
    else if (h->kind == PROTO_DUMP)
        dump_start(s, (const struct proto_dump *)h, fds->count ? fds->fd[0] : -1);
    else
        sandbox_set_cpu(s, ((const struct proto_number *)h)->value);
}

int requests_handle(struct sandboxes *all, const void *data, size_t size, const struct msg_fds *fds, struct err *e)
{
    const struct proto_header *h = data;
    struct sandbox *s;

    if (check_message(data, size, fds->count, e) < 0)
        return -e->code;
    if (h->kind == PROTO_CREATE)
        return handle_create(all, data, e);
    if (h->kind == PROTO_DROP) {
        template_drop(all->templates, ((const struct proto_dump *)data)->id);
        snapshots_drop(all->snapshots, ((const struct proto_dump *)data)->id);
        return 0;
    }
    s = sandbox_find(all, h->sandbox);
    if (s)
        handle_known(s, h, fds);
    return 0;
}
