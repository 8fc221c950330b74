/* cmd/berth/fleet_stats.c: counting and percentiles. Exact, from all measurements: nothing is
 * bucketed. */
#include "cmd/berth/fleet_stats.h"

#include <stdlib.h>

enum { MEASUREMENTS_MAX = 4 * 1000 * 1000 };

static const char *const FAILURE_NAMES[FLEET_FAILURES] = {
    [FLEET_CONNECT] = "connect", [FLEET_TLS] = "tls",           [FLEET_CONNACK] = "connack",
    [FLEET_REFUSED] = "refused", [FLEET_PROTOCOL] = "protocol", [FLEET_CLOSED] = "closed",
    [FLEET_TIMEOUT] = "timeout",
};

err berth_fleet_stats_init(struct latencies *l, struct arena *arena, uint64_t n)
{
    *l = (struct latencies){ .cap = n < MEASUREMENTS_MAX ? n : MEASUREMENTS_MAX };
    l->us = ARENA_ARRAY(arena, l->cap, uint32_t);
    return l->us != NULL || l->cap == 0 ? OK : ERR(NOMEM);
}

void berth_fleet_stats_add(struct latencies *l, int64_t ns)
{
    int64_t us = ns / 1000;

    if (l->n == l->cap) {
        l->dropped++;
        return;
    }
    l->us[l->n++] = us < 0 ? 0 : us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

void berth_fleet_stats_fail(struct fleet_stats *s, enum fleet_failure cause, const char *detail)
{
    s->failed++;
    if (s->failures[cause]++ == 0) {
        (void)snprintf(s->first_failure[cause], sizeof(s->first_failure[cause]), "%s", detail);
    }
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* The smallest value that at least `share` of all do not exceed. */
static double percentile_ms(const struct latencies *l, double share)
{
    size_t rank = (size_t)(share * (double)l->n);

    if ((double)rank < share * (double)l->n) {
        rank++;
    }
    return l->us[rank > 0 ? rank - 1 : 0] / 1000.0;
}

struct latency_summary berth_fleet_stats_summary(struct latencies *l)
{
    double sum = 0;

    if (l->n == 0) {
        return (struct latency_summary){ .n = 0 };
    }
    qsort(l->us, l->n, sizeof(l->us[0]), compare);
    for (size_t i = 0; i < l->n; i++) {
        sum += l->us[i];
    }
    return (struct latency_summary){ .n = l->n,
                                     .mean_ms = sum / (double)l->n / 1000.0,
                                     .p50_ms = percentile_ms(l, 0.50),
                                     .p90_ms = percentile_ms(l, 0.90),
                                     .p99_ms = percentile_ms(l, 0.99),
                                     .p999_ms = percentile_ms(l, 0.999),
                                     .max_ms = l->us[l->n - 1] / 1000.0 };
}

static double rate(uint64_t n, double seconds)
{
    return seconds > 0 ? (double)n / seconds : 0;
}

static void print_latency(const char *name, struct latencies *l, FILE *out)
{
    struct latency_summary s = berth_fleet_stats_summary(l);

    if (s.n > 0) {
        (void)fprintf(out, "%-10s %10.2f %10.2f %10.2f %10.2f %10.2f %10.2f\n", name, s.mean_ms,
                      s.p50_ms, s.p90_ms, s.p99_ms, s.p999_ms, s.max_ms);
    }
}

void berth_fleet_stats_print(struct fleet_stats *s, const char *what, FILE *out)
{
    (void)fprintf(out, "%llu %s in %.2f s: %.0f/s", (unsigned long long)s->done, what, s->seconds,
                  rate(s->done, s->seconds));
    if (s->messages > 0) {
        (void)fprintf(out, ", %llu messages: %.0f/s", (unsigned long long)s->messages,
                      rate(s->messages, s->seconds));
    }
    (void)fprintf(out, "; %llu failed; %.2f s of processor time here\n\n",
                  (unsigned long long)s->failed, s->cpu_seconds);
    (void)fprintf(out, "%-10s %10s %10s %10s %10s %10s %10s\n", "ms", "mean", "p50", "p90", "p99",
                  "p99.9", "max");
    print_latency("handshake", &s->tls, out);
    print_latency("whole", &s->whole, out);
    print_latency("message", &s->message, out);
    print_latency("return", &s->return_, out);
    for (int i = 0; i < FLEET_FAILURES; i++) {
        if (s->failures[i] > 0) {
            (void)fprintf(out, "\n%llu failed: %s (%s)", (unsigned long long)s->failures[i],
                          FAILURE_NAMES[i], s->first_failure[i]);
        }
    }
    (void)fputs(s->failed > 0 ? "\n" : "", out);
}

static void write_number(struct json_writer *w, const char *name, double value)
{
    char text[40];

    (void)snprintf(text, sizeof(text), "%.3f", value);
    json_write_raw_if(w, name, span_str(text));
}

static void write_latency(struct json_writer *w, const char *name, struct latencies *l)
{
    struct latency_summary s = berth_fleet_stats_summary(l);

    if (s.n == 0) {
        return;
    }
    json_write_begin_object(w, name);
    json_write_int(w, "count", (int64_t)s.n);
    write_number(w, "mean", s.mean_ms);
    write_number(w, "p50", s.p50_ms);
    write_number(w, "p90", s.p90_ms);
    write_number(w, "p99", s.p99_ms);
    write_number(w, "p99.9", s.p999_ms);
    write_number(w, "max", s.max_ms);
    json_write_end_object(w);
}

void berth_fleet_stats_write(struct fleet_stats *s, const char *what, struct json_writer *w)
{
    json_write_begin_object(w, NULL);
    json_write_str(w, "what", what);
    json_write_int(w, "done", (int64_t)s->done);
    json_write_int(w, "failed", (int64_t)s->failed);
    json_write_int(w, "messages", (int64_t)s->messages);
    write_number(w, "seconds", s->seconds);
    write_number(w, "perSecond", rate(s->done, s->seconds));
    write_number(w, "messagesPerSecond", rate(s->messages, s->seconds));
    write_number(w, "cpuSeconds", s->cpu_seconds);
    if (s->held_seconds > 0) {
        write_number(w, "heldSeconds", s->held_seconds);
    }
    json_write_begin_object(w, "latencyMs");
    write_latency(w, "handshake", &s->tls);
    write_latency(w, "whole", &s->whole);
    write_latency(w, "message", &s->message);
    write_latency(w, "return", &s->return_);
    json_write_end_object(w);
    json_write_begin_object(w, "failures");
    for (int i = 0; i < FLEET_FAILURES; i++) {
        if (s->failures[i] > 0) {
            json_write_begin_object(w, FAILURE_NAMES[i]);
            json_write_int(w, "count", (int64_t)s->failures[i]);
            json_write_str(w, "example", s->first_failure[i]);
            json_write_end_object(w);
        }
    }
    json_write_end_object(w);
    json_write_end_object(w);
}
