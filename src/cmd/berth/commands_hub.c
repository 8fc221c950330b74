/* cmd/berth/commands_hub.c: `berth hub`: hubs and what they tell. Data only. */
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

static const struct option MONITOR[] = {
    TEXT("device-id", "d", "ID", "of this device and its modules alone"),
    INT("partition", 0, 31, NULL, "of this partition alone"),
    { .name = "source",
      .kind = OPTION_TEXT,
      .value = "SOURCE[,SOURCE]",
      .default_value = "telemetry",
      .help = "telemetry, twinChangeEvents, deviceLifecycleEvents, deviceConnectionStateEvents, or "
              "all" },
    { .name = "from",
      .kind = OPTION_TEXT,
      .value = "start|now|OFFSET|TIME",
      .default_value = "now",
      .help = "which events: all that are kept, new ones, those behind an offset, those since a "
              "time such as 2026-01-31T12:00:00Z" },
    CHOICE("properties", "app|sys|all|none", "app", "which properties a line shows"),
    INT("count", 1, 1000000000, NULL, "end after N events"),
    INT("timeout", 1, 1000000000, NULL, "end after N seconds; with --count that is a failure"),
    OPTIONS_END,
};

static const struct option FEEDBACK[] = {
    TEXT("device-id", "d", "ID", "of this device alone"),
    INT("count", 1, 1000000000, NULL, "end after N records"),
    INT("timeout", 1, 1000000000, NULL, "end after N seconds; with --count that is a failure"),
    OPTIONS_END,
};
static const struct option QUERY[] = {
    { .name = "query-command",
      .alias = "q",
      .kind = OPTION_TEXT,
      .traits = OPTION_REQUIRED | OPTION_OPERAND,
      .value = "QUERY",
      .help = "in the query language of hubs" },
    TOP,
    OPTIONS_END,
};
static const struct option SAS_TOKEN[] = {
    TEXT("device-id", "d", "ID", "for this device, signed by its key; without: by the hub login"),
    TEXT("module-id", "m", "ID", "for this module of it"),
    TEXT("policy-name", "pn", "NAME", "refuse to sign when the hub login is of another policy"),
    CHOICE("key-type", "primary|secondary", "primary", "which of the device's keys signs"),
    INT("duration", 1, 31536000, "3600", "seconds that it is good for"),
    OPTIONS_END,
};

#define OF_HUB                                                                                     \
    {                                                                                              \
        .name = "hub-name", .kind = OPTION_TEXT, .traits = OPTION_REQUIRED, .value = "NAME",       \
        .help = "of a hub that you made, as `berth hub list` has it"                               \
    }
#define CERTIFICATE_NAME OPERAND("certificate-name", "n", "NAME", "the certificate's name"), OF_HUB
static const struct option CERTIFICATES[] = { OF_HUB, OPTIONS_END };
static const struct option CERTIFICATE[] = { CERTIFICATE_NAME, OPTIONS_END };
static const struct option CERTIFICATE_ETAG[] = { CERTIFICATE_NAME, ETAG, OPTIONS_END };
static const struct option CERTIFICATE_CREATE[] = {
    CERTIFICATE_NAME,
    { .name = "path",
      .alias = "p",
      .kind = OPTION_FILE,
      .traits = OPTION_REQUIRED,
      .value = "FILE",
      .help = "the CA certificate, PEM or DER" },
    FLAG("verified", "you vouch for holding its key: no proof of possession is asked for"),
    ETAG,
    OPTIONS_END,
};
static const struct option CERTIFICATE_VERIFY[] = {
    CERTIFICATE_NAME, FILE_("path", "p", "the verification certificate"), CA_CERT, CA_KEY, ETAG,
    OPTIONS_END
};

const struct command BERTH_COMMANDS_HUB[] = {
    { "hub create", "Make a hub and link it", "Its connection string is shown this once.",
      HUB_CREATE, berth_hub_create },
    { "hub list", "List the hubs that you made or are linked to", NULL, NOTHING, berth_hub_list },
    { "hub delete", "Delete a hub that you made",
      "Refused while it has devices or another is linked to it, unless --force is given.",
      HUB_DELETE, berth_hub_delete },
    { "hub monitor-events", "Show telemetry, and other events of devices, as they arrive",
      "A connection that is cut is taken up again behind the last event shown.", MONITOR,
      berth_events_monitor },
    { "hub monitor-feedback", "Show what became of messages to devices",
      "Of messages that were sent with --ack. A record that was shown is taken from the hub; with "
      "--device-id one that shares a batch with another device's stays, and comes again.",
      FEEDBACK, berth_feedback_monitor },
    { "hub query", "Ask for twins by what they say",
      "As: berth hub query \"SELECT * FROM devices WHERE tags.room = 'kitchen'\"\n"
      "or: berth hub query 'SELECT deviceId, properties.reported.fw AS fw FROM devices'\n"
      "or: berth hub query 'SELECT status, COUNT() AS n FROM devices GROUP BY status'\n"
      "FROM devices.modules asks for twins of modules. A row's members are the columns.",
      QUERY, berth_hub_query },
    { "hub generate-sas-token", "Make a token, for the Authorization header or an MQTT password",
      NULL, SAS_TOKEN, berth_identity_sas_token },
    { "hub certificate create", "Upload a CA certificate, or replace one (--etag)",
      "Devices and modules of authentication type certificateAuthority are let in by a "
      "certificate under it whose common name is their ID, once it is verified. Up to 25 a hub.",
      CERTIFICATE_CREATE, berth_hub_certificate_create },
    { "hub certificate list", "List a hub's CA certificates", NULL, CERTIFICATES,
      berth_hub_certificate_list },
    { "hub certificate show", "Show one", NULL, CERTIFICATE, berth_hub_certificate_show },
    { "hub certificate delete", "Delete one", "Sessions that it let in go on.", CERTIFICATE_ETAG,
      berth_hub_certificate_delete },
    { "hub certificate generate-verification-code", "Begin the proof of possession", NULL,
      CERTIFICATE_ETAG, berth_hub_certificate_generate_verification_code },
    { "hub certificate verify", "Prove possession of a CA's key",
      "With --path: by a certificate whose common name is the verification code, signed by the "
      "CA.\nWith --ca-cert and --ca-key: all steps at once.",
      CERTIFICATE_VERIFY, berth_hub_certificate_verify },
    { NULL, NULL, NULL, NULL, NULL },
};
