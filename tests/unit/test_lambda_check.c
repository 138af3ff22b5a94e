// links: tests/unit/fake_http.c manager/lambda_pattern.c manager/lambda_check.c manager/json.c manager/fault.c sandbox/base/log.c sandbox/base/buf.c sandbox/base/err.c -lcjson
#include "../../manager/json.h"
#include "../../manager/lambda.h"
#include "check.h"

#define ROLE "\"Role\":\"arn:aws:iam::000000000000:role/r\""

struct checked {
    int rc;
    enum fault_kind kind;
    char text[8192]; /* the fault's; what is left of the input where there is none */
};

/* Checks a body of JSON for an operation. */
static struct checked check(enum lambda_input operation, const char *body)
{
    struct lambda_route route = {.input = operation};
    struct lambda_call c = {.route = &route};
    auto_buf struct buf left = {0};
    struct checked got = {0};
    struct json_error error;
    struct err e;

    c.input = json_parse(body, strlen(body), &error);
    if (!CHECK(c.input))
        printf("# %s: %s\n", body, error.what);
    got.rc = lambda_check_input(&c);
    got.kind = c.fault.kind;
    json_print(c.input, &left, &e);
    snprintf(got.text, sizeof(got.text), "%s", got.rc ? buf_str(&c.fault.text) : buf_str(&left));
    cJSON_Delete(c.input);
    buf_free(&c.fault.text);
    return got;
}

static void is_violated(enum lambda_input operation, const char *body, const char *said)
{
    struct checked got = check(operation, body);

    CHECK_INT(got.rc, -1);
    CHECK_INT(got.kind, FAULT_VALIDATION);
    CHECK_HAS(got.text, said);
}

TEST(good_bodies_pass_unchanged)
{
    static const char *const bodies[] = {
        "{\"FunctionName\":\"f\"," ROLE ",\"Code\":{\"ZipFile\":\"x\"}}",
        "{\"FunctionName\":\"f\"," ROLE ",\"Code\":{},\"MemorySize\":128,\"Timeout\":900,\"Publish\":true}",
        "{\"FunctionName\":\"f\"," ROLE ",\"Code\":{},\"Environment\":{\"Variables\":{\"AB\":\"\",\"c_1\":\"x=y\"}}}",
        "{\"FunctionName\":\"f\"," ROLE ",\"Code\":{},\"Architectures\":[\"x86_64\"],\"PackageType\":\"Zip\"}",
    };

    for (unsigned i = 0; i < ARRAY_LEN(bodies); i++) {
        struct checked got = check(LAMBDA_IN_CREATE, bodies[i]);

        CHECK_INT(got.rc, 0);
        CHECK_STR(got.text, bodies[i]);
    }
}

TEST(all_that_is_missing_is_told_at_once)
{
    struct checked got = check(LAMBDA_IN_CREATE, "{}");

    CHECK_HAS(got.text,
              "3 validation errors detected: Value null at 'functionName' failed to satisfy constraint: Member "
              "must not be null; Value null at 'role'");
    CHECK_HAS(got.text, "at 'code'");
    CHECK_INT(check(LAMBDA_IN_CONFIG, "{}").rc, 0);
    is_violated(LAMBDA_IN_CREATE, "{\"FunctionName\":null," ROLE ",\"Code\":{}}",
                "1 validation error detected: Value null");
}

TEST(member_of_an_absent_structure_is_not_missing)
{
    CHECK_INT(check(LAMBDA_IN_CONFIG, "{\"EphemeralStorage\":null}").rc, 0);
    is_violated(LAMBDA_IN_CONFIG, "{\"EphemeralStorage\":{}}", "Value null at 'ephemeralStorage.size'");
}

TEST(numbers_at_their_limits)
{
    CHECK_INT(check(LAMBDA_IN_CONFIG, "{\"Timeout\":1}").rc, 0);
    CHECK_INT(check(LAMBDA_IN_CONFIG, "{\"Timeout\":900.0}").rc, 0);
    is_violated(
        LAMBDA_IN_CONFIG, "{\"Timeout\":0}",
        "Value '0' at 'timeout' failed to satisfy constraint: Member must have value greater than or equal to 1");
    is_violated(LAMBDA_IN_CONFIG, "{\"Timeout\":901}", "less than or equal to 900");
    is_violated(LAMBDA_IN_CONFIG, "{\"MemorySize\":127}", "greater than or equal to 128");
    is_violated(LAMBDA_IN_CONFIG, "{\"MemorySize\":-1e300}", "Value '-1000000000000000052504760255204420248704468");
    is_violated(LAMBDA_IN_CONFIG, "{\"MemorySize\":1.7e308}", "less than or equal to 10240");
    is_violated(LAMBDA_IN_CONFIG, "{\"MemorySize\":1e999}", "less than or equal to 10240");
    is_violated(LAMBDA_IN_CONFIG, "{\"MemorySize\":9223372036854775808}", "less than or equal to 10240");
}

TEST(wrong_types_are_a_SerializationException)
{
    static const char *const bodies[][2] = {
        {"{\"Timeout\":\"3\"}", "STRING_VALUE can not be converted to an Integer"},
        {"{\"Timeout\":3.5}", "can not be converted to an Integer"},
        {"{\"Timeout\":true}", "can not be converted to an Integer"},
        {"{\"Handler\":3}", "can not be converted to a String"},
        {"{\"Environment\":[]}", "Start of list found where not expected"},
        {"{\"Environment\":{\"Variables\":[]}}", "Start of list found where not expected"},
        {"{\"Environment\":{\"Variables\":{\"AB\":1}}}", "can not be converted to a String"},
        {"{\"Environment\":{\"Variables\":{\"AB\":null}}}", "can not be converted to a String"},
        {"{\"Layers\":{}}", "Expected list or null"},
        {"{\"Layers\":[1]}", "can not be converted to a String"},
        {"{\"VpcConfig\":{\"SubnetIds\":[[]]}}", "Start of list found where not expected"},
        {"[]", "Start of list found where not expected"},
        {"\"x\"", "STRING_VALUE can not be converted to a structure"},
        {"null", "NULL_VALUE can not be converted to a structure"},
    };

    for (unsigned i = 0; i < ARRAY_LEN(bodies); i++) {
        struct checked got = check(LAMBDA_IN_CONFIG, bodies[i][0]);

        if (!CHECK_INT(got.rc, -1) || !CHECK_INT(got.kind, FAULT_SERIALIZATION) || !CHECK_HAS(got.text, bodies[i][1]))
            printf("# %s\n", bodies[i][0]);
    }
}

TEST(words_must_be_of_their_list)
{
    CHECK_INT(check(LAMBDA_IN_CONFIG, "{\"TracingConfig\":{\"Mode\":\"PassThrough\"}}").rc, 0);
    is_violated(LAMBDA_IN_CONFIG, "{\"TracingConfig\":{\"Mode\":\"Pass\"}}", "enum value set: [Active, PassThrough]");
    is_violated(LAMBDA_IN_CONFIG, "{\"TracingConfig\":{\"Mode\":\"Through\"}}", "enum value set");
    is_violated(LAMBDA_IN_CONFIG, "{\"TracingConfig\":{\"Mode\":\"\"}}", "enum value set");
    is_violated(LAMBDA_IN_CONFIG, "{\"TracingConfig\":{\"Mode\":\"active\"}}", "enum value set");
    is_violated(LAMBDA_IN_CONFIG, "{\"TracingConfig\":{\"Mode\":\"Active,\"}}", "enum value set");
}

/* The list is kept as one text, and a part of it with a comma is not a word. */
TEST(several_words_of_a_list_are_not_one)
{
    is_violated(LAMBDA_IN_CONFIG, "{\"TracingConfig\":{\"Mode\":\"Active, PassThrough\"}}", "enum value set");
    is_violated(LAMBDA_IN_CODE, "{\"Architectures\":[\"x86_64, arm64\"]}", "enum value set");
    is_violated(LAMBDA_IN_CONFIG, "{\"LoggingConfig\":{\"SystemLogLevel\":\"INFO, WARN\"}}", "enum value set");
}

TEST(entries_and_keys_are_checked_each)
{
    is_violated(LAMBDA_IN_CONFIG, "{\"Environment\":{\"Variables\":{\"OK\":\"1\",\"1BAD\":\"2\"}}}",
                "at 'environment.variables' failed to satisfy constraint: Map keys must satisfy constraint");
    is_violated(LAMBDA_IN_CONFIG, "{\"Environment\":{\"Variables\":{\"A=B\":\"\",\"OK\":\"\"}}}",
                "at 'environment.variables'");
    is_violated(LAMBDA_IN_CONFIG, "{\"Environment\":{\"Variables\":{\"\":\"\"}}}", "at 'environment.variables'");
    is_violated(LAMBDA_IN_CONFIG, "{\"VpcConfig\":{\"SubnetIds\":[\"subnet-1\",\"x\"]}}", "at 'vpcConfig.subnetIds'");
    is_violated(LAMBDA_IN_CODE, "{\"Architectures\":[]}", "greater than or equal to 1");
    is_violated(LAMBDA_IN_CODE, "{\"Architectures\":[\"arm64\",\"arm64\"]}", "less than or equal to 1");
}

TEST(values_of_variables_are_secret)
{
    struct checked got = check(LAMBDA_IN_CONFIG, "{\"Environment\":{\"Variables\":{\"1\":\"hunter2\"}}}");

    CHECK_INT(got.rc, -1);
    CHECK(!strstr(got.text, "hunter2"));
}

TEST(length_is_counted_in_characters)
{
    char body[2000] = "{\"Description\":\"";

    for (int i = 0; i < 256; i++)
        strcat(body, "\xe2\x82\xac");
    strcat(body, "\"}");
    CHECK_INT(check(LAMBDA_IN_CONFIG, body).rc, 0);
    strcpy(strrchr(body, '"'), "x\"}");
    is_violated(LAMBDA_IN_CONFIG, body, "Member must have length less than or equal to 256");
}

TEST(unknown_members_are_dropped)
{
    static const char body[] = "{\"Timeout\":3,\"Unknown\":{\"a\":[1]},\"timeout\":4,\"VpcConfig\":{\"SubnetIds\":[],"
                               "\"More\":1},\"FunctionName\":\"other\"}";

    CHECK_STR(check(LAMBDA_IN_CONFIG, body).text, "{\"Timeout\":3,\"VpcConfig\":{\"SubnetIds\":[]}}");
}

TEST(names_of_members_may_be_of_any_length)
{
    auto_free char *body = calloc(1, 100100);
    struct checked got;

    strcpy(body, "{\"");
    memset(body + 2, 'N', 100000);
    strcpy(body + 100002, "\":{\"a\":1}}");
    got = check(LAMBDA_IN_CONFIG, body);
    CHECK_INT(got.rc, 0);
    CHECK_STR(got.text, "{}");
}

TEST(format_signs_in_values_are_only_text)
{
    is_violated(LAMBDA_IN_CONFIG, "{\"Handler\":\"%s %n %d\"}", "Value '%s %n %d' at 'handler'");
}
