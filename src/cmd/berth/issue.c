/* cmd/berth/issue.c: a CA's files opened, and keys and certificates made under it. */
#include "cmd/berth/issue.h"

#include "cmd/berth/file.h"
#include "cmd/berth/pem.h"

/* The value of --key-type to a type; the option's choices are these names. */
static const struct {
    const char *name;
    enum crypto_key_type type;
} KEY_TYPES[] = {
    { "p256", CRYPTO_KEY_EC_P256 },     { "p384", CRYPTO_KEY_EC_P384 },
    { "rsa2048", CRYPTO_KEY_RSA_2048 }, { "rsa3072", CRYPTO_KEY_RSA_3072 },
    { "rsa4096", CRYPTO_KEY_RSA_4096 },
};

enum crypto_key_type berth_issue_key_type(const char *name)
{
    for (size_t i = 0; i < sizeof(KEY_TYPES) / sizeof(KEY_TYPES[0]); i++) {
        if (strcmp(KEY_TYPES[i].name, name) == 0) {
            return KEY_TYPES[i].type;
        }
    }
    return CRYPTO_KEY_EC_P256;
}

err berth_issue_make(struct crypto *c, const struct issue_request *request,
                     struct crypto_key **ret_key, struct crypto_cert **ret_certificate)
{
    AUTO(crypto_key) struct crypto_key *key = NULL;
    struct ca_request r = {
        .profile = request->profile,
        .common_name = request->common_name,
        .issuer = request->ca ? request->ca->chain[0] : NULL,
        .issuer_key = request->ca ? request->ca->key : NULL,
        .now_ms = request->now_ms,
        .lifetime_days = request->days,
        .has_path_len = request->path_len >= 0,
        .path_len = request->path_len,
    };

    crypto_random(r.serial, sizeof(r.serial));
    TRY(crypto_key_generate(c, request->key_type, &key));
    r.subject_key = key;
    TRY(ca_profile_issue(c, &r, ret_certificate));
    *ret_key = key;
    key = NULL;
    return OK;
}

void berth_issue_close_ca(struct issue_ca *ca)
{
    berth_pem_free_certificates(ca->chain, ca->n_chain);
    crypto_key_free(ca->key);
    *ca = (struct issue_ca){ .n_chain = 0 };
}

err berth_issue_open_ca(struct cli *cli, const char *certificate_path, const char *key_path,
                        struct issue_ca *ret_ca)
{
    struct issue_ca ca = { .n_chain = 0 };
    struct span pem;

    if (certificate_path == NULL && key_path == NULL && cli->dev != NULL) {
        certificate_path = berth_cli_dev_file(cli, "deviceCa", "certFile");
        key_path = berth_cli_dev_file(cli, "deviceCa", "keyFile");
    }
    if (certificate_path == NULL || key_path == NULL) {
        return berth_cli_missing(cli,
                                 "name the CA: --ca-cert FILE with --ca-key FILE, or --dev DIR "
                                 "for its device CA");
    }
    TRY(berth_file_read(&cli->arena, key_path, &pem));
    if (!err_is_ok(crypto_key_decode_pem(cli->crypto, pem, &ca.key))) {
        return err_set(ERR_MALFORMED, "%s is not an unencrypted private key (PEM)", key_path);
    }
    err e = berth_pem_read_certificates(cli, certificate_path, ca.chain, &ca.n_chain);
    if (err_is_ok(e) && !crypto_key_matches(ca.key, ca.chain[0])) {
        e = err_set(ERR_MALFORMED, "%s is not the key of %s", key_path, certificate_path);
    }
    if (!err_is_ok(e)) {
        berth_issue_close_ca(&ca);
        return e;
    }
    *ret_ca = ca;
    return OK;
}

err berth_issue_format_chain(struct cli *cli, struct crypto_cert *leaf, const struct issue_ca *ca,
                             struct span *ret_pem)
{
    struct crypto_cert *chain[BERTH_PEM_CERTIFICATES_MAX + 1] = { leaf };
    size_t n = 1;

    for (size_t i = 0; ca != NULL && i < ca->n_chain; i++) {
        if (!crypto_x509_is_self_issued(ca->chain[i])) {
            chain[n++] = ca->chain[i];
        }
    }
    return berth_pem_format(cli, chain, n, ret_pem);
}

err berth_issue_verification(struct cli *cli, const char *code, const char *certificate_path,
                             const char *key_path, struct span *ret_pem)
{
    AUTO(crypto_key) struct crypto_key *key = NULL;
    AUTO(crypto_cert) struct crypto_cert *certificate = NULL;
    struct issue_ca ca = { .n_chain = 0 };
    err e;

    TRY(berth_issue_open_ca(cli, certificate_path, key_path, &ca));
    e = berth_issue_make(cli->crypto,
                         &(struct issue_request){ .profile = CA_PROFILE_VERIFICATION,
                                                  .common_name = code,
                                                  .now_ms = berth_cli_now_ms(),
                                                  .path_len = -1,
                                                  .ca = &ca },
                         &key, &certificate);
    berth_issue_close_ca(&ca);
    TRY(e);
    return berth_pem_format(cli, &certificate, 1, ret_pem);
}
