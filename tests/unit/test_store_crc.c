// links: manager/store_crc.c
#include "../../manager/store_crc.h"

#include "check.h"

/* Bit by bit, as the definition says. */
static uint64_t slow_sum(uint64_t polynomial, uint64_t ones, const unsigned char *p, size_t size)
{
    uint64_t sum = ones;

    for (size_t i = 0; i < size; i++) {
        sum ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            sum = sum & 1 ? sum >> 1 ^ polynomial : sum >> 1;
    }
    return sum ^ ones;
}

/* The check values of the catalogue of CRCs: the sum of "123456789". */
TEST(published_check_values)
{
    CHECK(crc32c_add(0, "123456789", 9) == 0xe3069283);
    CHECK(crc64nvme_add(0, "123456789", 9) == UINT64_C(0xae8b14860a799888));
}

TEST(sum_of_nothing_is_zero_and_changes_nothing)
{
    CHECK(crc32c_add(0, "", 0) == 0);
    CHECK(crc64nvme_add(0, "", 0) == 0);
    CHECK(crc32c_add(0x12345678, "", 0) == 0x12345678);
    CHECK(crc64nvme_add(7, "", 0) == 7);
}

TEST(zeros_count)
{
    static const char zeros[32];

    CHECK(crc32c_add(0, zeros, 32) == 0x8a9136aa); /* RFC 3720, B.4 */
    CHECK(crc64nvme_add(0, zeros, 8) != crc64nvme_add(0, zeros, 9));
}

TEST(every_length_and_alignment_is_as_the_definition_says)
{
    unsigned char bytes[80];

    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(i * 151 + 13);
    for (size_t start = 0; start < 8; start++)
        for (size_t size = 0; size <= 64; size++) {
            CHECK(crc32c_add(0, bytes + start, size) ==
                  slow_sum(UINT64_C(0x82f63b78), UINT64_C(0xffffffff), bytes + start, size));
            CHECK(crc64nvme_add(0, bytes + start, size) ==
                  slow_sum(UINT64_C(0x9a6c9329ac4bc9b5), UINT64_MAX, bytes + start, size));
        }
}

TEST(sum_of_pieces_is_the_sum_of_the_whole)
{
    static const char text[] = "The quick brown fox jumps over the lazy dog, and back again.";
    size_t size = sizeof(text) - 1;

    for (size_t cut = 0; cut <= size; cut++) {
        CHECK(crc32c_add(crc32c_add(0, text, cut), text + cut, size - cut) == crc32c_add(0, text, size));
        CHECK(crc64nvme_add(crc64nvme_add(0, text, cut), text + cut, size - cut) == crc64nvme_add(0, text, size));
    }
}
