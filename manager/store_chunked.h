/*
 * The "aws-chunked" framing that clients put into a request's body (x-amz-content-sha256: STREAMING-...): chunks with
 * an optional signature each, then trailers. It is S3's own and lies within HTTP's transfer coding, if there is one.
 */
#ifndef FNRUN_STORE_CHUNKED_H
#define FNRUN_STORE_CHUNKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Start it zeroed but for the callbacks, which return negative to stop. */
struct chunked {
    int (*on_data)(struct chunked *c, const char *data, size_t size);
    int (*on_trailer)(struct chunked *c, const char *name, const char *value);

    enum chunked_state { CHUNKED_SIZE, CHUNKED_DATA, CHUNKED_DATA_END, CHUNKED_TRAILER, CHUNKED_DONE } state;
    uint64_t left; /* bytes of this chunk */
    char line[1024];
    size_t line_used;
};

/* Takes a piece of the body. Negative: a callback's result, or -EBADMSG for what is no such framing. */
int chunked_feed(struct chunked *c, const char *data, size_t size);

/* Has the body come to its end? Some clients leave out the empty line behind the trailers. */
bool chunked_complete(const struct chunked *c);

#endif
