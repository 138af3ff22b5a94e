/* Function names: "name", "name:qualifier", "ACCOUNT:function:name", a whole ARN; and the Qualifier beside them. */
#include <stdio.h>
#include <string.h>

#include "lambda.h"
#include "lambda_pattern.h"

#define NAME_PARTS 12 /* groups of the name patterns, see pattern_match */
enum { PART_REGION = 4, PART_ACCOUNT = 7, PART_NAME = 9, PART_QUALIFIER = 11 };

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

void lambda_print_arn(const struct manager *m, const char *name, const char *qualifier, char ret[LAMBDA_ARN_MAX])
{
    snprintf(ret, LAMBDA_ARN_MAX, "arn:aws:lambda:%s:%s:function:%s%s%s", m->config.region, m->config.account, name,
             qualifier[0] ? ":" : "", qualifier);
}

/* Copies a part without the colon that ends it; "" where the name has no such part. False if it does not fit. */
static bool copy_part(const char *text, const regmatch_t *part, char *ret, size_t size)
{
    size_t n = part->rm_so < 0 ? 0 : (size_t)(part->rm_eo - part->rm_so);

    if (n > 0 && text[part->rm_eo - 1] == ':')
        n--;
    if (n >= size)
        return false;
    memcpy(ret, n ? text + part->rm_so : "", n);
    ret[n] = '\0';
    return true;
}

static int check_place(struct lambda_call *c, const char *region, const char *account)
{
    const struct manager_config *config = &c->manager->config;

    if (region[0] && strcmp(region, config->region) != 0)
        return fault_set(&c->fault, FAULT_NOT_FOUND, "Functions from '%s' are not reachable in this region ('%s')",
                         region, config->region);
    if (account[0] && strcmp(account, config->account) != 0) {
        fault_set(&c->fault, FAULT_ACCESS_DENIED, "%s", ""); /* AWS says no more than that */
        return -1;
    }
    return 0;
}

static int take_parts(struct lambda_call *c, const char *text, const regmatch_t *parts)
{
    char region[64], account[16], name[257];

    if (!copy_part(text, &parts[PART_REGION], region, sizeof(region)) ||
        !copy_part(text, &parts[PART_ACCOUNT], account, sizeof(account)) ||
        !copy_part(text, &parts[PART_NAME], name, sizeof(name)) ||
        !copy_part(text, &parts[PART_QUALIFIER], c->qualifier, sizeof(c->qualifier)))
        return fault_set(&c->fault, FAULT_INVALID_PARAMETER, "The function name has a part that is too long.");
    if (check_place(c, region, account) < 0)
        return -1;
    if ((size_t)snprintf(c->function_name, sizeof(c->function_name), "%s", name) >= sizeof(c->function_name))
        return fault_set(
            &c->fault, FAULT_INVALID_PARAMETER,
            "1 validation error detected: Value '%s' at 'functionName' failed to satisfy constraint: Member "
            "must have length less than or equal to %d",
            name, FUNCTION_NAME_MAX);
    return 0;
}

static int parse_name(struct lambda_call *c, const char *text, bool namespaced)
{
    enum pattern pattern = namespaced ? PATTERN_NAMESPACED_NAME : PATTERN_FUNCTION_NAME;
    size_t size = strlen(text), max = namespaced ? 256 : 140;
    regmatch_t parts[NAME_PARTS];
    char constraint[700];

    /* The hot path: a plain name needs no regular expression. */
    if (size > 0 && size <= FUNCTION_NAME_MAX && strspn(text, NAME_CHARS) == size) {
        memcpy(c->function_name, text, size + 1);
        return 0;
    }
    if (size > max) {
        snprintf(constraint, sizeof(constraint), "Member must have length less than or equal to %zu", max);
        return lambda_violation(c, text, "functionName", constraint);
    }
    if (!pattern_match(pattern, text, parts, NAME_PARTS)) {
        snprintf(constraint, sizeof(constraint), "Member must satisfy regular expression pattern: %s",
                 pattern_shown(pattern));
        return lambda_violation(c, text, "functionName", constraint);
    }
    return take_parts(c, text, parts);
}

static int parse_qualifier(struct lambda_call *c, const char *text)
{
    char constraint[200];
    size_t size = strlen(text);

    if (size < 1 || size > FUNCTION_QUALIFIER_MAX) {
        snprintf(constraint, sizeof(constraint), "Member must have length %s than or equal to %d",
                 size ? "less" : "greater", size ? FUNCTION_QUALIFIER_MAX : 1);
        return lambda_violation(c, text, "qualifier", constraint);
    }
    if (!pattern_match(PATTERN_QUALIFIER, text, NULL, 0)) {
        snprintf(constraint, sizeof(constraint), "Member must satisfy regular expression pattern: %s",
                 pattern_shown(PATTERN_QUALIFIER));
        return lambda_violation(c, text, "qualifier", constraint);
    }
    if (c->qualifier[0] && strcmp(c->qualifier, text) != 0)
        return fault_set(&c->fault, FAULT_INVALID_PARAMETER,
                         "The derived qualifier from the function name does not match the specified qualifier.");
    memcpy(c->qualifier, text, size + 1);
    return 0;
}

int lambda_parse_name(struct lambda_call *c, const char *text, bool namespaced)
{
    const char *qualifier = namespaced ? http_query(c->request, "Qualifier") : NULL;

    if (parse_name(c, text ? text : "", namespaced) < 0)
        return -1;
    return qualifier ? parse_qualifier(c, qualifier) : 0;
}

struct function *lambda_find(struct lambda_call *c)
{
    struct function *f = functions_find(c->manager->functions, c->function_name);
    char arn[LAMBDA_ARN_MAX];

    if (f && (!c->qualifier[0] || strcmp(c->qualifier, LAMBDA_LATEST) == 0))
        return f;
    lambda_print_arn(c->manager, c->function_name, c->qualifier, arn);
    fault_set(&c->fault, FAULT_NOT_FOUND, "Function not found: %s", arn);
    return NULL;
}
