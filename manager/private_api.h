/* What the files of fnrun's own paths share. */
#ifndef FNRUN_PRIVATE_API_H
#define FNRUN_PRIVATE_API_H

#include <cjson/cJSON.h>

#include "function.h"
#include "http.h"

#define WARM_UP_MAX ((size_t)65536) /* bytes of a function's warm-up event */

/* --- private_api.c --- */
void private_answer_error(struct http_request *r, unsigned status, const char *message);
void private_answer_json(struct http_request *r, cJSON *body); /* deletes `body` */

/* The function that the path names behind its last "/"; NULL: answered. */
struct function *private_find_function(struct http_request *r);

/* --- private_snapshot.c --- */
void private_list_snapshots(struct http_request *r);
void private_get_snapshot(struct http_request *r);
void private_delete_snapshot(struct http_request *r);
void private_get_warm_up(struct http_request *r);
void private_put_warm_up(struct http_request *r);
void private_delete_warm_up(struct http_request *r);

#endif
