/* cmd/berth/help.c: help on the terminal and the manual page, from the one table of commands. */
#include "cmd/berth/help.h"

enum { LINE = 90, OPTION_COLUMN = 34 };

static const struct {
    int status;
    const char *meaning;
} EXITS[] = {
    { BERTH_EXIT_OK, "done" },
    { BERTH_EXIT_FAILED, "failed: no connection, a fault of the server, bad input" },
    { BERTH_EXIT_USAGE, "wrong usage" },
    { BERTH_EXIT_NOT_FOUND, "what was named does not exist" },
    { BERTH_EXIT_UNAUTHORIZED, "the login is wrong or lacks a right" },
    { BERTH_EXIT_CONFLICT, "it exists already, is in use, or was changed meanwhile" },
    { BERTH_EXIT_REFUSED, "the device was, or would be, refused" },
    { BERTH_EXIT_DEVICE, "the device was reached, and said no" },
};

static const struct {
    const char *name, *meaning;
} VARIABLES[] = {
    { "BERTH_DEV", "as --dev" },
    { "BERTH_CONNECTION_STRING", "as --login" },
    { "BERTH_HUB_CONNECTION_STRING", "as --hub-login" },
    { "BERTH_SERVER_CONNECTION_STRING", "as --server-login" },
    { "BERTH_CA_FILE", "as --ca-file" },
    { "BERTH_DEVICE_ENDPOINT", "as --endpoint" },
    { "BERTH_ID_SCOPE", "as --id-scope" },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static bool is_in(const char *path, const struct command_group *group)
{
    return group == NULL || (span_starts_with(span_str(path), span_str(group->path)) &&
                             path[strlen(group->path)] == ' ');
}

/* Words of a text, broken at LINE; the cursor is at `indent` already, and so every line begins. */
static void print_wrapped(const char *text, int indent, FILE *out)
{
    int column = indent;

    while (*text != '\0') {
        int len = (int)strcspn(text, " \n");

        if (column > indent && column + 1 + len > LINE) {
            (void)fprintf(out, "\n%*s", indent, "");
            column = indent;
        }
        (void)fprintf(out, "%s%.*s", column > indent ? " " : "", len, text);
        column += len + (column > indent);
        text += len;
        if (*text == '\n') {
            (void)fprintf(out, "\n%*s", indent, "");
            column = indent;
        }
        text += *text != '\0';
    }
    (void)fputc('\n', out);
}

static void print_commands(const struct command_group *group, FILE *out)
{
    const struct command *c;

    for (size_t i = 0; (c = berth_commands_at(i)) != NULL; i++) {
        if (is_in(c->path, group)) {
            (void)fprintf(out, "  %-42s %s\n", c->path, c->summary);
        }
    }
}

/* -x, --name VALUE */
static const char *option_text(const struct option *o, char *memory, size_t size)
{
    const char *value = o->kind == OPTION_FLAG   ? ""
                        : o->kind == OPTION_BOOL ? "[true|false]"
                                                 : o->value;
    char letter[8] = "    ", alias[40] = "";

    if (o->alias != NULL && o->alias[1] == '\0') {
        (void)snprintf(letter, sizeof(letter), "-%c, ", o->alias[0]);
    } else if (o->alias != NULL) {
        (void)snprintf(alias, sizeof(alias), ", --%s", o->alias);
    }
    (void)snprintf(memory, size, "%s--%s%s%s%s", letter, o->name, alias, value[0] ? " " : "",
                   value);
    return memory;
}

static void print_options(const struct option *options, FILE *out)
{
    for (const struct option *o = options; o->name != NULL; o++) {
        char left[160], right[300];

        (void)option_text(o, left, sizeof(left));
        (void)snprintf(right, sizeof(right), "%s%s%s%s%s", o->help,
                       o->default_value ? " (default " : "",
                       o->default_value ? o->default_value : "", o->default_value ? ")" : "",
                       o->traits & OPTION_REQUIRED ? " [required]" : "");
        if (strlen(left) + 2 > OPTION_COLUMN - 2) {
            (void)fprintf(out, "  %s\n%*s", left, OPTION_COLUMN, "");
        } else {
            (void)fprintf(out, "  %-*s", OPTION_COLUMN - 2, left);
        }
        print_wrapped(right, OPTION_COLUMN, out);
    }
}

static void print_exits(FILE *out)
{
    (void)fputs("\nExit status\n", out);
    for (size_t i = 0; i < COUNT(EXITS); i++) {
        (void)fprintf(out, "  %d  %s\n", EXITS[i].status, EXITS[i].meaning);
    }
}

void berth_help_overview(const struct command_group *group, FILE *out)
{
    if (group != NULL) {
        (void)fprintf(out, "berth %s: %s.\n\nCommands\n", group->path, group->summary);
        print_commands(group, out);
        (void)fprintf(out, "\n`berth %s VERB --help` tells more.\n", group->path);
        return;
    }
    (void)fputs("berth: the command line of the Berth provisioning service and hub.\n\n"
                "Usage: berth NOUN [VERB] [OPTION]...\n\nCommands\n",
                out);
    print_commands(NULL, out);
    (void)fputs("\nOptions of every command\n", out);
    print_options(BERTH_GLOBAL_OPTIONS, out);
    (void)fputs("\nEnvironment (options win, then --dev)\n", out);
    for (size_t i = 0; i < COUNT(VARIABLES); i++) {
        (void)fprintf(out, "  %-30s %s\n", VARIABLES[i].name, VARIABLES[i].meaning);
    }
    print_exits(out);
    (void)fputs(
        "\n`berth NOUN --help` and `berth NOUN VERB --help` tell more; `berth --man` is the "
        "manual page.\n",
        out);
}

static void print_usage(const struct command *command, FILE *out)
{
    (void)fprintf(out, "berth %s", command->path);
    for (const struct option *o = command->options; o->name != NULL; o++) {
        if (o->traits & OPTION_OPERAND) {
            (void)fprintf(out, " %s", o->value);
        } else if (o->traits & OPTION_REQUIRED) {
            (void)fprintf(out, " --%s %s", o->name, o->value);
        }
    }
    (void)fputs(" [OPTION]...", out);
}

void berth_help_command(const struct command *command, FILE *out)
{
    (void)fprintf(out, "%s.\n\nUsage: ", command->summary);
    print_usage(command, out);
    (void)fputc('\n', out);
    if (command->details != NULL) {
        (void)fputc('\n', out);
        print_wrapped(command->details, 0, out);
    }
    if (command->options[0].name != NULL) {
        (void)fputs("\nOptions\n", out);
        print_options(command->options, out);
    }
    (void)fputs("\nOptions of every command\n", out);
    print_options(BERTH_GLOBAL_OPTIONS, out);
    print_exits(out);
}

/* Text for man(7): hyphens that may be copied, no control line by accident, lines that stay. */
static void print_roff(const char *text, FILE *out)
{
    bool at_start = true;

    for (; *text != '\0'; text++) {
        if (*text == '\n') {
            (void)fputs("\n.br", out);
        }
        if (at_start && (*text == '.' || *text == '\'')) {
            (void)fputs("\\&", out);
        }
        at_start = *text == '\n';
        if (*text == '-') {
            (void)fputs("\\-", out);
        } else if (*text == '\\') {
            (void)fputs("\\e", out);
        } else {
            (void)fputc(*text, out);
        }
    }
}

static void print_roff_options(const struct option *options, FILE *out)
{
    for (const struct option *o = options; o->name != NULL; o++) {
        char left[160];
        const char *text = option_text(o, left, sizeof(left));

        (void)fputs(".TP\n.B ", out);
        print_roff(text + strspn(text, " "), out);
        (void)fputc('\n', out);
        print_roff(o->help, out);
        if (o->default_value != NULL) {
            (void)fputs(" (default ", out);
            print_roff(o->default_value, out);
            (void)fputc(')', out);
        }
        (void)fputs(o->traits & OPTION_REQUIRED ? " [required]\n" : "\n", out);
    }
}

void berth_help_man(FILE *out)
{
    const struct command *c;

    (void)fputs(".\\\" Made by `berth --man` from its table of commands.\n"
                ".TH BERTH 1 \"\" \"Berth " BERTH_VERSION "\" \"User Commands\"\n"
                ".SH NAME\nberth \\- command line of the Berth provisioning service and hub\n"
                ".SH SYNOPSIS\n.B berth\n.I noun\n[\\fIverb\\fR] [\\fIoption\\fR]...\n"
                ".SH OPTIONS OF EVERY COMMAND\n",
                out);
    print_roff_options(BERTH_GLOBAL_OPTIONS, out);
    (void)fputs(".SH COMMANDS\n", out);
    for (size_t i = 0; (c = berth_commands_at(i)) != NULL; i++) {
        (void)fputs(".SS \"", out);
        print_roff(c->path, out);
        (void)fputs("\"\n", out);
        print_roff(c->summary, out);
        (void)fputs(".\n", out);
        if (c->details != NULL) {
            (void)fputs(".PP\n", out);
            print_roff(c->details, out);
            (void)fputc('\n', out);
        }
        print_roff_options(c->options, out);
    }
    (void)fputs(".SH ENVIRONMENT\nOptions win, then the files of \\-\\-dev.\n", out);
    for (size_t i = 0; i < COUNT(VARIABLES); i++) {
        (void)fprintf(out, ".TP\n.B %s\n", VARIABLES[i].name);
        print_roff(VARIABLES[i].meaning, out);
        (void)fputc('\n', out);
    }
    (void)fputs(".SH EXIT STATUS\n", out);
    for (size_t i = 0; i < COUNT(EXITS); i++) {
        (void)fprintf(out, ".TP\n.B %d\n%s\n", EXITS[i].status, EXITS[i].meaning);
    }
    (void)fputs(".SH SEE ALSO\n.BR berthd (8)\n", out);
}
