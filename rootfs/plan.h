/*
 * The mount plan of one sandbox: a typed list of operations, made without touching the system (plan.def is its table);
 * apply.h carries it out.
 */
#ifndef FNRUN_ROOTFS_PLAN_H
#define FNRUN_ROOTFS_PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PLAN_OPS_MAX 40
#define PLAN_SOURCE_MAX 160

#define PLAN_TOOLBOX "toolbox" /* the image that has criu */
#define PLAN_CRIU_CACHE "criu" /* beneath RUN: what becomes /run while criu waits */

enum plan_kind { PLAN_TREE, PLAN_TMPFS, PLAN_PROC };

/* The directories that sources are looked up beneath. */
enum plan_base { PLAN_IMAGES, PLAN_CODE, PLAN_RUNTIMES, PLAN_RUN, PLAN_BASES };

struct plan_op {
    enum plan_kind kind;
    enum plan_base base;          /* of a PLAN_TREE */
    char source[PLAN_SOURCE_MAX]; /* of a PLAN_TREE, beneath its base */
    const char *target;           /* beneath the new root; "" is the root itself */
    uint64_t attributes;          /* MOUNT_ATTR_* */
    uint64_t size_bytes;          /* of a PLAN_TMPFS */
    bool optional;                /* skipped where the target doesn't exist */
};

struct plan {
    struct plan_op op[PLAN_OPS_MAX];
    unsigned count;
};

/* What differs between sandboxes. The names are checked by the caller: no '/' and no "..". */
struct plan_request {
    const char *image, *image_digest; /* IMAGES/image/image_digest/rootfs */
    const char *code_digest;          /* CODE/code_digest/tree */
    const char *runtime_dir;          /* RUNTIMES/runtime_dir; "" for none */
    uid_t uid;                        /* RUN/passwd/uid */
    const char *toolbox_digest;       /* IMAGES/toolbox/toolbox_digest/rootfs and RUN/criu; NULL for none */
    uint64_t tmp_bytes;
};

void plan_make(struct plan *ret_plan, const struct plan_request *r);

#endif
