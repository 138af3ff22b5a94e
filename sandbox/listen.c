#include "listen.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"

/* A fnrund that dies with its killed warden has the port for some milliseconds more. */
#define BIND_TRIES 50
#define BIND_PAUSE_US 20000

/* Splits at the last colon; an IPv6 address stands in brackets. */
static int split(const char *address, char *host, size_t size, const char **ret_port)
{
    const char *colon = strrchr(address, ':'), *from = address;
    size_t n;

    if (!colon || !colon[1])
        return -1;
    n = (size_t)(colon - address);
    if (*address == '[') {
        if (n < 2 || address[n - 1] != ']')
            return -1;
        from++;
        n -= 2;
    }
    if (n == 0 || n >= size)
        return -1;
    memcpy(host, from, n);
    host[n] = '\0';
    *ret_port = colon + 1;
    return 0;
}

static int bind_patiently(int fd, const struct addrinfo *a)
{
    for (int i = 0; i < BIND_TRIES; i++) {
        if (bind(fd, a->ai_addr, a->ai_addrlen) == 0)
            return 0;
        if (errno != EADDRINUSE)
            break;
        usleep(BIND_PAUSE_US);
    }
    return -1;
}

static int open_socket(const struct addrinfo *a, struct err *e)
{
    auto_fd int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;

    if (fd < 0)
        return err_errno(e, "socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind_patiently(fd, a) < 0)
        return err_errno(e, "bind");
    if (listen(fd, SOMAXCONN) < 0)
        return err_errno(e, "listen");
    return take_fd(&fd);
}

int listen_open(const char *address, struct err *e)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *found;
    const char *port;
    char host[64];
    int fd, rc;

    if (split(address, host, sizeof(host), &port) < 0)
        return err_set(e, EINVAL, "--listen %s: not ADDR:PORT or [ADDR]:PORT", address);
    rc = getaddrinfo(host, port, &hints, &found);
    if (rc != 0)
        return err_set(e, EINVAL, "--listen %s: %s", address, gai_strerror(rc));
    fd = open_socket(found, e);
    freeaddrinfo(found);
    return fd < 0 ? err_wrap(e, "--listen %s", address) : fd;
}
