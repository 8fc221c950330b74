/* cmd/berth/options.h: a command's options as a table, and the one parser of them. The same table
 * makes the help, the manual page and the completions. */
#ifndef CMD_BERTH_OPTIONS_H
#define CMD_BERTH_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

enum { OPTIONS_MAX = 40, OPTIONS_OPERANDS_MAX = 2 };

enum option_kind {
    OPTION_TEXT,
    OPTION_FILE, /* a path: completed as one */
    OPTION_DIR,
    OPTION_CHOICE, /* value: "table|json" */
    OPTION_INT,    /* min to max */
    OPTION_FLAG,
    OPTION_BOOL /* a flag that "true" or "false" may follow */
};

enum option_trait {
    OPTION_REQUIRED = 1,
    OPTION_OPERAND = 2, /* may be given without its name, in the table's order */
};

struct option {
    const char *name;  /* without "--" */
    const char *alias; /* another long name, or one letter for -x; NULL: none */
    enum option_kind kind;
    unsigned traits;
    const char *value; /* placeholder, or the choices */
    const char *help;
    const char *default_value; /* NULL: none */
    int64_t min, max;          /* OPTION_INT */
};

/* A table ends with a row without a name. */
#define OPTIONS_END                                                                                \
    {                                                                                              \
        .name = NULL                                                                               \
    }

/* The values of one command line. Read with the names of the table: a name that is in no table is
 * an error of ours and asserted. */
struct options {
    const struct option *tables[2]; /* the command's, the global ones */
    const char *values[2][OPTIONS_MAX];
};

/* Takes argv[0..argc) apart. command, global: tables. ERR_MALFORMED: one sentence in `why`. A
 * missing required option is not looked for when `--help` was given. */
err berth_options_parse(struct options *o, const struct option *command,
                        const struct option *global, int argc, char *const *argv, char *why,
                        size_t why_size);

/* NULL when not given and without default. */
const char *berth_options_text(const struct options *o, const char *name);
/* 0 when not given and without default. */
int64_t berth_options_int(const struct options *o, const char *name);
/* Of a flag, or of an OPTION_BOOL that is not "false". */
bool berth_options_flag(const struct options *o, const char *name);
/* Is the name in one of the tables? For what several commands share. */
bool berth_options_knows(const struct options *o, const char *name);
/* Was it on the command line? */
bool berth_options_has(const struct options *o, const char *name);

/* Edit distance, for "did you mean". At most `limit` + 1. */
size_t berth_options_distance(const char *a, const char *b, size_t limit);

#endif
