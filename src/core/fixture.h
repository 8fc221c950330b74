/* core/fixture.h: what core's tests stand on: a store in memory, a clock that is an integer,
 * certificates made on the spot, and a hub that only remembers what was placed. For tests only. */
#ifndef CORE_FIXTURE_H
#define CORE_FIXTURE_H

/* cmocka.h wants these four first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/core.h"
#include "core/enrollment.h"
#include "core/instance.h"
#include "core/key_groups.h"
#include "core/links.h"
#include "crypto/cert_cache.h"
#include "crypto/key.h"
#include "model/limits.h"
#include "store/store.h"

#define DAY_MS    86400000LL
#define TEST_NOW  1750000000000LL
#define TEST_HUB  "hub.example"
#define TEST_HUB2 "hub21.example" /* hashed keeps "dev" on the other one */

#define assert_ok(call) assert_string_equal(err_name(call), err_name(OK))
#define assert_reason(expected, verdict_)                                                          \
    assert_string_equal(reason_info(REASON_##expected)->token,                                     \
                        reason_info((verdict_).reason)->token)
#define assert_span(text, s)                                                                       \
    do {                                                                                           \
        struct span span_ = (s);                                                                   \
        assert_int_equal(strlen(text), span_.len);                                                 \
        assert_memory_equal(text, span_.data, span_.len);                                          \
    } while (0)

enum {
    FIXTURE_KEY_GROUPS = 40,   /* kept ready, half of them of one scope */
    FIXTURE_LINKS = 16 * 1024, /* bytes of them */
};

/* Two fixtures may be open at once. */
static struct fixture_block {
    _Alignas(max_align_t) uint8_t bytes[16 * 1024 * 1024];
    bool is_used;
} fixture_blocks[2];

struct fixture {
    struct store *store;
    struct crypto *crypto;
    struct crypto_cert_cache *certs;
    struct core_key_groups *key_groups;
    struct core_links_cache *links;
    struct fixture_block *block;
    struct arena arena;
    struct env env;
    struct span scope;
};

/* A certificate and its key. */
struct node {
    struct crypto_key *key;
    struct crypto_cert *cert;
};

/* Counts up, so that no two are alike. Runs `fixture_interlude` once before, if set. */
static void (*fixture_interlude)(void);
static uint64_t fixture_random_count;

static inline void fixture_random(void *ret_bytes, size_t len)
{
    void (*interlude)(void) = fixture_interlude;
    uint8_t *bytes = ret_bytes;

    fixture_interlude = NULL;
    if (interlude != NULL) {
        interlude();
    }
    fixture_random_count++;
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)(i * 7 + (fixture_random_count >> (i % 8 * 8)));
    }
}

static inline void fixture_new_tracking_id(struct env *env)
{
    uint8_t id[GUID_BYTES];
    struct buf text = buf_over(env->tracking_id, GUID_TEXT_LEN);

    fixture_random(id, sizeof id);
    memcpy(id + 10, id, 6); /* the count, where the time and the version do not hide it */
    guid_format_v7(env->now_ms, id, &text);
}

static inline struct env fixture_env(struct fixture *f, struct arena *arena)
{
    struct env env = { .store = f->store,
                       .crypto = f->crypto,
                       .certs = f->certs,
                       .key_groups = f->key_groups,
                       .links = f->links,
                       .arena = arena,
                       .now_ms = TEST_NOW,
                       .random = fixture_random };

    fixture_new_tracking_id(&env);
    return env;
}

/* A new request: fresh memory and tracking ID. The time stays. */
static inline void fixture_next(struct fixture *f)
{
    int64_t now_ms = f->env.now_ms;

    f->env = fixture_env(f, &f->arena);
    f->env.now_ms = now_ms;
    fixture_new_tracking_id(&f->env);
}

static inline err fixture_put_rows(struct store_tx *tx, void *arg)
{
    struct fixture *f = arg;
    struct instance instance = { .id_scope = f->scope,
                                 .name = SPAN("test"),
                                 .host_name = SPAN("dps.example"),
                                 .allocation_policy = ALLOCATION_HASHED };
    struct hub hub = { .host_name = SPAN(TEST_HUB), .name = SPAN("hub") };
    struct linked_hub link = {
        .id_scope = f->scope, .host_name = SPAN(TEST_HUB), .weight = 1, .apply_allocation_policy = 1
    };

    TRY(store_put(tx, &KIND_INSTANCE, &instance));
    TRY(store_put(tx, &KIND_HUB, &hub));
    return store_put(tx, &KIND_LINKED_HUB, &link);
}

/* An instance of the scope "0ne00000001" with one hub. */
static inline void fixture_open(struct fixture *f)
{
    size_t i = fixture_blocks[0].is_used ? 1 : 0;

    assert_false(fixture_blocks[i].is_used);
    fixture_blocks[i].is_used = true;
    *f = (struct fixture){ .scope = SPAN("0ne00000001"), .block = &fixture_blocks[i] };
    arena_init(&f->arena, f->block->bytes, sizeof f->block->bytes);
    assert_ok(crypto_new(CRYPTO_SERVING, &f->crypto));
    assert_ok(crypto_cert_cache_new(f->crypto, LIMIT_ANCHOR_CACHE, &f->certs));
    f->key_groups = core_key_groups_init(calloc(1, core_key_groups_size(FIXTURE_KEY_GROUPS)),
                                         f->crypto, FIXTURE_KEY_GROUPS);
    f->links =
        core_links_cache_init(calloc(1, core_links_cache_size(FIXTURE_LINKS)), FIXTURE_LINKS);
    assert_ok(store_mem_open(&f->store));
    f->env.now_ms = TEST_NOW;
    fixture_next(f);
    assert_ok(store_write(f->store, fixture_put_rows, f));
}

static inline void fixture_close(struct fixture *f)
{
    store_close(f->store);
    core_key_groups_done(f->key_groups);
    free(f->key_groups);
    free(f->links);
    crypto_cert_cache_free(f->certs);
    crypto_free(f->crypto);
    f->block->is_used = false;
}

/* What may differ from an ordinary certificate. */
struct fixture_cert {
    const char *cn;
    bool is_ca;
    int path_len; /* 0: none; else one more than the constraint */
    const char *extended_usage;
    int64_t from_ms, to_ms; /* 0: long enough */
    enum crypto_key_type key_type;
};

static inline struct crypto_cert *fixture_issue(struct fixture *f, const struct fixture_cert *what,
                                                const struct crypto_key *key,
                                                const struct node *issuer)
{
    struct crypto_cert_spec spec = {
        .common_name = what->cn,
        .not_before_ms = what->from_ms != 0 ? what->from_ms : TEST_NOW - 1000 * DAY_MS,
        .not_after_ms = what->to_ms != 0 ? what->to_ms : TEST_NOW + 1000 * DAY_MS,
        .is_ca = what->is_ca,
        .path_len = what->path_len - 1,
        .key_usage = what->is_ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature",
        .extended_usage = what->extended_usage,
    };
    struct crypto_cert *cert = NULL;

    fixture_random(spec.serial, sizeof spec.serial);
    assert_ok(crypto_key_issue(f->crypto, &spec, key, issuer != NULL ? issuer->cert : NULL,
                               issuer != NULL ? issuer->key : key, &cert));
    return cert;
}

/* A certificate with a key of its own; issuer NULL: self-signed. */
static inline struct node fixture_node(struct fixture *f, const struct fixture_cert *what,
                                       const struct node *issuer)
{
    struct node n = { 0 };

    assert_ok(crypto_key_generate(f->crypto, what->key_type, &n.key));
    n.cert = fixture_issue(f, what, n.key, issuer);
    return n;
}

static inline struct node fixture_ca(struct fixture *f, const char *cn, const struct node *issuer)
{
    return fixture_node(f, &(struct fixture_cert){ .cn = cn, .is_ca = true }, issuer);
}

static inline struct node fixture_leaf(struct fixture *f, const char *cn, const struct node *issuer)
{
    return fixture_node(f, &(struct fixture_cert){ .cn = cn, .extended_usage = "clientAuth" },
                        issuer);
}

static inline void fixture_free(struct node *n)
{
    crypto_x509_free(n->cert);
    crypto_key_free(n->key);
    *n = (struct node){ 0 };
}

static inline struct span fixture_der(struct fixture *f, const struct node *n)
{
    struct buf out = arena_buf(&f->arena);
    struct span der;

    assert_ok(crypto_x509_encode(n->cert, &out));
    assert_ok(arena_buf_end(&f->arena, &out, &der));
    return der;
}

static inline struct span fixture_pem(struct fixture *f, const struct node *n)
{
    struct buf out = arena_buf(&f->arena);
    struct span pem;

    assert_ok(crypto_x509_encode_pem(n->cert, &out));
    assert_ok(arena_buf_end(&f->arena, &out, &pem));
    return pem;
}

/* An ordinary x509 enrollment; the slots are the caller's to fill. */
static inline struct enrollment fixture_enrollment(struct fixture *f, enum enrollment_kind kind,
                                                   const char *id, enum x509_source source)
{
    return (struct enrollment){ .id_scope = f->scope,
                                .kind = kind,
                                .id = span_str(id),
                                .attestation = ATTESTATION_X509,
                                .x509_source = source,
                                .update_hub_assignment = 1,
                                .migrate_device_data = 1 };
}

/* Creates, or replaces whatever is there. */
static inline struct verdict fixture_put(struct fixture *f, struct enrollment *e)
{
    struct core_enrollment_put create = { 0 };
    struct core_enrollment_put replace = { .match = { .is_given = true, .is_any = true } };
    struct verdict v;

    assert_ok(core_enrollment_put(&f->env, &create, e, &v));
    if (v.reason == REASON_RESOURCE_EXISTS) {
        assert_ok(core_enrollment_put(&f->env, &replace, e, &v));
    }
    return v;
}

static inline void fixture_group(struct fixture *f, const char *id, const struct node *ca,
                                 enum provisioning_status status)
{
    struct enrollment e = fixture_enrollment(f, ENROLLMENT_GROUP, id, X509_SOURCE_SIGNING);

    e.x509_primary = fixture_der(f, ca);
    e.provisioning_status = status;
    assert_reason(GRANTED, fixture_put(f, &e));
}

/* The latest order to a hub. */
static struct placement fixture_placed;
static int fixture_placements;

static inline err fixture_place(const struct env *env, struct store_tx *tx,
                                const struct placement *p, struct placed *ret_placed)
{
    struct hub hub = { .host_name = p->hub };

    TRY(store_get(tx, &KIND_HUB, &hub, env->arena, &hub));
    fixture_placed = *p;
    *ret_placed = (struct placed){ 0 };
    fixture_placements++;
    return OK;
}

static const struct placer fixture_placer = { .place = fixture_place };
/* Its name alone: what else there is to it is api/'s. */
static inline err fixture_write_enrollment(const struct env *env, const struct enrollment *e,
                                           struct span api_version, struct span *ret_json)
{
    return arena_printf(env->arena, ret_json, "{\"id\":\"%.*s\",\"version\":\"%.*s\"}",
                        SPAN_FMT(e->id), SPAN_FMT(api_version));
}

static const struct core_tools fixture_tools = { .hubs = &fixture_placer,
                                                 .write_enrollment = fixture_write_enrollment };

static inline struct claim fixture_claim(struct fixture *f, const char *id, enum operation op,
                                         struct crypto_cert *const *chain, size_t n_chain)
{
    return (struct claim){ .id_scope = f->scope,
                           .registration_id = span_str(id),
                           .operation = op,
                           .transport = TRANSPORT_MQTT,
                           .peer = SPAN("192.0.2.1:40000"),
                           .chain = chain,
                           .n_chain = n_chain };
}

static inline struct core_outcome fixture_register(struct fixture *f, const char *id,
                                                   struct crypto_cert *const *chain, size_t n_chain)
{
    struct claim claim = fixture_claim(f, id, OPERATION_REGISTER, chain, n_chain);
    struct core_outcome outcome;

    fixture_next(f);
    assert_ok(core_register(&f->env, &claim, &fixture_tools, &outcome));
    return outcome;
}

/* Whatever the claim's operation is, as a new request. */
static inline struct core_outcome fixture_ask(struct fixture *f, const struct claim *claim)
{
    struct core_outcome outcome;

    fixture_next(f);
    if (claim->operation == OPERATION_STATUS) {
        assert_ok(core_poll(&f->env, claim, &outcome));
    } else if (claim->operation == OPERATION_LOOKUP) {
        assert_ok(core_lookup(&f->env, claim, &outcome));
    } else {
        assert_ok(core_register(&f->env, claim, &fixture_tools, &outcome));
    }
    return outcome;
}

/* Another instance, of any scope. */
static inline struct instance fixture_instance(struct fixture *f, const char *name,
                                               const char *host)
{
    struct instance i = { 0 };
    struct verdict v;

    assert_ok(core_instance_create(&f->env, span_str(name), span_str(host), &i, &v));
    assert_reason(GRANTED, v);
    return i;
}

/* The decision record of the latest request. */
static inline struct decision_row fixture_decision(struct fixture *f)
{
    struct decision_row row = { 0 };
    struct verdict v;

    assert_ok(core_decision_get(&f->env, f->scope, span_str(f->env.tracking_id), &row, &v));
    assert_reason(GRANTED, v);
    return row;
}

static inline bool fixture_has(struct span text, const char *part)
{
    return text.data != NULL && memmem(text.data, text.len, part, strlen(part)) != NULL;
}

#endif
