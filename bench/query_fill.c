/* bench/query_fill.c: adds individual enrollments, or devices of a hub, to a store that no berthd
 * has open: for bench/query. One in 1,000 is disabled, one in 10,000 is of the site "rare"; the
 * members are those that a fleet's enrollments and devices have, and no secrets.
 *
 *     query_fill STORE ID-SCOPE FROM TO
 *     query_fill STORE --hub HOST FROM TO */
#include <stdio.h>
#include <stdlib.h>

#include "hub/tags.h"
#include "store/store.h"

enum { BATCH = 10000, ARENA = 64 * 1024 };

struct batch {
    struct span owner; /* ID scope, or host name of a hub */
    bool is_hub;
    long from, to;
    struct arena arena;
};

static err put_one(struct store_tx *tx, struct span id_scope, long i)
{
    char id[32], twin[256], etag[32];
    struct enrollment e = { .id_scope = id_scope,
                            .kind = ENROLLMENT_INDIVIDUAL,
                            .attestation = ATTESTATION_X509,
                            .x509_source = X509_SOURCE_CA_REFERENCE,
                            .x509_primary = SPAN("fleet-ca"),
                            .update_hub_assignment = true,
                            .migrate_device_data = true,
                            .allocation_policy = ALLOCATION_HASHED };

    (void)snprintf(id, sizeof(id), "device-%08ld", i);
    (void)snprintf(etag, sizeof(etag), "0000-%ld", i);
    (void)snprintf(twin, sizeof(twin),
                   "{\"tags\":{\"site\":\"%s\",\"line\":%ld,\"model\":\"sensor-v2\"},"
                   "\"properties\":{\"desired\":{\"interval\":60,\"unit\":\"celsius\"}}}",
                   i % 10000 == 9999 ? "rare" : "plant-7", i % 32);
    e.key = e.id = span_str(id);
    e.etag = span_str(etag);
    e.initial_twin = span_str(twin);
    e.provisioning_status = i % 1000 == 999 ? PROVISIONING_DISABLED : PROVISIONING_ENABLED;
    e.created_ms = e.updated_ms = 1700000000000 + i;
    return store_put(tx, &KIND_ENROLLMENT, &e);
}

static err put_device(struct store_tx *tx, struct batch *b, long i)
{
    char id[32], tags[128], reported[64];
    struct device d = { .hub = b->owner,
                        .generation_id = SPAN("1"),
                        .etag = i,
                        .auth = DEVICE_AUTH_SELF_SIGNED,
                        .desired = SPAN("{\"interval\":60,\"unit\":\"celsius\"}"),
                        .version = 2,
                        .desired_version = 1,
                        .reported_version = 1,
                        .twin_etag = 1,
                        .created_ms = 1700000000000 + i };

    (void)snprintf(id, sizeof(id), "device-%08ld", i);
    (void)snprintf(tags, sizeof(tags), "{\"site\":\"%s\",\"line\":%ld,\"model\":\"sensor-v2\"}",
                   i % 10000 == 9999 ? "rare" : "plant-7", i % 32);
    (void)snprintf(reported, sizeof(reported), "{\"fw\":\"1.%ld\",\"up\":%ld}", i % 5, i % 1000);
    d.device_id = span_str(id);
    d.tags = span_str(tags);
    d.reported = span_str(reported);
    d.status = i % 1000 == 999 ? DEVICE_DISABLED : DEVICE_ENABLED;
    TRY(store_put(tx, &KIND_DEVICE, &d));
    return hub_tags_update(tx, &b->arena, d.hub, d.device_id, SPAN_NONE, d.tags);
}

static err put_batch(struct store_tx *tx, void *arg)
{
    struct batch *b = (struct batch *)arg;

    for (long i = b->from; i < b->to; i++) {
        TRY(b->is_hub ? put_device(tx, b, i) : put_one(tx, b->owner, i));
    }
    return OK;
}

int main(int argc, char **argv)
{
    static uint8_t block[ARENA];
    bool is_hub = argc == 6 && strcmp(argv[2], "--hub") == 0;
    struct store *store;
    err e;

    if (argc != 5 && !is_hub) {
        (void)fprintf(stderr, "Usage: query_fill STORE ID-SCOPE FROM TO\n"
                              "       query_fill STORE --hub HOST FROM TO\n");
        return 2;
    }
    e = store_sqlite_open(argv[1], 1, &store);
    if (err_is_ok(e)) {
        struct batch b = { .owner = span_str(argv[argc - 3]), .is_hub = is_hub };
        long to = strtol(argv[argc - 1], NULL, 10);

        arena_init(&b.arena, block, sizeof(block));
        for (long i = strtol(argv[argc - 2], NULL, 10); i < to && err_is_ok(e); i += BATCH) {
            b.from = i;
            b.to = i + BATCH < to ? i + BATCH : to;
            e = store_write(store, put_batch, &b);
        }
        store_close(store);
    }
    if (!err_is_ok(e)) {
        (void)fprintf(stderr, "query_fill: %s: %s\n", err_name(e), err_detail());
    }
    return err_is_ok(e) ? 0 : 1;
}
