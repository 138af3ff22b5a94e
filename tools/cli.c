#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "../sandbox/base/fd.h"
#include "client.h"

#define COMMAND(name, operands, least, most, summary, text) {#name, operands, least, most, summary, text, cmd_##name},
const struct cli_command cli_commands[] = {
#include "commands.def"
};
const size_t cli_command_count = ARRAY_LEN(cli_commands);

#define OPTION(command, id, name, letter, argument, help) {#command, name, letter, argument, help},
const struct cli_option_spec cli_options[OPT_COUNT] = {
#include "commands.def"
};

/* Values of getopt_long for options without regard to their letter: this + enum cli_option. */
#define OPTION_VALUE 256

bool cli_option_applies(const struct cli_option_spec *o, const char *command)
{
    return strcmp(o->command, "any") == 0 || strcmp(o->command, command) == 0;
}

int cli_usage(struct cli *c, struct err *e, const char *fmt, ...)
{
    char text[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    c->failure = CLI_USAGE;
    return err_set(e, EINVAL, "%s (try `fnrun %s%s--help`)", text, c->command ? c->command->name : "",
                   c->command ? " " : "");
}

int cli_add_value(struct cli *c, enum cli_option option, const char *text, struct err *e)
{
    struct cli_value *values = reallocarray(c->values, c->value_count + 1, sizeof(*values));
    char *copy = text ? strdup(text) : NULL;

    if (values)
        c->values = values;
    if (!values || (text && !copy)) {
        free(copy);
        return err_set(e, ENOMEM, "no memory");
    }
    c->values[c->value_count++] = (struct cli_value){option, copy};
    return 0;
}

void cli_move_back(struct cli *c, size_t count)
{
    for (; count > 0; count--) {
        struct cli_value first = c->values[0];

        memmove(c->values, c->values + 1, (c->value_count - 1) * sizeof(first));
        c->values[c->value_count - 1] = first;
    }
}

static enum cli_option option_of_letter(int letter, const char *command)
{
    for (unsigned i = 0; i < OPT_COUNT; i++)
        if (cli_options[i].letter == letter && cli_option_applies(&cli_options[i], command))
            return i;
    return OPT_COUNT;
}

/* Fills getopt's two tables with the options of `command`. */
static void fill_getopt(const char *command, struct option *longs, char *shorts)
{
    for (unsigned i = 0; i < OPT_COUNT; i++) {
        const struct cli_option_spec *o = &cli_options[i];

        if (!cli_option_applies(o, command))
            continue;
        *longs++ = (struct option){o->name, o->argument ? required_argument : no_argument, NULL, OPTION_VALUE + (int)i};
        if (!o->letter)
            continue;
        *shorts++ = o->letter;
        if (o->argument)
            *shorts++ = ':';
    }
    *longs = (struct option){0};
    *shorts = '\0';
}

/* Says what getopt has refused. */
static int refuse_option(struct cli *c, int value, char **argv, struct err *e)
{
    if (value == ':')
        return cli_usage(c, e, "%s needs an argument", argv[optind - 1]);
    if (optopt > 0 && optopt < OPTION_VALUE)
        return cli_usage(c, e, "unknown option -%c", optopt);
    return cli_usage(c, e, "unknown option %s", argv[optind - 1]);
}

/* Takes options from argv[1] on; `argv[0]` isn't looked at. Returns the index of the first operand. */
static int parse_options(struct cli *c, int argc, char **argv, const char *command, bool stop_at_operand, struct err *e)
{
    const char *order = stop_at_operand ? "+:" : ":"; /* getopt's: otherwise it moves operands to the end */
    struct option longs[OPT_COUNT + 1];
    char shorts[2 * OPT_COUNT + 3];
    int value;

    strcpy(shorts, order);
    fill_getopt(command, longs, shorts + strlen(order));
    optind = 0;
    opterr = 0;
    while ((value = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        if (value == '?' || value == ':')
            return refuse_option(c, value, argv, e);
        value = value < OPTION_VALUE ? (int)option_of_letter(value, command) : value - OPTION_VALUE;
        if (cli_add_value(c, (enum cli_option)value, optarg, e) < 0)
            return -e->code;
    }
    return optind;
}

static int find_command(struct cli *c, const char *name, struct err *e)
{
    for (size_t i = 0; i < cli_command_count; i++)
        if (strcmp(cli_commands[i].name, name) == 0)
            c->command = &cli_commands[i];
    return c->command ? 0 : cli_usage(c, e, "unknown command %s", name);
}

int cli_parse(struct cli *c, int argc, char **argv, struct err *e)
{
    int first = parse_options(c, argc, argv, "fnrun", true, e);

    if (first < 0)
        return first;
    if (first < argc) {
        argv += first;
        argc -= first;
        if (find_command(c, argv[0], e) < 0)
            return -e->code;
        first = parse_options(c, argc, argv, c->command->name, c->command->most == CLI_RAW, e);
        if (first < 0)
            return first;
    }
    c->operands = argv + first;
    c->operand_count = argc - first;
    c->json = cli_has(c, OPT_any_json);
    if (!c->command || cli_has(c, OPT_any_help))
        return 0;
    if (c->operand_count < c->command->least)
        return cli_usage(c, e, "%s is missing", c->command->operands);
    if (c->operand_count > c->command->most)
        return cli_usage(c, e, "what is %s?", c->operands[c->command->most]);
    return 0;
}

void cli_free(struct cli *c)
{
    for (size_t i = 0; i < c->value_count; i++)
        free(c->values[i].text);
    free(c->values);
    client_free(c->client);
}

bool cli_has(const struct cli *c, enum cli_option option)
{
    for (size_t i = 0; i < c->value_count; i++)
        if (c->values[i].option == option)
            return true;
    return false;
}

const char *cli_text(const struct cli *c, enum cli_option option, const char *fallback)
{
    const char *text = fallback;

    for (size_t i = 0; i < c->value_count; i++)
        if (c->values[i].option == option)
            text = c->values[i].text;
    return text;
}

int cli_number(struct cli *c, enum cli_option option, long least, long most, long fallback, long *ret, struct err *e)
{
    const char *text = cli_text(c, option, NULL);
    char *end;
    long n;

    if (!text) {
        *ret = fallback;
        return 0;
    }
    errno = 0;
    n = strtol(text, &end, 10);
    if (errno || end == text || *end || n < least || n > most)
        return cli_usage(c, e, "--%s takes a number from %ld to %ld, not %s", cli_options[option].name, least, most,
                         text);
    *ret = n;
    return 0;
}

int cli_read_fd(int fd, struct buf *ret, struct err *e)
{
    for (;;) {
        ssize_t n;

        if (buf_reserve(ret, 65536, e) < 0)
            return -e->code;
        n = read(fd, ret->data + ret->used, 65536);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(e, "read");
        if (n == 0)
            return 0;
        ret->used += (size_t)n;
        ret->data[ret->used] = '\0';
    }
}

int cli_payload(struct cli *c, enum cli_option option, struct buf *ret, struct err *e)
{
    const char *text = cli_text(c, option, NULL);
    auto_fd int fd = -1;

    if (!text)
        return 0;
    if (strcmp(text, "-") == 0)
        return cli_read_fd(STDIN_FILENO, ret, e);
    if (text[0] != '@')
        return buf_add_str(ret, text, e);
    fd = open(text + 1, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(e, "open %s", text + 1);
    return cli_read_fd(fd, ret, e) < 0 ? err_wrap(e, "%s", text + 1) : 0;
}

int cli_print_json(const cJSON *json, struct err *e)
{
    auto_free char *text = isatty(STDOUT_FILENO) ? cJSON_Print(json) : cJSON_PrintUnformatted(json);

    if (!text)
        return err_set(e, ENOMEM, "no memory");
    puts(text);
    return 0;
}
