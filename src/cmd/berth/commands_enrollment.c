/* cmd/berth/commands_enrollment.c: `berth enrollment`, `enrollment-group` and `registration`. Data
 * only. */
#include "cmd/berth/commands_rows.h"
#include "cmd/berth/transfer.h"

#define ENROLLMENT_ID OPERAND("enrollment-id", "eid", "ID", "the registration ID")
#define GROUP_ID      OPERAND("enrollment-id", "eid", "ID", "the enrollment group's ID")
#define ENROLLMENT_OPTIONS                                                                         \
    FILE_("certificate-path", "cp", "the primary certificate, PEM or DER"),                        \
        FILE_("secondary-certificate-path", "scp", "the secondary certificate"),                   \
        TEXT("ca-name", "cn", "NAME", "an uploaded CA certificate instead"),                       \
        TEXT("secondary-ca-name", "scn", "NAME", "a second uploaded CA certificate"),              \
        CHOICE_AS("attestation-type", "at", "x509|symmetrickey|tpm",                               \
                  "how devices prove themselves; without: told by the other options"),             \
        TEXT("primary-key", "pk", "BASE64", "with symmetrickey; without: the service makes it"),   \
        TEXT("secondary-key", "sk", "BASE64", "with symmetrickey"),                                \
        CHOICE_AS("provisioning-status", "ps", "enabled|disabled", "may devices register?"),       \
        TEXT("iot-hubs", "ih", "HOST,HOST", "hubs that devices may be assigned to"),               \
        CHOICE_AS("allocation-policy", "ap", "hashed|geoLatency|static|custom",                    \
                  "how a hub is picked"),                                                          \
        TEXT("webhook-url", "wh", "URL", "with custom: who picks it"),                             \
        TEXT("api-version", "av", "VERSION", "with custom: of what the webhook is sent"),          \
        FILE_("allocation-rule", "ar", "with custom: a Lua script that picks it, instead"),        \
        CHOICE_AS("reprovision-policy", "rp",                                                      \
                  "reprovisionandmigratedata|reprovisionandresetdata|never",                       \
                  "what happens when a device registers again"),                                   \
        BOOL("edge-enabled", "ee", "devices are IoT Edge devices"),                                \
        TEXT("initial-twin-tags", "tags", "JSON", "tags of the device's first twin"),              \
        TEXT("initial-twin-properties", "props", "JSON", "desired properties of the first twin")
#define INDIVIDUAL_OPTIONS                                                                         \
    TEXT("endorsement-key", "ek", "BASE64", "the TPM's; tells that a TPM proves the device"),      \
        TEXT("storage-root-key", "srk", "BASE64", "the TPM's; without: the first one that comes"), \
        TEXT("device-information", "info", "JSON", "kept with the enrollment for you")
#define REMOVALS                                                                                   \
    BOOL("remove-certificate", "rc", "the stored primary certificate, or CA name, goes"),          \
        BOOL("remove-secondary-certificate", "rsc", "the stored secondary one goes")

static const struct option ENROLLMENT_CREATE[] = {
    ENROLLMENT_ID, ENROLLMENT_OPTIONS, INDIVIDUAL_OPTIONS,
    TEXT("device-id", "d", "ID", "on the hub; without: the registration ID"), OPTIONS_END
};
static const struct option ENROLLMENT_UPDATE[] = { ENROLLMENT_ID,
                                                   ENROLLMENT_OPTIONS,
                                                   INDIVIDUAL_OPTIONS,
                                                   REMOVALS,
                                                   TEXT("device-id", "d", "ID", "on the hub"),
                                                   ETAG,
                                                   OPTIONS_END };
static const struct option GROUP_CREATE[] = { GROUP_ID, ENROLLMENT_OPTIONS, OPTIONS_END };
static const struct option GROUP_UPDATE[] = { GROUP_ID, ENROLLMENT_OPTIONS, REMOVALS, ETAG,
                                              OPTIONS_END };
#define SHOW_KEYS                                                                                  \
    {                                                                                              \
        .name = "show-keys", .alias = "keys", .kind = OPTION_FLAG, .help = "symmetric keys too"    \
    }
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
    TEXT("key", "symmetric-key", "BASE64", "the group's key: no server is asked"),
    OPTIONS_END,
};
static const struct option GROUP_DELETE[] = { GROUP_ID, ETAG, OPTIONS_END };
#define WHERE TEXT("where", "w", "CONDITION", "as in a query: \"provisioningStatus = 'disabled'\"")
static const struct option LIST[] = {
    WHERE, TEXT("order-by", NULL, "MEMBER", "by an indexed member, DESC behind it if you like"),
    FLAG("count", "only how many there are"), TOP, OPTIONS_END
};

#define FORMAT CHOICE("format", "csv|jsonl", NULL, "without: by the file's name")
#define CONCURRENCY                                                                                \
    INT("concurrency", 1, TRANSFER_CONNECTIONS_MAX, "16",                                          \
        "requests at a time, each on its connection")
static const struct option IMPORT[] = {
    { .name = "file",
      .kind = OPTION_FILE,
      .traits = OPTION_REQUIRED | OPTION_OPERAND,
      .value = "FILE|-",
      .help = "what to import; - is standard input" },
    FORMAT,
    CHOICE("mode", "create|update|updateIfMatchETag|delete", "create",
           "fail where it is there already; overwrite; only over the ETag it names; delete"),
    FILE_("errors", NULL, "gets the lines that failed, to be imported again"),
    FLAG("stop-on-error", "end at the first line that fails; without: go on"),
    FLAG("resume", "go on where an interrupted import of this file ended"),
    CONCURRENCY,
    OPTIONS_END,
};

static const struct option EXPORT[] = {
    { .name = "file",
      .kind = OPTION_FILE,
      .traits = OPTION_OPERAND,
      .value = "FILE",
      .help = "what to write; without, or with -: standard output" },
    FORMAT,
    WHERE,
    SHOW_KEYS,
    FLAG("force", "overwrite a file that exists"),
    CONCURRENCY,
    OPTIONS_END,
};

#define REGISTRATION_ID OPERAND("registration-id", "rid", "ID", "the registration ID")
static const struct option REGISTRATION_LIST[] = { GROUP_ID, TOP, OPTIONS_END };
static const struct option REGISTRATION_ONE[] = { REGISTRATION_ID, OPTIONS_END };
static const struct option REGISTRATION_DELETE[] = { REGISTRATION_ID, ETAG, OPTIONS_END };

#define IMPORT_DETAILS                                                                             \
    "JSON lines: each line an object as the service API has it. CSV: the first line names the "    \
    "columns, an empty cell is a member that is not there. Columns: registrationId (of groups: "   \
    "enrollmentGroupId), deviceId, attestationType (x509, symmetrickey, tpm), primaryKey, "        \
    "secondaryKey, endorsementKey, storageRootKey, certificate (PEM or base64), "                  \
    "certificatePath (from the file's folder), caName, all three also as secondary..., "           \
    "attestation (JSON instead of these), provisioningStatus, allocationPolicy, iotHubs (blanks "  \
    "between them), webhookUrl, webhookApiVersion, allocationRule (its text), reprovisionPolicy, " \
    "edgeEnabled, initialTwin "                                                                    \
    "(JSON), initialTwinTags, initialTwinProperties, deviceInformation (JSON), etag, members "     \
    "(JSON of any others).\n"                                                                      \
    "Lines go out in requests of ten, several at a time: an ID should be there once. A line that " \
    "fails is told with its number; the exit status is 1 then. An import that is interrupted "     \
    "leaves FILE.berth-import: --resume goes on there, and takes for done what it finds done of "  \
    "the lines that were under way."

#define EXPORT_DETAILS                                                                             \
    "What export writes import reads; the format is told there. Two things the service does not "  \
    "give with an enrollment. Symmetric keys: they are asked for one by one with --show-keys; "    \
    "without them an import makes new ones. Certificates (other than CAs by name): it gives "      \
    "their description alone, so such an enrollment can be imported over itself (--mode update "   \
    "keeps the certificate), but not created elsewhere. What one preview of the API alone had "    \
    "(credentialPolicyName, clientCertificateIssuancePolicy) is not in it.\n"                      \
    "The file appears when it is complete."

const struct command BERTH_COMMANDS_ENROLLMENT[] = {
    { "enrollment create", "Enroll one device", NULL, ENROLLMENT_CREATE, berth_enrollment_create },
    { "enrollment list", "List individual enrollments", NULL, LIST, berth_enrollment_list },
    { "enrollment show", "Show one", NULL, ENROLLMENT_SHOW, berth_enrollment_show },
    { "enrollment update", "Change one; what is not named stays as it is", NULL, ENROLLMENT_UPDATE,
      berth_enrollment_update },
    { "enrollment delete", "Delete one", NULL, ENROLLMENT_DELETE, berth_enrollment_delete },
    { "enrollment import", "Enroll, change or delete many from a file", IMPORT_DETAILS, IMPORT,
      berth_enrollment_import },
    { "enrollment export", "Write all to a file, or those of a condition", EXPORT_DETAILS, EXPORT,
      berth_enrollment_export },
    { "enrollment-group create", "Enroll many: by their CA, a key, or their TPMs' maker", NULL,
      GROUP_CREATE, berth_enrollment_group_create },
    { "enrollment-group list", "List enrollment groups", NULL, LIST, berth_enrollment_group_list },
    { "enrollment-group show", "Show one", NULL, GROUP_SHOW, berth_enrollment_group_show },
    { "enrollment-group update", "Change one; what is not named stays as it is", NULL, GROUP_UPDATE,
      berth_enrollment_group_update },
    { "enrollment-group delete", "Delete one", NULL, GROUP_DELETE, berth_enrollment_group_delete },
    { "enrollment-group import", "Create, change or delete many from a file", IMPORT_DETAILS,
      IMPORT, berth_enrollment_group_import },
    { "enrollment-group export", "Write all to a file, or those of a condition", EXPORT_DETAILS,
      EXPORT, berth_enrollment_group_export },
    { "enrollment-group compute-device-key", "Derive one device's key from the group's", NULL,
      GROUP_COMPUTE, berth_enrollment_group_compute_device_key },
    { "registration list", "List the registrations of an enrollment group", NULL, REGISTRATION_LIST,
      berth_registration_list },
    { "registration show", "Show what became of one device", NULL, REGISTRATION_ONE,
      berth_registration_show },
    { "registration delete", "Forget it: the device's next registration is its first", NULL,
      REGISTRATION_DELETE, berth_registration_delete },
    { NULL, NULL, NULL, NULL, NULL },
};
