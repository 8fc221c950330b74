/* api/metrics.c: counters, and the page that shows them (Prometheus text format 0.0.4). All are
 * relaxed: a page is a glance, not a snapshot. */
#include "api/metrics.h"

#include "core/errands.h"
#include "hub/bus_call.h"
#include "hub/limits.h"
#include "store/store.h"

static const char *const surfaces[METRICS_SURFACES] = {
    "dps-mqtt", "dps-http", "service", "manage", "hub-mqtt", "hub-http", "ops", "other",
};

/* As enum front_lane_kind. */
static const char *const lanes[METRICS_LANES] = { "other", "scope", "strangers", "door" };

/* Upper bounds, µs; the last bucket has none. */
static const uint64_t bounds_us[METRICS_LATENCY_BUCKETS] = {
    500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000, 500000, 1000000, 5000000,
};

static void add(_Atomic uint64_t *counter, uint64_t n)
{
    (void)atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static uint64_t get(_Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static size_t surface_index(const char *name)
{
    for (size_t i = 0; i < METRICS_SURFACES - 1 && name != NULL; i++) {
        if (strcmp(surfaces[i], name) == 0) {
            return i;
        }
    }
    return METRICS_SURFACES - 1;
}

void metrics_request(struct metrics *m, const struct access_note *note, uint64_t latency_us)
{
    size_t bucket = 0;
    int reason =
        note->reason >= 0 && note->reason < REASON_COUNT ? (int)note->reason : (int)REASON_INTERNAL;

    add(&m->requests[surface_index(note->surface)][reason], 1);
    while (bucket < METRICS_LATENCY_BUCKETS && latency_us > bounds_us[bucket]) {
        bucket++;
    }
    add(&m->latency[bucket], 1);
    add(&m->latency_sum_us, latency_us);
    add(&m->latency_count, 1);
}

/* ---- the page ---- */

static void print_head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void print_value(struct buf *out, const char *name, const char *type, const char *help,
                        uint64_t value)
{
    print_head(out, name, type, help);
    buf_printf(out, "%s %llu\n", name, (unsigned long long)value);
}

static void print_requests(struct metrics *m, struct buf *out)
{
    print_head(out, "berth_requests_total", "counter", "Requests by surface and how they ended.");
    for (size_t s = 0; s < METRICS_SURFACES; s++) {
        for (int r = 0; r < REASON_COUNT; r++) {
            uint64_t n = get(&m->requests[s][r]);

            if (n > 0) {
                buf_printf(out, "berth_requests_total{surface=\"%s\",reason=\"%s\"} %llu\n",
                           surfaces[s], reason_info((enum reason)r)->token, (unsigned long long)n);
            }
        }
    }
}

static void print_latency(struct metrics *m, struct buf *out)
{
    static const char name[] = "berth_request_duration_seconds";
    uint64_t sum = 0;

    print_head(out, name, "histogram", "From the whole request to its answer.");
    for (size_t i = 0; i < METRICS_LATENCY_BUCKETS; i++) {
        sum += get(&m->latency[i]);
        buf_printf(out, "%s_bucket{le=\"%g\"} %llu\n", name, (double)bounds_us[i] / 1e6,
                   (unsigned long long)sum);
    }
    sum += get(&m->latency[METRICS_LATENCY_BUCKETS]);
    buf_printf(out, "%s_bucket{le=\"+Inf\"} %llu\n", name, (unsigned long long)sum);
    buf_printf(out, "%s_sum %.6f\n", name, (double)get(&m->latency_sum_us) / 1e6);
    buf_printf(out, "%s_count %llu\n", name, (unsigned long long)sum);
}

static void print_connections(struct metrics *m, struct buf *out)
{
    print_value(out, "berth_connections_accepted_total", "counter", "Connections accepted.",
                get(&m->connections_accepted));
    print_value(out, "berth_connections_open", "gauge", "Connections open now.",
                get(&m->connections_open));
    print_value(out, "berth_handshakes_ok_total", "counter", "TLS handshakes completed.",
                get(&m->handshakes_ok));
    print_value(out, "berth_handshakes_failed_total", "counter", "TLS handshakes that failed.",
                get(&m->handshakes_failed));
    print_value(out, "berth_handshakes_in_flight", "gauge", "TLS handshakes under way.",
                get(&m->handshakes_in_flight));
    print_value(out, "berth_timeouts_total", "counter", "Connections closed at a deadline.",
                get(&m->timeouts));
    print_value(out, "berth_tasks_in_flight", "gauge", "Requests with a worker or the sink.",
                get(&m->tasks_in_flight));
}

static void print_by_lane(struct buf *out, const char *name, const char *type, const char *help,
                          _Atomic uint64_t counters[METRICS_LANES])
{
    print_head(out, name, type, help);
    for (size_t i = 0; i < METRICS_LANES; i++) {
        buf_printf(out, "%s{lane=\"%s\"} %llu\n", name, lanes[i],
                   (unsigned long long)get(&counters[i]));
    }
}

static void print_lanes(struct metrics *m, struct buf *out)
{
    print_by_lane(out, "berth_throttled_total", "counter", "Requests refused for want of room.",
                  m->throttled);
    print_by_lane(out, "berth_requests_waiting", "gauge", "Requests that wait for a worker.",
                  m->jobs_waiting);
    print_by_lane(out, "berth_lanes_waiting", "gauge",
                  "Hubs and addresses, scopes, strangers, newcomers: whose requests wait.",
                  m->lanes);
    print_value(out, "berth_requests_put_back_total", "counter",
                "Requests that got in line once more, with those of their group.",
                get(&m->put_back));
}

static void print_telemetry(const struct service *service, struct buf *out)
{
    struct sink_stats stats;

    sink_stats(service->sink, &stats);
    print_value(out, "berth_telemetry_last_offset", "gauge",
                "Highest durable offset of the telemetry log.", (uint64_t)stats.last_offset);
    print_value(out, "berth_telemetry_log_bytes", "gauge", "What the telemetry log takes on disk.",
                (uint64_t)stats.bytes);
    if (stats.bytes_max > 0) {
        print_value(out, "berth_telemetry_log_bytes_max", "gauge",
                    "telemetry-size: above it the oldest events are dropped.",
                    (uint64_t)stats.bytes_max);
    }
    print_value(out, "berth_telemetry_dropped_total", "counter",
                "Events dropped for their age or for want of room.", (uint64_t)stats.dropped);
}

static void print_storage(const struct service *service, struct buf *out)
{
    struct store_stats stats;

    store_stats(service->store, &stats);
    print_value(out, "berth_store_writes_total", "counter", "Write transactions.", stats.writes);
    print_value(out, "berth_store_batches_total", "counter",
                "Commits that made them durable: writes by batches is the group size.",
                stats.batches);
    print_value(out, "berth_store_write_backlog", "gauge", "Writes waiting for the writer.",
                store_write_backlog(service->store));
    print_telemetry(service, out);
    print_value(out, "berth_hub_sessions", "gauge", "Devices connected to hubs of this process.",
                bus_sessions(service->bus));
    print_value(out, "berth_method_calls", "gauge", "Direct methods under way.",
                bus_calls(service->bus));
}

static void print_refused(void *arg, const struct hub_limits_count *c)
{
    buf_printf(arg, "berth_hub_throttled_total{hub=\"%.*s\",operation=\"%s\"} %llu\n",
               SPAN_FMT(c->host), c->operation, (unsigned long long)c->refused);
}

static void print_delayed(void *arg, const struct hub_limits_count *c)
{
    buf_printf(arg, "berth_hub_delayed_total{hub=\"%.*s\",operation=\"%s\"} %llu\n",
               SPAN_FMT(c->host), c->operation, (unsigned long long)c->delayed);
}

static void print_limits(struct hub_limits *limits, struct buf *out)
{
    print_head(out, "berth_hub_throttled_total", "counter",
               "Operations refused, and sessions ended, by a limit of the hub's settings.");
    hub_limits_each(limits, print_refused, out);
    print_head(out, "berth_hub_delayed_total", "counter",
               "Messages that waited for their turn, by a limit of the hub's settings.");
    hub_limits_each(limits, print_delayed, out);
}

static void print_sealing(struct metrics *m, struct buf *out)
{
    static const char left[] = "berth_reseal_rows_left";

    print_head(out, "berth_seal_key_info", "gauge", "The key that seals secrets, by its ID.");
    buf_printf(out, "berth_seal_key_info{key=\"%08llx\"} 1\n",
               (unsigned long long)get(&m->seal_key));
    print_head(out, left, "gauge", "Rows sealed under a key that is to go, by its ID.");
    for (size_t i = 0; i < METRICS_SEAL_KEYS; i++) {
        uint64_t key = get(&m->reseal_left[i].key);

        if (key != 0) {
            buf_printf(out, "%s{key=\"%08llx\"} %llu\n", left, (unsigned long long)key,
                       (unsigned long long)get(&m->reseal_left[i].rows));
        }
    }
}

static void print_waiting(void *arg, const struct core_errands_lane *lane)
{
    buf_printf(arg, "berth_errands_lane_waiting{lane=\"%.*s\"} %lld\n", SPAN_FMT(lane->lane),
               (long long)lane->waiting);
}

/* 0: it is asked; 1: not for now; 2: a call tries. */
static void print_breaker(void *arg, const struct core_errands_lane *lane)
{
    buf_printf(arg, "berth_errands_breaker{lane=\"%.*s\"} %d\n", SPAN_FMT(lane->lane),
               (int)lane->state);
}

static void print_errands(struct core_errands *errands, struct buf *out)
{
    struct core_errands_stats s;

    core_errands_stats(errands, &s);
    print_value(out, "berth_errands_done_total", "counter",
                "Assignments and removals done with systems elsewhere.", s.done);
    print_value(out, "berth_errands_failed_total", "counter", "Assignments that were given up.",
                s.failed);
    print_value(out, "berth_errands_retried_total", "counter", "Tries that are to be repeated.",
                s.retried);
    print_value(out, "berth_errands_calls_total", "counter", "Calls to systems elsewhere.",
                s.calls);
    print_value(out, "berth_errands_waiting", "gauge", "Errands waiting, as of some seconds ago.",
                (uint64_t)s.waiting);
    print_value(out, "berth_errands_busy_threads", "gauge", "Threads at work on errands.",
                (uint64_t)s.busy);
    print_value(out, "berth_errands_breakers_open", "gauge",
                "Systems elsewhere that are left alone for a while.", (uint64_t)s.lanes_open);
    print_head(out, "berth_errands_lane_waiting", "gauge", "The same by whom they wait for.");
    core_errands_each_lane(errands, METRICS_ERRAND_LANES, print_waiting, out);
    print_head(out, "berth_errands_breaker", "gauge",
               "Breaker by whom it guards: 0 closed, 1 open, 2 trying.");
    core_errands_each_lane(errands, METRICS_ERRAND_LANES, print_breaker, out);
}

void metrics_print(const struct service *service, struct buf *out)
{
    struct metrics *m = service->metrics;

    print_head(out, "berth_build_info", "gauge", "The version that runs.");
    buf_printf(out, "berth_build_info{version=\"%s\"} 1\n",
               service->version != NULL ? service->version : "");
    print_connections(m, out);
    print_lanes(m, out);
    print_requests(m, out);
    print_latency(m, out);
    print_value(out, "berth_telemetry_events_total", "counter", "Telemetry events accepted.",
                get(&m->telemetry_events));
    print_value(out, "berth_telemetry_bytes_total", "counter", "Bytes of their bodies.",
                get(&m->telemetry_bytes));
    print_storage(service, out);
    if (service->limits != NULL) {
        print_limits(service->limits, out);
    }
    print_errands(service->errands, out);
    print_sealing(m, out);
}
