/* remote/fake_hub_test.h: a server over TLS on a thread of its own that answers from a script, for
 * tests: each request must be the script's next, and gets the answer that stands there. */
#ifndef REMOTE_FAKE_HUB_TEST_H
#define REMOTE_FAKE_HUB_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crypto/key.h"

#define FAKE static __attribute__((unused))

enum { FAKE_EXCHANGES = 12, FAKE_TEXT = 64 * 1024 };

/* Instead of an answer. */
#define FAKE_SILENT "(silent)" /* none; the connection stays */
#define FAKE_CLOSE  "(close)"

struct fake_exchange {
    const char *line; /* "GET /devices/d-1": method and path, without the query */
    const char *has;  /* text somewhere in the request; NULL: anything */
    const char *lacks;
    const char *answer; /* status line, headers and body, or what it sends of them before it closes;
                           NULL: the end of the script */
};

struct fake_hub {
    int fd, port;
    SSL_CTX *ctx;
    struct crypto *crypto; /* of what is in ctx */
    pthread_t thread;
    const struct fake_exchange *script;
    atomic_size_t at;
    atomic_size_t connections;
    atomic_bool is_over;
    char problem[512]; /* the first; "" */
    char pem[4096];    /* its certificate */
    char request[FAKE_TEXT];
};

/* Of a body: {"a":1} with status 200. */
#define FAKE_JSON(status, body)                                                                    \
    "HTTP/1.1 " status "\r\nContent-Type: application/json\r\nDate: Sun, 06 Nov 1994 08:49:37 "    \
    "GMT\r\n\r\n" body
#define FAKE_ERROR(status, name, body)                                                             \
    "HTTP/1.1 " status "\r\niothub-errorcode: " name "\r\n\r\n" body

FAKE void fake_pair(struct fake_hub *f, const char *names)
{
    static uint8_t text[16384];
    AUTO(crypto_key) struct crypto_key *key = NULL;
    AUTO(crypto_cert) struct crypto_cert *cert = NULL;
    struct crypto_cert_spec spec = { .common_name = "hub",
                                     .not_before_ms = 1600000000000,
                                     .not_after_ms = 4000000000000,
                                     .path_len = -1,
                                     .subject_alt_name = names };
    struct buf out = buf_over(text, sizeof(text));

    crypto_random(spec.serial, sizeof(spec.serial));
    assert_true(err_is_ok(crypto_new(CRYPTO_FULL, &f->crypto)));
    assert_true(err_is_ok(crypto_key_generate(f->crypto, CRYPTO_KEY_EC_P256, &key)));
    assert_true(err_is_ok(crypto_key_issue(f->crypto, &spec, key, NULL, key, &cert)));
    assert_true(err_is_ok(crypto_x509_encode_pem(cert, &out)));
    (void)snprintf(f->pem, sizeof(f->pem), "%.*s", SPAN_FMT(buf_span(&out)));
    f->ctx = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(f->ctx, crypto_x509_native(cert)), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(f->ctx, crypto_key_native(key)), 1);
}

FAKE void fake_complain(struct fake_hub *f, const char *what, const char *wanted)
{
    if (f->problem[0] == '\0') {
        (void)snprintf(f->problem, sizeof(f->problem), "%s: %.150s, but: %.200s", what, wanted,
                       f->request);
    }
}

/* One request into f->request; false: the client has gone. */
FAKE bool fake_read(struct fake_hub *f, SSL *ssl)
{
    size_t len = 0, need = SIZE_MAX;

    while (len < need && len < sizeof(f->request) - 1) {
        int n = SSL_read(ssl, f->request + len, (int)(sizeof(f->request) - 1 - len));
        const char *end, *length;

        if (n <= 0) {
            return false;
        }
        len += (size_t)n;
        f->request[len] = '\0';
        end = strstr(f->request, "\r\n\r\n");
        length = strcasestr(f->request, "content-length:");
        if (end != NULL) {
            need = (size_t)(end + 4 - f->request) +
                   (length != NULL && length < end ? strtoul(length + 15, NULL, 10) : 0);
        }
    }
    return true;
}

FAKE void fake_expect(struct fake_hub *f, const struct fake_exchange *x)
{
    size_t n = strlen(x->line);

    if (strncmp(f->request, x->line, n) != 0 || (f->request[n] != '?' && f->request[n] != ' ')) {
        fake_complain(f, "expected", x->line);
    }
    if (x->has != NULL && strstr(f->request, x->has) == NULL) {
        fake_complain(f, "lacks", x->has);
    }
    if (x->lacks != NULL && strstr(f->request, x->lacks) != NULL) {
        fake_complain(f, "has", x->lacks);
    }
}

/* The head with its Content-Length, then the body. */
FAKE bool fake_answer(SSL *ssl, const char *answer)
{
    char text[FAKE_TEXT];
    const char *end = strstr(answer, "\r\n\r\n");
    int n;

    if (end == NULL) { /* half an answer */
        (void)SSL_write(ssl, answer, (int)strlen(answer));
        return false;
    }
    n = snprintf(text, sizeof(text), "%.*s\r\nContent-Length: %zu%s", (int)(end - answer), answer,
                 strlen(end + 4), end);
    return SSL_write(ssl, text, n) > 0;
}

FAKE void fake_serve(struct fake_hub *f, SSL *ssl)
{
    bool goes_on = SSL_accept(ssl) == 1;

    while (goes_on && fake_read(f, ssl)) {
        const struct fake_exchange *x = &f->script[atomic_load(&f->at)];

        if (x->answer == NULL) {
            fake_complain(f, "expected", "nothing more");
            return;
        }
        fake_expect(f, x);
        atomic_fetch_add(&f->at, 1);
        if (strcmp(x->answer, FAKE_SILENT) == 0) {
            continue; /* until the client goes */
        }
        goes_on = strcmp(x->answer, FAKE_CLOSE) != 0 && fake_answer(ssl, x->answer);
    }
}

FAKE void *fake_run(void *arg)
{
    struct fake_hub *f = arg;

    for (;;) {
        int fd = accept(f->fd, NULL, NULL);
        SSL *ssl;

        if (fd < 0 || atomic_load(&f->is_over)) {
            return NULL;
        }
        atomic_fetch_add(&f->connections, 1);
        ssl = SSL_new(f->ctx);
        (void)SSL_set_fd(ssl, fd);
        fake_serve(f, ssl);
        (void)SSL_shutdown(ssl);
        SSL_free(ssl);
        (void)close(fd);
    }
}

FAKE void fake_start(struct fake_hub *f, const char *names, const struct fake_exchange *script)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(a);

    (void)signal(SIGPIPE, SIG_IGN);
    memset(f, 0, sizeof(*f));
    fake_pair(f, names);
    f->script = script;
    f->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(f->fd, 8), 0);
    assert_int_equal(getsockname(f->fd, (struct sockaddr *)&a, &len), 0);
    f->port = ntohs(a.sin_port);
    assert_int_equal(pthread_create(&f->thread, NULL, fake_run, f), 0);
}

/* When no client is connected any more. Fails the test if the script was not followed to its end.
 */
FAKE void fake_end(struct fake_hub *f)
{
    atomic_store(&f->is_over, true);
    (void)shutdown(f->fd, SHUT_RDWR);
    assert_int_equal(pthread_join(f->thread, NULL), 0);
    (void)close(f->fd);
    SSL_CTX_free(f->ctx);
    crypto_free(f->crypto);
    assert_string_equal(f->problem, "");
    if (f->script[atomic_load(&f->at)].answer != NULL) {
        fail_msg("not asked: %s", f->script[atomic_load(&f->at)].line);
    }
}

#endif
