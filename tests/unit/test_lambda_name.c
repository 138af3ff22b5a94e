// links: tests/unit/fake_http.c manager/lambda_name.c manager/lambda_pattern.c manager/lambda_check.c manager/json.c manager/fault.c sandbox/base/log.c sandbox/base/buf.c sandbox/base/err.c -lcjson
#include <errno.h>

#include "../../manager/lambda.h"
#include "../../manager/lambda_pattern.h"
#include "check.h"
#include "fake_http.h"

static struct manager manager = {.config = {.region = "us-east-1", .account = "000000000000"}};
static struct http_request request;
static struct function known = {.name = "known"};

struct function *functions_find(UNUSED struct functions *fs, const char *name)
{
    return strcmp(name, known.name) == 0 ? &known : NULL;
}

/* Parses a name for an operation that takes a Qualifier; NULL: none is given. */
static int parse(struct lambda_call *c, const char *text, const char *qualifier)
{
    struct fake_pair query[] = {{"Qualifier", qualifier}, {NULL, NULL}};
    int rc;

    buf_free(&c->fault.text);
    *c = (struct lambda_call){.request = &request, .manager = &manager};
    fake_query = qualifier ? query : NULL;
    rc = lambda_parse_name(c, text, true);
    fake_query = NULL;
    return rc;
}

static void free_call(struct lambda_call *c)
{
    buf_free(&c->fault.text);
}

#define auto_call __attribute__((cleanup(free_call))) struct lambda_call

TEST(every_way_to_write_a_name)
{
    static const char *const texts[] = {
        "known",
        "function:known",
        "000000000000:function:known",
        "000000000000:known",
        "us-east-1:000000000000:function:known",
        "arn:aws:lambda:us-east-1:000000000000:function:known",
        "arn:aws-cn:lambda:us-east-1:000000000000:function:known",
    };
    auto_call c = {0};

    for (unsigned i = 0; i < ARRAY_LEN(texts); i++) {
        if (!CHECK_INT(parse(&c, texts[i], NULL), 0))
            printf("# %s: %s\n", texts[i], buf_str(&c.fault.text));
        CHECK_STR(c.function_name, "known");
        CHECK_STR(c.qualifier, "");
        CHECK(lambda_find(&c) == &known);
    }
}

TEST(qualifier_in_the_name_beside_it_or_both)
{
    auto_call c = {0};

    CHECK_INT(parse(&c, "known:$LATEST", NULL), 0);
    CHECK_STR(c.qualifier, "$LATEST");
    CHECK(lambda_find(&c) == &known);
    CHECK_INT(parse(&c, "known", "7"), 0);
    CHECK_STR(c.qualifier, "7");
    CHECK(lambda_find(&c) == NULL);
    CHECK_HAS(buf_str(&c.fault.text), "Function not found: arn:aws:lambda:us-east-1:000000000000:function:known:7");
    CHECK_INT(parse(&c, "known:7", "7"), 0);
    CHECK_INT(parse(&c, "known:7", "8"), -1);
    CHECK_INT(c.fault.kind, FAULT_INVALID_PARAMETER);
}

TEST(names_that_are_none)
{
    static const char *const texts[] = {
        "",
        ":",
        "a:b:c:d",
        "known:",
        ":known",
        "a b",
        "a/b",
        "../x",
        "a\nb",
        "known\n",
        "n\xc3\xa4me",
        "arn:aws:s3:::bucket",
        "arn:aws:lambda:us-east-1:00000000000:function:known",
        "%00",
        "'; drop table functions; --",
    };
    auto_call c = {0};

    for (unsigned i = 0; i < ARRAY_LEN(texts); i++)
        if (!CHECK_INT(parse(&c, texts[i], NULL), -1) || !CHECK_INT(c.fault.kind, FAULT_VALIDATION))
            printf("# %s -> %s\n", texts[i], c.function_name);
}

TEST(no_name_at_all_is_refused)
{
    auto_call c = {0};

    CHECK_INT(parse(&c, NULL, NULL), -1);
    CHECK_INT(c.fault.kind, FAULT_VALIDATION);
}

TEST(longest_names)
{
    char text[400];
    auto_call c = {0};

    memset(text, 'a', sizeof(text));
    text[FUNCTION_NAME_MAX] = '\0';
    CHECK_INT(parse(&c, text, NULL), 0);
    CHECK_STR(c.function_name, text);
    for (size_t size = FUNCTION_NAME_MAX + 1; size < sizeof(text); size++) {
        memset(text, 'a', size);
        text[size] = '\0';
        CHECK_INT(parse(&c, text, NULL), -1);
        CHECK_HAS(buf_str(&c.fault.text), "Member must have length less than or equal to");
    }
}

TEST(longest_qualifiers)
{
    char text[400] = "known:";
    auto_call c = {0};

    memset(text + 6, 'q', sizeof(text) - 7);
    text[sizeof(text) - 1] = '\0';
    text[6 + FUNCTION_QUALIFIER_MAX] = '\0';
    CHECK_INT(parse(&c, text, NULL), 0);
    CHECK_STR(c.qualifier, text + 6);
    CHECK_INT(parse(&c, "known", text + 6), 0);
    text[6 + FUNCTION_QUALIFIER_MAX] = 'q';
    text[6 + FUNCTION_QUALIFIER_MAX + 1] = '\0';
    CHECK_INT(parse(&c, text, NULL), -1);
    CHECK_INT(parse(&c, "known", text + 6), -1);
    CHECK_HAS(buf_str(&c.fault.text), "at 'qualifier'");
    CHECK_INT(parse(&c, "known", ""), -1);
    CHECK_HAS(buf_str(&c.fault.text), "greater than or equal to 1");
    CHECK_INT(parse(&c, "known", "a b"), -1);
}

TEST(functions_of_other_places_are_not_here)
{
    auto_call c = {0};

    CHECK_INT(parse(&c, "arn:aws:lambda:eu-west-1:000000000000:function:known", NULL), -1);
    CHECK_INT(c.fault.kind, FAULT_NOT_FOUND);
    CHECK_INT(parse(&c, "111111111111:function:known", NULL), -1);
    CHECK_INT(c.fault.kind, FAULT_ACCESS_DENIED);
}

TEST(arn_always_fits)
{
    char name[FUNCTION_NAME_MAX + 1], qualifier[FUNCTION_QUALIFIER_MAX + 1], arn[LAMBDA_ARN_MAX];

    memset(name, 'n', sizeof(name));
    memset(qualifier, 'q', sizeof(qualifier));
    name[sizeof(name) - 1] = qualifier[sizeof(qualifier) - 1] = '\0';
    lambda_print_arn(&manager, name, qualifier, arn);
    CHECK_HAS(arn, ":function:nnnn");
    CHECK_STR(strrchr(arn, ':') + 1, qualifier);
}

/* --- the patterns themselves --------------------------------------------------------------------------------------- */

TEST(every_pattern_compiles)
{
#define PATTERN(id, shown, expression)                                                               \
    pattern_match(PATTERN_##id, "x", NULL, 0);                                                       \
    CHECK(pattern_match(PATTERN_##id, "x", NULL, 0) || !pattern_match(PATTERN_##id, "\n", NULL, 0)); \
    CHECK_STR(pattern_shown(PATTERN_##id), shown);
#include "../../manager/lambda_pattern.def"
#undef PATTERN
    CHECK(pattern_match(PATTERN_ROLE, "arn:aws:iam::000000000000:role/r", NULL, 0));
    CHECK(pattern_match(PATTERN_LAYER, "arn:aws:lambda:us-east-1:000000000000:layer:l:1", NULL, 0));
    CHECK(pattern_match(PATTERN_BUCKET, "my.bucket", NULL, 0));
    CHECK(pattern_match(PATTERN_LOG_GROUP, "/aws/lambda/f", NULL, 0));
    CHECK(pattern_match(PATTERN_VARIABLE, "a_1", NULL, 0));
    CHECK(pattern_match(PATTERN_HANDLER, "app.handler", NULL, 0));
}

TEST(patterns_match_the_whole_text)
{
    CHECK(!pattern_match(PATTERN_VARIABLE, "A B", NULL, 0));
    CHECK(!pattern_match(PATTERN_VARIABLE, "OK\nBAD=1", NULL, 0));
    CHECK(!pattern_match(PATTERN_VARIABLE, "A", NULL, 0));
    CHECK(!pattern_match(PATTERN_VARIABLE, "1A", NULL, 0));
    CHECK(!pattern_match(PATTERN_VARIABLE, "A=B", NULL, 0));
    CHECK(!pattern_match(PATTERN_HANDLER, "app handler", NULL, 0));
    CHECK(!pattern_match(PATTERN_HANDLER, "app.handler\n", NULL, 0));
    CHECK(!pattern_match(PATTERN_BUCKET, "bucket.", NULL, 0));
    CHECK(!pattern_match(PATTERN_ROLE, "x arn:aws:iam::000000000000:role/r", NULL, 0));
    CHECK(!pattern_match(PATTERN_ROLE, "arn:aws:iam::000000000000:role/r s", NULL, 0));
}

TEST(texts_beyond_the_limit_match_nothing)
{
    auto_free char *text = malloc(PATTERN_TEXT_MAX + 2);

    memset(text, 'a', PATTERN_TEXT_MAX + 1);
    text[PATTERN_TEXT_MAX + 1] = '\0';
    CHECK(!pattern_match(PATTERN_HANDLER, text, NULL, 0));
    text[PATTERN_TEXT_MAX] = '\0';
    CHECK(pattern_match(PATTERN_HANDLER, text, NULL, 0));
}
