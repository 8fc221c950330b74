/* cmd/berth/commands_hub_device.c: what `berth hub` does with one device or module: identities,
 * twins, methods, messages. Names and letters are those of `az iot hub`. Data only. */
#include "cmd/berth/commands_rows.h"

#define DEVICE_ID OPERAND("device-id", "d", "ID", "the device's ID on the hub")
#define MODULE_ID OPERAND("module-id", "m", "MODULE", "the module's ID on the device")
#define YES       FLAG("yes", "do not ask")
#define CREDENTIALS                                                                                \
    CHOICE_AS("auth-method", "am", "shared_private_key|x509_thumbprint|x509_ca",                   \
              "how it proves itself; default shared_private_key"),                                 \
        TEXT("primary-key", "pk", "BASE64",                                                        \
             "16 to 64 bytes; without both keys the hub makes them"),                              \
        TEXT("secondary-key", "sk", "BASE64", "16 to 64 bytes"),                                   \
        TEXT("primary-thumbprint", "ptp", "HEX", "SHA-256 or SHA-1 of its certificate"),           \
        TEXT("secondary-thumbprint", "stp", "HEX", "of the certificate that may replace it")
#define PROPERTIES_OF_DEVICE                                                                       \
    BOOL("edge-enabled", "ee", "is it an IoT Edge device?"),                                       \
        CHOICE_AS("status", "sta", "enabled|disabled", "may it connect?"),                         \
        TEXT("status-reason", "star", "TEXT", "kept with the identity"),                           \
        TEXT("device-scope", NULL, "SCOPE", "the scope of the edge device that is its parent")
#define KEY_TYPE CHOICE("key-type", "primary|secondary", "primary", "which key")
#define RENEWED                                                                                    \
    {                                                                                              \
        .name = "key-type", .alias = "kt", .kind = OPTION_CHOICE,                                  \
        .value = "primary|secondary|both|swap", .traits = OPTION_REQUIRED,                         \
        .help = "which key becomes another; swap: each becomes the other"                          \
    }

static const struct option DEVICE_LIST[] = { INT("top", 1, 1000, "1000", "at most N rows"),
                                             OPTIONS_END };
static const struct option DEVICE_CREATE[] = { DEVICE_ID, CREDENTIALS, PROPERTIES_OF_DEVICE,
                                               OPTIONS_END };
static const struct option DEVICE_UPDATE[] = { DEVICE_ID, CREDENTIALS, PROPERTIES_OF_DEVICE, ETAG,
                                               OPTIONS_END };
static const struct option DEVICE_DELETE[] = { DEVICE_ID, ETAG, YES, OPTIONS_END };
static const struct option DEVICE_ONE[] = { DEVICE_ID, OPTIONS_END };
static const struct option DEVICE_DISABLE[] = {
    DEVICE_ID, TEXT("reason", NULL, "TEXT", "kept with the identity"), OPTIONS_END
};
static const struct option DEVICE_RENEW[] = { DEVICE_ID, RENEWED, ETAG, OPTIONS_END };
static const struct option DEVICE_LOGIN[] = { DEVICE_ID, KEY_TYPE, OPTIONS_END };

static const struct option DEVICE_IMPORT[] = {
    { .name = "file",
      .kind = OPTION_FILE,
      .traits = OPTION_REQUIRED | OPTION_OPERAND,
      .value = "FILE|-",
      .help = "what to import; - is standard input" },
    CHOICE("format", "csv|jsonl", NULL, "without: by the file's name"),
    CHOICE("mode", "create|update|createOrUpdate|delete", "create", "what to do with each"),
    OPTIONS_END,
};

#define MANAGED_BY TEXT("managed-by", NULL, "NAME", "who manages the module")
static const struct option MODULE_CREATE[] = { DEVICE_ID, MODULE_ID, CREDENTIALS, MANAGED_BY,
                                               OPTIONS_END };
static const struct option MODULE_UPDATE[] = { DEVICE_ID,  MODULE_ID, CREDENTIALS,
                                               MANAGED_BY, ETAG,      OPTIONS_END };
static const struct option MODULE_DELETE[] = { DEVICE_ID, MODULE_ID, ETAG, YES, OPTIONS_END };
static const struct option MODULE_ONE[] = { DEVICE_ID, MODULE_ID, OPTIONS_END };
static const struct option MODULE_RENEW[] = { DEVICE_ID, MODULE_ID, RENEWED, ETAG, OPTIONS_END };
static const struct option MODULE_LOGIN[] = { DEVICE_ID, MODULE_ID, KEY_TYPE, OPTIONS_END };

#define CHANGES                                                                                    \
    TEXT("desired", NULL, "JSON|@FILE", "merged into the desired properties; null deletes"),       \
        TEXT("tags", NULL, "JSON|@FILE", "merged into the tags"), ETAG
#define WHOLE                                                                                      \
    { .name = "json",                                                                              \
      .alias = "j",                                                                                \
      .kind = OPTION_TEXT,                                                                         \
      .traits = OPTION_REQUIRED,                                                                   \
      .value = "JSON|@FILE",                                                                       \
      .help = "a twin: its tags and properties.desired are taken" },                               \
        ETAG
static const struct option DEVICE_TWIN_UPDATE[] = { DEVICE_ID, CHANGES, OPTIONS_END };
static const struct option DEVICE_TWIN_REPLACE[] = { DEVICE_ID, WHOLE, OPTIONS_END };
static const struct option MODULE_TWIN_UPDATE[] = { DEVICE_ID, MODULE_ID, CHANGES, OPTIONS_END };
static const struct option MODULE_TWIN_REPLACE[] = { DEVICE_ID, MODULE_ID, WHOLE, OPTIONS_END };

#define METHOD                                                                                     \
    { .name = "method-name",                                                                       \
      .alias = "mn",                                                                               \
      .kind = OPTION_TEXT,                                                                         \
      .traits = OPTION_REQUIRED,                                                                   \
      .value = "NAME",                                                                             \
      .help = "what to call" },                                                                    \
        TEXT("method-payload", "mp", "JSON|@FILE", "what to call it with"),                        \
        INT("timeout", 5, 300, "30", "seconds that the device has for its answer"),                \
        INT("connect-timeout", 0, 300, "0", "seconds that it has to come online")
static const struct option DEVICE_METHOD[] = { DEVICE_ID, METHOD, OPTIONS_END };
static const struct option MODULE_METHOD[] = { DEVICE_ID, MODULE_ID, METHOD, OPTIONS_END };

static const struct option C2D_SEND[] = {
    DEVICE_ID,
    TEXT("module-id", "m", "MODULE", "to this module of it"),
    TEXT("data", "da", "TEXT", "the message"),
    FILE_("data-file-path", "dfp", "send the bytes of a file"),
    TEXT("properties", "p", "NAME=VALUE;...", "application properties"),
    CHOICE_AS("ack", NULL, "none|positive|negative|full",
              "which outcomes the hub tells as feedback; default none"),
    TEXT("expiry-time-utc", "expiry", "TIME",
         "+SECONDS, milliseconds since 1970, or 2030-12-31T23:59:59Z; without: the hub's default"),
    TEXT("message-id", "mid", "ID", "without: one is made"),
    TEXT("correlation-id", "cid", "ID", "of the message that this one answers"),
    TEXT("user-id", "uid", "ID", "of whom it comes from"),
    TEXT("content-type", "ct", "TYPE", "as application/json"),
    TEXT("content-encoding", "ce", "NAME", "as utf-8"),
    FLAG("wait", "until the device has it, or the hub gave up; asks for --ack full"),
    INT("timeout", 1, 1000000000, NULL, "with --wait: for so many seconds; that is a failure"),
    OPTIONS_END,
};
static const struct option C2D_PURGE[] = {
    DEVICE_ID, TEXT("module-id", "m", "MODULE", "for this module of it"), YES, OPTIONS_END
};

const struct command BERTH_COMMANDS_HUB_DEVICE[] = {
    { "hub device-identity create", "Make a device's identity",
      "As: berth hub device-identity create thermostat\n"
      "or: berth hub device-identity create thermostat --primary-thumbprint 1A2B…\n"
      "Devices that are provisioned get theirs by themselves. `berth hub device-identity "
      "connection-string show` is what an SDK wants to know.",
      DEVICE_CREATE, berth_identity_create },
    { "hub device-identity list", "List device identities", NULL, DEVICE_LIST,
      berth_identity_list },
    { "hub device-identity show", "Show one", NULL, DEVICE_ONE, berth_identity_show },
    { "hub device-identity update", "Change how a device proves itself, its status and more",
      "What is not named stays. It is refused if somebody changed the identity meanwhile.",
      DEVICE_UPDATE, berth_identity_update },
    { "hub device-identity delete", "Delete one, with its twin, modules and messages",
      "Its session ends at once.", DEVICE_DELETE, berth_identity_delete },
    { "hub device-identity import", "Make, change or delete many from a file",
      "A CSV file has a first line with names of columns: deviceId, moduleId, status, "
      "statusReason, "
      "authMethod, primaryKey, secondaryKey, primaryThumbprint, secondaryThumbprint, edgeEnabled, "
      "deviceScope, tags, desired; an empty cell says nothing. Of JSON lines each is an item of a "
      "bulk request: {\"id\":\"d\",\"tags\":{}}. Each line that fails is told with its number; the "
      "exit status is 1 then.",
      DEVICE_IMPORT, berth_identity_import },
    { "hub device-identity disable", "Shut a device out; its session ends at once", NULL,
      DEVICE_DISABLE, berth_identity_disable },
    { "hub device-identity enable", "Let it in again", NULL, DEVICE_ONE, berth_identity_enable },
    { "hub device-identity renew-key", "Give it another key", NULL, DEVICE_RENEW,
      berth_identity_renew_key },
    { "hub device-identity connection-string show", "Show what an SDK connects by", NULL,
      DEVICE_LOGIN, berth_identity_connection_string },
    { "hub module-identity create", "Make an identity of a module of a device", NULL, MODULE_CREATE,
      berth_identity_create },
    { "hub module-identity list", "List the modules of a device", NULL, DEVICE_ONE,
      berth_identity_list_modules },
    { "hub module-identity show", "Show one", NULL, MODULE_ONE, berth_identity_show },
    { "hub module-identity update", "Change how a module proves itself",
      "What is not named stays. It is refused if somebody changed the identity meanwhile.",
      MODULE_UPDATE, berth_identity_update },
    { "hub module-identity delete", "Delete one, with its twin and messages", NULL, MODULE_DELETE,
      berth_identity_delete },
    { "hub module-identity renew-key", "Give it another key", NULL, MODULE_RENEW,
      berth_identity_renew_key },
    { "hub module-identity connection-string show", "Show what an SDK connects by", NULL,
      MODULE_LOGIN, berth_identity_connection_string },
    { "hub device-twin show", "Show one", NULL, DEVICE_ONE, berth_hub_twin_show },
    { "hub device-twin update", "Change desired properties or tags",
      "As: berth hub device-twin update thermostat --desired '{\"target\":21}'\n"
      "A device that is connected is told at once.",
      DEVICE_TWIN_UPDATE, berth_hub_twin_update },
    { "hub device-twin replace", "Set all desired properties and tags",
      "A section that is not named is emptied. Reported properties stay: they are the device's.",
      DEVICE_TWIN_REPLACE, berth_hub_twin_replace },
    { "hub module-twin show", "Show one", NULL, MODULE_ONE, berth_hub_twin_show },
    { "hub module-twin update", "Change desired properties or tags",
      "A module that is connected is told at once.", MODULE_TWIN_UPDATE, berth_hub_twin_update },
    { "hub module-twin replace", "Set all desired properties and tags",
      "A section that is not named is emptied. Reported properties stay: they are the module's.",
      MODULE_TWIN_REPLACE, berth_hub_twin_replace },
    { "hub invoke-device-method", "Call a method on a device, and show its answer",
      "As: berth hub invoke-device-method thermostat --method-name reboot --method-payload "
      "'{\"in\":5}'\n"
      "The device must be connected. Exit status 0: it answered with a status from 200 to 299; 7: "
      "with another.",
      DEVICE_METHOD, berth_method_invoke },
    { "hub invoke-module-method", "Call a method on a module, and show its answer",
      "Exit status 0: it answered with a status from 200 to 299; 7: with another.", MODULE_METHOD,
      berth_method_invoke },
    { "hub c2d-message send", "Send a message to a device",
      "As: berth hub c2d-message send thermostat --data open --properties 'level=2;room=k'\n"
      "It waits at the hub until the device takes it, or it expires. With --wait the exit status "
      "is 0 when the device has taken it, 7 when it was rejected, expired, purged or delivered "
      "too often.",
      C2D_SEND, berth_c2d_send },
    { "hub c2d-message purge", "Drop the messages that wait for a device", NULL, C2D_PURGE,
      berth_c2d_purge },
    { NULL, NULL, NULL, NULL, NULL },
};
