/* crypto/x509_path_test.c: paths over a zoo of certificates, made at the start. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/err.h>

#include "crypto/key.h"

#define DAY_MS 86400000LL
static const int64_t now_ms = 1700000000000;

enum key_name { K_ROOT, K_INT1, K_INT2, K_LEAF, K_OTHER, K_RSA_CA, K_RSA_LEAF, N_KEYS };

static const enum crypto_key_type key_types[N_KEYS] = {
    CRYPTO_KEY_EC_P256, CRYPTO_KEY_EC_P384,  CRYPTO_KEY_EC_P256,  CRYPTO_KEY_EC_P256,
    CRYPTO_KEY_EC_P256, CRYPTO_KEY_RSA_2048, CRYPTO_KEY_RSA_2048,
};

enum cert_name {
    NONE, /* as an issuer: self-signed */
    ROOT,
    ROOT_EXPIRED,
    ROOT_FUTURE,
    ROOT_FORGED, /* same name, other key */
    RSA_ROOT,
    INT1,
    INT1_EXPIRED,
    INT1_FUTURE,
    INT1_NO_CA,
    INT1_NO_CERTSIGN,
    INT1_PATHLEN0,
    INT1_SERVER_ONLY,
    INT2,
    INT2_UNDER_PATHLEN0,
    RSA_INT2, /* RSA under EC */
    DIRECT,   /* leaves under ROOT */
    DIRECT_EXPIRED,
    DIRECT_FUTURE,
    DIRECT_SERVER_ONLY,
    DIRECT_BOTH,
    DIRECT_NO_USAGE,
    DIRECT_NO_SIGNING,
    DIRECT_CA,
    DIRECT_RSA,
    DIRECT_FORGED,   /* by ROOT_FORGED */
    DIRECT_PRETENDS, /* by K_OTHER, but names ROOT and its key */
    UNDER_INT1,
    UNDER_INT2,
    UNDER_INT2_PATHLEN0,
    UNDER_RSA_ROOT,
    UNDER_RSA_INT2,
    SELF_SIGNED,
    SELF_SIGNED_EXPIRED,
    N_CERTS
};

enum validity { VALID, EXPIRED, FUTURE };
enum kind { CA, LEAF };

struct cert_row {
    const char *common_name;
    enum cert_name issuer;
    enum key_name key, issuer_key;
    enum kind kind;
    int path_len;
    const char *key_usage, *extended_usage;
    enum validity validity;
};

#define CA_USAGE  "critical,keyCertSign,cRLSign"
#define DEV_USAGE "critical,digitalSignature"

static const struct cert_row rows[N_CERTS] = {
    [ROOT] = { "Root", NONE, K_ROOT, K_ROOT, CA, -1, CA_USAGE, NULL, VALID },
    [ROOT_EXPIRED] = { "Root", NONE, K_ROOT, K_ROOT, CA, -1, CA_USAGE, NULL, EXPIRED },
    [ROOT_FUTURE] = { "Root", NONE, K_ROOT, K_ROOT, CA, -1, CA_USAGE, NULL, FUTURE },
    [ROOT_FORGED] = { "Root", NONE, K_OTHER, K_OTHER, CA, -1, CA_USAGE, NULL, VALID },
    [RSA_ROOT] = { "RSA", NONE, K_RSA_CA, K_RSA_CA, CA, -1, CA_USAGE, NULL, VALID },
    [INT1] = { "Int 1", ROOT, K_INT1, K_ROOT, CA, -1, CA_USAGE, NULL, VALID },
    [INT1_EXPIRED] = { "Int 1", ROOT, K_INT1, K_ROOT, CA, -1, CA_USAGE, NULL, EXPIRED },
    [INT1_FUTURE] = { "Int 1", ROOT, K_INT1, K_ROOT, CA, -1, CA_USAGE, NULL, FUTURE },
    [INT1_NO_CA] = { "Int 1", ROOT, K_INT1, K_ROOT, LEAF, -1, NULL, NULL, VALID },
    [INT1_NO_CERTSIGN] = { "Int 1", ROOT, K_INT1, K_ROOT, CA, -1, DEV_USAGE, NULL, VALID },
    [INT1_PATHLEN0] = { "Int 1", ROOT, K_INT1, K_ROOT, CA, 0, CA_USAGE, NULL, VALID },
    [INT1_SERVER_ONLY] = { "Int 1", ROOT, K_INT1, K_ROOT, CA, -1, CA_USAGE, "serverAuth", VALID },
    [INT2] = { "Int 2", INT1, K_INT2, K_INT1, CA, 0, CA_USAGE, NULL, VALID },
    [INT2_UNDER_PATHLEN0] = { "Int 2", INT1_PATHLEN0, K_INT2, K_INT1, CA, -1, CA_USAGE, NULL,
                              VALID },
    [RSA_INT2] = { "RSA 2", INT1, K_RSA_CA, K_INT1, CA, 0, CA_USAGE, NULL, VALID },
    [DIRECT] = { "leaf", ROOT, K_LEAF, K_ROOT, LEAF, -1, DEV_USAGE, "clientAuth", VALID },
    [DIRECT_EXPIRED] = { "leaf", ROOT, K_LEAF, K_ROOT, LEAF, -1, NULL, NULL, EXPIRED },
    [DIRECT_FUTURE] = { "leaf", ROOT, K_LEAF, K_ROOT, LEAF, -1, NULL, NULL, FUTURE },
    [DIRECT_SERVER_ONLY] = { "leaf", ROOT, K_LEAF, K_ROOT, LEAF, -1, NULL, "serverAuth", VALID },
    [DIRECT_BOTH] = { "leaf", ROOT, K_LEAF, K_ROOT, LEAF, -1, NULL, "serverAuth,clientAuth",
                      VALID },
    [DIRECT_NO_USAGE] = { "leaf", ROOT, K_LEAF, K_ROOT, LEAF, -1, NULL, NULL, VALID },
    [DIRECT_NO_SIGNING] = { "leaf", ROOT, K_LEAF, K_ROOT, LEAF, -1, "critical,keyEncipherment",
                            NULL, VALID },
    [DIRECT_CA] = { "leaf", ROOT, K_LEAF, K_ROOT, CA, -1, NULL, NULL, VALID },
    [DIRECT_RSA] = { "leaf", ROOT, K_RSA_LEAF, K_ROOT, LEAF, -1, DEV_USAGE, "clientAuth", VALID },
    [DIRECT_FORGED] = { "leaf", ROOT_FORGED, K_LEAF, K_OTHER, LEAF, -1, NULL, NULL, VALID },
    [DIRECT_PRETENDS] = { "leaf", ROOT, K_LEAF, K_OTHER, LEAF, -1, NULL, NULL, VALID },
    [UNDER_INT1] = { "leaf", INT1, K_LEAF, K_INT1, LEAF, -1, DEV_USAGE, "clientAuth", VALID },
    [UNDER_INT2] = { "leaf", INT2, K_LEAF, K_INT2, LEAF, -1, DEV_USAGE, "clientAuth", VALID },
    [UNDER_INT2_PATHLEN0] = { "leaf", INT2_UNDER_PATHLEN0, K_LEAF, K_INT2, LEAF, -1, NULL, NULL,
                              VALID },
    [UNDER_RSA_ROOT] = { "leaf", RSA_ROOT, K_LEAF, K_RSA_CA, LEAF, -1, NULL, NULL, VALID },
    [UNDER_RSA_INT2] = { "leaf", RSA_INT2, K_RSA_LEAF, K_RSA_CA, LEAF, -1, NULL, NULL, VALID },
    [SELF_SIGNED] = { "leaf", NONE, K_LEAF, K_LEAF, LEAF, -1, NULL, NULL, VALID },
    [SELF_SIGNED_EXPIRED] = { "leaf", NONE, K_LEAF, K_LEAF, LEAF, -1, NULL, NULL, EXPIRED },
};

struct path_case {
    enum cert_name leaf, anchor;
    enum cert_name help[4]; /* intermediates; NONE ends them */
    int max_depth;
    enum crypto_path outcome;
};

static const struct path_case cases[] = {
    { DIRECT, ROOT, { NONE }, 0, CRYPTO_PATH_OK },
    { DIRECT, ROOT, { NONE }, 8, CRYPTO_PATH_OK },
    { DIRECT_RSA, ROOT, { NONE }, 8, CRYPTO_PATH_OK },
    { UNDER_RSA_ROOT, RSA_ROOT, { NONE }, 8, CRYPTO_PATH_OK },
    /* Intermediates: any order, too many, the anchor among them, too few. */
    { UNDER_INT1, ROOT, { INT1 }, 8, CRYPTO_PATH_OK },
    { UNDER_INT1, ROOT, { INT1 }, 1, CRYPTO_PATH_OK },
    { UNDER_INT1, ROOT, { INT1 }, 0, CRYPTO_PATH_TOO_LONG },
    { UNDER_INT2, ROOT, { INT1, INT2 }, 8, CRYPTO_PATH_OK },
    { UNDER_INT2, ROOT, { INT2, INT1 }, 2, CRYPTO_PATH_OK },
    { UNDER_INT2, ROOT, { INT2, INT1 }, 1, CRYPTO_PATH_TOO_LONG },
    { UNDER_INT2, ROOT, { RSA_INT2, ROOT, INT2, INT1 }, 8, CRYPTO_PATH_OK },
    { UNDER_INT2, ROOT, { INT1, ROOT_FORGED, INT2, ROOT }, 8, CRYPTO_PATH_OK },
    { UNDER_INT2, ROOT, { INT1 }, 8, CRYPTO_PATH_NONE },
    { UNDER_INT2, ROOT, { INT2 }, 8, CRYPTO_PATH_NONE },
    { UNDER_INT1, ROOT, { NONE }, 8, CRYPTO_PATH_NONE },
    { UNDER_RSA_INT2, ROOT, { INT1, RSA_INT2 }, 8, CRYPTO_PATH_OK },
    /* An intermediate as the anchor, without and with what is above it. */
    { UNDER_INT1, INT1, { NONE }, 0, CRYPTO_PATH_OK },
    { UNDER_INT2, INT2, { INT1, ROOT }, 0, CRYPTO_PATH_OK },
    { UNDER_INT2, INT1, { INT2 }, 1, CRYPTO_PATH_OK },
    { UNDER_INT2, INT1, { ROOT, INT2, INT1 }, 1, CRYPTO_PATH_OK },
    { UNDER_INT2, INT1, { ROOT_EXPIRED, INT2 }, 1, CRYPTO_PATH_OK },
    { UNDER_INT1, INT1_EXPIRED, { NONE }, 8, CRYPTO_PATH_ISSUER_EXPIRED },
    { DIRECT, INT1, { ROOT }, 8, CRYPTO_PATH_NONE },
    /* The leaf itself as the anchor. */
    { DIRECT, DIRECT, { NONE }, 0, CRYPTO_PATH_OK },
    { UNDER_INT1, UNDER_INT1, { INT1, ROOT }, 8, CRYPTO_PATH_OK },
    { UNDER_INT1, UNDER_INT1, { INT1_EXPIRED, ROOT_EXPIRED }, 8, CRYPTO_PATH_OK },
    { UNDER_INT1, UNDER_INT1, { UNDER_INT1 }, 8, CRYPTO_PATH_OK },
    { SELF_SIGNED, SELF_SIGNED, { NONE }, 0, CRYPTO_PATH_OK },
    { SELF_SIGNED, SELF_SIGNED, { SELF_SIGNED }, 0, CRYPTO_PATH_OK },
    { SELF_SIGNED_EXPIRED, SELF_SIGNED_EXPIRED, { NONE }, 8, CRYPTO_PATH_LEAF_EXPIRED },
    { DIRECT_EXPIRED, DIRECT_EXPIRED, { NONE }, 8, CRYPTO_PATH_LEAF_EXPIRED },
    { DIRECT_FUTURE, DIRECT_FUTURE, { NONE }, 8, CRYPTO_PATH_LEAF_NOT_YET_VALID },
    { DIRECT_SERVER_ONLY, DIRECT_SERVER_ONLY, { NONE }, 8, CRYPTO_PATH_WRONG_PURPOSE },
    { DIRECT_RSA, DIRECT, { NONE }, 8, CRYPTO_PATH_NONE },
    { SELF_SIGNED, ROOT, { NONE }, 8, CRYPTO_PATH_NONE },
    { SELF_SIGNED, ROOT, { SELF_SIGNED, ROOT }, 8, CRYPTO_PATH_NONE },
    { ROOT, ROOT, { NONE }, 8, CRYPTO_PATH_WRONG_PURPOSE }, /* may not sign a handshake */
    /* Dates. */
    { DIRECT_EXPIRED, ROOT, { NONE }, 8, CRYPTO_PATH_LEAF_EXPIRED },
    { DIRECT_FUTURE, ROOT, { NONE }, 8, CRYPTO_PATH_LEAF_NOT_YET_VALID },
    { DIRECT, ROOT_EXPIRED, { NONE }, 8, CRYPTO_PATH_ISSUER_EXPIRED },
    { DIRECT, ROOT_FUTURE, { NONE }, 8, CRYPTO_PATH_ISSUER_EXPIRED },
    { UNDER_INT1, ROOT, { INT1_EXPIRED }, 8, CRYPTO_PATH_ISSUER_EXPIRED },
    { UNDER_INT1, ROOT, { INT1_FUTURE }, 8, CRYPTO_PATH_ISSUER_EXPIRED },
    { UNDER_INT1, ROOT, { INT1_EXPIRED, INT1 }, 8, CRYPTO_PATH_OK },
    { UNDER_INT1, ROOT, { INT1_FUTURE, INT1_EXPIRED, INT1 }, 8, CRYPTO_PATH_OK },
    /* Purpose. */
    { DIRECT_SERVER_ONLY, ROOT, { NONE }, 8, CRYPTO_PATH_WRONG_PURPOSE },
    { DIRECT_NO_SIGNING, ROOT, { NONE }, 8, CRYPTO_PATH_WRONG_PURPOSE },
    { DIRECT_BOTH, ROOT, { NONE }, 8, CRYPTO_PATH_OK },
    { DIRECT_NO_USAGE, ROOT, { NONE }, 8, CRYPTO_PATH_OK },
    { DIRECT_CA, ROOT, { NONE }, 8, CRYPTO_PATH_OK },
    { UNDER_INT1, ROOT, { INT1_NO_CA }, 8, CRYPTO_PATH_WRONG_PURPOSE },
    { UNDER_INT1, ROOT, { INT1_NO_CERTSIGN }, 8, CRYPTO_PATH_WRONG_PURPOSE },
    { UNDER_INT1, ROOT, { INT1_SERVER_ONLY }, 8, CRYPTO_PATH_WRONG_PURPOSE },
    { UNDER_INT1, INT1_NO_CA, { NONE }, 8, CRYPTO_PATH_WRONG_PURPOSE },
    { UNDER_INT1, INT1_NO_CERTSIGN, { NONE }, 8, CRYPTO_PATH_WRONG_PURPOSE },
    /* Path lengths. */
    { UNDER_INT1, ROOT, { INT1_PATHLEN0 }, 8, CRYPTO_PATH_OK },
    { UNDER_INT2_PATHLEN0, ROOT, { INT1_PATHLEN0, INT2_UNDER_PATHLEN0 }, 8, CRYPTO_PATH_TOO_LONG },
    { UNDER_INT2_PATHLEN0, INT2_UNDER_PATHLEN0, { NONE }, 8, CRYPTO_PATH_OK },
    /* Two anchors of one name: only the one that signed will do. */
    { DIRECT_FORGED, ROOT_FORGED, { NONE }, 8, CRYPTO_PATH_OK },
    { DIRECT_FORGED, ROOT, { NONE }, 8, CRYPTO_PATH_NONE },
    { DIRECT_FORGED, ROOT, { ROOT_FORGED }, 8, CRYPTO_PATH_NONE },
    { DIRECT, ROOT_FORGED, { ROOT }, 8, CRYPTO_PATH_NONE },
    { DIRECT_PRETENDS, ROOT, { NONE }, 8, CRYPTO_PATH_BAD_SIGNATURE },
    { DIRECT_PRETENDS, ROOT, { ROOT_FORGED }, 8, CRYPTO_PATH_BAD_SIGNATURE },
};

static struct crypto *crypto;
static struct crypto_key *keys[N_KEYS];
static struct crypto_cert *certs[N_CERTS];

static void assert_ok(err e)
{
    if (!err_is_ok(e)) {
        fail_msg("%s: %s", err_name(e), err_detail());
    }
}

static void make_cert(size_t i)
{
    const struct cert_row *row = &rows[i];
    int64_t shift = row->validity == EXPIRED  ? -20 * DAY_MS
                    : row->validity == FUTURE ? 20 * DAY_MS
                                              : 0;
    const struct crypto_cert_spec spec = {
        .common_name = row->common_name,
        .not_before_ms = now_ms + shift - 10 * DAY_MS,
        .not_after_ms = now_ms + shift + 10 * DAY_MS,
        .is_ca = row->kind == CA,
        .path_len = row->path_len,
        .key_usage = row->key_usage,
        .extended_usage = row->extended_usage,
        .serial = { 1, (uint8_t)i },
    };

    assert_ok(crypto_key_issue(crypto, &spec, keys[row->key], certs[row->issuer],
                               keys[row->issuer_key], &certs[i]));
}

static int make_zoo(void **state)
{
    (void)state;
    assert_ok(crypto_new(CRYPTO_SERVING, &crypto));
    for (size_t i = 0; i < N_KEYS; i++) {
        assert_ok(crypto_key_generate(crypto, key_types[i], &keys[i]));
    }
    for (size_t i = ROOT; i < N_CERTS; i++) {
        make_cert(i);
    }
    return 0;
}

static int free_zoo(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_KEYS; i++) {
        crypto_key_free(keys[i]);
    }
    for (size_t i = 0; i < N_CERTS; i++) {
        crypto_x509_free(certs[i]);
    }
    crypto_free(crypto);
    return 0;
}

static enum crypto_path check(const struct path_case *t, int64_t at_ms, const char **ret_why)
{
    struct crypto_cert *help[4];
    struct crypto_path_query q = {
        .leaf = certs[t->leaf],
        .anchor = certs[t->anchor],
        .intermediates = help,
        .now_ms = at_ms,
        .max_depth = t->max_depth,
    };

    while (q.n_intermediates < 4 && t->help[q.n_intermediates] != NONE) {
        help[q.n_intermediates] = certs[t->help[q.n_intermediates]];
        q.n_intermediates++;
    }
    return crypto_x509_check_path(crypto, &q, ret_why);
}

static void paths(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *why = NULL;
        enum crypto_path outcome = check(&cases[i], now_ms, &why);

        if (outcome != cases[i].outcome) {
            fail_msg("case %zu: %d instead of %d, %s", i, outcome, cases[i].outcome, why);
        }
        assert_non_null(why);
        assert_int_equal(strcmp(why, "ok") == 0, outcome == CRYPTO_PATH_OK);
        assert_int_equal(ERR_peek_error(), 0);
    }
}

/* The first and the last second of a leaf. */
static void dates_are_inclusive(void **state)
{
    static const struct path_case t = { .leaf = DIRECT, .anchor = DIRECT };
    static const int64_t from = now_ms - 10 * DAY_MS, to = now_ms + 10 * DAY_MS;

    (void)state;
    assert_int_equal(check(&t, from - 1000, NULL), CRYPTO_PATH_LEAF_NOT_YET_VALID);
    assert_int_equal(check(&t, from, NULL), CRYPTO_PATH_OK);
    assert_int_equal(check(&t, to - 1000, NULL), CRYPTO_PATH_OK);
    assert_int_equal(check(&t, to + 1000, NULL), CRYPTO_PATH_LEAF_EXPIRED);
}

/* A bit turned over in the signature, or in what was signed. */
static void changed_leaf_has_a_bad_signature(void **state)
{
    uint8_t bytes[2048];
    struct buf der = buf_over(bytes, sizeof(bytes));
    uint8_t *name;

    (void)state;
    assert_ok(crypto_x509_encode(certs[DIRECT], &der));
    name = memmem(bytes, der.len, "leaf", 4);
    assert_non_null(name);
    for (int i = 0; i < 2; i++) {
        AUTO(crypto_cert) struct crypto_cert *changed = NULL;
        struct crypto_path_query q = { .anchor = certs[ROOT], .now_ms = now_ms };
        uint8_t *at = i == 0 ? bytes + der.len - 1 : name;

        *at ^= 1;
        assert_ok(crypto_x509_decode(crypto, buf_span(&der), &changed));
        *at ^= 1;
        q.leaf = changed;
        assert_int_equal(crypto_x509_check_path(crypto, &q, NULL), CRYPTO_PATH_BAD_SIGNATURE);
        assert_false(crypto_x509_is_signed_by(crypto, changed, certs[ROOT]));
    }
}

struct issued_case {
    enum cert_name issuer, cert;
    bool may, is_signed;
};

static const struct issued_case issued_cases[] = {
    { ROOT, DIRECT, true, true },
    { ROOT, ROOT, true, true },
    { ROOT_EXPIRED, DIRECT, true, true },
    { ROOT_FORGED, DIRECT, false, false },
    { ROOT, DIRECT_PRETENDS, true, false },
    { INT1, UNDER_INT1, true, true },
    { INT1_NO_CERTSIGN, UNDER_INT1, true, true },
    { INT1, INT2, true, true },
    { INT2, INT1, false, false },
    { DIRECT, ROOT, false, false },
    { RSA_ROOT, UNDER_RSA_ROOT, true, true },
    { RSA_ROOT, DIRECT, false, false },
};

static void issuers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(issued_cases) / sizeof(issued_cases[0]); i++) {
        const struct issued_case *t = &issued_cases[i];
        const struct crypto_cert *issuer = certs[t->issuer], *cert = certs[t->cert];

        assert_int_equal(crypto_x509_may_have_issued(issuer, cert), t->may);
        assert_int_equal(crypto_x509_is_signed_by(crypto, cert, issuer), t->is_signed);
        assert_int_equal(ERR_peek_error(), 0);
        if (t->may) {
            assert_int_equal(crypto_x509_subject_hash(crypto, issuer),
                             crypto_x509_issuer_hash(crypto, cert));
        }
    }
    assert_true(crypto_x509_subject_hash(crypto, certs[ROOT]) !=
                crypto_x509_subject_hash(crypto, certs[INT1]));
    assert_true(crypto_x509_is_self_issued(certs[ROOT]));
    assert_false(crypto_x509_is_self_issued(certs[INT1]));
    assert_true(crypto_x509_is_ca(certs[ROOT]));
    assert_true(crypto_x509_is_ca(certs[INT1]));
    assert_false(crypto_x509_is_ca(certs[DIRECT]));
    assert_false(crypto_x509_is_ca(certs[SELF_SIGNED]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths),
        cmocka_unit_test(dates_are_inclusive),
        cmocka_unit_test(changed_leaf_has_a_bad_signature),
        cmocka_unit_test(issuers),
    };

    return cmocka_run_group_tests(tests, make_zoo, free_zoo);
}
