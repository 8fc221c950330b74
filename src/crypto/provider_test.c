/* crypto/provider_test.c: everything a device may ask for in a handshake works over the filter:
 * whole TLS handshakes between a serving context and a client with all of OpenSSL, in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include <openssl/ssl.h>

#include "crypto/key.h"
#include "crypto/provider.h"

static const int64_t now_ms = 1700000000000;

enum { N_TYPES = 3 };

static const enum crypto_key_type types[N_TYPES] = { CRYPTO_KEY_EC_P256, CRYPTO_KEY_EC_P384,
                                                     CRYPTO_KEY_RSA_2048 };

/* What one side holds: a key of each type in its own context, and certificates of them. */
struct party {
    struct crypto *crypto;
    struct crypto_cert *ca;
    struct crypto_key *keys[N_TYPES];
    struct crypto_cert *certs[N_TYPES];
};

static struct party server, client;

struct tls_case {
    int version;
    const char *suite;
    const char *groups;
    int group; /* the one agreed on */
    enum crypto_key_type server_type, client_type;
};

/* In TLS 1.2 the curve of a certificate has to be among the groups too. */
#define X25519_FIRST "X25519:P-256:P-384", NID_X25519
#define P256_FIRST   "P-256:P-384", NID_X9_62_prime256v1
#define P384_FIRST   "P-384:P-256", NID_secp384r1
#define NO_GROUP     "P-256", 0

static const struct tls_case tls_cases[] = {
    { TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256", X25519_FIRST, CRYPTO_KEY_EC_P256,
      CRYPTO_KEY_EC_P256 },
    { TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384", P256_FIRST, CRYPTO_KEY_EC_P256,
      CRYPTO_KEY_EC_P384 },
    { TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256", P384_FIRST, CRYPTO_KEY_RSA_2048,
      CRYPTO_KEY_EC_P256 },
    { TLS1_3_VERSION, "TLS_AES_128_CCM_SHA256", P256_FIRST, CRYPTO_KEY_EC_P384,
      CRYPTO_KEY_RSA_2048 },
    { TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384", X25519_FIRST, CRYPTO_KEY_RSA_2048,
      CRYPTO_KEY_RSA_2048 },
    { TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256", X25519_FIRST, CRYPTO_KEY_EC_P256,
      CRYPTO_KEY_EC_P256 },
    { TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384", P256_FIRST, CRYPTO_KEY_EC_P384,
      CRYPTO_KEY_EC_P384 },
    { TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305", P384_FIRST, CRYPTO_KEY_EC_P256,
      CRYPTO_KEY_RSA_2048 },
    { TLS1_2_VERSION, "ECDHE-ECDSA-AES128-CCM8", P256_FIRST, CRYPTO_KEY_EC_P256,
      CRYPTO_KEY_EC_P256 },
    { TLS1_2_VERSION, "ECDHE-RSA-AES128-GCM-SHA256", P256_FIRST, CRYPTO_KEY_RSA_2048,
      CRYPTO_KEY_EC_P256 },
    { TLS1_2_VERSION, "ECDHE-RSA-CHACHA20-POLY1305", X25519_FIRST, CRYPTO_KEY_RSA_2048,
      CRYPTO_KEY_RSA_2048 },
    /* Old stacks. */
    { TLS1_2_VERSION, "ECDHE-RSA-AES256-SHA384", P256_FIRST, CRYPTO_KEY_RSA_2048,
      CRYPTO_KEY_EC_P256 },
    { TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA", P256_FIRST, CRYPTO_KEY_EC_P256,
      CRYPTO_KEY_EC_P256 },
    { TLS1_2_VERSION, "AES128-GCM-SHA256", NO_GROUP, CRYPTO_KEY_RSA_2048, CRYPTO_KEY_RSA_2048 },
};

static void assert_ok(err e)
{
    if (!err_is_ok(e)) {
        fail_msg("%s: %s", err_name(e), err_detail());
    }
}

/* A CA and leaves, made with everything at hand, then brought into the party's context the way
 * berthd does: keys from PEM, certificates from DER. */
static void make_party(enum crypto_profile profile, const char *name, struct party *ret_party)
{
    struct crypto_cert_spec spec = { .common_name = name,
                                     .not_before_ms = now_ms - 1000,
                                     .not_after_ms = now_ms + 86400000,
                                     .is_ca = true,
                                     .path_len = -1,
                                     .key_usage = "critical,keyCertSign",
                                     .serial = { 1 } };
    AUTO(crypto) struct crypto *full = NULL;
    AUTO(crypto_key) struct crypto_key *ca_key = NULL;

    assert_ok(crypto_new(CRYPTO_FULL, &full));
    assert_ok(crypto_new(profile, &ret_party->crypto));
    assert_ok(crypto_key_generate(ret_party->crypto, CRYPTO_KEY_EC_P256, &ca_key));
    assert_ok(crypto_key_issue(ret_party->crypto, &spec, ca_key, NULL, ca_key, &ret_party->ca));
    spec.is_ca = false;
    spec.key_usage = "critical,digitalSignature,keyEncipherment";
    for (size_t i = 0; i < N_TYPES; i++) {
        AUTO(crypto_key) struct crypto_key *key = NULL;
        char text[4096];
        struct buf pem = buf_over(text, sizeof(text));

        spec.serial[15] = (uint8_t)i;
        assert_ok(crypto_key_generate(full, types[i], &key));
        assert_ok(crypto_key_encode_pem(key, &pem));
        assert_ok(crypto_key_decode_pem(ret_party->crypto, buf_span(&pem), &ret_party->keys[i]));
        assert_ok(crypto_key_issue(ret_party->crypto, &spec, ret_party->keys[i], ret_party->ca,
                                   ca_key, &ret_party->certs[i]));
    }
}

static void free_party(struct party *p)
{
    for (size_t i = 0; i < N_TYPES; i++) {
        crypto_key_free(p->keys[i]);
        crypto_x509_free(p->certs[i]);
    }
    crypto_x509_free(p->ca);
    crypto_free(p->crypto);
}

static int make_parties(void **state)
{
    (void)state;
    make_party(CRYPTO_SERVING, "Server CA", &server);
    make_party(CRYPTO_FULL, "Device CA", &client);
    return 0;
}

static int free_parties(void **state)
{
    (void)state;
    free_party(&server);
    free_party(&client);
    return 0;
}

static size_t index_of(enum crypto_key_type type)
{
    size_t i = 0;

    while (types[i] != type) {
        i++;
    }
    return i;
}

/* Who signed a client's certificate is no matter of TLS. */
static int accept_any(int is_ok, X509_STORE_CTX *path)
{
    (void)is_ok, (void)path;
    return 1;
}

static SSL *new_side(const struct party *p, enum crypto_key_type type, const struct tls_case *t)
{
    SSL_CTX *ctx = SSL_CTX_new_ex(crypto_lib_ctx(p->crypto), NULL, TLS_method());
    size_t i = index_of(type);
    SSL *ssl;

    assert_non_null(ctx);
    assert_int_equal(SSL_CTX_use_certificate(ctx, crypto_x509_native(p->certs[i])), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, crypto_key_native(p->keys[i])), 1);
    assert_int_equal(SSL_CTX_check_private_key(ctx), 1);
    assert_int_equal(SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION), 1);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, accept_any);
    ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    if (p == &client) {
        assert_int_equal(SSL_set_min_proto_version(ssl, t->version), 1);
        assert_int_equal(SSL_set_max_proto_version(ssl, t->version), 1);
        assert_int_equal(t->version == TLS1_3_VERSION ? SSL_set_ciphersuites(ssl, t->suite)
                                                      : SSL_set_cipher_list(ssl, t->suite),
                         1);
        assert_int_equal(SSL_set1_groups_list(ssl, t->groups), 1);
        SSL_set_connect_state(ssl);
    } else {
        assert_int_equal(SSL_set_cipher_list(ssl, "ALL:COMPLEMENTOFALL"), 1);
        assert_int_equal(SSL_set_ciphersuites(ssl,
                                              "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:"
                                              "TLS_AES_128_GCM_SHA256:TLS_AES_128_CCM_SHA256"),
                         1);
        SSL_set_accept_state(ssl);
    }
    return ssl;
}

static bool hand_shake(SSL *a, SSL *b)
{
    BIO *at_a, *at_b;

    assert_int_equal(BIO_new_bio_pair(&at_a, 0, &at_b, 0), 1);
    SSL_set_bio(a, at_a, at_a);
    SSL_set_bio(b, at_b, at_b);
    for (int i = 0; i < 10; i++) {
        int done_a = SSL_do_handshake(a);
        int done_b = SSL_do_handshake(b);

        if (done_a == 1 && done_b == 1) {
            return true;
        }
        if (SSL_get_error(b, done_b) == SSL_ERROR_SSL ||
            SSL_get_error(a, done_a) == SSL_ERROR_SSL) {
            return false;
        }
    }
    return false;
}

static void assert_talk(SSL *from, SSL *to)
{
    char text[8] = "";

    assert_int_equal(SSL_write(from, "hello", 5), 5);
    assert_int_equal(SSL_read(to, text, sizeof(text)), 5);
    assert_string_equal(text, "hello");
}

/* The certificate of the handshake, checked in the server's context, is good. */
static void assert_attested(SSL *ssl)
{
    AUTO(crypto_cert) struct crypto_cert *leaf = crypto_x509_adopt(SSL_get0_peer_certificate(ssl));
    AUTO(crypto_cert) struct crypto_cert *anchor = NULL;
    struct crypto_path_query q = { .leaf = leaf, .now_ms = now_ms, .max_depth = 1 };
    uint8_t bytes[2048];
    struct buf der = buf_over(bytes, sizeof(bytes));
    const char *why = NULL;

    assert_non_null(leaf);
    assert_ok(crypto_x509_encode(client.ca, &der));
    assert_ok(crypto_x509_decode(server.crypto, buf_span(&der), &anchor));
    q.anchor = anchor;
    assert_int_equal(crypto_x509_check_path(server.crypto, &q, &why), CRYPTO_PATH_OK);
    assert_string_equal(why, "ok");
}

static void handshakes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(tls_cases) / sizeof(tls_cases[0]); i++) {
        const struct tls_case *t = &tls_cases[i];
        SSL *at_server = new_side(&server, t->server_type, t);
        SSL *at_client = new_side(&client, t->client_type, t);

        if (!hand_shake(at_client, at_server)) {
            (void)crypto_fail("handshake");
            fail_msg("%s, %s: %s", t->suite, t->groups, err_detail());
        }
        assert_string_equal(SSL_CIPHER_get_name(SSL_get_current_cipher(at_server)), t->suite);
        assert_int_equal(SSL_get_negotiated_group(at_server), t->group);
        assert_talk(at_client, at_server);
        assert_talk(at_server, at_client);
        assert_attested(at_server);
        SSL_free(at_client);
        SSL_free(at_server);
    }
}

static void filter_is_in_force_where_wanted(void **state)
{
    (void)state;
    assert_int_equal(crypto_is_filtered(server.crypto), crypto_provider_is_wanted());
    assert_false(crypto_is_filtered(client.crypto));
}

static bool has_digest(const char *name)
{
    EVP_MD *md = EVP_MD_fetch(crypto_lib_ctx(server.crypto), name, NULL);

    EVP_MD_free(md);
    return md != NULL;
}

static bool has_key_kind(const char *name)
{
    EVP_KEYMGMT *kind = EVP_KEYMGMT_fetch(crypto_lib_ctx(server.crypto), name, NULL);

    EVP_KEYMGMT_free(kind);
    return kind != NULL;
}

static void what_is_not_used_is_not_there(void **state)
{
    bool is_filtered = crypto_is_filtered(server.crypto);

    (void)state;
    assert_true(has_digest("SHA256"));
    assert_true(has_digest("SHA1"));
    assert_int_equal(has_digest("MD5"), !is_filtered);
    assert_true(has_key_kind("EC"));
    assert_true(has_key_kind("id-ecPublicKey"));
    assert_true(has_key_kind("X25519"));
    assert_int_equal(has_key_kind("ED25519"), !is_filtered);
    assert_int_equal(has_key_kind("DH"), !is_filtered);
}

/* openssl req -x509 -newkey ed25519 -subj /CN=ed -days 36500: parses, but its key is unknown. */
static const char ed25519_cert[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBMDCB46ADAgECAhQYdA2i+2/PxEX4ESl/P7ohcUS5yzAFBgMrZXAwDTELMAkG\n"
    "A1UEAwwCZWQwIBcNMjYxMTIxMjIyODU0WhgPMjEyNjEwMjgyMjI4NTRaMA0xCzAJ\n"
    "BgNVBAMMAmVkMCowBQYDK2VwAyEAFCT4Er4o6c4MHZcv3+w9nePjsfuXwt6SzgJJ\n"
    "bMKWAeKjUzBRMB0GA1UdDgQWBBQDZQjUSMChWY7OyXVZGmMT2AdopTAfBgNVHSME\n"
    "GDAWgBQDZQjUSMChWY7OyXVZGmMT2AdopTAPBgNVHRMBAf8EBTADAQH/MAUGAytl\n"
    "cANBABU8iWxcmiFKvjmpW1m+ZgaEfcbeMaGvhR8RXvagGHxFuz9bXFisVvTdxWpQ\n"
    "ZZvGfMvPZd/wa6+TkcnwwALmsAo=\n"
    "-----END CERTIFICATE-----\n";

static void unknown_kind_of_key_is_invalid(void **state)
{
    AUTO(crypto_cert) struct crypto_cert *cert = NULL;
    struct crypto_path_query q = { .now_ms = 1900000000000, .max_depth = 1 };
    const char *why = NULL;

    (void)state;
    assert_ok(crypto_x509_decode_any(server.crypto, span_str(ed25519_cert), &cert));
    q.leaf = cert;
    q.anchor = cert;
    assert_int_equal(crypto_x509_check_path(server.crypto, &q, &why),
                     crypto_is_filtered(server.crypto) ? CRYPTO_PATH_INVALID : CRYPTO_PATH_OK);
    assert_int_equal(crypto_x509_is_signed_by(server.crypto, cert, cert),
                     !crypto_is_filtered(server.crypto));
}

/* The fall-back: a context that the filter could not be put into is served all the same. */
static void failing_filter_leaves_the_context_usable(void **state)
{
    OSSL_LIB_CTX *lib = OSSL_LIB_CTX_new();
    OSSL_PROVIDER *provider = NULL;
    EVP_MD *md;

    (void)state;
    assert_int_equal(crypto_provider_load(lib, NULL, &provider).code, ERR_CRYPTO);
    assert_null(provider);
    provider = OSSL_PROVIDER_load(lib, "default");
    assert_non_null(provider);
    md = EVP_MD_fetch(lib, "SHA256", NULL);
    assert_non_null(md);
    EVP_MD_free(md);
    (void)OSSL_PROVIDER_unload(provider);
    OSSL_LIB_CTX_free(lib);
}

/* Each loop makes its own context, all at the same time. */
static void *use_a_context(void *argument)
{
    bool *is_good = argument;
    AUTO(crypto) struct crypto *c = NULL;
    AUTO(crypto_key) struct crypto_key *key = NULL;
    AUTO(crypto_cert) struct crypto_cert *cert = NULL;
    const struct crypto_cert_spec spec = {
        .common_name = "x", .not_before_ms = now_ms, .not_after_ms = now_ms, .path_len = -1
    };

    *is_good = err_is_ok(crypto_new(CRYPTO_SERVING, &c)) &&
               crypto_is_filtered(c) == crypto_provider_is_wanted() &&
               err_is_ok(crypto_key_generate(c, CRYPTO_KEY_EC_P256, &key)) &&
               err_is_ok(crypto_key_issue(c, &spec, key, NULL, key, &cert)) &&
               crypto_x509_is_signed_by(c, cert, cert);
    return NULL;
}

static void contexts_of_several_threads(void **state)
{
    enum { N_THREADS = 8 };
    pthread_t threads[N_THREADS];
    bool is_good[N_THREADS] = { false };

    (void)state;
    for (size_t i = 0; i < N_THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, use_a_context, &is_good[i]), 0);
    }
    for (size_t i = 0; i < N_THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(is_good[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handshakes),
        cmocka_unit_test(contexts_of_several_threads),
        cmocka_unit_test(filter_is_in_force_where_wanted),
        cmocka_unit_test(what_is_not_used_is_not_there),
        cmocka_unit_test(unknown_kind_of_key_is_invalid),
        cmocka_unit_test(failing_filter_leaves_the_context_usable),
    };

    return cmocka_run_group_tests(tests, make_parties, free_parties);
}
