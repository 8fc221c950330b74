/* api/enrollment_json.c: enrollments as the service API spells them. Names and types are settled
 * here; which version knows which member, and those that nothing acts on, in enrollment_members.c;
 * what values may be together is core/'s. */
#include "api/enrollment_json.h"

#include <stdarg.h>
#include <stdio.h>

#include "api/dps_json.h"
#include "api/enrollment_members.h"
#include "api/enrollment_tpm.h"
#include "api/enrollment_x509.h"
#include "core/initial_twin.h"
#include "model/limits.h"
#include "util/base64.h"

struct decoding {
    const struct env *env;
    const struct enrollment_json_put *put;
    json *document;
    struct enrollment *e;
    bool *keep_slot;
    struct verdict verdict;
};

typedef err (*stage)(struct decoding *d);

static bool is_given(const json *v)
{
    return v != NULL && !json_is_null(v);
}

static err refuse(struct decoding *d, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static err refuse(struct decoding *d, const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    d->verdict = VERDICT(FIELD_INVALID);
    return arena_copy(d->env->arena, span_str(text), &d->verdict.detail);
}

/* ERR_MALFORMED of a typed getter is a refusal with its words. */
static err refuse_mistyped(struct decoding *d, err e)
{
    return err_is(e, ERR_MALFORMED) ? refuse(d, "%s.", err_detail()) : e;
}

static bool keeps_stored(const struct decoding *d, const char *name)
{
    return enrollment_members_is_kept(d->put, d->document, name);
}

static err print_json(const struct env *env, const json *value, struct span *ret_text)
{
    struct buf out = arena_buf(env->arena);

    TRY(json_print(value, &out));
    return arena_buf_end(env->arena, &out, ret_text);
}

/* ---- one member after another ---- */

static err read_id(struct decoding *d)
{
    bool is_group = d->put->kind == ENROLLMENT_GROUP;
    const char *name = is_group ? "enrollmentGroupId" : "registrationId";
    struct span id = SPAN_NONE;
    struct span device_id = SPAN_NONE;
    err e = json_get_text(d->document, name, &id);

    if (err_is_ok(e) && !is_group) {
        e = json_get_text(d->document, "deviceId", &device_id);
    }
    if (!err_is_ok(e)) {
        return refuse_mistyped(d, e);
    }
    if (span_is_absent(id)) {
        return refuse(d, "%s is missing.", name);
    }
    if (!span_is_absent(d->put->id) && !span_eq_nocase(id, d->put->id)) {
        return refuse(d, "%s is not the ID in the path.", name);
    }
    if (is_group && (is_given(json_member(d->document, "registrationId")) ||
                     is_given(json_member(d->document, "deviceId")))) {
        return refuse(d, "registrationId and deviceId are not an enrollment group's members.");
    }
    TRY(arena_copy(d->env->arena, id, &d->e->id));
    return arena_copy(d->env->arena, device_id, &d->e->device_id);
}

static err read_key(struct decoding *d, const json *keys, const char *name, struct span *ret_key)
{
    struct span text = SPAN_NONE;
    struct buf out;
    err e = json_get_text(keys, name, &text);

    if (!err_is_ok(e)) {
        return refuse_mistyped(d, e);
    }
    if (span_is_empty(text)) {
        return OK;
    }
    out = arena_buf(d->env->arena);
    e = base64_decode(text, &out);
    if (err_is(e, ERR_MALFORMED)) {
        return refuse(d, "attestation.symmetricKey.%s is not base64.", name);
    }
    TRY(e);
    return arena_buf_end(d->env->arena, &out, ret_key);
}

/* Empty or missing keys are to be made, or kept: how long they may be is core's. */
static err read_keys(struct decoding *d, const json *keys)
{
    if (is_given(keys) && !json_is_object(keys)) {
        return refuse(d, "attestation.symmetricKey is not an object.");
    }
    TRY(read_key(d, keys, "primaryKey", &d->e->primary_key));
    return verdict_is_granted(d->verdict) ? read_key(d, keys, "secondaryKey", &d->e->secondary_key)
                                          : OK;
}

/* Exactly the member that the type names (reference dps-service-api.md 4.3). */
static err read_attestation(struct decoding *d)
{
    static const enum attestation_type mechanisms[] = { ATTESTATION_TPM, ATTESTATION_X509,
                                                        ATTESTATION_SYMMETRIC_KEY };
    json *attestation = json_member(d->document, "attestation");
    struct span word = SPAN_NONE;
    json *x509 = json_member(attestation, "x509");
    err e;

    if (!json_is_object(attestation)) {
        return refuse(d, "attestation is missing.");
    }
    e = json_get_text(attestation, "type", &word);
    if (!err_is_ok(e)) {
        return refuse_mistyped(d, e);
    }
    if (!model_parse_attestation(word, &d->e->attestation) ||
        d->e->attestation == ATTESTATION_NONE) {
        return refuse(d, "attestation.type is none of x509, symmetricKey, tpm.");
    }
    for (size_t i = 0; i < sizeof(mechanisms) / sizeof(mechanisms[0]); i++) {
        const char *name = model_attestation_word(mechanisms[i]);

        if (mechanisms[i] != d->e->attestation && is_given(json_member(attestation, name))) {
            return refuse(d, "attestation.%s does not go with the type %s.", name,
                          model_attestation_word(d->e->attestation));
        }
    }
    if (d->e->attestation == ATTESTATION_SYMMETRIC_KEY) {
        return read_keys(d, json_member(attestation, "symmetricKey"));
    }
    if (d->e->attestation == ATTESTATION_TPM) {
        return enrollment_tpm_decode(d->env, json_member(attestation, "tpm"), d->e, d->keep_slot,
                                     &d->verdict);
    }
    if (!json_is_object(x509)) {
        return refuse(d, "attestation.x509 is missing.");
    }
    return enrollment_x509_decode(d->env, x509, d->e, d->keep_slot, &d->verdict);
}

static err read_status(struct decoding *d)
{
    struct span word = SPAN("enabled");
    err e = json_get_text(d->document, "provisioningStatus", &word);

    if (!err_is_ok(e)) {
        return refuse_mistyped(d, e);
    }
    if (!span_eq_nocase(word, SPAN("enabled")) && !span_eq_nocase(word, SPAN("disabled"))) {
        return refuse(d, "provisioningStatus is neither enabled nor disabled.");
    }
    d->e->provisioning_status =
        span_eq_nocase(word, SPAN("enabled")) ? PROVISIONING_ENABLED : PROVISIONING_DISABLED;
    return OK;
}

static err read_object(struct decoding *d, const char *name, json **ret_object)
{
    *ret_object = json_member(d->document, name);
    return is_given(*ret_object) && !json_is_object(*ret_object)
               ? refuse(d, "%s is not an object.", name)
               : OK;
}

static err read_policies(struct decoding *d)
{
    bool update = true;
    bool migrate = true;
    bool edge = false;
    json *reprovision, *capabilities;
    err e;

    TRY(read_object(d, "reprovisionPolicy", &reprovision));
    TRY(read_object(d, "capabilities", &capabilities));
    if (keeps_stored(d, "reprovisionPolicy")) {
        update = d->put->stored->update_hub_assignment != 0;
        migrate = d->put->stored->migrate_device_data != 0;
    }
    if (keeps_stored(d, "capabilities")) {
        edge = d->put->stored->iot_edge != 0;
    }
    e = json_get_bool(reprovision, "updateHubAssignment", &update);
    if (err_is_ok(e)) {
        e = json_get_bool(reprovision, "migrateDeviceData", &migrate);
    }
    if (err_is_ok(e)) {
        e = json_get_bool(capabilities, "iotEdge", &edge);
    }
    if (!err_is_ok(e)) {
        return refuse_mistyped(d, e);
    }
    d->e->update_hub_assignment = update;
    d->e->migrate_device_data = migrate;
    d->e->iot_edge = edge;
    return OK;
}

static err read_allocation(struct decoding *d)
{
    struct span word = SPAN_NONE;
    err e = json_get_text(d->document, "allocationPolicy", &word);

    if (!err_is_ok(e)) {
        return refuse_mistyped(d, e);
    }
    if (keeps_stored(d, "allocationPolicy")) {
        d->e->allocation_policy = d->put->stored->allocation_policy;
    } else if (!span_is_absent(word) && !model_parse_allocation(word, &d->e->allocation_policy)) {
        return refuse(d, "allocationPolicy is none of hashed, geoLatency, static, custom.");
    }
    return OK;
}

/* The one hub of a list, in the arena; absent: none, or several. */
static err find_only_hub(const struct env *env, struct span iot_hubs, struct span *ret_host)
{
    AUTO(json) json *hubs = NULL;

    *ret_host = SPAN_NONE;
    if (span_is_absent(iot_hubs)) {
        return OK;
    }
    TRY(json_parse(iot_hubs, LIMIT_JSON_DEPTH, &hubs));
    return json_array_len(hubs) == 1
               ? arena_copy(env->arena, json_text(json_array_at(hubs, 0)), ret_host)
               : OK;
}

/* iotHubHostName, the legacy spelling of a list of one (reference dps-service-api.md 4.1). */
static err read_only_hub(struct decoding *d)
{
    struct span host = SPAN_NONE;
    struct buf out;
    struct json_writer w = json_writer_over(&out);
    err e = json_get_text(d->document, "iotHubHostName", &host);

    if (!err_is_ok(e)) {
        return refuse_mistyped(d, e);
    }
    if (span_is_empty(host)) {
        bool keeps = json_member(d->document, "iotHubHostName") == NULL &&
                     keeps_stored(d, "iotHubs"); /* null clears it */

        return keeps ? arena_copy(d->env->arena, d->put->stored->iot_hubs, &d->e->iot_hubs) : OK;
    }
    if (!model_is_host_name(host)) {
        return refuse(d, "iotHubHostName is not a host name.");
    }
    out = arena_buf(d->env->arena);
    json_write_begin_array(&w, NULL);
    json_write_text(&w, NULL, host);
    json_write_end_array(&w);
    return arena_buf_end(d->env->arena, &out, &d->e->iot_hubs);
}

static err read_hubs(struct decoding *d)
{
    json *hubs = json_member(d->document, "iotHubs");

    if (!is_given(hubs) || (json_is_array(hubs) && json_array_len(hubs) == 0)) {
        return read_only_hub(d);
    }
    if (!json_is_array(hubs)) {
        return refuse(d, "iotHubs is not an array.");
    }
    for (size_t i = 0; i < json_array_len(hubs); i++) {
        if (!model_is_host_name(json_text(json_array_at(hubs, i)))) {
            return refuse(d, "iotHubs[%zu] is not a host name.", i);
        }
    }
    return print_json(d->env, hubs, &d->e->iot_hubs);
}

static err read_twin(struct decoding *d)
{
    const char *wrong;

    TRY(core_initial_twin_read(d->env->arena, json_member(d->document, "initialTwin"),
                               &d->e->initial_twin, &wrong));
    return wrong != NULL ? refuse(d, "initialTwin %s.", wrong) : OK;
}

static err read_extra(struct decoding *d)
{
    return enrollment_members_decode(d->env, d->put, d->document, &d->e->extra, &d->verdict);
}

err enrollment_json_decode(const struct env *env, const struct enrollment_json_put *put,
                           json *document, struct enrollment *ret_enrollment,
                           bool ret_keep_slot[SLOTS], struct verdict *ret_verdict)
{
    static const stage stages[] = {
        read_id,         read_attestation, read_status, read_policies,
        read_allocation, read_hubs,        read_twin,   read_extra,
    };
    struct enrollment e = { .id_scope = put->id_scope, .kind = put->kind };
    struct decoding d = { .env = env,
                          .put = put,
                          .document = document,
                          .e = &e,
                          .keep_slot = ret_keep_slot,
                          .verdict = VERDICT(GRANTED) };

    for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
        TRY(stages[i](&d));
        if (!verdict_is_granted(d.verdict)) {
            *ret_verdict = d.verdict;
            return OK;
        }
    }
    *ret_enrollment = e;
    *ret_verdict = d.verdict;
    return OK;
}

/* ---- writing ---- */

/* Enrollments' etags hold their quotes (reference 3). */
static void write_etag(struct span etag, struct json_writer *w)
{
    uint8_t bytes[LIMIT_ETAG + 2];
    struct buf out = buf_over(bytes, sizeof(bytes));

    buf_add_u8(&out, '"');
    buf_add(&out, etag);
    buf_add_u8(&out, '"');
    json_write_text(w, "etag", buf_span(&out));
}

static void write_policies(const struct enrollment *e, struct span version, struct json_writer *w)
{
    const char *allocation = model_allocation_word(e->allocation_policy);

    json_write_str(w, "provisioningStatus",
                   e->provisioning_status == PROVISIONING_ENABLED ? "enabled" : "disabled");
    if (enrollment_members_is_known(version, "reprovisionPolicy")) {
        json_write_begin_object(w, "reprovisionPolicy");
        json_write_bool(w, "updateHubAssignment", e->update_hub_assignment != 0);
        json_write_bool(w, "migrateDeviceData", e->migrate_device_data != 0);
        json_write_end_object(w);
    }
    json_write_time(w, "createdDateTimeUtc", e->created_ms);
    json_write_time(w, "lastUpdatedDateTimeUtc", e->updated_ms);
    if (e->allocation_policy != ALLOCATION_DEFAULT && allocation != NULL &&
        enrollment_members_is_known(version, "allocationPolicy")) {
        json_write_str(w, "allocationPolicy", allocation);
    }
    if (enrollment_members_is_known(version, "iotHubs")) {
        json_write_raw_if(w, "iotHubs", e->iot_hubs);
    }
}

static void write_key(const char *name, struct span key, struct json_writer *w)
{
    uint8_t bytes[2 * LIMIT_SYMMETRIC_KEY];
    struct buf text = buf_over(bytes, sizeof(bytes));

    base64_encode(key, &text);
    json_write_text(w, name, buf_span(&text));
    memset(bytes, 0, sizeof(bytes));
}

err enrollment_json_write_attestation(const struct env *env, const struct enrollment *e,
                                      bool with_keys, const char *name, struct json_writer *w)
{
    json_write_begin_object(w, name);
    json_write_str(w, "type", model_attestation_word(e->attestation));
    if (e->attestation == ATTESTATION_X509) {
        TRY(enrollment_x509_write(env, e, "x509", w));
    }
    if (e->attestation == ATTESTATION_TPM) {
        TRY(enrollment_tpm_write(env, e, w));
    }
    if (e->attestation == ATTESTATION_SYMMETRIC_KEY && with_keys) {
        json_write_begin_object(w, "symmetricKey");
        write_key("primaryKey", e->primary_key, w);
        write_key("secondaryKey", e->secondary_key, w);
        json_write_end_object(w);
    }
    json_write_end_object(w);
    return OK;
}

err enrollment_json_write(const struct env *env, const struct enrollment *e,
                          const struct enrollment_json_view *view, struct json_writer *w)
{
    bool is_group = e->kind == ENROLLMENT_GROUP;
    struct span only_hub;

    TRY(find_only_hub(env, e->iot_hubs, &only_hub));
    json_write_begin_object(w, NULL);
    json_write_text(w, is_group ? "enrollmentGroupId" : "registrationId", e->id);
    json_write_text_if(w, "deviceId", e->device_id);
    if (view->registration != NULL) {
        enrollment_json_write_registration(view->registration, "registrationState", w);
    }
    TRY(enrollment_json_write_attestation(env, e, view->with_keys, "attestation", w));
    json_write_begin_object(w, "capabilities");
    json_write_bool(w, "iotEdge", e->iot_edge != 0);
    json_write_end_object(w);
    json_write_raw_if(w, "initialTwin", e->initial_twin);
    write_etag(e->etag, w);
    write_policies(e, view->api_version, w);
    json_write_text_if(w, "iotHubHostName", only_hub);
    TRY(enrollment_members_write(e->extra, view->api_version, w));
    json_write_end_object(w);
    return OK;
}

void enrollment_json_write_registration(const struct registration *r, const char *name,
                                        struct json_writer *w)
{
    json_write_begin_object(w, name);
    dps_json_write_state(r, w);
    json_write_end_object(w);
}
