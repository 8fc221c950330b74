/* front/tls.c: the only user of libssl. What every context is made of is in set_up(); its figures
 * are in doc/adr/ and bench/: no tickets, no session cache, no client CA list, ECDSA and X25519
 * first, buffers given back while a connection is idle.
 *
 * SSL and SSL_CTX hide behind front_tls_session and front_tls, which are never defined. */
#include "front/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "crypto/key.h"
#include "model/limits.h"

static const char CIPHERS[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                              "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                              "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
static const char CIPHERS_13[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
static const char GROUPS[] = "X25519:P-256:P-384";

enum { PAIR_EC, PAIR_RSA, PAIRS };

struct pem_file {
    char *path;
    uint8_t *text;
    size_t len;
};

struct pem_pair {
    struct pem_file cert, key;
};

struct front_tls_source {
    atomic_int refs;
    struct pem_pair pairs[PAIRS]; /* path NULL: not given */
};

AUTO_DEFINE(ssl_ctx, SSL_CTX *, SSL_CTX_free)
AUTO_DEFINE(bio, BIO *, BIO_free_all)
AUTO_DEFINE(x509, X509 *, X509_free)

void front_tls_init(void)
{
    (void)OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
}

/* ---- files ---- */

static err fail_file(const char *path)
{
    enum err_code code = errno == ENOENT                     ? ERR_NOT_FOUND
                         : errno == EACCES || errno == EPERM ? ERR_DENIED
                                                             : ERR_IO;

    return err_set(code, "%s: %s", path, strerror(errno));
}

static err read_all(int fd, struct pem_file *f)
{
    while (f->len < LIMIT_PEM_FILE) {
        ssize_t n = read(fd, f->text + f->len, LIMIT_PEM_FILE - f->len);

        if (n == 0) {
            return OK;
        }
        if (n < 0 && errno != EINTR) {
            return fail_file(f->path);
        }
        f->len += n > 0 ? (size_t)n : 0;
    }
    return err_set(ERR_TOO_LARGE, "%s: larger than %d bytes", f->path, LIMIT_PEM_FILE);
}

static err read_file(const char *path, struct pem_file *ret_file)
{
    int fd;
    err result;

    ret_file->path = strdup(path);
    ret_file->text = malloc(LIMIT_PEM_FILE);
    if (ret_file->path == NULL || ret_file->text == NULL) {
        return ERR(NOMEM);
    }
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return fail_file(path);
    }
    result = read_all(fd, ret_file);
    (void)close(fd);
    return result;
}

static void drop_file(struct pem_file *f)
{
    if (f->text != NULL) {
        crypto_wipe(f->text, LIMIT_PEM_FILE);
    }
    free(f->text);
    free(f->path);
}

err front_tls_source_load(const struct front_tls_files *files, struct front_tls_source **ret_source)
{
    AUTO(front_tls_source) struct front_tls_source *s = calloc(1, sizeof(*s));

    if (s == NULL) {
        return ERR(NOMEM);
    }
    atomic_init(&s->refs, 1);
    TRY(read_file(files->cert, &s->pairs[PAIR_EC].cert));
    TRY(read_file(files->key, &s->pairs[PAIR_EC].key));
    if (files->rsa_cert != NULL) {
        TRY(read_file(files->rsa_cert, &s->pairs[PAIR_RSA].cert));
        TRY(read_file(files->rsa_key, &s->pairs[PAIR_RSA].key));
    }
    *ret_source = s;
    s = NULL;
    return OK;
}

struct front_tls_source *front_tls_source_ref(struct front_tls_source *s)
{
    (void)atomic_fetch_add(&s->refs, 1);
    return s;
}

void front_tls_source_free(struct front_tls_source *s)
{
    if (s == NULL || atomic_fetch_sub(&s->refs, 1) != 1) {
        return;
    }
    for (int i = 0; i < PAIRS; i++) {
        drop_file(&s->pairs[i].cert);
        drop_file(&s->pairs[i].key);
    }
    free(s);
}

/* ---- context ---- */

static SSL_CTX *ctx_of(struct front_tls *t)
{
    return (SSL_CTX *)t;
}

static SSL *ssl_of(const struct front_tls_session *s)
{
    union {
        const struct front_tls_session *in;
        SSL *out;
    } cast = { .in = s }; /* libssl has no const on calls that change nothing */

    return cast.out;
}

/* The next certificate of a PEM; NULL at the end, *ret_bad when something else stands there. */
static X509 *next_certificate(struct crypto *c, BIO *pem, bool *ret_bad)
{
    X509 *x = X509_new_ex(crypto_lib_ctx(c), NULL);
    unsigned long why;

    if (x != NULL && PEM_read_bio_X509(pem, &x, NULL, NULL) != NULL) {
        return x;
    }
    why = ERR_peek_last_error();
    *ret_bad = ERR_GET_LIB(why) != ERR_LIB_PEM || ERR_GET_REASON(why) != PEM_R_NO_START_LINE;
    ERR_clear_error();
    X509_free(x);
    return NULL;
}

static err use_certificates(struct crypto *c, SSL_CTX *ctx, const struct pem_file *f)
{
    AUTO(bio) BIO *pem = BIO_new_mem_buf(f->text, (int)f->len);
    bool is_bad = false;
    int n = 0;

    if (pem == NULL) {
        return ERR(NOMEM);
    }
    for (;; n++) {
        AUTO(x509) X509 *x = next_certificate(c, pem, &is_bad);

        if (x == NULL) {
            break;
        }
        /* The first names the key's certificate and empties its chain. */
        if ((n == 0 ? SSL_CTX_use_certificate(ctx, x) : SSL_CTX_add1_chain_cert(ctx, x)) != 1) {
            (void)crypto_fail("certificate");
            return err_set(ERR_UNSUPPORTED, "%s: cannot be used as the server's certificate",
                           f->path);
        }
    }
    return n > 0 && !is_bad ? OK
                            : err_set(ERR_MALFORMED, "%s: not a PEM file of certificates", f->path);
}

static err use_key(struct crypto *c, SSL_CTX *ctx, const struct pem_pair *pair)
{
    AUTO(crypto_key) struct crypto_key *key = NULL;
    err e = crypto_key_decode_pem(c, span_of(pair->key.text, pair->key.len), &key);

    if (!err_is_ok(e)) {
        return err_set(e.code, "%s: not a PEM private key without a password", pair->key.path);
    }
    if (SSL_CTX_use_PrivateKey(ctx, crypto_key_native(key)) != 1 ||
        SSL_CTX_check_private_key(ctx) != 1) {
        (void)crypto_fail("private key");
        return err_set(ERR_PRECONDITION, "%s: not the private key of the certificate in %s",
                       pair->key.path, pair->cert.path);
    }
    return OK;
}

/* Whoever signed it: attest/ judges, by enrollment. */
static int accept_any(X509_STORE_CTX *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return 1;
}

/* Agrees to the session's protocol where it is offered; goes on without where it is not. */
static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                       const unsigned char *in, unsigned in_len, void *arg)
{
    struct span ours = span_str(SSL_get_app_data(ssl));

    (void)arg;
    for (unsigned at = 0; at < in_len && in_len - at > in[at]; at += 1u + in[at]) {
        if (span_eq(ours, span_of(in + at + 1, in[at]))) {
            *out = in + at + 1;
            *out_len = in[at];
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_NOACK;
}

static err set_up(SSL_CTX *ctx)
{
    const uint64_t options = SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
                             SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                             SSL_OP_IGNORE_UNEXPECTED_EOF;
    const uint32_t modes = SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                           SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER;

    (void)SSL_CTX_set_options(ctx, options);
    (void)SSL_CTX_set_mode(ctx, modes);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_max_cert_list(ctx, LIMIT_CHAIN_CERTIFICATES * LIMIT_CERTIFICATE_DER);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, accept_any, NULL);
    SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, NULL);
    if (SSL_CTX_set_num_tickets(ctx, 0) != 1 ||
        SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(ctx, CIPHERS) != 1 ||
        SSL_CTX_set_ciphersuites(ctx, CIPHERS_13) != 1 ||
        SSL_CTX_set1_groups_list(ctx, GROUPS) != 1) {
        return crypto_fail("TLS context");
    }
    return OK;
}

err front_tls_new(struct crypto *c, const struct front_tls_source *s, struct front_tls **ret_tls)
{
    AUTO(ssl_ctx) SSL_CTX *ctx = SSL_CTX_new_ex(crypto_lib_ctx(c), NULL, TLS_server_method());

    if (ctx == NULL) {
        return crypto_fail("TLS context");
    }
    TRY(set_up(ctx));
    for (int i = 0; i < PAIRS; i++) {
        if (s->pairs[i].cert.path != NULL) {
            TRY(use_certificates(c, ctx, &s->pairs[i].cert));
            TRY(use_key(c, ctx, &s->pairs[i]));
        }
    }
    *ret_tls = (struct front_tls *)ctx;
    ctx = NULL;
    return OK;
}

void front_tls_free(struct front_tls *t)
{
    SSL_CTX_free(ctx_of(t));
}

/* ---- session ---- */

err front_tls_session_new(struct front_tls *t, int fd, const char *alpn,
                          struct front_tls_session **ret_session)
{
    SSL *ssl = SSL_new(ctx_of(t));
    union {
        const char *in;
        void *out;
    } cast = { .in = alpn };

    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1 || SSL_set_app_data(ssl, cast.out) != 1) {
        SSL_free(ssl);
        ERR_clear_error();
        return ERR(NOMEM);
    }
    SSL_set_accept_state(ssl);
    *ret_session = (struct front_tls_session *)ssl;
    return OK;
}

void front_tls_session_free(struct front_tls_session *s)
{
    SSL_free(ssl_of(s));
}

static _Thread_local unsigned long last_failure;

static enum front_tls_result result_of(SSL *ssl, int ret)
{
    switch (SSL_get_error(ssl, ret)) {
    case SSL_ERROR_NONE:
        return FRONT_TLS_OK;
    case SSL_ERROR_WANT_READ:
        return FRONT_TLS_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return FRONT_TLS_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return FRONT_TLS_CLOSED;
    default:
        last_failure = ERR_peek_error();
        ERR_clear_error();
        return FRONT_TLS_FAILED;
    }
}

const char *front_tls_why(void)
{
    const char *words = last_failure != 0 ? ERR_reason_error_string(last_failure) : NULL;

    return words != NULL ? words : "";
}

enum front_tls_result front_tls_handshake(struct front_tls_session *s)
{
    ERR_clear_error(); /* SSL_get_error looks at the thread's queue */
    return result_of(ssl_of(s), SSL_accept(ssl_of(s)));
}

enum front_tls_result front_tls_read(struct front_tls_session *s, void *data, size_t len,
                                     size_t *ret_n)
{
    ERR_clear_error();
    return result_of(ssl_of(s), SSL_read_ex(ssl_of(s), data, len, ret_n));
}

enum front_tls_result front_tls_write(struct front_tls_session *s, const void *data, size_t len,
                                      size_t *ret_n)
{
    ERR_clear_error();
    return result_of(ssl_of(s), SSL_write_ex(ssl_of(s), data, len, ret_n));
}

bool front_tls_has_pending(const struct front_tls_session *s)
{
    return SSL_has_pending(ssl_of(s)) == 1;
}

void front_tls_close_notify(struct front_tls_session *s)
{
    ERR_clear_error();
    (void)SSL_shutdown(ssl_of(s));
    ERR_clear_error();
}

static bool is_oversize(const X509 *x)
{
    return i2d_X509(x, NULL) > LIMIT_CERTIFICATE_DER;
}

static bool is_within_limits(const X509 *leaf, const STACK_OF(X509) * rest, int n_rest)
{
    bool is_fine = n_rest < LIMIT_CHAIN_CERTIFICATES && !is_oversize(leaf);

    for (int i = 0; is_fine && i < n_rest; i++) {
        is_fine = !is_oversize(sk_X509_value(rest, i));
    }
    return is_fine;
}

err front_tls_peer_chain(const struct front_tls_session *s, struct crypto_cert ***ret_chain,
                         size_t *ret_n, bool *ret_unreadable)
{
    /* On the server's side the chain comes without its leaf. */
    X509 *leaf = SSL_get0_peer_certificate(ssl_of(s));
    const STACK_OF(X509) *rest = SSL_get_peer_cert_chain(ssl_of(s));
    int n_rest = rest != NULL ? sk_X509_num(rest) : 0;
    struct crypto_cert **chain;

    *ret_chain = NULL;
    *ret_n = 0;
    *ret_unreadable = false;
    if (leaf == NULL) {
        return OK;
    }
    if (!is_within_limits(leaf, rest, n_rest)) {
        *ret_unreadable = true;
        return OK;
    }
    chain = malloc((size_t)(n_rest + 1) * sizeof(struct crypto_cert *));
    if (chain == NULL) {
        return ERR(NOMEM);
    }
    chain[0] = crypto_x509_adopt(leaf);
    for (int i = 0; i < n_rest; i++) {
        chain[i + 1] = crypto_x509_adopt(sk_X509_value(rest, i));
    }
    *ret_chain = chain;
    *ret_n = (size_t)n_rest + 1;
    return OK;
}
