/*
 * The Lambda Runtime API (version 2018-06-01) of one sandbox: HTTP on 127.0.0.1:9001 inside it, served by fnrund
 * through the listening socket that came up with the sandbox. Runtimes that are not ours live on it; ours use the
 * channel, and of theirs it only answers what a library might ask.
 * Reference: AWS, "Using the Lambda runtime API for custom runtimes".
 */
#ifndef FNRUN_RUNTIME_API_H
#define FNRUN_RUNTIME_API_H

#include "instance.h"

/* Starts to serve `listen_fd` (becomes the API's). */
int runtime_api_open(struct instance *i, int listen_fd, struct err *e);

/* The instance is gone: connections are answered no more and closed. */
void runtime_api_close(struct instance *i);

/* Answers the runtime's pending GET /invocation/next. */
void runtime_api_invoke(struct instance *i, const struct runtime_call *call);

/* For a runtime that is dumped while it waits for an answer: writes its request again as it sent it, for whoever will read it
 * after a restore. Returns the connection's descriptor, the API's. */
int runtime_api_waiting(const struct instance *i, struct buf *out, struct err *e);

/* The end of a restored runtime's connection (becomes the API's), and then: the runtime is there, so its request is read. */
void runtime_api_keep(struct instance *i, int fd);
void runtime_api_resume(struct instance *i);

/* The http_server that serves the connections of all sandboxes; made once. */
int runtime_api_start(struct manager *m, struct err *e);

#endif
