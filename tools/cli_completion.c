/*
 * The bash completion, made from the table. What may stand for an argument is read from its name there: NAME is a
 * function, DIR a folder, FILE and ZIP files; words in small letters between bars stand for themselves.
 */
#include <ctype.h>
#include <string.h>

#include "cli.h"

static void print_words(FILE *out, const char *argument)
{
    fputs("words=\"", out);
    for (; *argument && !strchr("] .", *argument); argument++)
        fputc(*argument == '|' ? ' ' : *argument, out);
    fputc('"', out);
}

/* Prints the bash statement that finds the words for `argument`. */
static void print_finder(FILE *out, const char *argument)
{
    argument += strspn(argument, "[");
    if (islower((unsigned char)*argument))
        print_words(out, argument);
    else if (strncmp(argument, "NAME", 4) == 0)
        fputs("words=$(fnrun list 2>/dev/null </dev/null | cut -f1)", out);
    else if (strstr(argument, "FILE") || strstr(argument, "ZIP"))
        fputs("compopt -o filenames; COMPREPLY=($(compgen -f -- \"$cur\")); return", out);
    else if (strcmp(argument, "DIR") == 0)
        fputs("compopt -o filenames; COMPREPLY=($(compgen -d -- \"$cur\")); return", out);
    else
        fputs("return", out);
}

/* The words of all options that are taken by `command`. */
static void print_options(FILE *out, const char *command)
{
    fputs("words=\"", out);
    for (unsigned i = 0; i < OPT_COUNT; i++)
        if (cli_option_applies(&cli_options[i], command))
            fprintf(out, "--%s ", cli_options[i].name);
    fputs("\";;\n", out);
}

/* One case for each option that has an argument, on what stands before the cursor. */
static void print_argument_cases(FILE *out)
{
    for (unsigned i = 0; i < OPT_COUNT; i++) {
        const struct cli_option_spec *o = &cli_options[i];
        const char *command = strcmp(o->command, "any") == 0 ? "*" : o->command;

        if (!o->argument || strcmp(o->command, "fnrun") == 0)
            continue;
        fprintf(out, "    %s:--%s", command, o->name);
        if (o->letter)
            fprintf(out, "|%s:-%c", command, o->letter);
        fputs(") ", out);
        print_finder(out, o->argument);
        fputs(";;\n", out);
    }
}

static void print_command_names(FILE *out, const char *separator)
{
    for (size_t i = 0; i < cli_command_count; i++)
        fprintf(out, "%s%s", i ? separator : "", cli_commands[i].name);
}

void cli_dump_completion(FILE *out)
{
    fputs("# bash completion for fnrun, made by `fnrun --dump-completion bash`\n_fnrun()\n{\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= word words=\n"
          "    for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n        case $word in ",
          out);
    print_command_names(out, "|");
    fputs(") command=$word; break;; esac\n    done\n    case $command:$prev:$cur in\n    :*:-*) ", out);
    print_options(out, "fnrun");
    for (size_t i = 0; i < cli_command_count; i++) {
        fprintf(out, "    %s:*:-*) ", cli_commands[i].name);
        print_options(out, cli_commands[i].name);
    }
    fputs("    :*) words=\"", out);
    print_command_names(out, " ");
    fputs("\";;\n    esac\n    [ \"$words\" ] || case $command:$prev in\n", out);
    print_argument_cases(out);
    for (size_t i = 0; i < cli_command_count; i++) {
        fprintf(out, "    %s:*) ", cli_commands[i].name);
        print_finder(out, *cli_commands[i].operands ? cli_commands[i].operands : "");
        fputs(";;\n", out);
    }
    fputs("    esac\n    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\ncomplete -F _fnrun fnrun\n", out);
}
