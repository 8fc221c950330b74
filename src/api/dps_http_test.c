/* api/dps_http_test.c: registering over HTTPS: the three operations, their headers and refusals. */
#include "api/http_wire_test.h"

#include "core/enrollment.h"

#define DAY_MS  (INT64_C(24) * 3600 * 1000)
#define VERSION "?api-version=2021-06-01"

static struct crypto_key *ca_key, *leaf_key;
static struct crypto_cert *ca, *leaf;

static struct crypto_cert *issue(const char *common_name, struct crypto_cert *issuer)
{
    struct crypto_cert_spec spec = { .common_name = common_name,
                                     .not_before_ms = w.now_ms - DAY_MS,
                                     .not_after_ms = w.now_ms + DAY_MS,
                                     .path_len = -1,
                                     .is_ca = issuer == NULL,
                                     .serial = { 1 } };
    struct crypto_cert *cert;

    spec.key_usage = spec.is_ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature";
    spec.extended_usage = spec.is_ca ? NULL : "clientAuth";
    assert_true(err_is_ok(
        crypto_key_issue(w.crypto, &spec, spec.is_ca ? ca_key : leaf_key, issuer, ca_key, &cert)));
    return cert;
}

static void put_group(enum provisioning_status status)
{
    struct core_enrollment_put how = { .match = { .is_given = status == PROVISIONING_DISABLED,
                                                  .is_any = true } };
    struct enrollment e = { .id_scope = w.instance.id_scope,
                            .kind = ENROLLMENT_GROUP,
                            .id = SPAN("group"),
                            .attestation = ATTESTATION_X509,
                            .x509_source = X509_SOURCE_SIGNING,
                            .provisioning_status = status,
                            .update_hub_assignment = 1,
                            .migrate_device_data = 1 };
    struct verdict v;
    struct buf der;

    arena_reset(&w.arena);
    der = arena_buf(&w.arena);
    assert_true(err_is_ok(crypto_x509_encode(ca, &der)));
    assert_true(err_is_ok(arena_buf_end(&w.arena, &der, &e.x509_primary)));
    assert_true(err_is_ok(core_enrollment_put(&w.env, &how, &e, &v)));
    assert_true(verdict_is_granted(v));
}

static int set_up(void **state)
{
    (void)state;
    wire_open(&w);
    assert_true(err_is_ok(crypto_key_generate(w.crypto, CRYPTO_KEY_EC_P256, &ca_key)));
    assert_true(err_is_ok(crypto_key_generate(w.crypto, CRYPTO_KEY_EC_P256, &leaf_key)));
    ca = issue("test CA", NULL);
    leaf = issue("dev1", ca);
    w.peer.chain = &leaf;
    w.peer.n_chain = 1;
    put_group(PROVISIONING_ENABLED);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    crypto_x509_free(leaf);
    crypto_x509_free(ca);
    crypto_key_free(leaf_key);
    crypto_key_free(ca_key);
    wire_close(&w);
    return 0;
}

/* "/{scope}/registrations" and the rest. */
static const char *target(const char *rest)
{
    static char text[512];

    (void)snprintf(text, sizeof(text), "/%.*s/registrations%s", SPAN_FMT(w.instance.id_scope),
                   rest);
    return text;
}

static struct wire_reply ask(const char *method, const char *rest, const char *body)
{
    return wire_ask(&w, method, target(rest), "Content-Type: application/json\r\n", body);
}

/* *ret_rest: the poll of the operation. */
static void register_device(char ret_rest[256])
{
    struct wire_reply r = ask("PUT", "/dev1/register" VERSION, "{\"registrationId\":\"dev1\"}");
    char id[128], location[256];

    assert_int_equal(r.status, 202);
    assert_int_equal(sscanf(r.body, "{\"operationId\":\"%64[^\"]\",\"status\":\"assigning\"}", id),
                     1);
    assert_null(strstr(r.body, "registrationState"));
    assert_string_equal(wire_header(&r, "Retry-After"), "1");
    assert_string_equal(wire_header(&r, "Content-Type"), "application/json; charset=utf-8");
    (void)snprintf(location, sizeof(location), "https://localhost:443%s", target("/dev1/register"));
    assert_string_equal(wire_header(&r, "Location"), location);
    assert_string_equal(w.task_note.surface, "dps-http");
    assert_string_equal(w.task_note.operation, "register");
    assert_int_equal(w.task_note.status, 202);
    (void)snprintf(ret_rest, 256, "/dev1/operations/%s" VERSION, id);
}

static void registers_polls_and_looks_up(void **state)
{
    struct wire_reply r = ask("POST", "/dev1" VERSION, "{\"registrationId\":\"dev1\"}");
    char poll[256];

    (void)state;
    assert_int_equal(r.status, 404); /* not yet */
    assert_string_equal(wire_header(&r, "x-ms-error-code"), "404201");
    register_device(poll);
    r = ask("GET", poll, "");
    assert_int_equal(r.status, 200);
    assert_has(&r, "\"status\":\"assigned\",\"registrationState\":{\"registrationId\":"
                   "\"dev1\"");
    assert_has(&r, "\"assignedHub\":\"" WIRE_HUB_HOST "\",\"deviceId\":\"dev1\"");
    assert_null(wire_header(&r, "Retry-After"));
    assert_null(wire_header(&r, "Location"));
    r = ask("POST", "/dev1" VERSION, "{\"registrationId\":\"dev1\"}");
    assert_int_equal(r.status, 200);
    assert_has(&r, "{\"registrationId\":\"dev1\",\"createdDateTimeUtc\":");
    assert_null(strstr(r.body, "operationId"));
    assert_null(strstr(r.body, "null"));
}

static void spellings_of_register(void **state)
{
    static const struct {
        const char *rest, *body;
    } cases[] = {
        { "/dev1/register" VERSION "&forceRegistration=true", "" },
        { "/dev1/register/" VERSION, " " },
        { "/DEV1/register" VERSION, "{}" },
        { "/dev%31/register" VERSION, "{\"payload\":null}" },
        { "/dev1/register?api-version=2026-11-02-preview", "{\"payload\":\"text\"}" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wire_reply r = ask("PUT", cases[i].rest, cases[i].body);

        assert_int_equal(r.status, 202);
        assert_has(&r, "\"status\":\"assigning\"}");
    }
}

struct refusal_case {
    const char *method, *rest, *body;
    int status;
    const char *code;
};

static const struct refusal_case refusal_cases[] = {
    { "PUT", "/dev1/register", "", 400, "400001" },
    { "PUT", "/dev1/register?api-version=latest", "", 400, "400001" },
    { "GET", "/dev1/operations/4.x", "", 400, "400001" },
    { "POST", "/dev1", "", 400, "400001" },
    { "PUT", "/dev1/register" VERSION, "{", 400, "400004" },
    { "PUT", "/dev1/register" VERSION, "[]", 400, "400004" },
    { "PUT", "/dev1/register" VERSION, "{\"registrationId\":\"dev2\"}", 400, "400004" },
    { "PUT", "/dev1/register" VERSION, "{\"csr\":\"MIIB\"}", 400, "400004" },
    { "POST", "/dev1" VERSION, "{\"csr\":\"MIIB\"}", 400, "400004" },
    { "PUT", "/dev2/register" VERSION, "", 401, "401002" },
    { "PUT", "/dev!/register" VERSION, "", 400, "400004" },
    { "GET", "/dev1/operations/4.x" VERSION, "", 404, "404203" },
    { "PUT", "/dev1/registers" VERSION, "", 404, "404001" },
    { "DELETE", "/dev1/register" VERSION, "", 405, "405001" },
};

static void refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refusal_cases) / sizeof(refusal_cases[0]); i++) {
        const struct refusal_case *t = &refusal_cases[i];
        struct wire_reply r = ask(t->method, t->rest, t->body);
        char head[64];

        (void)snprintf(head, sizeof(head), "{\"errorCode\":%s,\"trackingId\":\"", t->code);
        assert_int_equal(r.status, t->status);
        assert_string_equal(wire_header(&r, "x-ms-error-code"), t->code);
        assert_has(&r, head);
        assert_has(&r, wire_header(&r, "x-ms-request-id"));
        assert_int_equal(w.task_note.status, t->status);
    }
}

static void who_is_not_known(void **state)
{
    struct wire_reply r;

    (void)state;
    r = wire_ask(&w, "PUT", "/0ne99999999/registrations/dev1/register" VERSION, "", "");
    assert_int_equal(r.status, 401);
    assert_int_equal(w.task_note.reason, REASON_SCOPE_UNKNOWN);
    w.peer.n_chain = 0;
    r = ask("PUT", "/dev1/register" VERSION, "");
    assert_int_equal(r.status, 401);
    assert_string_equal(wire_header(&r, "x-ms-error-code"), "401002");
    assert_int_equal(w.task_note.reason, REASON_CLIENT_CERTIFICATE_MISSING);
    w.peer.has_unreadable_chain = true;
    r = ask("PUT", "/dev1/register" VERSION, "");
    assert_int_equal(r.status, 401);
    assert_int_equal(w.task_note.reason, REASON_CERTIFICATE_UNREADABLE);
}

static void body_limit(void **state)
{
    static char body[LIMIT_DPS_BODY + 2];
    struct wire_reply r;

    (void)state;
    memset(body, ' ', LIMIT_DPS_BODY);
    r = ask("PUT", "/dev1/register" VERSION, body);
    assert_int_equal(r.status, 202);
    body[LIMIT_DPS_BODY] = ' ';
    r = ask("PUT", "/dev1/register" VERSION, body);
    assert_int_equal(r.status, 413);
    assert_string_equal(wire_header(&r, "x-ms-error-code"), "413001");
}

static void disabled_enrollment(void **state)
{
    struct wire_reply r;

    (void)state;
    put_group(PROVISIONING_DISABLED);
    r = ask("PUT", "/dev1/register" VERSION, "");
    assert_int_equal(r.status, 200);
    assert_has(&r, "{\"operationId\":\"\",\"status\":\"disabled\",\"registrationState\":"
                   "{\"registrationId\":\"dev1\"");
    assert_null(wire_header(&r, "Location"));
    assert_null(wire_header(&r, "Retry-After"));
    assert_int_equal(w.task_note.reason, REASON_ENROLLMENT_DISABLED);
    r = ask("POST", "/dev1" VERSION, "");
    assert_int_equal(r.status, 200);
    assert_has(&r, "\"status\":\"disabled\"");
    assert_null(strstr(r.body, "assignedHub"));
}

/* Nothing is stored: the state is made up on the spot. */
static void never_registered_and_disabled(void **state)
{
    struct wire_reply r;

    (void)state;
    put_group(PROVISIONING_DISABLED);
    r = ask("POST", "/dev1" VERSION, "");
    assert_int_equal(r.status, 200);
    assert_has(&r, "{\"registrationId\":\"dev1\",\"createdDateTimeUtc\":\"2030-");
    assert_has(&r, "\"status\":\"disabled\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(registers_polls_and_looks_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(spellings_of_register, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refusals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_is_not_known, set_up, tear_down),
        cmocka_unit_test_setup_teardown(body_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(disabled_enrollment, set_up, tear_down),
        cmocka_unit_test_setup_teardown(never_registered_and_disabled, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
