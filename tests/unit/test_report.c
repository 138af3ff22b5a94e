// links: manager/report.c sandbox/base/buf.c sandbox/base/err.c -lcjson
#include "../../manager/report.h"

#include "check.h"

static char logged[4096];
static const struct runtime python = {.name = "python3.13"};
static struct function function = {.name = "f", .runtime = &python, .memory_mb = 128};
static struct instance instance = {.f = &function};

void instance_log(UNUSED struct instance *i, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(logged, sizeof(logged), fmt, ap);
    va_end(ap);
}

TEST(lines_of_a_cold_start)
{
    const struct report r = {.request_id = "ID", .duration = 12345678, .init = 98765432, .memory_peak = 30 << 20};

    report_init_start(&instance);
    CHECK_STR(logged, "INIT_START Runtime Version: python3.13\n");
    report_start(&instance, "ID");
    CHECK_STR(logged, "START RequestId: ID Version: $LATEST\n");
    report_end(&instance, &r);
    CHECK_STR(logged, "END RequestId: ID\nREPORT RequestId: ID\tDuration: 12.35 ms\tBilled Duration: 13 ms\t"
                      "Memory Size: 128 MB\tMax Memory Used: 30 MB\tInit Duration: 98.77 ms\t\n");
}

TEST(time_is_billed_in_whole_milliseconds_upwards)
{
    static const struct {
        nsec_t duration;
        const char *billed;
    } cases[] = {{0, "Billed Duration: 0 ms"},
                 {1, "Billed Duration: 1 ms"},
                 {1000000, "Billed Duration: 1 ms"},
                 {1000001, "Billed Duration: 2 ms"},
                 {INT64_C(900000000000), "Billed Duration: 900000 ms"}};

    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        report_end(&instance, &(struct report){.request_id = "ID", .duration = cases[i].duration});
        CHECK_HAS(logged, cases[i].billed);
    }
}

TEST(memory_is_rounded_up_and_never_more_than_was_given)
{
    static const struct {
        uint64_t peak;
        const char *shown;
    } cases[] = {{0, "Used: 0 MB"},
                 {1, "Used: 1 MB"},
                 {1 << 20, "Used: 1 MB"},
                 {(1 << 20) + 1, "Used: 2 MB"},
                 {(128 << 20) + 4096, "Used: 128 MB"},
                 {UINT64_MAX >> 1, "Used: 128 MB"}};

    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        report_end(&instance, &(struct report){.request_id = "ID", .memory_peak = cases[i].peak});
        CHECK_HAS(logged, cases[i].shown);
    }
}

TEST(status_of_what_went_wrong)
{
    report_end(&instance, &(struct report){.request_id = "ID", .status = "timeout"});
    CHECK_HAS(logged, "\tStatus: timeout\n");
    report_end(&instance, &(struct report){.request_id = "ID", .status = "error", .error_type = "Runtime.ExitError"});
    CHECK_HAS(logged, "\tStatus: error\tError Type: Runtime.ExitError\n");
    CHECK(!strstr(logged, "Init Duration"));
}

/* The type comes from the function: however long, the line ends and the next one is its own. */
TEST(long_error_types_are_cut)
{
    char type[2000];

    memset(type, 't', sizeof(type));
    type[sizeof(type) - 1] = '\0';
    report_end(&instance, &(struct report){.request_id = "ID", .status = "error", .error_type = type});
    CHECK(strlen(logged) < 500);
    CHECK_STR(logged + strlen(logged) - 2, "t\n");
}

TEST(error_objects_are_escaped_and_replace_what_was_there)
{
    auto_buf struct buf out = {0};
    struct err e;

    buf_add_str(&out, "something old", &e);
    CHECK_INT(report_error("A\"B", "line\n\\\x01", &out, &e), 0);
    CHECK_STR(buf_str(&out), "{\"errorType\":\"A\\\"B\",\"errorMessage\":\"line\\n\\\\\\u0001\"}");
    CHECK_INT(out.used, strlen(out.data));
    CHECK_INT(buf_add_str(&out, " and more", &e), 0);
}

static const char *words_of(uint32_t cause, int value)
{
    static struct buf out;
    struct proto_exited m = {.cause = cause, .value = value};
    struct err e;

    CHECK_INT(report_exit(&m, "ID", &out, &e), 0);
    return buf_str(&out);
}

TEST(ends_in_the_words_of_AWS)
{
    CHECK_STR(words_of(PROTO_EXIT_STATUS, 0),
              "{\"errorType\":\"Runtime.ExitError\",\"errorMessage\":\"RequestId: ID Error: "
              "Runtime exited without providing a reason\"}");
    CHECK_HAS(words_of(PROTO_EXIT_STATUS, 255), "Runtime exited with error: exit status 255\"");
    CHECK_HAS(words_of(PROTO_EXIT_SIGNAL, 9), "signal: killed\"");
    CHECK_HAS(words_of(PROTO_EXIT_SIGNAL, 11), "signal: segmentation fault\"");
    CHECK_HAS(words_of(PROTO_EXIT_SIGNAL, 10), "signal: signal 10\"");
    CHECK_HAS(words_of(PROTO_EXIT_SIGNAL, -5), "signal: signal -5\"");
    CHECK_HAS(words_of(PROTO_EXIT_SIGNAL, 1000000), "signal: signal 1000000\"");
    CHECK_HAS(words_of(PROTO_EXIT_KILLED, 0), "signal: killed\"");
    CHECK_HAS(words_of(99, 0), "signal: killed\"");
}

TEST(timeout_is_told_and_logged)
{
    auto_buf struct buf out = {0};
    struct err e;

    CHECK_INT(report_timeout(&instance, "ID", 3, &out, &e), 0);
    CHECK_STR(buf_str(&out),
              "{\"errorType\":\"Sandbox.Timedout\",\"errorMessage\":\"RequestId: ID Error: Task timed out "
              "after 3.00 seconds\"}");
    CHECK_HAS(logged, "Z ID Task timed out after 3.00 seconds\n\n");
}
