#include "doctor.h"

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "libexec.h"

static const struct {
    void (*run)(struct doctor *d);
    bool essential;
} checks[] = {
#define CHECK(name, essential) {check_##name, essential},
#include "checks.def"
};

void doctor_init(struct doctor *d, const char *state, const char *listen, const char *images)
{
    struct err missing;

    *d = (struct doctor){.state = state ? state : DOCTOR_STATE,
                         .listen = listen ? listen : DOCTOR_LISTEN,
                         .images = images ? images : DOCTOR_IMAGES,
                         .root = geteuid() == 0};
    /* check_programs says it where this finds nothing. */
    (void)libexec_find(&d->libexec, &missing);
}

void doctor_free(struct doctor *d)
{
    buf_free(&d->libexec);
    free(d->checks);
}

void doctor_run(struct doctor *d, bool essential)
{
    d->starting = essential;
    for (size_t i = 0; i < ARRAY_LEN(checks); i++)
        if (!essential || checks[i].essential)
            checks[i].run(d);
}

size_t doctor_count(const struct doctor *d, enum check_status status)
{
    size_t n = 0;

    for (size_t i = 0; i < d->count; i++)
        n += d->checks[i].status == status;
    return n;
}

static struct check *add(struct doctor *d, enum check_status status, const char *name)
{
    struct check *all = reallocarray(d->checks, d->count + 1, sizeof(*all));

    /* A result must not get lost, and without memory nothing goes on anyway. */
    if (!all)
        abort();
    d->checks = all;
    all[d->count] = (struct check){.status = status};
    snprintf(all[d->count].name, sizeof(all->name), "%s", name);
    return &all[d->count++];
}

void doctor_ok(struct doctor *d, const char *name, const char *detail, ...)
{
    struct check *k = add(d, CHECK_OK, name);
    va_list ap;

    va_start(ap, detail);
    vsnprintf(k->detail, sizeof(k->detail), detail, ap);
    va_end(ap);
}

void doctor_bad(struct doctor *d, enum check_status status, const char *name, const char *fix, const char *detail, ...)
{
    struct check *k = add(d, status, name);
    va_list ap;

    va_start(ap, detail);
    vsnprintf(k->detail, sizeof(k->detail), detail, ap);
    va_end(ap);
    snprintf(k->fix, sizeof(k->fix), "%s", fix);
}

const char *doctor_word(enum check_status status)
{
    static const char *const words[] = {"ok", "warn", "FAIL"};

    return words[status];
}

void doctor_print(FILE *out, const struct check *k, bool color)
{
    static const char *const colors[] = {"\033[32m", "\033[33m", "\033[31m"};

    fprintf(out, "%s%-4s%s  %-20s %s\n", color ? colors[k->status] : "", doctor_word(k->status), color ? "\033[0m" : "",
            k->name, k->detail);
    if (*k->fix)
        fprintf(out, "      %-20s fix: %s\n", "", k->fix);
}
