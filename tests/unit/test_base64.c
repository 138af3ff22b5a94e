// links: manager/base64.c -lcrypto
#include "../../manager/base64.h"

#include <stdlib.h>

#include "check.h"

/* Decodes in pieces of `piece` characters; -1 where it is no base64 or ends too early. */
static long decode(const char *text, size_t piece, unsigned char *out)
{
    struct base64_decoder d = {0};
    size_t size = strlen(text);
    long total = 0;

    for (size_t i = 0; i < size; i += piece) {
        long n = base64_decode(&d, text + i, size - i < piece ? size - i : piece, out + total);

        if (n < 0)
            return -1;
        total += n;
    }
    return base64_complete(&d) ? total : -1;
}

TEST(vectors_of_the_standard_both_ways)
{
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};

    for (unsigned i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
        const char *plain = pairs[i][0], *coded = pairs[i][1];
        char text[BASE64_SIZE(6)];
        unsigned char bytes[12];

        base64_encode(plain, strlen(plain), text);
        CHECK_STR(text, coded);
        CHECK_INT(decode(coded, 100, bytes), strlen(plain));
        CHECK_MEM(bytes, plain, strlen(plain));
    }
}

TEST(pieces_of_any_length_give_the_same_bytes)
{
    unsigned char bytes[256], out[300];
    char text[BASE64_SIZE(sizeof(bytes))];

    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(255 - i);
    base64_encode(bytes, sizeof(bytes), text);
    CHECK_INT(strlen(text) + 1, sizeof(text));
    for (size_t piece = 1; piece < 20; piece++) {
        CHECK_INT(decode(text, piece, out), sizeof(bytes));
        CHECK_MEM(out, bytes, sizeof(bytes));
    }
}

/* The room that the header promises to be enough: 3 bytes for every 4, and 3 more. */
TEST(decoder_writes_no_further_than_it_says)
{
    for (size_t carried = 0; carried < 4; carried++)
        for (size_t size = 0; size < 40; size++) {
            struct base64_decoder d = {0};
            unsigned char first[3], *out = malloc(size / 4 * 3 + 3);
            char text[64];

            memset(text, 'A', sizeof(text));
            base64_decode(&d, text, carried, first);
            CHECK_INT(base64_decode(&d, text, size, out), (carried + size) / 4 * 3);
            free(out);
        }
}

TEST(what_is_no_base64_is_refused)
{
    static const char *const texts[] = {"Zg",    "Zg=",      "Z",     "Z===",   "====", "=",    "Zg==Zg==", "Zg=v",
                                        "Zm9v=", "Zm9vZg=a", "Zm 9v", "Zm9v\n", "Zm9-", "Zm9_", "Zm9\xc3",  "Zg==="};
    unsigned char out[64];

    for (unsigned i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        for (size_t piece = 1; piece < 5; piece++)
            if (decode(texts[i], piece, out) >= 0)
                check_note(false, __FILE__, __LINE__, "\"%s\" is taken", texts[i]);
}

TEST(every_byte_that_has_no_value_is_refused)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char out[8];

    for (int byte = 0; byte < 256; byte++) {
        struct base64_decoder d = {0};
        char text[4] = {'A', 'A', 'A', (char)byte};
        bool wanted = byte == '=' || (byte && strchr(alphabet, byte));

        if ((base64_decode(&d, text, 4, out) >= 0) != wanted)
            check_note(false, __FILE__, __LINE__, "byte %d", byte);
    }
}

TEST(digest_in_hex_becomes_base64)
{
    char text[45];

    /* sha256 of nothing */
    base64_from_hex_digest("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", text);
    CHECK_STR(text, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
}

TEST(hex_digest_that_is_too_short_is_not_read_behind_its_end)
{
    char text[45], *hex = strdup("e3b");

    base64_from_hex_digest(hex, text);
    CHECK_INT(strlen(text), 44);
    CHECK_INT(strncmp(text, "4wAA", 4), 0);
    free(hex);
}
