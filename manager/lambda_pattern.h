/* The regular expressions of the Lambda model. */
#ifndef FNRUN_LAMBDA_PATTERN_H
#define FNRUN_LAMBDA_PATTERN_H

#include <regex.h>
#include <stdbool.h>

enum pattern {
    PATTERN_NONE,
#define PATTERN(id, shown, expression) PATTERN_##id,
#include "lambda_pattern.def"
#undef PATTERN
};

#define PATTERN_TEXT_MAX 10000U /* longer texts match nothing: the longest that AWS takes */

/* The pattern as AWS writes it in messages. */
const char *pattern_shown(enum pattern p);

/* Does all of the text match? `parts` takes `count` submatches; part 0 is the whole. */
bool pattern_match(enum pattern p, const char *text, regmatch_t *parts, unsigned count);

#endif
