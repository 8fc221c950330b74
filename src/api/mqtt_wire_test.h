/* api/mqtt_wire_test.h: for tests: a device at one end, the MQTT surface at the other, two buffers
 * between. Plays front/: tasks run at once, appends wait until the test settles them. */
#ifndef API_MQTT_WIRE_TEST_H
#define API_MQTT_WIRE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "api/metrics.h"
#include "api/surface.h"
#include "core/enrollment.h"
#include "crypto/cert_cache.h"
#include "crypto/key.h"
#include "model/limits.h"
#include "proto/mqtt/codec.h"
#include "store/store.h"
#include "util/hex.h"

enum {
    WIRE_BUFFER = 1024 * 1024,
    WIRE_ARENA = 2 * 1024 * 1024,
    WIRE_NOTES = 256,
    WIRE_APPENDS = 2 * LIMIT_APPENDS_IN_FLIGHT,
};

#define WIRE_NOW_MS  INT64_C(1700000000000)
#define WIRE_DAY_MS  (INT64_C(24) * 3600 * 1000)
#define WIRE_SCOPE   "0ne00000001"
#define WIRE_HUB     "hub.example"
#define WIRE_VERSION "api-version=2021-06-01"

/* ---- a server: its store, and certificates to show it ---- */

struct wire_world {
    struct store *store;
    struct sink *sink; /* for its figures: appends stay with the wire */
    struct bus *bus;
    struct crypto *crypto;
    struct crypto_cert_cache *certs;
    struct metrics metrics;
    struct service service;
    struct crypto_key *ca_key, *leaf_key;
    struct crypto_cert *ca, *leaf; /* CN=dev1, under the CA */
    struct span thumbprint;        /* of the leaf, as a device's row has it */
    uint8_t thumbprint_text[2 * CRYPTO_SHA256_LEN];
};

static inline struct crypto_cert *wire_issue(struct wire_world *w, const char *common_name)
{
    struct crypto_cert_spec spec = { .common_name = common_name,
                                     .not_before_ms = WIRE_NOW_MS - WIRE_DAY_MS,
                                     .not_after_ms = WIRE_NOW_MS + WIRE_DAY_MS,
                                     .path_len = -1,
                                     .is_ca = w->ca == NULL,
                                     .serial = { 1 } };
    struct crypto_cert *cert;

    spec.key_usage = spec.is_ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature";
    spec.extended_usage = spec.is_ca ? NULL : "clientAuth";
    assert_true(err_is_ok(crypto_key_issue(
        w->crypto, &spec, w->ca == NULL ? w->ca_key : w->leaf_key, w->ca, w->ca_key, &cert)));
    return cert;
}

static inline void wire_keep_thumbprint(struct wire_world *w)
{
    uint8_t digest[CRYPTO_SHA256_LEN];
    struct buf hex = buf_over(w->thumbprint_text, sizeof(w->thumbprint_text));

    assert_true(err_is_ok(crypto_x509_sha256(w->leaf, digest)));
    hex_encode_upper(span_of(digest, sizeof(digest)), &hex);
    w->thumbprint = buf_span(&hex);
}

static inline void wire_world_init(struct wire_world *w)
{
    *w = (struct wire_world){ 0 };
    assert_true(err_is_ok(store_mem_open(&w->store)));
    assert_true(err_is_ok(bus_new(&w->bus)));
    assert_true(err_is_ok(crypto_new(CRYPTO_FULL, &w->crypto)));
    assert_true(err_is_ok(crypto_cert_cache_new(w->crypto, 16, &w->certs)));
    assert_true(err_is_ok(crypto_key_generate(w->crypto, CRYPTO_KEY_EC_P256, &w->ca_key)));
    assert_true(err_is_ok(crypto_key_generate(w->crypto, CRYPTO_KEY_EC_P256, &w->leaf_key)));
    w->ca = wire_issue(w, "test CA");
    w->leaf = wire_issue(w, "dev1");
    wire_keep_thumbprint(w);
    assert_true(err_is_ok(sink_mem_open(&w->sink)));
    w->service = (struct service){
        .store = w->store, .sink = w->sink, .bus = w->bus, .metrics = &w->metrics
    };
}

static inline void wire_world_done(struct wire_world *w)
{
    crypto_x509_free(w->leaf);
    crypto_x509_free(w->ca);
    crypto_key_free(w->leaf_key);
    crypto_key_free(w->ca_key);
    crypto_cert_cache_free(w->certs);
    crypto_free(w->crypto);
    bus_free(w->bus);
    sink_close(w->sink);
    store_close(w->store);
}

struct wire_row {
    const struct kind *kind;
    const void *record;
};

static inline err wire_put_row(struct store_tx *tx, void *arg)
{
    const struct wire_row *row = arg;

    return store_put(tx, row->kind, row->record);
}

static inline void wire_put(struct wire_world *w, const struct kind *kind, const void *record)
{
    struct wire_row row = { kind, record };

    assert_true(err_is_ok(store_write(w->store, wire_put_row, &row)));
}

/* ---- one connection ---- */

struct wire_task {
    struct task task;
    struct wire_task *next;
    uint8_t block[WIRE_ARENA];
};

struct wire {
    struct wire_world *world;
    struct surface *surface;
    struct peer peer;
    int64_t now_ms;
    size_t arena_size; /* of tasks */
    bool is_full;      /* no task is to be had */
    bool is_closed;    /* by the surface */
    unsigned signals;  /* told and not yet passed on */
    struct buf in, out;
    struct wire_task *taken;              /* in this call */
    struct wire_task *appends, **to_last; /* not yet durable */
    size_t n_appends;
    struct access_note notes[WIRE_NOTES]; /* spans are gone by then */
    size_t n_notes;
    struct wire *next; /* of all */
};

/* bus.h hands back no argument: which wire a surface belongs to. */
static struct wire *wire_all;
static unsigned wire_tasks; /* so far */

static inline struct wire *wire_of(const struct surface *s)
{
    struct wire *w = wire_all;

    while (w->surface != s) {
        w = w->next;
    }
    return w;
}

static inline void wire_on_tell(struct surface *s, unsigned signals)
{
    wire_of(s)->signals |= signals;
}

static inline void wire_on_note(struct surface_io *io, const struct access_note *note)
{
    struct wire *w = wire_all;

    while (&w->out != io->out) {
        w = w->next;
    }
    assert_true(w->n_notes < WIRE_NOTES);
    w->notes[w->n_notes] = *note;
    w->notes[w->n_notes].scope = w->notes[w->n_notes].id = SPAN_NONE;
    w->n_notes++;
}

static inline struct task *wire_on_new_task(struct surface_io *io)
{
    struct wire *w = wire_all;
    struct wire_task *t;

    while (&w->out != io->out) {
        w = w->next;
    }
    assert_null(w->taken);
    if (w->is_full) {
        io->retry_after_s = 7;
        return NULL;
    }
    t = calloc(1, sizeof(*t));
    assert_non_null(t);
    t->task.service = &w->world->service;
    t->task.peer = &w->peer;
    arena_init(&t->task.arena, t->block, w->arena_size);
    t->task.env = (struct env){ .arena = &t->task.arena,
                                .now_ms = w->now_ms,
                                .random = crypto_random,
                                .tracking_id = "11111111-2222-4333-8444-555555555555" };
    /* Unlike any other's, as it names a session. */
    (void)snprintf(t->task.env.tracking_id + 24, 13, "%012u", ++wire_tasks);
    w->taken = t;
    return &t->task;
}

static inline void wire_open(struct wire *w, struct wire_world *world)
{
    *w = (struct wire){ .world = world, .now_ms = WIRE_NOW_MS, .arena_size = WIRE_ARENA };
    w->peer.transport = TRANSPORT_MQTT;
    (void)snprintf(w->peer.address, sizeof(w->peer.address), "192.0.2.1:40000");
    w->peer.chain = &world->leaf;
    w->peer.n_chain = 1;
    w->in = buf_over(malloc(WIRE_BUFFER), WIRE_BUFFER);
    w->out = buf_over(malloc(WIRE_BUFFER), WIRE_BUFFER);
    w->to_last = &w->appends;
    w->surface = calloc(1, API_MQTT_SURFACE.size);
    assert_true(w->in.data != NULL && w->out.data != NULL && w->surface != NULL);
    w->surface->ops = &API_MQTT_SURFACE;
    w->surface->service = &world->service;
    w->surface->peer = &w->peer;
    w->surface->tell = wire_on_tell;
    w->next = wire_all;
    wire_all = w;
    API_MQTT_SURFACE.init(w->surface, w->now_ms);
}

static inline struct surface_io wire_io(struct wire *w)
{
    return (struct surface_io){ .in = w->in.data,
                                .in_len = w->in.len,
                                .out = &w->out,
                                .now_ms = w->now_ms,
                                .retry_after_s = 5,
                                .new_task = wire_on_new_task,
                                .note = wire_on_note };
}

/* Its time has come. */
static inline void wire_on_deadline(struct wire *w)
{
    struct surface_io io;

    w->now_ms = API_MQTT_SURFACE.deadline(w->surface);
    io = wire_io(w);
    if (API_MQTT_SURFACE.on_deadline(w->surface, &io) == SURFACE_CLOSE) {
        w->is_closed = true;
    }
}

/* What was consumed is overwritten, so that a span left into it shows. */
static inline void wire_drop_input(struct wire *w, size_t n)
{
    memset(w->in.data, 0xdd, n);
    buf_consume(&w->in, n);
}

static inline void wire_finish(struct wire *w, struct wire_task *t)
{
    struct surface_io io = wire_io(w);

    if (API_MQTT_SURFACE.finish(w->surface, &t->task, &io) == SURFACE_CLOSE) {
        w->is_closed = true;
    }
    wire_on_note(&io, &t->task.note);
    free(t);
}

static inline void wire_take(struct wire *w, const struct surface_io *io, enum surface_step step)
{
    struct wire_task *t = w->taken;

    w->taken = NULL;
    if (step == SURFACE_WORK) {
        assert_ptr_equal(io->task, &t->task);
        t->task.env.store = w->world->store;
        t->task.env.limits = w->world->service.limits;
        t->task.env.crypto = w->world->crypto;
        t->task.env.certs = w->world->certs;
        t->task.run(&t->task);
        wire_finish(w, t);
    } else if (step == SURFACE_APPEND) {
        assert_ptr_equal(io->task, &t->task);
        *w->to_last = t;
        w->to_last = &t->next;
        w->n_appends++;
    } else {
        assert_null(t);
    }
}

/* Lets the surface read what was sent, until it waits. */
static inline void wire_pump(struct wire *w)
{
    enum surface_step step = SURFACE_AGAIN;

    while (step != SURFACE_IDLE && !w->is_closed) {
        struct surface_io io = wire_io(w);

        step = API_MQTT_SURFACE.step(w->surface, &io);
        wire_take(w, &io, step);
        wire_drop_input(w, io.consumed);
        w->is_closed = w->is_closed || step == SURFACE_CLOSE;
    }
}

/* The first n appends come back. */
static inline void wire_settle(struct wire *w, size_t n, err result)
{
    while (n-- > 0) {
        struct wire_task *t = w->appends;

        assert_non_null(t);
        w->appends = t->next;
        if (w->appends == NULL) {
            w->to_last = &w->appends;
        }
        w->n_appends--;
        t->task.append_result = result;
        wire_finish(w, t);
    }
    wire_pump(w);
}

static inline void wire_pass_signals(struct wire *w)
{
    struct surface_io io = wire_io(w);
    unsigned signals = w->signals;

    w->signals = 0;
    if (signals != 0 && !w->is_closed &&
        API_MQTT_SURFACE.on_signal(w->surface, signals, &io) == SURFACE_CLOSE) {
        w->is_closed = true;
    }
}

/* The connection is gone; a last append stays in w->appends. */
static inline void wire_hang_up(struct wire *w)
{
    struct surface_io io = wire_io(w);
    enum surface_step step = API_MQTT_SURFACE.closed(w->surface, &io);

    w->is_closed = true;
    wire_take(w, &io, step == SURFACE_APPEND ? step : SURFACE_IDLE);
}

static inline void wire_done(struct wire *w)
{
    struct wire **at = &wire_all;

    wire_settle(w, w->n_appends, OK);
    while (*at != w) {
        at = &(*at)->next;
    }
    *at = w->next;
    free(w->surface);
    free(w->in.data);
    free(w->out.data);
}

/* ---- the device's side ---- */

static inline struct mqtt_connect wire_connect_of(const char *username, const char *client_id)
{
    return (struct mqtt_connect){ .protocol = SPAN("MQTT"),
                                  .level = MQTT_LEVEL_311,
                                  .client_id = span_str(client_id),
                                  .username = span_str(username),
                                  .keep_alive_s = 60,
                                  .clean_session = true };
}

static inline void wire_connect(struct wire *w, const struct mqtt_connect *c)
{
    mqtt_codec_encode_connect(c, &w->in);
    wire_pump(w);
}

static inline void wire_publish(struct wire *w, const char *topic, struct span payload, uint8_t qos,
                                uint16_t packet_id)
{
    struct mqtt_publish p = {
        .topic = span_str(topic), .payload = payload, .qos = qos, .packet_id = packet_id
    };

    mqtt_codec_encode_publish(&p, &w->in);
    wire_pump(w);
}

static inline void wire_subscribe(struct wire *w, const char *filter, uint8_t qos)
{
    mqtt_codec_encode_subscribe(10, span_str(filter), qos, &w->in);
    wire_pump(w);
}

/* The next packet from the server; its spans hold until the next call. */
static inline struct mqtt_packet wire_expect(struct wire *w, enum mqtt_type type)
{
    static uint8_t bytes[WIRE_BUFFER];
    struct mqtt_packet p;
    size_t len = 0;

    assert_true(err_is_ok(mqtt_codec_frame_len(buf_span(&w->out), &len)));
    assert_true(len > 0 && len <= w->out.len);
    memcpy(bytes, w->out.data, len);
    buf_consume(&w->out, len);
    assert_true(err_is_ok(mqtt_codec_decode(span_of(bytes, len), &p)));
    assert_int_equal(p.type, type);
    return p;
}

static inline void wire_expect_nothing(struct wire *w)
{
    assert_int_equal(w->out.len, 0);
}

static inline void wire_expect_connack(struct wire *w, uint8_t code)
{
    struct mqtt_packet p = wire_expect(w, MQTT_CONNACK);

    assert_int_equal(p.connack.code, code);
    assert_false(p.connack.session_present);
    assert_int_equal(w->is_closed, code != MQTT_ACCEPTED);
    wire_expect_nothing(w);
}

static inline uint8_t wire_expect_suback(struct wire *w)
{
    struct mqtt_packet p = wire_expect(w, MQTT_SUBACK);

    assert_int_equal(p.suback.packet_id, 10);
    assert_int_equal(p.suback.codes.len, 1);
    return p.suback.codes.data[0];
}

/* The latest line of the log. */
static inline const struct access_note *wire_note(const struct wire *w)
{
    assert_true(w->n_notes > 0);
    return &w->notes[w->n_notes - 1];
}

static inline void wire_expect_note(const struct wire *w, const char *surface,
                                    const char *operation, enum reason reason)
{
    const struct access_note *n = wire_note(w);

    assert_string_equal(n->surface, surface);
    assert_string_equal(n->operation, operation);
    assert_string_equal(reason_info(n->reason)->token, reason_info(reason)->token);
}

static inline void wire_expect_text(struct span s, const char *expected)
{
    if (s.len != strlen(expected) || memcmp(s.data, expected, s.len) != 0) {
        fail_msg("\"%.*s\" is not \"%s\"", SPAN_FMT(s), expected);
    }
}

static inline bool wire_contains(struct span s, const char *text)
{
    return memmem(s.data, s.len, text, strlen(text)) != NULL;
}

#endif
