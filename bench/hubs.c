/* bench/hubs.c: what one registration by certificate costs this machine's processor, by how many
 * hubs the instance is linked to and how many groups it has. A worker's part with the device on its
 * hub, and the store's writer; no TLS, no sockets. `bench/hubs` builds and runs it.
 *
 * Every kind of instance is one of one store, and they take turns, a registration each, so that
 * whatever slows the machine slows them all. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/core.h"
#include "core/enrollment.h"
#include "core/links.h"
#include "crypto/cert_cache.h"
#include "crypto/key.h"
#include "geo/geo.h"
#include "hub/hub.h"
#include "model/limits.h"
#include "store/link.h"

enum { ARENA_SIZE = 16 * 1024 * 1024, HUBS_MAX = LIMIT_LINKED_HUBS, GROUPS_MAX = 100 };

static const struct kind_of_instance {
    const char *what;
    int hubs, groups;
    bool is_named;     /* by the enrollment: all of them */
    bool has_weights;  /* 1 to 10; else all are alike */
    bool is_geo;       /* geoLatency, all hubs as near as the other */
    bool is_changing;  /* a link changed before each */
    bool is_returning; /* registered already */
} kinds[] = {
    { "1 hub, 1 group", .hubs = 1, .groups = 1 },
    { "100 hubs, 1 group", .hubs = 100, .groups = 1 },
    { "1,000 hubs, 1 group", .hubs = 1000, .groups = 1 },
    { "1 hub, 100 groups", .hubs = 1, .groups = 100 },
    { "100 hubs, 100 groups", .hubs = 100, .groups = 100 },
    { "1,000 hubs, 100 groups", .hubs = 1000, .groups = 100 },
    { "1 hub, the device again", .hubs = 1, .groups = 1, .is_returning = true },
    { "1,000 hubs, the device again", .hubs = 1000, .groups = 1, .is_returning = true },
    { "1,000 hubs of 10 weights", .hubs = 1000, .groups = 1, .has_weights = true },
    { "1,000 hubs, the nearest", .hubs = 1000, .groups = 1, .is_geo = true },
    { "1,000 hubs, named by the group", .hubs = 1000, .groups = 1, .is_named = true },
    { "1,000 hubs, after a change of one", .hubs = 1000, .groups = 1, .is_changing = true },
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

static struct env env;
static struct arena arena;
static struct crypto_key *ca_keys[GROUPS_MAX], *device_key;
static struct crypto_cert *cas[GROUPS_MAX];
static int n_devices;

static void must(err e, const char *what)
{
    if (!err_is_ok(e)) {
        (void)fprintf(stderr, "%s: %s: %s\n", what, err_name(e), err_detail());
        exit(1);
    }
}

/* A new request. */
static void next(void)
{
    uint8_t id[GUID_BYTES];
    struct buf text = buf_over(env.tracking_id, sizeof env.tracking_id);

    arena_reset(&arena);
    crypto_random(id, sizeof id);
    env.now_ms = (int64_t)time(NULL) * 1000;
    guid_format_v7(env.now_ms, id, &text);
}

static struct span print(const char *format, int n)
{
    struct span text;

    must(arena_printf(&arena, &text, format, n), "text");
    return text;
}

static struct span scope_of(int kind)
{
    return print("0ne0000be%02d", kind);
}

static struct crypto_cert *issue(const char *name, const struct crypto_key *key, int issuer)
{
    bool is_ca = issuer < 0;
    struct crypto_cert_spec spec = {
        .common_name = name,
        .not_before_ms = env.now_ms - 1000,
        .not_after_ms = env.now_ms + 86400000LL,
        .is_ca = is_ca,
        .path_len = -1,
        .key_usage = is_ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature",
        .extended_usage = is_ca ? NULL : "clientAuth",
    };
    struct crypto_cert *cert = NULL;

    crypto_random(spec.serial, sizeof spec.serial);
    must(crypto_key_issue(env.crypto, &spec, key, is_ca ? NULL : cas[issuer],
                          is_ca ? key : ca_keys[issuer], &cert),
         "certificate");
    return cert;
}

/* ---- instances ---- */

static err put_hubs(struct store_tx *tx, void *arg)
{
    (void)arg;
    for (int i = 0; i < HUBS_MAX; i++) {
        struct hub hub = { .host_name = print("hub-%04d.plants.example", i), .name = SPAN("h") };

        TRY(store_put(tx, &KIND_HUB, &hub));
    }
    return OK;
}

static err put_instance(struct store_tx *tx, void *arg)
{
    const int kind = *(const int *)arg;
    struct instance instance = { .id_scope = scope_of(kind),
                                 .name = print("bench-%d", kind),
                                 .host_name = print("dps-%d.example", kind),
                                 .allocation_policy = kinds[kind].is_geo ? ALLOCATION_GEO_LATENCY
                                                                         : ALLOCATION_HASHED };

    TRY(store_put(tx, &KIND_INSTANCE, &instance));
    for (int i = 0; i < kinds[kind].hubs; i++) {
        struct linked_hub link = { .id_scope = instance.id_scope,
                                   .host_name = print("hub-%04d.plants.example", i),
                                   .weight = kinds[kind].has_weights ? i % 10 + 1 : 1,
                                   .apply_allocation_policy = 1,
                                   .has_coordinates = 1,
                                   .latitude_udeg = 52000000 + i,
                                   .longitude_udeg = 13000000 };

        TRY(store_put(tx, &KIND_LINKED_HUB, &link));
    }
    return OK;
}

static struct span all_hubs(int n)
{
    struct buf out = arena_buf(&arena);
    struct span text;
    char name[40];

    for (int i = 0; i < n; i++) {
        (void)snprintf(name, sizeof name, "%s\"hub-%04d.plants.example\"", i > 0 ? "," : "[", i);
        buf_add_str(&out, name);
    }
    buf_add_u8(&out, ']');
    must(arena_buf_end(&arena, &out, &text), "list");
    return text;
}

static void put_group(int kind, int group)
{
    struct core_enrollment_put how = { 0 };
    struct enrollment e = { .kind = ENROLLMENT_GROUP,
                            .attestation = ATTESTATION_X509,
                            .x509_source = X509_SOURCE_SIGNING,
                            .update_hub_assignment = 1,
                            .migrate_device_data = 1 };
    struct buf out;
    struct verdict v;

    next();
    e.id_scope = scope_of(kind);
    e.id = print("group-%03d", group);
    out = arena_buf(&arena);
    must(crypto_x509_encode(cas[group], &out), "certificate");
    must(arena_buf_end(&arena, &out, &e.x509_primary), "certificate");
    e.iot_hubs = kinds[kind].is_named ? all_hubs(kinds[kind].hubs) : SPAN_NONE;
    must(core_enrollment_put(&env, &how, &e, &v), "group");
    if (!verdict_is_granted(v)) {
        (void)fprintf(stderr, "%.*s\n", SPAN_FMT(v.detail));
        exit(1);
    }
}

static void make_all(void)
{
    char name[16];

    next();
    must(crypto_key_generate(env.crypto, CRYPTO_KEY_EC_P256, &device_key), "key");
    for (int g = 0; g < GROUPS_MAX; g++) {
        (void)snprintf(name, sizeof name, "CA %d", g);
        must(crypto_key_generate(env.crypto, CRYPTO_KEY_EC_P256, &ca_keys[g]), "key");
        cas[g] = issue(name, ca_keys[g], -1);
    }
    must(store_write(env.store, put_hubs, NULL), "hubs");
    for (int kind = 0; kind < KINDS; kind++) {
        next();
        must(store_write(env.store, put_instance, &kind), "instance");
        for (int g = 0; g < kinds[kind].groups; g++) {
            put_group(kind, g);
        }
    }
}

/* ---- measuring ---- */

static err change(struct store_tx *tx, void *arg)
{
    return store_links_changed(tx, &arena, scope_of(*(const int *)arg));
}

/* Processor time of all threads, in microseconds. */
static double registered(int kind, const char *id, struct crypto_cert *cert)
{
    static const struct core_tools tools = { .hubs = &HUB_PLACER };
    struct crypto_cert *const chain[] = { cert };
    struct claim claim = { .registration_id = span_str(id),
                           .operation = OPERATION_REGISTER,
                           .transport = TRANSPORT_MQTT,
                           .peer = SPAN("192.0.2.1:40000"),
                           .chain = chain,
                           .n_chain = 1 };
    struct core_outcome outcome;
    struct timespec from, to;

    next();
    claim.id_scope = scope_of(kind);
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    must(core_register(&env, &claim, &tools, &outcome), "register");
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    if (!verdict_is_granted(outcome.verdict) ||
        outcome.registration.status != REGISTRATION_ASSIGNED) {
        (void)fprintf(stderr, "%s: %s\n", kinds[kind].what,
                      reason_info(outcome.verdict.reason)->token);
        exit(1);
    }
    return (double)(to.tv_sec - from.tv_sec) * 1e6 + (double)(to.tv_nsec - from.tv_nsec) / 1e3;
}

static double measure(int kind)
{
    char id[32];
    struct crypto_cert *cert;
    double us;

    (void)snprintf(id, sizeof id, "device-%08d", n_devices++);
    cert = issue(id, device_key, n_devices % kinds[kind].groups);
    if (kinds[kind].is_returning) {
        (void)registered(kind, id, cert);
    }
    if (kinds[kind].is_changing) {
        must(store_write(env.store, change, &kind), "change");
    }
    us = registered(kind, id, cert);
    crypto_x509_free(cert);
    return us;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void run(int rounds)
{
    double *us = calloc((size_t)rounds * KINDS, sizeof *us);
    double base = 0;

    for (int i = -10; us != NULL && i < rounds; i++) { /* some to warm up */
        for (int kind = 0; kind < KINDS; kind++) {
            us[kind * rounds + (i < 0 ? 0 : i)] = measure(kind);
        }
    }
    (void)printf("%-36s %8s %8s %8s\n", "", "us", "/ first", "p90");
    for (int kind = 0; us != NULL && kind < KINDS; kind++) {
        double *of = us + kind * rounds;

        qsort(of, (size_t)rounds, sizeof *of, by_value);
        base = kind == 0 ? of[rounds / 2] : base;
        (void)printf("%-36s %8.0f %8.2f %8.0f\n", kinds[kind].what, of[rounds / 2],
                     of[rounds / 2] / base, of[rounds * 9 / 10]);
    }
    free(us);
}

int main(int argc, char **argv)
{
    AUTO(crypto) struct crypto *crypto = NULL;
    int rounds = argc == 4 ? atoi(argv[3]) : 0;
    void *room = malloc(ARENA_SIZE);
    void *kept = calloc(1, core_links_cache_size(LIMIT_LINK_CACHE));

    if (rounds < 1 || room == NULL || kept == NULL) {
        (void)fputs(
            "Usage: bench_hubs FILE GEO-DATABASE ROUNDS: FILE is a database to be made, for "
            "the time of the run\n",
            stderr);
        return 2;
    }
    arena_init(&arena, room, ARENA_SIZE);
    must(crypto_new(CRYPTO_SERVING, &crypto), "crypto");
    env = (struct env){ .crypto = crypto, .arena = &arena, .random = crypto_random };
    must(crypto_cert_cache_new(crypto, LIMIT_ANCHOR_CACHE, &env.certs), "certificates");
    env.links = core_links_cache_init(kept, LIMIT_LINK_CACHE);
    must(geo_open(argv[2], &env.geo), "geo");
    must(store_sqlite_open(argv[1], 1, &env.store), argv[1]);
    make_all();
    run(rounds);
    store_close(env.store);
    geo_close(env.geo);
    for (int g = 0; g < GROUPS_MAX; g++) {
        crypto_x509_free(cas[g]);
        crypto_key_free(ca_keys[g]);
    }
    crypto_key_free(device_key);
    free(kept);
    crypto_cert_cache_free(env.certs);
    free(room);
    return 0;
}
