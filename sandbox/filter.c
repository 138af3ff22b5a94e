#include "filter.h"

#include <errno.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"

/* The kernel looks at the low 32 bits of these arguments only, so the filter must not see the others either. */
#define LOW_32_BITS 0xffffffffu

#define DEFAULT_ACTION SCMP_ACT_ERRNO(ENOSYS)

struct entry {
    const char *name;
    uint32_t action;
};

static const struct entry entries[] = {
#define ALLOW(name) {#name, SCMP_ACT_ALLOW},
#define DENY(name, error) {#name, SCMP_ACT_ERRNO(error)},
#include "filter.def"
#undef ALLOW
#undef DENY
};

static void filter_release(scmp_filter_ctx *f)
{
    if (*f)
        seccomp_release(*f);
}

static int rule(scmp_filter_ctx f, uint32_t action, const char *name, unsigned count, const struct scmp_arg_cmp *args,
                struct err *e)
{
    int nr = seccomp_syscall_resolve_name(name), rc;

    /* A call that this libseccomp doesn't know yet stays with the default, and it refuses rules that say the default. */
    if (nr == __NR_SCMP_ERROR || action == DEFAULT_ACTION)
        return 0;
    rc = seccomp_rule_add_array(f, action, nr, count, args);
    if (rc < 0)
        return err_set(e, -rc, "filter rule for %s: error %d", name, -rc);
    return 0;
}

/* Processes and threads, but no new namespaces. */
static int add_clone(scmp_filter_ctx f, struct err *e)
{
    static const unsigned long flags[] = {CLONE_NEWNS,   CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
                                          CLONE_NEWUSER, CLONE_NEWPID,    CLONE_NEWNET};
    unsigned long all = 0;

    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        if (rule(f, SCMP_ACT_ERRNO(EPERM), "clone", 1, &SCMP_A0(SCMP_CMP_MASKED_EQ, flags[i], flags[i]), e) < 0)
            return -e->code;
        all |= flags[i];
    }
    return rule(f, SCMP_ACT_ALLOW, "clone", 1, &SCMP_A0(SCMP_CMP_MASKED_EQ, all, 0), e);
}

static bool family_allowed(int family)
{
    return family == AF_UNIX || family == AF_INET || family == AF_INET6 || family == AF_NETLINK;
}

/* TCP and UDP: any other protocol number would make the kernel load a module for it. */
static int add_inet(scmp_filter_ctx f, int family, struct err *e)
{
    static const int protocols[] = {0, IPPROTO_TCP, IPPROTO_UDP};

    for (size_t i = 0; i < ARRAY_LEN(protocols); i++) {
        struct scmp_arg_cmp args[] = {SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)family),
                                      SCMP_A2(SCMP_CMP_EQ, (scmp_datum_t)protocols[i])};

        if (rule(f, SCMP_ACT_ALLOW, "socket", ARRAY_LEN(args), args, e) < 0)
            return -e->code;
    }
    return 0;
}

static int add_socket(scmp_filter_ctx f, struct err *e)
{
    /* Routing netlink answers getifaddrs(). It changes nothing without CAP_NET_ADMIN. */
    struct scmp_arg_cmp route[] = {SCMP_A0(SCMP_CMP_EQ, AF_NETLINK), SCMP_A2(SCMP_CMP_EQ, NETLINK_ROUTE)};
    uint32_t refuse = SCMP_ACT_ERRNO(EAFNOSUPPORT);

    for (int family = 0; family <= AF_NETLINK; family++)
        if (!family_allowed(family) && rule(f, refuse, "socket", 1, &SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)family), e) < 0)
            return -e->code;
    if (rule(f, refuse, "socket", 1, &SCMP_A0(SCMP_CMP_GT, AF_NETLINK), e) < 0 ||
        rule(f, SCMP_ACT_ALLOW, "socket", 1, &SCMP_A0(SCMP_CMP_EQ, AF_UNIX), e) < 0 ||
        rule(f, SCMP_ACT_ALLOW, "socket", ARRAY_LEN(route), route, e) < 0 || add_inet(f, AF_INET, e) < 0 ||
        add_inet(f, AF_INET6, e) < 0)
        return -e->code;
    return rule(f, SCMP_ACT_ALLOW, "socketpair", 1, &SCMP_A0(SCMP_CMP_EQ, AF_UNIX), e);
}

/* All but TIOCSTI, which types into somebody's terminal. A rule can say "equal" under a mask but not "unequal": a number
 * is unequal where at least one of its bits is. */
static int add_ioctl(scmp_filter_ctx f, struct err *e)
{
    for (unsigned bit = 0; bit < 32; bit++) {
        scmp_datum_t mask = (scmp_datum_t)1 << bit;

        if (rule(f, SCMP_ACT_ALLOW, "ioctl", 1, &SCMP_A1(SCMP_CMP_MASKED_EQ, mask, ~(scmp_datum_t)TIOCSTI & mask), e) <
            0)
            return -e->code;
    }
    return rule(f, SCMP_ACT_ERRNO(EPERM), "ioctl", 1, &SCMP_A1(SCMP_CMP_MASKED_EQ, LOW_32_BITS, TIOCSTI), e);
}

/* Reading it, and the one it has: others switch off address space randomization or change what system calls mean. */
static int add_personality(scmp_filter_ctx f, struct err *e)
{
    static const scmp_datum_t allowed[] = {0, LOW_32_BITS};

    for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
        if (rule(f, SCMP_ACT_ALLOW, "personality", 1, &SCMP_A0(SCMP_CMP_MASKED_EQ, LOW_32_BITS, allowed[i]), e) < 0)
            return -e->code;
    return 0;
}

static int add_rules(scmp_filter_ctx f, struct err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(entries); i++)
        if (rule(f, entries[i].action, entries[i].name, 0, NULL, e) < 0)
            return -e->code;
    if (add_clone(f, e) < 0 || add_socket(f, e) < 0 || add_ioctl(f, e) < 0)
        return -e->code;
    return add_personality(f, e);
}

/* libseccomp before 2.6 can export to a descriptor only. */
static int export(scmp_filter_ctx f, struct buf *out, struct err *e)
{
    auto_fd int fd = memfd_create("filter", MFD_CLOEXEC);
    off_t size;
    int rc;

    if (fd < 0)
        return err_errno(e, "memfd_create");
    rc = seccomp_export_bpf(f, fd);
    if (rc < 0)
        return err_set(e, -rc, "seccomp_export_bpf: error %d", -rc);
    size = lseek(fd, 0, SEEK_END);
    if (size <= 0 || buf_reserve(out, (size_t)size, e) < 0)
        return size <= 0 ? err_set(e, EIO, "the filter is empty") : -e->code;
    if (pread(fd, out->data + out->used, (size_t)size, 0) != size)
        return err_set(e, EIO, "read the filter back");
    out->used += (size_t)size;
    return 0;
}

int filter_compile(struct buf *out, struct err *e)
{
    __attribute__((cleanup(filter_release))) scmp_filter_ctx f = seccomp_init(DEFAULT_ACTION);

    if (!f)
        return err_set(e, ENOMEM, "system call filter: no memory");
    /* Another architecture's calls (i386, x32) have other numbers and arguments: nothing of ours makes them. A binary tree,
     * because the default list is searched from the front on every call. */
    if (seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) < 0 ||
        seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2) < 0)
        return err_set(e, EINVAL, "system call filter: attributes");
    if (add_rules(f, e) < 0 || export(f, out, e) < 0)
        return err_wrap(e, "system call filter");
    return 0;
}
