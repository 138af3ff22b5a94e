/* What the table says, for people: --help and the generated part of the man page. */
#include <ctype.h>
#include <string.h>

#include "cli.h"

struct pair {
    const char *name, *text;
};

#define EXIT_CODE(name, value, text) {#value, text},
static const struct pair exit_codes[] = {
#include "commands.def"
};

#define VARIABLE(name, text) {#name, text},
static const struct pair variables[] = {
#include "commands.def"
};

/* "-n, --name NAME" */
static void option_label(const struct cli_option_spec *o, char *ret, size_t size)
{
    char letter[8] = "    ";

    if (o->letter)
        snprintf(letter, sizeof(letter), "-%c, ", o->letter);
    snprintf(ret, size, "%s--%s%s%s", letter, o->name, o->argument ? " " : "", o->argument ? o->argument : "");
}

static void help_options(FILE *out, const char *command, bool common)
{
    for (unsigned i = 0; i < OPT_COUNT; i++) {
        const struct cli_option_spec *o = &cli_options[i];
        char label[64];

        if (strcmp(o->command, common ? "any" : command) != 0)
            continue;
        option_label(o, label, sizeof(label));
        fprintf(out, "  %-30s %s\n", label, o->help);
    }
}

static void help_pairs(FILE *out, const char *heading, const struct pair *p, size_t count)
{
    fprintf(out, "\n%s:\n", heading);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "  %-22s %s\n", p[i].name, p[i].text);
}

static void help_all(FILE *out)
{
    fputs("usage: fnrun COMMAND [OPTION...] [OPERAND...]\n\ncommands:\n", out);
    for (size_t i = 0; i < cli_command_count; i++)
        fprintf(out, "  %-7s %-28s %s\n", cli_commands[i].name, cli_commands[i].operands, cli_commands[i].summary);
    fputs("\noptions (`fnrun COMMAND --help` has each command's own):\n", out);
    help_options(out, "", true);
    help_options(out, "fnrun", false);
    help_pairs(out, "exit codes", exit_codes, ARRAY_LEN(exit_codes));
    help_pairs(out, "environment", variables, ARRAY_LEN(variables));
}

void cli_print_help(FILE *out, const struct cli_command *command)
{
    if (!command) {
        help_all(out);
        return;
    }
    fprintf(out, "usage: fnrun %s [OPTION...] %s\n\n%s\n", command->name, command->operands, command->summary);
    if (*command->text)
        fprintf(out, "\n%s\n", command->text);
    fputs("\noptions:\n", out);
    help_options(out, command->name, false);
    help_options(out, command->name, true);
}

/* Prints text for roff: '-' is a minus there, '\' begins an escape, and '.' or ''' at a line's start is a request. */
static void man_text(FILE *out, const char *text)
{
    bool line_start = true;

    for (; *text; text++) {
        if (line_start && (*text == '.' || *text == '\''))
            fputs("\\&", out);
        if (*text == '\\')
            fputs("\\e", out);
        else if (*text == '-')
            fputs("\\-", out);
        else
            fputc(*text, out);
        line_start = *text == '\n';
    }
    fputc('\n', out);
}

static void man_options(FILE *out, const char *command)
{
    for (unsigned i = 0; i < OPT_COUNT; i++) {
        const struct cli_option_spec *o = &cli_options[i];
        char label[64];

        if (strcmp(o->command, command) != 0)
            continue;
        option_label(o, label, sizeof(label));
        fputs(".TP\n.B ", out);
        man_text(out, label + strspn(label, " "));
        man_text(out, o->help);
    }
}

static void man_pairs(FILE *out, const char *heading, const struct pair *p, size_t count)
{
    fprintf(out, ".SH %s\n", heading);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, ".TP\n.B %s\n", p[i].name);
        man_text(out, p[i].text);
    }
}

static void man_sentence(FILE *out, const char *summary)
{
    fputc(toupper((unsigned char)*summary), out);
    man_text(out, summary + 1);
}

void cli_dump_man(FILE *out)
{
    fputs(".SH COMMANDS\n", out);
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *k = &cli_commands[i];

        fprintf(out, ".SS fnrun %s [OPTION...] ", k->name);
        man_text(out, k->operands);
        man_sentence(out, k->summary);
        if (*k->text) {
            fputs(".PP\n", out);
            man_text(out, k->text);
        }
        man_options(out, k->name);
    }
    fputs(".SS Options of every command\n", out);
    man_options(out, "any");
    fputs(".SS Options without a command\n", out);
    man_options(out, "fnrun");
    man_pairs(out, "EXIT STATUS", exit_codes, ARRAY_LEN(exit_codes));
    man_pairs(out, "ENVIRONMENT", variables, ARRAY_LEN(variables));
}
