/* The API's listening socket. The warden opens it, for ports below 1024, and never reads from it. */
#ifndef FNRUN_LISTEN_H
#define FNRUN_LISTEN_H

#include "base/err.h"

/* Listens on "ADDR:PORT" or "[ADDR6]:PORT", numeric. Returns the socket, the caller's. */
int listen_open(const char *address, struct err *e);

#endif
