/* api/http_wire_test.h: for tests: API_HTTP_SURFACE between two buffers, with a worker that runs at
 * once, over store and sink in memory and the real core and hub. */
#ifndef API_HTTP_WIRE_TEST_H
#define API_HTTP_WIRE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "api/http.h"
#include "api/metrics.h"
#include "attest/sas.h"
#include "core/instance.h"
#include "core/link.h"
#include "crypto/cert_cache.h"
#include "crypto/key.h"
#include "hub/hub.h"
#include "model/limits.h"
#include "store/store.h"
#include "util/base64.h"

enum { WIRE_BYTES = 4 * 1024 * 1024, WIRE_NOTES = 64 };

#define WIRE_HOST        "localhost"
#define WIRE_HUB_HOST    "hub.localhost"
#define WIRE_TRACKING_ID "0b6ef3c6-0b9c-4a47-9c1e-000000000001"

struct wire {
    struct service service;
    struct metrics metrics;
    struct crypto *crypto;
    struct crypto_cert_cache *certs;
    struct peer peer;
    struct surface *surface;
    uint8_t *in, *out_memory;
    size_t in_len;
    struct buf out;
    int64_t now_ms;
    bool is_full;   /* no task is to be had */
    bool is_closed; /* the surface wants to close */
    struct task task;
    bool task_taken;
    uint8_t *arena_memory;
    struct access_note last_note; /* of refusals without a task */
    int status_noted;
    struct access_note task_note; /* of the last task; its spans are gone */
    size_t n_tasks;
    unsigned told; /* signals that wait */
    /* For setting things up. */
    struct arena arena;
    uint8_t *setup_memory;
    struct env env;
    struct instance instance;
    struct hub hub;
};

/* One answer taken off the wire. */
struct wire_reply {
    int status;
    char *head, *body; /* until the next wire_take */
};

static bool wire_draining;

static inline bool wire_is_draining(void)
{
    return wire_draining;
}

static inline struct task *wire_new_task(struct surface_io *io);
static struct wire *wire_now; /* io has no room for a pointer of ours */

static inline void wire_note(struct surface_io *io, const struct access_note *note)
{
    (void)io;
    wire_now->last_note = *note;
    wire_now->status_noted = note->status;
}

static inline void wire_env(struct wire *w, struct env *env, struct arena *arena)
{
    *env = (struct env){ .store = w->service.store,
                         .crypto = w->crypto,
                         .certs = w->certs,
                         .arena = arena,
                         .now_ms = w->now_ms,
                         .random = crypto_random,
                         .tracking_id = WIRE_TRACKING_ID };
}

static inline struct task *wire_new_task(struct surface_io *io)
{
    struct wire *w = wire_now;

    assert_false(w->task_taken);
    if (w->is_full) {
        io->retry_after_s = 7;
        return NULL;
    }
    w->task_taken = true;
    w->task = (struct task){ .service = &w->service, .peer = &w->peer };
    arena_init(&w->task.arena, w->arena_memory, WIRE_BYTES);
    wire_env(w, &w->task.env, &w->task.arena);
    return &w->task;
}

static inline struct surface_io wire_io(struct wire *w)
{
    wire_now = w;
    return (struct surface_io){ .in = w->in,
                                .in_len = w->in_len,
                                .out = &w->out,
                                .now_ms = w->now_ms,
                                .new_task = wire_new_task,
                                .retry_after_s = 1,
                                .note = wire_note };
}

static inline void wire_consume(struct wire *w, const struct surface_io *io)
{
    assert_true(io->consumed <= w->in_len);
    memmove(w->in, w->in + io->consumed, w->in_len - io->consumed);
    w->in_len -= io->consumed;
}

/* As front/ does: the task runs, its finish is called, then it dies. */
static inline void wire_run_task(struct wire *w)
{
    struct surface_io io;

    assert_true(w->task_taken);
    w->task.run(&w->task);
    w->task_note = w->task.note;
    w->n_tasks++;
    io = wire_io(w);
    if (w->surface->ops->finish(w->surface, &w->task, &io) == SURFACE_CLOSE) {
        w->is_closed = true;
    }
    wire_consume(w, &io);
    w->task_taken = false;
    memset(w->arena_memory, 0xee, 64 * 1024); /* nothing may point there now */
}

static inline void wire_pump(struct wire *w)
{
    while (!w->is_closed) {
        struct surface_io io = wire_io(w);
        enum surface_step step = w->surface->ops->step(w->surface, &io);

        if (step == SURFACE_WORK) {
            assert_ptr_equal(io.task, &w->task);
            wire_consume(w, &io);
            wire_run_task(w);
            continue;
        }
        wire_consume(w, &io);
        if (step == SURFACE_CLOSE) {
            w->is_closed = true;
        }
        if (step == SURFACE_IDLE) {
            return;
        }
    }
}

static inline void wire_tell(struct surface *s, unsigned signals)
{
    (void)s;
    wire_now->told |= signals;
}

/* Signals that were told, then a step. */
static inline void wire_signal(struct wire *w)
{
    struct surface_io io = wire_io(w);
    unsigned told = w->told;

    w->told = 0;
    if (told != 0) {
        (void)w->surface->ops->on_signal(w->surface, told, &io);
    }
    wire_pump(w);
}

/* Time passes; the deadline is met if it was reached. */
static inline void wire_pass_ms(struct wire *w, int64_t ms)
{
    struct surface_io io;

    w->now_ms += ms;
    if (w->surface->ops->deadline(w->surface) > w->now_ms) {
        return;
    }
    io = wire_io(w);
    if (w->surface->ops->on_deadline(w->surface, &io) == SURFACE_CLOSE) {
        w->is_closed = true;
    }
    wire_consume(w, &io);
    wire_pump(w);
}

static inline void wire_connect(struct wire *w)
{
    free(w->surface);
    w->surface = calloc(1, API_HTTP_SURFACE.size);
    assert_non_null(w->surface);
    w->surface->ops = &API_HTTP_SURFACE;
    w->surface->service = &w->service;
    w->surface->peer = &w->peer;
    w->surface->tell = wire_tell;
    w->is_closed = false;
    w->in_len = 0;
    w->out.len = 0;
    API_HTTP_SURFACE.init(w->surface, w->now_ms);
}

static inline void wire_disconnect(struct wire *w)
{
    struct surface_io io = wire_io(w);

    (void)w->surface->ops->closed(w->surface, &io);
}

static inline void wire_send(struct wire *w, struct span bytes)
{
    assert_true(w->in_len + bytes.len <= WIRE_BYTES);
    memcpy(w->in + w->in_len, bytes.data, bytes.len);
    w->in_len += bytes.len;
    wire_pump(w);
}

/* Takes the first answer off the output. Content-Length says where it ends; to_head: it has no
 * body. */
static inline struct wire_reply wire_take(struct wire *w, bool to_head)
{
    static char *kept;
    struct wire_reply r = { 0 };
    char *text, *end, *length;
    size_t body_len;

    assert_true(err_is_ok(buf_ok(&w->out)));
    text = (char *)w->out.data;
    text[w->out.len] = '\0';
    end = strstr(text, "\r\n\r\n");
    assert_non_null(end);
    assert_int_equal(sscanf(text, "HTTP/1.1 %d ", &r.status), 1);
    end[2] = '\0';
    length = strstr(text, "Content-Length: ");
    body_len = length && !to_head ? strtoul(length + 16, NULL, 10) : 0;
    assert_true((size_t)(end + 4 - text) + body_len <= w->out.len);
    free(kept);
    kept = malloc((size_t)(end + 4 - text) + body_len + 1);
    assert_non_null(kept);
    memcpy(kept, text, (size_t)(end + 4 - text) + body_len);
    kept[(size_t)(end + 4 - text) + body_len] = '\0';
    r.head = kept;
    r.body = kept + (end + 4 - text);
    buf_consume(&w->out, (size_t)(end + 4 - text) + body_len);
    return r;
}

/* The value of a header written exactly so, or NULL. */
static inline const char *wire_header(const struct wire_reply *r, const char *name)
{
    static char value[512];
    char needle[64];
    const char *at;

    (void)snprintf(needle, sizeof(needle), "\r\n%s: ", name);
    at = strstr(r->head, needle);
    if (at == NULL) {
        return NULL;
    }
    at += strlen(needle);
    (void)snprintf(value, sizeof(value), "%.*s", (int)strcspn(at, "\r"), at);
    return value;
}

/* An Authorization value by a policy. `host` in the token. */
static inline const char *wire_token(struct wire *w, enum policy_owner owner, const char *policy,
                                     const char *host)
{
    struct policy found;
    bool is_found;
    struct buf out;

    arena_reset(&w->arena);
    assert_true(err_is_ok(core_policy_find(
        &w->env, owner, owner == POLICY_OF_HUB ? SPAN(WIRE_HUB_HOST) : w->instance.id_scope,
        span_str(policy), &found, &is_found)));
    assert_true(is_found);
    out = arena_buf(&w->arena);
    assert_true(err_is_ok(sas_make(w->crypto, span_str(host), found.primary_key, found.name,
                                   w->now_ms / 1000 + 3600, &out)));
    return buf_cstr(&out);
}

/* One request with a whole answer, to `host`. headers: each ended by CR LF, or "". */
static inline struct wire_reply wire_ask_host(struct wire *w, const char *host, const char *method,
                                              const char *target, const char *headers,
                                              const char *body)
{
    size_t len = strlen(method) + strlen(target) + strlen(headers) + strlen(body) + 256;
    char *text = malloc(len);

    assert_non_null(text);
    (void)snprintf(text, len, "%s %s HTTP/1.1\r\nHost: %s:443\r\n%sContent-Length: %zu\r\n\r\n%s",
                   method, target, host, headers, strlen(body), body);
    if (w->is_closed) {
        wire_connect(w);
    }
    wire_send(w, span_str(text));
    free(text);
    return wire_take(w, strcmp(method, "HEAD") == 0);
}

static inline struct wire_reply wire_ask(struct wire *w, const char *method, const char *target,
                                         const char *headers, const char *body)
{
    return wire_ask_host(w, WIRE_HOST, method, target, headers, body);
}

/* The same by a policy of the instance or of the hub. */
static inline struct wire_reply wire_ask_by(struct wire *w, enum policy_owner owner,
                                            const char *policy, const char *method,
                                            const char *target, const char *headers,
                                            const char *body)
{
    const char *host = owner == POLICY_OF_HUB ? WIRE_HUB_HOST : WIRE_HOST;
    const char *token = wire_token(w, owner, policy, host);
    size_t len = strlen(token) + strlen(headers) + 64;
    char *all = malloc(len);
    struct wire_reply r;

    assert_non_null(all);
    (void)snprintf(all, len, "Authorization: %s\r\n%s", token, headers);
    r = wire_ask_host(w, host, method, target, all, body);
    free(all);
    return r;
}

/* The same as the owner. */
static inline struct wire_reply wire_ask_as(struct wire *w, enum policy_owner owner,
                                            const char *method, const char *target,
                                            const char *headers, const char *body)
{
    const char *policy = owner == POLICY_OF_HUB ? "iothubowner" : "provisioningserviceowner";

    return wire_ask_by(w, owner, policy, method, target, headers, body);
}

static inline void wire_open(struct wire *w)
{
    struct linked_hub link = { .weight = 1, .apply_allocation_policy = true };
    const struct hub_order order = { .name = SPAN("hub"), .host_name = SPAN(WIRE_HUB_HOST) };
    struct verdict v;

    memset(w, 0, sizeof(*w));
    w->in = malloc(WIRE_BYTES);
    w->out_memory = malloc(2 * WIRE_BYTES);
    w->arena_memory = malloc(WIRE_BYTES);
    w->setup_memory = malloc(WIRE_BYTES);
    w->out = buf_over(w->out_memory, 2 * WIRE_BYTES - 1);
    w->now_ms = 1900000000000;
    arena_init(&w->arena, w->setup_memory, WIRE_BYTES);
    assert_true(err_is_ok(crypto_new(CRYPTO_FULL, &w->crypto)));
    assert_true(err_is_ok(crypto_cert_cache_new(w->crypto, 16, &w->certs)));
    assert_true(err_is_ok(store_mem_open(&w->service.store)));
    assert_true(err_is_ok(sink_mem_open(&w->service.sink)));
    assert_true(err_is_ok(bus_new(&w->service.bus)));
    w->service.metrics = &w->metrics;
    w->service.version = "test";
    w->service.is_draining = wire_is_draining;
    w->peer = (struct peer){ .transport = TRANSPORT_HTTP, .address = "127.0.0.1:40000" };
    w->peer.is_loopback = true;
    wire_env(w, &w->env, &w->arena);
    assert_true(
        err_is_ok(core_instance_create(&w->env, SPAN("dev"), SPAN(WIRE_HOST), &w->instance, &v)));
    assert_int_equal(v.reason, REASON_GRANTED);
    assert_true(err_is_ok(hub_create(&w->env, &order, &w->hub, &v)));
    assert_int_equal(v.reason, REASON_GRANTED);
    link.id_scope = w->instance.id_scope;
    link.host_name = w->hub.host_name;
    assert_true(err_is_ok(core_link_put(&w->env, &link, CORE_LINK_VOUCHED, &link, &v)));
    assert_int_equal(v.reason, REASON_GRANTED);
    /* What the fixture keeps must outlive the set-up arena's resets. */
    w->instance.id_scope = span_str(strdup((const char *)w->instance.id_scope.data));
    wire_draining = false;
    wire_connect(w);
}

static inline void wire_close(struct wire *w)
{
    wire_disconnect(w);
    free(w->surface);
    free((void *)(uintptr_t)w->instance.id_scope.data);
    bus_free(w->service.bus);
    sink_close(w->service.sink);
    store_close(w->service.store);
    crypto_cert_cache_free(w->certs);
    crypto_free(w->crypto);
    free(w->in);
    free(w->out_memory);
    free(w->arena_memory);
    free(w->setup_memory);
}

/* Of the body. */
static inline void assert_has(const struct wire_reply *r, const char *part)
{
    if (strstr(r->body, part) == NULL) {
        fail_msg("%s\nis not in\n%s", part, r->body);
    }
}

static inline void assert_has_not(const struct wire_reply *r, const char *part)
{
    if (strstr(r->body, part) != NULL) {
        fail_msg("%s\nis in\n%s", part, r->body);
    }
}

/* The wire of a test file, and what opens and closes it where a test needs nothing more. */
__attribute__((unused)) static struct wire w;

static inline int wire_set_up(void **state)
{
    (void)state;
    wire_open(&w);
    return 0;
}

static inline int wire_tear_down(void **state)
{
    (void)state;
    wire_close(&w);
    return 0;
}

#endif
