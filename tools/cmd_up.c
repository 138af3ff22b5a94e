/* fnrun up: looks for what would stop it, then becomes the warden. */
#include <errno.h>
#include <string.h>

#include "cli.h"
#include "doctor.h"
#include "libexec.h"

/* Says what doctor has found on standard error. Something that fails for certain is better said with its fix. */
static int check_machine(struct cli *c, struct err *e)
{
    struct doctor d;
    bool works;

    doctor_init(&d, cli_text(c, OPT_up_state, NULL), cli_text(c, OPT_up_listen, NULL),
                cli_text(c, OPT_up_images, NULL));
    doctor_run(&d, true);
    works = doctor_count(&d, CHECK_FAIL) == 0;
    for (size_t i = 0; i < d.count; i++)
        if (d.checks[i].status != CHECK_OK)
            doctor_print(stderr, &d.checks[i], false);
    doctor_free(&d);
    return works ? 0 : err_set(e, ENOTSUP, "this machine isn't ready (`fnrun doctor` checks everything)");
}

/* The options of `up` carry the warden's own names. */
static int add_options(const struct cli *c, char **argv, struct buf *names, struct err *e)
{
    /* Room for all first: what was added must not move any more. */
    if (buf_reserve(names, c->value_count * 64, e) < 0)
        return -e->code;
    for (size_t i = 0; i < c->value_count; i++) {
        const struct cli_option_spec *o = &cli_options[c->values[i].option];

        if (strcmp(o->command, "up") != 0)
            continue;
        *argv++ = names->data + names->used;
        if (buf_addf(names, e, "--%s%c", o->name, 0) < 0)
            return -e->code;
        if (o->argument)
            *argv++ = c->values[i].text;
    }
    return 0;
}

int cmd_up(struct cli *c, struct err *e)
{
    auto_buf struct buf warden = {0}, names = {0};
    auto_free char **argv = calloc(2 * c->value_count + 2, sizeof(*argv));

    if (!argv)
        return err_set(e, ENOMEM, "no memory");
    if (!cli_has(c, OPT_up_state) && cli_add_value(c, OPT_up_state, DOCTOR_STATE, e) < 0)
        return -e->code;
    if (libexec_find(&warden, e) < 0 || buf_add_str(&warden, "/fnrun-warden", e) < 0 || check_machine(c, e) < 0 ||
        add_options(c, argv + 1, &names, e) < 0)
        return -e->code;
    argv[0] = warden.data;
    return libexec_exec(argv, e);
}
