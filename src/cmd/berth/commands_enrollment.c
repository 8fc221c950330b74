/* cmd/berth/commands_enrollment.c: `berth enrollment`, `enrollment-group` and `registration`. Data
 * only. */
#include "cmd/berth/commands_rows.h"

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

#define REGISTRATION_ID OPERAND("registration-id", "rid", "ID", "the registration ID")
static const struct option REGISTRATION_LIST[] = { GROUP_ID, TOP, OPTIONS_END };
static const struct option REGISTRATION_ONE[] = { REGISTRATION_ID, OPTIONS_END };
static const struct option REGISTRATION_DELETE[] = { REGISTRATION_ID, ETAG, OPTIONS_END };

const struct command BERTH_COMMANDS_ENROLLMENT[] = {
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
    { NULL, NULL, NULL, NULL, NULL },
};
