#include "init_sys.h"

#include <sched.h>
#include <signal.h>

/* The kernel enters here, with no return address and a stack pointer that a C function may not expect as it is. */
__asm__(".globl _start\n"
        "_start:\n"
        "    xor %ebp, %ebp\n"
        "    and $-16, %rsp\n"
        "    call init_main\n");

/* long vfork_call(long flags, void *stack_end, void (*entry)(void *), void *arg): the clone system call, after which the child
 * has the new stack and nothing of this function's frame. */
__asm__("vfork_call:\n"
        "    mov %rdx, %r9\n"
        "    mov %rcx, %r12\n"
        "    xor %edx, %edx\n"
        "    xor %r10d, %r10d\n"
        "    xor %r8d, %r8d\n"
        "    mov $56, %eax\n"
        "    syscall\n");

long sys_vfork(void (*entry)(void *arg), void *arg, void *stack_end)
{
    (void)entry;
    (void)arg;
    (void)stack_end;
    return 0;
}
