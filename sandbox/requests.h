/* What fnrund asks of the warden: each message is checked, then done. */
#ifndef FNRUN_REQUESTS_H
#define FNRUN_REQUESTS_H

#include "base/msg.h"
#include "sandbox.h"

/* Handles one message. -EPROTO: it was not valid, and the manager must go. That a sandbox can't be made is no failure here:
 * the manager gets its PROTO_FAILED. */
int requests_handle(struct sandboxes *all, const void *data, size_t size, const struct msg_fds *fds, struct err *e);

#endif
