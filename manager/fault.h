/*
 * What an AWS client sees of a failure. struct err is for the log; a fault is for the wire: fault.def maps each kind to
 * the HTTP status, the error type and the spelling of the body that AWS uses for it.
 */
#ifndef FNRUN_FAULT_H
#define FNRUN_FAULT_H

#include "http.h"

enum fault_kind {
    FAULT_NONE,
#define FAULT(id, ...) FAULT_##id,
#include "fault.def"
#undef FAULT
};

/* Start it zeroed; owns its text. */
struct fault {
    enum fault_kind kind;
    struct buf text; /* empty: AWS says null there */
};

/* Sets kind and text; returns -1. */
int fault_set(struct fault *f, enum fault_kind kind, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* fnrun's own failure: logged, and told to the client as a ServiceException. Returns -1. */
int fault_set_err(struct fault *f, const struct err *e);

/* Answers the request with the fault. */
void fault_answer(struct http_request *r, const struct fault *f);

#endif
