/* The words of an invocation: its START, END and REPORT lines, and the error objects that fnrun makes itself. */
#ifndef FNRUN_REPORT_H
#define FNRUN_REPORT_H

#include "instance.h"

void report_init_start(struct instance *i);
void report_restore_start(struct instance *i);
/* Around the event that a snapshot's maker is warmed with. `status`, `error_type`: as in struct report. */
void report_warm_up_start(struct instance *i, const char *request_id);
void report_warm_up_end(struct instance *i, const char *request_id, nsec_t duration, const char *status,
                        const char *error_type);
void report_warm_up_given_up(struct instance *i, const char *why);
void report_start(struct instance *i, const char *request_id);

struct report {
    const char *request_id;
    nsec_t duration;
    nsec_t restore;         /* 0: it was not restored */
    nsec_t init;            /* 0: it was a warm start */
    uint64_t memory_peak;   /* bytes */
    const char *status;     /* NULL, "timeout" or "error" */
    const char *error_type; /* with "error" */
};

/* END and REPORT. */
void report_end(struct instance *i, const struct report *r);

/* {"errorType":"Sandbox.Timedout",...} and the line that AWS writes to the log. */
int report_timeout(struct instance *i, const char *request_id, uint32_t timeout_s, struct buf *out, struct err *e);

/* {"errorType":"Runtime.ExitError",...}: the runtime's process ended during an invocation or init. */
int report_exit(const struct proto_exited *m, const char *request_id, struct buf *out, struct err *e);

/* The same where the wrapper around the runtime could not be started, for the reason `code`: an errno. AWS starts it by a
 * script, whose line is written to the log and whose exit status is told. */
int report_wrapper(struct instance *i, const char *wrapper, int code, const char *request_id, struct buf *out,
                   struct err *e);

/* {"errorType":"Runtime.InvalidEntrypoint",...}: the runtime's program could not be started. */
int report_entrypoint(const char *why, const char *request_id, struct buf *out, struct err *e);

/* An error object of that type with `message` as it is (escaped here). */
int report_error(const char *type, const char *message, struct buf *out, struct err *e);

#endif
