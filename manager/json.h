/*
 * JSON from clients. cJSON builds the trees, but it takes things that are not JSON (raw control characters, broken
 * UTF-8, "01", text behind the end), so every text passes json_check first.
 */
#ifndef FNRUN_JSON_H
#define FNRUN_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "../sandbox/base/buf.h"

#define JSON_DEPTH_MAX 1000 /* what Jackson, which AWS parses with, and cJSON allow */

struct json_error {
    unsigned line, column; /* of the first bad byte, from 1 */
    char what[200];
};

/* Is the text exactly one JSON value (RFC 8259, UTF-8)? Builds nothing; some 500 MB a second. */
bool json_check(const char *text, size_t size, struct json_error *ret_error);

/* Checks and parses; NULL with *ret_error. Refuses \u0000 as well, which a C string cannot hold. */
cJSON *json_parse(const char *text, size_t size, struct json_error *ret_error);

/* A member of an object; the last one where the name stands twice. NULL if absent or null, or `object` isn't one. */
cJSON *json_get(const cJSON *object, const char *name);

/* A string member's text, or `fallback`. */
const char *json_get_text(const cJSON *object, const char *name, const char *fallback);

/* A number member's value, or `fallback`. */
double json_get_number(const cJSON *object, const char *name, double fallback);

/* Sets a member, in place of what stood there; takes over `value` in every case. */
void json_set(cJSON *object, const char *name, cJSON *value);

/* Appends the tree as compact text. */
int json_print(const cJSON *tree, struct buf *out, struct err *e);

static inline void json_delete(cJSON **tree)
{
    cJSON_Delete(*tree);
    *tree = NULL;
}

/* Declares a tree that is deleted at the end of its scope. */
#define auto_json __attribute__((cleanup(json_delete)))

#endif
