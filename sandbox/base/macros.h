/* Small macros that every file may use. No state, no functions with side effects. */
#ifndef FNRUN_MACROS_H
#define FNRUN_MACROS_H

#include <stddef.h>
#include <stdlib.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define UNUSED __attribute__((unused))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

static inline void auto_free_release(void *p)
{
    free(*(void **)p);
}

/* Declares a pointer that is freed at the end of its scope. */
#define auto_free __attribute__((cleanup(auto_free_release)))

/* Hands over the pointer in *p: the caller owns it, *p becomes NULL. */
static inline void *take_ptr(void *p)
{
    void *value = *(void **)p;
    *(void **)p = NULL;
    return value;
}

#endif
