/* cmd/berth/enrollment_body.c: options over stored members. What an option does not name is sent
 * back as it came: the service keeps a certificate whose `info` it is shown. */
#include "cmd/berth/enrollment_body.h"

#include "cmd/berth/pem.h"
#include "json/writer.h"

enum { JSON_DEPTH = 32 };

/* What files hold, read before the body is begun: both use the command's memory. */
struct parts {
    struct span certificate, secondary;
    json *tags, *desired;
    struct span stored_tags, stored_desired, copied; /* JSON text */
};

static err read_json_option(struct cli *cli, const char *option, json **ret_value)
{
    const char *text = berth_cli_text(cli, option);

    if (text == NULL) {
        return OK;
    }
    if (err_is_ok(json_parse(span_str(text), JSON_DEPTH, ret_value))) {
        berth_cli_keep(cli, *ret_value);
    }
    if (!json_is_object(*ret_value)) {
        return berth_cli_usage(cli, "--%s wants a JSON object", option);
    }
    return OK;
}

static err print(struct cli *cli, const json *value, struct span *ret_text)
{
    struct buf out = arena_buf(&cli->arena);

    if (value == NULL) {
        return OK;
    }
    TRY(json_print(value, &out));
    return arena_buf_end(&cli->arena, &out, ret_text);
}

static err read_parts(struct cli *cli, const json *stored, struct parts *p)
{
    const char *primary = berth_cli_text(cli, "certificate-path");
    const char *secondary = berth_cli_text(cli, "secondary-certificate-path");
    const json *twin = json_member(stored, "initialTwin");
    const json *properties = json_member(twin, "properties");

    if (primary != NULL) {
        TRY(berth_pem_read(cli, primary, &p->certificate));
    }
    if (secondary != NULL) {
        TRY(berth_pem_read(cli, secondary, &p->secondary));
    }
    TRY(read_json_option(cli, "initial-twin-tags", &p->tags));
    TRY(read_json_option(cli, "initial-twin-properties", &p->desired));
    TRY(print(cli, p->tags ? p->tags : json_member(twin, "tags"), &p->stored_tags));
    return print(cli, p->desired ? p->desired : json_member(properties, "desired"),
                 &p->stored_desired);
}

static bool has_keys(struct cli *cli)
{
    return berth_options_has(&cli->options, "primary-key") ||
           berth_options_has(&cli->options, "secondary-key");
}

static bool has_attestation(struct cli *cli)
{
    const struct options *o = &cli->options;

    return has_keys(cli) || berth_options_has(o, "certificate-path") ||
           berth_options_has(o, "secondary-certificate-path") || berth_options_has(o, "ca-name") ||
           berth_options_has(o, "secondary-ca-name") || berth_options_has(o, "attestation-type");
}

static void write_slot(struct json_writer *w, const char *slot, struct span certificate)
{
    if (!span_is_absent(certificate)) {
        json_write_begin_object(w, slot);
        json_write_text(w, "certificate", certificate);
        json_write_end_object(w);
    }
}

static void write_x509(struct cli *cli, enum enrollment_kind kind, const struct parts *p,
                       struct json_writer *w)
{
    const char *ca = berth_cli_text(cli, "ca-name");
    const char *secondary_ca = berth_cli_text(cli, "secondary-ca-name");

    json_write_begin_object(w, "x509");
    if (ca != NULL || secondary_ca != NULL) {
        json_write_begin_object(w, "caReferences");
        json_write_text_if(w, "primary", span_str(ca));
        json_write_text_if(w, "secondary", span_str(secondary_ca));
    } else {
        json_write_begin_object(w, kind == ENROLLMENT_GROUP ? "signingCertificates"
                                                            : "clientCertificates");
        write_slot(w, "primary", p->certificate);
        write_slot(w, "secondary", p->secondary);
    }
    json_write_end_object(w);
    json_write_end_object(w);
}

static void write_attestation(struct cli *cli, enum enrollment_kind kind, const struct parts *p,
                              struct json_writer *w)
{
    const char *type = berth_cli_text(cli, "attestation-type");
    bool is_symmetric = type != NULL ? strcmp(type, "symmetrickey") == 0 : has_keys(cli);

    json_write_begin_object(w, "attestation");
    json_write_str(w, "type", is_symmetric ? "symmetricKey" : "x509");
    if (is_symmetric) {
        json_write_begin_object(w, "symmetricKey");
        json_write_text_if(w, "primaryKey", span_str(berth_cli_text(cli, "primary-key")));
        json_write_text_if(w, "secondaryKey", span_str(berth_cli_text(cli, "secondary-key")));
        json_write_end_object(w);
    } else {
        write_x509(cli, kind, p, w);
    }
    json_write_end_object(w);
}

static void write_twin(const struct parts *p, struct json_writer *w)
{
    if (span_is_absent(p->stored_tags) && span_is_absent(p->stored_desired)) {
        return;
    }
    json_write_begin_object(w, "initialTwin");
    json_write_raw_if(w, "tags", p->stored_tags);
    if (!span_is_absent(p->stored_desired)) {
        json_write_begin_object(w, "properties");
        json_write_raw_if(w, "desired", p->stored_desired);
        json_write_end_object(w);
    }
    json_write_end_object(w);
}

static void write_hubs(const char *hubs, struct json_writer *w)
{
    struct span rest = span_str(hubs);

    if (hubs == NULL) {
        return;
    }
    json_write_begin_array(w, "iotHubs");
    while (!span_is_absent(rest)) {
        struct span hub = span_trim(span_cut(&rest, ','));

        if (hub.len > 0) {
            json_write_text(w, NULL, hub);
        }
    }
    json_write_end_array(w);
}

static void write_reprovision(const char *policy, struct json_writer *w)
{
    if (policy == NULL) {
        return;
    }
    json_write_begin_object(w, "reprovisionPolicy");
    json_write_bool(w, "updateHubAssignment", strcmp(policy, "never") != 0);
    json_write_bool(w, "migrateDeviceData", strcmp(policy, "reprovisionandmigratedata") == 0);
    json_write_end_object(w);
}

/* Members that options or the service decide; the rest of a stored enrollment is copied. */
static bool is_ours(struct cli *cli, enum enrollment_kind kind, const char *name)
{
    static const char *const always[] = {
        "registrationId",         "enrollmentGroupId", "etag",       "createdDateTimeUtc",
        "lastUpdatedDateTimeUtc", "registrationState", "initialTwin"
    };
    const struct {
        const char *member;
        bool given;
    } options[] = {
        { "attestation", has_attestation(cli) },
        { "provisioningStatus", berth_cli_text(cli, "provisioning-status") != NULL },
        { "allocationPolicy", berth_cli_text(cli, "allocation-policy") != NULL },
        { "iotHubs", berth_cli_text(cli, "iot-hubs") != NULL },
        { "iotHubHostName", berth_cli_text(cli, "iot-hubs") != NULL },
        { "reprovisionPolicy", berth_cli_text(cli, "reprovision-policy") != NULL },
        { "deviceId", kind == ENROLLMENT_INDIVIDUAL && berth_cli_text(cli, "device-id") != NULL },
    };

    for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++) {
        if (strcmp(name, always[i]) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (options[i].given && strcmp(name, options[i].member) == 0) {
            return true;
        }
    }
    return false;
}

static void copy_rest(struct cli *cli, enum enrollment_kind kind, const json *stored,
                      struct json_writer *w)
{
    for (struct json_iter it = json_first((json *)stored); it.name != NULL; json_next(&it)) {
        if (!is_ours(cli, kind, it.name) && !json_is_null(it.value)) {
            json_write_name(w, span_str(it.name));
            (void)json_print(it.value, w->out); /* a failure sticks to the buf */
            w->need_comma = true;
        }
    }
}

err berth_enrollment_body_make(struct cli *cli, enum enrollment_kind kind, const json *stored,
                               struct span *ret_body)
{
    struct parts p = { .tags = NULL };
    struct json_writer w;
    struct buf body;

    if (stored == NULL && !has_attestation(cli)) {
        return berth_cli_usage(cli,
                               "how do devices prove themselves? Give --certificate-path FILE, "
                               "--ca-name NAME or --attestation-type symmetrickey");
    }
    TRY(read_parts(cli, stored, &p));
    body = arena_buf(&cli->arena);
    w = json_writer_over(&body);
    json_write_begin_object(&w, NULL);
    json_write_str(&w, kind == ENROLLMENT_GROUP ? "enrollmentGroupId" : "registrationId",
                   berth_cli_text(cli, "enrollment-id"));
    if (kind == ENROLLMENT_INDIVIDUAL) {
        json_write_text_if(&w, "deviceId", span_str(berth_cli_text(cli, "device-id")));
    }
    if (has_attestation(cli)) {
        write_attestation(cli, kind, &p, &w);
    }
    json_write_text_if(&w, "provisioningStatus",
                       span_str(berth_cli_text(cli, "provisioning-status")));
    json_write_text_if(&w, "allocationPolicy", span_str(berth_cli_text(cli, "allocation-policy")));
    write_hubs(berth_cli_text(cli, "iot-hubs"), &w);
    write_reprovision(berth_cli_text(cli, "reprovision-policy"), &w);
    write_twin(&p, &w);
    copy_rest(cli, kind, stored, &w);
    json_write_end_object(&w);
    return arena_buf_end(&cli->arena, &body, ret_body);
}
