/* front/tls.h: TLS 1.2 and 1.3 on a non-blocking socket, server side. Asks for a client certificate
 * and accepts whoever signed it: the handshake proves possession of the key, who is trusted is
 * decided in attest/. */
#ifndef FRONT_TLS_H
#define FRONT_TLS_H

#include "crypto/x509.h"

/* Keeps libssl and libcrypto from reading OpenSSL's configuration file. To be called before any
 * other use of either in the process. */
void front_tls_init(void);

/* The server's certificates as the files held them at one moment: immutable, shared by all loops,
 * counted. */
struct front_tls_source;
struct front_tls_files {
    const char *cert, *key;         /* PEM: leaf, then its intermediates; unencrypted key */
    const char *rsa_cert, *rsa_key; /* for peers without ECDSA; NULL: none */
};
/* ERR_IO, ERR_NOT_FOUND, ERR_DENIED, ERR_TOO_LARGE: err_detail names the file. What is in it is
 * judged by front_tls_new. */
err front_tls_source_load(const struct front_tls_files *files,
                          struct front_tls_source **ret_source);
struct front_tls_source *front_tls_source_ref(struct front_tls_source *s);
void front_tls_source_free(struct front_tls_source *s);
AUTO_DEFINE(front_tls_source, struct front_tls_source *, front_tls_source_free)

/* One loop's context; `c` must outlive it and its sessions. ERR_MALFORMED (a file that is no
 * certificate or key), ERR_UNSUPPORTED (key of another kind), ERR_PRECONDITION (key and certificate
 * do not belong together), ERR_CRYPTO: err_detail names the file. */
struct front_tls;
err front_tls_new(struct crypto *c, const struct front_tls_source *s, struct front_tls **ret_tls);
/* Sessions made with it live on. NULL-safe. */
void front_tls_free(struct front_tls *t);
AUTO_DEFINE(front_tls, struct front_tls *, front_tls_free)

/* One connection. `alpn`: the one protocol to agree to, or NULL; must outlive the session. The
 * socket stays the caller's. ERR_NOMEM. */
struct front_tls_session;
err front_tls_session_new(struct front_tls *t, int fd, const char *alpn,
                          struct front_tls_session **ret_session);
void front_tls_session_free(struct front_tls_session *s);

enum front_tls_result {
    FRONT_TLS_OK,
    FRONT_TLS_WANT_READ,  /* call again when the socket is readable */
    FRONT_TLS_WANT_WRITE, /* … writable */
    FRONT_TLS_CLOSED,     /* the peer ended the connection */
    FRONT_TLS_FAILED,     /* an alert was sent, or the socket broke */
};
enum front_tls_result front_tls_handshake(struct front_tls_session *s);
/* OK: *ret_n > 0. One record at most: ask front_tls_has_pending before waiting for the socket. */
enum front_tls_result front_tls_read(struct front_tls_session *s, void *data, size_t len,
                                     size_t *ret_n);
/* OK: *ret_n > 0, perhaps fewer than len. After WANT_WRITE the same bytes must come again, from any
 * address. */
enum front_tls_result front_tls_write(struct front_tls_session *s, const void *data, size_t len,
                                      size_t *ret_n);
bool front_tls_has_pending(const struct front_tls_session *s);
/* Sends close_notify, if it can be sent at once. Not after FAILED. */
void front_tls_close_notify(struct front_tls_session *s);
/* Why the last call on this thread FAILED: OpenSSL's words, or "". For the log. */
const char *front_tls_why(void);

/* The peer's chain, leaf first: *ret_chain is malloc'ed (NULL when there is none), its members are
 * the caller's to free. *ret_unreadable: beyond LIMIT_CHAIN_CERTIFICATES or LIMIT_CERTIFICATE_DER;
 * then the chain is empty. ERR_NOMEM. */
err front_tls_peer_chain(const struct front_tls_session *s, struct crypto_cert ***ret_chain,
                         size_t *ret_n, bool *ret_unreadable);

#endif
