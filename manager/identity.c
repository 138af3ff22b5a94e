#include "identity.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "../sandbox/base/buf.h"
#include "../sandbox/base/fd.h"
#include "image.h"
#include "json.h"
#include "store_digest.h"

#define TOOLBOX "toolbox"

static int hash(const void *data, size_t size, size_t bytes, char *ret, struct err *e)
{
    unsigned char sum[EVP_MAX_MD_SIZE];

    if (EVP_Digest(data, size, sum, NULL, EVP_sha256(), NULL) != 1)
        return err_set(e, EIO, "sha256 failed");
    hex_encode(sum, bytes, ret);
    return 0;
}

static int add_file_stamp(cJSON *facts, const char *name, const char *path, struct err *e)
{
    char text[100];
    struct stat st;

    if (stat(path, &st) < 0)
        return err_errno(e, "stat %s", path);
    snprintf(text, sizeof(text), "%jd bytes of %jd.%09ld", (intmax_t)st.st_size, (intmax_t)st.st_mtim.tv_sec,
             st.st_mtim.tv_nsec);
    cJSON_AddStringToObject(facts, name, text);
    return 0;
}

/* fnrun itself and the bootstrap that the runtime has loaded: by size and time, as a build or a package leaves them. */
static int add_fnrun(cJSON *facts, const struct manager *m, const struct function *f, struct err *e)
{
    char self[4096], path[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (n < 0)
        return err_errno(e, "read /proc/self/exe");
    self[n] = '\0';
    snprintf(path, sizeof(path), "%s/%s/bootstrap.%s", m->config.runtimes_dir, f->runtime->dir,
             strcmp(f->runtime->dir, "python") == 0 ? "py" : "js");
    if (add_file_stamp(facts, "fnrun", self, e) < 0)
        return -e->code;
    return f->runtime->dir[0] ? add_file_stamp(facts, "bootstrap", path, e) : 0;
}

/* The first processor's part of /proc/cpuinfo; all are alike. Read once: it takes the kernel a millisecond. */
static int read_processor(const char **ret, struct err *e)
{
    static char text[8192];
    char *end;

    *ret = text;
    if (text[0])
        return 0;
    /* Its end does not fit where there are many: what is cut off is of others. */
    if (fd_read_file_at(AT_FDCWD, "/proc/cpuinfo", text, sizeof(text), e) < 0 && e->code != EFBIG)
        return -e->code;
    text[sizeof(text) - 1] = '\0';
    /* The clock rate of the moment is no part of it. */
    for (char *line = strstr(text, "cpu MHz"); line && *line && *line != '\n'; line++)
        *line = ' ';
    end = strstr(text, "\n\n");
    if (end)
        *end = '\0';
    return 0;
}

/* "MODEL, HASH OF ALL FEATURES": a vDSO, a libc that chose its routines by them, V8's code. */
static int add_processor(cJSON *facts, struct err *e)
{
    const char *text, *model;
    char sum[HEX_SIZE(8)], line[160];

    if (read_processor(&text, e) < 0 || hash(text, strlen(text), 8, sum, e) < 0)
        return -e->code;
    model = strstr(text, "model name");
    model = model ? strchr(model, ':') : NULL;
    snprintf(line, sizeof(line), "%.*s, %s", model ? (int)strcspn(model + 2, "\n") : 0, model ? model + 2 : "", sum);
    cJSON_AddStringToObject(facts, "processor", line);
    return 0;
}

/* This boot, too: a snapshot has the monotonic clock's readings in it. */
static int add_machine(cJSON *facts, struct err *e)
{
    char kernel[200], boot[64];
    struct utsname u;

    if (uname(&u) < 0)
        return err_errno(e, "uname");
    snprintf(kernel, sizeof(kernel), "%s %s", u.release, u.version);
    if (fd_read_file_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", boot, sizeof(boot), e) < 0)
        return -e->code;
    boot[strcspn(boot, "\n")] = '\0';
    cJSON_AddStringToObject(facts, "kernel", kernel);
    cJSON_AddStringToObject(facts, "boot", boot);
    return add_processor(facts, e);
}

static void add_function(cJSON *facts, const struct manager *m, const struct function *f)
{
    cJSON_AddStringToObject(facts, "function", f->name);
    cJSON_AddStringToObject(facts, "runtime", f->runtime->name);
    cJSON_AddStringToObject(facts, "handler", f->handler);
    cJSON_AddStringToObject(facts, "log_group", f->log_group);
    cJSON_AddStringToObject(facts, "code", f->code_digest);
    cJSON_AddNumberToObject(facts, "memory_mb", f->memory_mb);
    cJSON_AddNumberToObject(facts, "tmp_mb", f->tmp_mb);
    cJSON_AddNumberToObject(facts, "user", getuid() + 2 + f->uid_index);
    if (f->environment)
        cJSON_AddItemToObject(facts, "environment", cJSON_Duplicate(f->environment, true));
    if (f->warm_up)
        cJSON_AddStringToObject(facts, "warm_up", f->warm_up);
    cJSON_AddStringToObject(facts, "region", m->config.region);
    cJSON_AddStringToObject(facts, "account", m->config.account);
}

static int add_image(cJSON *facts, const struct manager *m, const char *member, const char *image, struct err *e)
{
    char digest[PROTO_IMAGE_DIGEST];

    if (image_current(m->config.images_dir, image, digest, e) < 0)
        return -e->code;
    cJSON_AddStringToObject(facts, member, digest);
    return 0;
}

cJSON *identity_describe(const struct manager *m, const struct function *f, struct err *e)
{
    cJSON *facts = cJSON_CreateObject();

    add_function(facts, m, f);
    if (add_image(facts, m, "image", f->runtime->image, e) == 0 && add_image(facts, m, "toolbox", TOOLBOX, e) == 0 &&
        add_fnrun(facts, m, f, e) == 0 && add_machine(facts, e) == 0)
        return facts;
    cJSON_Delete(facts);
    err_wrap(e, "identity");
    return NULL;
}

int identity_of(const struct manager *m, const struct function *f, char ret_id[PROTO_SNAPSHOT_ID], struct err *e)
{
    auto_json cJSON *facts = identity_describe(m, f, e);
    auto_buf struct buf text = {.data = NULL};

    if (!facts || json_print(facts, &text, e) < 0)
        return -e->code;
    return hash(text.data, text.used, (PROTO_SNAPSHOT_ID - 1) / 2, ret_id, e);
}
