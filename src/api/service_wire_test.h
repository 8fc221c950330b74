/* api/service_wire_test.h: for tests: the service API's requests and bodies, over
 * api/http_wire_test.h. Certificates are made when a test runs. */
#ifndef API_SERVICE_WIRE_TEST_H
#define API_SERVICE_WIRE_TEST_H

#include "api/http_wire_test.h"
#include "util/hex.h"

#define V "?api-version=2021-10-01"

static char pem[4096], der64[4096], pem64[8192], der6464[8192]; /* the four spellings */
static char thumbprint[2 * CRYPTO_SHA256_LEN + 1];

static inline void make_certificate(const char *common_name, bool is_ca)
{
    struct crypto_cert_spec spec = { .common_name = common_name,
                                     .not_before_ms = w.now_ms - 86400000,
                                     .not_after_ms = w.now_ms + 86400000,
                                     .is_ca = is_ca,
                                     .path_len = -1,
                                     .key_usage = is_ca ? "critical,keyCertSign" : NULL,
                                     .serial = { 1, 2, 3 } };
    AUTO(crypto_key) struct crypto_key *key = NULL;
    AUTO(crypto_cert) struct crypto_cert *cert = NULL;
    uint8_t der[2048], digest[CRYPTO_SHA256_LEN];
    struct buf der_buf = buf_over(der, sizeof(der));
    struct buf outs[] = { buf_over(pem, sizeof(pem)), buf_over(der64, sizeof(der64)),
                          buf_over(pem64, sizeof(pem64)), buf_over(der6464, sizeof(der6464)),
                          buf_over(thumbprint, sizeof(thumbprint)) };

    assert_true(err_is_ok(crypto_key_generate(w.crypto, CRYPTO_KEY_EC_P256, &key)));
    assert_true(err_is_ok(crypto_key_issue(w.crypto, &spec, key, NULL, key, &cert)));
    assert_true(err_is_ok(crypto_x509_encode(cert, &der_buf)));
    assert_true(err_is_ok(crypto_x509_encode_pem(cert, &outs[0])));
    base64_encode(buf_span(&der_buf), &outs[1]);
    base64_encode(buf_span(&outs[0]), &outs[2]);
    base64_encode(buf_span(&outs[1]), &outs[3]);
    assert_true(err_is_ok(crypto_x509_sha256(cert, digest)));
    hex_encode_upper(span_of(digest, sizeof(digest)), &outs[4]);
    for (size_t i = 0; i < sizeof(outs) / sizeof(outs[0]); i++) {
        (void)buf_cstr(&outs[i]);
        assert_true(err_is_ok(buf_ok(&outs[i])));
    }
}

static inline int set_up(void **state)
{
    (void)state;
    wire_open(&w);
    make_certificate("d1", false);
    return 0;
}

static inline struct wire_reply ask(const char *method, const char *target, const char *headers,
                                    const char *body)
{
    return wire_ask_as(&w, POLICY_OF_INSTANCE, method, target, headers, body);
}

/* A text with its line feeds as JSON has them. */
static inline const char *escaped(const char *text)
{
    static char out[8192];
    size_t n = 0;

    for (; *text != '\0'; text++) {
        if (*text == '\n') {
            out[n++] = '\\';
        }
        out[n++] = *text == '\n' ? 'n' : *text;
    }
    out[n] = '\0';
    return out;
}

/* An individual enrollment with one client certificate, and `more` members. */
static inline const char *individual(const char *id, const char *certificate, const char *more)
{
    static char body[16384];

    (void)snprintf(body, sizeof(body),
                   "{\"registrationId\":\"%s\",\"attestation\":{\"type\":\"x509\",\"x509\":"
                   "{\"clientCertificates\":{\"primary\":{\"certificate\":\"%s\"}}}}%s}",
                   id, escaped(certificate), more);
    return body;
}

static inline const char *group(const char *id, const char *more)
{
    static char body[16384];

    (void)snprintf(body, sizeof(body),
                   "{\"enrollmentGroupId\":\"%s\",\"attestation\":{\"type\":\"x509\",\"x509\":"
                   "{\"signingCertificates\":{\"primary\":{\"certificate\":\"%s\"},"
                   "\"secondary\":null}}}%s}",
                   id, der64, more);
    return body;
}

/* The etag member of a body, unescaped, with its quotes. */
static inline const char *etag_of(const struct wire_reply *r)
{
    static char etag[LIMIT_ETAG + 3];
    const char *at = strstr(r->body, "\"etag\":\"\\\"");

    assert_non_null(at);
    at += strlen("\"etag\":\"\\\"");
    (void)snprintf(etag, sizeof(etag), "\"%.*s\"", (int)strcspn(at, "\\"), at);
    return etag;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, wire_tear_down)

#endif
