#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum option_kind { OPTION_STRING, OPTION_NUMBER, OPTION_FLAG, OPTION_LIST };

struct option_entry {
    enum option_kind kind;
    size_t offset;
    const char *name, *argument, *initial, *help;
};

static const struct option_entry entries[] = {
#define OPTION(kind, field, name, argument, initial, help) \
    {OPTION_##kind, offsetof(struct options, field), name, argument, initial, help},
#include "options.def"
#undef OPTION
};

static int parse_number(const char *name, const char *text, uint64_t *ret_value, struct err *e)
{
    unsigned long long value;
    char *end;

    errno = 0;
    value = strtoull(text, &end, 10);
    /* strtoull takes spaces and signs before the digits, and makes "-1" a large number. */
    if (errno || *end || !isdigit((unsigned char)*text))
        return err_set(e, EINVAL, "--%s: \"%s\" is not a number", name, text);
    *ret_value = value;
    return 0;
}

static int list_add(const char *name, const char *text, struct option_list *list, struct err *e)
{
    if (list->count == OPTIONS_MANAGER_ARGS_MAX)
        return err_set(e, EINVAL, "--%s: given more than %d times", name, OPTIONS_MANAGER_ARGS_MAX);
    list->item[list->count++] = text;
    return 0;
}

static int store(const struct option_entry *o, const char *text, struct options *options, struct err *e)
{
    void *field = (char *)options + o->offset;

    switch (o->kind) {
    case OPTION_STRING:
        *(const char **)field = text;
        return 0;
    case OPTION_NUMBER:
        return parse_number(o->name, text, field, e);
    case OPTION_FLAG:
        *(bool *)field = true;
        return 0;
    case OPTION_LIST:
        return list_add(o->name, text, field, e);
    }
    return err_set(e, EINVAL, "--%s: unknown kind", o->name);
}

static const struct option_entry *find(const char *name, size_t size)
{
    for (size_t i = 0; i < ARRAY_LEN(entries); i++)
        if (strlen(entries[i].name) == size && memcmp(entries[i].name, name, size) == 0)
            return &entries[i];
    return NULL;
}

/* Takes argv[*i], and argv[*i + 1] where that is its value. */
static int parse_one(char **argv, int *i, struct options *options, struct err *e)
{
    const char *word = argv[*i], *equals = strchr(word, '=');
    size_t size = equals ? (size_t)(equals - word) : strlen(word);
    const struct option_entry *o = size > 2 && memcmp(word, "--", 2) == 0 ? find(word + 2, size - 2) : NULL;
    const char *value = equals ? equals + 1 : NULL;

    if (!o)
        return err_set(e, EINVAL, "unknown option \"%s\"; --help lists them", word);
    if (!o->argument && value)
        return err_set(e, EINVAL, "--%s takes no value", o->name);
    if (o->argument && !value)
        value = argv[++*i];
    if (o->argument && !value)
        return err_set(e, EINVAL, "--%s needs a value (%s)", o->name, o->argument);
    return store(o, value, options, e);
}

int options_parse(int argc, char **argv, struct options *ret_options, struct err *e)
{
    struct options options = {0};

    for (size_t i = 0; i < ARRAY_LEN(entries); i++)
        if (entries[i].initial && store(&entries[i], entries[i].initial, &options, e) < 0)
            return -e->code;
    for (int i = 1; i < argc; i++)
        if (parse_one(argv, &i, &options, e) < 0)
            return -e->code;
    if (!options.state && !options.help)
        return err_set(e, EINVAL, "--state is required");
    *ret_options = options;
    return 0;
}

void options_print_help(void)
{
    printf("fnrun-warden: the privileged half of fnrun; `fnrun up` starts it.\n\n");
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        const struct option_entry *o = &entries[i];

        printf("  --%s%s%s\n        %s", o->name, o->argument ? " " : "", o->argument ? o->argument : "", o->help);
        printf(o->initial ? " [%s]\n" : "\n", o->initial);
    }
}
