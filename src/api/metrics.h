/* api/metrics.h: counters for /metrics (Prometheus text format 0.0.4). Lock-free; written by all
 * threads. */
#ifndef API_METRICS_H
#define API_METRICS_H

#include <stdatomic.h>

#include "api/surface.h"

enum {
    METRICS_LATENCY_BUCKETS = 12,
    METRICS_SURFACES = 8,
    METRICS_SEAL_KEYS = 4,
    METRICS_LANES = 4,
    METRICS_ERRAND_LANES = 100,
};

struct metrics {
    _Atomic uint64_t connections_accepted, connections_open;
    _Atomic uint64_t handshakes_ok, handshakes_failed, handshakes_in_flight;
    _Atomic uint64_t timeouts; /* connections closed at a deadline */
    _Atomic uint64_t telemetry_events, telemetry_bytes;
    _Atomic uint64_t tasks_in_flight;
    /* By whose turn they would have taken (front/lanes.h); the latter two as of now. */
    _Atomic uint64_t throttled[METRICS_LANES], lanes[METRICS_LANES], jobs_waiting[METRICS_LANES];
    _Atomic uint64_t put_back;                                 /* requests that waited twice */
    _Atomic uint64_t requests[METRICS_SURFACES][REASON_COUNT]; /* by surface and how they ended */
    _Atomic uint64_t latency[METRICS_LATENCY_BUCKETS + 1];     /* whole request to answer */
    _Atomic uint64_t latency_sum_us, latency_count;
    _Atomic uint64_t seal_key; /* that seals */
    struct {
        _Atomic uint64_t key, rows; /* sealed under a key that is to go; 0: no such key */
    } reseal_left[METRICS_SEAL_KEYS];
};

/* Counts a finished request by its note. latency_us: from the whole request to its answer. */
void metrics_request(struct metrics *m, const struct access_note *note, uint64_t latency_us);
/* The page. Reads store, sink and bus figures too. */
void metrics_print(const struct service *service, struct buf *out);

#endif
