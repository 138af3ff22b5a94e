/* Stands in for manager/http.c: requests of a test's own making, and the last answer. */
#ifndef FNRUN_UNIT_FAKE_HTTP_H
#define FNRUN_UNIT_FAKE_HTTP_H

#include "../../manager/http.h"

struct fake_pair {
    const char *name, *value;
};

/* What http_header and http_query find in every request; both end with an empty pair. */
extern const struct fake_pair *fake_headers, *fake_query;

extern unsigned fake_status;
extern char fake_answer[1024], fake_answer_headers[1024];

#endif
