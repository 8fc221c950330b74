/* bench/symkey.c: what one register by a symmetric key costs this machine's processor, by the
 * number of groups in the scope and by where the one that decides stands among them. A worker's
 * part and the store's writer; no TLS, no sockets. `bench/symkey` builds and runs it.
 *
 * first, last: a new device of the first or last group by ID, after one of the other; batch: after
 * another of the same group; again: a device that is registered already; none: a token that no
 * group's key leads to, which is what a stranger may send; changed: of the last group, after a
 * change of groups. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "attest/sas.h"
#include "core/core.h"
#include "core/enrollment.h"
#include "core/instance.h"
#include "core/key_groups.h"
#include "crypto/cert_cache.h"
#include "model/limits.h"
#include "store/store.h"

enum { ARENA_SIZE = 16 * 1024 * 1024, GROUPS_MAX = 1000, ROUNDS = 200 };

enum place_of_match { FIRST, LAST, BATCH, AGAIN, NONE, CHANGED, PLACES };
static const char *const words[PLACES] = { "first", "last", "batch", "again", "none", "changed" };

static struct env env;
static struct arena arena;
#define SCOPE SPAN("0ne000bench")
static uint8_t keys[GROUPS_MAX][LIMIT_SYMMETRIC_KEY];
static int n_groups, n_devices;

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

static err place(const struct env *e, struct store_tx *tx, const struct placement *p,
                 struct placed *ret_placed)
{
    (void)e, (void)tx, (void)p;
    *ret_placed = (struct placed){ 0 };
    return OK;
}

static const struct placer placer = { .place = place };
static const struct core_tools tools = { .hubs = &placer };

static err put_scope(struct store_tx *tx, void *arg)
{
    struct instance instance = { .id_scope = SCOPE,
                                 .name = SPAN("bench"),
                                 .host_name = SPAN("dps.example"),
                                 .allocation_policy = ALLOCATION_HASHED };
    struct hub hub = { .host_name = SPAN("hub.example"), .name = SPAN("hub") };
    struct linked_hub link = {
        .id_scope = SCOPE, .host_name = hub.host_name, .weight = 1, .apply_allocation_policy = 1
    };

    (void)arg;
    TRY(store_put(tx, &KIND_INSTANCE, &instance));
    TRY(store_put(tx, &KIND_HUB, &hub));
    return store_put(tx, &KIND_LINKED_HUB, &link);
}

static void put_groups(int n)
{
    for (; n_groups < n; n_groups++) {
        struct core_enrollment_put how = { 0 };
        struct enrollment e = { .id_scope = SCOPE,
                                .kind = ENROLLMENT_GROUP,
                                .attestation = ATTESTATION_SYMMETRIC_KEY,
                                .update_hub_assignment = 1,
                                .migrate_device_data = 1 };
        struct verdict v;

        next();
        must(arena_printf(&arena, &e.id, "group-%04d", n_groups), "name");
        must(core_enrollment_put(&env, &how, &e, &v), "group");
        memcpy(keys[n_groups], e.primary_key.data, LIMIT_SYMMETRIC_KEY);
    }
}

static err count_on(struct store_tx *tx, void *arg)
{
    struct instance instance = { .id_scope = SCOPE };

    (void)arg;
    TRY(store_get(tx, &KIND_INSTANCE, &instance, &arena, &instance));
    instance.key_groups_version++;
    return store_put(tx, &KIND_INSTANCE, &instance);
}

/* The claim of device `device` of group `group`, or of none: -1. */
static struct claim claim_of(int device, int group)
{
    struct claim c = { .id_scope = SCOPE,
                       .operation = OPERATION_REGISTER,
                       .transport = TRANSPORT_MQTT,
                       .peer = SPAN("192.0.2.1:40000") };
    uint8_t key[CRYPTO_SHA256_LEN] = { 0 };
    struct span resource;
    struct buf out;

    must(arena_printf(&arena, &c.registration_id, "device-%08d", device), "name");
    must(arena_printf(&arena, &resource, "%.*s/registrations/%.*s", SPAN_FMT(c.id_scope),
                      SPAN_FMT(c.registration_id)),
         "name");
    if (group >= 0) {
        must(attest_symkey_derive(env.crypto, span_of(keys[group], LIMIT_SYMMETRIC_KEY),
                                  c.registration_id, key),
             "key");
    }
    out = arena_buf(&arena);
    must(sas_make(env.crypto, resource, span_of(key, sizeof key), SPAN("registration"),
                  env.now_ms / 1000 + 3600, &out),
         "token");
    must(arena_buf_end(&arena, &out, &c.token), "token");
    return c;
}

/* Registers; processor time of all threads, in microseconds. */
static double registered(int device, int group)
{
    struct core_outcome outcome;
    struct timespec from, to;
    struct claim c;

    next();
    c = claim_of(device, group);
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    must(core_register(&env, &c, &tools, &outcome), "register");
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    if (verdict_is_granted(outcome.verdict) != (group >= 0)) {
        (void)fprintf(stderr, "%s\n", reason_info(outcome.verdict.reason)->token);
        exit(1);
    }
    return (double)(to.tv_sec - from.tv_sec) * 1e6 + (double)(to.tv_nsec - from.tv_nsec) / 1e3;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double median_of(enum place_of_match where)
{
    int group = where == NONE ? -1 : where == FIRST ? 0 : n_groups - 1;
    static double us[ROUNDS];

    for (int i = 0; i < ROUNDS; i++) {
        int device = n_devices++;

        if (where == AGAIN) {
            (void)registered(device, group);
        }
        if (where == CHANGED) {
            must(store_write(env.store, count_on, NULL), "change");
        } else if (where != BATCH && where != NONE) {
            (void)registered(n_devices++, n_groups - 1 - group);
        }
        us[i] = registered(device, group);
    }
    qsort(us, ROUNDS, sizeof us[0], by_value);
    return us[ROUNDS / 2];
}

int main(int argc, char **argv)
{
    static const int sizes[] = { 1, 100, GROUPS_MAX };
    AUTO(crypto) struct crypto *crypto = NULL;
    void *room = malloc(ARENA_SIZE);
    void *kept = calloc(1, core_key_groups_size(LIMIT_KEY_GROUPS));

    if (argc != 2 || room == NULL || kept == NULL) {
        (void)fputs("Usage: bench_symkey FILE: a database to be made, for the time of the run\n",
                    stderr);
        return 2;
    }
    arena_init(&arena, room, ARENA_SIZE);
    must(crypto_new(CRYPTO_SERVING, &crypto), "crypto");
    env = (struct env){ .crypto = crypto, .arena = &arena, .random = crypto_random };
    must(crypto_cert_cache_new(crypto, LIMIT_ANCHOR_CACHE, &env.certs), "certificates");
    env.key_groups = core_key_groups_init(kept, crypto, LIMIT_KEY_GROUPS);
    must(store_sqlite_open(argv[1], 1, &env.store), argv[1]);
    must(store_write(env.store, put_scope, NULL), "scope");
    (void)printf("%8s", "groups");
    for (int k = 0; k < PLACES; k++) {
        (void)printf("%10s", words[k]);
    }
    (void)puts("   (us of processor time, median)");
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        put_groups(sizes[i]);
        (void)printf("%8d", n_groups);
        for (int k = 0; k < PLACES; k++) {
            (void)printf("%10.0f", median_of((enum place_of_match)k));
            (void)fflush(stdout);
        }
        (void)putchar('\n');
    }
    store_close(env.store);
    core_key_groups_done(env.key_groups);
    free(kept);
    crypto_cert_cache_free(env.certs);
    free(room);
    return 0;
}
