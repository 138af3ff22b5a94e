// links: manager/json.c sandbox/base/buf.c sandbox/base/err.c -lcjson
#include "../../manager/json.h"

#include "check.h"

static bool good(const char *text)
{
    struct json_error error;

    return json_check(text, strlen(text), &error);
}

static void each_is(bool wanted, const char *const *texts, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (good(texts[i]) != wanted)
            check_note(false, __FILE__, __LINE__, "%s is %s as JSON", texts[i], wanted ? "refused" : "taken");
}

#define ALL(wanted, ...)                                        \
    do {                                                        \
        static const char *const texts[] = {__VA_ARGS__};       \
        each_is(wanted, texts, sizeof(texts) / sizeof(*texts)); \
    } while (0)

TEST(every_kind_of_value_may_stand_alone)
{
    ALL(true, "null", "true", "false", "0", "\"\"", "[]", "{}", " \t\r\n{ } \n", "[[],{}]");
}

TEST(numbers_as_in_the_standard_and_no_others)
{
    ALL(true, "0", "-0", "0.5", "10", "1e5", "1E+5", "1.5e-10", "-1.25", "123456789012345678901234567890");
    ALL(false, "01", "-", "+1", ".5", "1.", "1.e5", "1e", "1e+", "0x10", "--1", "-01", "1_000", "NaN", "Infinity",
        "-Infinity", "00");
}

TEST(strings_with_their_escapes)
{
    ALL(true, "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\u00e4\\uD83D\\uDE00\"", "\"\\u0000\"", "\"\x7f\"");
    ALL(false, "\"", "\"a", "\"\\\"", "\"\\x41\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\", "\"\\u", "'a'", "\"a\nb\"",
        "\"\t\"", "\"\x01\"", "\"\\U0041\"");
}

TEST(structure_that_is_broken_in_some_way)
{
    ALL(false, "", " ", "[", "]", "{", "}", "[1,]", "[,1]", "[1 2]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,}",
        "{a:1}", "{1:2}", "[1}", "{\"a\":1]", "[1]]", "{}{}", "1 2", "nul", "nulll", "True", "[1;2]", "/**/1",
        "{\"a\":1,\"b\"}", "\xef\xbb\xbf{}");
}

TEST(text_of_more_than_a_byte_must_be_UTF8)
{
    ALL(true, "\"\xc3\xa4\"", "\"\xe2\x82\xac\"", "\"\xf0\x9f\x98\x80\"", "\"\xf4\x8f\xbf\xbf\"", "\"\xed\x9f\xbf\"",
        "\"\xee\x80\x80\"");
    /* lone, overlong, a surrogate, above U+10FFFF, cut off */
    ALL(false, "\"\x80\"", "\"\xff\"", "\"\xc0\xaf\"", "\"\xc1\xbf\"", "\"\xe0\x80\xaf\"", "\"\xf0\x80\x80\xaf\"",
        "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xf5\x80\x80\x80\"", "\"\xe2\x82\"", "\"\xe2\x82", "\"\xc3",
        "\"\xf0\x9f\x98", "\"\xc3\"", "\xc3\xa4");
}

/* Bytes behind the end are not the text's, and a NUL in it is no end. */
TEST(size_alone_says_where_the_text_ends)
{
    struct json_error error;

    CHECK(json_check("123456", 3, &error));
    CHECK(json_check("[1]garbage", 3, &error));
    CHECK(!json_check("[1]garbage", 4, &error));
    CHECK(!json_check("truefalse", 3, &error));
    CHECK(!json_check("1\0", 2, &error));
    CHECK(!json_check("\"a\0b\"", 5, &error));
    CHECK(!json_check("\0", 1, &error));
    CHECK(!json_check(NULL, 0, &error));
    CHECK(!json_check("\"\xe2\x82\xac\"", 3, &error));
}

/* Every cut of a good text must be refused without a look behind the cut: each lies at the end of its memory. */
TEST(no_cut_off_text_is_taken)
{
    static const char text[] = "{\"k\\u00e4\\n\":[-1.5e+3,true,null,\"\xe2\x82\xac\xf0\x9f\x98\x80\\\"\"],\"x\":{}}";
    struct json_error error;

    CHECK(json_check(text, strlen(text), &error));
    for (size_t size = 0; size < strlen(text); size++) {
        auto_free char *cut = malloc(size + !size);

        memcpy(cut, text, size);
        if (json_check(cut, size, &error))
            check_note(false, __FILE__, __LINE__, "%zu bytes are taken", size);
    }
}

TEST(no_changed_byte_leads_astray)
{
    static const char text[] = "{\"k\":[-1.5e+3,true,null,\"\xe2\x82\xac\\u0041\"],\"x\":{}}";
    size_t size = strlen(text);

    /* What json_check takes, json_parse must be able to parse, or say why not. */
    for (size_t i = 0; i < size; i++)
        for (unsigned byte = 0; byte < 256; byte++) {
            auto_free char *changed = malloc(size);
            struct json_error error = {.line = 0};
            bool taken;
            cJSON *tree;

            memcpy(changed, text, size);
            changed[i] = (char)byte;
            taken = json_check(changed, size, &error);
            tree = json_parse(changed, size, &error);
            CHECK(tree ? taken : error.line > 0 && error.what[0]);
            cJSON_Delete(tree);
        }
}

/* `depth` arrays, one in the other. */
static char *nested(unsigned depth, char open, char close)
{
    char *text = malloc(2 * depth + 1);

    memset(text, open, depth);
    memset(text + depth, close, depth);
    text[2 * depth] = '\0';
    return text;
}

TEST(depth_ends_at_the_limit_and_cJSON_gets_that_far)
{
    auto_free char *deepest = nested(JSON_DEPTH_MAX, '[', ']'), *deeper = nested(JSON_DEPTH_MAX + 1, '[', ']');
    struct json_error error;
    auto_json cJSON *tree = json_parse(deepest, strlen(deepest), &error);

    CHECK(tree);
    CHECK(!good(deeper));
    json_check(deeper, strlen(deeper), &error);
    CHECK_HAS(error.what, "nesting depth");
}

TEST(a_million_open_brackets_need_no_stack)
{
    auto_free char *text = nested(1000000, '[', ']');

    CHECK(!good(text));
}

TEST(kinds_of_brackets_are_told_apart_at_every_depth)
{
    char text[256];

    for (unsigned depth = 1; depth < 20; depth++) {
        char *p = text;

        for (unsigned i = 0; i < depth; i++)
            p = stpcpy(p, i % 3 ? "[" : "{\"a\":");
        *p++ = '1';
        for (unsigned i = depth; i-- > 0;)
            *p++ = i % 3 ? ']' : '}';
        *p = '\0';
        CHECK(good(text));
        p[-1] = p[-1] == ']' ? '}' : ']';
        CHECK(!good(text));
    }
}

TEST(errors_say_where_and_what)
{
    struct json_error error;
    const char *text = "{\n  \"a\": 1,\n  b: 2}";

    CHECK(!json_check(text, strlen(text), &error));
    CHECK_INT(error.line, 3);
    CHECK_INT(error.column, 3);
    CHECK_HAS(error.what, "Unexpected character ('b' (code 98))");
    CHECK(!json_check("nope", 4, &error));
    CHECK_HAS(error.what, "Unrecognized token 'nope'");
    CHECK(!json_check("[1", 2, &error));
    CHECK_HAS(error.what, "Unexpected end-of-input");
}

TEST(long_words_in_errors_are_cut)
{
    char text[5000];
    struct json_error error;

    memset(text, 'a', sizeof(text));
    CHECK(!json_check(text, sizeof(text), &error));
    CHECK(strlen(error.what) < sizeof(error.what));
    CHECK_HAS(error.what, "was expecting");
}

/* --- trees -------------------------------------------------------------------------------------------------------- */

static cJSON *parse(const char *text)
{
    struct json_error error;

    return json_parse(text, strlen(text), &error);
}

TEST(what_a_C_string_cannot_hold_is_not_parsed)
{
    struct json_error error;

    CHECK(json_parse("\"a\\u0000b\"", 10, &error) == NULL);
    CHECK_HAS(error.what, "\\u0000");
    CHECK(parse("{\"a\\u0000\":1}") == NULL);
    CHECK(parse("\"\\ud800\"") == NULL);
    CHECK(parse("\"\\udc00x\"") == NULL);
}

TEST(last_of_two_members_of_a_name_counts)
{
    auto_json cJSON *tree = parse("{\"a\":1,\"b\":2,\"a\":3,\"A\":4}");

    CHECK_INT(json_get_number(tree, "a", -1), 3);
    CHECK_INT(json_get_number(tree, "A", -1), 4);
    CHECK_INT(json_get_number(tree, "c", -1), -1);
    json_set(tree, "a", cJSON_CreateNumber(5));
    CHECK_INT(json_get_number(tree, "a", -1), 5);
}

TEST(null_counts_as_absent_also_behind_a_value)
{
    auto_json cJSON *tree = parse("{\"a\":null,\"b\":1,\"b\":null}");

    CHECK(json_get(tree, "a") == NULL);
    CHECK(json_get(tree, "b") == NULL);
    CHECK_STR(json_get_text(tree, "a", "fallback"), "fallback");
}

TEST(members_of_what_is_no_object_are_absent)
{
    auto_json cJSON *array = parse("[1,2]"), *text = parse("\"x\"");

    CHECK(json_get(array, "a") == NULL);
    CHECK(json_get(text, "a") == NULL);
    CHECK(json_get(NULL, "a") == NULL);
    CHECK_INT(json_get_number(NULL, "a", 7), 7);
}

TEST(value_of_another_type_is_not_taken_for_the_wanted_one)
{
    auto_json cJSON *tree = parse("{\"n\":1,\"s\":\"1\",\"b\":true}");

    CHECK_STR(json_get_text(tree, "n", "none"), "none");
    CHECK_STR(json_get_text(tree, "b", "none"), "none");
    CHECK_INT(json_get_number(tree, "s", -1), -1);
    CHECK_INT(json_get_number(tree, "b", -1), -1);
}

TEST(printing_appends_and_honours_the_cap)
{
    auto_json cJSON *tree = parse("{ \"a\" : [ 1, \"\xc3\xa4\\n\" ] }");
    auto_buf struct buf out = {.cap = 40}, small = {.cap = 5};
    struct err e;

    buf_add_str(&out, "> ", &e);
    CHECK_INT(json_print(tree, &out, &e), 0);
    CHECK_STR(buf_str(&out), "> {\"a\":[1,\"\xc3\xa4\\n\"]}");
    CHECK(json_print(tree, &small, &e) < 0);
    CHECK_INT(small.used, 0);
}
