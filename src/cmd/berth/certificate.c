/* cmd/berth/certificate.c: `berth certificate`: the CA certificates that enrollments may refer to;
 * `berth hub certificate`: those that devices of a hub may be under (doc/wire/manage.md). `base` is
 * the path of either. */
#include "cmd/berth/commands.h"
#include "cmd/berth/issue.h"
#include "cmd/berth/manage.h"
#include "cmd/berth/pem.h"
#include "json/writer.h"

static const struct view_column LIST[] = {
    { "NAME", "name" },
    { "VERIFIED", "properties.isVerified" },
    { "SUBJECT", "properties.subject" },
    { "EXPIRES", "properties.expiry" },
    { "SHA-1", "properties.thumbprint" },
    { NULL, NULL },
};

static const struct view_column SHOW[] = {
    { "name", "name" },
    { "subject", "properties.subject" },
    { "verified", "properties.isVerified" },
    { "verification code", "properties.verificationCode" },
    { NULL, NULL },
};

/* Between the two: thumbprints, one of which the server does not tell. */
static const struct view_column SHOW_REST[] = {
    { "expires", "properties.expiry" },
    { "created", "properties.created" },
    { "updated", "properties.updated" },
    { "etag", "etag" },
    { NULL, NULL },
};

static const char BASE[] = "/berth/v1/certificates";

static const char *hub_base(struct cli *cli)
{
    const char *name = berth_cli_text(cli, "hub-name");

    return berth_cli_printf(cli, "/berth/v1/hubs/%s/certificates", berth_http_escape(cli, name));
}

static struct http_request request(struct cli *cli, const char *base, const char *method,
                                   const char *suffix)
{
    const char *name = berth_cli_text(cli, "certificate-name");

    return (struct http_request){
        .method = method,
        .path = berth_cli_printf(cli, "%s/%s%s", base, berth_http_escape(cli, name), suffix),
        .what = berth_cli_printf(cli, "certificate '%s'", name),
    };
}

static err show_rest(struct cli *cli, const json *document)
{
    AUTO(crypto_cert) struct crypto_cert *certificate = NULL;
    struct span der = berth_view_text(cli, document, "properties.certificate");

    if (!err_is_ok(crypto_x509_decode_any(cli->crypto, der, &certificate))) {
        return err_set(ERR_IO, "the server's answer holds no certificate");
    }
    TRY(berth_pem_show_thumbprints(certificate));
    return berth_view_show(cli, SHOW_REST, document);
}

static err send_and_show(struct cli *cli, const struct http_request *r)
{
    struct endpoint service;
    json *document = NULL;

    TRY(berth_cli_service(cli, &service));
    TRY(berth_http_json(cli, &service, r, &document));
    TRY(berth_view_show(cli, SHOW, document));
    return cli->is_json ? OK : show_rest(cli, document);
}

static err create(struct cli *cli, const char *base)
{
    struct http_request r = request(cli, base, "PUT", "");
    struct span certificate;
    struct json_writer w;
    struct buf body;

    r.if_match = berth_cli_text(cli, "etag");
    TRY(berth_pem_read(cli, berth_cli_text(cli, "path"), &certificate));
    body = arena_buf(&cli->arena);
    w = json_writer_over(&body);
    json_write_begin_object(&w, NULL);
    json_write_begin_object(&w, "properties");
    json_write_text(&w, "certificate", certificate);
    json_write_bool(&w, "isVerified", berth_options_flag(&cli->options, "verified"));
    json_write_end_object(&w);
    json_write_end_object(&w);
    TRY(arena_buf_end(&cli->arena, &body, &r.body));
    return send_and_show(cli, &r);
}

static err list(struct cli *cli, const char *base)
{
    struct endpoint service;

    TRY(berth_cli_service(cli, &service));
    return berth_manage_list(cli, &service, base, LIST, "certificates");
}

static err show(struct cli *cli, const char *base)
{
    struct http_request r = request(cli, base, "GET", "");

    return send_and_show(cli, &r);
}

static err drop(struct cli *cli, const char *base, bool is_forced)
{
    struct http_request r = request(cli, base, "DELETE", is_forced ? "?force=true" : "");
    struct endpoint service;
    struct http_reply reply;

    r.if_match = berth_cli_text(cli, "etag");
    TRY(berth_cli_service(cli, &service));
    return berth_http_send(cli, &service, &r, &reply);
}

static err generate_verification_code(struct cli *cli, const char *base)
{
    struct http_request r = request(cli, base, "POST", "/generateVerificationCode");

    r.if_match = berth_cli_text(cli, "etag");
    return send_and_show(cli, &r);
}

/* Proof with the CA's key at hand: ask for a code, sign a certificate of that name. */
static err make_proof(struct cli *cli, const char *base, struct span *ret_certificate)
{
    struct http_request r = request(cli, base, "POST", "/generateVerificationCode");
    struct endpoint service;
    json *document = NULL;
    const char *code;

    r.if_match = berth_cli_text(cli, "etag");
    TRY(berth_cli_service(cli, &service));
    TRY(berth_http_json(cli, &service, &r, &document));
    code = berth_cli_cstr(cli, berth_view_text(cli, document, "properties.verificationCode"));
    return berth_issue_verification(cli, code, berth_cli_text(cli, "ca-cert"),
                                    berth_cli_text(cli, "ca-key"), ret_certificate);
}

static err verify(struct cli *cli, const char *base)
{
    struct http_request r = request(cli, base, "POST", "/verify");
    const char *path = berth_cli_text(cli, "path");
    bool has_key =
        berth_options_has(&cli->options, "ca-key") && berth_options_has(&cli->options, "ca-cert");
    struct span certificate;
    struct json_writer w;
    struct buf body;

    if ((path != NULL) == has_key) {
        return berth_cli_usage(cli, "give either --path FILE (the verification certificate) or "
                                    "--ca-cert FILE with --ca-key FILE");
    }
    if (has_key) {
        TRY(make_proof(cli, base, &certificate)); /* which changes the ETag */
    } else {
        r.if_match = berth_cli_text(cli, "etag");
        TRY(berth_pem_read(cli, path, &certificate));
    }
    body = arena_buf(&cli->arena);
    w = json_writer_over(&body);
    json_write_begin_object(&w, NULL);
    json_write_text(&w, "certificate", certificate);
    json_write_end_object(&w);
    TRY(arena_buf_end(&cli->arena, &body, &r.body));
    return send_and_show(cli, &r);
}

/* ---- the two nouns ---- */

err berth_certificate_create(struct cli *cli)
{
    return create(cli, BASE);
}

err berth_certificate_list(struct cli *cli)
{
    return list(cli, BASE);
}

err berth_certificate_show(struct cli *cli)
{
    return show(cli, BASE);
}

err berth_certificate_delete(struct cli *cli)
{
    return drop(cli, BASE, berth_options_flag(&cli->options, "force"));
}

err berth_certificate_generate_verification_code(struct cli *cli)
{
    return generate_verification_code(cli, BASE);
}

err berth_certificate_verify(struct cli *cli)
{
    return verify(cli, BASE);
}

err berth_hub_certificate_create(struct cli *cli)
{
    return create(cli, hub_base(cli));
}

err berth_hub_certificate_list(struct cli *cli)
{
    return list(cli, hub_base(cli));
}

err berth_hub_certificate_show(struct cli *cli)
{
    return show(cli, hub_base(cli));
}

err berth_hub_certificate_delete(struct cli *cli)
{
    return drop(cli, hub_base(cli), false);
}

err berth_hub_certificate_generate_verification_code(struct cli *cli)
{
    return generate_verification_code(cli, hub_base(cli));
}

err berth_hub_certificate_verify(struct cli *cli)
{
    return verify(cli, hub_base(cli));
}
