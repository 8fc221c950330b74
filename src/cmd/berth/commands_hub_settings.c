/* cmd/berth/commands_hub_settings.c: `berth hub show` and `hub update`: a hub's settings and limits
 * (doc/wire/hub-limits.md). Names are those of `az iot hub` where it has them. Data only. */
#include "cmd/berth/commands_rows.h"

#define RATE                      "RATE"
#define HUB_RATE(name_, help_)    TEXT(name_, NULL, RATE, "limit of the hub: " help_)
#define DEVICE_RATE(name_, help_) TEXT(name_, NULL, RATE, "limit of each device: " help_)

static const struct option HUB_SHOW[] = { OPERAND("hub-name", "n", "NAME", "the hub's name"),
                                          OPTIONS_END };
static const struct option HUB_UPDATE[] = {
    OPERAND("hub-name", "n", "NAME", "the hub's name"),
    CHOICE("sku", "F1|B1|B2|B3|S1|S2|S3|none", NULL,
           "limits as this size of Azure's has; none: no limits"),
    INT("capacity", 1, LIMIT_HUB_UNITS, NULL, "how many units of it"),
    INT("c2d-max-delivery-count", 1, LIMIT_C2D_DELIVERIES, NULL,
        "tries of a message to a device; default 10"),
    INT("c2d-ttl", 1, 48, NULL, "hours that a message waits for its device; default 1"),
    INT("feedback-max-delivery-count", 1, LIMIT_C2D_DELIVERIES, NULL,
        "tries of feedback; default 10"),
    INT("feedback-ttl", 1, 48, NULL, "hours that feedback waits; default 1"),
    INT("feedback-lock-duration", 5, 300, NULL, "seconds that feedback is locked; default 60"),
    BOOL("disable-device-sas", "dds", "let devices in by certificate alone"),
    BOOL("disable-module-sas", "dms", "the same for modules"),
    HUB_RATE("connects", "connections begun"),
    HUB_RATE("d2c-sends", "telemetry messages"),
    HUB_RATE("c2d-sends", "messages to devices"),
    HUB_RATE("c2d-receives", "messages fetched over HTTPS"),
    HUB_RATE("methods", "methods, in steps of 4 KiB"),
    HUB_RATE("twin-reads", "twins read"),
    HUB_RATE("twin-updates", "twins changed"),
    HUB_RATE("queries", "queries"),
    HUB_RATE("registry", "identities read, listed, changed"),
    TEXT("daily-messages", NULL, "N|unlimited|default", "messages a day, of 4 KiB each"),
    DEVICE_RATE("device-connects", "connections begun"),
    DEVICE_RATE("device-d2c-sends", "telemetry messages"),
    DEVICE_RATE("device-c2d-sends", "messages to it"),
    DEVICE_RATE("device-c2d-receives", "messages fetched over HTTPS"),
    DEVICE_RATE("device-methods", "methods, in steps of 4 KiB"),
    DEVICE_RATE("device-twin-reads", "twin read"),
    DEVICE_RATE("device-twin-updates", "twin changed"),
    OPTIONS_END,
};

const struct command BERTH_COMMANDS_HUB_SETTINGS[] = {
    { "hub show", "Show a hub that you made, with its limits", NULL, HUB_SHOW, berth_hub_show },
    { "hub update", "Change the settings and limits of a hub",
      "In effect at once, for connected devices too; what is not named stays.\n"
      "A RATE is 100, 100/s, 100/min or 100/h; 100/min:20 lets 20 of them come at once (without:\n"
      "all of them). unlimited: none, whatever the size has; default: as the size has it.\n"
      "As: berth hub update h --sku S1 --capacity 2 --device-d2c-sends 10",
      HUB_UPDATE, berth_hub_update },
    { NULL, NULL, NULL, NULL, NULL },
};
