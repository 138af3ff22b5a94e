// links: sandbox/base/buf.c sandbox/base/err.c
#include "../../sandbox/base/buf.h"

#include <errno.h>
#include <stdint.h>

#include "check.h"

TEST(empty_buffer_is_an_empty_string)
{
    auto_buf struct buf b = {0};
    struct err e;

    CHECK_STR(buf_str(&b), "");
    CHECK_INT(buf_add(&b, NULL, 0, &e), 0);
    CHECK_STR(b.data, "");
    buf_consume(&b, 0);
    CHECK_STR(buf_str(&b), "");
}

TEST(data_is_ended_by_a_NUL_after_every_change)
{
    auto_buf struct buf b = {0};
    struct err e;

    buf_add_str(&b, "abcdef", &e);
    CHECK_STR(b.data, "abcdef");
    buf_addf(&b, &e, "%d%s", 42, "!");
    CHECK_STR(b.data, "abcdef42!");
    buf_consume(&b, 3);
    CHECK_STR(b.data, "def42!");
    buf_consume(&b, 6);
    CHECK_STR(b.data, "");
    CHECK_INT(b.used, 0);
}

TEST(cap_can_be_filled_to_the_last_byte_and_no_further)
{
    auto_buf struct buf b = {.cap = 10};
    struct err e;

    CHECK_INT(buf_add(&b, "0123456789", 10, &e), 0);
    CHECK_STR(b.data, "0123456789");
    CHECK_INT(buf_add(&b, "", 0, &e), 0);
    CHECK_INT(buf_add(&b, "x", 1, &e), -EMSGSIZE);
    CHECK_INT(buf_addf(&b, &e, "%s", "x"), -EMSGSIZE);
    CHECK_INT(buf_add_str(&b, "x", &e), -EMSGSIZE);
    CHECK_INT(b.used, 10);
    CHECK_STR(b.data, "0123456789");
}

TEST(failed_add_adds_nothing)
{
    auto_buf struct buf b = {.cap = 10};
    struct err e;

    buf_add_str(&b, "01234567", &e);
    CHECK_INT(buf_add_str(&b, "abc", &e), -EMSGSIZE);
    CHECK_STR(b.data, "01234567");
    CHECK_INT(buf_add_str(&b, "89", &e), 0);
    CHECK_STR(b.data, "0123456789");
}

/* A length that a peer has announced: used + more must not wrap around. */
TEST(size_near_the_end_of_the_address_space_is_too_large)
{
    auto_buf struct buf b = {.cap = 100};
    struct err e;

    buf_add_str(&b, "0123456789", &e);
    CHECK_INT(buf_reserve(&b, SIZE_MAX, &e), -EMSGSIZE);
    CHECK_INT(buf_reserve(&b, SIZE_MAX - 5, &e), -EMSGSIZE);
    CHECK_INT(buf_reserve(&b, 91, &e), -EMSGSIZE);
    CHECK_INT(buf_reserve(&b, 90, &e), 0);
    CHECK_STR(b.data, "0123456789");
}

TEST(default_cap_holds_where_none_is_set)
{
    auto_buf struct buf b = {0};
    struct err e;

    CHECK_INT(buf_reserve(&b, BUF_DEFAULT_CAP + 1, &e), -EMSGSIZE);
    CHECK(b.data == NULL);
    CHECK_INT(buf_reserve(&b, 1000, &e), 0);
}

TEST(reserve_alone_changes_no_content)
{
    auto_buf struct buf b = {0};
    struct err e;

    CHECK_INT(buf_reserve(&b, 5000, &e), 0);
    CHECK(b.size > 5000);
    CHECK_INT(b.used, 0);
    CHECK_STR(b.data, "");
}

TEST(growth_keeps_what_is_there)
{
    auto_buf struct buf b = {0};
    bool same = true;
    struct err e;

    for (unsigned i = 0; i < 100000; i++)
        buf_add(&b, &(unsigned char){(unsigned char)(i * 7)}, 1, &e);
    for (unsigned i = 0; i < 100000; i++)
        same = same && (unsigned char)b.data[i] == (unsigned char)(i * 7);
    CHECK_INT(b.used, 100000);
    CHECK(same);
    CHECK(b.size < 400000);
}

TEST(bytes_may_be_NUL)
{
    auto_buf struct buf b = {0};
    struct err e;

    buf_add(&b, "a\0b", 3, &e);
    buf_add(&b, "\0", 1, &e);
    CHECK_INT(b.used, 4);
    CHECK_MEM(b.data, "a\0b\0", 5);
}

TEST(cleared_buffer_keeps_its_memory_and_starts_anew)
{
    auto_buf struct buf b = {0};
    const char *data;
    struct err e;

    buf_add_str(&b, "something", &e);
    data = b.data;
    buf_clear(&b);
    CHECK_STR(buf_str(&b), "");
    buf_add_str(&b, "new", &e);
    CHECK(b.data == data);
    CHECK_STR(b.data, "new");
}

TEST(freed_buffer_can_be_used_again)
{
    auto_buf struct buf b = {0};
    struct err e;

    buf_add_str(&b, "x", &e);
    buf_free(&b);
    CHECK(b.data == NULL && b.used == 0 && b.size == 0);
    CHECK_INT(buf_add_str(&b, "y", &e), 0);
    CHECK_STR(b.data, "y");
}
