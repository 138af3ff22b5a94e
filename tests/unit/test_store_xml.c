// links: manager/store_xml.c sandbox/base/buf.c sandbox/base/err.c -lexpat
#include "../../manager/store_xml.h"

#include <errno.h>

#include "check.h"

static char seen[4096];

/* Collects "path=text;". */
static int collect(void *ctx, const char *path, const char *text)
{
    const char *refused = ctx;

    if (refused && strcmp(path, refused) == 0)
        return -EPERM;
    strncat(seen, path, sizeof(seen) - strlen(seen) - 1);
    strncat(seen, "=", sizeof(seen) - strlen(seen) - 1);
    strncat(seen, text, sizeof(seen) - strlen(seen) - 1);
    strncat(seen, ";", sizeof(seen) - strlen(seen) - 1);
    return 0;
}

static int parse(const char *text, const char *refused)
{
    struct err e;

    seen[0] = '\0';
    return xml_parse(text, strlen(text), collect, (void *)refused, &e);
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

TEST(paths_and_texts_at_the_end_of_every_element)
{
    CHECK_INT(parse("<Delete><Object><Key>a&amp;b&#x41;</Key></Object><Quiet/></Delete>", NULL), 0);
    CHECK_STR(seen, "Delete/Object/Key=a&bA;Delete/Object=;Delete/Quiet=;Delete=;");
}

TEST(text_around_elements_is_not_theirs)
{
    CHECK_INT(parse("<a>1<b>2</b>3<c><![CDATA[<x>]]></c></a>", NULL), 0);
    CHECK_STR(seen, "a/b=2;a/c=<x>;a=;");
}

TEST(what_is_not_well_formed_is_refused)
{
    static const char *const texts[] = {
        "",         "x",           "<a>",         "<a></b>",     "<a/><b/>",       "<a>&none;</a>",
        "<a b=1/>", "<a>\x01</a>", "<a>&#0;</a>", "<a>\xff</a>", "<a b='' b=''/>", "<a>&#xd800;</a>",
        "<a"};

    for (unsigned i = 0; i < ARRAY_LEN(texts); i++)
        if (!CHECK_INT(parse(texts[i], NULL), -EBADMSG))
            printf("# %s\n", texts[i]);
}

/* A billion laughs, and files of the machine. */
TEST(document_types_are_refused_before_they_do_anything)
{
    CHECK_INT(parse("<!DOCTYPE a [<!ENTITY x \"xx\"><!ENTITY y \"&x;&x;\">]><a>&y;</a>", NULL), -EBADMSG);
    CHECK_STR(seen, "");
    CHECK_INT(parse("<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>", NULL), -EBADMSG);
    CHECK_INT(parse("<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>", NULL), -EBADMSG);
    CHECK_STR(seen, "");
}

TEST(deep_nesting_is_refused)
{
    char text[20000] = "";

    for (int i = 0; i < 2000; i++)
        strcat(text, "<abcde>");
    CHECK_INT(parse(text, NULL), -EBADMSG);
    CHECK_STR(seen, "");
    memset(text, 'n', 500);
    text[0] = '<';
    strcpy(text + 500, "/>");
    CHECK_INT(parse(text, NULL), -EBADMSG);
    CHECK_STR(seen, "");
}

TEST(callback_can_stop_it)
{
    CHECK_INT(parse("<a><b>1</b><c>2</c><d>3</d></a>", "a/c"), -EPERM);
    CHECK_STR(seen, "a/b=1;");
    CHECK_INT(parse("<a><b/><c/><d/></a>", "a/b"), -EPERM);
    CHECK_STR(seen, "");
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

TEST(document_as_it_is_written)
{
    auto_xml struct xml x = {.buf = {0}};

    xml_begin(&x, "R", "urn:x");
    xml_uint(&x, "N", UINT64_MAX);
    xml_bool(&x, "B", false);
    xml_etag(&x, "abc-2");
    xml_time(&x, "T", INT64_C(1767225599) * NSEC_PER_SEC + 7 * NSEC_PER_MSEC);
    xml_close(&x, "R");
    CHECK_STR(buf_str(&x.buf),
              "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<R xmlns=\"urn:x\"><N>18446744073709551615</N>"
              "<B>false</B><ETag>&quot;abc-2&quot;</ETag><T>2025-12-31T23:59:59.007Z</T></R>");
}

TEST(names_of_objects_cannot_break_out_of_their_element)
{
    auto_xml struct xml x = {.buf = {0}};

    xml_text(&x, "Key", "</Key><Key>&\"'\n\x7f\x1f\xc3\xa4");
    CHECK_STR(buf_str(&x.buf), "<Key>&lt;/Key&gt;&lt;Key&gt;&amp;&quot;'&#xa;&#x7f;&#x1f;\xc3\xa4</Key>");
}

TEST(what_was_written_reads_as_it_was)
{
    static const char text[] = "a<b>&\"'\t\r\n \xe2\x82\xac]]>";
    auto_xml struct xml x = {.buf = {0}};

    xml_begin(&x, "R", NULL);
    xml_content(&x, text);
    xml_close(&x, "R");
    CHECK_INT(parse(buf_str(&x.buf), NULL), 0);
    CHECK_INT(strncmp(seen, "R=", 2), 0);
    CHECK_INT(strncmp(seen + 2, text, strlen(text)), 0);
    CHECK_STR(seen + 2 + strlen(text), ";");
}

TEST(first_failure_sticks)
{
    auto_xml struct xml x = {.buf = {.cap = 20}};
    size_t used;

    xml_text(&x, "A", "0123456789012345");
    CHECK_INT(x.err.code, EMSGSIZE);
    used = x.buf.used;
    xml_text(&x, "B", "");
    xml_content(&x, "1");
    CHECK_INT(x.buf.used, used);
}
