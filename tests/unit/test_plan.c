// links: rootfs/plan.c
#include "../../rootfs/plan.h"

#include <linux/mount.h>

#include "check.h"

static struct plan plan;

static void make(const char *runtime_dir)
{
    const struct plan_request r = {.image = "python3.13",
                                   .image_digest = "0123456789abcdef",
                                   .code_digest = "c0de",
                                   .runtime_dir = runtime_dir,
                                   .uid = 100002,
                                   .tmp_bytes = 512 << 20};

    memset(&plan, 0xff, sizeof(plan));
    plan_make(&plan, &r);
}

static const struct plan_op *find(const char *target)
{
    for (unsigned i = 0; i < plan.count; i++)
        if (strcmp(plan.op[i].target, target) == 0)
            return &plan.op[i];
    return NULL;
}

TEST(root_comes_first_and_every_target_once)
{
    make("python");
    CHECK_STR(plan.op[0].target, "");
    CHECK(plan.count <= PLAN_OPS_MAX);
    for (unsigned i = 0; i < plan.count; i++)
        CHECK(find(plan.op[i].target) == &plan.op[i]);
}

/* What a function could not be given back: one writable or setuid place more. */
TEST(only_tmp_can_be_written_and_nothing_is_setuid)
{
    make("python");
    for (unsigned i = 0; i < plan.count; i++) {
        const struct plan_op *op = &plan.op[i];
        bool tmp = strcmp(op->target, "tmp") == 0;

        CHECK(op->attributes & MOUNT_ATTR_NOSUID);
        CHECK(!(op->attributes & MOUNT_ATTR_RDONLY) == tmp);
        CHECK((op->attributes & MOUNT_ATTR_NODEV) || strcmp(op->target, "dev") == 0);
        CHECK((op->kind == PLAN_TMPFS) == tmp);
        CHECK_INT(op->size_bytes, tmp ? 512 << 20 : 0);
    }
}

TEST(sources_are_those_of_the_request)
{
    make("python");
    CHECK_STR(find("")->source, "python3.13/0123456789abcdef/rootfs");
    CHECK_STR(find("var/task")->source, "c0de/tree");
    CHECK_STR(find("var/runtime")->source, "python");
    CHECK_STR(find("etc/passwd")->source, "passwd/100002");
    CHECK_INT(find("proc")->kind, PLAN_PROC);
}

TEST(without_a_bootstrap_there_is_no_runtime_folder)
{
    unsigned with;

    make("python");
    with = plan.count;
    make("");
    CHECK_INT(plan.count, with - 1);
    CHECK(find("var/runtime") == NULL);
    for (unsigned i = 0; i < plan.count; i++)
        CHECK(plan.op[i].kind != PLAN_TREE || plan.op[i].source[0]);
}

TEST(masks_come_behind_what_they_mask)
{
    make("python");
    for (const struct plan_op *op = plan.op; op < find("proc"); op++)
        CHECK(strncmp(op->target, "proc/", 5) != 0);
    CHECK(find("proc/kcore") && find("proc/kcore")->optional);
    CHECK(!find("proc")->optional && !find("")->optional);
}

TEST(longest_names_that_the_warden_lets_pass_fit)
{
    char image[64], digest[65];
    struct plan_request r = {.image = image,
                             .image_digest = "0123456789abcdef",
                             .code_digest = digest,
                             .runtime_dir = image,
                             .uid = UINT32_MAX};
    char wanted[200];

    memset(image, 'i', sizeof(image));
    memset(digest, 'd', sizeof(digest));
    image[63] = digest[64] = '\0';
    plan_make(&plan, &r);
    snprintf(wanted, sizeof(wanted), "%s/0123456789abcdef/rootfs", image);
    CHECK_STR(find("")->source, wanted);
    snprintf(wanted, sizeof(wanted), "%s/tree", digest);
    CHECK_STR(find("var/task")->source, wanted);
    CHECK_STR(find("etc/passwd")->source, "passwd/4294967295");
}
