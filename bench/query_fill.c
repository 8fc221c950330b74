/* bench/query_fill.c: adds individual enrollments to a store that no berthd has open: for
 * bench/query. One in 1,000 is disabled, one in 10,000 is of the site "rare"; the members are those
 * that a fleet's enrollments have, and no secrets.
 *
 *     query_fill STORE ID-SCOPE FROM TO */
#include <stdio.h>
#include <stdlib.h>

#include "store/store.h"

enum { BATCH = 10000 };

struct batch {
    struct span id_scope;
    long from, to;
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

static err put_batch(struct store_tx *tx, void *arg)
{
    const struct batch *b = (const struct batch *)arg;

    for (long i = b->from; i < b->to; i++) {
        TRY(put_one(tx, b->id_scope, i));
    }
    return OK;
}

int main(int argc, char **argv)
{
    struct store *store;
    err e;

    if (argc != 5) {
        (void)fprintf(stderr, "Usage: query_fill STORE ID-SCOPE FROM TO\n");
        return 2;
    }
    e = store_sqlite_open(argv[1], 1, &store);
    if (err_is_ok(e)) {
        long to = strtol(argv[4], NULL, 10);

        for (long i = strtol(argv[3], NULL, 10); i < to && err_is_ok(e); i += BATCH) {
            struct batch b = { span_str(argv[2]), i, i + BATCH < to ? i + BATCH : to };

            e = store_write(store, put_batch, &b);
        }
        store_close(store);
    }
    if (!err_is_ok(e)) {
        (void)fprintf(stderr, "query_fill: %s: %s\n", err_name(e), err_detail());
    }
    return err_is_ok(e) ? 0 : 1;
}
