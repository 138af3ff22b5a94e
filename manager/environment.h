/* The environment variables of a function, as AWS Lambda sets them, and its argv: the strings of struct proto_create. */
#ifndef FNRUN_ENVIRONMENT_H
#define FNRUN_ENVIRONMENT_H

#include "../sandbox/base/buf.h"
#include "function.h"
#include "manager.h"

/* Adds argv and then the environment to `out`, each string with its NUL; sets the counts. */
int environment_build(const struct manager *m, const struct function *f, const char *log_stream, const char *init_type,
                      struct buf *out, uint32_t *ret_argc, uint32_t *ret_envc, struct err *e);

/* The program that the function has run in front of a managed runtime (AWS_LAMBDA_EXEC_WRAPPER); NULL for none. */
const char *environment_wrapper(const struct function *f);

/* Is `key` a variable that fnrun sets itself, so that a function's configuration may not? */
bool environment_is_reserved(const char *key);

#endif
