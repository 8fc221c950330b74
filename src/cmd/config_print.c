/* cmd/config_print.c: the table of settings as text: help, manual page, sample file, and the values
 * in force. */
#include <inttypes.h>
#include <string.h>

#include "cmd/config_table.h"

enum { HELP_COLUMN = 30, WIDTH = 100 };

static const char intro[] =
    "berthd is an open provisioning service and hub for fleets of devices. It speaks Azure DPS and "
    "Azure IoT Hub on the wire.";

/* ---- help ---- */

/* Words from column `at` on, broken before WIDTH. */
static void wrap(FILE *out, const char *text, int at)
{
    int column = at;

    while (*text != '\0') {
        int len = (int)strcspn(text, " ");

        if (column > at && column + 1 + len > WIDTH) {
            (void)fprintf(out, "\n%*s", at, "");
            column = at;
        } else if (column > at) {
            (void)fputc(' ', out);
            column++;
        }
        (void)fprintf(out, "%.*s", len, text);
        column += len;
        text += len;
        text += strspn(text, " ");
    }
    (void)fputc('\n', out);
}

static void help_line(FILE *out, const char *word, const char *what, const char *help)
{
    int n = fprintf(out, "  %s%s%s", word, *what != '\0' ? " " : "", what);

    if (n >= HELP_COLUMN) {
        (void)fputc('\n', out);
        n = 0;
    }
    (void)fprintf(out, "%*s", HELP_COLUMN - n, "");
    wrap(out, help, HELP_COLUMN);
}

/* What stands behind a setting's help: choices and default. */
static void describe(const struct config_setting *s, char *ret_text, size_t size)
{
    size_t n = (size_t)snprintf(ret_text, size, "%s", s->help);

    for (int i = 0; s->choices[i] != NULL && n < size; i++) {
        n += (size_t)snprintf(ret_text + n, size - n, "%s%s", i == 0 ? " One of " : ", ",
                              s->choices[i]);
    }
    if (s->choices[0] != NULL && n < size) {
        n += (size_t)snprintf(ret_text + n, size - n, ".");
    }
    if (*s->value != '\0' && n < size) {
        n += (size_t)snprintf(ret_text + n, size - n, " Default %s.", s->value);
    }
    if (s->dev != NULL && n < size) {
        (void)snprintf(ret_text + n, size - n, " With --dev %s.", s->dev);
    }
}

void config_print_help(FILE *out)
{
    char text[512];

    (void)fprintf(out, "Usage: berthd -c FILE [OPTION …]\n"
                       "       berthd --dev [OPTION …]\n"
                       "       berthd init -c FILE --name NAME --host-name HOST [OPTION …]\n"
                       "       berthd rotate-seal-key -c FILE|--dev [OPTION …]\n"
                       "       berthd config --show|--sample [OPTION …]\n\n");
    wrap(out, intro, 0);
    (void)fprintf(out, "\n");
    help_line(out, "--dev", "",
              "Make everything that a first try needs (certificates, a hub, an enrollment group), "
              "serve it on this machine, and write what tools need to know to DIR/dev.json.");
    help_line(out, "-c, --config", "FILE",
              "Read settings from FILE. Default " CONFIG_DEFAULT_FILE ", where it exists.");
    for (size_t i = 0; i < CONFIG_WORDS_LEN; i++) {
        help_line(out, CONFIG_WORDS[i].word, "", CONFIG_WORDS[i].help);
    }
    help_line(out, "config --show", "", "The settings in force, and where each is from.");
    help_line(out, "config --sample", "", "A configuration file with every setting.");
    (void)fprintf(out, "\nOptions of init:\n");
    for (size_t i = 0; i < CONFIG_INIT_TABLE_LEN; i++) {
        char word[64];

        (void)snprintf(word, sizeof(word), "--%s", CONFIG_INIT_TABLE[i].name);
        help_line(out, word, CONFIG_INIT_TABLE[i].what, CONFIG_INIT_TABLE[i].help);
    }
    (void)fprintf(out, "\nSettings; in the file without the dashes, as name = value:\n");
    for (size_t i = 0; i < CONFIG_TABLE_LEN; i++) {
        char word[64];

        (void)snprintf(word, sizeof(word), "--%s", CONFIG_TABLE[i].name);
        describe(&CONFIG_TABLE[i], text, sizeof(text));
        help_line(out, word, CONFIG_TABLE[i].what, text);
    }
    (void)fprintf(out,
                  "\nSignals: SIGTERM and SIGINT drain, then end; SIGHUP reads the certificate, "
                  "seal-key\nand geo-database files again.\n"
                  "Exit status: 0 all well, 1 it could not be served, 2 usage or "
                  "configuration.\n");
}

/* ---- manual page ---- */

/* Text for roff: a dash is a minus, no line begins with a dot. */
static void roff(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '-') {
            (void)fputs("\\-", out);
        } else if (*text == '\\') {
            (void)fputs("\\e", out);
        } else {
            (void)fputc(*text, out);
        }
    }
}

static void man_entry(FILE *out, const char *word, const char *what, const char *help)
{
    (void)fputs(".TP\n.B ", out);
    roff(out, word);
    if (*what != '\0') {
        (void)fputs(" \\fI", out);
        roff(out, what);
        (void)fputs("\\fR", out);
    }
    (void)fputc('\n', out);
    roff(out, help);
    (void)fputc('\n', out);
}

void config_print_man(FILE *out)
{
    char text[512];

    (void)fputs(".TH BERTHD 8 \"\" \"berth " BERTH_VERSION "\" \"Berth\"\n"
                ".SH NAME\nberthd \\- provisioning service and hub for fleets of devices\n"
                ".SH SYNOPSIS\n.B berthd\n.B \\-c\n.I FILE\n[\\fIOPTION\\fR ...]\n.br\n"
                ".B berthd \\-\\-dev\n[\\fIOPTION\\fR ...]\n.br\n"
                ".B berthd init \\-c\n.I FILE\n.B \\-\\-name\n.I NAME\n.B \\-\\-host\\-name\n"
                ".I HOST\n[\\fIOPTION\\fR ...]\n.br\n.B berthd rotate\\-seal\\-key \\-c\n.I FILE\n"
                ".SH DESCRIPTION\n",
                out);
    roff(out, intro);
    (void)fputs("\n.SH OPTIONS\n", out);
    man_entry(out, "--dev", "",
              "Make everything that a first try needs, serve it on this machine, and write what "
              "tools need to know to DIR/dev.json.");
    man_entry(out, "-c, --config", "FILE", "Read settings from FILE.");
    for (size_t i = 0; i < CONFIG_WORDS_LEN; i++) {
        man_entry(out, CONFIG_WORDS[i].word, "", CONFIG_WORDS[i].help);
    }
    man_entry(out, "config --show", "", "The settings in force, and where each is from.");
    man_entry(out, "config --sample", "", "A configuration file with every setting.");
    (void)fputs(".SH OPTIONS OF INIT\n", out);
    for (size_t i = 0; i < CONFIG_INIT_TABLE_LEN; i++) {
        char word[64];

        (void)snprintf(word, sizeof(word), "--%s", CONFIG_INIT_TABLE[i].name);
        man_entry(out, word, CONFIG_INIT_TABLE[i].what, CONFIG_INIT_TABLE[i].help);
    }
    (void)fputs(".SH SETTINGS\nOn the command line with two dashes; in the file as name = value, "
                "one a line. Lines that begin with # or ; are comments.\n",
                out);
    for (size_t i = 0; i < CONFIG_TABLE_LEN; i++) {
        describe(&CONFIG_TABLE[i], text, sizeof(text));
        man_entry(out, CONFIG_TABLE[i].name, CONFIG_TABLE[i].what, text);
    }
    (void)fputs(".SH SIGNALS\n", out);
    man_entry(out, "SIGTERM, SIGINT", "",
              "Stop listening, finish what was begun, end. A second one ends at once.");
    man_entry(out, "SIGHUP", "",
              "Read the certificate, seal-key and geo-database files again. Files that cannot "
              "be used leave those in force.");
    (void)fputs(".SH EXIT STATUS\n0 all well, 1 it could not be served, 2 usage or "
                "configuration.\n.SH FILES\n.I " CONFIG_DEFAULT_FILE "\n.SH SEE ALSO\nberth(1)\n",
                out);
}

/* ---- files ---- */

void config_print_sample(FILE *out)
{
    char text[512];

    (void)fputs("# berthd.conf: name = value, one a line. What is commented out is the default.\n",
                out);
    for (size_t i = 0; i < CONFIG_TABLE_LEN; i++) {
        (void)fputs("\n# ", out);
        (void)snprintf(text, sizeof(text), "%s", CONFIG_TABLE[i].help);
        (void)fprintf(out, "%s\n#%s = %s\n", text, CONFIG_TABLE[i].name, CONFIG_TABLE[i].value);
    }
}

static void print_value(const struct config *c, const struct config_setting *s, FILE *out)
{
    const uint8_t *at = (const uint8_t *)c + s->offset;
    const char *text;
    int64_t number;
    bool flag;

    switch (s->type) {
    case SETTING_TEXT:
        memcpy(&text, at, sizeof(text));
        (void)fputs(text, out);
        return;
    case SETTING_BOOL:
        memcpy(&flag, at, sizeof(flag));
        (void)fputs(flag ? "yes" : "no", out);
        return;
    case SETTING_INT:
    case SETTING_DURATION:
    case SETTING_SIZE:
    case SETTING_CHOICE:
        break;
    }
    memcpy(&number, at, sizeof(number));
    if (s->type == SETTING_CHOICE) {
        (void)fputs(s->choices[number], out);
    } else {
        (void)fprintf(out, "%" PRId64 "%s", number, s->type == SETTING_DURATION ? "s" : "");
    }
}

void config_print(const struct config *c, FILE *out)
{
    for (size_t i = 0; i < CONFIG_TABLE_LEN; i++) {
        (void)fprintf(out, "# %s\n%s = ", c->source[i], CONFIG_TABLE[i].name);
        print_value(c, &CONFIG_TABLE[i], out);
        (void)fputc('\n', out);
    }
}
