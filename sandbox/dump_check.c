#include "dump_check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"

static void dir_release(DIR **d)
{
    if (*d)
        closedir(*d);
}

/* "PID (NAME) STATE PARENT ...", where the name can have anything in it. */
static int check_process(int pid, struct err *e)
{
    char path[32], text[512], *end;
    int parent;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    if (fd_read_file_at(AT_FDCWD, path, text, sizeof(text), e) < 0)
        return e->code == ENOENT || e->code == ESRCH ? 0 : -e->code; /* it has just ended */
    end = strrchr(text, ')');
    if (!end || sscanf(end, ") %*c %d", &parent) != 1)
        return err_set(e, EIO, "read %s", path);
    *end = '\0';
    return parent != 1 ? 0
                       : err_set(e, EBUSY, "its init has left a process (%s) that is no child of the runtime any more",
                                 strchr(text, '(') + 1);
}

int dump_check_processes(struct err *e)
{
    __attribute__((cleanup(dir_release))) DIR *proc = opendir("/proc");
    const struct dirent *entry;

    if (!proc)
        return err_errno(e, "open /proc");
    while ((entry = readdir(proc))) {
        int pid = atoi(entry->d_name);

        if (pid > 2 && check_process(pid, e) < 0)
            return -e->code;
    }
    return 0;
}
