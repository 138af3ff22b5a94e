#include "check.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/proto.h"
#include "state.h"

#define MEMORY_MIN ((uint64_t)4 << 20)
#define MEMORY_MAX ((uint64_t)1 << 44)
#define TMP_MIN ((uint64_t)4096)
#define TMP_MAX ((uint64_t)1 << 44)
#define CPU_MILLIS_MAX 4096000u
#define KNOWN_FLAGS ((uint32_t)PROTO_WITH_CHANNEL)

static bool contains_only(const char *text, size_t length, const char *characters)
{
    return strspn(text, characters) == length;
}

static bool is_hex(const char *text, size_t length)
{
    return text[length] == '\0' && contains_only(text, length, "0123456789abcdef");
}

/* One path component without surprises: no '/', no leading dot, so neither "." nor "..". */
static bool is_name(const char *text, size_t size)
{
    size_t length = strnlen(text, size);

    return length > 0 && length < size && text[0] != '.' &&
           contains_only(text, length, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
}

static bool has_strings(const char *strings, size_t size, uint32_t count)
{
    uint32_t nuls = 0;

    for (size_t i = 0; i < size; i++)
        nuls += strings[i] == '\0';
    return size > 0 && strings[size - 1] == '\0' && nuls == count;
}

static bool in_range(uint64_t value, uint64_t low, uint64_t high)
{
    return low <= value && value <= high;
}

static int check_create(const struct proto_create *m, size_t size, struct err *e)
{
    if (size < sizeof(*m) || m->strings_bytes > PROTO_STRINGS_MAX || size - sizeof(*m) != m->strings_bytes)
        return err_set(e, EPROTO, "CREATE of %zu bytes", size);
    if (m->flags & ~KNOWN_FLAGS)
        return err_set(e, EPROTO, "flags %#x", m->flags);
    if (m->uid_index >= STATE_FUNCTION_UIDS)
        return err_set(e, EPROTO, "uid index %u", m->uid_index);
    if (!is_name(m->image, sizeof(m->image)) || !is_hex(m->image_digest, PROTO_IMAGE_DIGEST - 1))
        return err_set(e, EPROTO, "image name or digest");
    if (!is_hex(m->code_digest, PROTO_CODE_DIGEST - 1))
        return err_set(e, EPROTO, "code digest");
    if (m->snapshot[0] && !is_hex(m->snapshot, PROTO_SNAPSHOT_ID - 1))
        return err_set(e, EPROTO, "snapshot id");
    if (m->runtime_dir[0] && !is_name(m->runtime_dir, sizeof(m->runtime_dir)))
        return err_set(e, EPROTO, "runtime directory");
    if (!in_range(m->memory_bytes, MEMORY_MIN, MEMORY_MAX) || !in_range(m->tmp_bytes, TMP_MIN, TMP_MAX) ||
        !in_range(m->cpu_millis, 1, CPU_MILLIS_MAX) || !in_range(m->lease_ms, 1, PROTO_LEASE_MAX_MS))
        return err_set(e, EPROTO, "memory, tmp, cpu or lease out of range");
    if (!in_range(m->argc, 1, PROTO_ARGV_MAX) || m->envc > PROTO_ENV_MAX ||
        !has_strings((const char *)(m + 1), m->strings_bytes, m->argc + m->envc))
        return err_set(e, EPROTO, "arguments or environment");
    return 0;
}

static int check_size(size_t size, size_t wanted, const char *kind, struct err *e)
{
    return size == wanted ? 0 : err_set(e, EPROTO, "%s of %zu bytes", kind, size);
}

static int check_lease(const struct proto_number *m, size_t size, struct err *e)
{
    if (check_size(size, sizeof(*m), "LEASE", e) < 0)
        return -e->code;
    return m->value <= PROTO_LEASE_MAX_MS ? 0 : err_set(e, EPROTO, "lease of %u ms", m->value);
}

static int check_cpu(const struct proto_number *m, size_t size, struct err *e)
{
    if (check_size(size, sizeof(*m), "CPU", e) < 0)
        return -e->code;
    return in_range(m->value, 1, CPU_MILLIS_MAX) ? 0 : err_set(e, EPROTO, "cpu of %u ms", m->value);
}

/* `fd_count`: 1 where a connection comes with it, and then a request too. */
static int check_dump(const struct proto_dump *m, size_t size, unsigned fd_count, struct err *e)
{
    if (size < sizeof(*m) || m->request_bytes > PROTO_REQUEST_MAX || size - sizeof(*m) != m->request_bytes)
        return err_set(e, EPROTO, "DUMP or DROP of %zu bytes", size);
    if (fd_count != (m->request_bytes > 0))
        return err_set(e, EPROTO, "DUMP or DROP with %u descriptors and %u bytes", fd_count, m->request_bytes);
    return is_hex(m->id, PROTO_SNAPSHOT_ID - 1) ? 0 : err_set(e, EPROTO, "snapshot id");
}

int check_message(const void *data, size_t size, unsigned fd_count, struct err *e)
{
    const struct proto_header *h = data;

    if (size < sizeof(*h))
        return err_set(e, EPROTO, "message of %zu bytes", size);
    if (h->version != PROTO_VERSION)
        return err_set(e, EPROTO, "protocol version %u", h->version);
    if (fd_count && h->kind != PROTO_DUMP)
        return err_set(e, EPROTO, "%u descriptors that nobody asked for", fd_count);
    switch (h->kind) {
    case PROTO_CREATE:
        return check_create(data, size, e);
    case PROTO_KILL:
        return check_size(size, sizeof(*h), "KILL", e);
    case PROTO_LEASE:
        return check_lease(data, size, e);
    case PROTO_RESTORE:
        return check_lease(data, size, e);
    case PROTO_DUMP:
    case PROTO_DROP:
        return check_dump(data, size, fd_count, e);
    case PROTO_CPU:
        return check_cpu(data, size, e);
    default:
        return err_set(e, EPROTO, "message of kind %u", h->kind);
    }
}
