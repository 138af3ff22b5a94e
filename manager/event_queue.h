/*
 * Asynchronous invocations (InvocationType=Event). An event is on disk before the client hears 202, and leaves the disk
 * when its function has run: after a crash it runs again (at least once). A failing event is tried three times, after
 * one and two minutes, as in AWS.
 */
#ifndef FNRUN_EVENT_QUEUE_H
#define FNRUN_EVENT_QUEUE_H

#include "invoker.h"

/* Opens the queue and starts on what an earlier life left. Needs m->db, m->functions, m->invoker. */
int event_queue_open(struct manager *m, struct event_queue **ret, struct err *e);

/* Stores one event for `function_name`; when it returns 0 it is durable. The payload must be checked JSON. */
int event_queue_add(struct event_queue *q, const char *function_name, const struct invoke_request *request,
                    struct err *e);

#endif
