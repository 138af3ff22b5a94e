// links: sandbox/options.c sandbox/base/err.c
#include "../../sandbox/options.h"

#include <errno.h>

#include "check.h"

static struct options options;
static struct err e;

#define PARSE(...) parse((const char *[]){"fnrun-warden", __VA_ARGS__, NULL})

static int parse(const char **argv)
{
    int argc = 0;

    while (argv[argc])
        argc++;
    return options_parse(argc, (char **)argv, &options, &e);
}

TEST(defaults)
{
    CHECK_INT(PARSE("--state", "/s"), 0);
    CHECK_STR(options.state, "/s");
    CHECK_STR(options.listen, "127.0.0.1:4566");
    CHECK_INT(options.max_sandboxes, 1100);
    CHECK_INT(options.uid_base, 0);
    CHECK(!options.libexec && !options.user && !options.verbose && !options.help);
}

TEST(value_behind_a_space_or_an_equals_sign)
{
    CHECK_INT(PARSE("--state=/a=b", "--uid-base", "18446744073709551615", "--verbose"), 0);
    CHECK_STR(options.state, "/a=b");
    CHECK(options.uid_base == UINT64_MAX);
    CHECK(options.verbose);
    CHECK_INT(PARSE("--state=", "--listen", "--verbose"), 0);
    CHECK_STR(options.state, "");
    CHECK_STR(options.listen, "--verbose");
}

TEST(numbers_that_are_none)
{
    static const char *const texts[] = {"",    "-1", " -1", "+1", "1x", "0x10", "1 ", "18446744073709551616",
                                        "one", " 1", "\n1"};

    for (unsigned i = 0; i < ARRAY_LEN(texts); i++) {
        options.uid_base = 77;
        if (!CHECK_INT(PARSE("--state=/s", "--uid-base", texts[i]), -EINVAL))
            printf("# \"%s\" is %llu\n", texts[i], (unsigned long long)options.uid_base);
        CHECK_INT(options.uid_base, 77); /* nothing is written by what fails */
    }
}

TEST(command_lines_that_are_refused)
{
    CHECK_INT(PARSE("--verbose"), -EINVAL);
    CHECK_HAS(e.msg, "--state is required");
    CHECK_INT(PARSE("--state"), -EINVAL);
    CHECK_HAS(e.msg, "needs a value");
    CHECK_INT(PARSE("--state=/s", "--verbose=1"), -EINVAL);
    CHECK_HAS(e.msg, "takes no value");
    CHECK_INT(PARSE("--state=/s", "--stat=/x"), -EINVAL);
    CHECK_INT(PARSE("--state=/s", "-v"), -EINVAL);
    CHECK_INT(PARSE("--state=/s", "--"), -EINVAL);
    CHECK_INT(PARSE("--state=/s", "x"), -EINVAL);
    CHECK_INT(PARSE("--state=/s", ""), -EINVAL);
    CHECK_INT(PARSE("--help"), 0);
    CHECK(options.help);
}

TEST(lists_have_an_end)
{
    const char *argv[OPTIONS_MANAGER_ARGS_MAX + 4] = {"fnrun-warden", "--state=/s"};

    for (int i = 0; i < OPTIONS_MANAGER_ARGS_MAX; i++)
        argv[2 + i] = "--manager-arg=--x=1";
    CHECK_INT(parse(argv), 0);
    CHECK_INT(options.manager_args.count, OPTIONS_MANAGER_ARGS_MAX);
    CHECK_STR(options.manager_args.item[OPTIONS_MANAGER_ARGS_MAX - 1], "--x=1");
    argv[2 + OPTIONS_MANAGER_ARGS_MAX] = "--manager-arg=y";
    CHECK_INT(parse(argv), -EINVAL);
}
