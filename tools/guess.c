/* Guesses runtime and handler from what lies at the top of a package. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <zip.h>

#include "package.h"

#define SCAN_MAX_BYTES (1024 * 1024)

/* Finds the handler of one language; -ENOENT where the package has none. */
typedef int (*find_handler)(zip_t *z, struct guess *ret);

static bool has_file(zip_t *z, const char *name)
{
    return zip_name_locate(z, name, 0) >= 0;
}

static int find_bootstrap(zip_t *z, struct guess *ret)
{
    if (!has_file(z, "bootstrap"))
        return -ENOENT;
    /* AWS asks for a handler here too; the bootstrap may read it from _HANDLER. */
    snprintf(ret->handler, sizeof(ret->handler), "bootstrap");
    return 0;
}

static int find_node(zip_t *z, struct guess *ret)
{
    static const char *const stems[] = {"index", "app", "handler", "main"};
    static const char *const endings[] = {"mjs", "js", "cjs"};
    char name[32];

    for (size_t i = 0; i < ARRAY_LEN(stems); i++)
        for (size_t j = 0; j < ARRAY_LEN(endings); j++) {
            snprintf(name, sizeof(name), "%s.%s", stems[i], endings[j]);
            if (has_file(z, name)) {
                snprintf(ret->handler, sizeof(ret->handler), "%s.handler", stems[i]);
                return 0;
            }
        }
    if (!has_file(z, "package.json"))
        return -ENOENT;
    snprintf(ret->handler, sizeof(ret->handler), "index.handler");
    return 0;
}

/* Which of the usual functions a Python file defines; NULL for none. */
static const char *python_function(zip_t *z, zip_uint64_t index)
{
    static const char *const names[] = {"lambda_handler", "handler"};
    auto_free char *text = malloc(SCAN_MAX_BYTES + 2);
    zip_file_t *f = zip_fopen_index(z, index, 0);
    zip_int64_t n = f && text ? zip_fread(f, text + 1, SCAN_MAX_BYTES) : -1;

    if (f)
        zip_fclose(f);
    if (n < 0)
        return NULL;
    text[0] = '\n';
    text[n + 1] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char line[32];

        snprintf(line, sizeof(line), "\ndef %s(", names[i]);
        if (strstr(text, line))
            return names[i];
    }
    return NULL;
}

static bool use_python(zip_t *z, const char *name, struct guess *ret)
{
    zip_int64_t index = zip_name_locate(z, name, 0);
    const char *function = index < 0 ? NULL : python_function(z, (zip_uint64_t)index);

    if (!function)
        return false;
    snprintf(ret->handler, sizeof(ret->handler), "%.*s.%s", (int)(strlen(name) - 3), name, function);
    return true;
}

static bool is_top_python(const char *name)
{
    size_t length = name ? strlen(name) : 0;

    return length > 3 && strcmp(name + length - 3, ".py") == 0 && !strchr(name, '/');
}

static int find_python(zip_t *z, struct guess *ret)
{
    static const char *const usual[] = {"lambda_function.py", "app.py", "handler.py", "main.py"};
    zip_int64_t count = zip_get_num_entries(z, 0);

    for (size_t i = 0; i < ARRAY_LEN(usual); i++)
        if (use_python(z, usual[i], ret))
            return 0;
    for (zip_int64_t i = 0; i < count; i++) {
        const char *name = zip_get_name(z, (zip_uint64_t)i, 0);

        if (is_top_python(name) && use_python(z, name, ret))
            return 0;
    }
    /* AWS's own default: the function may be imported there and not defined. */
    if (!has_file(z, usual[0]))
        return -ENOENT;
    snprintf(ret->handler, sizeof(ret->handler), "lambda_function.lambda_handler");
    return 0;
}

static const struct language {
    const char *prefix, *runtime; /* of runtime names; the one chosen where none is asked for */
    find_handler find;
} languages[] = {
    {"provided", "provided.al2023", find_bootstrap},
    {"nodejs", "nodejs20.x", find_node},
    {"python", "python3.13", find_python},
};

static int guess_in(zip_t *z, const char *runtime, struct guess *ret, struct err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(languages); i++) {
        const struct language *l = &languages[i];

        if ((!runtime || strncmp(runtime, l->prefix, strlen(l->prefix)) == 0) && l->find(z, ret) == 0) {
            snprintf(ret->runtime, sizeof(ret->runtime), "%s", runtime ? runtime : l->runtime);
            return 0;
        }
    }
    return err_set(e, ENOENT, "can't tell %s from the files: no bootstrap, index.js or Python file with a handler",
                   runtime ? "the handler" : "the runtime");
}

int package_guess(const struct buf *zip, const char *runtime, struct guess *ret, struct err *e)
{
    zip_source_t *s = zip_source_buffer_create(buf_str(zip), zip->used, 0, NULL);
    zip_t *z = s ? zip_open_from_source(s, ZIP_RDONLY, NULL) : NULL;
    int rc;

    if (!z) {
        zip_source_free(s);
        return err_set(e, EINVAL, "not a zip file");
    }
    rc = guess_in(z, runtime, ret, e);
    zip_discard(z);
    return rc;
}
