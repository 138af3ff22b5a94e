/*
 * Requests of the commands to the server: the AWS Lambda API and fnrun's own paths below /_fnrun. A failure sets
 * c->failure to the exit code it means. The answer is in c->client until the next request.
 */
#ifndef FNRUN_API_H
#define FNRUN_API_H

#include "cli.h"
#include "client.h"

#define API_FUNCTIONS "/2015-03-31/functions"

/* What --endpoint and the environment say. */
const char *api_endpoint(const struct cli *c);
/* Makes the client of this process if there is none. */
int api_connect(struct cli *c, struct err *e);

/* Adds `prefix`, the percent-encoded name and `suffix`. */
int api_add_path(struct buf *path, const char *prefix, const char *name, const char *suffix, struct err *e);

/* Sends a request; a status other than 2xx is a failure with the server's own message. */
int api_send(struct cli *c, const struct request *r, struct err *e);
/* Sends to the Lambda API: `json` (may be NULL) to API_FUNCTIONS/name/suffix, or without name. */
int api_call(struct cli *c, const char *method, const char *name, const char *suffix, const cJSON *json, struct err *e);
/* The last answer's body; the caller owns *ret. */
int api_parse(struct cli *c, cJSON **ret, struct err *e);

/* A member of a JSON object as text or number, or the fallback. */
const char *json_text(const cJSON *object, const char *name, const char *fallback);
double json_number(const cJSON *object, const char *name, double fallback);

#endif
