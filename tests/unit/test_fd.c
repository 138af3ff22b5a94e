// links: sandbox/base/fd.c sandbox/base/err.c
#include "../../sandbox/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

/* A fresh folder with a file, a folder, and symlinks in it. */
static char folder[] = "/tmp/fnrun-unit-XXXXXX";

static int open_folder(void)
{
    auto_fd int file = -1;
    struct err e;
    int dir;

    strcpy(strrchr(folder, '-'), "-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    file = openat(dir, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    fd_write_all(file, "0123456789", 10, &e);
    mkdirat(dir, "sub", 0700);
    CHECK(symlinkat("file", dir, "link") == 0);
    CHECK(symlinkat("sub", dir, "sublink") == 0);
    CHECK(symlinkat("/etc/passwd", dir, "out") == 0);
    return dir;
}

static void remove_folder(int *dir)
{
    static const char *const names[] = {"file", "link", "sublink", "out"};

    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        unlinkat(*dir, names[i], 0);
    unlinkat(*dir, "sub", AT_REMOVEDIR);
    fd_close(dir);
    rmdir(folder);
}

#define auto_folder __attribute__((cleanup(remove_folder)))

TEST(close_keeps_errno_and_forgets_the_number)
{
    int fd = 1000; /* not open: close fails */

    errno = ENOENT;
    fd_close(&fd);
    CHECK_INT(fd, -1);
    CHECK_INT(errno, ENOENT);
    fd_close(&fd);
    CHECK_INT(errno, ENOENT);
}

TEST(taken_descriptor_is_not_closed_by_its_scope)
{
    int taken;

    {
        auto_fd int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        taken = take_fd(&fd);
        CHECK_INT(fd, -1);
    }
    CHECK(fcntl(taken, F_GETFD) >= 0);
    close(taken);
}

TEST(scope_closes_its_descriptor)
{
    int number;

    {
        auto_fd int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        number = fd;
    }
    CHECK_INT(fcntl(number, F_GETFD), -1);
}

TEST(file_is_read_whole_or_not_at_all)
{
    auto_folder int dir = open_folder();
    char text[11];
    struct err e;

    CHECK_INT(fd_read_file_at(dir, "file", text, sizeof(text), &e), 10);
    CHECK_STR(text, "0123456789");
    CHECK_INT(fd_read_file_at(dir, "file", text, 10, &e), -EFBIG);
    CHECK_INT(fd_read_file_at(dir, "file", text, 1, &e), -EFBIG);
    CHECK_INT(fd_read_file_at(dir, "none", text, sizeof(text), &e), -ENOENT);
    CHECK_INT(fd_read_file_at(dir, "sub", text, sizeof(text), &e), -EISDIR);
}

TEST(empty_file_is_an_empty_string)
{
    char text[4] = "abc";
    struct err e;

    CHECK_INT(fd_read_file_at(AT_FDCWD, "/dev/null", text, 1, &e), 0);
    CHECK_STR(text, "");
}

/* The names come from a process that may be taken over. */
TEST(nothing_outside_of_the_folder_can_be_opened)
{
    static const char *const names[] = {"..", "../etc", "/etc/passwd", "sub/../../x", "/"};
    auto_folder int dir = open_folder();
    struct err e;

    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        if (!CHECK_INT(fd_open_beneath(dir, names[i], O_RDONLY, &e), -EXDEV))
            printf("# %s\n", names[i]);
}

TEST(no_symlink_is_followed_wherever_it_stands)
{
    static const char *const names[] = {"link", "out", "sublink/x", "sublink"};
    auto_folder int dir = open_folder();
    struct err e;

    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        if (!CHECK_INT(fd_open_beneath(dir, names[i], O_RDONLY, &e), -ELOOP))
            printf("# %s\n", names[i]);
}

TEST(descriptor_beneath_is_closed_at_exec)
{
    auto_folder int dir = open_folder();
    struct err e;
    auto_fd int fd = fd_open_beneath(dir, "file", O_RDONLY, &e);

    CHECK(fd >= 0);
    CHECK_INT(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

TEST(write_all_says_that_a_full_pipe_takes_no_more)
{
    char block[4096] = {0};
    struct err e;
    int pair[2], rc = 0;

    if (!CHECK(pipe2(pair, O_CLOEXEC) == 0 && fd_set_nonblock(pair[1], &e) == 0))
        return;
    for (int i = 0; i < 1000 && rc == 0; i++)
        rc = fd_write_all(pair[1], block, sizeof(block), &e);
    CHECK_INT(rc, -EAGAIN);
    close(pair[0]);
    close(pair[1]);
    CHECK_INT(fd_write_all(pair[1], block, 1, &e), -EBADF);
}
