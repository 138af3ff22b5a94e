// links: sandbox/base/err.c
#include <errno.h>

#include "../../sandbox/base/err.h"
#include "check.h"

TEST(failure_returns_its_negative_code)
{
    struct err e;

    CHECK_INT(err_set(&e, ENOENT, "open %s", "x"), -ENOENT);
    CHECK_INT(e.code, ENOENT);
    CHECK_STR(e.msg, "open x");
}

TEST(code_that_would_look_like_success_becomes_EIO)
{
    struct err e;

    CHECK_INT(err_set(&e, 0, "nothing"), -EIO);
    CHECK_INT(err_set(&e, -ENOENT, "negated"), -EIO);
    errno = 0;
    CHECK_INT(err_errno(&e, "no errno"), -EIO);
    CHECK_STR(e.msg, "no errno: Input/output error");
}

TEST(errno_is_read_before_anything_changes_it)
{
    struct err e;

    errno = EACCES;
    CHECK_INT(err_errno(&e, "%s %d", "open", 7), -EACCES);
    CHECK_STR(e.msg, "open 7: Permission denied");
}

TEST(text_grows_from_the_outside)
{
    struct err e;

    err_set(&e, ENOENT, "memory.max");
    CHECK_INT(err_wrap(&e, "cgroup %d", 3), -ENOENT);
    err_wrap(&e, "create sandbox");
    CHECK_STR(e.msg, "create sandbox: cgroup 3: memory.max");
}

TEST(own_text_may_be_an_argument_of_its_wrap)
{
    struct err e;

    err_set(&e, ENOENT, "inner");
    err_wrap(&e, "again");
    CHECK_STR(e.msg, "again: inner");
}

/* A client chooses names that appear in errors. */
TEST(texts_that_are_too_long_are_cut_and_ended)
{
    char longer[2000];
    struct err e;

    memset(longer, 'a', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    CHECK_INT(err_set(&e, EPROTO, "%s", longer), -EPROTO);
    CHECK_INT(strlen(e.msg), sizeof(e.msg) - 1);
    CHECK_INT(err_wrap(&e, "outer"), -EPROTO);
    CHECK_INT(strlen(e.msg), sizeof(e.msg) - 1);
    CHECK_INT(strncmp(e.msg, "outer: aaa", 10), 0);
    CHECK_INT(err_wrap(&e, "%s", longer), -EPROTO);
    CHECK_INT(strlen(e.msg), sizeof(e.msg) - 1);
    errno = ENOSPC;
    CHECK_INT(err_errno(&e, "%s", longer), -ENOSPC);
    CHECK_INT(strlen(e.msg), sizeof(e.msg) - 1);
}

/* Texts come from others: a percent sign in one is not a format. */
TEST(inner_text_is_no_format)
{
    struct err e;

    err_set(&e, EPROTO, "%s", "100%s %n");
    err_wrap(&e, "outer");
    CHECK_STR(e.msg, "outer: 100%s %n");
}
