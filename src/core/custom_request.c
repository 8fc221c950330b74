/* core/custom_request.c: what a webhook or a rule is told of a device (reference dps-device-api.md
 * 7.1). All of it is proven, but the payload, which is the device's word. */
#include "core/custom_plan.h"

#include "core/loads.h"
#include "crypto/x509_json.h"
#include "json/json.h"
#include "json/writer.h"

static err write_evidence(const struct core_custom_request *q, struct json_writer *w)
{
    enum attestation_type type = q->reading->found.enrollment.attestation;

    json_write_begin_object(w, model_attestation_word(type));
    if (type == ATTESTATION_X509 && q->claim->n_chain > 0) {
        TRY(crypto_x509_json_info(q->claim->chain[0], w));
        crypto_x509_json_alt_names(q->claim->chain[0], w);
    }
    json_write_end_object(w);
    return OK;
}

static err write_device(const struct core_custom_request *q, struct json_writer *w)
{
    const struct registration *r = &q->reading->registration;

    json_write_begin_object(w, "deviceRuntimeContext");
    json_write_text(w, "registrationId", q->claim->registration_id);
    if (q->reading->has_registration) {
        json_write_text_if(w, "currentIotHubHostName", r->placed_hub);
        json_write_text_if(w, "currentDeviceId", r->placed_device_id);
    }
    TRY(write_evidence(q, w));
    json_write_raw_if(w, "payload", q->claim->payload);
    json_write_end_object(w);
    return OK;
}

static void write_degrees(struct json_writer *w, const char *name, int64_t udeg)
{
    json_write_number(w, name, (struct json_number){ .real = (double)udeg / 1e6 });
}

static void write_hub(const struct core_custom_hub *hub, const int64_t *devices,
                      struct json_writer *w)
{
    json_write_begin_object(w, NULL);
    json_write_text(w, "hostName", hub->host_name);
    json_write_int(w, "weight", hub->weight);
    json_write_text_if(w, "location", hub->location);
    if (hub->has_coordinates) {
        write_degrees(w, "latitude", hub->point.latitude_udeg);
        write_degrees(w, "longitude", hub->point.longitude_udeg);
    }
    json_write_bool(w, "down", hub->is_down);
    if (devices != NULL) {
        json_write_int(w, "devices", *devices);
    }
    json_write_end_object(w);
}

/* NULL: the rule does not ask for them. */
static err count_devices(const struct env *env, const struct core_custom_request *q,
                         int64_t **ret_counts)
{
    struct span *names;

    *ret_counts = NULL;
    if (!q->with_loads) {
        return OK;
    }
    names = ARENA_ARRAY(env->arena, q->n_hubs, struct span);
    *ret_counts = ARENA_ARRAY(env->arena, q->n_hubs, int64_t);
    if (names == NULL || *ret_counts == NULL) {
        return ERR(NOMEM);
    }
    for (size_t i = 0; i < q->n_hubs; i++) {
        names[i] = q->hubs[i].host_name;
    }
    return core_loads_get(env, q->reading->id_scope, names, q->n_hubs, *ret_counts);
}

err core_custom_write_request(const struct env *env, const struct core_custom_request *q,
                              struct span *ret_json)
{
    bool is_group = q->reading->found.enrollment.kind == ENROLLMENT_GROUP;
    int64_t *devices;
    struct buf out;
    struct json_writer w = json_writer_over(&out);

    TRY(count_devices(env, q, &devices));
    out = arena_buf(env->arena);
    json_write_begin_object(&w, NULL);
    json_write_raw_if(&w, is_group ? "enrollmentGroup" : "individualEnrollment", q->enrollment);
    TRY(write_device(q, &w));
    json_write_begin_array(&w, "linkedHubs");
    for (size_t i = 0; i < q->n_hubs; i++) {
        json_write_text(&w, NULL, q->hubs[i].host_name);
    }
    json_write_end_array(&w);
    if (q->for_rule) {
        json_write_begin_array(&w, "hubs");
        for (size_t i = 0; i < q->n_hubs; i++) {
            write_hub(&q->hubs[i], devices != NULL ? &devices[i] : NULL, &w);
        }
        json_write_end_array(&w);
    }
    json_write_end_object(&w);
    return arena_buf_end(env->arena, &out, ret_json);
}
