/* How a package gets to the server: inside the request, or through the object store where it is too large. */
#include "api.h"
#include "base64.h"
#include "deploy.h"

#define BUCKET "fnrun-deploy"

static int upload(struct deploy *d, struct err *e)
{
    auto_buf struct buf path = {0};
    struct request make = {.method = "PUT", .path = "/" BUCKET, .service = "s3", .type = "application/xml"};
    struct request put = {
        .method = "PUT", .service = "s3", .type = "application/zip", .body = d->zip.data, .size = d->zip.used};

    if (api_add_path(&path, "/" BUCKET "/", d->name, ".zip", e) < 0)
        return -e->code;
    put.path = path.data;
    /* 409: the bucket is there already. */
    if (api_send(d->c, &make, e) < 0 && d->c->client->status != 409)
        return err_wrap(e, "make bucket " BUCKET);
    if (api_send(d->c, &put, e) < 0)
        return err_wrap(e, "upload");
    d->uploaded = true;
    return 0;
}

int deploy_add_code(struct deploy *d, cJSON *code, struct err *e)
{
    auto_buf struct buf text = {.cap = 2 * PACKAGE_DIRECT_MAX_BYTES};

    if (d->zip.used >= PACKAGE_DIRECT_MAX_BYTES) {
        if (upload(d, e) < 0 || buf_addf(&text, e, "%s.zip", d->name) < 0)
            return -e->code;
        cJSON_AddStringToObject(code, "S3Bucket", BUCKET);
        cJSON_AddStringToObject(code, "S3Key", text.data);
        return 0;
    }
    if (base64_encode(buf_str(&d->zip), d->zip.used, &text, e) < 0)
        return -e->code;
    cJSON_AddStringToObject(code, "ZipFile", buf_str(&text));
    return 0;
}

void deploy_remove_upload(struct deploy *d)
{
    auto_buf struct buf path = {0};
    struct request r = {.method = "DELETE", .service = "s3"};
    struct err ignored;

    /* The server has copied it. One that stays is overwritten by the next upload. */
    if (!d->uploaded || api_add_path(&path, "/" BUCKET "/", d->name, ".zip", &ignored) < 0)
        return;
    r.path = path.data;
    (void)api_send(d->c, &r, &ignored);
}
