/* The network of a sandbox: `lo`, and nothing else. */
#ifndef FNRUN_NETWORK_H
#define FNRUN_NETWORK_H

#include "base/err.h"

/* Brings up `lo` of the calling process's network namespace. Needs CAP_NET_ADMIN. Waits for the kernel's answer. */
int network_bring_up_lo(struct err *e);

#endif
