#include "snapshot_record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../sandbox/base/fd.h"
#include "../sandbox/base/proto.h"
#include "json.h"

#define RECORD_MAX ((size_t)1 << 19) /* bytes: SNAPSHOT_FILES_MAX files, with room to spare */

static void name_record(char ret[sizeof(RECORDS_DIR) + PROTO_SNAPSHOT_ID + 5], const char *id, const char *suffix)
{
    sprintf(ret, RECORDS_DIR "/%.32s%.4s", id, suffix);
}

static int print_record(const struct snapshot_record *r, struct buf *out, struct err *e)
{
    auto_json cJSON *json = cJSON_CreateObject();

    cJSON_AddStringToObject(json, "function", r->function);
    cJSON_AddNumberToObject(json, "made_ms", (double)(r->made_at / NSEC_PER_MSEC));
    cJSON_AddItemToObject(json, "files", snapshot_files_describe(r->files));
    return json_print(json, out, e);
}

int snapshot_record_write(const char *id, const struct snapshot_record *r, struct err *e)
{
    char path[sizeof(RECORDS_DIR) + PROTO_SNAPSHOT_ID + 5], temp[sizeof(path)];
    auto_buf struct buf text = {0};
    auto_fd int fd = -1;

    name_record(path, id, "");
    name_record(temp, id, ".new");
    fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(e, "create %s", temp);
    if (print_record(r, &text, e) < 0 || fd_write_all(fd, text.data, text.used, e) < 0)
        return -e->code;
    return fdatasync(fd) < 0 || rename(temp, path) < 0 ? err_errno(e, "write %s", path) : 0;
}

static int parse_record(const char *text, struct snapshot_record *ret)
{
    auto_json cJSON *json = cJSON_Parse(text);

    snprintf(ret->function, sizeof(ret->function), "%s", json_get_text(json, "function", ""));
    ret->made_at = (nsec_t)json_get_number(json, "made_ms", 0) * NSEC_PER_MSEC;
    ret->files = snapshot_files_parse(json_get(json, "files"));
    return ret->files ? 0 : -1;
}

int snapshot_record_read(const char *id, struct snapshot_record *ret, struct err *e)
{
    char path[sizeof(RECORDS_DIR) + PROTO_SNAPSHOT_ID + 5];
    auto_free char *text = malloc(RECORD_MAX);
    struct stat st;

    name_record(path, id, "");
    if (!text)
        return err_set(e, ENOMEM, "no memory");
    if (stat(path, &st) < 0)
        return err_errno(e, "%s", path);
    if (fd_read_file_at(AT_FDCWD, path, text, RECORD_MAX, e) < 0)
        return -e->code;
    if (parse_record(text, ret) < 0)
        return err_set(e, EUCLEAN, "%s is damaged", path);
    ret->used_at = (nsec_t)st.st_mtim.tv_sec * NSEC_PER_SEC + st.st_mtim.tv_nsec;
    return 0;
}

void snapshot_record_touch(const char *id)
{
    char path[sizeof(RECORDS_DIR) + PROTO_SNAPSHOT_ID + 5];

    name_record(path, id, "");
    utimensat(AT_FDCWD, path, NULL, 0);
}

void snapshot_record_remove(const char *id)
{
    char path[sizeof(RECORDS_DIR) + PROTO_SNAPSHOT_ID + 5];

    name_record(path, id, "");
    unlink(path);
}
