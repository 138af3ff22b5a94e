/* XML as the object store speaks it: a writer for answers, and reading the small documents of requests (by expat). */
#ifndef FNRUN_STORE_XML_H
#define FNRUN_STORE_XML_H

#include <stdbool.h>
#include <stdint.h>

#include "../sandbox/base/buf.h"
#include "../sandbox/base/clock.h"

/* A document being written. The first failure sticks in `err` and makes all that follows do nothing. */
struct xml {
    struct buf buf;
    struct err err;
};

/* Begins a document; `ns` is the root's namespace, NULL for none. */
void xml_begin(struct xml *x, const char *root, const char *ns);
void xml_open(struct xml *x, const char *name);
void xml_close(struct xml *x, const char *name);
/* Text inside the open element, escaped. */
void xml_content(struct xml *x, const char *text);
/* Whole elements. */
void xml_text(struct xml *x, const char *name, const char *text);
void xml_uint(struct xml *x, const char *name, uint64_t value);
void xml_bool(struct xml *x, const char *name, bool value);
void xml_time(struct xml *x, const char *name, nsec_t wall);
void xml_etag(struct xml *x, const char *etag);

static inline void xml_free(struct xml *x)
{
    buf_free(&x->buf);
}

#define auto_xml __attribute__((cleanup(xml_free)))

/* Calls `each` at the end of every element, with its path ("Delete/Object/Key") and its text without that of elements
 * within it; negative from `each` stops. -EBADMSG for what is not well-formed, or has a document type or more nesting
 * than any request of S3. */
int xml_parse(const char *data, size_t size, int (*each)(void *ctx, const char *path, const char *text), void *ctx,
              struct err *e);

#endif
