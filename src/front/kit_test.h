/* front/kit_test.h: for this folder's tests: certificates, a front on loopback with a small surface
 * of lines, and a blocking TLS client. */
#ifndef FRONT_KIT_TEST_H
#define FRONT_KIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "api/metrics.h"
#include "crypto/key.h"
#include "front/front.h"

#define KIT __attribute__((unused)) static

KIT int64_t kit_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

KIT void kit_sleep_ms(int64_t ms)
{
    (void)usleep((useconds_t)ms * 1000);
}

/* ---- certificates, made anew at each run ---- */

enum { KIT_PATH = 128 };

struct kit_files {
    char dir[KIT_PATH - 32];
    char cert[KIT_PATH], key[KIT_PATH], rsa_cert[KIT_PATH], rsa_key[KIT_PATH];
    char client_cert[KIT_PATH], client_key[KIT_PATH];
};

KIT void kit_write(const char *path, struct span text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(text.data, 1, text.len, f), text.len);
    assert_int_equal(fclose(f), 0);
}

/* A self-signed certificate `cn` and its key. */
KIT void kit_make_pair(const char *cn, enum crypto_key_type type, const char *cert_path,
                       const char *key_path)
{
    static uint8_t text[16384];
    AUTO(crypto) struct crypto *c = NULL;
    AUTO(crypto_key) struct crypto_key *key = NULL;
    AUTO(crypto_cert) struct crypto_cert *cert = NULL;
    struct crypto_cert_spec spec = { .common_name = cn,
                                     .not_before_ms = 1600000000000,
                                     .not_after_ms = 4000000000000,
                                     .path_len = -1,
                                     .subject_alt_name = "DNS:localhost,IP:127.0.0.1" };
    struct buf out;

    crypto_random(spec.serial, sizeof(spec.serial));
    assert_true(err_is_ok(crypto_new(CRYPTO_FULL, &c)));
    assert_true(err_is_ok(crypto_key_generate(c, type, &key)));
    assert_true(err_is_ok(crypto_key_issue(c, &spec, key, NULL, key, &cert)));
    out = buf_over(text, sizeof(text));
    assert_true(err_is_ok(crypto_x509_encode_pem(cert, &out)));
    kit_write(cert_path, buf_span(&out));
    out = buf_over(text, sizeof(text));
    assert_true(err_is_ok(crypto_key_encode_pem(key, &out)));
    kit_write(key_path, buf_span(&out));
}

KIT void kit_make_files(struct kit_files *f)
{
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/berth-front-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->cert, KIT_PATH, "%s/server.pem", f->dir);
    (void)snprintf(f->key, KIT_PATH, "%s/server.key", f->dir);
    (void)snprintf(f->rsa_cert, KIT_PATH, "%s/rsa.pem", f->dir);
    (void)snprintf(f->rsa_key, KIT_PATH, "%s/rsa.key", f->dir);
    (void)snprintf(f->client_cert, KIT_PATH, "%s/client.pem", f->dir);
    (void)snprintf(f->client_key, KIT_PATH, "%s/client.key", f->dir);
    kit_make_pair("server", CRYPTO_KEY_EC_P256, f->cert, f->key);
    kit_make_pair("device-1", CRYPTO_KEY_EC_P256, f->client_cert, f->client_key);
}

KIT void kit_remove_files(const struct kit_files *f)
{
    const char *const paths[] = { f->cert,    f->key,         f->rsa_cert,
                                  f->rsa_key, f->client_cert, f->client_key };

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        (void)unlink(paths[i]);
    }
    (void)rmdir(f->dir);
}

/* ---- a front ---- */

struct kit {
    struct kit_files files;
    struct metrics metrics;
    struct service service;
    struct front_endpoint endpoint;
    struct front_config config;
    struct front *front;
    atomic_int events, accesses;
    int port;
};

KIT void kit_on_event(void *arg, enum front_event_level level, const char *event, const char *text)
{
    struct kit *k = arg;

    (void)event;
    (void)text;
    if (level > FRONT_DEBUG) {
        (void)atomic_fetch_add(&k->events, 1);
    }
}

KIT void kit_on_access(void *arg, const struct front_access *a)
{
    struct kit *k = arg;

    assert_true(a->duration_us >= 0);
    (void)atomic_fetch_add(&k->accesses, 1);
}

/* Everything but k->front; k->config and k->endpoint may be changed before kit_open. */
KIT void kit_init(struct kit *k, const struct surface_ops *surface)
{
    *k = (struct kit){ 0 };
    front_init();
    kit_make_files(&k->files);
    assert_true(err_is_ok(sink_mem_open(&k->service.sink)));
    k->service.metrics = &k->metrics;
    k->service.version = "test";
    k->service.is_draining = front_is_draining;
    k->endpoint = (struct front_endpoint){ .surface = surface,
                                           .transport = TRANSPORT_HTTP,
                                           .address = "127.0.0.1",
                                           .option = "https-port",
                                           .instead = 8443 };
    k->config = (struct front_config){ .service = &k->service,
                                       .endpoints = &k->endpoint,
                                       .n_endpoints = 1,
                                       .tls = { .cert = k->files.cert, .key = k->files.key },
                                       .limits = FRONT_LIMITS_DEFAULT,
                                       .loops = 1,
                                       .workers = 2,
                                       .on_access = kit_on_access,
                                       .on_event = kit_on_event,
                                       .arg = k };
    k->config.limits.linger_ms = 100;
    k->config.limits.drain_ms = 500;
}

KIT void kit_open(struct kit *k)
{
    err e = front_open(&k->config, &k->front);

    if (!err_is_ok(e)) {
        fail_msg("front_open: %s: %s", err_name(e), err_detail());
    }
    k->port = front_port(k->front, 0);
    assert_true(k->port > 0);
}

KIT void kit_close(struct kit *k)
{
    if (k->front != NULL) {
        front_drain(k->front);
        assert_true(err_is_ok(front_join(k->front)));
    }
    sink_close(k->service.sink);
    front_free(k->front);
    assert_int_equal(k->metrics.connections_open, 0);
    assert_int_equal(k->metrics.handshakes_in_flight, 0);
    assert_int_equal(k->metrics.tasks_in_flight, 0);
    kit_remove_files(&k->files);
}

/* ---- a client ---- */

struct kit_client {
    SSL_CTX *ctx;
    SSL *ssl;
    int fd;
};

KIT bool kit_connect_socket(int fd, const struct kit *k)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)k->port) };

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0;
}

KIT int kit_connect_tcp(const struct kit *k)
{
    struct timeval patience = { .tv_sec = 20 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (!kit_connect_socket(fd, k)) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* Not yet connected: c->ctx may be changed. */
KIT void kit_client_init(struct kit_client *c)
{
    *c = (struct kit_client){ .ctx = SSL_CTX_new(TLS_client_method()), .fd = -1 };
    assert_non_null(c->ctx);
}

KIT void kit_client_certify(struct kit_client *c, const char *cert, const char *key)
{
    assert_int_equal(SSL_CTX_use_certificate_chain_file(c->ctx, cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(c->ctx, key, SSL_FILETYPE_PEM), 1);
}

/* Over c->fd, which is connected. */
KIT bool kit_client_shake(struct kit_client *c)
{
    c->ssl = SSL_new(c->ctx);
    assert_int_equal(SSL_set_fd(c->ssl, c->fd), 1);
    return SSL_connect(c->ssl) == 1;
}

KIT bool kit_client_connect(struct kit_client *c, const struct kit *k)
{
    c->fd = kit_connect_tcp(k);
    return c->fd >= 0 && kit_client_shake(c);
}

KIT void kit_client_close(struct kit_client *c)
{
    SSL_free(c->ssl);
    SSL_CTX_free(c->ctx);
    if (c->fd >= 0) {
        (void)close(c->fd);
    }
    *c = (struct kit_client){ .fd = -1 };
}

KIT void kit_client_open(struct kit_client *c, const struct kit *k)
{
    kit_client_init(c);
    kit_client_certify(c, k->files.client_cert, k->files.client_key);
    assert_true(kit_client_connect(c, k));
}

KIT void kit_say(struct kit_client *c, const char *text)
{
    assert_int_equal(SSL_write(c->ssl, text, (int)strlen(text)), strlen(text));
}

/* Reads until the text stands there, exactly. */
KIT void kit_expect(struct kit_client *c, const char *text)
{
    char got[65536] = "";
    size_t want = strlen(text);

    assert_true(want < sizeof(got));
    for (size_t len = 0; len < want;) {
        int n = SSL_read(c->ssl, got + len, (int)(want - len));

        if (n <= 0) {
            fail_msg("expected \"%s\", got \"%s\" and the end", text, got);
        }
        len += (size_t)n;
    }
    assert_string_equal(got, text);
}

/* The server closes within ms, and sends nothing before. */
KIT void kit_expect_end(struct kit_client *c, int64_t within_ms)
{
    int64_t began_ms = kit_ms();
    char byte;

    assert_true(SSL_read(c->ssl, &byte, 1) <= 0);
    assert_true(kit_ms() - began_ms <= within_ms);
}

/* Waits for a counter to reach a value. */
#define KIT_WAIT_FOR(condition)                                                                    \
    do {                                                                                           \
        int64_t until_ms_ = kit_ms() + 5000;                                                       \
        while (!(condition) && kit_ms() < until_ms_) {                                             \
            kit_sleep_ms(2);                                                                       \
        }                                                                                          \
        assert_true(condition);                                                                    \
    } while (0)

#endif
