/* cmd/config_table.h: the table of settings, for config.c and config_print.c. */
#ifndef CMD_CONFIG_TABLE_H
#define CMD_CONFIG_TABLE_H

#include <stddef.h>

#include "cmd/config.h"

enum config_setting_type {
    SETTING_TEXT,
    SETTING_INT,
    SETTING_BOOL,
    SETTING_DURATION, /* kept in seconds */
    SETTING_SIZE,     /* kept in bytes */
    SETTING_CHOICE,   /* kept as the index in choices */
};

struct config_setting {
    const char *name;
    enum config_setting_type type;
    size_t offset;
    const char *value; /* default */
    const char *dev;   /* default with --dev, where it differs */
    int64_t min, max;  /* of the numbers */
    const char *choices[5];
    const char *what; /* stands for the value in --help */
    const char *help;
};

/* Options of `berthd init`; texts all, of the command line alone. */
extern const struct config_setting CONFIG_INIT_TABLE[];
extern const size_t CONFIG_INIT_TABLE_LEN;

#define CONFIG_DEFAULT_FILE "/etc/berth/berthd.conf"

extern const struct config_setting CONFIG_TABLE[];
extern const size_t CONFIG_TABLE_LEN;

/* The setting's value inside a config. */
static inline void *config_table_at(struct config *c, const struct config_setting *s)
{
    return (uint8_t *)c + s->offset;
}

/* Words of the command line that are no settings. */
struct config_word {
    const char *word;
    enum config_command command;
    const char *help;
};
extern const struct config_word CONFIG_WORDS[];
extern const size_t CONFIG_WORDS_LEN;

#endif
