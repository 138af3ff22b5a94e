/*
 * The CRIU toolbox: the image that has criu, and what criu knows of this kernel. Finding that out takes criu some 60 ms and a
 * /proc that can be written to, so it is done once, by a child at the warden's start, and kept on RUN's tmpfs, where each
 * later criu looks for it: /run/criu.kdat.
 */
#ifndef FNRUN_TOOLBOX_H
#define FNRUN_TOOLBOX_H

#include <stdbool.h>

#include "base/loop.h"
#include "base/proto.h"

/* In a sandbox: as in rootfs/plan.def. The one directory of the images that nothing of a function can be in. */
#define TOOLBOX_MOUNT "/root"

struct toolbox {
    struct loop *loop;
    const char *images; /* directory of all images */
    const char *run;    /* RUN; its criu/ becomes /run */
    const char *libexec;
    char digest[PROTO_IMAGE_DIGEST];
    struct loop_io probe; /* pidfd of the child that asks the kernel; -1 when it is done */
    bool ready;
    struct err why_not; /* where it isn't ready */
};

/* Starts to prepare it. Not having one is no failure here: toolbox_check says it to whoever needs it. */
void toolbox_open(struct toolbox *t, struct loop *loop, const char *images, const char *run, const char *libexec);
/* Ends the child as well, where it is still at work. */
void toolbox_close(struct toolbox *t);

/* 0 when criu can be run; else why not. */
int toolbox_check(const struct toolbox *t, struct err *e);

/* Execs criu as `criu swrk CRIU_RPC_FD`, with the image's own loader and libraries, where the toolbox is mounted on TOOLBOX_MOUNT. Comes back
 * only on failure. */
int toolbox_exec_criu(struct err *e);

#endif
