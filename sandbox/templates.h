/*
 * The templates of an instance (thaw.h): processes that have a snapshot's memory, from which sandboxes are filled. One per snapshot
 * that is in use, started when the first sandbox is armed for it, kept within a budget of memory: the one unused for longest goes.
 * What was forked from one goes on without it.
 */
#ifndef FNRUN_TEMPLATES_H
#define FNRUN_TEMPLATES_H

#include <stdint.h>

#include "base/list.h"
#include "base/loop.h"
#include "base/proto.h"

struct sandboxes;
struct sandbox;

struct templates {
    struct sandboxes *all;
    struct list_node list, dying; /* struct template_proc.node */
    int program;                  /* fnrun-thaw */
    uint64_t budget;              /* bytes of memory */
};

/* Opens the program. `all` must have its loop, filter and paths. */
int templates_open(struct templates *t, struct sandboxes *all, const char *libexec, uint64_t budget, struct err *e);

/* Ends all. */
void templates_close(struct templates *t);

/* Starts the one of the snapshot that `m` names, unless it is there or on its way. `snapshot` is the snapshot's directory. -ENOENT
 * where it has no plan: then only criu restores it. */
int template_prepare(struct templates *t, int snapshot, const struct proto_create *m, struct err *e);

/* Has `s`, which is RESTORING, filled. sandbox_forked is called later: well or with the reason; EAGAIN where another try may go
 * well. -ENOENT where there is no template (now). */
int template_fork(struct templates *t, struct sandbox *s, struct err *e);

/* The snapshot is gone or is another from now on. */
void template_drop(struct templates *t, const char *id);

#endif
