#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdlib.h>

enum kind { TEXT, NUMBER };

struct option_row {
    const char *flag;
    size_t member;
    enum kind kind;
    const char *fallback;
};

static const struct option_row rows[] = {
#define OPTION(flag, arg, member, kind, fallback, help) {flag, offsetof(struct manager_config, member), kind, fallback},
#include "options.def"
#undef OPTION
};

static const struct option flags[] = {
#define OPTION(flag, arg, member, kind, fallback, help) {flag, required_argument, NULL, 1},
#include "options.def"
#undef OPTION
    {NULL, 0, NULL, 0},
};

static int set_member(struct manager_config *c, const struct option_row *row, const char *value, struct err *e)
{
    void *member = (char *)c + row->member;
    unsigned long number;
    char *end;

    if (row->kind == TEXT) {
        *(const char **)member = value;
        return 0;
    }
    number = strtoul(value, &end, 10);
    if (*end || end == value || number == 0 || number > 1000000)
        return err_set(e, EINVAL, "--%s %s: a number from 1 to 1000000 is wanted", row->flag, value);
    *(unsigned *)member = (unsigned)number;
    return 0;
}

int options_parse(int argc, char **argv, struct manager_config *ret, struct err *e)
{
    int index = 0, c;

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
        if (set_member(ret, &rows[i], rows[i].fallback, e) < 0)
            return -e->code;
    while ((c = getopt_long(argc, argv, "", flags, &index)) != -1)
        if (c != 1 || set_member(ret, &rows[index], optarg, e) < 0)
            return c == 1 ? -e->code : err_set(e, EINVAL, "unknown option");
    return optind < argc ? err_set(e, EINVAL, "%s: no argument is wanted", argv[optind]) : 0;
}
