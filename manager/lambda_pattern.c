#include "lambda_pattern.h"

#include <stdio.h>
#include <string.h>

#include "../sandbox/base/log.h"

struct pattern_info {
    const char *shown, *expression;
};

static const struct pattern_info patterns[] = {
    [PATTERN_NONE] = {"", ""},
#define PATTERN(id, shown, expression) [PATTERN_##id] = {shown, expression},
#include "lambda_pattern.def"
#undef PATTERN
};

const char *pattern_shown(enum pattern p)
{
    return patterns[p].shown;
}

/* Compiled when first needed, kept for the life of the process. Parts count from 2: 1 is the frame around all. */
static const regex_t *compiled(enum pattern p)
{
    static regex_t cache[ARRAY_LEN(patterns)];
    static bool done[ARRAY_LEN(patterns)];
    char framed[600];

    if (done[p])
        return &cache[p];
    snprintf(framed, sizeof(framed), "^(%s)$", patterns[p].expression);
    if (regcomp(&cache[p], framed, REG_EXTENDED) != 0) {
        log_error("pattern does not compile: %s", framed);
        return NULL;
    }
    done[p] = true;
    return &cache[p];
}

bool pattern_match(enum pattern p, const char *text, regmatch_t *parts, unsigned count)
{
    const regex_t *expression = compiled(p);

    return expression && strnlen(text, PATTERN_TEXT_MAX + 1) <= PATTERN_TEXT_MAX &&
           regexec(expression, text, count, parts, 0) == 0;
}
