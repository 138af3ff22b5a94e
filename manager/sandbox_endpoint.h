/*
 * fnrun's AWS endpoint inside a sandbox: 127.0.0.1:9002 (AWS_ENDPOINT_URL), the same API as on the outer port, reached
 * without any network. It answers what route.c answers to anybody.
 */
#ifndef FNRUN_SANDBOX_ENDPOINT_H
#define FNRUN_SANDBOX_ENDPOINT_H

#include "http.h"

struct instance;
struct manager;

/* `listen_fd` becomes the endpoint's. */
int sandbox_endpoint_open(struct instance *i, int listen_fd, struct err *e);
void sandbox_endpoint_close(struct instance *i);

/* The http_server behind all of them; made once. */
int sandbox_endpoint_start(struct manager *m, struct err *e);

#endif
