// links: manager/lambda_upload.c manager/base64.c sandbox/base/buf.c sandbox/base/fd.c sandbox/base/err.c -lcrypto
#include "../../manager/lambda_upload.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../sandbox/base/fd.h"
#include "check.h"

int packages_new_file(UNUSED struct packages *ps, struct err *e)
{
    int fd = memfd_create("zip", MFD_CLOEXEC);

    return fd < 0 ? err_errno(e, "memfd") : fd;
}

struct taken {
    int rc;
    enum upload_state state;
    char json[1024], zip[256];
};

/* Feeds a body in pieces, each in memory of its own. */
static struct taken take(const char *parent, const char *body, size_t piece)
{
    struct upload *u = upload_create(NULL, parent, 100000, 1000);
    struct taken t = {0};
    auto_fd int fd = -1;
    struct err e;

    for (size_t i = 0, size = strlen(body); i < size && t.rc == 0; i += piece) {
        size_t n = MIN(piece, size - i);
        char *copy = malloc(n);

        memcpy(copy, body + i, n);
        t.rc = upload_feed(u, copy, n);
        free(copy);
    }
    snprintf(t.json, sizeof(t.json), "%s", buf_str(upload_json(u)));
    t.state = upload_take(u, &fd, &e);
    if (fd >= 0 && pread(fd, t.zip, sizeof(t.zip) - 1, 0) < 0)
        t.rc = -errno;
    upload_free(u);
    return t;
}

/* The same in pieces of every length. */
static void is_taken(const char *parent, const char *body, enum upload_state state, const char *json, const char *zip)
{
    for (size_t piece = 1; piece <= strlen(body); piece++) {
        struct taken t = take(parent, body, piece);

        if (!CHECK_INT(t.rc, 0) || !CHECK_INT(t.state, state) || !CHECK_STR(t.json, json) ||
            (zip && !CHECK_STR(t.zip, zip))) {
            printf("# %s in pieces of %zu\n", body, piece);
            return;
        }
    }
}

TEST(zip_goes_to_a_file_and_the_rest_stays)
{
    is_taken("Code", "{\"A\":1,\"Code\":{\"ZipFile\":\"Zm9vYmFy\",\"X\":\"y\"},\"B\":\"z\"}", UPLOAD_GOOD,
             "{\"A\":1,\"Code\":{\"ZipFile\":\"\",\"X\":\"y\"},\"B\":\"z\"}", "foobar");
    is_taken(NULL, "{ \"ZipFile\" : \"Zm8=\" , \"Publish\":true}", UPLOAD_GOOD,
             "{ \"ZipFile\" : \"\" , \"Publish\":true}", "fo");
    is_taken("Code", "{\"Code\":{\"ZipFile\":\"\"}}", UPLOAD_GOOD, "{\"Code\":{\"ZipFile\":\"\"}}", "");
}

TEST(members_that_only_look_like_the_zip)
{
    static const char *const bodies[] = {
        "{\"ZipFile\":\"Zm9v\"}",                    /* not in Code */
        "{\"Code\":[{\"ZipFile\":\"Zm9v\"}]}",       /* too deep */
        "{\"Code\":{\"X\":{\"ZipFile\":\"Zm9v\"}}}", /* too deep */
        "{\"Codes\":{\"ZipFile\":\"Zm9v\"}}",        /* in something else */
        "{\"Code\":{\"ZipFiles\":\"Zm9v\"}}",
        "{\"Code\":{\"ZipFile\":{\"ZipFile\":\"Zm9v\"}}}",
        "{\"Code\":\"ZipFile\",\"x\":\"Zm9v\"}",
        "{\"X\":\"{\\\"Code\\\":{\\\"ZipFile\\\":\\\"Zm9v\\\"}}\"}", /* in a string */
        "[{\"Code\":{\"ZipFile\":\"Zm9v\"}}]",
        "{\"Code\":{\"averylongnamethatendsinZipFile\":\"Zm9v\"}}",
        "{\"Code\":{\"\":\"ZipFile\",\"x\":\"Zm9v\"}}",
        "\"ZipFile\"",
        "",
    };

    for (unsigned i = 0; i < ARRAY_LEN(bodies); i++)
        is_taken("Code", bodies[i], UPLOAD_NONE, bodies[i], NULL);
}

TEST(slashes_may_be_escaped_and_nothing_else)
{
    is_taken(NULL, "{\"ZipFile\":\"\\/\\/\\/\\/\"}", UPLOAD_GOOD, "{\"ZipFile\":\"\"}", "\xff\xff\xff");
    is_taken(NULL, "{\"ZipFile\":\"Zm9\\u0076\"}", UPLOAD_BAD_BASE64, "{\"ZipFile\":\"\"}", NULL);
    is_taken(NULL, "{\"ZipFile\":\"Zm9v\\n\"}", UPLOAD_BAD_BASE64, "{\"ZipFile\":\"\"}", NULL);
    is_taken(NULL, "{\"ZipFile\":\"Zm9v\\\"\"}", UPLOAD_BAD_BASE64, "{\"ZipFile\":\"\"}", NULL);
}

TEST(zips_that_are_no_base64)
{
    static const char *const zips[] = {"Zm9", "Z", "Zm 9v", "Zm9v=", "Zg==Zg==", "\xc3\xa4", "!!!!"};

    for (unsigned i = 0; i < ARRAY_LEN(zips); i++) {
        char body[100];

        snprintf(body, sizeof(body), "{\"ZipFile\":\"%s\"}", zips[i]);
        is_taken(NULL, body, UPLOAD_BAD_BASE64, "{\"ZipFile\":\"\"}", NULL);
    }
}

TEST(last_of_two_zips_counts)
{
    is_taken(NULL, "{\"ZipFile\":\"Zm9vYmFy\",\"ZipFile\":\"Zm8=\"}", UPLOAD_GOOD,
             "{\"ZipFile\":\"\",\"ZipFile\":\"\"}", "fo");
    is_taken(NULL, "{\"ZipFile\":\"!\",\"ZipFile\":\"Zm8=\"}", UPLOAD_GOOD, "{\"ZipFile\":\"\",\"ZipFile\":\"\"}",
             "fo");
    is_taken(NULL, "{\"ZipFile\":\"Zm8=\",\"ZipFile\":\"!\"}", UPLOAD_BAD_BASE64, "{\"ZipFile\":\"\",\"ZipFile\":\"\"}",
             NULL);
}

/* A text that is no JSON may be misread, but json_check must still see that it is none. */
TEST(broken_JSON_stays_broken)
{
    static const char *const bodies[] = {"}}}}{\"ZipFile\":\"x\"", "]{[}\"\\", "{\"ZipFile\":\"Zm9v",
                                         "{{{{{{{{{{\"ZipFile\":\"", "{\"ZipFile\" \"Zm9v\"}"};

    for (unsigned i = 0; i < ARRAY_LEN(bodies); i++)
        for (size_t piece = 1; piece < 30; piece++) {
            struct taken t = take(NULL, bodies[i], piece);

            CHECK_INT(t.rc, 0);
            CHECK(t.json[0] && !strstr(t.json, "\"ZipFile\":\"\"}"));
        }
}

TEST(request_and_its_JSON_have_limits)
{
    struct upload *u = upload_create(NULL, NULL, 50, 10);

    CHECK_INT(upload_feed(u, "{\"a\":12345", 10), 0);
    CHECK_INT(upload_feed(u, "6", 1), -EMSGSIZE);
    upload_free(u);
    u = upload_create(NULL, NULL, 20, 1000);
    CHECK_INT(upload_feed(u, "{\"a\":12345678901234", 20), 0);
    CHECK_INT(upload_feed(u, "5", 1), -EMSGSIZE);
    upload_free(u);
}

TEST(zip_beyond_its_limit_is_not_kept)
{
    enum { PIECE = 1 << 20 };
    struct upload *u = upload_create(NULL, NULL, UINT64_MAX, 1000);
    char *piece = malloc(PIECE);
    int fd = -1;
    struct err e;

    memset(piece, 'A', PIECE);
    upload_feed(u, "{\"ZipFile\":\"", 12);
    for (uint64_t sent = 0; sent < PACKAGE_ZIP_MAX / 3 * 4 + PIECE; sent += PIECE)
        CHECK_INT(upload_feed(u, piece, PIECE), 0);
    upload_feed(u, "\"}", 2);
    CHECK_INT(upload_take(u, &fd, &e), UPLOAD_TOO_LARGE);
    CHECK_INT(fd, -1);
    CHECK_STR(buf_str(upload_json(u)), "{\"ZipFile\":\"\"}");
    upload_free(u);
    free(piece);
}
