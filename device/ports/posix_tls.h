/* device/ports/posix_tls.h: a TLS connection for a device on a POSIX system, over OpenSSL:
 * blocking, with time limits. The one place where the device library's clients meet sockets and
 * clocks; an embedded port has a file of its own instead. */
#ifndef BERTH_POSIX_TLS_H
#define BERTH_POSIX_TLS_H

#include "util/err.h"
#include "util/span.h"

struct ossl_lib_ctx_st;
struct ssl_ctx_st;
struct ssl_st;

/* The caller's memory; its members are posix_tls.c's. */
struct berth_tls {
    int fd_, timeout_ms_;
    struct ossl_lib_ctx_st *library_;
    struct ssl_ctx_st *context_;
    struct ssl_st *ssl_;
};

/* Texts are borrowed for the call only. */
struct berth_tls_config {
    const char *host;    /* checked against the server's certificate; SNI */
    const char *address; /* connect here instead; NULL: the host */
    int port;
    const char *ca_file; /* NULL: the system's trust */
    /* PEM: the device's certificate with its intermediates behind it, and its key; absent: none. */
    struct span chain_pem, key_pem;
    int timeout_ms; /* for connecting and the handshake, and for each write */
};

/* ERR_IO, ERR_TIMEOUT, ERR_DENIED (the server's certificate is not trusted), ERR_MALFORMED (chain
 * or key), ERR_CRYPTO; err_detail has a sentence. Only what was opened is to be closed. */
err berth_tls_open(struct berth_tls *tls, const struct berth_tls_config *config);
void berth_tls_close(struct berth_tls *tls);
/* All of it. ERR_IO, ERR_TIMEOUT, ERR_CLOSED. */
err berth_tls_write(struct berth_tls *tls, struct span bytes);
/* What is there, at most `size`; waits timeout_ms for the first byte. ERR_TIMEOUT: nothing came;
 * ERR_CLOSED: the server ended the connection; ERR_IO. */
err berth_tls_read(struct berth_tls *tls, void *out, size_t size, int timeout_ms, size_t *ret_len);

#endif
