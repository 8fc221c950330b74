/* core/rules.c: validation of enrollments. Knows what each member may hold; how it is spelled in
 * JSON is api/'s, except for the members that are stored as JSON. */
#include "core/rules.h"

#include "attest/attest.h"
#include "core/match.h"
#include "crypto/x509.h"
#include "model/limits.h"
#include "rule/rule.h"
#include "json/json.h"

static const char *const slot_words[SLOTS] = { "primary", "secondary" };

static err refuse_field(const struct env *env, struct verdict *ret_verdict, const char *text)
{
    return core_match_refuse(env, REASON_FIELD_INVALID, ret_verdict, "%s", text);
}

static const char *wrong_name(const struct enrollment *e)
{
    if (!model_is_registration_id(e->id)) {
        return e->kind == ENROLLMENT_GROUP
                   ? "enrollmentGroupId: up to 128 of A-Z a-z 0-9 - . _ :, ending in a letter, "
                     "digit or '-'."
                   : "registrationId: up to 128 of A-Z a-z 0-9 - . _ :, ending in a letter, "
                     "digit or '-'.";
    }
    if (span_is_absent(e->device_id)) {
        return NULL;
    }
    if (e->kind == ENROLLMENT_GROUP) {
        return "deviceId: an enrollment group has none.";
    }
    return model_is_device_id(e->device_id) ? NULL : "deviceId: not a device ID of a hub.";
}

/* A device is one TPM, a group the CAs of a TPM's manufacturer. What a key must be: check_tpm_key.
 */
static const char *wrong_tpm(const struct enrollment *e)
{
    bool is_group = e->kind == ENROLLMENT_GROUP;
    bool has_key = !span_is_absent(e->endorsement_key) || !span_is_absent(e->storage_root_key);

    if (is_group) {
        return has_key || (e->x509_source != X509_SOURCE_SIGNING &&
                           e->x509_source != X509_SOURCE_CA_REFERENCE)
                   ? "attestation.tpm: a group takes signingCertificates or caReferences."
                   : NULL;
    }
    return span_is_absent(e->endorsement_key) || e->x509_source != X509_SOURCE_NONE
               ? "attestation.tpm: a device takes endorsementKey and, if you like, storageRootKey."
               : NULL;
}

static const char *wrong_attestation(const struct enrollment *e)
{
    bool is_group = e->kind == ENROLLMENT_GROUP;

    switch (e->attestation) {
    case ATTESTATION_TPM:
        return wrong_tpm(e);
    case ATTESTATION_SYMMETRIC_KEY:
        return NULL;
    case ATTESTATION_NONE:
        return "attestation.type is missing.";
    case ATTESTATION_X509:
        break;
    }
    if (e->x509_source == X509_SOURCE_CA_REFERENCE ||
        e->x509_source == (is_group ? X509_SOURCE_SIGNING : X509_SOURCE_CLIENT)) {
        return NULL;
    }
    return is_group ? "attestation.x509: a group takes signingCertificates or caReferences."
                    : "attestation.x509: a device takes clientCertificates or caReferences.";
}

/* Absent keys are kept or made (reference dps-service-api.md 4.5). */
static const char *wrong_keys(const struct enrollment *e)
{
    const struct span keys[SLOTS] = { e->primary_key, e->secondary_key };

    if (span_is_absent(keys[SLOT_PRIMARY]) != span_is_absent(keys[SLOT_SECONDARY])) {
        return "attestation.symmetricKey: both keys are to be given, or neither.";
    }
    if (!span_is_absent(keys[SLOT_PRIMARY]) && e->attestation != ATTESTATION_SYMMETRIC_KEY) {
        return "attestation.symmetricKey: keys are for the type symmetricKey.";
    }
    for (size_t i = 0; i < SLOTS; i++) {
        if (!span_is_absent(keys[i]) &&
            (keys[i].len < LIMIT_SYMMETRIC_KEY_MIN || keys[i].len > LIMIT_SYMMETRIC_KEY)) {
            return "attestation.symmetricKey: a key is 16 to 64 bytes, in base64.";
        }
    }
    return NULL;
}

static const char *wrong_size(const struct enrollment *e)
{
    if (e->initial_twin.len > LIMIT_INITIAL_TWIN) {
        return "initialTwin is too large.";
    }
    return e->extra.len > LIMIT_EXTRA_MEMBERS ? "The enrollment is too large." : NULL;
}

static err check_certificate(const struct env *env, const struct enrollment *e, size_t slot,
                             struct verdict *ret_verdict)
{
    AUTO(crypto_cert) struct crypto_cert *cert = NULL;
    bool is_signing = e->x509_source == X509_SOURCE_SIGNING;
    struct span der = slot == SLOT_PRIMARY ? e->x509_primary : e->x509_secondary;
    const char *member = is_signing ? "signingCertificates" : "clientCertificates";
    err result;

    if (span_is_absent(der)) {
        return OK;
    }
    result = der.len <= LIMIT_CERTIFICATE_DER ? crypto_x509_decode(env->crypto, der, &cert)
                                              : ERR(MALFORMED);
    if (err_is(result, ERR_MALFORMED)) {
        return core_match_refuse(env, REASON_CERTIFICATE_INVALID, ret_verdict,
                                 "%s.%s is no X.509 certificate that can be read.", member,
                                 slot_words[slot]);
    }
    TRY(result);
    if (is_signing && !crypto_x509_is_ca(cert)) {
        return core_match_refuse(env, REASON_CERTIFICATE_INVALID, ret_verdict,
                                 "%s.%s is no CA certificate: its basic constraints lack CA:TRUE.",
                                 member, slot_words[slot]);
    }
    return OK;
}

static err check_tpm_key(const struct env *env, struct span key, bool is_endorsement_key,
                         struct verdict *ret_verdict)
{
    err e = span_is_absent(key) ? OK : attest_tpm_check_key(key, is_endorsement_key);

    if (err_is(e, ERR_MALFORMED)) {
        return core_match_refuse(env, REASON_FIELD_INVALID, ret_verdict, "attestation.tpm.%s: %s.",
                                 is_endorsement_key ? "endorsementKey" : "storageRootKey",
                                 err_detail());
    }
    return e;
}

static err check_tpm_keys(const struct env *env, const struct enrollment *e,
                          struct verdict *ret_verdict)
{
    TRY(check_tpm_key(env, e->endorsement_key, true, ret_verdict));
    return verdict_is_granted(*ret_verdict)
               ? check_tpm_key(env, e->storage_root_key, false, ret_verdict)
               : OK;
}

static err check_json(const struct env *env, const struct enrollment *e,
                      struct verdict *ret_verdict)
{
    AUTO(json) json *twin = NULL;
    AUTO(json) json *hubs = NULL;

    if (!span_is_absent(e->initial_twin) &&
        (!err_is_ok(json_parse(e->initial_twin, LIMIT_JSON_DEPTH, &twin)) ||
         !json_is_object(twin))) {
        return refuse_field(env, ret_verdict, "initialTwin must be an object.");
    }
    if (!span_is_absent(e->iot_hubs)) {
        bool is_list =
            err_is_ok(json_parse(e->iot_hubs, LIMIT_JSON_DEPTH, &hubs)) && json_is_array(hubs);

        for (size_t i = 0; is_list && i < json_array_len(hubs); i++) {
            is_list = model_is_host_name(json_text(json_array_at(hubs, i)));
        }
        if (!is_list) {
            return refuse_field(env, ret_verdict, "iotHubs must be a list of host names.");
        }
    }
    if (e->allocation_policy == ALLOCATION_STATIC && json_array_len(hubs) != 1) {
        return refuse_field(env, ret_verdict,
                            "iotHubs must name exactly one hub with allocationPolicy static.");
    }
    return OK;
}

/* A rule that does not compile is told to who wrote it, not to their devices. */
static err check_rule(const struct env *env, struct span source, struct verdict *ret_verdict)
{
    struct span wrong;

    TRY(rule_check(source, env->arena, &wrong));
    return span_is_absent(wrong)
               ? OK
               : core_match_refuse(env, REASON_FIELD_INVALID, ret_verdict,
                                   "customAllocationDefinition.rule does not compile: %.*s.",
                                   SPAN_FMT(wrong));
}

/* Allocation by the operator's own function needs to know where it is. */
static err check_custom(const struct env *env, const struct enrollment *e,
                        struct verdict *ret_verdict)
{
    AUTO(json) json *extra = NULL;
    const json *definition;
    struct span rule;

    if (!span_is_absent(e->extra)) {
        TRY(json_parse(e->extra, LIMIT_JSON_DEPTH, &extra));
    }
    definition = json_member(extra, "customAllocationDefinition");
    rule = json_text(json_member(definition, "rule"));
    if (!span_is_absent(rule)) {
        return check_rule(env, rule, ret_verdict);
    }
    return e->allocation_policy != ALLOCATION_CUSTOM || json_is_object(definition)
               ? OK
               : refuse_field(
                     env, ret_verdict,
                     "customAllocationDefinition is missing with allocationPolicy custom.");
}

err core_rules_check(const struct env *env, const struct enrollment *e, struct verdict *ret_verdict)
{
    const char *wrong = wrong_name(e);

    *ret_verdict = VERDICT(GRANTED);
    wrong = wrong != NULL ? wrong : wrong_attestation(e);
    wrong = wrong != NULL ? wrong : wrong_keys(e);
    wrong = wrong != NULL ? wrong : wrong_size(e);
    if (wrong != NULL) {
        return refuse_field(env, ret_verdict, wrong);
    }
    if (e->x509_source == X509_SOURCE_CLIENT || e->x509_source == X509_SOURCE_SIGNING) {
        for (size_t i = 0; i < SLOTS && verdict_is_granted(*ret_verdict); i++) {
            TRY(check_certificate(env, e, i, ret_verdict));
        }
    }
    if (verdict_is_granted(*ret_verdict)) {
        TRY(check_tpm_keys(env, e, ret_verdict));
    }
    if (verdict_is_granted(*ret_verdict)) {
        TRY(check_json(env, e, ret_verdict));
    }
    return verdict_is_granted(*ret_verdict) ? check_custom(env, e, ret_verdict) : OK;
}

err core_rules_check_hubs(const struct env *env, struct store_tx *tx, const struct enrollment *e,
                          struct verdict *ret_verdict)
{
    AUTO(json) json *hubs = NULL;

    if (span_is_absent(e->iot_hubs)) {
        return OK;
    }
    TRY(json_parse(e->iot_hubs, LIMIT_JSON_DEPTH, &hubs));
    for (size_t i = 0; i < json_array_len(hubs); i++) {
        struct linked_hub link = { .id_scope = e->id_scope };
        struct span name = json_text(json_array_at(hubs, i));
        bool is_found;

        TRY(model_fold(env->arena, name, &link.host_name));
        TRY(store_find(tx, &KIND_LINKED_HUB, &link, env->arena, &link, &is_found));
        if (!is_found) {
            return core_match_refuse(env, REASON_FIELD_INVALID, ret_verdict,
                                     "iotHubs: %.*s is not linked.", SPAN_FMT(name));
        }
    }
    return OK;
}
