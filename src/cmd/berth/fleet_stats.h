/* cmd/berth/fleet_stats.h: what a run of the fleet came to. */
#ifndef CMD_BERTH_FLEET_STATS_H
#define CMD_BERTH_FLEET_STATS_H

#include <stdio.h>

#include "util/arena.h"
#include "json/writer.h"

/* A step that took so long, many times over. */
struct latencies {
    uint32_t *us;
    size_t n, cap; /* what is beyond the cap is counted in `dropped` alone */
    uint64_t dropped;
};

struct latency_summary {
    size_t n;
    double mean_ms, p50_ms, p90_ms, p99_ms, p999_ms, max_ms;
};

enum fleet_failure {
    FLEET_CONNECT, /* TCP */
    FLEET_TLS,
    FLEET_CONNACK,  /* MQTT CONNECT was refused */
    FLEET_REFUSED,  /* the service decided against the device */
    FLEET_PROTOCOL, /* bytes that are no MQTT, or not what was due */
    FLEET_CLOSED,   /* the server closed too early */
    FLEET_TIMEOUT,
    FLEET_FAILURES
};

struct fleet_stats {
    uint64_t done, failed, messages;
    uint64_t failures[FLEET_FAILURES];
    char first_failure[FLEET_FAILURES][200]; /* an example of each */
    double seconds, cpu_seconds;             /* of the clock; of this process's processor time */
    struct latencies tls;                    /* TCP and TLS handshake */
    struct latencies whole;   /* due to begin .. last answer (CONNACK with --connect-only) */
    struct latencies message; /* sent .. acknowledged */
    struct latencies return_; /* all cut off at once .. CONNACK of this one; --hold alone */
    double held_seconds;      /* all of them together at the hub */
};

/* Room for n measurements, at most 4 million. ERR_NOMEM. */
err berth_fleet_stats_init(struct latencies *l, struct arena *arena, uint64_t n);
void berth_fleet_stats_add(struct latencies *l, int64_t ns);
/* Sorts. All 0 when nothing was measured. */
struct latency_summary berth_fleet_stats_summary(struct latencies *l);
void berth_fleet_stats_fail(struct fleet_stats *s, enum fleet_failure cause, const char *detail);

/* what: "registrations". */
void berth_fleet_stats_print(struct fleet_stats *s, const char *what, FILE *out);
void berth_fleet_stats_write(struct fleet_stats *s, const char *what, struct json_writer *w);

#endif
