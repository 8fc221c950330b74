/* cmd/berth/commands.c: every command, its options and its words. Data only. */
#include "cmd/berth/commands.h"

#include "model/limits.h"

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

const struct option BERTH_GLOBAL_OPTIONS[] = {
    { .name = "dev",
      .kind = OPTION_DIR,
      .value = "DIR",
      .help = "the data directory of a `berthd --dev`: names, logins and trust from DIR/dev.json" },
    TEXT("login", NULL, "CONNECTION-STRING", "of the provisioning service"),
    TEXT("hub-login", NULL, "CONNECTION-STRING", "of the hub"),
    TEXT("hub", NULL, "HOST", "which hub of --dev; without: the first"),
    FILE_("ca-file", NULL, "trust servers under these CA certificates (PEM)"),
    TEXT("endpoint-address", NULL, "ADDRESS",
         "connect here, whatever the server's name resolves to"),
    INT("https-port", 1, 65535, NULL, "instead of 443"),
    INT("mqtt-port", 1, 65535, NULL, "instead of 8883"),
    { .name = "output",
      .alias = "o",
      .kind = OPTION_CHOICE,
      .value = "table|json",
      .default_value = "table",
      .help = "for people or for programs" },
    { .name = "help", .alias = "h", .kind = OPTION_FLAG, .help = "this text" },
    OPTIONS_END,
};

#define ISSUE_OPTIONS(days)                                                                        \
    OPERAND("name", "n", "NAME", "the subject's common name"),                                     \
        TEXT("out", NULL, "PREFIX",                                                                \
             "write PREFIX.cert.pem, .key.pem, .chain.pem; without: the name"),                    \
        CHOICE("key-type", "p256|p384|rsa2048|rsa3072|rsa4096", "p256", "the kind of key"),        \
        INT("days", 1, LIMIT_CERTIFICATE_DAYS, days, "for how long it is valid"),                  \
        TEXT("not-before", NULL, "TIME", "2027-01-31T12:00:00Z; without: five minutes ago"),       \
        FLAG("force", "overwrite files that exist")

static const struct option CA_ROOT[] = { ISSUE_OPTIONS("3650"), OPTIONS_END };
static const struct option CA_INTERMEDIATE[] = {
    ISSUE_OPTIONS("1825"), CA_CERT, CA_KEY,
    INT("path-length", 0, 8, NULL, "how many CAs may stand below it; without: any"), OPTIONS_END
};
static const struct option CA_DEVICE[] = { ISSUE_OPTIONS("365"), CA_CERT, CA_KEY, OPTIONS_END };
static const struct option CA_VERIFICATION[] = { ISSUE_OPTIONS("1"), CA_CERT, CA_KEY, OPTIONS_END };

#define CERTIFICATE_NAME OPERAND("certificate-name", "n", "NAME", "the certificate's name")

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
static const struct option NOTHING[] = { OPTIONS_END };
static const struct option CERTIFICATE_ONE[] = { CERTIFICATE_NAME, OPTIONS_END };
static const struct option CERTIFICATE_ETAG[] = { CERTIFICATE_NAME, ETAG, OPTIONS_END };
static const struct option CERTIFICATE_DELETE[] = {
    CERTIFICATE_NAME, FLAG("force", "even while an enrollment refers to it"), ETAG, OPTIONS_END
};
static const struct option CERTIFICATE_VERIFY[] = {
    CERTIFICATE_NAME, FILE_("path", "p", "the verification certificate"), CA_CERT, CA_KEY, ETAG,
    OPTIONS_END
};

#define ENROLLMENT_ID OPERAND("enrollment-id", "eid", "ID", "the registration ID")
#define GROUP_ID      OPERAND("enrollment-id", "eid", "ID", "the enrollment group's ID")
#define ENROLLMENT_OPTIONS                                                                         \
    FILE_("certificate-path", "cp", "the primary certificate, PEM or DER"),                        \
        FILE_("secondary-certificate-path", "scp", "the secondary certificate"),                   \
        TEXT("ca-name", "cn", "NAME", "an uploaded CA certificate instead"),                       \
        TEXT("secondary-ca-name", "scn", "NAME", "a second uploaded CA certificate"),              \
        CHOICE("attestation-type", "x509|symmetrickey", NULL, "how devices prove themselves"),     \
        TEXT("primary-key", "pk", "BASE64", "with symmetrickey; without: the service makes it"),   \
        TEXT("secondary-key", "sk", "BASE64", "with symmetrickey"),                                \
        CHOICE("provisioning-status", "enabled|disabled", NULL, "may devices register?"),          \
        TEXT("iot-hubs", NULL, "HOST,HOST", "hubs that devices may be assigned to"),               \
        CHOICE("allocation-policy", "hashed|geoLatency|static|custom", NULL,                       \
               "how a hub is picked"),                                                             \
        CHOICE("reprovision-policy", "reprovisionandmigratedata|reprovisionandresetdata|never",    \
               NULL, "what happens when a device registers again"),                                \
        TEXT("initial-twin-tags", NULL, "JSON", "tags of the device's first twin"),                \
        TEXT("initial-twin-properties", NULL, "JSON", "desired properties of the first twin")

static const struct option ENROLLMENT_CREATE[] = {
    ENROLLMENT_ID, ENROLLMENT_OPTIONS,
    TEXT("device-id", "d", "ID", "on the hub; without: the registration ID"), OPTIONS_END
};
static const struct option ENROLLMENT_UPDATE[] = { ENROLLMENT_ID, ENROLLMENT_OPTIONS,
                                                   TEXT("device-id", "d", "ID", "on the hub"), ETAG,
                                                   OPTIONS_END };
static const struct option GROUP_CREATE[] = { GROUP_ID, ENROLLMENT_OPTIONS, OPTIONS_END };
static const struct option GROUP_UPDATE[] = { GROUP_ID, ENROLLMENT_OPTIONS, ETAG, OPTIONS_END };
#define SHOW_KEYS FLAG("show-keys", "symmetric keys too")
static const struct option ENROLLMENT_SHOW[] = { ENROLLMENT_ID, SHOW_KEYS, OPTIONS_END };
static const struct option ENROLLMENT_DELETE[] = { ENROLLMENT_ID, ETAG, OPTIONS_END };
static const struct option GROUP_SHOW[] = { GROUP_ID, SHOW_KEYS, OPTIONS_END };
static const struct option GROUP_COMPUTE[] = {
    { .name = "enrollment-id",
      .alias = "eid",
      .kind = OPTION_TEXT,
      .traits = OPTION_OPERAND,
      .value = "ID",
      .help = "the enrollment group's ID; its primary key is asked for" },
    { .name = "registration-id",
      .alias = "rid",
      .kind = OPTION_TEXT,
      .traits = OPTION_REQUIRED,
      .value = "ID",
      .help = "the device" },
    TEXT("key", NULL, "BASE64", "the group's key: no server is asked"),
    OPTIONS_END,
};
static const struct option GROUP_DELETE[] = { GROUP_ID, ETAG, OPTIONS_END };
static const struct option LIST[] = { TOP, OPTIONS_END };

#define REGISTRATION_ID OPERAND("registration-id", "rid", "ID", "the registration ID")
static const struct option REGISTRATION_LIST[] = { GROUP_ID, TOP, OPTIONS_END };
static const struct option REGISTRATION_ONE[] = { REGISTRATION_ID, OPTIONS_END };
static const struct option REGISTRATION_DELETE[] = { REGISTRATION_ID, ETAG, OPTIONS_END };

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

#define DEVICE_ID OPERAND("device-id", "d", "ID", "the device's ID on the hub")
static const struct option DEVICE_LIST[] = { INT("top", 1, 1000, "1000", "at most N rows"),
                                             OPTIONS_END };
static const struct option DEVICE_ONE[] = { DEVICE_ID, OPTIONS_END };
static const struct option DEVICE_DISABLE[] = {
    DEVICE_ID, TEXT("reason", NULL, "TEXT", "kept with the identity"), OPTIONS_END
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
    FLAG("quiet", "tell only of failures"),
    OPTIONS_END,
};
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

const struct command_group BERTH_GROUPS[] = {
    { "ca", "Make keys and certificates in files, without a server" },
    { "certificate", "CA certificates that enrollments may refer to" },
    { "enrollment", "Individual enrollments: one device each" },
    { "enrollment-group", "Enrollment groups: every device under one CA, or with derived keys" },
    { "registration", "What became of devices" },
    { "hub", "Hubs and their events" },
    { "hub device-identity", "The device identities of a hub" },
    { "device", "A device of your own, simulated" },
    { "tpm", "The TPM of a device" },
    { NULL, NULL },
};

#define ISSUE_DETAILS                                                                              \
    "Writes PREFIX.cert.pem, PREFIX.key.pem (mode 0600) and PREFIX.chain.pem: the certificate "    \
    "with its intermediates, without the root."
#define DEV_CA "\nWithout --ca-cert and --ca-key the device CA of --dev signs."

const struct command BERTH_COMMANDS[] = {
    { "ca create-root", "Make a CA that signs itself", ISSUE_DETAILS, CA_ROOT,
      berth_ca_create_root },
    { "ca create-intermediate", "Make a CA under another CA", ISSUE_DETAILS DEV_CA, CA_INTERMEDIATE,
      berth_ca_create_intermediate },
    { "ca create-device", "Make a device's key and certificate",
      ISSUE_DETAILS " The name is the registration ID." DEV_CA, CA_DEVICE, berth_ca_create_device },
    { "ca create-verification", "Make a certificate that proves possession of a CA's key",
      ISSUE_DETAILS " The name is the verification code." DEV_CA, CA_VERIFICATION,
      berth_ca_create_verification },
    { "certificate create", "Upload a CA certificate, or replace one (--etag)", NULL,
      CERTIFICATE_CREATE, berth_certificate_create },
    { "certificate list", "List the uploaded CA certificates", NULL, NOTHING,
      berth_certificate_list },
    { "certificate show", "Show one", NULL, CERTIFICATE_ONE, berth_certificate_show },
    { "certificate delete", "Delete one",
      "Refused while an enrollment refers to it, unless --force is given.", CERTIFICATE_DELETE,
      berth_certificate_delete },
    { "certificate generate-verification-code", "Begin the proof of possession", NULL,
      CERTIFICATE_ETAG, berth_certificate_generate_verification_code },
    { "certificate verify", "Prove possession of a CA's key",
      "With --path: by a certificate whose common name is the verification code, signed by the "
      "CA.\nWith --ca-cert and --ca-key: all steps at once.",
      CERTIFICATE_VERIFY, berth_certificate_verify },
    { "enrollment create", "Enroll one device", NULL, ENROLLMENT_CREATE, berth_enrollment_create },
    { "enrollment list", "List individual enrollments", NULL, LIST, berth_enrollment_list },
    { "enrollment show", "Show one", NULL, ENROLLMENT_SHOW, berth_enrollment_show },
    { "enrollment update", "Change one; what is not named stays as it is", NULL, ENROLLMENT_UPDATE,
      berth_enrollment_update },
    { "enrollment delete", "Delete one", NULL, ENROLLMENT_DELETE, berth_enrollment_delete },
    { "enrollment-group create", "Enroll every device under a CA", NULL, GROUP_CREATE,
      berth_enrollment_group_create },
    { "enrollment-group list", "List enrollment groups", NULL, LIST, berth_enrollment_group_list },
    { "enrollment-group show", "Show one", NULL, GROUP_SHOW, berth_enrollment_group_show },
    { "enrollment-group update", "Change one; what is not named stays as it is", NULL, GROUP_UPDATE,
      berth_enrollment_group_update },
    { "enrollment-group delete", "Delete one", NULL, GROUP_DELETE, berth_enrollment_group_delete },
    { "enrollment-group compute-device-key", "Derive one device's key from the group's", NULL,
      GROUP_COMPUTE, berth_enrollment_group_compute_device_key },
    { "registration list", "List the registrations of an enrollment group", NULL, REGISTRATION_LIST,
      berth_registration_list },
    { "registration show", "Show what became of one device", NULL, REGISTRATION_ONE,
      berth_registration_show },
    { "registration delete", "Forget it: the device's next registration is its first", NULL,
      REGISTRATION_DELETE, berth_registration_delete },
    { "hub create", "Make a hub and link it", "Its connection string is shown this once.",
      HUB_CREATE, berth_hub_create },
    { "hub list", "List hubs", NULL, NOTHING, berth_hub_list },
    { "hub monitor-events", "Show telemetry as it arrives", NULL, MONITOR, berth_events_monitor },
    { "hub device-identity list", "List device identities", NULL, DEVICE_LIST,
      berth_hub_device_list },
    { "hub device-identity show", "Show one", NULL, DEVICE_ONE, berth_hub_device_show },
    { "hub device-identity disable", "Shut a device out; its session ends at once", NULL,
      DEVICE_DISABLE, berth_hub_device_disable },
    { "hub device-identity enable", "Let it in again", NULL, DEVICE_ONE, berth_hub_device_enable },
    { "device simulate", "Provision, connect to the assigned hub, send messages",
      "Either with --cert and --key, or with --symmetric-key and --registration-id, or with --tpm, "
      "or with certificates made on the spot under --ca-cert and "
      "--ca-key (or the device CA of --dev).",
      SIMULATE, berth_device_simulate },
    { "tpm show", "Show what an enrollment needs to know of a TPM",
      "Makes the endorsement key (0x81010001) and the storage root key (0x81000001) when the TPM "
      "has "
      "none yet.",
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

/* How many of the words the path is made of; 0: it does not begin with them. */
static int match(const char *path, int argc, char *const *argv)
{
    struct span rest = span_str(path);
    int n = 0;

    while (!span_is_absent(rest)) {
        if (n >= argc || !span_eq(span_cut(&rest, ' '), span_str(argv[n]))) {
            return 0;
        }
        n++;
    }
    return n;
}

const struct command *berth_commands_find(int argc, char *const *argv, int *ret_n)
{
    const struct command *best = NULL;
    int most = 0;

    for (const struct command *c = BERTH_COMMANDS; c->path != NULL; c++) {
        int n = match(c->path, argc, argv);

        if (n > most) {
            most = n;
            best = c;
        }
    }
    *ret_n = most;
    return best;
}

const struct command_group *berth_commands_find_group(int argc, char *const *argv)
{
    const struct command_group *best = NULL;
    int most = 0;

    for (const struct command_group *g = BERTH_GROUPS; g->path != NULL; g++) {
        int n = match(g->path, argc, argv);

        if (n > most) {
            most = n;
            best = g;
        }
    }
    return best;
}
