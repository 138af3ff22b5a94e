/*
 * The frame of the fnrun command: what was said on the command line, what a command returns, how it prints.
 * A command is `int cmd_NAME(struct cli *c, struct err *e)` in cmd_NAME.c: it returns an enum cli_exit, or negative
 * with *e set; main() prints that and exits with c->failure.
 */
#ifndef FNRUN_CLI_H
#define FNRUN_CLI_H

#include <stdbool.h>
#include <stdio.h>

#include <cjson/cJSON.h>

#include "../sandbox/base/buf.h"
#include "../sandbox/base/err.h"

#define FNRUN_VERSION "0.1.0"

enum cli_exit {
#define EXIT_CODE(name, value, text) CLI_##name = (value),
#include "commands.def"
};

enum cli_option {
#define OPTION(command, id, name, letter, argument, help) OPT_##command##_##id,
#include "commands.def"
    OPT_COUNT
};

/* For `most` in the table. */
#define CLI_MANY 1000000
#define CLI_RAW (CLI_MANY + 1)

struct cli;

struct cli_command {
    const char *name, *operands;
    int least, most;
    const char *summary, *text;
    int (*run)(struct cli *c, struct err *e);
};

struct cli_option_spec {
    const char *command, *name;
    char letter;
    const char *argument, *help;
};

extern const struct cli_command cli_commands[];
extern const size_t cli_command_count;
extern const struct cli_option_spec cli_options[OPT_COUNT];

struct cli_value {
    enum cli_option option;
    char *text; /* NULL for a switch */
};

struct client;

struct cli {
    const struct cli_command *command; /* NULL: none was named */
    struct cli_value *values;          /* in the order given; owned */
    size_t value_count;
    char **operands; /* part of argv, NULL-terminated */
    int operand_count;
    bool json;
    enum cli_exit failure; /* exit code if the command returns negative */
    struct client *client; /* made by api.c at the first request */
};

#define COMMAND(name, ...) int cmd_##name(struct cli *c, struct err *e);
#include "commands.def"

/* Reads the command line. Negative for a wrong one. */
int cli_parse(struct cli *c, int argc, char **argv, struct err *e);
void cli_free(struct cli *c);

/* Adds a value as if it had been given; `text` is copied. */
int cli_add_value(struct cli *c, enum cli_option option, const char *text, struct err *e);
/* Puts the first `count` values behind the others, so that they win. */
void cli_move_back(struct cli *c, size_t count);
bool cli_has(const struct cli *c, enum cli_option option);
/* The last value given, or `fallback`. */
const char *cli_text(const struct cli *c, enum cli_option option, const char *fallback);
/* The same as a number of least..most; writes `fallback` if it wasn't given. */
int cli_number(struct cli *c, enum cli_option option, long least, long most, long fallback, long *ret, struct err *e);
/* Marks the failure as a wrong command line and sets *e. Returns negative. */
int cli_usage(struct cli *c, struct err *e, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Whether an option of the table belongs to `command` (or to every command). */
bool cli_option_applies(const struct cli_option_spec *o, const char *command);

/* Reads what `-p` means: JSON text, @file or - for standard input. Nothing given leaves *ret empty. */
int cli_payload(struct cli *c, enum cli_option option, struct buf *ret, struct err *e);

/* Help for one command, or for all where it is NULL. */
void cli_print_help(FILE *out, const struct cli_command *command);
void cli_dump_man(FILE *out);
void cli_dump_completion(FILE *out);

/* Prints a JSON document and a newline on standard output: indented for a terminal. */
int cli_print_json(const cJSON *json, struct err *e);
/* A file's or stream's content, all of it. */
int cli_read_fd(int fd, struct buf *ret, struct err *e);

static inline void cli_json_free(cJSON **json)
{
    cJSON_Delete(*json);
}

#define auto_json __attribute__((cleanup(cli_json_free)))

#endif
