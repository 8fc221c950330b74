/* cmd/berth/commands_rows.h: how the rows of the commands_*.c tables are written, and the options
 * that several nouns have. */
#ifndef CMD_BERTH_COMMANDS_ROWS_H
#define CMD_BERTH_COMMANDS_ROWS_H

#include "cmd/berth/commands.h"
#include "model/limits.h"

/* The tables, one a file; each ends with a row without a path. commands.c puts them in a row. */
extern const struct command BERTH_COMMANDS_ALLOCATION[];
extern const struct command BERTH_COMMANDS_CA[];
extern const struct command BERTH_COMMANDS_ENROLLMENT[];
extern const struct command BERTH_COMMANDS_MANAGE[];
extern const struct command BERTH_COMMANDS_OPERATIONS[];
extern const struct command BERTH_COMMANDS_HUB[];
extern const struct command BERTH_COMMANDS_HUB_SETTINGS[];
extern const struct command BERTH_COMMANDS_HUB_DEVICE[];
extern const struct command BERTH_COMMANDS_DEVICE[];

#define TEXT(name_, alias_, value_, help_)                                                         \
    {                                                                                              \
        .name = name_, .alias = alias_, .kind = OPTION_TEXT, .value = value_, .help = help_        \
    }
#define FILE_(name_, alias_, help_)                                                                \
    {                                                                                              \
        .name = name_, .alias = alias_, .kind = OPTION_FILE, .value = "FILE", .help = help_        \
    }
#define FLAG(name_, help_)                                                                         \
    {                                                                                              \
        .name = name_, .kind = OPTION_FLAG, .help = help_                                          \
    }
#define BOOL(name_, alias_, help_)                                                                 \
    {                                                                                              \
        .name = name_, .alias = alias_, .kind = OPTION_BOOL, .help = help_                         \
    }
#define CHOICE_AS(name_, alias_, choices_, help_)                                                  \
    {                                                                                              \
        .name = name_, .alias = alias_, .kind = OPTION_CHOICE, .value = choices_, .help = help_    \
    }
#define CHOICE(name_, choices_, default_, help_)                                                   \
    {                                                                                              \
        .name = name_, .kind = OPTION_CHOICE, .value = choices_, .default_value = default_,        \
        .help = help_                                                                              \
    }
#define INT(name_, min_, max_, default_, help_)                                                    \
    {                                                                                              \
        .name = name_, .kind = OPTION_INT, .value = "N", .min = min_, .max = max_,                 \
        .default_value = default_, .help = help_                                                   \
    }
#define OPERAND(name_, alias_, value_, help_)                                                      \
    {                                                                                              \
        .name = name_, .alias = alias_, .kind = OPTION_TEXT, .value = value_, .help = help_,       \
        .traits = OPTION_REQUIRED | OPTION_OPERAND                                                 \
    }

#define ETAG    TEXT("etag", NULL, "ETAG", "only if this is still its ETag; without: whatever it is")
#define TOP     INT("top", 1, 1000000000, NULL, "at most N rows; without: all")
#define CA_CERT FILE_("ca-cert", NULL, "the CA's certificate, its own issuers behind it if any")
#define CA_KEY  FILE_("ca-key", NULL, "the CA's private key (PEM, not encrypted)")
#define DEV_CA  "\nWithout --ca-cert and --ca-key the device CA of --dev signs."

#endif
