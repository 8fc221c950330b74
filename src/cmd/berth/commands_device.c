/* cmd/berth/commands_device.c: `berth device`, `fleet`, `explain` and `completion`. Data only. */
#include "cmd/berth/commands_rows.h"

#define ENDPOINT TEXT("endpoint", NULL, "HOST", "the device endpoint")
#define ID_SCOPE TEXT("id-scope", NULL, "SCOPE", "the provisioning service's ID scope")
#define TCTI                                                                                       \
    TEXT("tcti", NULL, "CONF",                                                                     \
         "which TPM, as device:/dev/tpmrm0; without: TPM2TOOLS_TCTI, or the first that is found")
static const struct option SIMULATE[] = {
    FILE_("cert", NULL, "the device's certificate; its issuers may stand behind it"),
    FILE_("key", NULL, "its private key"),
    FILE_("chain", NULL, "intermediate certificates to send along"),
    TEXT("symmetric-key", NULL, "BASE64", "the device's key, instead of a certificate"),
    TEXT("connection-string", "cs", "TEXT",
         "of a device or module on a hub: it connects there, without provisioning; with x509=true "
         "in it, --cert and --key too"),
    FLAG("tpm", "prove identity with a TPM 2.0; provisioning is over HTTPS then"),
    TCTI,
    FILE_("endorsement-certificates", NULL,
          "with --tpm: certificates to send behind the TPM's own, or with it when it holds none"),
    FLAG("persist", "with --tpm: keep the hub's key in the TPM at 0x81000100"),
    TEXT("registration-id", "rid", "ID",
         "without: the certificate's common name, or the TPM's own ID"),
    CA_CERT,
    CA_KEY,
    INT("devices", 1, 10000, "1", "so many devices, with certificates made under --ca-cert"),
    TEXT("device-prefix", NULL, "TEXT", "their names: TEXT-1, TEXT-2, ...; default simulated"),
    ENDPOINT,
    ID_SCOPE,
    INT("count", 0, 1000000000, "1", "messages each device sends"),
    INT("interval", 0, 86400000, "1000", "milliseconds between two messages"),
    TEXT("message", "m", "TEXT", "the message; {n} and {device} are replaced"),
    TEXT("properties", NULL, "NAME=VALUE,...", "application properties of the message"),
    CHOICE("transport", "mqtt", "mqtt", "the protocol"),
    FLAG("stay", "stay connected afterwards, until Ctrl-C or until the hub ends the session"),
    FLAG("receive", "stay connected and take what the hub sends: messages, method calls, which are "
                    "answered, and desired properties"),
    INT("method-response-code", 0, 2147483647, "200", "with --receive: the status it answers"),
    TEXT("method-response-payload", "mrp", "JSON",
         "with --receive: what it answers; without: what it was called with"),
    FLAG("quiet", "tell only of failures"),
    OPTIONS_END,
};
#define AS_DEVICE                                                                                  \
    OPERAND("device-id", "d", "ID", "the device's ID on the hub"),                                 \
        TEXT("module-id", "m", "MODULE", "this module of it"),                                     \
        TEXT("symmetric-key", NULL, "BASE64",                                                      \
             "log in by the device's own key; without: by the hub login")
#define LOCK                                                                                       \
    {                                                                                              \
        .name = "etag", .alias = "e", .kind = OPTION_TEXT, .traits = OPTION_REQUIRED,              \
        .value = "ETAG", .help = "the message's, as `receive` shows it"                            \
    }
static const struct option C2D_RECEIVE[] = {
    AS_DEVICE,
    FLAG("complete", "then tell the hub that it is done with"),
    FLAG("reject", "then tell the hub that it is not wanted"),
    FLAG("abandon", "then give it back"),
    INT("lock-timeout", 1, 300, "60", "seconds until it waits again, unless it is settled"),
    OPTIONS_END,
};
static const struct option C2D_SETTLE[] = { AS_DEVICE, LOCK, OPTIONS_END };
static const struct option TPM_SHOW[] = {
    TCTI,
    FILE_("endorsement-certificate-out", NULL,
          "write the TPM's endorsement certificate here (PEM)"),
    FLAG("force", "overwrite a file that exists"),
    OPTIONS_END,
};
static const struct option FLEET[] = {
    CA_CERT,
    CA_KEY,
    ENDPOINT,
    ID_SCOPE,
    INT("devices", 1, 10000000, "1000", "devices, each with a certificate of its own"),
    INT("concurrency", 1, 50000, "100", "connections at a time"),
    INT("rate", 1, 1000000, NULL, "begin N a second whatever becomes of them; without: at once"),
    INT("rounds", 1, 1000000, "1", "times each device does it"),
    TEXT("device-prefix", NULL, "TEXT", "device names: TEXT-1, TEXT-2, ...; default fleet"),
    CHOICE("tls", "1.2|1.3", NULL, "only this version; without: the server's choice"),
    FLAG("handshake-only", "TLS handshakes alone"),
    FLAG("connect-only", "up to CONNACK, as with any MQTT server"),
    INT("messages", 0, 1000000, "0", "then connect to the hub and send N messages each"),
    INT("message-size", 1, 262144, "128", "bytes of a message"),
    INT("window", 1, 64, "16", "messages of one device not yet acknowledged"),
    INT("hold", 1, 86400, NULL,
        "stay at the hub for N seconds once all are there, then connect to it anew, all at once"),
    INT("keep-alive", 1, 1177, "60", "with --hold: seconds between pings"),
    INT("interval", 10, 3600000, NULL,
        "with --hold: each sends a message every N ms, numbered from 1"),
    FLAG("wait", "wait retry-after before a poll, as devices do; without: poll at once"),
    FLAG("verify", "check the server's certificate in every handshake"),
    INT("timeout", 1, 3600, "30", "seconds until a device gives up"),
    INT("core", 0, 1023, NULL, "run on this processor core alone"),
    OPTIONS_END,
};
static const struct option EXPLAIN[] = {
    OPERAND("subject", NULL, "TRACKING-ID|REGISTRATION-ID|FILE.pem", "what to explain"),
    FILE_("chain", NULL, "with FILE.pem: intermediates the device would send along"),
    INT("top", 1, 100, "1", "with REGISTRATION-ID: the latest N decisions"),
    OPTIONS_END,
};
static const struct option COMPLETION[] = {
    { .name = "shell",
      .kind = OPTION_CHOICE,
      .traits = OPTION_REQUIRED | OPTION_OPERAND,
      .value = "bash|zsh",
      .help = "for which shell" },
    OPTIONS_END,
};

const struct command BERTH_COMMANDS_DEVICE[] = {
    { "device simulate", "Provision, connect to the assigned hub, send messages",
      "Either with --cert and --key, or with --symmetric-key and --registration-id, or with --tpm, "
      "or with the --connection-string of a device or module that a hub knows, "
      "or with certificates made on the spot under --ca-cert and "
      "--ca-key (or the device CA of --dev).",
      SIMULATE, berth_device_simulate },
    { "device c2d-message receive", "Take the next message that waits",
      "It is locked then: complete, reject or abandon it by its etag, or else it waits again.",
      C2D_RECEIVE, berth_device_c2d_receive },
    { "device c2d-message complete", "Tell the hub that a message is done with", NULL, C2D_SETTLE,
      berth_device_c2d_complete },
    { "device c2d-message reject", "Tell the hub that a message is not wanted", NULL, C2D_SETTLE,
      berth_device_c2d_reject },
    { "device c2d-message abandon", "Give a message back, to be delivered again", NULL, C2D_SETTLE,
      berth_device_c2d_abandon },
    { "tpm show", "Show what an enrollment needs to know of a TPM",
      "Makes the endorsement key (0x81010001) and the storage root key (0x81000001) when the TPM "
      "has none yet.",
      TPM_SHOW, berth_tpm_show },
    { "fleet", "Load: many devices register; figures at the end",
      "Certificates are made before the clock starts." DEV_CA
      "\nLatencies count from the moment a device was due to begin to its last answer.",
      FLEET, berth_fleet_run },
    { "explain", "Why a device was admitted or refused, or would be",
      "A file is judged by a dry run: exit status 6 when the device would be refused.", EXPLAIN,
      berth_explain_run },
    { "completion", "Print a shell's completion script", NULL, COMPLETION, berth_completion_run },
    { NULL, NULL, NULL, NULL, NULL },
};
