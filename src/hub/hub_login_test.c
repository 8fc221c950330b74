/* hub/hub_login_test.c: modules at the door, certificates under the hub's CAs, what a connection
 * names as its model, and what becomes of earlier connections' subscriptions. */
#include "hub/kit_test.h"

#include "attest/sas.h"
#include "crypto/cert_cache.h"
#include "crypto/key.h"
#include "hub/hub.h"
#include "hub/identity.h"
#include "model/limits.h"

#define DAY_MS 86400000LL

static const struct span one = SPAN_INIT("one-one-one-one-one"),
                         two = SPAN_INIT("two-two-two-two-two");
static struct crypto *crypto;
static struct crypto_cert_cache *certs;
static struct crypto_key *keys[3]; /* root, intermediate, leaf */
static struct crypto_cert *root, *middle, *other_root;

static struct crypto_cert *issue(const char *name, bool is_ca, const struct crypto_key *subject,
                                 const struct crypto_cert *issuer, const struct crypto_key *by,
                                 int64_t not_after_ms)
{
    static uint8_t serial;
    struct crypto_cert_spec spec = { .common_name = name,
                                     .not_before_ms = NOW_MS - 10 * DAY_MS,
                                     .not_after_ms = not_after_ms,
                                     .is_ca = is_ca,
                                     .path_len = -1,
                                     .key_usage = is_ca ? "critical,keyCertSign,cRLSign" : NULL,
                                     .extended_usage = is_ca ? NULL : "clientAuth",
                                     .serial = { 1, ++serial } };
    struct crypto_cert *cert = NULL;

    assert_ok(crypto_key_issue(crypto, &spec, subject, issuer, by, &cert));
    return cert;
}

static int make_certs(void **state)
{
    (void)state;
    assert_ok(crypto_new(CRYPTO_SERVING, &crypto));
    assert_ok(crypto_cert_cache_new(crypto, 64, &certs));
    for (size_t i = 0; i < 3; i++) {
        assert_ok(crypto_key_generate(crypto, CRYPTO_KEY_EC_P256, &keys[i]));
    }
    root = issue("root", true, keys[0], NULL, keys[0], NOW_MS + 90 * DAY_MS);
    other_root = issue("root", true, keys[2], NULL, keys[2], NOW_MS + 90 * DAY_MS);
    middle = issue("middle", true, keys[1], root, keys[0], NOW_MS + 90 * DAY_MS);
    return 0;
}

static int free_certs(void **state)
{
    (void)state;
    crypto_x509_free(root);
    crypto_x509_free(other_root);
    crypto_x509_free(middle);
    for (size_t i = 0; i < 3; i++) {
        crypto_key_free(keys[i]);
    }
    crypto_cert_cache_free(certs);
    crypto_free(crypto);
    return 0;
}

static void put_identity(const char *client_id, enum device_auth auth, enum device_status status)
{
    struct device d = { .hub = HUB,
                        .device_id = span_str(client_id),
                        .generation_id = SPAN("1"),
                        .status = status,
                        .auth = auth,
                        .primary_key = auth == DEVICE_AUTH_SAS ? one : SPAN_NONE,
                        .secondary_key = auth == DEVICE_AUTH_SAS ? two : SPAN_NONE };

    kit_put(hub_identity_kind(d.device_id), &d);
}

static void put_ca(const char *name, const struct crypto_cert *cert, bool is_verified)
{
    uint8_t der[4096], sha256[CRYPTO_SHA256_LEN];
    struct buf out = buf_over(der, sizeof der);
    struct certificate row = {
        .id_scope = HUB, .name = span_str(name), .subject = SPAN("CN=x"), .is_verified = is_verified
    };

    assert_ok(crypto_x509_encode(cert, &out));
    assert_ok(crypto_x509_sha256(cert, sha256));
    row.der = buf_span(&out);
    row.sha256 = row.sha1 = span_of(sha256, sizeof sha256);
    kit_put(&KIND_CERTIFICATE, &row);
}

static int setup(void **state)
{
    struct hub hub = { .host_name = HUB, .name = SPAN("hub") };

    (void)state;
    kit_open();
    env = (struct env){ .store = store,
                        .crypto = crypto,
                        .certs = certs,
                        .arena = &arena,
                        .now_ms = NOW_MS,
                        .tracking_id = "00000000-0000-4000-8000-000000000001" };
    kit_put(&KIND_HUB, &hub);
    put_identity("d", DEVICE_AUTH_SAS, DEVICE_ENABLED);
    put_identity("d/m", DEVICE_AUTH_SAS, DEVICE_ENABLED);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    kit_close();
    return 0;
}

static struct span token_by(const char *resource, struct span key)
{
    struct buf out = arena_buf(&arena);
    struct span text;

    assert_ok(sas_make(crypto, span_str(resource), key, SPAN_NONE, NOW_MS / 1000 + 3600, &out));
    assert_ok(arena_buf_end(&arena, &out, &text));
    return text;
}

static struct hub_login login_of(const char *client_id)
{
    return (struct hub_login){ .hub_host = HUB,
                               .device_id = span_str(client_id),
                               .client_id = span_str(client_id),
                               .transport = TRANSPORT_MQTT,
                               .peer = SPAN("192.0.2.1:40000") };
}

static enum reason log_in(const struct hub_login *l, struct hub_session *ret_session)
{
    struct verdict v;

    assert_ok(hub_login(&env, l, ret_session, &v));
    return v.reason;
}

#define assert_login(expected, l, session)                                                         \
    assert_string_equal(reason_info(expected)->token, reason_info(log_in(l, session))->token)

/* ---- modules ---- */

static void modules_by_token(void **state)
{
    static const struct {
        const char *client_id, *resource;
        enum reason expected;
    } cases[] = {
        { "d/m", "hub.example/devices/d/modules/m", REASON_GRANTED },
        { "d/m", "HUB.example/devices/d/modules/m", REASON_GRANTED },
        { "d/m", "hub.example/devices/d", REASON_GRANTED },
        { "d/m", "hub.example/devices/d/modules", REASON_GRANTED },
        { "d/m", "hub.example", REASON_GRANTED },
        { "d/m", "hub.example/devices/d/modules/m2", REASON_TOKEN_SCOPE },
        { "d/m", "hub.example/devices/d/modules/M", REASON_TOKEN_SCOPE },
        { "d/m", "hub.example/devices/D/modules/m", REASON_TOKEN_SCOPE },
        { "d/m", "hub.example/devices/D", REASON_TOKEN_SCOPE },
        { "d/m", "hub.example/devices/d/modules/m/x", REASON_TOKEN_SCOPE },
        { "d", "hub.example/devices/d/modules/m", REASON_TOKEN_SCOPE },
        { "d/x", "hub.example/devices/d/modules/x", REASON_MODULE_NOT_FOUND },
        { "gone/m", "hub.example/devices/gone/modules/m", REASON_MODULE_NOT_FOUND },
        { "off/m", "hub.example/devices/off/modules/m", REASON_DEVICE_DISABLED },
        { "d/own", "hub.example/devices/d/modules/own", REASON_TOKEN_BAD_SIGNATURE },
    };
    struct device own = { .hub = HUB,
                          .device_id = SPAN("d/own"),
                          .generation_id = SPAN("1"),
                          .primary_key = SPAN("a key of the module alone") };
    struct hub_session session;

    (void)state;
    put_identity("off", DEVICE_AUTH_SAS, DEVICE_DISABLED);
    put_identity("off/m", DEVICE_AUTH_SAS, DEVICE_ENABLED);
    put_identity("gone/m", DEVICE_AUTH_SAS, DEVICE_ENABLED);
    kit_put(&KIND_MODULE, &own); /* a token of its device's keys does not open it */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct hub_login l = login_of(cases[i].client_id);

        l.token = token_by(cases[i].resource, i % 2 == 0 ? one : two);
        assert_login(cases[i].expected, &l, &session);
        if (cases[i].expected == REASON_GRANTED) {
            assert_span(cases[i].client_id, session.device.device_id);
            assert_int_equal(session.credential, HUB_BY_KEY);
        }
    }
}

static void tokens_that_are_switched_off(void **state)
{
    static const struct {
        const char *settings, *client_id;
        enum reason expected;
    } cases[] = {
        { "{\"properties\":{\"disableDeviceSAS\":true}}", "d", REASON_SAS_DISABLED },
        { "{\"properties\":{\"disableDeviceSAS\":true}}", "d/m", REASON_GRANTED },
        { "{\"properties\":{\"disableModuleSAS\":true}}", "d", REASON_GRANTED },
        { "{\"properties\":{\"disableModuleSAS\":true}}", "d/m", REASON_SAS_DISABLED },
        { "{}", "d", REASON_GRANTED },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct hub hub = { .host_name = HUB,
                           .name = SPAN("hub"),
                           .settings = span_str(cases[i].settings) };
        struct hub_login l = login_of(cases[i].client_id);
        struct hub_session session;

        kit_put(&KIND_HUB, &hub);
        l.token = token_by("hub.example", one);
        assert_login(cases[i].expected, &l, &session);
    }
}

/* ---- certificates under a CA of the hub's ---- */

enum ca { NO_CA, ROOT, MIDDLE, UNVERIFIED_ROOT, OTHER_ROOT, MANY };

static void put_cas(enum ca which)
{
    put_ca("r", which == OTHER_ROOT ? other_root : root,
           which != UNVERIFIED_ROOT && which != MIDDLE);
    if (which == MIDDLE) {
        put_ca("m", middle, true);
    }
    for (int i = 0; which == MANY && i < LIMIT_HUB_CERTIFICATES - 1; i++) {
        char name[] = { 'a', (char)('a' + i), '\0' };
        struct crypto_cert *alike = issue("root", true, keys[2], NULL, keys[2], NOW_MS + DAY_MS);

        put_ca(name, alike, true);
        crypto_x509_free(alike);
    }
}

static void by_certificate_authority(void **state)
{
    static const struct {
        const char *client_id, *common_name;
        enum ca ca;
        bool sends_middle, is_forged, is_expired;
        enum reason expected;
    } cases[] = {
        { "ca", "ca", ROOT, true, false, false, REASON_GRANTED },
        { "ca", "ca", MIDDLE, false, false, false, REASON_GRANTED }, /* the leaf alone */
        { "ca", "ca", MANY, true, false, false, REASON_GRANTED },
        { "ca/m", "ca/m", ROOT, true, false, false, REASON_GRANTED },
        { "ca/m", "ca", ROOT, true, false, false, REASON_IDENTITY_NAME_MISMATCH },
        { "ca", "CA", ROOT, true, false, false, REASON_IDENTITY_NAME_MISMATCH },
        { "ca", "ca2", ROOT, true, false, false, REASON_IDENTITY_NAME_MISMATCH },
        { "ca", "ca", ROOT, false, false, false, REASON_ISSUER_UNKNOWN }, /* nothing leads there */
        { "ca", "ca", NO_CA, true, false, false, REASON_ISSUER_UNKNOWN },
        { "ca", "ca", UNVERIFIED_ROOT, true, false, false, REASON_CA_NOT_VERIFIED },
        { "ca", "ca", OTHER_ROOT, true, false, false, REASON_ISSUER_UNKNOWN },
        { "ca", "ca", MIDDLE, false, true, false, REASON_ISSUER_UNKNOWN },
        { "ca", "ca", ROOT, true, false, true, REASON_CERTIFICATE_EXPIRED },
        { "caoff", "caoff", ROOT, true, false, false, REASON_DEVICE_DISABLED },
        { "caoff", "caoff", ROOT, false, false, false, REASON_ISSUER_UNKNOWN },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct crypto_cert *chain[2] = { NULL, middle };
        struct hub_login l = login_of(cases[i].client_id);
        struct hub_session session;
        void *unused = NULL;

        print_message("case %zu\n", i);
        (void)teardown(&unused);
        (void)setup(&unused);
        put_identity("ca", DEVICE_AUTH_CERTIFICATE_AUTHORITY, DEVICE_ENABLED);
        put_identity("ca/m", DEVICE_AUTH_CERTIFICATE_AUTHORITY, DEVICE_ENABLED);
        put_identity("caoff", DEVICE_AUTH_CERTIFICATE_AUTHORITY, DEVICE_DISABLED);
        if (cases[i].ca != NO_CA) {
            put_cas(cases[i].ca);
        }
        chain[0] =
            issue(cases[i].common_name, false, keys[2], middle, keys[cases[i].is_forged ? 2 : 1],
                  NOW_MS + (cases[i].is_expired ? -1 : 1) * DAY_MS);
        l.chain = chain;
        l.n_chain = cases[i].sends_middle ? 2 : 1;
        if (cases[i].is_forged) {
            enum reason got = log_in(&l, &session);

            assert_true(got == REASON_CERTIFICATE_BAD_SIGNATURE || got == REASON_ISSUER_UNKNOWN);
        } else {
            assert_login(cases[i].expected, &l, &session);
        }
        if (cases[i].expected == REASON_GRANTED) {
            assert_int_equal(session.credential, HUB_BY_CERTIFICATE);
            assert_true(session.until_ms == INT64_MAX);
        }
        crypto_x509_free(chain[0]);
    }
}

static void other_credentials_for_one_under_a_ca(void **state)
{
    struct hub_login l = login_of("ca");
    struct hub_session session;

    (void)state;
    put_identity("ca", DEVICE_AUTH_CERTIFICATE_AUTHORITY, DEVICE_ENABLED);
    assert_login(REASON_CLIENT_CERTIFICATE_MISSING, &l, &session);
    l.token = token_by("hub.example/devices/ca", one);
    assert_login(REASON_DEVICE_CREDENTIAL_UNSUPPORTED, &l, &session);
    l.is_chain_unreadable = true;
    assert_login(REASON_CERTIFICATE_UNREADABLE, &l, &session);
}

/* ---- the model ---- */

static err find_device(struct store_tx *tx, void *arg)
{
    bool is_found;

    TRY(hub_identity_find(tx, HUB, SPAN("d"), &arena, arg, &is_found));
    assert_true(is_found);
    return OK;
}

static void models(void **state)
{
    static const struct {
        const char *named;
        enum transport transport;
        const char *stored;
    } cases[] = {
        { "dtmi:a;1", TRANSPORT_MQTT, "dtmi:a;1" },
        { "dtmi:a;1", TRANSPORT_MQTT, "dtmi:a;1" },
        { "dtmi:b;1", TRANSPORT_MQTT, "dtmi:b;1" },
        { NULL, TRANSPORT_HTTP, "dtmi:b;1" },
        { NULL, TRANSPORT_MQTT, NULL },
    };
    struct store_stats before, after;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct hub_login l = login_of("d");
        struct hub_session session;
        struct device d;

        l.token = token_by("hub.example/devices/d", one);
        l.model_id = span_str(cases[i].named);
        l.transport = cases[i].transport;
        store_stats(store, &before);
        assert_login(REASON_GRANTED, &l, &session);
        store_stats(store, &after);
        assert_ok(store_read(store, find_device, &d));
        assert_true(span_eq(span_str(cases[i].stored), d.model_id));
        assert_true(span_eq(span_str(cases[i].stored), session.device.model_id));
        assert_int_equal(d.etag, 0);
        assert_true(span_eq(d.primary_key, one));
        assert_int_equal(after.writes - before.writes, i != 1 && i != 3); /* else nothing changed */
    }
}

/* ---- subscriptions of earlier connections ---- */

static void hear(struct bus_member *m, unsigned signals)
{
    (void)m;
    (void)signals;
}

static struct bus_member member(void)
{
    return (struct bus_member){ .hub = HUB, .client_id = SPAN("d"), .tell = hear };
}

static enum reason keep(const struct bus_member *m, const char *filters)
{
    struct session s = {
        .hub = HUB, .client_id = SPAN("d"), .generation_id = SPAN("1"), .filters = span_str(filters)
    };
    struct verdict v;

    assert_ok(hub_session_keep(&env, &s, bus, m, &v));
    return v.reason;
}

static struct span enter(const struct bus_member *m, bool clean)
{
    struct hub_login l = login_of("d");
    struct hub_session session;

    l.token = token_by("hub.example/devices/d", one);
    l.clean_session = clean;
    l.bus = bus;
    l.member = m;
    assert_login(REASON_GRANTED, &l, &session);
    return session.filters;
}

/* A SUBSCRIBE that a newer connection overtakes is not kept; one from before is what it gets. */
static void a_newer_connection_voids_what_is_under_way(void **state)
{
    struct bus_member older = member(), newer = member(), newest = member();

    (void)state;
    bus_join(bus, &older);
    assert_true(span_is_absent(enter(&older, false)));
    assert_int_equal(keep(&older, "a"), REASON_GRANTED);
    bus_join(bus, &newer);
    assert_int_equal(keep(&older, "b"), REASON_GRANTED); /* not let in yet */
    assert_span("b", enter(&newer, false));
    assert_int_equal(keep(&older, "c"), REASON_SESSION_TAKEN_OVER);
    assert_int_equal(keep(&newer, "d"), REASON_GRANTED);

    bus_join(bus, &newest);
    assert_true(span_is_absent(enter(&newest, true)));
    assert_int_equal(keep(&newer, "e"), REASON_SESSION_TAKEN_OVER);
    /* One that came earlier and is let in later does not void it. */
    assert_true(span_is_absent(enter(&older, false)));
    assert_int_equal(keep(&newest, "f"), REASON_GRANTED);
    bus_leave(bus, &older);
    bus_leave(bus, &newer);
    bus_leave(bus, &newest);
    bus_join(bus, &older);
    assert_span("f", enter(&older, false));
    bus_leave(bus, &older);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(modules_by_token),
        CASE(tokens_that_are_switched_off),
        CASE(by_certificate_authority),
        CASE(other_credentials_for_one_under_a_ca),
        CASE(models),
        CASE(a_newer_connection_voids_what_is_under_way),
    };

    return cmocka_run_group_tests(tests, make_certs, free_certs);
}
