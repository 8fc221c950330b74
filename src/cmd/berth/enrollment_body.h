/* cmd/berth/enrollment_body.h: the service API's JSON of an enrollment or a group (reference
 * dps-service-api.md 4) out of named values: options of the command line, or cells of a CSV file.
 */
#ifndef CMD_BERTH_ENROLLMENT_BODY_H
#define CMD_BERTH_ENROLLMENT_BODY_H

#include "cmd/berth/cli.h"
#include "model/records.h"
#include "json/writer.h"

/* The newest: an older one is not given all that is stored (doc/wire/service.md). */
#define BERTH_SERVICE_API_VERSION "api-version=2026-11-02-preview"

/* In the order of the columns of an export. */
enum enrollment_value {
    VALUE_ID,
    VALUE_DEVICE_ID,
    VALUE_ATTESTATION_TYPE, /* x509, symmetrickey, tpm; absent: told by the other values */
    VALUE_PRIMARY_KEY,
    VALUE_SECONDARY_KEY,
    VALUE_ENDORSEMENT_KEY,
    VALUE_STORAGE_ROOT_KEY,
    VALUE_CERTIFICATE, /* its text: PEM, or base64 */
    VALUE_SECONDARY_CERTIFICATE,
    VALUE_CERTIFICATE_PATH,
    VALUE_SECONDARY_CERTIFICATE_PATH,
    VALUE_CA_NAME,
    VALUE_SECONDARY_CA_NAME,
    VALUE_ATTESTATION, /* JSON, instead of all of these */
    VALUE_PROVISIONING_STATUS,
    VALUE_ALLOCATION_POLICY,
    VALUE_IOT_HUBS, /* with commas or blanks between them */
    VALUE_WEBHOOK_URL,
    VALUE_WEBHOOK_API_VERSION,
    VALUE_ALLOCATION_RULE,    /* its text */
    VALUE_REPROVISION_POLICY, /* a word of the option's, or the JSON object */
    VALUE_EDGE_ENABLED,
    VALUE_INITIAL_TWIN, /* JSON, instead of the next two */
    VALUE_INITIAL_TWIN_TAGS,
    VALUE_INITIAL_TWIN_PROPERTIES,
    VALUE_DEVICE_INFORMATION,
    VALUE_ETAG,
    VALUE_MEMBERS, /* JSON: any other members */
    ENROLLMENT_VALUES
};

struct enrollment_values {
    struct span at[ENROLLMENT_VALUES]; /* absent: not given */
    bool is_cells;   /* of a CSV file, not options: for what an error calls them */
    bool removes[2]; /* the stored primary, the stored secondary certificate goes */
};

/* A value's column in CSV. */
const char *berth_enrollment_column(enum enrollment_kind kind, enum enrollment_value value);
/* Can an enrollment of this kind have it? */
bool berth_enrollment_has_value(enum enrollment_kind kind, enum enrollment_value value);
/* Has the JSON member a column of its own, or is it the service's alone? */
bool berth_enrollment_knows_member(enum enrollment_kind kind, const char *name);
/* The word of --reprovision-policy for the object; NULL: no word says that. */
const char *berth_enrollment_reprovision_word(const json *policy);

/* Writes the object. stored: what GET gave; NULL: a new one. What no value names stays as it is
 * stored; read-only members are left out. Paths are not read: their texts are to be in
 * VALUE_CERTIFICATE. ERR_MALFORMED: a value
 * is wrong, or nothing says how devices prove themselves; err_detail is a sentence. */
err berth_enrollment_body_write(struct cli *cli, enum enrollment_kind kind,
                                const struct enrollment_values *values, const json *stored,
                                struct json_writer *w);
/* A deletion's: no members but ID and ETag. */
void berth_enrollment_body_write_id(enum enrollment_kind kind,
                                    const struct enrollment_values *values, struct json_writer *w);

/* The body of a PUT from the command's options, in its memory. A usage error when they are wrong.
 */
err berth_enrollment_body_make(struct cli *cli, enum enrollment_kind kind, const json *stored,
                               struct span *ret_body);

#endif
