#include "init_sys.h"

#include <sched.h>
#include <signal.h>

/* The kernel enters here, without a return address and with the stack pointer at the argument count. */
__asm__(".globl _start\n"
        "_start:\n"
        "    xor %ebp, %ebp\n"
        "    and $-16, %rsp\n"
        "    call sys_main\n"
        "    ud2\n");

/* clone(2) for a child with a stack of its own, which C can't express: the child must not return into this frame. The
 * kernel keeps all registers but rax, rcx and r11. */
long init_clone(unsigned long flags, void *stack_end, void (*entry)(void *), void *arg);
__asm__(".globl init_clone\n"
        "init_clone:\n"
        "    mov %rcx, %r9\n"
        "    mov $56, %eax\n" /* __NR_clone */
        "    syscall\n"
        "    test %rax, %rax\n"
        "    jz 1f\n"
        "    ret\n"
        "1:  xor %ebp, %ebp\n"
        "    mov %r9, %rdi\n"
        "    call *%rdx\n"
        "    ud2\n");

_Static_assert(SYS_clone == 56, "the number in init_clone");

__asm__(".globl sys_clone3\n"
        "sys_clone3:\n"
        "    mov %rcx, %r8\n"
        "    mov $435, %eax\n" /* __NR_clone3 */
        "    syscall\n"
        "    test %rax, %rax\n"
        "    jz 1f\n"
        "    ret\n"
        "1:  xor %ebp, %ebp\n"
        "    mov %r8, %rdi\n"
        "    call *%rdx\n"
        "    ud2\n");

_Static_assert(SYS_clone3 == 435, "the number in sys_clone3");

long sys_vfork(void (*entry)(void *arg), void *arg, void *stack_end)
{
    return init_clone(CLONE_VM | CLONE_VFORK | SIGCHLD, stack_end, entry, arg);
}

/* The compiler may call these three for plain assignments and initializers. */
void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memset(void *to, int value, size_t size);
int memcmp(const void *a, const void *b, size_t size);

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    void *start = to;

    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
    return start;
}

void *memset(void *to, int value, size_t size)
{
    void *start = to;

    __asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(value) : "memory");
    return start;
}

int memcmp(const void *a, const void *b, size_t size)
{
    const unsigned char *x = a, *y = b;

    for (; size; size--, x++, y++)
        if (*x != *y)
            return *x - *y;
    return 0;
}
