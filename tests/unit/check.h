/*
 * Unit tests. A test program is one file with
 *
 *     TEST(what_must_be_true)
 *     {
 *         CHECK_INT(1 + 1, 2);
 *     }
 *
 * and no main: that is here. Each TEST prints `ok - NAME` or, with what was found in `# ...` lines before it,
 * `not ok - NAME`; the exit status is 1 if one failed. A check that fails doesn't end its test; all give whether they held:
 *     if (!CHECK(tree)) return;
 * The first line of the file names what it is linked with: `// links: sandbox/base/err.c -lz`.
 */
#ifndef FNRUN_UNIT_CHECK_H
#define FNRUN_UNIT_CHECK_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct check_test {
    const char *name;
    void (*run)(void);
    struct check_test *next;
};

static struct check_test *check_first, **check_last = &check_first;
static bool check_failed;

static inline void check_register(struct check_test *t)
{
    *check_last = t;
    check_last = &t->next;
}

/* Constructors of one file run in the order in which they stand there. */
#define TEST(id)                                             \
    static void test_##id(void);                             \
    __attribute__((constructor)) static void add_##id(void)  \
    {                                                        \
        static struct check_test t = {#id, test_##id, NULL}; \
        check_register(&t);                                  \
    }                                                        \
    static void test_##id(void)

static inline bool check_note(bool good, const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static inline bool check_note(bool good, const char *file, int line, const char *fmt, ...)
{
    va_list ap;

    if (good)
        return true;
    check_failed = true;
    printf("# %s:%d: ", file, line);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
    return false;
}

static inline bool check_int(long long got, long long want, const char *what, const char *file, int line)
{
    return check_note(got == want, file, line, "%s is %lld, not %lld", what, got, want);
}

static inline bool check_str(const char *got, const char *want, const char *what, const char *file, int line)
{
    bool same = got && want ? strcmp(got, want) == 0 : got == want;

    return check_note(same, file, line, "%s is \"%s\", not \"%s\"", what, got ? got : "(null)", want ? want : "(null)");
}

static inline bool check_has(const char *text, const char *part, const char *what, const char *file, int line)
{
    return check_note(text && strstr(text, part), file, line, "%s is \"%s\", without \"%s\"", what,
                      text ? text : "(null)", part);
}

static inline bool check_mem(const void *got, const void *want, size_t size, const char *what, const char *file,
                             int line)
{
    const unsigned char *g = got, *w = want;
    size_t i = 0;

    while (i < size && g[i] == w[i])
        i++;
    return check_note(i == size, file, line, "%s differs at byte %zu of %zu", what, i, size);
}

#define CHECK(condition) check_note((condition) ? true : false, __FILE__, __LINE__, "%s", #condition)
#define CHECK_INT(got, want) check_int((long long)(got), (long long)(want), #got, __FILE__, __LINE__)
#define CHECK_STR(got, want) check_str(got, want, #got, __FILE__, __LINE__)
/* The text holds that part. */
#define CHECK_HAS(text, part) check_has(text, part, #text, __FILE__, __LINE__)
#define CHECK_MEM(got, want, size) check_mem(got, want, size, #got, __FILE__, __LINE__)

int main(void)
{
    int failures = 0;

    setvbuf(stdout, NULL, _IOLBF, 0); /* what a crash leaves unsaid is the test that crashed */
    for (const struct check_test *t = check_first; t; t = t->next) {
        check_failed = false;
        t->run();
        printf("%sok - %s\n", check_failed ? "not " : "", t->name);
        failures += check_failed;
    }
    return failures > 0;
}

#endif
