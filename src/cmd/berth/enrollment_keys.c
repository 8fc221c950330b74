/* cmd/berth/enrollment_keys.c: asks the service for keys, and derives a device's from a group's. A
 * derivation with --key needs no server. */
#include "cmd/berth/enrollment_keys.h"

#include "attest/attest.h"
#include "cmd/berth/enrollment_body.h"
#include "model/limits.h"
#include "util/base64.h"
#include "json/writer.h"

static const struct view_column KEY[] = {
    { "device key", "deviceKey" },
    { NULL, NULL },
};

/* AttestationMechanism, keys included. */
static err fetch_mechanism(struct cli *cli, const struct resource *r, json **ret_mechanism)
{
    struct http_request request = berth_resource_request(cli, r, "POST");
    const char *id = berth_cli_text(cli, r->option);
    struct endpoint service;

    request.path = berth_cli_printf(cli, "%s/%s/attestationmechanism?" BERTH_SERVICE_API_VERSION,
                                    r->collection, berth_http_escape(cli, id));
    TRY(berth_cli_service(cli, &service));
    return berth_http_json(cli, &service, &request, ret_mechanism);
}

static err parse_kept(struct cli *cli, struct span text, json **ret_document)
{
    TRY(json_parse(text, 32, ret_document));
    berth_cli_keep(cli, *ret_document);
    return OK;
}

err berth_enrollment_keys_merge(struct cli *cli, json *enrollment, const json *mechanism,
                                struct span *ret_text)
{
    struct buf out = arena_buf(&cli->arena);
    struct json_writer w = json_writer_over(&out);

    json_write_begin_object(&w, NULL);
    for (struct json_iter it = json_first(enrollment); it.name != NULL; json_next(&it)) {
        bool is_attestation = strcmp(it.name, "attestation") == 0;

        json_write_name(&w, span_str(it.name));
        TRY(json_print(is_attestation ? mechanism : it.value, w.out));
        w.need_comma = true;
    }
    json_write_end_object(&w);
    return arena_buf_end(&cli->arena, &out, ret_text);
}

static err replace_attestation(struct cli *cli, json *document, const json *mechanism,
                               json **ret_document)
{
    struct span text;

    TRY(berth_enrollment_keys_merge(cli, document, mechanism, &text));
    return parse_kept(cli, text, ret_document);
}

err berth_enrollment_keys_show(struct cli *cli, const struct resource *r)
{
    struct http_request request = berth_resource_request(cli, r, "GET");
    struct endpoint service;
    json *document = NULL, *mechanism = NULL, *whole = NULL;

    if (!berth_options_flag(&cli->options, "show-keys")) {
        return berth_resource_show(cli, r);
    }
    TRY(berth_cli_service(cli, &service));
    TRY(berth_http_json(cli, &service, &request, &document));
    TRY(fetch_mechanism(cli, r, &mechanism));
    TRY(replace_attestation(cli, document, mechanism, &whole));
    return berth_view_show(cli, r->show, whole);
}

err berth_enrollment_keys_complete(struct cli *cli, const struct resource *r, json **stored)
{
    struct span type = json_text(json_member(json_member(*stored, "attestation"), "type"));
    json *mechanism = NULL;

    if (!span_eq(type, SPAN("symmetricKey")) ||
        berth_options_has(&cli->options, "primary-key") ==
            berth_options_has(&cli->options, "secondary-key")) {
        return OK;
    }
    TRY(fetch_mechanism(cli, r, &mechanism));
    return replace_attestation(cli, *stored, mechanism, stored);
}

static err decode_key(struct cli *cli, struct span text, struct span *ret_key)
{
    struct buf out = arena_buf(&cli->arena);
    struct span key;

    TRY(base64_decode(text, &out));
    TRY(arena_buf_end(&cli->arena, &out, &key));
    if (key.len < LIMIT_SYMMETRIC_KEY_MIN || key.len > LIMIT_SYMMETRIC_KEY) {
        return ERR(MALFORMED);
    }
    *ret_key = key;
    return OK;
}

err berth_enrollment_keys_parse(struct cli *cli, const char *option, struct span *ret_key)
{
    err e = decode_key(cli, span_str(berth_cli_text(cli, option)), ret_key);

    return err_is(e, ERR_MALFORMED)
               ? berth_cli_usage(cli, "--%s wants 16 to 64 bytes in base64", option)
               : e;
}

static err find_group_key(struct cli *cli, const struct resource *group, struct span *ret_key)
{
    json *mechanism = NULL;
    struct span text;

    if (berth_cli_text(cli, "key") != NULL) {
        return berth_enrollment_keys_parse(cli, "key", ret_key);
    }
    if (berth_cli_text(cli, group->option) == NULL) {
        return berth_cli_usage(cli, "whose key? Give the enrollment group's ID or --key");
    }
    TRY(fetch_mechanism(cli, group, &mechanism));
    text = berth_view_text(cli, mechanism, "symmetricKey.primaryKey");
    if (span_is_absent(text)) {
        return err_set(ERR_MALFORMED, "the %s does not use symmetric keys", group->word);
    }
    return decode_key(cli, text, ret_key);
}

err berth_enrollment_keys_compute(struct cli *cli, const struct resource *group)
{
    uint8_t key[CRYPTO_SHA256_LEN];
    struct span group_key, text;
    struct json_writer w;
    json *document = NULL;
    struct buf out;

    TRY(find_group_key(cli, group, &group_key));
    TRY(attest_symkey_derive(cli->crypto, group_key,
                             span_str(berth_cli_text(cli, "registration-id")), key));
    out = arena_buf(&cli->arena);
    base64_encode(span_of(key, sizeof(key)), &out);
    crypto_wipe(key, sizeof(key));
    TRY(arena_buf_end(&cli->arena, &out, &text));
    out = arena_buf(&cli->arena);
    w = json_writer_over(&out);
    json_write_begin_object(&w, NULL);
    json_write_text(&w, "deviceKey", text);
    json_write_end_object(&w);
    TRY(arena_buf_end(&cli->arena, &out, &text));
    TRY(parse_kept(cli, text, &document));
    return berth_view_show(cli, KEY, document);
}
