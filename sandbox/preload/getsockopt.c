/*
 * Preloaded into criu (sandbox/toolbox.c). Since Linux 6.16 an internet socket has no SO_PASSCRED and SO_PASSSEC; criu before
 * 4.2 asks each socket for them and gives up where there is no answer. The answer is what older kernels say: off.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int getsockopt(int fd, int level, int name, void *restrict value, socklen_t *restrict size)
{
    if (syscall(SYS_getsockopt, fd, level, name, value, size) == 0)
        return 0;
    if (errno != EOPNOTSUPP || level != SOL_SOCKET || (name != SO_PASSCRED && name != SO_PASSSEC))
        return -1;
    memset(value, 0, *size);
    return 0;
}
