/* cmd/berth/ca.c: `berth ca`: keys and certificates in files, without any server. Keys are written
 * with mode 0600, nothing is overwritten without --force, and no key is ever printed. */
#include "cmd/berth/commands.h"
#include "cmd/berth/file.h"
#include "cmd/berth/issue.h"
#include "cmd/berth/pem.h"
#include "cmd/berth/view.h"
#include "model/limits.h"
#include "util/timefmt.h"
#include "json/writer.h"

enum { KEY_PEM_MAX = 8192 };

struct paths {
    const char *certificate, *key, *chain;
};

static err make_paths(struct cli *cli, const char *common_name, struct paths *ret_paths)
{
    const char *out = berth_cli_text(cli, "out");

    if (out == NULL) {
        out = common_name;
        if (strchr(out, '/') != NULL || out[0] == '.') {
            return berth_cli_usage(cli, "--out is missing: '%s' makes no file name", out);
        }
    }
    *ret_paths = (struct paths){ berth_cli_printf(cli, "%s.cert.pem", out),
                                 berth_cli_printf(cli, "%s.key.pem", out),
                                 berth_cli_printf(cli, "%s.chain.pem", out) };
    return OK;
}

/* All three or none: what exists is found out before anything is written. */
static err check_free(struct cli *cli, const struct paths *p)
{
    const char *const all[] = { p->certificate, p->key, p->chain };

    for (size_t i = 0; i < 3; i++) {
        if (!berth_options_flag(&cli->options, "force") && berth_file_exists(all[i])) {
            return err_set(ERR_EXISTS, "%s exists; --force overwrites it", all[i]);
        }
    }
    return OK;
}

static err begin_ms(struct cli *cli, int64_t *ret_now_ms)
{
    const char *text = berth_cli_text(cli, "not-before");

    if (text == NULL) {
        *ret_now_ms = berth_cli_now_ms();
        return OK;
    }
    if (!err_is_ok(timefmt_parse_iso(span_str(text), ret_now_ms))) {
        return berth_cli_usage(cli, "--not-before wants a time like 2027-01-31T12:00:00Z, not '%s'",
                               text);
    }
    *ret_now_ms += LIMIT_CERTIFICATE_BACKDATE_MS; /* issuing takes it off again */
    return OK;
}

static err write_key(struct cli *cli, const char *path, const struct crypto_key *key)
{
    uint8_t memory[KEY_PEM_MAX];
    struct buf pem = buf_over(memory, sizeof(memory));
    err e = crypto_key_encode_pem(key, &pem);

    if (err_is_ok(e)) {
        e = berth_file_write(path, buf_span(&pem), 0600,
                             berth_options_flag(&cli->options, "force"));
    }
    crypto_wipe(memory, sizeof(memory));
    return e;
}

static err report_json(const struct paths *p, const struct crypto_cert *certificate)
{
    uint8_t sha256[CRYPTO_SHA256_LEN], sha1[CRYPTO_SHA1_LEN];
    char memory[4096], subject_memory[1024];
    struct buf out = buf_over(memory, sizeof(memory));
    struct buf subject = buf_over(subject_memory, sizeof(subject_memory));
    struct json_writer w = json_writer_over(&out);
    struct crypto_x509_info info;

    TRY(crypto_x509_sha256(certificate, sha256));
    TRY(crypto_x509_sha1(certificate, sha1));
    TRY(crypto_x509_info(certificate, &info));
    crypto_x509_subject(certificate, &subject);
    json_write_begin_object(&w, NULL);
    json_write_text(&w, "subjectName", buf_span(&subject));
    json_write_hex_upper(&w, "sha256Thumbprint", span_of(sha256, sizeof(sha256)));
    json_write_hex_upper(&w, "sha1Thumbprint", span_of(sha1, sizeof(sha1)));
    json_write_time(&w, "notBeforeUtc", info.not_before_ms);
    json_write_time(&w, "notAfterUtc", info.not_after_ms);
    json_write_str(&w, "certFile", p->certificate);
    json_write_str(&w, "keyFile", p->key);
    json_write_str(&w, "chainFile", p->chain);
    json_write_end_object(&w);
    TRY(buf_ok(&out));
    (void)puts(buf_cstr(&out));
    return OK;
}

static err write_files(struct cli *cli, const struct paths *p, const struct issue_ca *ca,
                       const struct crypto_key *key, struct crypto_cert *certificate)
{
    bool force = berth_options_flag(&cli->options, "force");
    struct span pem;

    TRY(write_key(cli, p->key, key));
    TRY(berth_pem_format(cli, &certificate, 1, &pem));
    TRY(berth_file_write(p->certificate, pem, 0644, force));
    TRY(berth_issue_format_chain(cli, certificate, ca, &pem));
    TRY(berth_file_write(p->chain, pem, 0644, force));
    if (cli->is_json) {
        return report_json(p, certificate);
    }
    berth_view_line("certificate", span_str(p->certificate));
    berth_view_line("chain", span_str(p->chain));
    berth_view_line("key (keep secret)", span_str(p->key));
    return berth_pem_show(cli, certificate);
}

static err make_with(struct cli *cli, struct issue_request *request, const struct issue_ca *ca)
{
    AUTO(crypto_key) struct crypto_key *key = NULL;
    AUTO(crypto_cert) struct crypto_cert *certificate = NULL;
    struct paths paths;

    request->key_type = berth_issue_key_type(berth_cli_text(cli, "key-type"));
    request->common_name = berth_cli_text(cli, "name");
    request->days = (int)berth_options_int(&cli->options, "days");
    request->ca = ca;
    TRY(begin_ms(cli, &request->now_ms));
    TRY(make_paths(cli, request->common_name, &paths));
    TRY(check_free(cli, &paths));
    TRY(berth_issue_make(cli->crypto, request, &key, &certificate));
    return write_files(cli, &paths, ca, key, certificate);
}

static err make_under_ca(struct cli *cli, struct issue_request *request)
{
    struct issue_ca ca;
    err e;

    TRY(berth_issue_open_ca(cli, berth_cli_text(cli, "ca-cert"), berth_cli_text(cli, "ca-key"),
                            &ca));
    e = make_with(cli, request, &ca);
    berth_issue_close_ca(&ca);
    return e;
}

err berth_ca_create_root(struct cli *cli)
{
    struct issue_request request = { .profile = CA_PROFILE_ROOT, .path_len = -1 };

    return make_with(cli, &request, NULL);
}

err berth_ca_create_intermediate(struct cli *cli)
{
    struct issue_request request = { .profile = CA_PROFILE_INTERMEDIATE, .path_len = -1 };

    if (berth_options_has(&cli->options, "path-length")) {
        request.path_len = (int)berth_options_int(&cli->options, "path-length");
    }
    return make_under_ca(cli, &request);
}

err berth_ca_create_device(struct cli *cli)
{
    struct issue_request request = { .profile = CA_PROFILE_DEVICE, .path_len = -1 };

    return make_under_ca(cli, &request);
}

err berth_ca_create_verification(struct cli *cli)
{
    struct issue_request request = { .profile = CA_PROFILE_VERIFICATION, .path_len = -1 };

    return make_under_ca(cli, &request);
}
