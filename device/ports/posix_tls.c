/* device/ports/posix_tls.c: sockets, poll and OpenSSL. One connection owns a library context of
 * its own, so that connections of several threads share nothing. */
#include "posix_tls.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"

AUTO_DEFINE(bio, BIO *, BIO_free_all)
AUTO_DEFINE(x509, X509 *, X509_free)
AUTO_DEFINE(pkey, EVP_PKEY *, EVP_PKEY_free)

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static err fail_openssl(enum err_code code, const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_error());

    ERR_clear_error();
    return err_set(code, "%s: %s", what, reason ? reason : "connection closed");
}

static err wait_for(int fd, short events, int64_t deadline_ms)
{
    for (;;) {
        struct pollfd p = { .fd = fd, .events = events };
        int64_t left = deadline_ms - now_ms();
        int n = poll(&p, 1, left > 0 ? (int)left : 0);

        if (n > 0) {
            return OK;
        }
        if (n == 0) {
            return ERR(TIMEOUT);
        }
        if (errno != EINTR) {
            return ERR(IO);
        }
    }
}

static err connect_one(const struct addrinfo *at, int64_t deadline_ms, int *ret_fd)
{
    int fd = socket(at->ai_family, at->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, at->ai_protocol);
    int on = 1, fault = 0;
    socklen_t len = sizeof(fault);
    err e = OK;

    if (fd < 0) {
        return ERR(IO);
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd, at->ai_addr, at->ai_addrlen) != 0) {
        e = errno == EINPROGRESS ? wait_for(fd, POLLOUT, deadline_ms) : ERR(IO);
        if (err_is_ok(e) &&
            (getsockopt(fd, SOL_SOCKET, SO_ERROR, &fault, &len) != 0 || fault != 0)) {
            errno = fault;
            e = ERR(IO);
        }
    }
    if (!err_is_ok(e)) {
        int saved = errno;

        (void)close(fd);
        errno = saved;
        return e;
    }
    *ret_fd = fd;
    return OK;
}

static err connect_to(const struct berth_tls_config *config, int64_t deadline_ms, int *ret_fd)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
    const char *address = config->address ? config->address : config->host;
    char port[8];
    int fault;
    err e = ERR(IO);

    (void)snprintf(port, sizeof(port), "%d", config->port);
    fault = getaddrinfo(address, port, &hints, &list);
    if (fault != 0) {
        return err_set(ERR_IO, "cannot find %s: %s", address, gai_strerror(fault));
    }
    for (struct addrinfo *at = list; at != NULL && !err_is_ok(e); at = at->ai_next) {
        e = connect_one(at, deadline_ms, ret_fd);
    }
    freeaddrinfo(list);
    return err_is_ok(e) ? OK
                        : err_set(e.code, "cannot connect to %s:%d: %s", address, config->port,
                                  err_is(e, ERR_TIMEOUT) ? "no answer" : strerror(errno));
}

static err use_chain(SSL_CTX *context, struct span pem)
{
    AUTO(bio) BIO *in = BIO_new_mem_buf(pem.data, (int)pem.len);
    AUTO(x509) X509 *leaf = in ? PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;
    X509 *next;

    if (leaf == NULL || SSL_CTX_use_certificate(context, leaf) != 1) {
        return fail_openssl(ERR_MALFORMED, "the device certificate cannot be used");
    }
    while ((next = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL) {
        if (SSL_CTX_add0_chain_cert(context, next) != 1) {
            X509_free(next);
            return fail_openssl(ERR_MALFORMED, "the device's chain cannot be used");
        }
    }
    ERR_clear_error(); /* the end of the file */
    return OK;
}

static err use_key(SSL_CTX *context, struct span pem)
{
    AUTO(bio) BIO *in = BIO_new_mem_buf(pem.data, (int)pem.len);
    AUTO(pkey) EVP_PKEY *key = in ? PEM_read_bio_PrivateKey(in, NULL, NULL, NULL) : NULL;

    if (key == NULL || SSL_CTX_use_PrivateKey(context, key) != 1 ||
        SSL_CTX_check_private_key(context) != 1) {
        return fail_openssl(ERR_MALFORMED, "the device's key cannot be used with its certificate");
    }
    return OK;
}

static err make_context(struct berth_tls *tls, const struct berth_tls_config *config)
{
    tls->library_ = OSSL_LIB_CTX_new();
    tls->context_ = tls->library_ ? SSL_CTX_new_ex(tls->library_, NULL, TLS_client_method()) : NULL;
    if (tls->context_ == NULL) {
        return fail_openssl(ERR_CRYPTO, "TLS cannot be started");
    }
    (void)SSL_CTX_set_min_proto_version(tls->context_, TLS1_2_VERSION);
    SSL_CTX_set_verify(tls->context_, SSL_VERIFY_PEER, NULL);
    if (config->ca_file != NULL
            ? SSL_CTX_load_verify_locations(tls->context_, config->ca_file, NULL) != 1
            : SSL_CTX_set_default_verify_paths(tls->context_) != 1) {
        return fail_openssl(ERR_CRYPTO, config->ca_file ? config->ca_file : "the system's trust");
    }
    if (!span_is_absent(config->chain_pem)) {
        TRY(use_chain(tls->context_, config->chain_pem));
        TRY(use_key(tls->context_, config->key_pem));
    }
    tls->ssl_ = SSL_new(tls->context_);
    if (tls->ssl_ == NULL || SSL_set_fd(tls->ssl_, tls->fd_) != 1 ||
        SSL_set_tlsext_host_name(tls->ssl_, config->host) != 1 ||
        SSL_set1_host(tls->ssl_, config->host) != 1) {
        return fail_openssl(ERR_CRYPTO, "TLS cannot be started");
    }
    return OK;
}

/* After an SSL call that gave n <= 0: waits until it is worth another try, or says why not. */
static err wait_again(struct berth_tls *tls, int n, int64_t deadline_ms)
{
    switch (SSL_get_error(tls->ssl_, n)) {
    case SSL_ERROR_WANT_READ:
        return wait_for(tls->fd_, POLLIN, deadline_ms);
    case SSL_ERROR_WANT_WRITE:
        return wait_for(tls->fd_, POLLOUT, deadline_ms);
    case SSL_ERROR_ZERO_RETURN:
        return ERR(CLOSED);
    case SSL_ERROR_SYSCALL:
        return err_set(ERR_CLOSED, "the connection was cut");
    default:
        if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
            ERR_clear_error();
            return err_set(ERR_CLOSED, "the connection was cut");
        }
        return fail_openssl(ERR_IO, "TLS failed");
    }
}

static err handshake(struct berth_tls *tls, const struct berth_tls_config *config,
                     int64_t deadline_ms)
{
    int n;

    while ((n = SSL_connect(tls->ssl_)) != 1) {
        err e = wait_again(tls, n, deadline_ms);
        long verdict = SSL_get_verify_result(tls->ssl_);

        if (verdict != X509_V_OK) {
            return err_set(ERR_DENIED, "the server at %s cannot be trusted as %s: %s",
                           config->address ? config->address : config->host, config->host,
                           X509_verify_cert_error_string(verdict));
        }
        if (err_is(e, ERR_TIMEOUT)) {
            return err_set(ERR_TIMEOUT, "no answer to the TLS handshake");
        }
        TRY(e);
    }
    return OK;
}

static err open_all(struct berth_tls *tls, const struct berth_tls_config *config)
{
    int64_t deadline_ms = now_ms() + config->timeout_ms;

    ERR_clear_error();
    TRY(connect_to(config, deadline_ms, &tls->fd_));
    TRY(make_context(tls, config));
    return handshake(tls, config, deadline_ms);
}

err berth_tls_open(struct berth_tls *tls, const struct berth_tls_config *config)
{
    err e;

    *tls = (struct berth_tls){ .fd_ = -1, .timeout_ms_ = config->timeout_ms };
    e = open_all(tls, config);
    if (!err_is_ok(e)) {
        berth_tls_close(tls);
    }
    return e;
}

void berth_tls_close(struct berth_tls *tls)
{
    if (tls->ssl_ != NULL && SSL_is_init_finished(tls->ssl_)) {
        (void)SSL_shutdown(tls->ssl_);
    }
    ERR_clear_error();
    SSL_free(tls->ssl_);
    SSL_CTX_free(tls->context_);
    OSSL_LIB_CTX_free(tls->library_);
    if (tls->fd_ >= 0) {
        (void)close(tls->fd_);
    }
    *tls = (struct berth_tls){ .fd_ = -1 };
}

err berth_tls_write(struct berth_tls *tls, struct span bytes)
{
    int64_t deadline_ms = now_ms() + tls->timeout_ms_;

    while (bytes.len > 0) {
        int n = SSL_write(tls->ssl_, bytes.data, (int)bytes.len);

        if (n > 0) {
            bytes = span_from(bytes, (size_t)n);
        } else {
            TRY(wait_again(tls, n, deadline_ms));
        }
    }
    return OK;
}

err berth_tls_read(struct berth_tls *tls, void *out, size_t size, int timeout_ms, size_t *ret_len)
{
    int64_t deadline_ms = now_ms() + timeout_ms;

    for (;;) {
        int n = SSL_read(tls->ssl_, out, (int)size);

        if (n > 0) {
            *ret_len = (size_t)n;
            return OK;
        }
        TRY(wait_again(tls, n, deadline_ms));
    }
}
