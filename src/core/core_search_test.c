/* core/core_search_test.c: who may register, and why not. Each case is a chain that a device
 * shows and the enrollments there are. */
#include "core/certificate.h"
#include "core/fixture.h"

/* One world for all searches: root > sub > leaf, and what surrounds them. */
enum name {
    ROOT,
    SUB,       /* under ROOT */
    SUB2,      /* under SUB */
    LOOKALIKE, /* named as ROOT, another key */
    STRANGER,  /* unrelated root */
    TIGHT,     /* under ROOT, path length 0 */
    BELOW_TIGHT,
    OLD_SUB, /* under ROOT, expired */
    RSA_ROOT,
    LEAF_ROOT, /* "dev" directly under ROOT; the others by their issuers */
    LEAF_SUB,
    LEAF_SUB2,
    LEAF_LOOKALIKE,
    LEAF_STRANGER,
    LEAF_BELOW_TIGHT,
    LEAF_OLD_SUB,
    LEAF_RSA,
    LEAF_EXPIRED,
    LEAF_FUTURE,
    LEAF_SERVER,
    LEAF_UPPER, /* CN "DEV" */
    LEAF_OTHER, /* CN "other" */
    LEAF_SELF,
    LEAF_SELF2,
    N_NAMES,
    END = -1
};

static struct fixture f, maker;
static struct node world[N_NAMES];

static const struct {
    struct fixture_cert what;
    int issuer; /* END: self-signed */
} plan[N_NAMES] = {
    [ROOT] = { { .cn = "Root", .is_ca = true }, END },
    [SUB] = { { .cn = "Sub", .is_ca = true }, ROOT },
    [SUB2] = { { .cn = "Sub 2", .is_ca = true }, SUB },
    [LOOKALIKE] = { { .cn = "Root", .is_ca = true }, END },
    [STRANGER] = { { .cn = "Stranger", .is_ca = true }, END },
    [TIGHT] = { { .cn = "Tight", .is_ca = true, .path_len = 1 }, ROOT },
    [BELOW_TIGHT] = { { .cn = "Below Tight", .is_ca = true }, TIGHT },
    [OLD_SUB] = { { .cn = "Old Sub", .is_ca = true, .to_ms = TEST_NOW - DAY_MS }, ROOT },
    [RSA_ROOT] = { { .cn = "RSA Root", .is_ca = true, .key_type = CRYPTO_KEY_RSA_2048 }, END },
    [LEAF_ROOT] = { { .cn = "dev" }, ROOT },
    [LEAF_SUB] = { { .cn = "dev", .extended_usage = "clientAuth" }, SUB },
    [LEAF_SUB2] = { { .cn = "dev", .extended_usage = "clientAuth" }, SUB2 },
    [LEAF_LOOKALIKE] = { { .cn = "dev", .extended_usage = "clientAuth" }, LOOKALIKE },
    [LEAF_STRANGER] = { { .cn = "dev", .extended_usage = "clientAuth" }, STRANGER },
    [LEAF_BELOW_TIGHT] = { { .cn = "dev", .extended_usage = "clientAuth" }, BELOW_TIGHT },
    [LEAF_OLD_SUB] = { { .cn = "dev", .extended_usage = "clientAuth" }, OLD_SUB },
    [LEAF_RSA] = { { .cn = "dev", .key_type = CRYPTO_KEY_RSA_2048 }, RSA_ROOT },
    [LEAF_EXPIRED] = { { .cn = "dev", .to_ms = TEST_NOW - DAY_MS }, ROOT },
    [LEAF_FUTURE] = { { .cn = "dev", .from_ms = TEST_NOW + DAY_MS }, ROOT },
    [LEAF_SERVER] = { { .cn = "dev", .extended_usage = "serverAuth" }, ROOT },
    [LEAF_UPPER] = { { .cn = "DEV" }, ROOT },
    [LEAF_OTHER] = { { .cn = "other" }, ROOT },
    [LEAF_SELF] = { { .cn = "dev" }, END },
    [LEAF_SELF2] = { { .cn = "dev" }, END },
};

static int make_world(void **state)
{
    (void)state;
    fixture_open(&maker); /* outlives the certificates */
    for (size_t i = 0; i < N_NAMES; i++) {
        world[i] = fixture_node(&maker, &plan[i].what,
                                plan[i].issuer == END ? NULL : &world[plan[i].issuer]);
    }
    return 0;
}

static int free_world(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_NAMES; i++) {
        fixture_free(&world[i]);
    }
    fixture_close(&maker);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    fixture_open(&f);
    fixture_placements = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_close(&f);
    return 0;
}

/* ---- searches ---- */

enum enrolled {
    NOTHING,
    GROUP,
    GROUP_OFF,
    CA_GROUP,
    CA_GROUP_UNVERIFIED,
    UPLOAD,
    LEAF,
    LEAF_OFF,
    CA_LEAF,
    CA_LEAF_UNVERIFIED,
    CA_LEAF_MISSING
};

struct search_case {
    const char *label;
    enum reason expected;
    int chain[4];
    struct {
        enum enrolled how;
        int what;
    } enrolled[3];
    const char *decided_by; /* NULL: no enrollment */
};

#define CHAIN(...)                                                                                 \
    {                                                                                              \
        __VA_ARGS__, END                                                                           \
    }

/* clang-format off */
static const struct search_case searches[] = {
    /* groups by signing certificate */
    { "group", REASON_GRANTED, CHAIN(LEAF_ROOT), { { GROUP, ROOT } }, "Root" },
    { "RSA", REASON_GRANTED, CHAIN(LEAF_RSA), { { GROUP, RSA_ROOT } }, "RSA Root" },
    { "group of the intermediate", REASON_GRANTED, CHAIN(LEAF_SUB), { { GROUP, SUB } }, "Sub" },
    { "chain sent", REASON_GRANTED, CHAIN(LEAF_SUB2, SUB2, SUB), { { GROUP, ROOT } }, "Root" },
    { "chain sent out of order, with root", REASON_GRANTED, { LEAF_SUB2, ROOT, SUB, SUB2 }, { {
      GROUP, ROOT } }, "Root" },
    { "leaf alone, intermediates not stored", REASON_ISSUER_UNKNOWN, CHAIN(LEAF_SUB2), { { GROUP,
      ROOT } }, NULL },
    { "leaf alone, intermediates uploaded", REASON_GRANTED, CHAIN(LEAF_SUB2), { { UPLOAD, SUB2 },
      { UPLOAD, SUB }, { GROUP, ROOT } }, "Root" },
    { "one sent, one stored", REASON_GRANTED, CHAIN(LEAF_SUB2, SUB2), { { UPLOAD, SUB }, { GROUP,
      ROOT } }, "Root" },
    { "most specific group", REASON_GRANTED, CHAIN(LEAF_SUB, SUB), { { GROUP, ROOT }, { GROUP, SUB
      } }, "Sub" },
    { "nobody", REASON_ISSUER_UNKNOWN, CHAIN(LEAF_STRANGER), { { GROUP, ROOT } }, NULL },
    { "nothing enrolled", REASON_ISSUER_UNKNOWN, CHAIN(LEAF_ROOT), { { NOTHING, 0 } }, NULL },
    { "self-signed", REASON_ISSUER_UNKNOWN, CHAIN(LEAF_SELF), { { GROUP, ROOT } }, NULL },
    { "another root of that name", REASON_CERTIFICATE_BAD_SIGNATURE, CHAIN(LEAF_LOOKALIKE), { {
      GROUP, ROOT } }, NULL },
    { "and sends it", REASON_CERTIFICATE_BAD_SIGNATURE, CHAIN(LEAF_LOOKALIKE, LOOKALIKE), { {
      GROUP, ROOT } }, NULL },
    { "the genuine root beside it does not help", REASON_CERTIFICATE_BAD_SIGNATURE,
      CHAIN(LEAF_LOOKALIKE, ROOT), { { GROUP, ROOT } }, NULL },
    { "both of that name enrolled", REASON_GRANTED, CHAIN(LEAF_LOOKALIKE), { { GROUP, ROOT }, {
      UPLOAD, LOOKALIKE }, { CA_GROUP, LOOKALIKE } }, "ca-Root" },
    /* matches that fail */
    { "expired", REASON_CERTIFICATE_EXPIRED, CHAIN(LEAF_EXPIRED), { { GROUP, ROOT } }, "Root" },
    { "not yet valid", REASON_CERTIFICATE_NOT_YET_VALID, CHAIN(LEAF_FUTURE), { { GROUP, ROOT } },
      "Root" },
    { "for servers", REASON_CERTIFICATE_WRONG_PURPOSE, CHAIN(LEAF_SERVER), { { GROUP, ROOT } },
      "Root" },
    { "path length exceeded", REASON_PATH_TOO_LONG, CHAIN(LEAF_BELOW_TIGHT, BELOW_TIGHT, TIGHT), {
      { GROUP, ROOT } }, "Root" },
    { "path length of the group's own certificate", REASON_PATH_TOO_LONG, CHAIN(LEAF_BELOW_TIGHT,
      BELOW_TIGHT), { { GROUP, TIGHT }, { GROUP, ROOT } }, "Tight" },
    { "issuer expired", REASON_ISSUER_EXPIRED, CHAIN(LEAF_OLD_SUB, OLD_SUB), { { GROUP, ROOT } },
      "Root" },
    { "group's certificate expired", REASON_ISSUER_EXPIRED, CHAIN(LEAF_OLD_SUB), { { GROUP,
      OLD_SUB }, { GROUP, ROOT } }, "Old Sub" },
    { "disabled", REASON_ENROLLMENT_DISABLED, CHAIN(LEAF_ROOT), { { GROUP_OFF, ROOT } }, "Root" },
    { "disabled under an enabled one", REASON_ENROLLMENT_DISABLED, CHAIN(LEAF_SUB, SUB), { {
      GROUP, ROOT }, { GROUP_OFF, SUB } }, "Sub" },
    { "disabled above an enabled one", REASON_GRANTED, CHAIN(LEAF_SUB, SUB), { { GROUP_OFF, ROOT
      }, { GROUP, SUB } }, "Sub" },
    { "disabled, to a forger", REASON_CERTIFICATE_BAD_SIGNATURE, CHAIN(LEAF_LOOKALIKE), { {
      GROUP_OFF, ROOT } }, NULL },
    { "disabled, expired", REASON_CERTIFICATE_EXPIRED, CHAIN(LEAF_EXPIRED), { { GROUP_OFF, ROOT }
      }, "Root" },
    /* groups by uploaded certificate */
    { "CA reference", REASON_GRANTED, CHAIN(LEAF_ROOT), { { CA_GROUP, ROOT } }, "ca-Root" },
    { "CA reference not verified", REASON_CA_NOT_VERIFIED, CHAIN(LEAF_ROOT), { {
      CA_GROUP_UNVERIFIED, ROOT } }, "ca-Root" },
    { "that ends the search", REASON_CA_NOT_VERIFIED, CHAIN(LEAF_SUB, SUB), { {
      CA_GROUP_UNVERIFIED, SUB }, { GROUP, ROOT } }, "ca-Sub" },
    { "uploaded alone", REASON_ISSUER_UNKNOWN, CHAIN(LEAF_ROOT), { { UPLOAD, ROOT } }, NULL },
    /* individual enrollments of "dev" */
    { "leaf enrolled", REASON_GRANTED, CHAIN(LEAF_SELF), { { LEAF, LEAF_SELF } }, "dev" },
    { "leaf of a CA enrolled", REASON_GRANTED, CHAIN(LEAF_SUB), { { LEAF, LEAF_SUB } }, "dev" },
    { "another leaf", REASON_CERTIFICATE_MISMATCH, CHAIN(LEAF_SELF2), { { LEAF, LEAF_SELF } },
      "dev" },
    { "no fall-back to groups", REASON_CERTIFICATE_MISMATCH, CHAIN(LEAF_ROOT), { { LEAF, LEAF_SELF
      }, { GROUP, ROOT } }, "dev" },
    { "individual before group", REASON_GRANTED, CHAIN(LEAF_ROOT), { { LEAF, LEAF_ROOT }, { GROUP,
      ROOT } }, "dev" },
    { "enrolled leaf expired", REASON_CERTIFICATE_EXPIRED, CHAIN(LEAF_EXPIRED), { { LEAF,
      LEAF_EXPIRED } }, "dev" },
    { "enrolled leaf not yet valid", REASON_CERTIFICATE_NOT_YET_VALID, CHAIN(LEAF_FUTURE), { {
      LEAF, LEAF_FUTURE } }, "dev" },
    { "enrolled leaf for servers", REASON_CERTIFICATE_WRONG_PURPOSE, CHAIN(LEAF_SERVER), { { LEAF,
      LEAF_SERVER } }, "dev" },
    { "individual disabled", REASON_ENROLLMENT_DISABLED, CHAIN(LEAF_ROOT), { { LEAF_OFF, LEAF_ROOT
      }, { GROUP, ROOT } }, "dev" },
    { "individual disabled, another leaf", REASON_CERTIFICATE_MISMATCH, CHAIN(LEAF_ROOT), { {
      LEAF_OFF, LEAF_SELF } }, "dev" },
    { "individual by CA", REASON_GRANTED, CHAIN(LEAF_ROOT), { { CA_LEAF, ROOT } }, "dev" },
    { "individual by CA, chain sent", REASON_GRANTED, CHAIN(LEAF_SUB, SUB), { { CA_LEAF, ROOT } },
      "dev" },
    { "individual by CA, intermediate stored", REASON_GRANTED, CHAIN(LEAF_SUB), { { UPLOAD, SUB },
      { CA_LEAF, ROOT } }, "dev" },
    { "individual by CA, not its leaf", REASON_ISSUER_UNKNOWN, CHAIN(LEAF_STRANGER), { { CA_LEAF,
      ROOT } }, "dev" },
    { "individual by CA, a root of that name", REASON_ISSUER_UNKNOWN, CHAIN(LEAF_LOOKALIKE), { {
      CA_LEAF, ROOT } }, "dev" },
    { "individual by CA not verified", REASON_CA_NOT_VERIFIED, CHAIN(LEAF_ROOT), { {
      CA_LEAF_UNVERIFIED, ROOT } }, "dev" },
    { "individual by CA that is gone", REASON_CA_MISSING, CHAIN(LEAF_ROOT), { { CA_LEAF_MISSING,
      ROOT } }, "dev" },
    /* names */
    { "CN in another case", REASON_GRANTED, CHAIN(LEAF_UPPER), { { GROUP, ROOT } }, "Root" },
    { "CN of another device", REASON_COMMON_NAME_MISMATCH, CHAIN(LEAF_OTHER), { { GROUP, ROOT } },
      NULL },
    { "no certificate", REASON_CLIENT_CERTIFICATE_MISSING, { END }, { { GROUP, ROOT } }, NULL },
};
/* clang-format on */

/* "Sub 2" as the name of a resource. */
static const char *resource_name(const char *prefix, int what)
{
    static char name[2][64];
    static int turn;
    char *text = name[turn = !turn];

    (void)snprintf(text, sizeof name[0], "%s%s", prefix, plan[what].what.cn);
    for (char *c = text; *c != '\0'; c++) {
        *c = *c == ' ' ? '-' : *c;
    }
    return text;
}

static void upload(int what, bool is_verified)
{
    struct core_match none = { 0 };
    struct certificate c;
    struct verdict v;

    assert_ok(core_certificate_put(&f.env, f.scope, span_str(resource_name("", what)),
                                   fixture_pem(&f, &world[what]), is_verified, &none, &c, &v));
    assert_reason(GRANTED, v);
}

static void enroll_by_ca(int what, enum enrollment_kind kind, const char *id, bool is_verified)
{
    struct core_match none = { 0 };
    struct certificate c;
    struct verdict v;
    struct enrollment e = fixture_enrollment(&f, kind, id, X509_SOURCE_CA_REFERENCE);

    e.x509_primary = span_str(resource_name("", what));
    assert_ok(core_certificate_get(&f.env, f.scope, e.x509_primary, &c, &v));
    if (!verdict_is_granted(v)) {
        assert_ok(core_certificate_put(&f.env, f.scope, e.x509_primary,
                                       fixture_pem(&f, &world[what]), is_verified, &none, &c, &v));
    }
    assert_reason(GRANTED, fixture_put(&f, &e));
}

static void enroll_leaf(int what, enum provisioning_status status)
{
    struct enrollment e = fixture_enrollment(&f, ENROLLMENT_INDIVIDUAL, "dev", X509_SOURCE_CLIENT);

    e.x509_primary = fixture_der(&f, &world[what]);
    e.provisioning_status = status;
    assert_reason(GRANTED, fixture_put(&f, &e));
}

static void enroll(enum enrolled how, int what)
{
    struct core_match any = { 0 };
    struct verdict v;

    switch (how) {
    case NOTHING:
        break;
    case GROUP:
        fixture_group(&f, resource_name("", what), &world[what], PROVISIONING_ENABLED);
        break;
    case GROUP_OFF:
        fixture_group(&f, resource_name("", what), &world[what], PROVISIONING_DISABLED);
        break;
    case CA_GROUP:
    case CA_GROUP_UNVERIFIED:
        enroll_by_ca(what, ENROLLMENT_GROUP, resource_name("ca-", what), how == CA_GROUP);
        break;
    case UPLOAD:
        upload(what, true);
        break;
    case LEAF:
        enroll_leaf(what, PROVISIONING_ENABLED);
        break;
    case LEAF_OFF:
        enroll_leaf(what, PROVISIONING_DISABLED);
        break;
    case CA_LEAF:
    case CA_LEAF_UNVERIFIED:
    case CA_LEAF_MISSING:
        enroll_by_ca(what, ENROLLMENT_INDIVIDUAL, "dev", how == CA_LEAF);
        if (how == CA_LEAF_MISSING) {
            assert_ok(core_certificate_delete(&f.env, f.scope, span_str(resource_name("", what)),
                                              true, &any, &v));
            assert_reason(GRANTED, v);
        }
        break;
    }
}

static size_t chain_of(const int *names, struct crypto_cert **ret_chain)
{
    size_t n = 0;

    while (n < 4 && names[n] != END) {
        ret_chain[n] = world[names[n]].cert;
        n++;
    }
    return n;
}

static void check_decision(const struct search_case *c)
{
    struct decision_row d = fixture_decision(&f);
    char enrollment[128];

    assert_span(reason_info(c->expected)->token, d.reason);
    if (c->decided_by == NULL) {
        assert_true(span_is_absent(d.enrollment));
        return;
    }
    (void)snprintf(enrollment, sizeof enrollment, "{\"kind\":\"%s\",\"id\":\"%s\"}",
                   strcmp(c->decided_by, "dev") == 0 ? "individual" : "group", c->decided_by);
    for (char *at = strstr(enrollment, "\"id\""); *at != '\0'; at++) {
        *at = *at == ' ' ? '-' : *at;
    }
    assert_span(enrollment, d.enrollment);
    assert_true(fixture_has(d.considered, reason_info(c->expected)->token));
}

static void check_registration(const struct search_case *c, const struct core_outcome *o)
{
    struct registration r;
    struct verdict v;
    bool is_granted = c->expected == REASON_GRANTED;

    assert_ok(core_registration_get(&f.env, f.scope, SPAN("dev"), &r, &v));
    assert_int_equal(verdict_is_granted(v),
                     is_granted || c->expected == REASON_ENROLLMENT_DISABLED);
    assert_int_equal(o->has_registration, verdict_is_granted(v));
    assert_int_equal(fixture_placements, is_granted);
    if (o->has_registration) {
        assert_int_equal(r.status, is_granted ? REGISTRATION_ASSIGNED : REGISTRATION_DISABLED);
        assert_int_equal(o->registration.status, r.status);
    }
}

/* Each case on a store of its own; whether it is answered the same by a dry run too. */
static void searches_end_as_they_should(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof searches / sizeof *searches; i++) {
        const struct search_case *c = &searches[i];
        struct crypto_cert *chain[4];
        size_t n = chain_of(c->chain, chain);
        struct core_outcome o;
        struct decision dry;

        (void)setup(NULL);
        for (size_t k = 0; k < 3; k++) {
            enroll(c->enrolled[k].how, c->enrolled[k].what);
        }
        assert_ok(core_explain(&f.env, &fixture_tools, f.scope, chain, n, &dry));
        o = fixture_register(&f, "dev", chain, n);
        if (o.verdict.reason != c->expected) {
            print_error("case \"%s\": %.*s\n", c->label, SPAN_FMT(fixture_decision(&f).considered));
        }
        assert_string_equal(reason_info(c->expected)->token, reason_info(o.verdict.reason)->token);
        check_decision(c);
        check_registration(c, &o);
        if (c->expected != REASON_COMMON_NAME_MISMATCH && n > 0) {
            assert_string_equal(reason_info(c->expected)->token, reason_info(dry.reason)->token);
            assert_true(span_eq(dry.considered, fixture_decision(&f).considered));
        }
        (void)teardown(NULL);
    }
}

/* A leaf that names the group's root and its key, signed by another. */
static void forged_with_the_same_key_identifier_is_a_forgery(void **state)
{
    struct node mixed = { .cert = world[ROOT].cert, .key = world[STRANGER].key };
    struct node forged = fixture_leaf(&f, "dev", &mixed);
    struct node forged_server = fixture_node(
        &f, &(struct fixture_cert){ .cn = "dev", .extended_usage = "serverAuth" }, &mixed);
    struct core_outcome o;

    (void)state;
    enroll(GROUP_OFF, ROOT);
    o = fixture_register(&f, "dev", &forged.cert, 1);
    assert_reason(CERTIFICATE_BAD_SIGNATURE, o.verdict);
    /* Also where OpenSSL meets another failing first. */
    o = fixture_register(&f, "dev", &forged_server.cert, 1);
    assert_reason(CERTIFICATE_BAD_SIGNATURE, o.verdict);
    assert_true(fixture_has(fixture_decision(&f).considered, "\"outcome\":\"certificate-bad-"));
    fixture_free(&forged);
    fixture_free(&forged_server);
}

/* Between leaf and anchor LIMIT_PATH_DEPTH certificates at most. */
static void a_long_path_is_refused(void **state)
{
    struct node ca[LIMIT_PATH_DEPTH + 2];
    struct node leaf;
    struct core_outcome o;

    (void)state;
    ca[0] = fixture_ca(&f, "CA 0", NULL);
    for (int i = 1; i < LIMIT_PATH_DEPTH + 2; i++) {
        char name[16];
        struct core_match none = { 0 };
        struct certificate c;
        struct verdict v;

        (void)snprintf(name, sizeof name, "CA-%d", i);
        ca[i] = fixture_ca(&f, name, &ca[i - 1]);
        assert_ok(core_certificate_put(&f.env, f.scope, span_str(name), fixture_pem(&f, &ca[i]),
                                       true, &none, &c, &v));
    }
    fixture_group(&f, "g", &ca[0], PROVISIONING_ENABLED);
    leaf = fixture_leaf(&f, "dev", &ca[LIMIT_PATH_DEPTH]);
    o = fixture_register(&f, "dev", &leaf.cert, 1);
    assert_reason(GRANTED, o.verdict);
    fixture_free(&leaf);
    leaf = fixture_leaf(&f, "dev", &ca[LIMIT_PATH_DEPTH + 1]);
    o = fixture_register(&f, "dev", &leaf.cert, 1);
    assert_reason(PATH_TOO_LONG, o.verdict);
    fixture_free(&leaf);
    for (int i = 0; i < LIMIT_PATH_DEPTH + 2; i++) {
        fixture_free(&ca[i]);
    }
}

/* Two CAs that certify each other: the climb must end. */
static void a_loop_of_issuers_ends(void **state)
{
    struct node a = fixture_ca(&f, "A", NULL);
    struct node b = fixture_ca(&f, "B", &a);
    struct fixture_cert named_a = { .cn = "A", .is_ca = true };
    struct node a_by_b = { .cert = fixture_issue(&f, &named_a, a.key, &b) };
    struct node leaf = fixture_leaf(&f, "dev", &b);
    struct crypto_cert *chain[] = { leaf.cert, b.cert, a_by_b.cert };

    (void)state;
    enroll(GROUP, STRANGER);
    assert_reason(ISSUER_UNKNOWN, fixture_register(&f, "dev", chain, 3).verdict);
    fixture_group(&f, "a", &a, PROVISIONING_ENABLED);
    assert_reason(GRANTED, fixture_register(&f, "dev", chain, 3).verdict);
    fixture_free(&leaf);
    fixture_free(&a_by_b);
    fixture_free(&b);
    fixture_free(&a);
}

/* An intermediate that two roots have certified leads to either, whichever of its certificates the
 * device sends first: the order is the device's choice, the decision is not. */
static void of_a_cross_certified_intermediate_either_way_counts(void **state)
{
    const struct fixture_cert what = { .cn = "Crossed", .is_ca = true };
    struct node sub = fixture_node(&f, &what, &world[ROOT]);
    struct crypto_cert *crossed = fixture_issue(&f, &what, sub.key, &world[STRANGER]);
    struct node leaf = fixture_leaf(&f, "dev", &sub);
    struct crypto_cert *const chains[][3] = {
        { leaf.cert, sub.cert, crossed },
        { leaf.cert, crossed, sub.cert },
    };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        assert_reason(ISSUER_UNKNOWN, fixture_register(&f, "dev", chains[i], 3).verdict);
    }
    enroll(GROUP, STRANGER);
    for (size_t i = 0; i < 2; i++) {
        assert_reason(GRANTED, fixture_register(&f, "dev", chains[i], 3).verdict);
    }
    enroll(GROUP_OFF, ROOT);
    for (size_t i = 0; i < 2; i++) {
        assert_reason(ENROLLMENT_DISABLED, fixture_register(&f, "dev", chains[i], 3).verdict);
    }
    fixture_free(&leaf);
    crypto_x509_free(crossed);
    fixture_free(&sub);
}

static void names_are_checked_before_anything_else(void **state)
{
    static const struct {
        const char *scope, *id;
        enum reason expected;
    } cases[] = {
        { "0ne00000001", "dev", REASON_GRANTED },
        { "0NE00000001", "DEV", REASON_GRANTED },
        { "0ne00000002", "dev", REASON_SCOPE_UNKNOWN },
        { "", "dev", REASON_SCOPE_UNKNOWN },
        { "0ne000000010ne000000010ne00000001x", "dev", REASON_SCOPE_UNKNOWN },
        { "0ne00000001", "", REASON_REGISTRATION_ID_INVALID },
        { "0ne00000001", "dev.", REASON_REGISTRATION_ID_INVALID },
        { "0ne00000001", "de v", REASON_REGISTRATION_ID_INVALID },
        { "0ne00000001", "dev2", REASON_COMMON_NAME_MISMATCH },
    };

    (void)state;
    enroll(GROUP, ROOT);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct claim claim =
            fixture_claim(&f, cases[i].id, OPERATION_REGISTER, &world[LEAF_ROOT].cert, 1);
        struct core_outcome o;

        fixture_next(&f);
        claim.id_scope = span_str(cases[i].scope);
        assert_ok(core_register(&f.env, &claim, &fixture_tools, &o));
        assert_int_equal(o.verdict.reason, cases[i].expected);
    }
}

/* The folded scope and ID, whoever presents them, and what was presented as it was. */
static void a_refusal_leaves_a_record(void **state)
{
    struct claim claim = fixture_claim(&f, "DEV", OPERATION_REGISTER, &world[LEAF_SUB].cert, 1);
    struct core_outcome o;
    struct decision_row *rows;
    size_t n;

    (void)state;
    claim.id_scope = SPAN("0NEFFFFFFFF");
    assert_ok(core_register(&f.env, &claim, &fixture_tools, &o));
    assert_reason(SCOPE_UNKNOWN, o.verdict);
    assert_ok(core_decision_list(&f.env, SPAN("0neffffffff"), SPAN("dev"), 10, &rows, &n));
    assert_int_equal(n, 1);
    assert_span("DEV", rows[0].registration_id);
    assert_span("192.0.2.1:40000", rows[0].peer);
    assert_int_equal(rows[0].time_ms, TEST_NOW);
    assert_true(fixture_has(rows[0].certificate, "\"subject\":\"CN=dev\",\"issuer\":\"CN=Sub\""));
    assert_span("[]", rows[0].considered);
}

static err put_at_door(struct store_tx *tx, void *arg)
{
    struct decision_row row = { .tracking_id = SPAN("00000000-0000-0000-0000-000000000001"),
                                .time_ms = TEST_NOW - 1,
                                .id_scope = SPAN(TEST_HUB),
                                .registration_key = SPAN("dev"),
                                .operation = OPERATION_CONNECT };

    (void)arg;
    return store_put(tx, &KIND_DECISION, &row);
}

/* Whoever names a hub as their ID scope does not crowd out what was refused at its door. */
static void a_hub_is_no_scope(void **state)
{
    struct claim claim = fixture_claim(&f, "dev", OPERATION_REGISTER, &world[LEAF_SUB].cert, 1);
    struct core_outcome o;
    struct decision_row *rows;
    size_t n;

    (void)state;
    assert_ok(store_write(f.store, put_at_door, NULL));
    claim.id_scope = SPAN(TEST_HUB);
    for (int i = 0; i < 3; i++) {
        fixture_next(&f);
        assert_ok(core_register(&f.env, &claim, &fixture_tools, &o));
        assert_reason(SCOPE_UNKNOWN, o.verdict);
    }
    assert_ok(core_decision_list(&f.env, f.scope, SPAN("dev"), 2, &rows, &n));
    assert_int_equal(n, 1);
    assert_int_equal(rows[0].operation, OPERATION_CONNECT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(searches_end_as_they_should),
        cmocka_unit_test_setup_teardown(forged_with_the_same_key_identifier_is_a_forgery, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_long_path_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_loop_of_issuers_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(of_a_cross_certified_intermediate_either_way_counts, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(names_are_checked_before_anything_else, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refusal_leaves_a_record, setup, teardown),
        cmocka_unit_test_setup_teardown(a_hub_is_no_scope, setup, teardown),
    };

    return cmocka_run_group_tests(tests, make_world, free_world);
}
