/*
 * The channel: frames between fnrund and fnrun's own language bootstraps.
 *
 * One AF_UNIX stream socketpair per sandbox, made inside it; the bootstrap inherits its end as descriptor
 * CHANNEL_FD (named in the environment as _FNRUN_CHANNEL_FD, which the bootstrap removes before user code runs)
 * and must mark it close-on-exec. 15 because Node marks all descriptors up to 15 close-on-exec at start.
 *
 * A frame is a struct frame_header (little-endian), then `head_bytes` of UTF-8 JSON (one object), then
 * `body_bytes` of payload, untouched. One invocation is in flight at a time; RESPONSE or ERROR ends it and says
 * that the runtime is ready for the next.
 *
 * Heads:
 *   FRAME_READY       {}                        init is done (module loaded, handler found)
 *   FRAME_RESPONSE    {"id"}                    body: the handler's result as JSON
 *   FRAME_ERROR       {"id","type"[,"last"]}    body: the error object as JSON; type as in its errorType; last true:
 *                                             the runtime ends now and takes no further invocation
 *   FRAME_INIT_ERROR  {"type"}                  body: the error object; the bootstrap exits with status 1 after it
 *   FRAME_INVOKE      {"id","deadline_ms","arn","trace"[,"client_context","identity"]}   body: the event
 *       deadline_ms: milliseconds since the epoch (number); client_context, identity: JSON text as string
 *
 *   FRAME_SNAPSHOT    {}    "you will be dumped now": the bootstrap runs its hooks, gives memory back and answers READY
 *   FRAME_RESTORE     {"env": {NAME: VALUE, ...}}   after a restore: the bootstrap sets these, reseeds, runs its hooks and answers READY
 *
 * The manager trusts nothing here: the peer is the function's own process.
 */
#ifndef FNRUN_CHANNEL_H
#define FNRUN_CHANNEL_H

#include <stdint.h>

#define CHANNEL_FD 15
#define CHANNEL_HEAD_MAX 65536
#define CHANNEL_BODY_MAX (1U << 30) /* a result above the limit of responses is an error; beyond this it is no result */

enum frame_kind {
    FRAME_READY = 1,
    FRAME_RESPONSE = 2,
    FRAME_ERROR = 3,
    FRAME_INIT_ERROR = 4,
    FRAME_INVOKE = 16,
    FRAME_SNAPSHOT = 17,
    FRAME_RESTORE = 18,
};

struct frame_header {
    uint32_t kind;
    uint32_t head_bytes;
    uint32_t body_bytes;
};

#endif
