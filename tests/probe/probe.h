/*
 * The probe: a static program that runs as a function's runtime and tells how the sandbox looks from inside, and what it could
 * do that it should not. The report is one JSON object: {"view": {...}, "attempts": {name: "OK" or the errno's name}}.
 */
#ifndef FNRUN_PROBE_H
#define FNRUN_PROBE_H

#include "../../sandbox/base/buf.h"

/* Append one JSON object each. */
void view_add(struct buf *out);
void attempts_add(struct buf *out);

/* Leaves something in each place where attempts_add looks for another sandbox's marks. */
void attempts_leave_marks(void);

/* Appends `text` (up to `size` bytes of it) as a JSON string. */
void json_add_string(struct buf *out, const char *text, size_t size);

/* printf into the report; there is no way to go on without memory. */
void out_addf(struct buf *out, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
