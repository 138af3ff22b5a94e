/* fnrun image ...: the image tool beside the other programs. */
#include <errno.h>

#include "cli.h"
#include "libexec.h"

int cmd_image(struct cli *c, struct err *e)
{
    auto_buf struct buf tool = {0};
    auto_free char **argv = calloc((size_t)c->operand_count + 3, sizeof(*argv));
    int argc = 0;

    if (!argv)
        return err_set(e, ENOMEM, "no memory");
    if (libexec_find(&tool, e) < 0 || buf_add_str(&tool, "/images/image", e) < 0)
        return -e->code;
    argv[argc++] = tool.data;
    for (int i = 0; i < c->operand_count; i++)
        argv[argc++] = c->operands[i];
    /* `fnrun --json image list` and `fnrun image list --json` mean the same. */
    if (c->json)
        argv[argc++] = "--json";
    return libexec_exec(argv, e);
}
