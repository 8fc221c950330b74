/* api/manage_http_test.c: the management routes over the wire (doc/wire/manage.md): certificates
 * and the proof of their possession, hubs, decisions, explain. */
#include "api/decision_json.h"
#include "api/http_wire_test.h"
#include "store/decision.h"

static struct wire_reply ask(const char *method, const char *target, const char *headers,
                             const char *body)
{
    return wire_ask_as(&w, POLICY_OF_INSTANCE, method, target, headers, body);
}

/* PEM as JSON text, appended to `out`. */
static void add_pem(const struct crypto_cert *cert, struct buf *out)
{
    char pem[4096];
    struct buf text = buf_over(pem, sizeof(pem));

    assert_true(err_is_ok(crypto_x509_encode_pem(cert, &text)));
    for (size_t i = 0; i < text.len; i++) {
        buf_add_str(out, text.data[i] == '\n' ? "\\" : "");
        buf_add_u8(out, text.data[i] == '\n' ? 'n' : text.data[i]);
    }
}

static struct crypto_cert *issue(const char *common_name, struct crypto_key *key,
                                 const struct crypto_cert *issuer, struct crypto_key *issuer_key)
{
    struct crypto_cert_spec spec = { .common_name = common_name,
                                     .not_before_ms = w.now_ms - 86400000,
                                     .not_after_ms = w.now_ms + 86400000,
                                     .is_ca = issuer == NULL,
                                     .path_len = -1,
                                     .key_usage = issuer == NULL ? "critical,keyCertSign" : NULL };
    struct crypto_cert *cert = NULL;

    assert_true(err_is_ok(crypto_key_issue(w.crypto, &spec, key, issuer, issuer_key, &cert)));
    return cert;
}

static void test_life_of_a_certificate(void **state)
{
    AUTO(crypto_key) struct crypto_key *key = NULL;
    AUTO(crypto_cert) struct crypto_cert *ca = NULL;
    AUTO(crypto_cert) struct crypto_cert *proof = NULL;
    char body[8192], code[64], header[256], *at;
    struct buf out = buf_over(body, sizeof(body));
    struct wire_reply r;

    (void)state;
    assert_true(err_is_ok(crypto_key_generate(w.crypto, CRYPTO_KEY_EC_P256, &key)));
    ca = issue("my root", key, NULL, key);
    buf_add_str(&out, "{\"properties\":{\"certificate\":\"");
    add_pem(ca, &out);
    buf_add_str(&out, "\"}}");
    r = ask("PUT", "/berth/v1/certificates/my%2Dca", "", buf_cstr(&out));
    assert_int_equal(r.status, 200);
    assert_has(&r, "{\"name\":\"my-ca\",\"id\":\"/berth/v1/certificates/my-ca\",\"type\":"
                   "\"Microsoft.Devices/ProvisioningServices/Certificates\",\"etag\":\"");
    assert_has(&r, "\"properties\":{\"subject\":\"CN=my root\",\"expiry\":"
                   "\"Mon, 18 Mar 2030 17:46:40 GMT\",\"thumbprint\":\"");
    assert_has(&r, "\"isVerified\":false,\"certificate\":\"MII");
    assert_has(&r, "\"created\":\"Sun, 17 Mar 2030 17:46:40 GMT\",\"updated\":");
    assert_null(strstr(r.body, "verificationCode"));
    at = strstr(r.body, "\"etag\":\"") + strlen("\"etag\":\"");
    (void)snprintf(header, sizeof(header), "If-Match: \"%.*s\"\r\n", (int)strcspn(at, "\""), at);
    r = ask("PUT", "/berth/v1/certificates/my%2Dca", "", buf_cstr(&out));
    assert_int_equal(r.status, 409);
    r = ask("PUT", "/berth/v1/certificates/my%2Dca", header, buf_cstr(&out));
    assert_int_equal(r.status, 200);
    r = ask("GET", "/berth/v1/certificates", "", "");
    assert_has(&r, "{\"value\":[{\"name\":\"my-ca\",");
    r = ask("GET", "/berth/v1/certificates/my%2Dca", "", "");
    assert_int_equal(r.status, 200);

    r = ask("POST", "/berth/v1/certificates/my%2Dca/generateVerificationCode", "", "");
    assert_int_equal(r.status, 200);
    at = strstr(r.body, "\"verificationCode\":\"");
    assert_non_null(at);
    at += strlen("\"verificationCode\":\"");
    (void)snprintf(code, sizeof(code), "%.*s", (int)strcspn(at, "\""), at);
    assert_int_equal(strlen(code), 48);
    proof = issue(code, key, ca, key);
    out = buf_over(body, sizeof(body));
    buf_add_str(&out, "{\"certificate\":\"");
    add_pem(proof, &out);
    buf_add_str(&out, "\"}");
    r = ask("POST", "/berth/v1/certificates/my%2Dca/verify", "If-Match: \"old\"\r\n",
            buf_cstr(&out));
    assert_int_equal(r.status, 412);
    r = ask("POST", "/berth/v1/certificates/my%2Dca/verify", "If-Match: *\r\n", buf_cstr(&out));
    assert_int_equal(r.status, 200);
    assert_has(&r, "\"isVerified\":true");

    r = ask("DELETE", "/berth/v1/certificates/my%2Dca", "If-Match: \"old\"\r\n", "");
    assert_int_equal(r.status, 412);
    r = ask("DELETE", "/berth/v1/certificates/my%2Dca", "", "");
    assert_int_equal(r.status, 204);
    r = ask("GET", "/berth/v1/certificates/my%2Dca", "", "");
    assert_int_equal(r.status, 404);
    assert_has(&r, "\"httpStatusCode\":\"404\"");
    assert_has(&r, WIRE_TRACKING_ID);
}

static void test_uploads_that_are_refused(void **state)
{
    static const char *const bodies[] = {
        "",
        "{}",
        "{\"certificate\":7}",
        "{\"certificate\":\"\"}",
        "{\"certificate\":\"AAAA\"}",
        "{\"certificate\":\"AAAA\",\"isVerified\":\"yes\"}",
        "{\"properties\":{}}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct wire_reply r = ask("PUT", "/berth/v1/certificates/x", "", bodies[i]);

        assert_int_equal(r.status, 400);
        r = ask("POST", "/berth/v1/certificates/x/verify", "", bodies[i]);
        assert_true(r.status == 400 || r.status == 404);
    }
}

static void test_hubs(void **state)
{
    static const char *const wrong[] = {
        "{}",
        "{\"hostName\":\"no good\"}",
        "{\"hostName\":\"h.example\",\"link\":1}",
        "{\"hostName\":\"h.example\",\"allocationWeight\":0}",
        "{\"hostName\":\"h.example\",\"allocationWeight\":1001}",
    };
    struct wire_reply r = ask("GET", "/berth/v1/hubs", "", "");

    (void)state;
    assert_string_equal(r.body,
                        "{\"value\":[{\"name\":\"hub\",\"hostName\":\"hub.localhost\",\"created\":"
                        "\"2030-03-17T17:46:40.0000000Z\",\"state\":\"Active\",\"isOwn\":false,"
                        "\"isLinked\":true}]}");
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        r = ask("PUT", "/berth/v1/hubs/h2", "", wrong[i]);
        assert_int_equal(r.status, 400);
    }
    r = ask("PUT", "/berth/v1/hubs/h2", "",
            "{\"hostName\":\"H2.example\",\"allocationWeight\":10}");
    assert_int_equal(r.status, 200);
    assert_has(&r, "{\"name\":\"h2\",\"hostName\":\"h2.example\",");
    assert_has(&r, "\"isOwn\":true,\"isLinked\":true,\"connectionString\":\"HostName=h2.example;"
                   "SharedAccessKeyName=iothubowner;SharedAccessKey=");
    r = ask("PUT", "/berth/v1/hubs/h2", "", "{\"hostName\":\"h2.example\"}");
    assert_int_equal(r.status, 409);
    r = ask("PUT", "/berth/v1/hubs/h3", "", "{\"hostName\":\"h3.example\",\"link\":false}");
    assert_has(&r, "\"isLinked\":false,\"connectionString\"");
    r = ask("GET", "/berth/v1/instance", "", "");
    assert_has(&r, "{\"name\":\"h2.example\",\"isRemote\":false,\"allocationWeight\":10,");
    assert_null(strstr(r.body, "h3.example"));
    r = ask("GET", "/berth/v1/hubs", "", "");
    assert_null(strstr(r.body, "connectionString"));
}

static void put_decision(const char *tracking_id, struct span scope, const char *id,
                         enum operation operation, int64_t time_ms)
{
    struct decision d = {
        .tracking_id = span_str(tracking_id),
        .time_ms = time_ms,
        .id_scope = scope,
        .registration_key = span_str(id),
        .registration_id = span_str(id),
        .operation = operation,
        .transport = TRANSPORT_MQTT,
        .peer = SPAN("192.0.2.1:40000"),
        .reason = REASON_ISSUER_UNKNOWN,
        .considered = SPAN("[]"),
    };

    assert_true(err_is_ok(store_decision_write(w.service.store, &d)));
}

static err put_row(struct store_tx *tx, void *arg)
{
    return store_put(tx, &KIND_REGISTRATION, arg);
}

static void put_registration(const char *id, const char *device_id)
{
    struct registration r = { .id_scope = w.instance.id_scope,
                              .key = span_str(id),
                              .id = span_str(id),
                              .status = REGISTRATION_ASSIGNED,
                              .assigned_hub = SPAN(WIRE_HUB_HOST),
                              .device_id = span_str(device_id),
                              .operation_id = SPAN("op"),
                              .etag = SPAN("etag") };

    assert_true(err_is_ok(store_write(w.service.store, put_row, &r)));
}

static void test_decisions(void **state)
{
    static const char first[] = "aaaaaaaa-0000-4000-8000-000000000001";
    static const char second[] = "aaaaaaaa-0000-4000-8000-000000000002";
    static const char door[] = "aaaaaaaa-0000-4000-8000-000000000003";
    static const char foreign[] = "aaaaaaaa-0000-4000-8000-000000000004";
    static const char own_door[] = "aaaaaaaa-0000-4000-8000-000000000005";
    static const char other_hub[] = "aaaaaaaa-0000-4000-8000-000000000006";
    struct wire_reply r;
    char expected[512];

    (void)state;
    put_decision(first, w.instance.id_scope, "d1", OPERATION_REGISTER, w.now_ms - 2);
    put_decision(second, w.instance.id_scope, "d1", OPERATION_LOOKUP, w.now_ms - 1);
    put_decision(door, SPAN(WIRE_HUB_HOST), "dev", OPERATION_CONNECT, w.now_ms);
    put_decision(foreign, SPAN("0ne00000000"), "d1", OPERATION_REGISTER, w.now_ms);
    r = ask("GET", "/berth/v1/decisions/AAAAAAAA-0000-4000-8000-000000000001", "", "");
    assert_int_equal(r.status, 200);
    (void)snprintf(expected, sizeof(expected),
                   "{\"trackingId\":\"%s\",\"timeUtc\":\"2030-03-17T17:46:39.9980000Z\","
                   "\"operation\":\"register\",\"transport\":\"mqtt\",\"peer\":\"192.0.2.1:40000\","
                   "\"idScope\":\"%s\",\"registrationId\":\"d1\",\"outcome\":\"refused\","
                   "\"reason\":\"issuer-unknown\",\"errorCode\":401002,\"message\":\"",
                   first, (const char *)w.instance.id_scope.data);
    assert_int_equal(strncmp(r.body, expected, strlen(expected)), 0);
    assert_has(&r, "\"considered\":[]}");
    r = ask("GET", "/berth/v1/decisions/aaaaaaaa-0000-4000-8000-000000000003", "", "");
    assert_int_equal(r.status, 200);
    assert_has(&r, "\"operation\":\"connect\"");
    assert_has(&r, "\"hub\":\"hub.localhost\",\"deviceId\":\"dev\"");
    assert_null(strstr(r.body, "idScope"));
    r = ask("GET", "/berth/v1/decisions/aaaaaaaa-0000-4000-8000-000000000004", "", "");
    assert_int_equal(r.status, 404);

    r = ask("GET", "/berth/v1/decisions?registrationId=D1", "", "");
    assert_int_equal(r.status, 200);
    assert_true(strstr(r.body, second) < strstr(r.body, first));
    assert_null(strstr(r.body, foreign));
    assert_null(strstr(r.body, door));
    /* At the hub's door: under its own name, and under the one the registration gave it. */
    put_decision(own_door, SPAN(WIRE_HUB_HOST), "d1", OPERATION_CONNECT, w.now_ms - 1);
    put_decision(other_hub, SPAN("hub.elsewhere"), "d1", OPERATION_CONNECT, w.now_ms);
    put_registration("d1", "DEV");
    r = ask("GET", "/berth/v1/decisions?registrationId=D1", "", "");
    assert_null(strstr(r.body, other_hub));
    assert_true(strstr(r.body, door) < strstr(r.body, own_door));
    assert_true(strstr(r.body, own_door) < strstr(r.body, first));
    assert_true(strstr(r.body, second) < strstr(r.body, first));
    r = ask("GET", "/berth/v1/decisions?registrationId=D1&top=1", "", "");
    assert_has(&r, door);
    assert_null(strstr(r.body, own_door));
    r = ask("GET", "/berth/v1/decisions/aaaaaaaa-0000-4000-8000-000000000006", "", "");
    assert_int_equal(r.status, 404);
    r = ask("GET", "/berth/v1/decisions?registrationId=d1&top=1", "", "");
    assert_null(strstr(r.body, first));
    r = ask("GET", "/berth/v1/decisions?registrationId=none", "", "");
    assert_string_equal(r.body, "{\"value\":[]}");
    r = ask("GET", "/berth/v1/decisions", "", "");
    assert_int_equal(r.status, 400);
    r = ask("GET", "/berth/v1/decisions?registrationId=d1&top=101", "", "");
    assert_int_equal(r.status, 400);
}

static void test_explain(void **state)
{
    AUTO(crypto_key) struct crypto_key *key = NULL;
    AUTO(crypto_cert) struct crypto_cert *ca = NULL;
    AUTO(crypto_cert) struct crypto_cert *leaf = NULL;
    static char body[64 * 1024];
    struct buf out = buf_over(body, sizeof(body));
    struct wire_reply r;

    (void)state;
    assert_true(err_is_ok(crypto_key_generate(w.crypto, CRYPTO_KEY_EC_P256, &key)));
    ca = issue("root", key, NULL, key);
    leaf = issue("d1", key, ca, key);
    /* A bundle as openssl prints it, text around the blocks. */
    buf_add_str(&out, "{\"certificate\":\"subject=CN = d1\\n");
    add_pem(leaf, &out);
    buf_add_str(&out, "\\nsubject=CN = root\\n");
    add_pem(ca, &out);
    buf_add_str(&out, "# end\\n\"}");
    r = ask("POST", "/berth/v1/explain", "", buf_cstr(&out));
    assert_int_equal(r.status, 200);
    assert_null(strstr(r.body, "trackingId"));
    assert_has(&r, "\"operation\":\"register\"");
    assert_has(&r,
               "\"registrationId\":\"d1\",\"outcome\":\"refused\",\"reason\":\"issuer-unknown\"");
    assert_has(&r, "{\"chain\":[{\"subject\":\"CN=d1\",\"issuer\":\"CN=root\"");
    assert_has(&r, "{\"subject\":\"CN=root\",\"issuer\":\"CN=root\"");

    out = buf_over(body, sizeof(body));
    buf_add_str(&out, "{\"certificate\":\"");
    for (int i = 0; i <= LIMIT_CHAIN_CERTIFICATES; i++) {
        add_pem(leaf, &out);
    }
    buf_add_str(&out, "\"}");
    r = ask("POST", "/berth/v1/explain", "", buf_cstr(&out));
    assert_int_equal(r.status, 400);
    r = ask("POST", "/berth/v1/explain", "", "{\"certificate\":\"AAAA\"}");
    assert_int_equal(r.status, 400);
    assert_int_equal(w.task_note.reason, REASON_CERTIFICATE_INVALID);
    r = ask("POST", "/berth/v1/explain", "", "{}");
    assert_int_equal(r.status, 400);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, wire_set_up, wire_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_life_of_a_certificate),
        TEST(test_uploads_that_are_refused),
        TEST(test_hubs),
        TEST(test_decisions),
        TEST(test_explain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
