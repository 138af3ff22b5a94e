#include "network.h"

#include <errno.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>

/* The kernel registers the loopback device before any other in every network namespace. */
#define LO_INDEX 1

static void socket_release(struct nl_sock **s)
{
    nl_socket_free(*s);
}

static void link_release(struct rtnl_link **l)
{
    rtnl_link_put(*l);
}

int network_bring_up_lo(struct err *e)
{
    __attribute__((cleanup(socket_release))) struct nl_sock *sock = nl_socket_alloc();
    __attribute__((cleanup(link_release))) struct rtnl_link *now = rtnl_link_alloc();
    __attribute__((cleanup(link_release))) struct rtnl_link *change = rtnl_link_alloc();
    int rc;

    if (!sock || !now || !change)
        return err_set(e, ENOMEM, "bring up lo: no memory");
    rtnl_link_set_ifindex(now, LO_INDEX);
    rtnl_link_set_flags(change, IFF_UP);
    rc = nl_connect(sock, NETLINK_ROUTE);
    if (rc == 0)
        rc = rtnl_link_change(sock, now, change, 0);
    if (rc < 0)
        return err_set(e, EIO, "bring up lo: %s", nl_geterror(rc));
    return 0;
}
