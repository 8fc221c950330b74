/* front/tls_test.c: what TLS accepts and offers: any client certificate or none, no resumption,
 * protocol versions, ALPN, the second (RSA) certificate, reload, and files that cannot be used. */
#include "front/kit_test.h"

/* Answers with what it knows of the peer, once, and closes. */
struct peer_surface {
    struct surface s;
};

static void peer_init(struct surface *s, int64_t now_ms)
{
    (void)s;
    (void)now_ms;
}

static enum surface_step peer_step(struct surface *s, struct surface_io *io)
{
    static const char *const leaf_names[] = { "none", "" };
    const struct peer *p = s->peer;
    uint8_t name[128];
    struct buf cn = buf_over(name, sizeof(name));

    if (p->n_chain > 0) {
        assert_true(err_is_ok(crypto_x509_common_name(p->chain[0], &cn)));
    }
    buf_printf(io->out, "%zu %s%.*s%s\n", p->n_chain, leaf_names[p->n_chain > 0], SPAN_FMT(cn),
               p->has_unreadable_chain ? " unreadable" : "");
    assert_true(p->is_loopback);
    assert_int_equal(strncmp(p->address, "127.0.0.1:", 10), 0);
    return SURFACE_CLOSE;
}

static enum surface_step peer_none(struct surface *s, struct surface_io *io)
{
    (void)s;
    (void)io;
    return SURFACE_IDLE;
}

static enum surface_step peer_finish(struct surface *s, struct task *t, struct surface_io *io)
{
    (void)t;
    return peer_none(s, io);
}

static enum surface_step peer_on_signal(struct surface *s, unsigned signals, struct surface_io *io)
{
    (void)signals;
    return peer_none(s, io);
}

static int64_t peer_deadline(const struct surface *s)
{
    (void)s;
    return INT64_MAX;
}

static const struct surface_ops peers = { .name = "peers",
                                          .alpn = "http/1.1",
                                          .size = sizeof(struct peer_surface),
                                          .init = peer_init,
                                          .step = peer_step,
                                          .finish = peer_finish,
                                          .on_signal = peer_on_signal,
                                          .deadline = peer_deadline,
                                          .on_deadline = peer_none,
                                          .closed = peer_none };

static int set_up(void **state)
{
    struct kit *k = calloc(1, sizeof(*k));

    kit_init(k, &peers);
    *state = k;
    return 0;
}

static int tear_down(void **state)
{
    kit_close(*state);
    free(*state);
    return 0;
}

/* ---- who may come ---- */

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

static void test_client_certificates(void **state)
{
    static const struct {
        enum crypto_key_type type;
        const char *cn;
    } cases[] = { { CRYPTO_KEY_EC_P256, "device-1" },
                  { CRYPTO_KEY_EC_P384, "device-384" },
                  { CRYPTO_KEY_RSA_2048, "device-rsa" } };
    struct kit *k = *state;
    char expected[64];

    kit_open(k);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        kit_make_pair(cases[i].cn, cases[i].type, k->files.client_cert, k->files.client_key);
        for (size_t v = 0; v < 2; v++) {
            struct kit_client c;

            kit_client_init(&c);
            kit_client_certify(&c, k->files.client_cert, k->files.client_key);
            assert_int_equal(SSL_CTX_set_min_proto_version(c.ctx, versions[v]), 1);
            assert_int_equal(SSL_CTX_set_max_proto_version(c.ctx, versions[v]), 1);
            assert_true(kit_client_connect(&c, k));
            (void)snprintf(expected, sizeof(expected), "1 %s\n", cases[i].cn);
            kit_expect(&c, expected);
            kit_expect_end(&c, 1000);
            assert_int_equal(SSL_get_shutdown(c.ssl) & SSL_RECEIVED_SHUTDOWN,
                             SSL_RECEIVED_SHUTDOWN);
            kit_client_close(&c);
        }
    }
}

static void test_no_client_certificate(void **state)
{
    struct kit *k = *state;

    kit_open(k);
    for (size_t v = 0; v < 2; v++) {
        struct kit_client c;

        kit_client_init(&c);
        assert_int_equal(SSL_CTX_set_max_proto_version(c.ctx, versions[v]), 1);
        assert_true(kit_client_connect(&c, k));
        kit_expect(&c, "0 none\n");
        kit_client_close(&c);
    }
}

static void test_long_chains(void **state)
{
    static const struct {
        int n_extra;
        const char *expected;
    } cases[] = { { LIMIT_CHAIN_CERTIFICATES - 1, "8 device-1\n" },
                  { LIMIT_CHAIN_CERTIFICATES, "0 none unreadable\n" } };
    struct kit *k = *state;

    kit_open(k);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct kit_client c;

        kit_client_init(&c);
        kit_client_certify(&c, k->files.client_cert, k->files.client_key);
        for (int n = 0; n < cases[i].n_extra; n++) { /* of no meaning, but there */
            assert_int_equal(SSL_CTX_add1_chain_cert(c.ctx, SSL_CTX_get0_certificate(c.ctx)), 1);
        }
        assert_true(kit_client_connect(&c, k));
        kit_expect(&c, cases[i].expected);
        kit_client_close(&c);
    }
}

/* ---- what is offered ---- */

static void test_no_resumption(void **state)
{
    struct kit *k = *state;

    kit_open(k);
    for (size_t v = 0; v < 2; v++) {
        SSL_SESSION *session;
        struct kit_client c;

        kit_client_init(&c);
        assert_int_equal(SSL_CTX_set_max_proto_version(c.ctx, versions[v]), 1);
        assert_true(kit_client_connect(&c, k));
        kit_expect(&c, "0 none\n");
        kit_expect_end(&c, 1000); /* tickets would have come by now */
        session = SSL_get1_session(c.ssl);
        assert_false(SSL_SESSION_has_ticket(session));
        assert_false(SSL_SESSION_is_resumable(session));
        SSL_SESSION_free(session);
        kit_client_close(&c);
    }
}

static void test_old_versions(void **state)
{
    struct kit *k = *state;
    struct kit_client c;

    kit_open(k);
    kit_client_init(&c);
    SSL_CTX_set_security_level(c.ctx, 0);
    assert_int_equal(SSL_CTX_set_min_proto_version(c.ctx, TLS1_1_VERSION), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(c.ctx, TLS1_1_VERSION), 1);
    assert_false(kit_client_connect(&c, k));
    kit_client_close(&c);
    KIT_WAIT_FOR(k->metrics.handshakes_failed == 1);
}

static void test_alpn(void **state)
{
    static const struct {
        const char *offered; /* wire form */
        const char *agreed;
    } cases[] = { { "\x02h2\x08http/1.1", "http/1.1" }, { "\x02h2", "" }, { "\x04mqtt", "" } };
    struct kit *k = *state;

    kit_open(k);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const unsigned char *agreed = NULL;
        unsigned len = 0;
        struct kit_client c;

        kit_client_init(&c);
        assert_int_equal(SSL_CTX_set_alpn_protos(c.ctx, (const unsigned char *)cases[i].offered,
                                                 (unsigned)strlen(cases[i].offered)),
                         0);
        assert_true(kit_client_connect(&c, k));
        SSL_get0_alpn_selected(c.ssl, &agreed, &len);
        assert_true(span_eq(span_of(agreed, len), span_str(cases[i].agreed)));
        kit_client_close(&c);
    }
}

static void test_two_certificates(void **state)
{
    struct kit *k = *state;
    static const struct {
        const char *sigalgs; /* NULL: all */
        int key;
    } cases[] = { { NULL, EVP_PKEY_EC }, { "rsa_pss_rsae_sha256:RSA+SHA256", EVP_PKEY_RSA } };

    kit_make_pair("rsa-server", CRYPTO_KEY_RSA_2048, k->files.rsa_cert, k->files.rsa_key);
    k->config.tls.rsa_cert = k->files.rsa_cert;
    k->config.tls.rsa_key = k->files.rsa_key;
    kit_open(k);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t v = 0; v < 2; v++) {
            struct kit_client c;

            kit_client_init(&c);
            assert_int_equal(SSL_CTX_set_max_proto_version(c.ctx, versions[v]), 1);
            if (cases[i].sigalgs != NULL) {
                assert_int_equal(SSL_CTX_set1_sigalgs_list(c.ctx, cases[i].sigalgs), 1);
            }
            assert_true(kit_client_connect(&c, k));
            assert_int_equal(
                EVP_PKEY_get_base_id(X509_get0_pubkey(SSL_get0_peer_certificate(c.ssl))),
                cases[i].key);
            kit_client_close(&c);
        }
    }
}

/* ---- files ---- */

static void server_name(const struct kit *k, char *ret_name, size_t size)
{
    struct kit_client c;

    kit_client_init(&c);
    assert_true(kit_client_connect(&c, k));
    assert_true(X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_get0_peer_certificate(c.ssl)),
                                          NID_commonName, ret_name, (int)size) > 0);
    kit_client_close(&c);
}

static void test_reload(void **state)
{
    struct kit *k = *state;
    char name[64] = "";
    int64_t until_ms = kit_ms() + 5000;

    k->config.loops = 2;
    kit_open(k);
    server_name(k, name, sizeof(name));
    assert_string_equal(name, "server");

    kit_write(k->files.cert, SPAN("-----BEGIN CERTIFICATE-----\nnonsense\n"));
    assert_true(err_is(front_reload(k->front), ERR_MALFORMED));
    assert_non_null(strstr(err_detail(), k->files.cert));
    server_name(k, name, sizeof(name));
    assert_string_equal(name, "server");

    kit_make_pair("renewed", CRYPTO_KEY_EC_P256, k->files.cert, k->files.key);
    assert_true(err_is_ok(front_reload(k->front)));
    for (int good = 0; good < 8;) { /* both loops */
        server_name(k, name, sizeof(name));
        good = strcmp(name, "renewed") == 0 ? good + 1 : 0;
        assert_true(kit_ms() < until_ms);
    }
}

static void test_unusable_files(void **state)
{
    struct kit *k = *state;
    struct front *f = NULL;

    kit_make_pair("other", CRYPTO_KEY_EC_P256, k->files.rsa_cert, k->files.rsa_key);
    k->config.tls.key = k->files.rsa_key;
    assert_true(err_is(front_open(&k->config, &f), ERR_PRECONDITION));
    assert_non_null(strstr(err_detail(), k->files.rsa_key));
    k->config.tls.key = k->files.cert;
    assert_true(err_is(front_open(&k->config, &f), ERR_MALFORMED));
    k->config.tls.key = "/nowhere/key.pem";
    assert_true(err_is(front_open(&k->config, &f), ERR_NOT_FOUND));
    assert_non_null(strstr(err_detail(), "/nowhere/key.pem"));
    k->config.tls.key = k->files.key;
    k->config.tls.cert = k->files.key;
    assert_true(err_is(front_open(&k->config, &f), ERR_MALFORMED));
    k->config.tls.cert = "/dev/zero";
    assert_true(err_is(front_open(&k->config, &f), ERR_TOO_LARGE));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_client_certificates), TEST(test_no_client_certificate),
        TEST(test_long_chains),         TEST(test_no_resumption),
        TEST(test_old_versions),        TEST(test_alpn),
        TEST(test_two_certificates),    TEST(test_reload),
        TEST(test_unusable_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
