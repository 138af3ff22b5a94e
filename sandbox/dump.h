/*
 * Dumping the runtime of a running sandbox: a forked child enters the sandbox's namespaces, starts criu there and lets it write
 * the snapshot. The child is synchronous; the warden hears of its end through a socket.
 */
#ifndef FNRUN_DUMP_H
#define FNRUN_DUMP_H

#include "sandbox.h"

/* Starts a dump of `s`. `m` is checked (check.h), its request behind it; `connection` is the descriptor that came with it, the
 * caller's, or -1. The link gets DUMPED in any case, later or at once. */
void dump_start(struct sandbox *s, const struct proto_dump *m, int connection);

/* Ends all that are under way and tells nobody: their manager is gone, or the warden goes. */
void dumps_cancel(struct sandboxes *all);

#endif
