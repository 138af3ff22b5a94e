#include "lambda_upload.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "../sandbox/base/fd.h"
#include "base64.h"

#define LEVELS 3 /* only the outer levels matter: {"Code": {"ZipFile": ...}} */
#define KEY_SIZE 16

/*
 * Enough of JSON to find one string in it: strings with their escapes, nesting, and which string is a member's name. A
 * text that isn't JSON confuses it harmlessly: json_check refuses what remains.
 */
struct upload {
    struct packages *packages;
    const char *parent;
    uint64_t left; /* bytes of the request that may still come */
    struct buf json;

    unsigned depth;
    char open[LEVELS];          /* '{' or '[' of the outer levels */
    char key[LEVELS][KEY_SIZE]; /* name of the member that is being read there; "" while none is */
    size_t key_size;
    bool in_string, in_key, escaped, in_zip;

    enum upload_state state;
    struct base64_decoder decoder;
    int fd;
    uint64_t zip_bytes;
    struct err error;
};

struct upload *upload_create(struct packages *ps, const char *parent, uint64_t request_max, size_t json_max)
{
    struct upload *u = calloc(1, sizeof(*u));

    if (u)
        *u = (struct upload){.packages = ps, .parent = parent, .left = request_max, .json.cap = json_max, .fd = -1};
    return u;
}

void upload_free(struct upload *u)
{
    if (!u)
        return;
    fd_close(&u->fd);
    buf_free(&u->json);
    free(u);
}

/* --- the zip ------------------------------------------------------------------------------------------------------ */

static void begin_zip(struct upload *u)
{
    fd_close(&u->fd); /* the member stands twice: the last one counts */
    u->decoder = (struct base64_decoder){0};
    u->zip_bytes = 0;
    u->fd = packages_new_file(u->packages, &u->error);
    u->state = u->fd < 0 ? UPLOAD_FAILED : UPLOAD_GOOD;
    u->in_zip = true;
}

static void end_zip(struct upload *u)
{
    u->in_zip = false;
    if (u->state == UPLOAD_GOOD && !base64_complete(&u->decoder))
        u->state = UPLOAD_BAD_BASE64;
}

static void feed_zip(struct upload *u, const char *text, size_t size)
{
    unsigned char bytes[3 * 1024 + 3];

    while (size > 0 && u->state == UPLOAD_GOOD) {
        size_t n = MIN(size, (size_t)4096);
        long count = base64_decode(&u->decoder, text, n, bytes);

        if (count < 0) {
            u->state = UPLOAD_BAD_BASE64;
        } else if (u->zip_bytes + (uint64_t)count >= PACKAGE_ZIP_MAX) {
            u->state = UPLOAD_TOO_LARGE;
        } else {
            u->zip_bytes += (uint64_t)count;
            if (fd_write_all(u->fd, bytes, (size_t)count, &u->error) < 0)
                u->state = UPLOAD_FAILED;
        }
        text += n;
        size -= n;
    }
}

/* --- the JSON around it ------------------------------------------------------------------------------------------- */

static bool at_zip(const struct upload *u)
{
    unsigned depth = u->parent ? 2 : 1;

    return u->depth == depth && u->open[depth - 1] == '{' && strcmp(u->key[depth - 1], "ZipFile") == 0 &&
           (!u->parent || (u->open[0] == '{' && strcmp(u->key[0], u->parent) == 0));
}

static void see_key_char(struct upload *u, char c)
{
    char *key = u->key[u->depth - 1];

    if (u->key_size < KEY_SIZE - 1) {
        key[u->key_size++] = c;
        key[u->key_size] = '\0';
    }
}

/* In an object, a string with no member's name before it is one. */
static void begin_string(struct upload *u)
{
    bool outer = u->depth >= 1 && u->depth <= LEVELS;

    u->in_string = true;
    u->in_key = outer && u->open[u->depth - 1] == '{' && !u->key[u->depth - 1][0];
    u->key_size = 0;
    if (!u->in_key && at_zip(u))
        begin_zip(u);
}

static void see_structure(struct upload *u, char c)
{
    if (c == '"') {
        begin_string(u);
    } else if (c == '{' || c == '[') {
        if (u->depth < LEVELS) {
            u->open[u->depth] = c;
            u->key[u->depth][0] = '\0';
        }
        u->depth++;
    } else if (c == '}' || c == ']') {
        u->depth -= u->depth > 0;
    } else if (c == ',' && u->depth >= 1 && u->depth <= LEVELS) {
        u->key[u->depth - 1][0] = '\0';
    }
}

static void see_string(struct upload *u, char c)
{
    if (u->escaped) {
        u->escaped = false;
    } else if (c == '\\') {
        u->escaped = true;
    } else if (c == '"') {
        u->in_string = u->in_key = false;
        return;
    }
    if (u->in_key)
        see_key_char(u, c);
}

/* The zip's text up to its end or the end of this piece. Some JSON libraries write "/" as "\/". Returns what was used. */
static size_t take_zip(struct upload *u, const char *data, size_t size)
{
    size_t n = 0;

    if (u->escaped) {
        u->escaped = false;
        if (*data != '/')
            u->state = UPLOAD_BAD_BASE64;
        feed_zip(u, data, 1);
        return 1;
    }
    while (n < size && data[n] != '"' && data[n] != '\\')
        n++;
    feed_zip(u, data, n);
    if (n == size)
        return n;
    if (data[n] == '\\') {
        u->escaped = true;
        return n + 1;
    }
    end_zip(u);
    return n; /* the quote is the JSON's again */
}

int upload_feed(struct upload *u, const char *data, size_t size)
{
    if (size > u->left)
        return -EMSGSIZE;
    u->left -= size;
    while (size > 0) {
        size_t n = 0;

        if (u->in_zip) {
            n = take_zip(u, data, size);
        } else {
            while (n < size && !u->in_zip) {
                if (u->in_string)
                    see_string(u, data[n]);
                else
                    see_structure(u, data[n]);
                n++;
            }
            if (buf_add(&u->json, data, n, &u->error) < 0)
                return -u->error.code;
        }
        data += n;
        size -= n;
    }
    return 0;
}

const struct buf *upload_json(const struct upload *u)
{
    return &u->json;
}

enum upload_state upload_take(struct upload *u, int *ret_fd, struct err *e)
{
    if (u->state == UPLOAD_GOOD)
        *ret_fd = take_fd(&u->fd);
    *e = u->error;
    return u->state;
}
