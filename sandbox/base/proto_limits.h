/* Sizes and limits of the messages in proto.h, and where they come from. */
#ifndef FNRUN_PROTO_LIMITS_H
#define FNRUN_PROTO_LIMITS_H

/* Descriptors of fnrund at its start, passed by the warden. */
#define PROTO_WARDEN_FD 3 /* the SEQPACKET socket */
#define PROTO_LISTEN_FD 4 /* the API's listening TCP socket */

#define PROTO_NAME_MAX 64       /* an image's or a bootstrap's name, with its NUL */
#define PROTO_IMAGE_DIGEST 17   /* 16 hex digits and a NUL */
#define PROTO_CODE_DIGEST 65    /* 64 hex digits and a NUL */
#define PROTO_SNAPSHOT_ID 33    /* 32 hex digits and a NUL */
#define PROTO_STRINGS_MAX 32768 /* argv and environment together, bytes */
#define PROTO_REQUEST_MAX 16384 /* what a third-party runtime has sent when it is dumped, bytes */
#define PROTO_ARGV_MAX 16
#define PROTO_ENV_MAX 640                               /* the 4 KB of a configuration hold 511 at most, and ours */
#define PROTO_LEASE_MAX_MS (15 * 60 * 1000 + 15 * 1000) /* 15 minutes of function, 10 s of init, 5 s of slack */

#endif
