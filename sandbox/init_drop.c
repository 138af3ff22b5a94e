/* Giving up privileges, for the programs that have no C library: each step is read back. */
#include "init_drop.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "init_sys.h"

int init_fail(struct init_failure *f, long rc, const char *what)
{
    *f = (struct init_failure){.code = (int)-rc, .what = what, .detail = ""};
    return -1;
}

int init_drop_bounding_set(struct init_failure *f)
{
    for (long cap = 0; SYS(prctl, PR_CAPBSET_READ, cap) >= 0; cap++) {
        long rc = SYS(prctl, PR_CAPBSET_DROP, cap);

        if (rc < 0 || SYS(prctl, PR_CAPBSET_READ, cap) != 0)
            return init_fail(f, rc < 0 ? rc : -EPERM, "drop the bounding set");
    }
    if (SYS(prctl, PR_SET_NO_NEW_PRIVS, 1) < 0 || SYS(prctl, PR_GET_NO_NEW_PRIVS) != 1)
        return init_fail(f, -EPERM, "set no_new_privs");
    return 0;
}

static bool ids_are(uid_t uid)
{
    uid_t u[3];
    gid_t g[3];

    return SYS(getresuid, &u[0], &u[1], &u[2]) == 0 && SYS(getresgid, &g[0], &g[1], &g[2]) == 0 && u[0] == uid &&
           u[1] == uid && u[2] == uid && g[0] == uid && g[1] == uid && g[2] == uid && SYS(getgroups, 0, NULL) == 0;
}

/* `restore`: CAP_CHECKPOINT_RESTORE stays, in force; no other does. */
static int set_capabilities(bool restore, struct init_failure *f)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct wanted[_LINUX_CAPABILITY_U32S_3] = {{0}}, now[_LINUX_CAPABILITY_U32S_3];
    long rc;

    if (restore)
        wanted[CAP_TO_INDEX(CAP_CHECKPOINT_RESTORE)].effective =
            wanted[CAP_TO_INDEX(CAP_CHECKPOINT_RESTORE)].permitted = CAP_TO_MASK(CAP_CHECKPOINT_RESTORE);
    if ((rc = SYS(prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)) < 0 || (rc = SYS(capset, &header, wanted)) < 0 ||
        (rc = SYS(capget, &header, now)) < 0)
        return init_fail(f, rc, "drop capabilities");
    for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
        if (now[i].effective != wanted[i].effective || now[i].permitted != wanted[i].permitted || now[i].inheritable)
            return init_fail(f, -EPERM, "capabilities are not what was set");
    return 0;
}

static int become(uint32_t uid, struct init_failure *f)
{
    long rc;

    if ((rc = SYS(setgroups, 0, NULL)) < 0 || (rc = SYS(setresgid, uid, uid, uid)) < 0 ||
        (rc = SYS(setresuid, uid, uid, uid)) < 0)
        return init_fail(f, rc, "become the sandbox's uid");
    return ids_are(uid) ? 0 : init_fail(f, -EPERM, "ids are not what was set");
}

int init_drop(uint32_t uid, struct init_failure *f)
{
    return become(uid, f) < 0 ? -1 : init_drop_capabilities(f);
}

int init_drop_but_restore(uint32_t uid, struct init_failure *f)
{
    long rc = SYS(prctl, PR_SET_KEEPCAPS, 1);

    if (rc < 0)
        return init_fail(f, rc, "keep capabilities");
    if (become(uid, f) < 0 || set_capabilities(true, f) < 0)
        return -1;
    rc = SYS(prctl, PR_SET_KEEPCAPS, 0);
    return rc < 0 ? init_fail(f, rc, "keep capabilities no more") : 0;
}

int init_drop_capabilities(struct init_failure *f)
{
    return set_capabilities(false, f);
}
