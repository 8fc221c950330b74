/* core/core_tpm_test.c: registering by TPM: who is challenged, who may come back with what, and
 * which enrollment decides. The TPMs are tpm/soft_test.h's. */
#include "attest/sas.h"
#include "core/fixture.h"
#include "store/sealer_test.h"
#include "tpm/soft_test.h"
#include "util/base32.h"

static struct fixture f;
static struct crypto *full;
static struct soft_tpm tpm, other; /* made once: their keys take time */
static struct node maker, issuer;  /* a manufacturer's root and intermediate */
static const char *own_id;         /* of `tpm` */

#define MINUTE_MS 60000LL

static struct crypto_cert *certify(const struct crypto_key *key, const struct node *by,
                                   const char *key_usage, const char *extended_usage)
{
    struct crypto_cert_spec spec = { .common_name = "endorsement key",
                                     .not_before_ms = TEST_NOW - DAY_MS,
                                     .not_after_ms = TEST_NOW + DAY_MS,
                                     .path_len = -1,
                                     .key_usage = key_usage,
                                     .extended_usage = extended_usage };
    struct crypto_cert *cert;

    fixture_random(spec.serial, sizeof spec.serial);
    assert_ok(crypto_key_issue(f.crypto, &spec, key, by->cert, by->key, &cert));
    return cert;
}

static struct crypto_cert *ek_cert(const struct soft_tpm *t, const struct node *by)
{
    return certify(t->ek, by, "critical,keyEncipherment", "2.23.133.8.1");
}

static const char *id_of(const struct soft_tpm *t, char room[64])
{
    uint8_t digest[CRYPTO_SHA256_LEN];
    struct buf out = buf_over(room, 64);

    assert_ok(crypto_sha256(full, t->ek_public, digest));
    base32_encode_lower(span_of(digest, sizeof digest), &out);
    return buf_cstr(&out);
}

static int make_tpms(void **state)
{
    static char room[64];

    (void)state;
    assert_ok(crypto_new(CRYPTO_FULL, &full));
    soft_tpm_open(full, &tpm);
    soft_tpm_open(full, &other);
    own_id = id_of(&tpm, room);
    return 0;
}

static int free_tpms(void **state)
{
    (void)state;
    soft_tpm_close(&tpm);
    soft_tpm_close(&other);
    crypto_free(full);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    fixture_open(&f);
    f.env.random = fixture_random;
    maker = fixture_ca(&f, "TPM maker root", NULL);
    issuer = fixture_ca(&f, "TPM maker issuing", &maker);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_free(&issuer);
    fixture_free(&maker);
    fixture_close(&f);
    return 0;
}

static struct enrollment by_tpm(enum enrollment_kind kind, const char *id)
{
    struct enrollment e = fixture_enrollment(&f, kind, id, X509_SOURCE_NONE);

    e.attestation = ATTESTATION_TPM;
    return e;
}

static void enroll(const char *id, struct span ek, struct span srk)
{
    struct enrollment e = by_tpm(ENROLLMENT_INDIVIDUAL, id);

    e.endorsement_key = ek;
    e.storage_root_key = srk;
    assert_reason(GRANTED, fixture_put(&f, &e));
}

static void enroll_group(const char *id, const struct node *ca, enum provisioning_status status)
{
    struct enrollment e = by_tpm(ENROLLMENT_GROUP, id);

    e.x509_source = X509_SOURCE_SIGNING;
    e.x509_primary = fixture_der(&f, ca);
    e.provisioning_status = status;
    assert_reason(GRANTED, fixture_put(&f, &e));
}

static struct claim claim_of(const struct soft_tpm *t, const char *id, enum operation op)
{
    struct claim c = fixture_claim(&f, id, op, NULL, 0);

    c.transport = TRANSPORT_HTTP;
    c.tpm.endorsement_key = t->ek_public;
    c.tpm.storage_root_key = t->srk_public;
    return c;
}

static void sign(struct claim *c, const uint8_t key[32])
{
    struct span resource;
    struct buf out;

    assert_ok(arena_printf(&f.arena, &resource, "%.*s/registrations/%.*s", SPAN_FMT(f.scope),
                           SPAN_FMT(c->registration_id)));
    out = arena_buf(&f.arena);
    assert_ok(sas_make(f.crypto, resource, span_of(key, 32), SPAN("registration"),
                       f.env.now_ms / 1000 + 3600, &out));
    assert_ok(arena_buf_end(&f.arena, &out, &c->token));
}

static struct core_outcome ask(const struct claim *c)
{
    struct core_outcome outcome = fixture_ask(&f, c);

    assert_int_equal(outcome.verdict.reason == REASON_TPM_CHALLENGED,
                     !span_is_absent(outcome.challenge));
    return outcome;
}

/* The first request: the key that `t` finds in its answer. */
static void challenge(const struct soft_tpm *t, struct claim *c, uint8_t ret_key[32])
{
    struct core_outcome outcome;

    c->token = SPAN_NONE;
    outcome = ask(c);
    assert_reason(TPM_CHALLENGED, outcome.verdict);
    assert_int_equal(SOFT_TPM_LOADED, soft_tpm_load(t, outcome.challenge, ret_key));
    assert_span("tpm-challenged", fixture_decision(&f).reason);
}

/* Both requests. */
static struct core_outcome register_tpm(const struct soft_tpm *t, struct claim *c)
{
    uint8_t key[32];

    challenge(t, c, key);
    sign(c, key);
    return ask(c);
}

/* ---- the whole way ---- */

static void an_enrolled_tpm_registers(void **state)
{
    struct claim c = claim_of(&tpm, "Pump-1", OPERATION_REGISTER);
    uint8_t key[32], hub_key[32];
    struct core_outcome outcome;
    struct registration r;

    (void)state;
    enroll("pump-1", tpm.ek_public, SPAN_NONE);
    challenge(&tpm, &c, key);
    sign(&c, key);
    outcome = ask(&c);
    assert_reason(GRANTED, outcome.verdict);
    r = outcome.registration;
    assert_int_equal(REGISTRATION_ASSIGNED, r.status);
    assert_int_equal(ATTESTATION_TPM, r.attestation);
    assert_int_equal(CRYPTO_SHA256_LEN, r.evidence_sha256.len);

    /* The hub's key is another, and the TPM has it too. */
    assert_int_equal(SOFT_TPM_LOADED, soft_tpm_load(&tpm, r.authentication_key, hub_key));
    assert_memory_not_equal(key, hub_key, sizeof key);
    assert_int_equal(DEVICE_AUTH_SAS, fixture_placed.auth);
    assert_true(span_is_absent(fixture_placed.primary_thumbprint));
    assert_true(fixture_has(fixture_decision(&f).certificate, "\"endorsementKeySha256\":"));
    assert_null(memmem(fixture_decision(&f).certificate.data, fixture_decision(&f).certificate.len,
                       "chain", 5));

    c.operation = OPERATION_STATUS;
    c.tpm = (struct claim_tpm){ 0 };
    c.operation_id = r.operation_id;
    outcome = ask(&c);
    assert_reason(GRANTED, outcome.verdict);
    assert_true(span_eq(r.authentication_key, outcome.registration.authentication_key));
}

/* The keys that were placed on the hub: they are gone with the request, so they are kept here. */
static uint8_t placed_keys[SLOTS][32];

static err keep_placed(const struct env *env, struct store_tx *tx, const struct placement *p,
                       struct placed *ret_placed)
{
    assert_int_equal(32, p->primary_key.len);
    assert_int_equal(32, p->secondary_key.len);
    memcpy(placed_keys[0], p->primary_key.data, 32);
    memcpy(placed_keys[1], p->secondary_key.data, 32);
    return fixture_place(env, tx, p, ret_placed);
}

static const struct placer keeper = { .place = keep_placed };
static const struct core_tools keeping = { .hubs = &keeper };

static void the_hub_gets_the_key_that_the_tpm_gets(void **state)
{
    struct claim c = claim_of(&tpm, "pump", OPERATION_REGISTER);
    uint8_t key[32], hub_key[32], first[32] = { 0 };
    struct core_outcome outcome;

    (void)state;
    enroll("pump", tpm.ek_public, tpm.srk_public);
    for (int i = 0; i < 2; i++) {
        challenge(&tpm, &c, key);
        sign(&c, key);
        fixture_next(&f);
        assert_ok(core_register(&f.env, &c, &keeping, &outcome));
        assert_reason(GRANTED, outcome.verdict);
        assert_int_equal(SOFT_TPM_LOADED,
                         soft_tpm_load(&tpm, outcome.registration.authentication_key, hub_key));
        assert_memory_equal(hub_key, placed_keys[SLOT_PRIMARY], 32);
        assert_memory_equal(hub_key, placed_keys[SLOT_SECONDARY], 32);
        assert_memory_not_equal(first, hub_key, 32); /* fresh each time */
        memcpy(first, hub_key, 32);
    }
}

/* ---- refusals ---- */

static void who_is_not_challenged(void **state)
{
    struct claim c = claim_of(&tpm, "pump", OPERATION_REGISTER);
    struct claim wrong;

    (void)state;
    enroll("pump", tpm.ek_public, tpm.srk_public);
    wrong = claim_of(&other, "pump", OPERATION_REGISTER);
    assert_reason(ENDORSEMENT_KEY_MISMATCH, ask(&wrong).verdict);
    assert_span("endorsement-key-mismatch", fixture_decision(&f).reason);
    wrong = c;
    wrong.tpm.storage_root_key = other.srk_public;
    assert_reason(STORAGE_ROOT_KEY_MISMATCH, ask(&wrong).verdict);
    wrong.tpm.storage_root_key = SPAN_NONE;
    assert_reason(TPM_KEY_MALFORMED, ask(&wrong).verdict);
    assert_true(fixture_has(ask(&wrong).verdict.detail, "storageRootKey: it is missing"));
    wrong.tpm.storage_root_key = c.tpm.endorsement_key;
    assert_reason(TPM_KEY_MALFORMED, ask(&wrong).verdict);
    wrong.tpm = (struct claim_tpm){ .endorsement_key = SPAN("no key") };
    assert_reason(TPM_KEY_MALFORMED, ask(&wrong).verdict);
    assert_true(fixture_has(fixture_decision(&f).certificate, "endorsementKeySha256"));
    wrong = c;
    wrong.id_scope = SPAN("0ne00000002");
    assert_reason(SCOPE_UNKNOWN, ask(&wrong).verdict);
    wrong = c;
    wrong.registration_id = SPAN("pump-2");
    assert_reason(ENDORSEMENT_CERTIFICATE_MISSING, ask(&wrong).verdict);
    assert_reason(TPM_CHALLENGED, ask(&c).verdict);
}

static void an_srk_that_is_not_enrolled_may_change(void **state)
{
    struct claim c = claim_of(&tpm, "pump", OPERATION_REGISTER);
    struct soft_tpm cleared = tpm;

    (void)state;
    enroll("pump", tpm.ek_public, SPAN_NONE);
    assert_reason(GRANTED, register_tpm(&tpm, &c).verdict);
    cleared.srk = other.srk;
    cleared.srk_public = other.srk_public;
    c.tpm.storage_root_key = other.srk_public;
    assert_reason(TPM_CHALLENGE_MISSING, ask(&c).verdict); /* that token is of the other pair */
    assert_reason(GRANTED, register_tpm(&cleared, &c).verdict);
}

static void what_a_token_must_be_signed_by(void **state)
{
    struct claim c = claim_of(&tpm, "pump", OPERATION_REGISTER);
    uint8_t key[32], guess[32] = { 1 };

    (void)state;
    enroll("pump", tpm.ek_public, SPAN_NONE);
    sign(&c, guess);
    assert_reason(TPM_CHALLENGE_MISSING, ask(&c).verdict);
    challenge(&tpm, &c, key);
    sign(&c, guess);
    assert_reason(TPM_KEY_UNPROVEN, ask(&c).verdict);
    sign(&c, key);
    f.env.now_ms += 2 * 3600 * 1000;
    assert_reason(TOKEN_EXPIRED, ask(&c).verdict);
    f.env.now_ms = TEST_NOW;
    c.token = SPAN("SharedAccessSignature sr=x");
    assert_reason(TOKEN_MALFORMED, ask(&c).verdict);
    sign(&c, key);
    assert_reason(GRANTED, ask(&c).verdict); /* none of these cost it its challenge */
}

static void a_key_registers_once(void **state)
{
    struct claim c = claim_of(&tpm, "pump", OPERATION_REGISTER);
    struct claim again;
    uint8_t key[32], next[32];

    (void)state;
    enroll("pump", tpm.ek_public, SPAN_NONE);
    challenge(&tpm, &c, key);
    sign(&c, key);
    again = c;
    assert_reason(GRANTED, ask(&c).verdict);
    assert_reason(TPM_CHALLENGE_USED, ask(&again).verdict);
    assert_span("tpm-challenge-used", fixture_decision(&f).reason);
    /* Also once there is another one … */
    challenge(&tpm, &c, next);
    assert_memory_not_equal(key, next, 32);
    assert_reason(TPM_CHALLENGE_USED, ask(&again).verdict);
    /* … and for another ID. */
    enroll("pump-2", tpm.ek_public, SPAN_NONE);
    again.registration_id = SPAN("pump-2");
    sign(&again, key);
    assert_reason(TPM_CHALLENGE_MISSING, ask(&again).verdict);
    sign(&c, next);
    assert_reason(GRANTED, ask(&c).verdict);
}

static void a_challenge_that_is_open_is_wrapped_again(void **state)
{
    struct claim c = claim_of(&tpm, "pump", OPERATION_REGISTER);
    uint8_t key[32], again[32];

    (void)state;
    enroll("pump", tpm.ek_public, SPAN_NONE);
    challenge(&tpm, &c, key);
    f.env.now_ms += 9 * MINUTE_MS;
    challenge(&tpm, &c, again);
    assert_memory_equal(key, again, 32);
    f.env.now_ms += 9 * MINUTE_MS; /* from then on */
    sign(&c, key);
    assert_reason(GRANTED, ask(&c).verdict);
}

static void a_challenge_expires(void **state)
{
    struct claim c = claim_of(&tpm, "pump", OPERATION_REGISTER);
    uint8_t key[32], again[32];

    (void)state;
    enroll("pump", tpm.ek_public, SPAN_NONE);
    challenge(&tpm, &c, key);
    f.env.now_ms += LIMIT_TPM_CHALLENGE_MS + 1;
    sign(&c, key);
    assert_reason(TPM_CHALLENGE_EXPIRED, ask(&c).verdict);
    challenge(&tpm, &c, again);
    assert_memory_not_equal(key, again, 32);
    sign(&c, key);
    assert_reason(TPM_KEY_UNPROVEN, ask(&c).verdict);
    sign(&c, again);
    assert_reason(GRANTED, ask(&c).verdict);
}

static err count_challenges(struct store_tx *tx, void *arg)
{
    struct store_scan all = { .limit = 1 };

    return store_count(tx, &KIND_CHALLENGE, &all, arg);
}

static void old_challenges_are_dropped(void **state)
{
    struct claim c = claim_of(&tpm, "a", OPERATION_REGISTER);
    int64_t n;

    (void)state;
    for (char id[] = "a"; id[0] <= 'f'; id[0]++) {
        uint8_t key[32];

        enroll(id, tpm.ek_public, SPAN_NONE);
        c.registration_id = span_str(id);
        challenge(&tpm, &c, key);
    }
    assert_ok(store_read(f.store, count_challenges, &n));
    assert_int_equal(6, n);
    f.env.now_ms += 2 * LIMIT_TPM_CHALLENGE_MS + 1;
    c.registration_id = SPAN("b");
    c.token = SPAN_NONE;
    assert_reason(TPM_CHALLENGED, ask(&c).verdict);
    assert_ok(store_read(f.store, count_challenges, &n));
    assert_int_equal(1, n);
}

/* What is dropped is not opened: one row that cannot be keeps nobody from a challenge. */
static void an_old_challenge_that_does_not_open_is_dropped_too(void **state)
{
    struct sealer_keys keys = { .keys = { 1 } };
    const struct store_sealer sealer = sealer_over(&keys);
    struct claim c = claim_of(&tpm, "a", OPERATION_REGISTER);
    uint8_t key[32];
    int64_t n;

    (void)state;
    enroll("a", tpm.ek_public, SPAN_NONE);
    enroll("b", tpm.ek_public, SPAN_NONE);
    store_use_sealer(f.store, &sealer);
    challenge(&tpm, &c, key);
    keys.keys[0] = 2; /* and 1 is lost */
    f.env.now_ms += 2 * LIMIT_TPM_CHALLENGE_MS + 1;
    c.registration_id = SPAN("b");
    challenge(&tpm, &c, key);
    assert_ok(store_read(f.store, count_challenges, &n));
    assert_int_equal(1, n);
}

/* ---- polls and lookups ---- */

static void who_may_poll(void **state)
{
    struct claim c = claim_of(&tpm, "pump", OPERATION_REGISTER);
    struct claim poll = fixture_claim(&f, "pump", OPERATION_STATUS, NULL, 0);
    uint8_t key[32], next[32], guess[32] = { 1 };
    struct core_outcome outcome;

    (void)state;
    enroll("pump", tpm.ek_public, SPAN_NONE);
    challenge(&tpm, &c, key);
    sign(&c, key);
    outcome = ask(&c);
    poll.operation_id = outcome.registration.operation_id;
    poll.token = c.token;
    challenge(&tpm, &c, next); /* somebody else's question changes nothing */
    assert_reason(GRANTED, ask(&poll).verdict);
    sign(&poll, guess);
    assert_reason(TOKEN_BAD_SIGNATURE, ask(&poll).verdict); /* as for any other ID */
    assert_span("tpm-key-unproven", fixture_decision(&f).reason);
    poll.token = SPAN_NONE;
    assert_reason(CLIENT_CERTIFICATE_MISSING, ask(&poll).verdict);
    sign(&poll, key);
    poll.operation_id = SPAN("5.other");
    assert_reason(OPERATION_NOT_FOUND, ask(&poll).verdict);
    f.env.now_ms += LIMIT_TPM_CHALLENGE_MS + 1;
    assert_reason(TPM_CHALLENGE_EXPIRED, ask(&poll).verdict);
}

static void a_lookup_is_challenged_too(void **state)
{
    struct claim c = claim_of(&tpm, "pump", OPERATION_REGISTER);
    struct claim lookup = claim_of(&tpm, "pump", OPERATION_LOOKUP);
    struct core_outcome outcome;
    uint8_t key[32], hub_key[32];

    (void)state;
    enroll("pump", tpm.ek_public, SPAN_NONE);
    challenge(&tpm, &lookup, key);
    sign(&lookup, key);
    assert_reason(REGISTRATION_NOT_FOUND, ask(&lookup).verdict);
    sign(&c, key); /* looking is not using */
    assert_reason(GRANTED, ask(&c).verdict);
    outcome = ask(&lookup);
    assert_reason(GRANTED, outcome.verdict);
    assert_int_equal(SOFT_TPM_LOADED,
                     soft_tpm_load(&tpm, outcome.registration.authentication_key, hub_key));
}

/* ---- groups ---- */

static void a_group_admits_the_tpms_of_a_manufacturer(void **state)
{
    struct claim c = claim_of(&tpm, own_id, OPERATION_REGISTER);
    struct crypto_cert *sent[2] = { ek_cert(&tpm, &issuer), issuer.cert };
    struct core_outcome outcome;

    (void)state;
    enroll_group("acme", &maker, PROVISIONING_ENABLED);
    c.tpm.certificates = sent;
    c.tpm.n_certificates = 2;
    outcome = register_tpm(&tpm, &c);
    assert_reason(GRANTED, outcome.verdict);
    assert_span("acme", outcome.registration.enrollment);
    assert_span(own_id, outcome.registration.device_id);
    assert_true(fixture_has(fixture_decision(&f).certificate, "TPM maker issuing"));
    assert_true(fixture_has(fixture_decision(&f).considered, "TPM maker root"));

    c.tpm.n_certificates = 1; /* the way to the root is nowhere */
    c.token = SPAN_NONE;
    assert_reason(ISSUER_UNKNOWN, ask(&c).verdict);
    enroll_group("acme-issuing", &issuer, PROVISIONING_ENABLED);
    assert_reason(TPM_CHALLENGED, ask(&c).verdict);
    crypto_x509_free(sent[0]);
}

static void whom_a_group_refuses(void **state)
{
    struct node stranger = fixture_ca(&f, "another maker", NULL);
    struct node lookalike = fixture_ca(&f, "TPM maker issuing", NULL);
    struct crypto_cert *own = ek_cert(&tpm, &issuer), *others = ek_cert(&other, &issuer);
    struct crypto_cert *foreign = ek_cert(&tpm, &stranger), *forged = ek_cert(&tpm, &lookalike);
    struct crypto_cert *signing = certify(tpm.ek, &issuer, "critical,digitalSignature", NULL);
    struct crypto_cert *client = certify(tpm.ek, &issuer, NULL, "clientAuth");
    struct crypto_cert *plain = certify(tpm.ek, &issuer, NULL, NULL);
    const struct {
        const char *id;
        struct crypto_cert *cert;
        enum reason expected;
    } cases[] = {
        { own_id, NULL, REASON_ENDORSEMENT_CERTIFICATE_MISSING },
        { own_id, others, REASON_ENDORSEMENT_CERTIFICATE_MISMATCH },
        { own_id, foreign, REASON_ISSUER_UNKNOWN },
        { own_id, forged, REASON_CERTIFICATE_BAD_SIGNATURE },
        { own_id, signing, REASON_CERTIFICATE_WRONG_PURPOSE },
        { own_id, client, REASON_CERTIFICATE_WRONG_PURPOSE },
        { "my-own-name", own, REASON_TPM_REGISTRATION_ID_MISMATCH },
        { own_id, own, REASON_TPM_CHALLENGED },
        { own_id, plain, REASON_TPM_CHALLENGED },
    };

    (void)state;
    enroll_group("acme", &issuer, PROVISIONING_ENABLED);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct claim c = claim_of(&tpm, cases[i].id, OPERATION_REGISTER);
        struct core_outcome outcome;

        c.tpm.certificates = &cases[i].cert;
        c.tpm.n_certificates = cases[i].cert != NULL;
        outcome = ask(&c);
        if (outcome.verdict.reason != cases[i].expected) {
            fail_msg("case %zu: %s", i, reason_info(outcome.verdict.reason)->token);
        }
    }
    crypto_x509_free(own);
    crypto_x509_free(others);
    crypto_x509_free(foreign);
    crypto_x509_free(forged);
    crypto_x509_free(signing);
    crypto_x509_free(client);
    crypto_x509_free(plain);
    fixture_free(&lookalike);
    fixture_free(&stranger);
}

static void upper_case_is_another_name(void **state)
{
    struct crypto_cert *cert = ek_cert(&tpm, &issuer);
    struct claim c;
    char id[64] = { 0 };

    (void)state;
    for (size_t i = 0; own_id[i] != '\0'; i++) {
        id[i] = (char)(own_id[i] >= 'a' ? own_id[i] - 'a' + 'A' : own_id[i]);
    }
    enroll_group("acme", &issuer, PROVISIONING_ENABLED);
    c = claim_of(&tpm, id, OPERATION_REGISTER);
    c.tpm.certificates = &cert;
    c.tpm.n_certificates = 1;
    assert_reason(TPM_REGISTRATION_ID_MISMATCH, ask(&c).verdict);
    crypto_x509_free(cert);
}

/* Only who holds the TPM learns it; and the proof is spent. */
static void a_disabled_enrollment(void **state)
{
    struct crypto_cert *cert = ek_cert(&tpm, &issuer);
    struct claim c = claim_of(&tpm, own_id, OPERATION_REGISTER);
    struct core_outcome outcome;

    (void)state;
    enroll_group("acme", &issuer, PROVISIONING_DISABLED);
    c.tpm.certificates = &cert;
    c.tpm.n_certificates = 1;
    outcome = register_tpm(&tpm, &c);
    assert_reason(ENROLLMENT_DISABLED, outcome.verdict);
    assert_int_equal(REGISTRATION_DISABLED, outcome.registration.status);
    assert_true(span_is_absent(outcome.registration.authentication_key));
    assert_reason(TPM_CHALLENGE_USED, ask(&c).verdict);
    crypto_x509_free(cert);
}

/* A CA that a group trusts for TPMs vouches for nobody's client certificate, and the other way
 * round. */
static void tpms_and_client_certificates_are_kept_apart(void **state)
{
    struct node leaf = fixture_leaf(&f, "client", &issuer);
    struct crypto_cert *cert = ek_cert(&tpm, &issuer);
    struct claim x509 = fixture_claim(&f, "client", OPERATION_REGISTER, &leaf.cert, 1);
    struct claim c = claim_of(&tpm, own_id, OPERATION_REGISTER);
    struct enrollment e = by_tpm(ENROLLMENT_INDIVIDUAL, "client");

    (void)state;
    c.tpm.certificates = &cert;
    c.tpm.n_certificates = 1;
    enroll_group("tpms", &issuer, PROVISIONING_ENABLED);
    assert_reason(ISSUER_UNKNOWN, ask(&x509).verdict);
    assert_true(fixture_has(fixture_decision(&f).considered, "attestation-mismatch"));
    fixture_group(&f, "clients", &maker, PROVISIONING_ENABLED);
    x509.chain = (struct crypto_cert *[]){ leaf.cert, issuer.cert };
    x509.n_chain = 2;
    assert_reason(GRANTED, ask(&x509).verdict); /* the TPM group below is passed over */
    assert_reason(TPM_CHALLENGED, ask(&c).verdict);

    /* With both, the body says what is meant. */
    x509.tpm = c.tpm;
    x509.registration_id = c.registration_id;
    assert_reason(TPM_CHALLENGED, ask(&x509).verdict);

    e.endorsement_key = tpm.ek_public;
    assert_reason(GRANTED, fixture_put(&f, &e));
    x509.tpm = (struct claim_tpm){ 0 };
    x509.registration_id = SPAN("client");
    assert_reason(TPM_EVIDENCE_MISSING, ask(&x509).verdict);
    crypto_x509_free(cert);
    fixture_free(&leaf);
}

static void a_tpm_is_nothing_to_other_enrollments(void **state)
{
    struct claim c = claim_of(&tpm, "dev", OPERATION_REGISTER);
    struct enrollment e = fixture_enrollment(&f, ENROLLMENT_INDIVIDUAL, "dev", X509_SOURCE_SIGNING);

    (void)state;
    e.attestation = ATTESTATION_SYMMETRIC_KEY;
    e.x509_source = X509_SOURCE_NONE;
    assert_reason(GRANTED, fixture_put(&f, &e));
    assert_reason(ATTESTATION_MISMATCH, ask(&c).verdict);
    e = fixture_enrollment(&f, ENROLLMENT_INDIVIDUAL, "dev", X509_SOURCE_CLIENT);
    e.x509_primary = fixture_der(&f, &maker);
    assert_reason(GRANTED, fixture_put(&f, &e));
    assert_reason(ATTESTATION_MISMATCH, ask(&c).verdict);
}

/* ---- the operator ---- */

static void what_may_be_enrolled(void **state)
{
    struct enrollment e = by_tpm(ENROLLMENT_INDIVIDUAL, "pump");
    struct verdict v;

    (void)state;
    e.endorsement_key = tpm.srk_public;
    v = fixture_put(&f, &e);
    assert_reason(FIELD_INVALID, v);
    assert_true(fixture_has(v.detail, "endorsementKey: its attributes are not those of the TCG"));
    e.endorsement_key = tpm.ek_public;
    e.storage_root_key = SPAN("xx");
    v = fixture_put(&f, &e);
    assert_reason(FIELD_INVALID, v);
    assert_true(fixture_has(v.detail, "storageRootKey: it is not a TPM2B_PUBLIC"));
    e.storage_root_key = tpm.srk_public;
    assert_reason(GRANTED, fixture_put(&f, &e));
    e.x509_source = X509_SOURCE_SIGNING;
    assert_reason(FIELD_INVALID, fixture_put(&f, &e));

    e = by_tpm(ENROLLMENT_GROUP, "acme");
    e.x509_source = X509_SOURCE_CLIENT;
    assert_reason(FIELD_INVALID, fixture_put(&f, &e));
    e.x509_source = X509_SOURCE_SIGNING;
    assert_reason(FIELD_INVALID, fixture_put(&f, &e)); /* no certificate */
    e.x509_primary = fixture_der(&f, &maker);
    assert_reason(GRANTED, fixture_put(&f, &e));
    e.endorsement_key = tpm.ek_public;
    assert_reason(FIELD_INVALID, fixture_put(&f, &e));
    e = fixture_enrollment(&f, ENROLLMENT_GROUP, "x509-too", X509_SOURCE_SIGNING);
    e.x509_primary = fixture_der(&f, &maker);
    assert_reason(CERTIFICATE_IN_USE, fixture_put(&f, &e));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_enrolled_tpm_registers),
        CASE(the_hub_gets_the_key_that_the_tpm_gets),
        CASE(who_is_not_challenged),
        CASE(an_srk_that_is_not_enrolled_may_change),
        CASE(what_a_token_must_be_signed_by),
        CASE(a_key_registers_once),
        CASE(a_challenge_that_is_open_is_wrapped_again),
        CASE(a_challenge_expires),
        CASE(old_challenges_are_dropped),
        CASE(an_old_challenge_that_does_not_open_is_dropped_too),
        CASE(who_may_poll),
        CASE(a_lookup_is_challenged_too),
        CASE(a_group_admits_the_tpms_of_a_manufacturer),
        CASE(whom_a_group_refuses),
        CASE(upper_case_is_another_name),
        CASE(a_disabled_enrollment),
        CASE(tpms_and_client_certificates_are_kept_apart),
        CASE(a_tpm_is_nothing_to_other_enrollments),
        CASE(what_may_be_enrolled),
    };

    return cmocka_run_group_tests(tests, make_tpms, free_tpms);
}
