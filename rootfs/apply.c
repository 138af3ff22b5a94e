#include "apply.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../sandbox/base/fd.h"

/* The plan is carried out with descriptors: a path could change its meaning on the way, and leads nowhere once the mount namespace
 * of the sources is left. */
struct work {
    const struct apply_paths *paths;
    int base[PLAN_BASES];    /* opened when first needed */
    int mount[PLAN_OPS_MAX]; /* what each operation mounts, not attached yet; the first becomes the root */
    unsigned count;
};

static void work_close(struct work *w)
{
    for (int i = 0; i < PLAN_BASES; i++)
        fd_close(&w->base[i]);
    for (unsigned i = 0; i < w->count; i++)
        fd_close(&w->mount[i]);
}

/* A target lies in the image, whose symbolic links must not lead elsewhere. */
static int open_target(const struct work *w, const char *target, struct err *e)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    long fd = syscall(SYS_openat2, w->mount[0], target, &how, sizeof(how));

    return fd < 0 ? err_errno(e, "open /%s in the image", target) : (int)fd;
}

static int clone_tree(struct work *w, const struct plan_op *op, struct err *e)
{
    const char *path = w->paths->base[op->base];
    auto_fd int source = -1;
    int tree;

    if (w->base[op->base] < 0)
        w->base[op->base] = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (w->base[op->base] < 0)
        return err_errno(e, "open %s", path);
    source = fd_open_beneath(w->base[op->base], op->source, O_PATH, e);
    if (source < 0)
        return err_wrap(e, "%s", path);
    tree = open_tree(source, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    return tree < 0 ? err_errno(e, "open_tree %s/%s", path, op->source) : tree;
}

static int set_tmpfs(int fs, const struct plan_op *op)
{
    char size[32], inodes[32];

    /* Files of 16 KiB on average, as on a small ext4; the cgroup counts the memory, this keeps `df -i` sane. */
    snprintf(size, sizeof(size), "%llu", (unsigned long long)op->size_bytes);
    snprintf(inodes, sizeof(inodes), "%llu", (unsigned long long)MAX(op->size_bytes / 16384, 1024));
    if (fsconfig(fs, FSCONFIG_SET_STRING, "size", size, 0) < 0 ||
        fsconfig(fs, FSCONFIG_SET_STRING, "nr_inodes", inodes, 0) < 0)
        return -1;
    return fsconfig(fs, FSCONFIG_SET_STRING, "mode", "1777", 0);
}

/* Other uids' processes, of which there is only PID 1, are not even visible. */
static int set_proc(int fs)
{
    return fsconfig(fs, FSCONFIG_SET_STRING, "hidepid", "invisible", 0);
}

static int new_filesystem(const struct plan_op *op, struct err *e)
{
    const char *type = op->kind == PLAN_PROC ? "proc" : "tmpfs";
    auto_fd int fs = fsopen(type, FSOPEN_CLOEXEC);
    int mnt;

    if (fs < 0)
        return err_errno(e, "fsopen %s", type);
    if ((op->kind == PLAN_PROC ? set_proc(fs) : set_tmpfs(fs, op)) < 0 ||
        fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return err_errno(e, "fsconfig %s", type);
    mnt = fsmount(fs, FSMOUNT_CLOEXEC, 0);
    return mnt < 0 ? err_errno(e, "fsmount %s", type) : mnt;
}

/* Private as well: a mount that the host makes later must not appear inside, nor the other way round. */
static int set_attributes(int mnt, const struct plan_op *op, struct err *e)
{
    struct mount_attr attr = {.attr_set = op->attributes, .propagation = MS_PRIVATE};

    if (mount_setattr(mnt, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
        return err_errno(e, "mount_setattr");
    return 0;
}

/* Before the namespace is changed: sources are found in the old one. */
static int make_mounts(struct work *w, const struct plan *p, struct err *e)
{
    for (; w->count < p->count; w->count++) {
        const struct plan_op *op = &p->op[w->count];
        int mnt = op->kind == PLAN_TREE ? clone_tree(w, op, e) : new_filesystem(op, e);

        w->mount[w->count] = mnt;
        if (mnt < 0 || set_attributes(mnt, op, e) < 0)
            return err_wrap(e, "/%s", op->target);
    }
    return 0;
}

static int enter_namespace(const struct apply_paths *paths, struct err *e)
{
    if (setns(paths->bare, CLONE_NEWNS) < 0)
        return err_errno(e, "enter the bare mount namespace");
    return unshare(CLONE_NEWNS) < 0 ? err_errno(e, "unshare") : 0;
}

static int attach(const struct work *w, int mnt, const struct plan_op *op, struct err *e)
{
    auto_fd int target = open_target(w, op->target, e);

    if (target < 0)
        return op->optional && e->code == ENOENT ? 0 : -e->code;
    return move_mount(mnt, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0
               ? err_errno(e, "move_mount")
               : 0;
}

/* The root lies over the bare one (bare.h). setns leads into it by itself; this process is there already. */
static int attach_root(const struct work *w, struct err *e)
{
    if (move_mount(w->mount[0], "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return err_errno(e, "move_mount to /");
    return fchdir(w->mount[0]) < 0 || chroot(".") < 0 || chdir("/") < 0 ? err_errno(e, "enter the root") : 0;
}

int apply_plan(const struct plan *p, const struct apply_paths *paths, struct err *e)
{
    __attribute__((cleanup(work_close))) struct work w = {.paths = paths, .base = {-1, -1, -1, -1}};

    _Static_assert(PLAN_BASES == 4, "the initializer above");
    if (make_mounts(&w, p, e) < 0 || enter_namespace(paths, e) < 0 || attach_root(&w, e) < 0)
        return -e->code;
    for (unsigned i = 1; i < p->count; i++)
        if (attach(&w, w.mount[i], &p->op[i], e) < 0)
            return err_wrap(e, "/%s", p->op[i].target);
    return 0;
}
