/* cmd/berth/help.h: texts made from the table of commands. */
#ifndef CMD_BERTH_HELP_H
#define CMD_BERTH_HELP_H

#include "cmd/berth/commands.h"

/* All nouns, or those of one group. */
void berth_help_overview(const struct command_group *group, FILE *out);
void berth_help_command(const struct command *command, FILE *out);
/* berth(1) in man(7) macros. */
void berth_help_man(FILE *out);

#endif
