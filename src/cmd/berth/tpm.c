/* cmd/berth/tpm.c: `berth tpm show`: what an operator needs of a TPM to enroll it. Asks no server.
 */
#include "cmd/berth/tpm.h"

#include "cmd/berth/commands.h"
#include "cmd/berth/file.h"
#include "cmd/berth/pem.h"
#include "cmd/berth/view.h"
#include "util/base64.h"
#include "json/writer.h"

static err read_certificate(struct cli *cli, struct provision_tpm_device *device)
{
    struct buf der = arena_buf(&cli->arena);
    err e = berth_tpm_client_read_certificate(device->tpm, &der);

    if (err_is(e, ERR_NOT_FOUND)) {
        return OK;
    }
    TRY(e);
    TRY(arena_buf_end(&cli->arena, &der, &device->certificates[0]));
    device->n_certificates = 1;
    return OK;
}

err berth_tpm_open(struct cli *cli, struct provision_tpm_device *ret_device,
                   const char **ret_registration_id)
{
    AUTO(tpm_client) struct tpm_client *tpm = NULL;
    struct provision_tpm_device device = { .n_certificates = 0 };
    char id[PROVISION_TPM_REGISTRATION_ID_MAX];

    TRY(berth_tpm_client_open(berth_cli_text(cli, "tcti"), &tpm));
    device.tpm = tpm;
    TRY(read_certificate(cli, &device));
    TRY(berth_provision_tpm_registration_id(cli->crypto, berth_tpm_client_endorsement_key(tpm),
                                            id));
    *ret_registration_id = berth_cli_cstr(cli, span_str(id));
    *ret_device = device;
    tpm = NULL;
    return OK;
}

static err add_certificate(struct cli *cli, const struct crypto_cert *certificate,
                           struct provision_tpm_device *device)
{
    struct buf out = arena_buf(&cli->arena);
    struct span der;

    TRY(crypto_x509_encode(certificate, &out));
    TRY(arena_buf_end(&cli->arena, &out, &der));
    if (device->n_certificates > 0 && span_eq(device->certificates[0], der)) {
        return OK;
    }
    if (device->n_certificates == PROVISION_TPM_CERTIFICATES_MAX) {
        return berth_cli_usage(cli, "at most %d endorsement certificates can be sent",
                               PROVISION_TPM_CERTIFICATES_MAX);
    }
    device->certificates[device->n_certificates++] = der;
    return OK;
}

err berth_tpm_add_certificates(struct cli *cli, const char *path,
                               struct provision_tpm_device *device)
{
    struct crypto_cert *certificates[BERTH_PEM_CERTIFICATES_MAX];
    size_t n = 0;
    err e = OK;

    TRY(berth_pem_read_certificates(cli, path, certificates, &n));
    for (size_t i = 0; i < n && err_is_ok(e); i++) {
        e = add_certificate(cli, certificates[i], device);
    }
    berth_pem_free_certificates(certificates, n);
    return e;
}

/* --- berth tpm show. ----------------------------------------------------------------------- */

static err write_certificate(struct cli *cli, const struct provision_tpm_device *device,
                             const char *path)
{
    AUTO(crypto_cert) struct crypto_cert *certificate = NULL;
    struct span pem;

    if (device->n_certificates == 0) {
        return err_set(ERR_NOT_FOUND, "the TPM holds no endorsement certificate to write");
    }
    TRY(crypto_x509_decode(cli->crypto, device->certificates[0], &certificate));
    TRY(berth_pem_format(cli, &certificate, 1, &pem));
    return berth_file_write(path, pem, 0644, berth_options_flag(&cli->options, "force"));
}

static err show_json(struct cli *cli, const struct provision_tpm_device *device,
                     const char *registration_id)
{
    struct buf out = arena_buf(&cli->arena);
    struct json_writer w = json_writer_over(&out);
    struct span text;

    json_write_begin_object(&w, NULL);
    json_write_str(&w, "registrationId", registration_id);
    json_write_base64(&w, "endorsementKey", berth_tpm_client_endorsement_key(device->tpm));
    json_write_base64(&w, "storageRootKey", berth_tpm_client_storage_root_key(device->tpm));
    if (device->n_certificates > 0) {
        json_write_base64(&w, "endorsementCertificate", device->certificates[0]);
    }
    json_write_end_object(&w);
    TRY(arena_buf_end(&cli->arena, &out, &text));
    (void)puts((const char *)text.data);
    return OK;
}

static err show_base64(struct cli *cli, const char *title, struct span bytes)
{
    struct buf out = arena_buf(&cli->arena);
    struct span text;

    base64_encode(bytes, &out);
    TRY(arena_buf_end(&cli->arena, &out, &text));
    berth_view_line(title, text);
    return OK;
}

static err show_lines(struct cli *cli, const struct provision_tpm_device *device,
                      const char *registration_id)
{
    AUTO(crypto_cert) struct crypto_cert *certificate = NULL;
    char memory[1024];
    struct buf issuer = buf_over(memory, sizeof(memory));

    berth_view_line("registration ID", span_str(registration_id));
    TRY(show_base64(cli, "endorsement key", berth_tpm_client_endorsement_key(device->tpm)));
    TRY(show_base64(cli, "storage root key", berth_tpm_client_storage_root_key(device->tpm)));
    if (device->n_certificates == 0) {
        berth_view_line("certificate", SPAN("none in the TPM"));
        return OK;
    }
    TRY(crypto_x509_decode(cli->crypto, device->certificates[0], &certificate));
    buf_add_str(&issuer, "issued by ");
    crypto_x509_issuer(certificate, &issuer);
    TRY(buf_ok(&issuer));
    berth_view_line("certificate", buf_span(&issuer));
    return OK;
}

err berth_tpm_show(struct cli *cli)
{
    AUTO(tpm_client) struct tpm_client *tpm = NULL;
    const char *out = berth_cli_text(cli, "endorsement-certificate-out");
    struct provision_tpm_device device;
    const char *registration_id;

    TRY(berth_tpm_open(cli, &device, &registration_id));
    tpm = device.tpm;
    if (out != NULL) {
        TRY(write_certificate(cli, &device, out));
    }
    return cli->is_json ? show_json(cli, &device, registration_id)
                        : show_lines(cli, &device, registration_id);
}
