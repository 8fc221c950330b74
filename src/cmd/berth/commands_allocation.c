/* cmd/berth/commands_allocation.c: `berth allocation`. Data only. */
#include "cmd/berth/commands_rows.h"

static const struct option TEST[] = {
    { .name = "tracking-id",
      .kind = OPTION_TEXT,
      .value = "TRACKING-ID",
      .help = "of a register: the request that its decision record has",
      .traits = OPTION_OPERAND },
    FILE_("request", NULL,
          "the request instead, or a decision as `berth explain ID --output json` prints it"),
    FILE_("rule", NULL, "the Lua script to ask"),
    TEXT("webhook-url", "wh", "URL", "the webhook to ask instead"),
    FILE_("webhook-ca-file", NULL, "trust the webhook under these CA certificates (PEM)"),
    TEXT("expect", NULL, "HOST", "the hub that it must say"),
    OPTIONS_END,
};

const struct command BERTH_COMMANDS_ALLOCATION[] = {
    { "allocation test", "Ask a changed rule or webhook what was asked before",
      "The rule runs here, within the same limits as in the server (doc/allocation-rules.md). "
      "Nothing is changed: neither enrollment nor device.\n"
      "Exit status: 0 it named a hub of those offered, and the one of --expect; 1 it did not; 2 "
      "and above: trouble.",
      TEST, berth_allocation_test },
    { NULL, NULL, NULL, NULL, NULL },
};
