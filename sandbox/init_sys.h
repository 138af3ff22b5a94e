/*
 * The kernel without a C library, for fnrun-init and fnrun-thaw: system calls as the kernel answers them (negative errno on failure).
 *
 * Why without: PID 1 of a sandbox lives on the path of every cold start. glibc's start asks the processor what it can by some
 * thirty CPUID instructions, each of which a virtual machine pays with an exit to its host: 0.3 ms on the machine where this was
 * measured, against 0.2 ms for all of this program. Nothing here needs what it would find out.
 */
#ifndef FNRUN_INIT_SYS_H
#define FNRUN_INIT_SYS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#ifndef __x86_64__
#error "fnrun-init and fnrun-thaw need this architecture's system call, entry and clone code: here and in init_sys.c"
#endif

static inline long sys_call(long nr, long a, long b, long c, long d, long e)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    long rc;

    __asm__ volatile("syscall"
                     : "=a"(rc)
                     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
    return rc;
}

#define SYS_ARGS(nr, a, b, c, d, e, ...) sys_call(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e))

/* SYS(close, fd): the call SYS_close with up to five arguments; pointers and integers are passed as they are. */
#define SYS(name, ...) SYS_ARGS(SYS_##name __VA_OPT__(, ) __VA_ARGS__, 0, 0, 0, 0, 0)

/* Starts a process that runs `entry(arg)` on the stack that ends at `stack_end`, in the caller's memory; the caller sleeps until
 * it has exec'd or exited. `entry` must not return. Returns the new pid or a negative errno. */
long sys_vfork(void (*entry)(void *arg), void *arg, void *stack_end);

/* The same for clone3(2): `args` is a struct clone_args of `size` bytes with a stack, where the child runs `entry(arg)`. */
long sys_clone3(const void *args, size_t size, void (*entry)(void *arg), void *arg);

/* The program: what main is elsewhere. Never returns. */
void sys_main(void) __attribute__((noreturn));

#endif
