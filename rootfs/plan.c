#include "plan.h"

#include <linux/mount.h>
#include <stdio.h>
#include <string.h>

#include "../sandbox/base/macros.h"

#define READ_ONLY MOUNT_ATTR_RDONLY
#define NODEV MOUNT_ATTR_NODEV
#define NOEXEC MOUNT_ATTR_NOEXEC
#define ALWAYS MOUNT_ATTR_NOSUID

struct row {
    enum plan_kind kind;
    enum plan_base base;
    const char *source, *target;
    uint64_t attributes;
    bool optional;
};

#define MASK_FILE "empty/file"
#define MASK_DIRECTORY "empty/directory"

static const struct row rows[] = {
#define TREE(base, source, target, attributes) {PLAN_TREE, PLAN_##base, source, target, ALWAYS | attributes, false},
#define TMPFS(target, attributes) {PLAN_TMPFS, PLAN_BASES, NULL, target, ALWAYS | attributes, false},
#define PROC(target, attributes) {PLAN_PROC, PLAN_BASES, NULL, target, ALWAYS | attributes, false},
#define MASK(kind, target) {PLAN_TREE, PLAN_RUN, MASK_##kind, target, ALWAYS | READ_ONLY | NODEV | NOEXEC, true},
#include "plan.def"
#undef TREE
#undef TMPFS
#undef PROC
#undef MASK
};

_Static_assert(ARRAY_LEN(rows) <= PLAN_OPS_MAX, "the plan has room for every row");

static void name_image(struct plan_op *op, const char *image, const char *digest)
{
    snprintf(op->source, sizeof(op->source), "%s/%s/rootfs", image, digest);
}

static void name_source(struct plan_op *op, const struct plan_request *r)
{
    switch (op->base) {
    case PLAN_IMAGES:
        if (!op->target[0])
            name_image(op, r->image, r->image_digest);
        else if (r->toolbox_digest)
            name_image(op, PLAN_TOOLBOX, r->toolbox_digest);
        break;
    case PLAN_CODE:
        snprintf(op->source, sizeof(op->source), "%s/tree", r->code_digest);
        break;
    case PLAN_RUNTIMES:
        snprintf(op->source, sizeof(op->source), "%s", r->runtime_dir);
        break;
    case PLAN_RUN:
        if (strcmp(op->target, "etc/passwd") == 0)
            snprintf(op->source, sizeof(op->source), "passwd/%u", r->uid);
        else if (r->toolbox_digest)
            snprintf(op->source, sizeof(op->source), "%s", PLAN_CRIU_CACHE);
        break;
    case PLAN_BASES:
        break;
    }
}

void plan_make(struct plan *ret_plan, const struct plan_request *r)
{
    ret_plan->count = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct plan_op *op = &ret_plan->op[ret_plan->count];
        const struct row *row = &rows[i];

        *op = (struct plan_op){.kind = row->kind,
                               .base = row->base,
                               .target = row->target,
                               .attributes = row->attributes,
                               .optional = row->optional,
                               .size_bytes = row->kind == PLAN_TMPFS ? r->tmp_bytes : 0};
        if (row->source)
            snprintf(op->source, sizeof(op->source), "%s", row->source);
        else
            name_source(op, r);
        /* A runtime without a bootstrap of ours has no /var/runtime, a cold start no criu. */
        if (row->kind != PLAN_TREE || op->source[0])
            ret_plan->count++;
    }
}
