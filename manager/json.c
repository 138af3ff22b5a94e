#include "json.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define TOKENS "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
#define WANT_VALUE "expected a valid value " TOKENS

struct scan {
    const unsigned char *start, *p, *end;
    unsigned depth;
    bool nul_escape;                        /* a string held \u0000 */
    uint8_t object[JSON_DEPTH_MAX / 8 + 1]; /* one bit for each open container: is it an object? */
    struct json_error *error;
};

static bool fail(struct scan *s, const char *want)
{
    struct json_error *e = s->error;

    e->line = 1;
    e->column = 1;
    for (const unsigned char *p = s->start; p < s->p; p++) {
        e->column = *p == '\n' ? 1 : e->column + 1;
        e->line += *p == '\n';
    }
    if (s->p >= s->end)
        snprintf(e->what, sizeof(e->what), "Unexpected end-of-input: %s", want);
    else if (*s->p >= 0xa0 || (*s->p >= 0x80 && !*want))
        snprintf(e->what, sizeof(e->what), "Invalid UTF-8 start byte 0x%x", *s->p);
    else if (*s->p < 0x20 || *s->p >= 0x7f)
        snprintf(e->what, sizeof(e->what), "Unexpected character ((CTRL-CHAR, code %u)): %s", *s->p, want);
    else
        snprintf(e->what, sizeof(e->what), "Unexpected character ('%c' (code %u)): %s", *s->p, *s->p, want);
    return false;
}

static void skip_space(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\t' || *s->p == '\r'))
        s->p++;
}

/* Takes one character of more than a byte. No overlong forms, no surrogates, nothing above U+10FFFF. */
static bool take_utf8(struct scan *s)
{
    const unsigned char *p = s->p;
    size_t left = (size_t)(s->end - p), n = 0;
    unsigned char low = 0x80, high = 0xbf;

    if (*p >= 0xc2 && *p <= 0xdf)
        n = 1;
    else if (*p >= 0xe0 && *p <= 0xef)
        n = 2;
    else if (*p >= 0xf0 && *p <= 0xf4)
        n = 3;
    if (*p == 0xe0)
        low = 0xa0;
    else if (*p == 0xed)
        high = 0x9f;
    else if (*p == 0xf0)
        low = 0x90;
    else if (*p == 0xf4)
        high = 0x8f;
    if (n == 0 || left <= n || p[1] < low || p[1] > high)
        return fail(s, "");
    for (size_t i = 2; i <= n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return fail(s, "");
    s->p += n + 1;
    return true;
}

/* s->p stands behind the backslash. */
static bool take_escape(struct scan *s)
{
    unsigned value = 0;

    if (s->p < s->end && *s->p && strchr("\"\\/bfnrt", *s->p)) {
        s->p++;
        return true;
    }
    if (s->p >= s->end || *s->p != 'u')
        return fail(s, "unrecognized character escape");
    s->p++;
    for (int i = 0; i < 4; i++, s->p++) {
        static const char digits[] = "0123456789abcdef0123456789ABCDEF";
        const char *digit = s->p < s->end && *s->p ? strchr(digits, *s->p) : NULL;

        if (!digit)
            return fail(s, "expected a hex-digit for character escape sequence");
        value = value * 16 + (unsigned)(digit - digits) % 16;
    }
    s->nul_escape |= value == 0;
    return true;
}

/* s->p stands at the opening quote. */
static bool take_string(struct scan *s)
{
    s->p++;
    while (s->p < s->end) {
        unsigned char c = *s->p;

        if (c == '"') {
            s->p++;
            return true;
        }
        if (c < 0x20)
            return fail(s, "control characters must be escaped inside a string");
        if (c >= 0x80) {
            if (!take_utf8(s))
                return false;
            continue;
        }
        s->p++;
        if (c == '\\' && !take_escape(s))
            return false;
    }
    return fail(s, "was expecting closing quote for a string value");
}

static bool take_digits(struct scan *s)
{
    const unsigned char *from = s->p;

    while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
        s->p++;
    return s->p > from ? true : fail(s, "expected a digit");
}

static bool take_number(struct scan *s)
{
    if (*s->p == '-')
        s->p++;
    if (s->p < s->end && *s->p == '0') {
        s->p++;
        if (s->p < s->end && *s->p >= '0' && *s->p <= '9')
            return fail(s, "leading zeroes are not allowed in a number");
    } else if (!take_digits(s)) {
        return false;
    }
    if (s->p < s->end && *s->p == '.') {
        s->p++;
        if (!take_digits(s))
            return false;
    }
    if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
        s->p++;
        if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
            s->p++;
        return take_digits(s);
    }
    return true;
}

/* A word that JSON doesn't have: shown whole, as Jackson does. */
static bool fail_word(struct scan *s)
{
    const char *word = (const char *)s->p;
    unsigned bad = 0;
    int n;

    while (s->p < s->end && (isalnum(*s->p) || *s->p == '_' || *s->p == '$'))
        s->p++;
    n = (int)MIN((const char *)s->p - word, 60);
    if (n == 0)
        return fail(s, WANT_VALUE);
    if (s->p < s->end && *s->p >= 0x80)
        bad = *s->p++;
    fail(s, "");
    if (bad)
        snprintf(s->error->what, sizeof(s->error->what), "Invalid UTF-8 start byte 0x%x", bad);
    else
        snprintf(s->error->what, sizeof(s->error->what), "Unrecognized token '%.*s': was expecting " TOKENS, n, word);
    return false;
}

static bool take_word(struct scan *s)
{
    static const char *const words[] = {"true", "false", "null"};

    for (unsigned i = 0; i < ARRAY_LEN(words); i++) {
        size_t n = strlen(words[i]);

        if ((size_t)(s->end - s->p) >= n && memcmp(s->p, words[i], n) == 0) {
            s->p += n;
            return true;
        }
    }
    return fail_word(s);
}

/* "name" : */
static bool take_key(struct scan *s)
{
    skip_space(s);
    if (s->p >= s->end || *s->p != '"')
        return fail(s, "was expecting double-quote to start property name");
    if (!take_string(s))
        return false;
    skip_space(s);
    if (s->p >= s->end || *s->p != ':')
        return fail(s, "was expecting a colon to separate property name and value");
    s->p++;
    return true;
}

/* Opens a container. *ret_empty: it was closed again at once, which makes it a whole value. */
static bool take_open(struct scan *s, bool *ret_empty)
{
    bool object = *s->p == '{';

    if (s->depth >= JSON_DEPTH_MAX)
        return fail(s, "document nesting depth exceeds the maximum allowed (1000)");
    s->p++;
    skip_space(s);
    *ret_empty = s->p < s->end && *s->p == (object ? '}' : ']');
    if (*ret_empty) {
        s->p++;
        return true;
    }
    s->object[s->depth / 8] = (uint8_t)(s->object[s->depth / 8] & ~(1U << s->depth % 8));
    s->object[s->depth / 8] = (uint8_t)(s->object[s->depth / 8] | (unsigned)object << s->depth % 8);
    s->depth++;
    return object ? take_key(s) : true;
}

/* Behind a value: closes what ends here. *ret_more: another value follows. */
static bool take_close(struct scan *s, bool *ret_more)
{
    *ret_more = false;
    for (;;) {
        bool object = s->depth && s->object[(s->depth - 1) / 8] >> (s->depth - 1) % 8 & 1;

        skip_space(s);
        if (s->depth == 0)
            return s->p == s->end ? true : fail(s, "expected end of text");
        if (s->p < s->end && *s->p == ',') {
            s->p++;
            *ret_more = true;
            return object ? take_key(s) : true;
        }
        if (s->p >= s->end || *s->p != (object ? '}' : ']'))
            return fail(s, object ? "was expecting comma to separate Object entries"
                                  : "was expecting comma to separate Array entries");
        s->p++;
        s->depth--;
    }
}

static bool take_scalar(struct scan *s)
{
    if (s->p >= s->end)
        return fail(s, WANT_VALUE);
    if (*s->p == '"')
        return take_string(s);
    return *s->p == '-' || (*s->p >= '0' && *s->p <= '9') ? take_number(s) : take_word(s);
}

/* One loop, no recursion: the depth of a client's text is not the depth of our stack. */
static bool take_document(struct scan *s)
{
    for (bool more = true; more;) {
        bool opened, empty = false;

        skip_space(s);
        opened = s->p < s->end && (*s->p == '{' || *s->p == '[');
        if (!(opened ? take_open(s, &empty) : take_scalar(s)))
            return false;
        if ((!opened || empty) && !take_close(s, &more))
            return false;
    }
    return true;
}

static bool check(const char *text, size_t size, bool *ret_nul_escape, struct json_error *ret_error)
{
    const unsigned char *start = (const unsigned char *)(text ? text : "");
    struct scan s = {.start = start, .p = start, .end = start + size, .error = ret_error};
    bool good = take_document(&s);

    *ret_nul_escape = s.nul_escape;
    return good;
}

bool json_check(const char *text, size_t size, struct json_error *ret_error)
{
    bool nul_escape;

    return check(text, size, &nul_escape, ret_error);
}

cJSON *json_parse(const char *text, size_t size, struct json_error *ret_error)
{
    bool nul_escape;
    cJSON *tree;

    if (!check(text, size, &nul_escape, ret_error))
        return NULL;
    tree = nul_escape ? NULL : cJSON_ParseWithLength(text, size);
    if (!tree)
        *ret_error =
            (struct json_error){1, 1, "a string holds \\u0000 or an unpaired surrogate, or a number is too long"};
    return tree;
}

cJSON *json_get(const cJSON *object, const char *name)
{
    cJSON *found = NULL, *child;

    if (!cJSON_IsObject(object))
        return NULL;
    cJSON_ArrayForEach(child, object) if (strcmp(child->string, name) == 0) found = child;
    return cJSON_IsNull(found) ? NULL : found;
}

const char *json_get_text(const cJSON *object, const char *name, const char *fallback)
{
    const cJSON *item = json_get(object, name);

    return cJSON_IsString(item) ? item->valuestring : fallback;
}

double json_get_number(const cJSON *object, const char *name, double fallback)
{
    const cJSON *item = json_get(object, name);

    return cJSON_IsNumber(item) ? item->valuedouble : fallback;
}

void json_set(cJSON *object, const char *name, cJSON *value)
{
    cJSON_DeleteItemFromObjectCaseSensitive(object, name);
    cJSON_AddItemToObject(object, name, value);
}

int json_print(const cJSON *tree, struct buf *out, struct err *e)
{
    auto_free char *text = cJSON_PrintUnformatted(tree);

    if (!text)
        return err_set(e, ENOMEM, "print JSON: no memory");
    return buf_add_str(out, text, e);
}
