/* cmd/berth/commands_ca.c: `berth ca` and `berth certificate`. Data only. */
#include "cmd/berth/commands_rows.h"

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

#define ISSUE_DETAILS                                                                              \
    "Writes PREFIX.cert.pem, PREFIX.key.pem (mode 0600) and PREFIX.chain.pem: the certificate "    \
    "with its intermediates, without the root."

const struct command BERTH_COMMANDS_CA[] = {
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
    { NULL, NULL, NULL, NULL, NULL },
};
