/* cmd/berth/commands_hub.c: `berth hub`. Data only. */
#include "cmd/berth/commands_rows.h"

static const struct option NOTHING[] = { OPTIONS_END };
static const struct option HUB_CREATE[] = {
    OPERAND("hub-name", "n", "NAME", "the hub's name"),
    { .name = "host-name",
      .kind = OPTION_TEXT,
      .traits = OPTION_REQUIRED,
      .value = "HOST",
      .help = "under which devices reach it" },
    FLAG("no-link", "do not let the provisioning service assign to it yet"),
    INT("allocation-weight", 1, 1000, NULL, "its share under the hashed policy"),
    OPTIONS_END,
};
static const struct option HUB_DELETE[] = {
    OPERAND("hub-name", "n", "NAME", "the hub's name"),
    FLAG("force", "with its devices, and though others are linked to it"),
    FLAG("yes", "do not ask"),
    OPTIONS_END,
};

#define DEVICE_ID OPERAND("device-id", "d", "ID", "the device's ID on the hub")
static const struct option DEVICE_LIST[] = { INT("top", 1, 1000, "1000", "at most N rows"),
                                             OPTIONS_END };
static const struct option DEVICE_ONE[] = { DEVICE_ID, OPTIONS_END };
static const struct option DEVICE_DISABLE[] = {
    DEVICE_ID, TEXT("reason", NULL, "TEXT", "kept with the identity"), OPTIONS_END
};
static const struct option TWIN_UPDATE[] = {
    DEVICE_ID,
    TEXT("desired", NULL, "JSON|@FILE", "merged into the desired properties; null deletes"),
    TEXT("tags", NULL, "JSON|@FILE", "merged into the tags"),
    ETAG,
    OPTIONS_END,
};
static const struct option TWIN_REPLACE[] = {
    DEVICE_ID,
    { .name = "json",
      .alias = "j",
      .kind = OPTION_TEXT,
      .traits = OPTION_REQUIRED,
      .value = "JSON|@FILE",
      .help = "a twin: its tags and properties.desired are taken" },
    ETAG,
    OPTIONS_END,
};
static const struct option MONITOR[] = {
    TEXT("device-id", "d", "ID", "of this device alone"),
    { .name = "from",
      .kind = OPTION_TEXT,
      .value = "start|now|OFFSET",
      .default_value = "now",
      .help = "which events: all that are kept, new ones, those behind an offset" },
    INT("count", 1, 1000000000, NULL, "end after N events"),
    INT("timeout", 1, 1000000000, NULL, "end after N seconds; with --count that is a failure"),
    OPTIONS_END,
};

const struct command BERTH_COMMANDS_HUB[] = {
    { "hub create", "Make a hub and link it", "Its connection string is shown this once.",
      HUB_CREATE, berth_hub_create },
    { "hub list", "List the hubs that you made or are linked to", NULL, NOTHING, berth_hub_list },
    { "hub delete", "Delete a hub that you made",
      "Refused while it has devices or another is linked to it, unless --force is given.",
      HUB_DELETE, berth_hub_delete },
    { "hub monitor-events", "Show telemetry as it arrives", NULL, MONITOR, berth_events_monitor },
    { "hub device-identity list", "List device identities", NULL, DEVICE_LIST,
      berth_hub_device_list },
    { "hub device-identity show", "Show one", NULL, DEVICE_ONE, berth_hub_device_show },
    { "hub device-identity disable", "Shut a device out; its session ends at once", NULL,
      DEVICE_DISABLE, berth_hub_device_disable },
    { "hub device-identity enable", "Let it in again", NULL, DEVICE_ONE, berth_hub_device_enable },
    { "hub device-twin show", "Show one", NULL, DEVICE_ONE, berth_hub_twin_show },
    { "hub device-twin update", "Change desired properties or tags",
      "A device that is connected is told at once.", TWIN_UPDATE, berth_hub_twin_update },
    { "hub device-twin replace", "Set all desired properties and tags",
      "A section that is not named is emptied. Reported properties stay: they are the device's.",
      TWIN_REPLACE, berth_hub_twin_replace },
    { NULL, NULL, NULL, NULL, NULL },
};
