/* Run inside a sandbox by a bootstrap: how much of a thing there is. Prints one number. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* How many children can be alive at once? */
static long count_processes(void)
{
    static pid_t pids[5000];
    long n = 0;

    while (n < 5000 && (pids[n] = fork()) >= 0) {
        if (pids[n] == 0) {
            pause();
            _exit(0);
        }
        n++;
    }
    for (long i = 0; i < n; i++)
        kill(pids[i], SIGKILL);
    while (wait(NULL) > 0)
        ;
    return n;
}

static long count_files(void)
{
    long n = 0;

    while (n < 100000 && open("/dev/null", O_RDONLY) >= 0)
        n++;
    return n;
}

/* How many kilobytes can be written below `dir`? */
static long count_kilobytes(const char *dir)
{
    static char block[65536];
    char path[200];
    long bytes = 0;
    ssize_t n;
    int fd;

    snprintf(path, sizeof(path), "%s/filler", dir);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        return -errno;
    memset(block, 'x', sizeof(block));
    while (bytes < 4L << 30 && (n = write(fd, block, sizeof(block))) > 0)
        bytes += n;
    unlink(path);
    return bytes / 1024;
}

/* Milliseconds of CPU that `seconds` of wall time give. */
static long count_cpu(int seconds)
{
    struct timespec start, now;

    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        for (volatile int i = 0; i < 10000; i++)
            ;
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec - start.tv_sec + (now.tv_nsec - start.tv_nsec) / 1e9 < seconds);
    return clock() * 1000 / CLOCKS_PER_SEC;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    long n = strcmp(what, "processes") == 0 ? count_processes()
             : strcmp(what, "files") == 0   ? count_files()
             : strcmp(what, "tmp") == 0     ? count_kilobytes("/tmp")
             : strcmp(what, "cpu") == 0     ? count_cpu(2)
                                            : -1;

    printf("%ld\n", n);
    return n < 0;
}
