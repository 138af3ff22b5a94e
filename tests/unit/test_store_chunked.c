// links: manager/store_chunked.c
#include "../../manager/store_chunked.h"

#include <errno.h>
#include <stdlib.h>

#include "check.h"

static char data[4096], trailers[4096];
static size_t data_size;
static int refusal; /* what on_data gives */

static int on_data(struct chunked *c, const char *piece, size_t size)
{
    (void)c;
    if (data_size + size <= sizeof(data))
        memcpy(data + data_size, piece, size);
    data_size += size;
    return refusal;
}

static int on_trailer(struct chunked *c, const char *name, const char *value)
{
    (void)c;
    strcat(strcat(strcat(strcat(trailers, name), "="), value), ";");
    return strcmp(name, "refused") == 0 ? -EPERM : 0;
}

/* Feeds the body in pieces, each in memory of its own so that no byte behind it can be read. */
static int feed(struct chunked *c, const char *body, size_t size, size_t piece)
{
    int rc = 0;

    *c = (struct chunked){.on_data = on_data, .on_trailer = on_trailer};
    data_size = 0;
    trailers[0] = '\0';
    for (size_t i = 0; i < size && rc == 0; i += piece) {
        size_t n = size - i < piece ? size - i : piece;
        char *copy = malloc(n);

        memcpy(copy, body + i, n);
        rc = chunked_feed(c, copy, n);
        free(copy);
    }
    return rc;
}

static int feed_text(struct chunked *c, const char *body)
{
    return feed(c, body, strlen(body), 1000);
}

TEST(signed_chunks_and_trailers_in_pieces_of_any_length)
{
    static const char body[] = "5;chunk-signature=abc\r\nhello\r\nA\r\n, world!!\n\r\n0;chunk-signature=d\r\n"
                               "x-amz-checksum-crc32:  AAAAAA==\r\nx-other:b:c\r\n\r\n";
    struct chunked c;

    for (size_t piece = 1; piece < sizeof(body); piece++) {
        CHECK_INT(feed(&c, body, sizeof(body) - 1, piece), 0);
        CHECK_INT(data_size, 15);
        CHECK_MEM(data, "hello, world!!\n", 15);
        CHECK_STR(trailers, "x-amz-checksum-crc32=AAAAAA==;x-other=b:c;");
        CHECK(chunked_complete(&c));
    }
}

TEST(body_without_bytes)
{
    struct chunked c;

    CHECK_INT(feed_text(&c, "0\r\n\r\n"), 0);
    CHECK(chunked_complete(&c));
    CHECK_INT(data_size, 0);
}

TEST(empty_line_at_the_end_may_be_missing_but_nothing_else)
{
    static const char body[] = "3\r\nabc\r\n0\r\nname:value\r\n";
    struct chunked c;

    CHECK_INT(feed_text(&c, body), 0);
    CHECK(chunked_complete(&c));
    CHECK_INT(feed_text(&c, "3\r\nabc\r\n0\r\n"), 0);
    CHECK(chunked_complete(&c));
    for (size_t size = 0; size < sizeof(body) - 1; size++) {
        feed(&c, body, size, 1000);
        if (chunked_complete(&c) && size != strlen("3\r\nabc\r\n0\r\n"))
            check_note(size == strlen("3\r\nabc\r\n0\r\n"), __FILE__, __LINE__, "%zu bytes are complete", size);
    }
}

TEST(chunk_sizes_that_are_none)
{
    static const char *const bodies[] = {"\r\n",
                                         ";x\r\n",
                                         "x\r\n",
                                         "-1\r\n",
                                         "+5\r\n",
                                         "0x5\r\n",
                                         " 5\r\n",
                                         "5g\r\n",
                                         "5,\r\n",
                                         "1000000000000000\r\n",
                                         "ffffffffffffffff\r\n",
                                         "00000000000000005\r\n"};
    struct chunked c;

    for (unsigned i = 0; i < sizeof(bodies) / sizeof(*bodies); i++)
        if (feed_text(&c, bodies[i]) != -EBADMSG)
            check_note(false, __FILE__, __LINE__, "\"%s\" is taken", bodies[i]);
}

TEST(largest_chunk_size_does_not_overflow)
{
    struct chunked c;

    CHECK_INT(feed_text(&c, "fffffffffffffff\r\nabc"), 0);
    CHECK_INT(data_size, 3);
    CHECK(c.left == UINT64_C(0xfffffffffffffff) - 3);
    CHECK(!chunked_complete(&c));
}

TEST(data_must_end_where_its_chunk_does)
{
    struct chunked c;

    CHECK_INT(feed_text(&c, "3\r\nabcd\r\n0\r\n\r\n"), -EBADMSG);
    CHECK_INT(feed_text(&c, "3\r\nabc0\r\n\r\n"), -EBADMSG);
    CHECK_INT(data_size, 3);
}

TEST(nothing_may_follow_the_end)
{
    struct chunked c;

    CHECK_INT(feed_text(&c, "0\r\n\r\nx"), -EBADMSG);
    CHECK_INT(feed_text(&c, "0\r\n\r\n\r\n"), -EBADMSG);
    CHECK_INT(feed_text(&c, "0\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), -EBADMSG);
    CHECK_INT(data_size, 0);
}

TEST(lines_have_a_greatest_length)
{
    char body[5000] = "5;chunk-signature=";
    struct chunked c;

    memset(body + strlen(body), 'a', sizeof(body) - strlen(body));
    for (size_t piece = 1; piece <= sizeof(body); piece *= 7)
        CHECK_INT(feed(&c, body, sizeof(body), piece), -EBADMSG);
    CHECK(c.line_used < sizeof(c.line));
}

TEST(longest_line_that_fits_is_taken)
{
    char body[sizeof(((struct chunked *)0)->line) + 1];
    struct chunked c;

    memset(body, 'a', sizeof(body));
    memcpy(body, "3;", 2);
    body[sizeof(body) - 2] = '\n';
    CHECK_INT(feed(&c, body, sizeof(body) - 1, 1000000), 0);
    CHECK_INT(c.state, CHUNKED_DATA);
    body[sizeof(body) - 2] = 'a';
    body[sizeof(body) - 1] = '\n';
    CHECK_INT(feed(&c, body, sizeof(body), 1000000), -EBADMSG);
}

TEST(trailer_without_a_colon_is_refused)
{
    struct chunked c;

    CHECK_INT(feed_text(&c, "0\r\nno colon\r\n\r\n"), -EBADMSG);
    CHECK_INT(feed(&c, "0\r\na\0:b\r\n\r\n", 12, 100), -EBADMSG);
    CHECK_STR(trailers, "");
}

TEST(callbacks_can_stop_it)
{
    struct chunked c;

    CHECK_INT(feed_text(&c, "0\r\nrefused:1\r\nlater:2\r\n\r\n"), -EPERM);
    CHECK_STR(trailers, "refused=1;");
    refusal = -ENOSPC;
    CHECK_INT(feed_text(&c, "3\r\nabc\r\n0\r\n\r\n"), -ENOSPC);
    refusal = 0;
}
