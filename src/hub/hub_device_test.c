/* hub/hub_device_test.c: hubs, what provisioning leaves on them, and who may connect. */
#include "hub/kit_test.h"

#include "attest/sas.h"
#include "crypto/key.h"
#include "hub/hub.h"
#include "hub/registry.h"
#include "hub/twin.h"
#include "model/limits.h"
#include "util/hex.h"

#define DAY_MS 86400000LL

static struct crypto *crypto;
static struct crypto_key *key;
static struct crypto_cert *leaf, *leaf2;

static void count_up(void *ret_bytes, size_t len)
{
    static uint8_t count;

    memset(ret_bytes, ++count, len);
}

static struct crypto_cert *make_leaf(uint8_t serial)
{
    struct crypto_cert_spec spec = { .common_name = "Dev-1",
                                     .not_before_ms = NOW_MS - 10 * DAY_MS,
                                     .not_after_ms = NOW_MS + 10 * DAY_MS,
                                     .path_len = -1,
                                     .serial = { 1, serial } };
    struct crypto_cert *cert = NULL;

    assert_ok(crypto_key_issue(crypto, &spec, key, NULL, key, &cert));
    return cert;
}

static int make_certs(void **state)
{
    (void)state;
    assert_ok(crypto_new(CRYPTO_SERVING, &crypto));
    assert_ok(crypto_key_generate(crypto, CRYPTO_KEY_EC_P256, &key));
    leaf = make_leaf(1);
    leaf2 = make_leaf(2);
    return 0;
}

static int free_certs(void **state)
{
    (void)state;
    crypto_x509_free(leaf);
    crypto_x509_free(leaf2);
    crypto_key_free(key);
    crypto_free(crypto);
    return 0;
}

static err create_hub(struct span name, struct span host_name, struct hub *ret_hub,
                      struct verdict *ret_verdict)
{
    const struct hub_order order = { .name = name, .host_name = host_name };

    return hub_create(&env, &order, ret_hub, ret_verdict);
}

static int setup(void **state)
{
    struct hub hub;
    struct verdict v;

    (void)state;
    kit_open();
    env = (struct env){ .store = store,
                        .crypto = crypto,
                        .arena = &arena,
                        .now_ms = NOW_MS,
                        .random = count_up,
                        .tracking_id = "00000000-0000-4000-8000-000000000001" };
    assert_ok(create_hub(SPAN("hub"), SPAN("HUB.example"), &hub, &v));
    assert_reason(GRANTED, v);
    assert_span("hub.example", hub.host_name);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    kit_close();
    return 0;
}

/* ---- hubs ---- */

struct policy_query {
    struct policy policy;
    bool is_found;
};

static err find_policy(struct store_tx *tx, void *arg)
{
    struct policy_query *q = arg;

    return store_find(tx, &KIND_POLICY, &q->policy, &arena, &q->policy, &q->is_found);
}

static void a_hub_and_its_policies(void **state)
{
    static const struct {
        const char *name;
        int64_t rights;
    } policies[] = {
        { "iothubowner", RIGHTS_HUB | RIGHT_DEVICE_CONNECT },
        { "service", RIGHT_SERVICE_CONNECT },
        { "device", RIGHT_DEVICE_CONNECT },
        { "registryRead", RIGHT_REGISTRY_READ },
        { "registryReadWrite", RIGHT_REGISTRY_READ | RIGHT_REGISTRY_WRITE },
    };
    struct hub hub, *rows;
    struct verdict v;
    bool is_found;
    size_t n;

    (void)state;
    assert_ok(create_hub(SPAN("x"), SPAN("Hub.Example"), &hub, &v));
    assert_reason(NAME_TAKEN, v);
    assert_ok(create_hub(SPAN("x"), SPAN("no host"), &hub, &v));
    assert_reason(FIELD_INVALID, v);
    assert_ok(create_hub(SPAN(""), SPAN("x.example"), &hub, &v));
    assert_reason(FIELD_INVALID, v);
    assert_ok(hub_find(&env, SPAN("HUB.EXAMPLE"), &hub, &is_found));
    assert_true(is_found);
    assert_span("hub", hub.name);
    assert_ok(hub_find(&env, SPAN_NONE, &hub, &is_found));
    assert_false(is_found);
    assert_ok(hub_list(&env, &rows, &n));
    assert_int_equal(n, 1);
    for (size_t i = 0; i < sizeof policies / sizeof *policies; i++) {
        struct policy_query q = { .policy = { .owner_type = POLICY_OF_HUB,
                                              .owner = HUB,
                                              .name = span_str(policies[i].name) } };

        assert_ok(store_read(store, find_policy, &q));
        assert_true(q.is_found);
        assert_int_equal(q.policy.rights, policies[i].rights);
        assert_int_equal(q.policy.primary_key.len, 32);
        assert_int_equal(q.policy.secondary_key.len, 32);
    }
}

/* ---- provisioning ---- */

static struct placed placed; /* by the latest placement */

static err place_it(struct store_tx *tx, void *arg)
{
    return hub_device_place(&env, tx, arg, &placed);
}

static struct placement placement(const char *device_id, const char *thumbprint)
{
    return (struct placement){ .hub = HUB,
                               .device_id = span_str(device_id),
                               .auth = DEVICE_AUTH_SELF_SIGNED,
                               .primary_thumbprint = span_str(thumbprint),
                               .secondary_thumbprint = span_str(thumbprint) };
}

static struct device get(const char *device_id)
{
    struct device d = { 0 };
    struct verdict v;

    assert_ok(hub_device_get(&env, HUB, span_str(device_id), &d, &v));
    assert_reason(GRANTED, v);
    return d;
}

/* An enrollment may say what no twin can hold: the device is none the worse for it. */
static void an_odd_initial_twin(void **state)
{
    struct placement p = placement("odd", "AA");
    AUTO(json) json *patch = NULL;
    struct hub_twin_change change = { .if_etag = -1 };
    struct device d;
    struct verdict v;

    (void)state;
    p.initial_twin = SPAN("{\"properties\":{\"desired\":{\"$lastUpdated\":1,\"$version\":4,\"a\":{"
                          "\"$lastUpdated\":2,\"b\":1}}}}");
    assert_ok(store_write(store, place_it, &p));
    assert_ok(json_parse(SPAN("{\"c\":1}"), LIMIT_JSON_DEPTH, &patch));
    change.desired = patch;
    assert_ok(hub_twin_change(&env, bus, HUB, SPAN("odd"), &change, &d, &v));
    assert_reason(GRANTED, v);
    assert_span("{\"a\":{\"b\":1},\"c\":1}", d.desired);
}

static void what_provisioning_leaves(void **state)
{
    struct placement p = placement("Dev-1", "AA");
    struct device first, d;
    struct verdict v;

    (void)state;
    p.initial_twin = SPAN("{\"properties\":{\"desired\":{\"a\":1.5}},\"tags\":{\"t\":\"x\"}}");
    p.iot_edge = 1;
    assert_ok(store_write(store, place_it, &p));
    assert_false(placed.ends_sessions);
    first = get("Dev-1");
    assert_int_equal(first.generation_id.len, 18);
    assert_true(span_starts_with(first.generation_id, SPAN("63885596800000")));
    assert_span("{\"t\":\"x\"}", first.tags);
    assert_span("{\"a\":1.5}", first.desired);
    assert_true(span_is_absent(first.reported));
    assert_int_equal(first.version, 2);
    assert_int_equal(first.desired_version, 1);
    assert_int_equal(first.status, DEVICE_ENABLED);
    assert_int_equal(first.iot_edge, 1);
    assert_span("AA", first.secondary_thumbprint);
    assert_ok(hub_device_get(&env, HUB, SPAN("dev-1"), &d, &v)); /* case matters */
    assert_reason(DEVICE_NOT_FOUND, v);

    /* The same again changes nothing, not even with another initial twin. */
    env.now_ms += 1000;
    p.initial_twin = SPAN("{\"tags\":{\"t\":\"y\"}}");
    assert_ok(store_write(store, place_it, &p));
    assert_false(placed.ends_sessions);
    d = get("Dev-1");
    assert_int_equal(d.etag, first.etag);
    assert_int_equal(d.updated_ms, first.updated_ms);
    assert_span("{\"t\":\"x\"}", d.tags);

    /* Another leaf. */
    p.primary_thumbprint = p.secondary_thumbprint = SPAN("BB");
    assert_ok(store_write(store, place_it, &p));
    assert_true(placed.ends_sessions);
    d = get("Dev-1");
    assert_span("BB", d.primary_thumbprint);
    assert_int_equal(d.etag, first.etag + 1);
    assert_int_equal(d.version, 2);
    assert_int_equal(d.updated_ms, NOW_MS + 1000);
    assert_int_equal(d.created_ms, NOW_MS);
    assert_true(span_eq(d.generation_id, first.generation_id));
    assert_span("{\"t\":\"x\"}", d.tags);

    /* A reset. */
    p.reset_twin = true;
    assert_ok(store_write(store, place_it, &p));
    assert_false(placed.ends_sessions);
    d = get("Dev-1");
    assert_span("{\"t\":\"y\"}", d.tags);
    assert_true(span_is_absent(d.desired));
    assert_int_equal(d.version, 3);
    assert_int_equal(d.desired_version, 2);
    assert_int_equal(d.etag, first.etag + 1);

    p.hub = SPAN("none.example");
    assert_true(err_is(store_write(store, place_it, &p), ERR_NOT_FOUND));
}

/* ---- enabling and disabling ---- */

static unsigned told;

static void hear(struct bus_member *m, unsigned signals)
{
    (void)m;
    told |= signals;
}

static struct verdict set_status(const char *device_id, enum device_status status, int64_t if_etag)
{
    struct registry_change c = { .mode = REGISTRY_UPDATE, .if_etag = if_etag };
    struct verdict v;

    assert_ok(hub_device_get(&env, HUB, span_str(device_id), &c.given, &v));
    c.given.hub = HUB;
    c.given.device_id = span_str(device_id);
    c.given.status = status;
    c.given.status_reason = SPAN("lost");
    assert_ok(hub_registry_run(&env, bus, &c, 1));
    return c.verdict;
}

static void disabling_cuts_off(void **state)
{
    struct bus_member member = { .hub = HUB, .client_id = SPAN("Dev-1"), .tell = hear };
    struct placement p = placement("Dev-1", "AA");
    struct device d;
    int64_t etag;

    (void)state;
    assert_ok(store_write(store, place_it, &p));
    bus_join(bus, &member);
    etag = get("Dev-1").etag;
    assert_reason(DEVICE_NOT_FOUND, set_status("x", DEVICE_DISABLED, -1));
    assert_reason(ETAG_MISMATCH, set_status("Dev-1", DEVICE_DISABLED, etag + 1));
    assert_reason(GRANTED, set_status("Dev-1", DEVICE_ENABLED, etag));
    assert_int_equal(get("Dev-1").status_updated_ms, 0);
    assert_int_equal(told, 0);
    assert_reason(ETAG_MISMATCH, set_status("Dev-1", DEVICE_DISABLED, etag));
    assert_reason(GRANTED, set_status("Dev-1", DEVICE_DISABLED, -1));
    assert_int_equal(told, BUS_CUT_OFF);
    d = get("Dev-1");
    assert_int_equal(d.status, DEVICE_DISABLED);
    assert_int_equal(d.status_updated_ms, NOW_MS);
    assert_span("lost", d.status_reason);
    /* Provisioning again does not enable it. */
    p.primary_thumbprint = SPAN("CC");
    assert_ok(store_write(store, place_it, &p));
    assert_int_equal(get("Dev-1").status, DEVICE_DISABLED);
    bus_leave(bus, &member);
}

/* ---- the door ---- */

static const char *thumbprint(const struct crypto_cert *cert, bool sha1)
{
    uint8_t digest[CRYPTO_SHA256_LEN];
    struct buf out = arena_buf(&arena);
    struct span text;

    if (sha1) {
        assert_ok(crypto_x509_sha1(cert, digest));
    } else {
        assert_ok(crypto_x509_sha256(cert, digest));
    }
    hex_encode_lower(span_of(digest, sha1 ? CRYPTO_SHA1_LEN : CRYPTO_SHA256_LEN), &out);
    assert_ok(arena_buf_end(&arena, &out, &text));
    return arena_cstr(&arena, text);
}

struct decision_query {
    struct decision_row row;
    bool is_found;
};

static err find_decision(struct store_tx *tx, void *arg)
{
    struct decision_query *q = arg;

    return store_find(tx, &KIND_DECISION, &q->row, &arena, &q->row, &q->is_found);
}

static err drop_decision(struct store_tx *tx, void *arg)
{
    struct decision_query *q = arg;

    return store_delete(tx, &KIND_DECISION, &q->row);
}

static void check_record(const char *device, enum reason expected)
{
    struct decision_query q = { .row = { .tracking_id = span_str(env.tracking_id) } };

    assert_ok(store_read(store, find_decision, &q));
    assert_int_equal(q.is_found, expected != REASON_GRANTED);
    if (q.is_found) {
        assert_span(reason_info(expected)->token, q.row.reason);
        assert_int_equal(q.row.operation, OPERATION_CONNECT);
        assert_span(device != NULL ? device : "", q.row.registration_id);
        assert_true(span_eq_nocase(q.row.registration_id, q.row.registration_key));
        assert_false(span_eq(q.row.registration_key, SPAN("Nobody"))); /* folded */
        assert_ok(store_write(store, drop_decision, &q));
    }
}

/* What a device may bring against the five identities there are. */
static void who_may_connect(void **state)
{
    const struct {
        const char *hub, *device, *client_id;
        struct crypto_cert *cert;
        bool has_password;
        int64_t at_ms;
        enum reason expected;
    } cases[] = {
        { "hub.example", "both", "both", leaf, false, NOW_MS, REASON_GRANTED },
        { "HUB.Example", "both", "both", leaf, true, NOW_MS, REASON_GRANTED },
        { "hub.example", "sha1", "sha1", leaf, false, NOW_MS, REASON_GRANTED },
        { "hub.example", "sha1", "sha1", leaf2, false, NOW_MS, REASON_GRANTED }, /* secondary */
        { "hub.example", "both", "both", leaf2, false, NOW_MS, REASON_THUMBPRINT_MISMATCH },
        { "hub.example", "none", "none", leaf, false, NOW_MS, REASON_THUMBPRINT_MISMATCH },
        { "hub.example", "both", "both", NULL, false, NOW_MS, REASON_CLIENT_CERTIFICATE_MISSING },
        { "hub.example", "both", "both", NULL, true, NOW_MS, REASON_DEVICE_CREDENTIAL_UNSUPPORTED },
        { "hub.example", "sas", "sas", leaf, false, NOW_MS, REASON_DEVICE_CREDENTIAL_UNSUPPORTED },
        { "hub.example", "both", "both", leaf, false, NOW_MS + 11 * DAY_MS,
          REASON_CERTIFICATE_EXPIRED },
        { "hub.example", "both", "both", leaf, false, NOW_MS - 11 * DAY_MS,
          REASON_CERTIFICATE_NOT_YET_VALID },
        { "hub.example", "off", "off", leaf, false, NOW_MS, REASON_DEVICE_DISABLED },
        /* That it is disabled is nothing for strangers. */
        { "hub.example", "off", "off", leaf2, false, NOW_MS, REASON_THUMBPRINT_MISMATCH },
        { "hub.example", "both", "BOTH", leaf, false, NOW_MS, REASON_CLIENT_ID_MISMATCH },
        { "hub.example", "Nobody", "Nobody", leaf, false, NOW_MS, REASON_DEVICE_NOT_FOUND },
        { "none.example", "both", "both", leaf, false, NOW_MS, REASON_HUB_UNKNOWN },
        { NULL, NULL, NULL, leaf, false, NOW_MS, REASON_HUB_UNKNOWN },
        { "hub.example", "both", "both", NULL, false, NOW_MS, REASON_CERTIFICATE_UNREADABLE },
    };
    struct placement devices[] = {
        placement("both", thumbprint(leaf, false)),
        placement("sha1", thumbprint(leaf, true)),
        placement("none", NULL),
        placement("sas", NULL),
        placement("off", thumbprint(leaf, false)),
    };

    (void)state;
    devices[1].secondary_thumbprint = span_str(thumbprint(leaf2, true));
    devices[3].auth = DEVICE_AUTH_SAS;
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
        assert_ok(store_write(store, place_it, &devices[i]));
    }
    assert_reason(GRANTED, set_status("off", DEVICE_DISABLED, -1));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct hub_login login = { .hub_host = span_str(cases[i].hub),
                                   .device_id = span_str(cases[i].device),
                                   .client_id = span_str(cases[i].client_id),
                                   .chain = &cases[i].cert,
                                   .n_chain = cases[i].cert != NULL,
                                   .is_chain_unreadable =
                                       cases[i].expected == REASON_CERTIFICATE_UNREADABLE,
                                   .token = cases[i].has_password ? SPAN("no token") : SPAN_NONE,
                                   .transport = TRANSPORT_MQTT,
                                   .peer = SPAN("192.0.2.1:40000") };
        struct hub_session session;
        struct verdict v;

        env.now_ms = cases[i].at_ms;
        assert_ok(hub_login(&env, &login, &session, &v));
        assert_string_equal(reason_info(cases[i].expected)->token, reason_info(v.reason)->token);
        check_record(cases[i].device, cases[i].expected);
        if (verdict_is_granted(v)) {
            assert_span(cases[i].device, session.device.device_id);
            assert_true(session.until_ms == INT64_MAX);
        }
    }
}

/* ---- tokens ---- */

static struct span token_by(const char *resource, struct span signing_key, const char *skn,
                            int64_t expiry_s)
{
    struct buf out = arena_buf(&arena);
    struct span text;

    assert_ok(sas_make(crypto, span_str(resource), signing_key, span_str(skn), expiry_s, &out));
    assert_ok(arena_buf_end(&arena, &out, &text));
    return text;
}

static struct span policy_key(const char *name)
{
    struct policy_query q = {
        .policy = { .owner_type = POLICY_OF_HUB, .owner = HUB, .name = span_str(name) }
    };

    assert_ok(store_read(store, find_policy, &q));
    assert_true(q.is_found);
    return q.policy.primary_key;
}

#define OWN "hub.example/devices/Sas"

static void who_may_connect_by_token(void **state)
{
    const struct span one = SPAN("one-one-one-one-one"), two = SPAN("two-two-two-two-two");
    const int64_t now_s = NOW_MS / 1000, later_s = now_s + 3600;
    const struct {
        const char *device;
        struct crypto_cert *cert;
        struct span token;
        enum reason expected;
    } cases[] = {
        { "Sas", NULL, token_by(OWN, one, NULL, later_s), REASON_GRANTED },
        { "Sas", NULL, token_by(OWN, two, "", later_s), REASON_GRANTED },
        { "Sas", leaf, token_by(OWN, two, NULL, later_s), REASON_GRANTED },
        { "Sas", NULL, token_by("HUB.EXAMPLE/devices/Sas", one, NULL, later_s), REASON_GRANTED },
        { "Sas", NULL, token_by("hub.example", one, NULL, later_s), REASON_GRANTED },
        { "Sas", NULL, token_by(OWN, one, NULL, now_s - 200), REASON_GRANTED }, /* skew */
        { "Sas", NULL, token_by(OWN, one, NULL, now_s - 301), REASON_TOKEN_EXPIRED },
        { "Sas", NULL, token_by(OWN, SPAN("three"), NULL, later_s), REASON_TOKEN_BAD_SIGNATURE },
        { "Sas", NULL, token_by("hub.example/devices/Sa", one, NULL, later_s), REASON_TOKEN_SCOPE },
        { "Sas", NULL, token_by("hub.example/devices/sas", one, NULL, later_s),
          REASON_TOKEN_SCOPE },
        { "Sas", NULL, token_by(OWN "/modules/m", one, NULL, later_s), REASON_TOKEN_SCOPE },
        { "Sas", NULL, token_by("other.example/devices/Sas", one, NULL, later_s),
          REASON_TOKEN_SCOPE },
        { "Sas", NULL, SPAN("SharedAccessSignature sr=x"), REASON_TOKEN_MALFORMED },
        { "Sas", NULL, SPAN_NONE, REASON_CLIENT_CERTIFICATE_MISSING },
        { "Sas", leaf, SPAN_NONE, REASON_DEVICE_CREDENTIAL_UNSUPPORTED },
        { "Sas", NULL, token_by("hub.example", policy_key("device"), "device", later_s),
          REASON_GRANTED },
        { "Sas", NULL, token_by(OWN, policy_key("iothubowner"), "iothubowner", later_s),
          REASON_GRANTED },
        { "Sas", NULL, token_by("hub.example", policy_key("service"), "service", later_s),
          REASON_RIGHT_MISSING },
        { "Sas", NULL, token_by(OWN, one, "device", later_s), REASON_TOKEN_BAD_SIGNATURE },
        { "Sas", NULL, token_by(OWN, one, "nobody", later_s), REASON_TOKEN_POLICY_UNKNOWN },
        { "cert", NULL, token_by("hub.example", policy_key("device"), "device", later_s),
          REASON_GRANTED },
        { "cert", NULL, token_by("hub.example/devices/cert", one, NULL, later_s),
          REASON_DEVICE_CREDENTIAL_UNSUPPORTED },
        { "off", NULL, token_by("hub.example/devices/off", one, NULL, later_s),
          REASON_DEVICE_DISABLED },
        { "off", NULL, token_by("hub.example/devices/off", SPAN("three"), NULL, later_s),
          REASON_TOKEN_BAD_SIGNATURE },
    };
    struct placement devices[] = { placement("Sas", NULL), placement("off", NULL),
                                   placement("cert", thumbprint(leaf, false)) };

    (void)state;
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
        if (i < 2) {
            devices[i].auth = DEVICE_AUTH_SAS;
            devices[i].primary_key = one;
            devices[i].secondary_key = two;
        }
        assert_ok(store_write(store, place_it, &devices[i]));
    }
    assert_reason(GRANTED, set_status("off", DEVICE_DISABLED, -1));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct hub_login login = { .hub_host = SPAN("hub.example"),
                                   .device_id = span_str(cases[i].device),
                                   .client_id = span_str(cases[i].device),
                                   .chain = &cases[i].cert,
                                   .n_chain = cases[i].cert != NULL,
                                   .token = cases[i].token,
                                   .transport = TRANSPORT_MQTT,
                                   .peer = SPAN("192.0.2.1:40000") };
        struct hub_session session;
        struct verdict v;

        env.now_ms = NOW_MS;
        assert_ok(hub_login(&env, &login, &session, &v));
        assert_string_equal(reason_info(cases[i].expected)->token, reason_info(v.reason)->token);
        check_record(cases[i].device, cases[i].expected);
        if (verdict_is_granted(v)) {
            assert_true(session.until_ms == later_s * 1000 ||
                        session.until_ms == (now_s + 100) * 1000);
        }
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_hub_and_its_policies), CASE(what_provisioning_leaves),
        CASE(an_odd_initial_twin),    CASE(disabling_cuts_off),
        CASE(who_may_connect),        CASE(who_may_connect_by_token),
    };

    return cmocka_run_group_tests(tests, make_certs, free_certs);
}
