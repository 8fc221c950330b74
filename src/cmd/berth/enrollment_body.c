/* cmd/berth/enrollment_body.c: values over stored members. What no value names is sent back as it
 * came: the service keeps a certificate whose `info` it is shown. Knows which values belong
 * together; whether they are good is the service's to say, but for what it would take for something
 * else. */
#include "cmd/berth/enrollment_body.h"

#include "cmd/berth/file.h"
#include "cmd/berth/pem.h"
#include "model/limits.h"

/* A value is at most in a member, in a member of an enrollment, in an array, in a bulk request. */
enum { JSON_DEPTH = LIMIT_JSON_DEPTH - 5 };

/* How devices prove themselves, as a set. */
enum { TYPE_X509 = 1, TYPE_SYMMETRIC_KEY = 2, TYPE_TPM = 4, TYPE_ANY = 7 };

enum { INDIVIDUALS = 1, GROUPS = 2, BOTH = 3 };

static const struct {
    const char *column, *option;
    int kinds;
    int types;          /* of attestation, for which it is meant; 0: not about attestation */
    const char *member; /* of the enrollment, that it decides; NULL: part of `attestation` */
} VALUES[ENROLLMENT_VALUES] = {
    [VALUE_ID] = { "registrationId", "enrollment-id", BOTH, 0, "registrationId" },
    [VALUE_DEVICE_ID] = { "deviceId", "device-id", INDIVIDUALS, 0, "deviceId" },
    [VALUE_ATTESTATION_TYPE] = { "attestationType", "attestation-type", BOTH, TYPE_ANY, NULL },
    [VALUE_PRIMARY_KEY] = { "primaryKey", "primary-key", BOTH, TYPE_SYMMETRIC_KEY, NULL },
    [VALUE_SECONDARY_KEY] = { "secondaryKey", "secondary-key", BOTH, TYPE_SYMMETRIC_KEY, NULL },
    [VALUE_ENDORSEMENT_KEY] = { "endorsementKey", "endorsement-key", INDIVIDUALS, TYPE_TPM, NULL },
    [VALUE_STORAGE_ROOT_KEY] = { "storageRootKey", "storage-root-key", INDIVIDUALS, TYPE_TPM,
                                 NULL },
    [VALUE_CERTIFICATE] = { "certificate", NULL, BOTH, TYPE_X509, NULL },
    [VALUE_SECONDARY_CERTIFICATE] = { "secondaryCertificate", NULL, BOTH, TYPE_X509, NULL },
    [VALUE_CERTIFICATE_PATH] = { "certificatePath", "certificate-path", BOTH, TYPE_X509, NULL },
    [VALUE_SECONDARY_CERTIFICATE_PATH] = { "secondaryCertificatePath", "secondary-certificate-path",
                                           BOTH, TYPE_X509, NULL },
    [VALUE_CA_NAME] = { "caName", "ca-name", BOTH, TYPE_X509, NULL },
    [VALUE_SECONDARY_CA_NAME] = { "secondaryCaName", "secondary-ca-name", BOTH, TYPE_X509, NULL },
    [VALUE_ATTESTATION] = { "attestation", NULL, BOTH, 0, "attestation" },
    [VALUE_PROVISIONING_STATUS] = { "provisioningStatus", "provisioning-status", BOTH, 0,
                                    "provisioningStatus" },
    [VALUE_ALLOCATION_POLICY] = { "allocationPolicy", "allocation-policy", BOTH, 0,
                                  "allocationPolicy" },
    [VALUE_IOT_HUBS] = { "iotHubs", "iot-hubs", BOTH, 0, "iotHubs" },
    [VALUE_WEBHOOK_URL] = { "webhookUrl", "webhook-url", BOTH, 0, "customAllocationDefinition" },
    [VALUE_WEBHOOK_API_VERSION] = { "webhookApiVersion", "api-version", BOTH, 0,
                                    "customAllocationDefinition" },
    [VALUE_ALLOCATION_RULE] = { "allocationRule", "allocation-rule", BOTH, 0,
                                "customAllocationDefinition" },
    [VALUE_REPROVISION_POLICY] = { "reprovisionPolicy", "reprovision-policy", BOTH, 0,
                                   "reprovisionPolicy" },
    [VALUE_EDGE_ENABLED] = { "edgeEnabled", "edge-enabled", BOTH, 0, "capabilities" },
    [VALUE_INITIAL_TWIN] = { "initialTwin", NULL, BOTH, 0, "initialTwin" },
    [VALUE_INITIAL_TWIN_TAGS] = { "initialTwinTags", "initial-twin-tags", BOTH, 0, "initialTwin" },
    [VALUE_INITIAL_TWIN_PROPERTIES] = { "initialTwinProperties", "initial-twin-properties", BOTH, 0,
                                        "initialTwin" },
    [VALUE_DEVICE_INFORMATION] = { "deviceInformation", "device-information", INDIVIDUALS, 0,
                                   "optionalDeviceInformation" },
    [VALUE_ETAG] = { "etag", NULL, BOTH, 0, "etag" },
    [VALUE_MEMBERS] = { "members", NULL, BOTH, 0, NULL },
};

static const struct {
    const char *word;
    bool updates, migrates;
} REPROVISION[] = {
    { "reprovisionandmigratedata", true, true },
    { "reprovisionandresetdata", true, false },
    { "never", false, false },
};

/* What one body is made of. */
struct making {
    struct cli *cli;
    enum enrollment_kind kind;
    struct enrollment_values values; /* what is stored filled in where one goes with another */
    const json *stored;
    int type;        /* TYPE_*, once something says so */
    bool keeps_type; /* it is the stored one: what is not named of it stays */
    struct json_writer *w;
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static bool is_given(const struct making *m, enum enrollment_value value)
{
    return !span_is_absent(m->values.at[value]);
}

const char *berth_enrollment_column(enum enrollment_kind kind, enum enrollment_value value)
{
    return value == VALUE_ID && kind == ENROLLMENT_GROUP ? "enrollmentGroupId"
                                                         : VALUES[value].column;
}

bool berth_enrollment_has_value(enum enrollment_kind kind, enum enrollment_value value)
{
    return (VALUES[value].kinds & (kind == ENROLLMENT_GROUP ? GROUPS : INDIVIDUALS)) != 0;
}

bool berth_enrollment_knows_member(enum enrollment_kind kind, const char *name)
{
    static const char *const always[] = { "registrationId",    "enrollmentGroupId",
                                          "registrationState", "createdDateTimeUtc",
                                          "iotHubHostName",    "lastUpdatedDateTimeUtc" };

    for (size_t i = 0; i < COUNT(always); i++) {
        if (strcmp(name, always[i]) == 0) {
            return true;
        }
    }
    for (int i = 0; i < ENROLLMENT_VALUES; i++) {
        if (berth_enrollment_has_value(kind, (enum enrollment_value)i) &&
            VALUES[i].member != NULL && strcmp(name, VALUES[i].member) == 0) {
            return true;
        }
    }
    return false;
}

const char *berth_enrollment_reprovision_word(const json *policy)
{
    bool updates = true, migrates = true;

    if (!err_is_ok(json_get_bool(policy, "updateHubAssignment", &updates)) ||
        !err_is_ok(json_get_bool(policy, "migrateDeviceData", &migrates))) {
        return NULL;
    }
    for (size_t i = 0; i < COUNT(REPROVISION); i++) {
        if (REPROVISION[i].updates == updates && REPROVISION[i].migrates == migrates) {
            return REPROVISION[i].word;
        }
    }
    return NULL;
}

/* What the user calls it. */
static const char *name_of(const struct making *m, enum enrollment_value value)
{
    return m->values.is_cells || VALUES[value].option == NULL
               ? berth_enrollment_column(m->kind, value)
               : berth_cli_printf(m->cli, "--%s", VALUES[value].option);
}

/* ---- how devices prove themselves ---- */

static int parse_type(struct span word)
{
    return span_eq_nocase(word, SPAN("x509"))           ? TYPE_X509
           : span_eq_nocase(word, SPAN("symmetrickey")) ? TYPE_SYMMETRIC_KEY
           : span_eq_nocase(word, SPAN("tpm"))          ? TYPE_TPM
                                                        : 0;
}

/* A group's TPMs are trusted by their maker's CA: the same members as x509's. */
static bool has_certificates(const struct making *m)
{
    return m->type == TYPE_X509 || (m->type == TYPE_TPM && m->kind == ENROLLMENT_GROUP);
}

static err check_fits(const struct making *m, enum enrollment_value value)
{
    static const char *const words[] = {
        [TYPE_X509] = "x509", [TYPE_SYMMETRIC_KEY] = "symmetrickey", [TYPE_TPM] = "tpm"
    };
    bool fits = VALUES[value].types == TYPE_X509 ? has_certificates(m)
                                                 : (VALUES[value].types & m->type) != 0;

    return fits ? OK
                : err_set(ERR_MALFORMED, "%s does not go with %s %s", name_of(m, value),
                          name_of(m, VALUE_ATTESTATION_TYPE), words[m->type]);
}

/* By the word, or by what else is given; an update's, when it says nothing, as it is stored. */
static err find_type(struct making *m)
{
    const json *attestation = json_member(m->stored, "attestation");
    int stored = parse_type(json_text(json_member(attestation, "type")));

    if (is_given(m, VALUE_ATTESTATION_TYPE)) {
        m->type = parse_type(m->values.at[VALUE_ATTESTATION_TYPE]);
        if (m->type == 0) {
            return err_set(ERR_MALFORMED, "%s is one of x509, symmetrickey, tpm",
                           name_of(m, VALUE_ATTESTATION_TYPE));
        }
    }
    for (int i = 0; i < ENROLLMENT_VALUES && m->type == 0; i++) {
        m->type = is_given(m, (enum enrollment_value)i) ? VALUES[i].types : 0;
    }
    if (m->type == 0 && (m->values.removes[0] || m->values.removes[1])) {
        m->type = stored;
    }
    if (m->type == TYPE_X509 && stored == TYPE_TPM && m->kind == ENROLLMENT_GROUP &&
        !is_given(m, VALUE_ATTESTATION_TYPE)) {
        m->type = TYPE_TPM;
    }
    m->keeps_type = m->type == stored;
    for (int i = 0; i < ENROLLMENT_VALUES && m->type != 0; i++) {
        if (VALUES[i].types != 0 && is_given(m, (enum enrollment_value)i)) {
            TRY(check_fits(m, (enum enrollment_value)i));
        }
    }
    return OK;
}

/* The member of the stored attestation, while that kind of proof stays. */
static const json *stored_part(const struct making *m, const char *object)
{
    const json *attestation = json_member(m->stored, "attestation");
    const char *type = m->type == TYPE_X509 ? "x509" : m->type == TYPE_TPM ? "tpm" : "symmetricKey";
    const json *part = m->keeps_type ? json_member(attestation, type) : NULL;

    return object != NULL ? json_member(part, object) : part;
}

static void write_value(const struct making *m, const char *member, enum enrollment_value value,
                        const json *stored)
{
    json_write_text_if(m->w, member,
                       is_given(m, value) ? m->values.at[value]
                                          : json_text(json_member(stored, member)));
}

/* A certificate that is given, or the stored one's description, so that it stays. */
static void write_slot(const struct making *m, const char *member, enum enrollment_value value,
                       const json *stored)
{
    const json *kept = json_member(stored, member);

    if (is_given(m, value)) {
        json_write_begin_object(m->w, member);
        json_write_text(m->w, "certificate", m->values.at[value]);
        json_write_end_object(m->w);
    } else if (kept != NULL && !m->values.removes[value == VALUE_SECONDARY_CERTIFICATE]) {
        json_write_name(m->w, span_str(member));
        (void)json_print(kept, m->w->out); /* a failure sticks to the buf */
        m->w->need_comma = true;
    }
}

static void write_certificates(const struct making *m)
{
    bool has_ca = is_given(m, VALUE_CA_NAME) || is_given(m, VALUE_SECONDARY_CA_NAME);
    bool has_certificate =
        is_given(m, VALUE_CERTIFICATE) || is_given(m, VALUE_SECONDARY_CERTIFICATE);
    const json *references = stored_part(m, "caReferences");
    const char *name = m->kind == ENROLLMENT_GROUP ? "signingCertificates" : "clientCertificates";

    if (has_ca || (references != NULL && !has_certificate)) {
        json_write_begin_object(m->w, "caReferences");
        if (!m->values.removes[0] || is_given(m, VALUE_CA_NAME)) {
            write_value(m, "primary", VALUE_CA_NAME, references);
        }
        if (!m->values.removes[1] || is_given(m, VALUE_SECONDARY_CA_NAME)) {
            write_value(m, "secondary", VALUE_SECONDARY_CA_NAME, references);
        }
    } else {
        json_write_begin_object(m->w, name);
        write_slot(m, "primary", VALUE_CERTIFICATE, stored_part(m, name));
        write_slot(m, "secondary", VALUE_SECONDARY_CERTIFICATE, stored_part(m, name));
    }
    json_write_end_object(m->w);
}

static void write_attestation(const struct making *m)
{
    const char *type = m->type == TYPE_X509 ? "x509" : m->type == TYPE_TPM ? "tpm" : "symmetricKey";

    json_write_begin_object(m->w, "attestation");
    json_write_str(m->w, "type", type);
    json_write_begin_object(m->w, type);
    if (has_certificates(m)) {
        write_certificates(m);
    } else if (m->type == TYPE_TPM) {
        write_value(m, "endorsementKey", VALUE_ENDORSEMENT_KEY, stored_part(m, NULL));
        write_value(m, "storageRootKey", VALUE_STORAGE_ROOT_KEY, stored_part(m, NULL));
    } else {
        write_value(m, "primaryKey", VALUE_PRIMARY_KEY, stored_part(m, NULL));
        write_value(m, "secondaryKey", VALUE_SECONDARY_KEY, stored_part(m, NULL));
    }
    json_write_end_object(m->w);
    json_write_end_object(m->w);
}

/* ---- the other members ---- */

static err check_object(const struct making *m, enum enrollment_value value)
{
    AUTO(json) json *document = NULL;

    if (is_given(m, value) && (!err_is_ok(json_parse(m->values.at[value], JSON_DEPTH, &document)) ||
                               !json_is_object(document))) {
        return err_set(ERR_MALFORMED, "%s wants a JSON object", name_of(m, value));
    }
    return OK;
}

/* A JSON value as it is, or the stored member when it is not given. */
static void write_json(const struct making *m, const char *member, enum enrollment_value value,
                       const json *stored)
{
    const json *kept = json_member(stored, member);

    if (is_given(m, value)) {
        json_write_raw_if(m->w, member, m->values.at[value]);
    } else if (kept != NULL && !json_is_null(kept)) {
        json_write_name(m->w, span_str(member));
        (void)json_print(kept, m->w->out);
        m->w->need_comma = true;
    }
}

static void write_twin(const struct making *m)
{
    const json *twin = json_member(m->stored, "initialTwin");
    bool has_tags = is_given(m, VALUE_INITIAL_TWIN_TAGS);
    bool has_desired = is_given(m, VALUE_INITIAL_TWIN_PROPERTIES);

    if (is_given(m, VALUE_INITIAL_TWIN) || (!has_tags && !has_desired)) {
        write_json(m, "initialTwin", VALUE_INITIAL_TWIN, m->stored);
        return;
    }
    json_write_begin_object(m->w, "initialTwin");
    write_json(m, "tags", VALUE_INITIAL_TWIN_TAGS, twin);
    if (has_desired) {
        json_write_begin_object(m->w, "properties");
        json_write_raw_if(m->w, "desired", m->values.at[VALUE_INITIAL_TWIN_PROPERTIES]);
        json_write_end_object(m->w);
    } else {
        write_json(m, "properties", VALUE_INITIAL_TWIN, twin);
    }
    json_write_end_object(m->w);
}

static void write_hubs(const struct making *m)
{
    struct span hubs = m->values.at[VALUE_IOT_HUBS];

    if (span_is_absent(hubs)) {
        return;
    }
    json_write_begin_array(m->w, "iotHubs");
    while (hubs.len > 0) {
        size_t n = 0;

        while (n < hubs.len && hubs.data[n] != ',' && hubs.data[n] != ' ') {
            n++;
        }
        if (n > 0) {
            json_write_text(m->w, NULL, span_first(hubs, n));
        }
        hubs = span_from(hubs, n + 1);
    }
    json_write_end_array(m->w);
}

/* A rule, or a webhook; one takes the other's place. */
static err write_custom(const struct making *m)
{
    const json *stored = json_member(m->stored, "customAllocationDefinition");
    bool has_rule = is_given(m, VALUE_ALLOCATION_RULE);

    if (has_rule && (is_given(m, VALUE_WEBHOOK_URL) || is_given(m, VALUE_WEBHOOK_API_VERSION))) {
        return err_set(ERR_MALFORMED, "%s goes without %s and %s",
                       name_of(m, VALUE_ALLOCATION_RULE), name_of(m, VALUE_WEBHOOK_URL),
                       name_of(m, VALUE_WEBHOOK_API_VERSION));
    }
    if (has_rule) {
        json_write_begin_object(m->w, "customAllocationDefinition");
        write_value(m, "rule", VALUE_ALLOCATION_RULE, NULL);
        json_write_end_object(m->w);
    } else if (is_given(m, VALUE_WEBHOOK_URL) || is_given(m, VALUE_WEBHOOK_API_VERSION)) {
        json_write_begin_object(m->w, "customAllocationDefinition");
        write_value(m, "webhookUrl", VALUE_WEBHOOK_URL, stored);
        write_value(m, "apiVersion", VALUE_WEBHOOK_API_VERSION, stored);
        json_write_end_object(m->w);
    }
    return OK;
}

static err write_reprovision(const struct making *m)
{
    struct span policy = m->values.at[VALUE_REPROVISION_POLICY];

    if (span_is_absent(policy)) {
        return OK;
    }
    if (span_starts_with(policy, SPAN("{"))) {
        TRY(check_object(m, VALUE_REPROVISION_POLICY));
        json_write_raw_if(m->w, "reprovisionPolicy", policy);
        return OK;
    }
    for (size_t i = 0; i < COUNT(REPROVISION); i++) {
        if (span_eq_nocase(policy, span_str(REPROVISION[i].word))) {
            json_write_begin_object(m->w, "reprovisionPolicy");
            json_write_bool(m->w, "updateHubAssignment", REPROVISION[i].updates);
            json_write_bool(m->w, "migrateDeviceData", REPROVISION[i].migrates);
            json_write_end_object(m->w);
            return OK;
        }
    }
    return err_set(ERR_MALFORMED,
                   "%s is one of reprovisionandmigratedata, reprovisionandresetdata, never",
                   name_of(m, VALUE_REPROVISION_POLICY));
}

static err write_capabilities(const struct making *m)
{
    struct span edge = m->values.at[VALUE_EDGE_ENABLED];
    bool is_edge = span_eq_nocase(edge, SPAN("true"));

    if (span_is_absent(edge)) {
        return OK;
    }
    if (!is_edge && !span_eq_nocase(edge, SPAN("false"))) {
        return err_set(ERR_MALFORMED, "%s is true or false", name_of(m, VALUE_EDGE_ENABLED));
    }
    json_write_begin_object(m->w, "capabilities");
    json_write_bool(m->w, "iotEdge", is_edge);
    json_write_end_object(m->w);
    return OK;
}

/* Other members, for which there is no value. */
static err write_members(const struct making *m)
{
    AUTO(json) json *document = NULL;

    if (!is_given(m, VALUE_MEMBERS)) {
        return OK;
    }
    TRY(check_object(m, VALUE_MEMBERS));
    TRY(json_parse(m->values.at[VALUE_MEMBERS], JSON_DEPTH, &document));
    for (struct json_iter it = json_first(document); it.name != NULL; json_next(&it)) {
        if (berth_enrollment_knows_member(m->kind, it.name)) {
            return err_set(ERR_MALFORMED, "%s holds %s, which has a column of its own",
                           name_of(m, VALUE_MEMBERS), it.name);
        }
        json_write_name(m->w, span_str(it.name));
        (void)json_print(it.value, m->w->out);
        m->w->need_comma = true;
    }
    return OK;
}

/* Is the stored member decided by a value? */
static bool is_replaced(const struct making *m, const char *name)
{
    for (int i = 0; i < ENROLLMENT_VALUES; i++) {
        if (VALUES[i].member != NULL && is_given(m, (enum enrollment_value)i) &&
            strcmp(VALUES[i].member, name) == 0) {
            return true;
        }
    }
    return (strcmp(name, "attestation") == 0 && m->type != 0) ||
           (strcmp(name, "iotHubHostName") == 0 && is_given(m, VALUE_IOT_HUBS));
}

static void copy_rest(const struct making *m)
{
    static const char *const never[] = {
        "registrationId",         "enrollmentGroupId", "etag",       "createdDateTimeUtc",
        "lastUpdatedDateTimeUtc", "registrationState", "initialTwin"
    };

    for (struct json_iter it = json_first((json *)m->stored); it.name != NULL; json_next(&it)) {
        bool is_copied = !json_is_null(it.value) && !is_replaced(m, it.name);

        for (size_t i = 0; i < COUNT(never); i++) {
            is_copied = is_copied && strcmp(it.name, never[i]) != 0;
        }
        if (is_copied) {
            json_write_name(m->w, span_str(it.name));
            (void)json_print(it.value, m->w->out);
            m->w->need_comma = true;
        }
    }
}

static err write_body(const struct making *m)
{
    static const enum enrollment_value objects[] = { VALUE_ATTESTATION, VALUE_INITIAL_TWIN,
                                                     VALUE_INITIAL_TWIN_TAGS,
                                                     VALUE_INITIAL_TWIN_PROPERTIES,
                                                     VALUE_DEVICE_INFORMATION };

    for (size_t i = 0; i < COUNT(objects); i++) {
        TRY(check_object(m, objects[i]));
    }
    write_value(m, berth_enrollment_column(m->kind, VALUE_ID), VALUE_ID, NULL);
    write_value(m, "deviceId", VALUE_DEVICE_ID, NULL);
    if (m->type != 0) {
        write_attestation(m);
    } else {
        json_write_raw_if(m->w, "attestation", m->values.at[VALUE_ATTESTATION]);
    }
    write_value(m, "provisioningStatus", VALUE_PROVISIONING_STATUS, NULL);
    write_value(m, "allocationPolicy", VALUE_ALLOCATION_POLICY, NULL);
    write_hubs(m);
    TRY(write_custom(m));
    TRY(write_reprovision(m));
    TRY(write_capabilities(m));
    write_twin(m);
    write_json(m, "optionalDeviceInformation", VALUE_DEVICE_INFORMATION, NULL);
    write_value(m, "etag", VALUE_ETAG, NULL);
    TRY(write_members(m));
    copy_rest(m);
    return OK;
}

err berth_enrollment_body_write(struct cli *cli, enum enrollment_kind kind,
                                const struct enrollment_values *values, const json *stored,
                                struct json_writer *w)
{
    struct making m = {
        .cli = cli, .kind = kind, .values = *values, .stored = stored, .w = w, .type = 0
    };

    TRY(find_type(&m));
    if (m.type != 0 && is_given(&m, VALUE_ATTESTATION)) {
        return err_set(ERR_MALFORMED, "%s says it all: nothing else of it goes beside it",
                       name_of(&m, VALUE_ATTESTATION));
    }
    if (m.type == 0 && stored == NULL && !is_given(&m, VALUE_ATTESTATION)) {
        return values->is_cells
                   ? err_set(ERR_MALFORMED,
                             "how do devices prove themselves? attestationType is empty")
                   : err_set(ERR_MALFORMED,
                             "how do devices prove themselves? Give --certificate-path FILE, "
                             "--ca-name NAME or --attestation-type symmetrickey%s",
                             kind == ENROLLMENT_GROUP ? "" : ", or --endorsement-key BASE64");
    }
    if (m.type != 0 && has_certificates(&m) && !m.keeps_type && !is_given(&m, VALUE_CERTIFICATE) &&
        !is_given(&m, VALUE_SECONDARY_CERTIFICATE) && !is_given(&m, VALUE_CA_NAME) &&
        !is_given(&m, VALUE_SECONDARY_CA_NAME)) {
        return err_set(ERR_MALFORMED, "%s or %s is missing", name_of(&m, VALUE_CERTIFICATE_PATH),
                       name_of(&m, VALUE_CA_NAME));
    }
    json_write_begin_object(w, NULL);
    TRY(write_body(&m));
    json_write_end_object(w);
    return OK;
}

void berth_enrollment_body_write_id(enum enrollment_kind kind,
                                    const struct enrollment_values *values, struct json_writer *w)
{
    json_write_begin_object(w, NULL);
    json_write_text_if(w, berth_enrollment_column(kind, VALUE_ID), values->at[VALUE_ID]);
    json_write_text_if(w, "etag", values->at[VALUE_ETAG]);
    json_write_end_object(w);
}

/* ---- from options ---- */

static err read_certificate(struct cli *cli, struct enrollment_values *v,
                            enum enrollment_value path, enum enrollment_value text)
{
    return span_is_absent(v->at[path])
               ? OK
               : berth_pem_read(cli, berth_cli_cstr(cli, v->at[path]), &v->at[text]);
}

err berth_enrollment_body_make(struct cli *cli, enum enrollment_kind kind, const json *stored,
                               struct span *ret_body)
{
    struct enrollment_values v = { .is_cells = false };
    struct json_writer w;
    struct buf body;
    err e;

    for (int i = 0; i < ENROLLMENT_VALUES; i++) {
        if (VALUES[i].option != NULL &&
            berth_enrollment_has_value(kind, (enum enrollment_value)i)) {
            v.at[i] = span_str(berth_cli_text(cli, VALUES[i].option));
        }
    }
    if (stored != NULL) {
        v.removes[0] = berth_options_flag(&cli->options, "remove-certificate");
        v.removes[1] = berth_options_flag(&cli->options, "remove-secondary-certificate");
    }
    if (!span_is_absent(v.at[VALUE_ALLOCATION_RULE])) { /* so far it is a path */
        TRY(berth_file_read(&cli->arena, berth_cli_cstr(cli, v.at[VALUE_ALLOCATION_RULE]),
                            &v.at[VALUE_ALLOCATION_RULE]));
    }
    TRY(read_certificate(cli, &v, VALUE_CERTIFICATE_PATH, VALUE_CERTIFICATE));
    TRY(read_certificate(cli, &v, VALUE_SECONDARY_CERTIFICATE_PATH, VALUE_SECONDARY_CERTIFICATE));
    body = arena_buf(&cli->arena);
    w = json_writer_over(&body);
    e = berth_enrollment_body_write(cli, kind, &v, stored, &w);
    if (err_is(e, ERR_MALFORMED)) {
        cli->exit_status = BERTH_EXIT_USAGE;
    }
    TRY(e);
    return arena_buf_end(&cli->arena, &body, ret_body);
}
