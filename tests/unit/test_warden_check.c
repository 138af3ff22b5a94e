// links: sandbox/check.c sandbox/base/err.c
#include "../../sandbox/check.h"

#include <errno.h>
#include <stdint.h>

#include "../../sandbox/base/proto.h"
#include "../../sandbox/state.h"
#include "check.h"

/* A good CREATE with room for strings, to be spoilt. */
struct message {
    struct proto_create create;
    char strings[PROTO_STRINGS_MAX + 100];
};

static struct message m;

static void make_good(void)
{
    static const char strings[] = "/bin/x\0arg\0A=1";

    memset(&m, 0xff, sizeof(m)); /* what isn't checked may be anything */
    m.create = (struct proto_create){.header = {PROTO_VERSION, PROTO_CREATE, 1},
                                     .image = "python3.13",
                                     .image_digest = "0123456789abcdef",
                                     .runtime_dir = "python",
                                     .memory_bytes = 128 << 20,
                                     .tmp_bytes = 512 << 20,
                                     .cpu_millis = 1000,
                                     .lease_ms = 1000,
                                     .argc = 2,
                                     .envc = 1,
                                     .strings_bytes = sizeof(strings)};
    memset(m.create.code_digest, 'a', PROTO_CODE_DIGEST - 1);
    memcpy(m.strings, strings, sizeof(strings));
}

/* Copied into memory that ends where the message does. */
static int check_bytes(const void *data, size_t size, unsigned fds)
{
    auto_free void *copy = malloc(size ? size : 1);
    struct err e;

    memcpy(copy, data, size);
    return check_message(copy, size, fds, &e);
}

static int check_create(void)
{
    /* The strings begin right behind the struct. */
    return check_bytes(&m, sizeof(m.create) + m.create.strings_bytes, 0);
}

#define BAD(change)                      \
    do {                                 \
        make_good();                     \
        change;                          \
        if (check_create() != -EPROTO)   \
            CHECK(!"refused: " #change); \
    } while (0)

#define GOOD(change)                   \
    do {                               \
        make_good();                   \
        change;                        \
        if (check_create() != 0)       \
            CHECK(!"taken: " #change); \
    } while (0)

TEST(good_messages_pass)
{
    struct proto_header kill = {PROTO_VERSION, PROTO_KILL, 1};
    struct proto_number lease = {{PROTO_VERSION, PROTO_LEASE, 1}, PROTO_LEASE_MAX_MS};
    struct proto_number cpu = {{PROTO_VERSION, PROTO_CPU, 1}, 1};

    _Static_assert(offsetof(struct message, strings) == sizeof(struct proto_create), "no gap before the strings");
    GOOD((void)0);
    CHECK_INT(check_bytes(&kill, sizeof(kill), 0), 0);
    CHECK_INT(check_bytes(&lease, sizeof(lease), 0), 0);
    lease.value = 0;
    CHECK_INT(check_bytes(&lease, sizeof(lease), 0), 0);
    CHECK_INT(check_bytes(&cpu, sizeof(cpu), 0), 0);
}

TEST(every_other_size_is_refused)
{
    size_t right = sizeof(m.create);

    make_good();
    right += m.create.strings_bytes;
    for (size_t size = 0; size < right + 50; size++)
        if ((check_bytes(&m, size, 0) == 0) != (size == right))
            check_note(false, __FILE__, __LINE__, "CREATE of %zu bytes", size);
    for (uint32_t kind = PROTO_KILL; kind <= PROTO_CPU; kind++)
        for (size_t size = 0; size < 64; size++) {
            struct proto_number cpu[3] = {{{PROTO_VERSION, kind, 1}, 1}};
            size_t good = kind == PROTO_KILL ? sizeof(struct proto_header) : sizeof(struct proto_number);

            if ((check_bytes(cpu, size, 0) == 0) != (size == good))
                check_note(false, __FILE__, __LINE__, "kind %u of %zu bytes", kind, size);
        }
}

TEST(versions_kinds_and_descriptors_that_nobody_knows)
{
    struct proto_header h = {PROTO_VERSION + 1, PROTO_KILL, 1};

    CHECK_INT(check_bytes(&h, sizeof(h), 0), -EPROTO);
    h.version = PROTO_VERSION;
    CHECK_INT(check_bytes(&h, sizeof(h), 1), -EPROTO);
    for (uint32_t kind = 0; kind < 300; kind++) {
        h.kind = kind;
        CHECK_INT(check_bytes(&h, sizeof(h), 0), kind == PROTO_KILL ? 0 : -EPROTO);
    }
    h.kind = UINT32_MAX;
    CHECK_INT(check_bytes(&h, sizeof(h), 0), -EPROTO);
}

/* DUMP with a descriptor and a request, or with neither. */
TEST(requests_and_descriptors_of_dumps)
{
    struct {
        struct proto_dump dump;
        char request[PROTO_REQUEST_MAX + 1];
    } d = {.dump = {.header = {PROTO_VERSION, PROTO_DUMP, 1}}};

    memset(d.dump.id, 'a', PROTO_SNAPSHOT_ID - 1);
    CHECK_INT(check_bytes(&d, sizeof(d.dump), 0), 0);
    CHECK_INT(check_bytes(&d, sizeof(d.dump), 1), -EPROTO);
    d.dump.request_bytes = PROTO_REQUEST_MAX;
    CHECK_INT(check_bytes(&d, sizeof(d.dump) + PROTO_REQUEST_MAX, 1), 0);
    CHECK_INT(check_bytes(&d, sizeof(d.dump) + PROTO_REQUEST_MAX, 0), -EPROTO);
    CHECK_INT(check_bytes(&d, sizeof(d.dump) + PROTO_REQUEST_MAX, 2), -EPROTO);
    CHECK_INT(check_bytes(&d, sizeof(d.dump) + PROTO_REQUEST_MAX - 1, 1), -EPROTO);
    d.dump.header.kind = PROTO_DROP;
    CHECK_INT(check_bytes(&d, sizeof(d.dump) + PROTO_REQUEST_MAX, 1), -EPROTO);
    d.dump.header.kind = PROTO_DUMP;
    d.dump.request_bytes++;
    CHECK_INT(check_bytes(&d, sizeof(d.dump) + PROTO_REQUEST_MAX + 1, 1), -EPROTO);
}

/* They become parts of paths. */
TEST(names_that_are_no_plain_file_names)
{
    static const char *const names[] = {"..",  ".",   ".hidden",  "a/b",  "/",   "../x",
                                        "a b", "a\n", "\xc3\xa4", "a\\b", "a:b", "-\x7f"};

    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        BAD(strcpy(m.create.image, names[i]));
        BAD(strcpy(m.create.runtime_dir, names[i]));
    }
    BAD(m.create.image[0] = '\0');
    BAD(memset(m.create.image, 'a', sizeof(m.create.image)));
    BAD(memset(m.create.runtime_dir, 'a', sizeof(m.create.runtime_dir)));
    GOOD(m.create.runtime_dir[0] = '\0');
    GOOD(memset(m.create.image, 'a', sizeof(m.create.image) - 1));
}

TEST(digests_are_lower_hex_of_their_length)
{
    BAD(m.create.image_digest[15] = '\0');
    BAD(m.create.image_digest[0] = 'A');
    BAD(m.create.image_digest[3] = '/');
    BAD(m.create.image_digest[16] = '0');
    BAD(m.create.code_digest[0] = '\0');
    BAD(m.create.code_digest[63] = 'g');
    BAD(m.create.code_digest[64] = 'a');
    BAD(memcpy(m.create.code_digest, "../", 3));
}

TEST(numbers_out_of_range)
{
    BAD(m.create.flags = 2);
    BAD(m.create.flags = UINT32_MAX);
    BAD(m.create.uid_index = STATE_FUNCTION_UIDS);
    BAD(m.create.uid_index = UINT32_MAX);
    GOOD(m.create.uid_index = STATE_FUNCTION_UIDS - 1);
    BAD(m.create.memory_bytes = 0);
    BAD(m.create.memory_bytes = UINT64_MAX);
    BAD(m.create.tmp_bytes = 0);
    BAD(m.create.tmp_bytes = UINT64_MAX);
    BAD(m.create.cpu_millis = 0);
    BAD(m.create.cpu_millis = UINT32_MAX);
    BAD(m.create.lease_ms = 0);
    BAD(m.create.lease_ms = PROTO_LEASE_MAX_MS + 1);
    GOOD(m.create.lease_ms = PROTO_LEASE_MAX_MS);
}

TEST(strings_must_be_as_many_as_announced_and_ended)
{
    BAD(m.create.argc = 0);
    BAD(m.create.argc = 1);
    BAD(m.create.argc = 3);
    BAD(m.create.envc = 0);
    BAD(m.create.envc = 2);
    BAD(m.create.argc = PROTO_ARGV_MAX + 1);
    BAD(m.create.envc = PROTO_ENV_MAX + 1);
    BAD(m.create.envc = UINT32_MAX);
    BAD((m.create.argc = UINT32_MAX, m.create.envc = 4)); /* 3 together, if they are added up in 32 bits */
    BAD(m.strings[m.create.strings_bytes - 1] = 'x');
    BAD(m.strings[1] = '\0');
    BAD(m.create.strings_bytes = 0);
    GOOD((m.create.argc = 1, m.create.envc = 2));
}

TEST(longest_strings)
{
    make_good();
    memset(m.strings, 'a', sizeof(m.strings));
    m.create.argc = 1;
    m.create.envc = 0;
    m.create.strings_bytes = PROTO_STRINGS_MAX;
    m.strings[PROTO_STRINGS_MAX - 1] = '\0';
    CHECK_INT(check_create(), 0);
    m.strings[PROTO_STRINGS_MAX - 1] = 'a';
    m.strings[PROTO_STRINGS_MAX] = '\0';
    m.create.strings_bytes = PROTO_STRINGS_MAX + 1;
    CHECK_INT(check_create(), -EPROTO);
    m.create.strings_bytes = UINT32_MAX;
    CHECK_INT(check_bytes(&m, sizeof(m), 0), -EPROTO);
}
