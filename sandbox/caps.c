#include "caps.h"

#include <errno.h>
#include <grp.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <unistd.h>

static void cap_release(cap_t *c)
{
    if (*c)
        cap_free(*c);
}

#define auto_cap __attribute__((cleanup(cap_release)))

static bool contains(const cap_value_t *keep, unsigned count, cap_value_t cap)
{
    for (unsigned i = 0; i < count; i++)
        if (keep[i] == cap)
            return true;
    return false;
}

static int limit_bounding_set(const cap_value_t *keep, unsigned count, struct err *e)
{
    for (cap_value_t cap = 0; cap < cap_max_bits(); cap++) {
        if (contains(keep, count, cap) || cap_get_bound(cap) == 0)
            continue;
        if (cap_drop_bound(cap) < 0)
            return err_errno(e, "drop capability %d from the bounding set", cap);
        if (cap_get_bound(cap) != 0)
            return err_set(e, EPERM, "capability %d is still in the bounding set", cap);
    }
    return 0;
}

static int set_process(const cap_value_t *keep, unsigned count, struct err *e)
{
    auto_cap cap_t now = cap_get_proc(), wanted = cap_init();

    if (!now || !wanted)
        return err_errno(e, "read capabilities");
    for (unsigned i = 0; i < count; i++) {
        cap_flag_value_t has = CAP_CLEAR;

        cap_get_flag(now, keep[i], CAP_PERMITTED, &has);
        cap_set_flag(wanted, CAP_PERMITTED, 1, &keep[i], has);
        cap_set_flag(wanted, CAP_EFFECTIVE, 1, &keep[i], has);
    }
    if (cap_set_proc(wanted) < 0)
        return err_errno(e, "set capabilities");
    cap_free(now);
    now = cap_get_proc();
    if (!now || cap_compare(now, wanted) != 0)
        return err_set(e, EPERM, "capabilities are not what was set");
    return 0;
}

int caps_limit(const cap_value_t *keep, unsigned count, struct err *e)
{
    if (limit_bounding_set(keep, count, e) < 0)
        return -e->code;
    if (cap_reset_ambient() < 0)
        return err_errno(e, "clear ambient capabilities");
    return set_process(keep, count, e);
}

static int check_ids(uid_t uid, gid_t gid, struct err *e)
{
    uid_t u[3];
    gid_t g[3];

    if (getresuid(&u[0], &u[1], &u[2]) < 0 || getresgid(&g[0], &g[1], &g[2]) < 0)
        return err_errno(e, "read ids");
    for (int i = 0; i < 3; i++)
        if (u[i] != uid || g[i] != gid)
            return err_set(e, EPERM, "uid or gid is not what was set");
    if (getgroups(0, NULL) != 0)
        return err_set(e, EPERM, "there are still supplementary groups");
    return 0;
}

int caps_become(uid_t uid, gid_t gid, struct err *e)
{
    if (limit_bounding_set(NULL, 0, e) < 0)
        return -e->code;
    if (cap_reset_ambient() < 0)
        return err_errno(e, "clear ambient capabilities");
    if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
        return err_errno(e, "become %u:%u", uid, gid);
    if (set_process(NULL, 0, e) < 0 || check_ids(uid, gid, e) < 0)
        return -e->code;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
        return err_errno(e, "set no_new_privs");
    return 0;
}
