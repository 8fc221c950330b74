/* api/dps_tpm_test.c: registering by TPM over HTTPS: the bodies that SDKs parse, and enrollments
 * for TPMs as the service API spells them. */
#include "api/http_wire_test.h"
#include "tpm/soft_test.h"
#include "util/base32.h"

#define VERSION "?api-version=2021-06-01"
#define SERVICE "?api-version=2021-10-01"

static struct soft_tpm tpm;
static struct crypto_key *ca_key;
static struct crypto_cert *ca, *ek_cert;
static char id[64]; /* of the TPM */
static char ek[512], srk[512];

static void base64(struct span bytes, char *text, size_t room)
{
    struct buf out = buf_over(text, room);

    base64_encode(bytes, &out);
    assert_true(strlen(buf_cstr(&out)) > 0);
}

static struct crypto_cert *issue(const struct crypto_key *key, struct crypto_cert *issuer)
{
    struct crypto_cert_spec spec = { .common_name = issuer == NULL ? "TPM maker" : "EK",
                                     .not_before_ms = w.now_ms - 1000000,
                                     .not_after_ms = w.now_ms + 1000000,
                                     .path_len = -1,
                                     .is_ca = issuer == NULL,
                                     .serial = { 1 } };
    struct crypto_cert *cert;

    spec.key_usage = spec.is_ca ? "critical,keyCertSign" : "critical,keyEncipherment";
    assert_true(err_is_ok(crypto_key_issue(w.crypto, &spec, key, issuer, ca_key, &cert)));
    return cert;
}

static int set_up(void **state)
{
    uint8_t digest[CRYPTO_SHA256_LEN];
    struct buf text = buf_over(id, sizeof(id));

    (void)state;
    wire_open(&w);
    soft_tpm_open(w.crypto, &tpm);
    assert_true(err_is_ok(crypto_key_generate(w.crypto, CRYPTO_KEY_EC_P256, &ca_key)));
    ca = issue(ca_key, NULL);
    ek_cert = issue(tpm.ek, ca);
    assert_true(err_is_ok(crypto_sha256(w.crypto, tpm.ek_public, digest)));
    base32_encode_lower(span_of(digest, sizeof(digest)), &text);
    assert_int_equal(52, strlen(buf_cstr(&text)));
    base64(tpm.ek_public, ek, sizeof(ek));
    base64(tpm.srk_public, srk, sizeof(srk));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    crypto_x509_free(ek_cert);
    crypto_x509_free(ca);
    crypto_key_free(ca_key);
    soft_tpm_close(&tpm);
    wire_close(&w);
    return 0;
}

static struct wire_reply service(const char *method, const char *target, const char *body)
{
    return wire_ask_as(&w, POLICY_OF_INSTANCE, method, target, "Content-Type: application/json\r\n",
                       body);
}

static void enroll(const char *registration_id)
{
    char target[256], body[2048];
    struct wire_reply r;

    (void)snprintf(target, sizeof(target), "/enrollments/%s" SERVICE, registration_id);
    (void)snprintf(body, sizeof(body),
                   "{\"registrationId\":\"%s\",\"attestation\":{\"type\":\"tpm\",\"tpm\":{"
                   "\"endorsementKey\":\"%s\"}}}",
                   registration_id, ek);
    r = service("PUT", target, body);
    assert_int_equal(r.status, 200);
}

/* token "" : none. more: further members of "tpm". */
static struct wire_reply put(const char *registration_id, const char *token, const char *more)
{
    char target[256], body[8192], headers[1024];

    (void)snprintf(target, sizeof(target), "/%.*s/registrations/%s/register" VERSION,
                   SPAN_FMT(w.instance.id_scope), registration_id);
    (void)snprintf(body, sizeof(body),
                   "{\"registrationId\":\"%s\",\"tpm\":{\"endorsementKey\":\"%s\","
                   "\"storageRootKey\":\"%s\"%s}}",
                   registration_id, ek, srk, more);
    (void)snprintf(headers, sizeof(headers), "Content-Type: application/json\r\n%s%s%s",
                   token[0] != '\0' ? "Authorization: " : "", token,
                   token[0] != '\0' ? "\r\n" : "");
    return wire_ask(&w, "PUT", target, headers, body);
}

/* The key in the member "authenticationKey". */
static void open_blob(const char *body, uint8_t ret_key[32])
{
    static const char name[] = "\"authenticationKey\":\"";
    const char *at = strstr(body, name);
    uint8_t room[TPM_BLOB_MAX];
    struct buf blob = buf_over(room, sizeof(room));

    assert_non_null(at);
    at += strlen(name);
    assert_true(err_is_ok(base64_decode(span_of(at, strcspn(at, "\"")), &blob)));
    assert_int_equal(SOFT_TPM_LOADED, soft_tpm_load(&tpm, buf_span(&blob), ret_key));
}

static const char *token(const char *registration_id, const uint8_t key[32])
{
    static char text[512];
    char resource[128];
    struct buf out = buf_over(text, sizeof(text));

    (void)snprintf(resource, sizeof(resource), "%.*s/registrations/%s",
                   SPAN_FMT(w.instance.id_scope), registration_id);
    assert_true(err_is_ok(sas_make(w.crypto, span_str(resource), span_of(key, 32),
                                   SPAN("registration"), w.now_ms / 1000 + 3600, &out)));
    return buf_cstr(&out);
}

/* Reference dps-device-api.md 4.2. */
static void the_four_steps(void **state)
{
    char operation[128], target[512], headers[1024];
    uint8_t key[32], hub_key[32];
    struct device device;
    struct verdict v;
    struct wire_reply r;

    (void)state;
    enroll("pump-1");
    r = put("pump-1", "", "");
    assert_int_equal(r.status, 401);
    assert_int_equal(w.task_note.reason, REASON_TPM_CHALLENGED);
    assert_int_equal(0, strncmp(r.body, "{\"message\":\"", strlen("{\"message\":\"")));
    assert_has(&r, "\",\"keyName\":\"registration\",\"trackingId\":\"" WIRE_TRACKING_ID "\"}");
    assert_null(strstr(r.body, "\"status\""));
    assert_null(strstr(r.body, "errorCode"));
    assert_string_equal(wire_header(&r, "Content-Type"), "application/json; charset=utf-8");
    open_blob(r.body, key);

    r = put("pump-1", token("pump-1", key), "");
    assert_int_equal(r.status, 202);
    assert_int_equal(
        sscanf(r.body, "{\"operationId\":\"%64[^\"]\",\"status\":\"assigning\"}", operation), 1);
    assert_null(strstr(r.body, "authenticationKey"));

    (void)snprintf(target, sizeof(target), "/%.*s/registrations/pump-1/operations/%s" VERSION,
                   SPAN_FMT(w.instance.id_scope), operation);
    (void)snprintf(headers, sizeof(headers), "Authorization: %s\r\n", token("pump-1", key));
    r = wire_ask(&w, "GET", target, headers, "");
    assert_int_equal(r.status, 200);
    assert_has(&r, "\"status\":\"assigned\",\"registrationState\":{");
    assert_has(&r, "\"tpm\":{\"authenticationKey\":\"");
    open_blob(r.body, hub_key);
    assert_memory_not_equal(key, hub_key, 32);

    arena_reset(&w.arena);
    assert_true(
        err_is_ok(hub_device_get(&w.env, SPAN(WIRE_HUB_HOST), SPAN("pump-1"), &device, &v)));
    assert_true(verdict_is_granted(v));
    assert_int_equal(DEVICE_AUTH_SAS, device.auth);
    assert_true(span_eq(span_of(hub_key, 32), device.primary_key));
    assert_true(span_eq(span_of(hub_key, 32), device.secondary_key));

    r = wire_ask(&w, "GET", target, "", "");
    assert_int_equal(r.status, 401);
    assert_null(strstr(r.body, "authenticationKey"));
}

static void text_of(const struct crypto_cert *cert, char *text, size_t room)
{
    uint8_t der[2048];
    struct buf out = buf_over(der, sizeof(der));

    assert_true(err_is_ok(crypto_x509_encode(cert, &out)));
    base64(buf_span(&out), text, room);
}

/* Berth's own: doc/wire/tpm.md. */
static void a_group_by_the_makers_certificate(void **state)
{
    char cert[4096], more[5000], body[8192];
    uint8_t key[32];
    struct wire_reply r;

    (void)state;
    text_of(ca, cert, sizeof(cert));
    (void)snprintf(body, sizeof(body),
                   "{\"enrollmentGroupId\":\"maker\",\"attestation\":{\"type\":\"tpm\",\"tpm\":{"
                   "\"signingCertificates\":{\"primary\":{\"certificate\":\"%s\"}}}}}",
                   cert);
    r = service("PUT", "/enrollmentGroups/maker" SERVICE, body);
    assert_int_equal(r.status, 200);
    assert_has(&r, "\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"signingCertificates\":{"
                   "\"primary\":{\"info\":{\"subjectName\":\"CN=TPM maker\"");
    assert_null(strstr(r.body, "\"certificate\":"));

    r = put(id, "", "");
    assert_int_equal(r.status, 401);
    assert_int_equal(w.task_note.reason, REASON_ENDORSEMENT_CERTIFICATE_MISSING);
    r = put(id, "", ",\"endorsementCertificates\":[\"MIIB\"]");
    assert_int_equal(r.status, 401);
    assert_int_equal(w.task_note.reason, REASON_CERTIFICATE_UNREADABLE);
    r = put(id, "", ",\"endorsementCertificates\":{}");
    assert_int_equal(r.status, 400);
    assert_has(&r, "tpm.endorsementCertificates is not a list");
    text_of(ek_cert, cert, sizeof(cert));
    (void)snprintf(more, sizeof(more), ",\"endorsementCertificates\":[\"%s\"]", cert);
    r = put(id, "", more);
    assert_int_equal(r.status, 401);
    open_blob(r.body, key);
    r = put(id, token(id, key), more);
    assert_int_equal(r.status, 202);
    r = put(id, token(id, key), more);
    assert_int_equal(r.status, 401);
    assert_int_equal(w.task_note.reason, REASON_TPM_CHALLENGE_USED);
    assert_has(&r, "{\"errorCode\":401002,");
}

/* Reference dps-service-api.md 4.3: what was put comes back. */
static void an_enrollment_comes_back_as_it_went(void **state)
{
    char body[4096], expected[2048];
    struct wire_reply r;

    (void)state;
    (void)snprintf(expected, sizeof(expected),
                   "\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":\"%s\","
                   "\"storageRootKey\":\"%s\"}}",
                   ek, srk);
    (void)snprintf(body, sizeof(body), "{\"registrationId\":\"d\",%s}", expected);
    r = service("PUT", "/enrollments/d" SERVICE, body);
    assert_int_equal(r.status, 200);
    assert_has(&r, expected);
    r = service("GET", "/enrollments/d" SERVICE, "");
    assert_has(&r, expected);
    r = service("POST", "/enrollments/d/attestationmechanism" SERVICE, "");
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(expected, r.body));
    enroll("e");
    r = service("GET", "/enrollments/e" SERVICE, "");
    assert_null(strstr(r.body, "storageRootKey"));
}

static void enrollments_that_are_refused(void **state)
{
    static const struct {
        const char *target, *id, *tpm, *says;
    } cases[] = {
        { "/enrollments/d", "registrationId", "7", "attestation.tpm is missing" },
        { "/enrollments/d", "registrationId", "{}", "attestation.tpm.endorsementKey is missing" },
        { "/enrollments/d", "registrationId", "{\"endorsementKey\":\"\"}",
          "endorsementKey is missing" },
        { "/enrollments/d", "registrationId", "{\"endorsementKey\":1}",
          "attestation.tpm.endorsementKey is not text" },
        { "/enrollments/d", "registrationId", "{\"endorsementKey\":\"?\"}",
          "attestation.tpm.endorsementKey is not base64" },
        { "/enrollments/d", "registrationId", "{\"endorsementKey\":\"AAAA\"}",
          "attestation.tpm.endorsementKey: it is not a TPM2B_PUBLIC" },
        { "/enrollmentGroups/g", "enrollmentGroupId", "{\"endorsementKey\":\"AAAA\"}",
          "attestation.tpm of an enrollment group takes exactly one of signingCertificates" },
        { "/enrollmentGroups/g", "enrollmentGroupId",
          "{\"signingCertificates\":{\"primary\":{\"certificate\":\"!\"}}}",
          "attestation.tpm.signingCertificates.primary is not a readable" },
        { "/enrollmentGroups/g", "enrollmentGroupId", "{\"caReferences\":{\"primary\":\"none\"}}",
          "caReferences.primary" },
        { "/enrollmentGroups/g", "enrollmentGroupId", "{\"clientCertificates\":{}}",
          "takes exactly one of" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char body[1024], target[128];
        struct wire_reply r;

        (void)snprintf(target, sizeof(target), "%s" SERVICE, cases[i].target);
        (void)snprintf(body, sizeof(body),
                       "{\"%s\":\"%s\",\"attestation\":{\"type\":\"tpm\",\"tpm\":%s}}", cases[i].id,
                       strrchr(cases[i].target, '/') + 1, cases[i].tpm);
        r = service("PUT", target, body);
        assert_int_equal(r.status, 400);
        assert_has(&r, cases[i].says);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_four_steps, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_group_by_the_makers_certificate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_enrollment_comes_back_as_it_went, set_up, tear_down),
        cmocka_unit_test_setup_teardown(enrollments_that_are_refused, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
