// links: tests/unit/fake_http.c manager/route.c
#include "../../manager/manager.h"
#include "check.h"
#include "fake_http.h"

static const char *chosen;

static void on_lambda(struct http_request *r)
{
    chosen = r->handlers == &lambda_service ? "lambda" : "?";
}

static void on_store(struct http_request *r)
{
    chosen = r->handlers == &store_service ? "store" : "?";
}

static void on_private(struct http_request *r)
{
    chosen = r->handlers == &private_service ? "private" : "?";
}

const struct http_handlers lambda_service = {.on_headers = on_lambda};
const struct http_handlers store_service = {.on_headers = on_store};
const struct http_handlers private_service = {.on_headers = on_private};

static const char *route(const char *path)
{
    auto_free char *copy = strdup(path); /* so that a look behind its end is seen */
    struct http_request r = {.path = copy, .handlers = &route_handlers};

    chosen = "none";
    route_handlers.on_headers(&r);
    return chosen;
}

static void sign_for(const char *service)
{
    static char text[200];
    static struct fake_pair headers[] = {{"Authorization", text}, {NULL, NULL}};

    snprintf(text, sizeof(text),
             "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/%s/aws4_request, SignedHeaders=host, Signature=0",
             service);
    fake_headers = headers;
    fake_query = NULL;
}

static void unsign(void)
{
    fake_headers = fake_query = NULL;
}

TEST(unsigned_requests_go_by_their_path)
{
    unsign();
    CHECK_STR(route("/2015-03-31/functions/f/invocations"), "lambda");
    CHECK_STR(route("/2015-03-31/"), "lambda");
    CHECK_STR(route("/"), "store");
    CHECK_STR(route("/bucket/key"), "store");
    CHECK_STR(route("/_fnrun/status"), "private");
}

TEST(paths_that_only_look_like_an_API_date_are_buckets)
{
    static const char *const paths[] = {"/2015-03-31",  "/2015-03-3/x",  "/2015-03-311/",
                                        "/x015-03-31/", "/2015_03_31/x", "//2015-03-31/x",
                                        "/2015",        "/2015-",        "",
                                        "2015-03-31/x", "/_fnrun",       "/_FNRUN/status"};

    unsign();
    for (unsigned i = 0; i < ARRAY_LEN(paths); i++)
        if (!CHECK_STR(route(paths[i]), "store"))
            printf("# %s\n", paths[i]);
}

TEST(signature_says_the_service_whatever_the_path)
{
    sign_for("s3");
    CHECK_STR(route("/2015-03-31/functions"), "store");
    sign_for("lambda");
    CHECK_STR(route("/bucket/key"), "lambda");
    CHECK_STR(route("/"), "lambda");
}

TEST(service_that_we_do_not_have_goes_by_the_path)
{
    sign_for("sqs");
    CHECK_STR(route("/2015-03-31/functions"), "lambda");
    CHECK_STR(route("/bucket"), "store");
    sign_for("xlambda");
    CHECK_STR(route("/bucket"), "store");
}

TEST(presigned_requests_carry_their_scope_as_an_argument)
{
    static const struct fake_pair query[] = {{"X-Amz-Credential", "AKID/20260101/us-east-1/s3/aws4_request"},
                                             {NULL, NULL}};

    unsign();
    fake_query = query;
    CHECK_STR(route("/2015-03-31/key"), "store");
}

TEST(header_is_believed_before_the_argument)
{
    static const struct fake_pair query[] = {{"X-Amz-Credential", "AKID/20260101/us-east-1/s3/aws4_request"},
                                             {NULL, NULL}};

    sign_for("lambda");
    fake_query = query;
    CHECK_STR(route("/x"), "lambda");
}

TEST(private_paths_are_private_however_they_are_signed)
{
    sign_for("s3");
    CHECK_STR(route("/_fnrun/status"), "private");
    sign_for("lambda");
    CHECK_STR(route("/_fnrun/"), "private");
}
