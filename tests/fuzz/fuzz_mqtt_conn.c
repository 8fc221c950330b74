// links: berth_proto
/* tests/fuzz/fuzz_mqtt_conn.c: any bytes as what a client sends. However they are cut on the way,
 * the same packets come out and the same end is reached. */
#include "fuzz.h"
#include "proto/mqtt/conn.h"

static const struct mqtt_conn_limits limits = {
    .packet_max = 4096,
    .connect_within_ms = 10000,
    .packet_within_ms = 5000,
    .keep_alive_cap_ms = 1000000,
};

struct outcome {
    size_t n_packets;
    size_t n_consumed;
    enum mqtt_conn_event last;
    enum mqtt_conn_state state;
};

static struct outcome run(struct span all, size_t piece)
{
    struct outcome o = { 0 };
    struct mqtt_conn c;
    size_t arrived = 0;
    int64_t now_ms = 1;

    mqtt_conn_init(&c, &limits, now_ms);
    while (arrived < all.len && o.last != MQTT_CONN_VIOLATION) {
        struct span in;

        arrived = all.len - arrived < piece ? all.len : arrived + piece;
        in = span_from(span_first(all, arrived), o.n_consumed);
        do {
            struct mqtt_packet p;
            const char *why = NULL;

            o.last = mqtt_conn_next(&c, &in, ++now_ms, &p, &why);
            o.n_packets += o.last == MQTT_CONN_PACKET;
            FUZZ_CHECK((why != NULL) == (o.last == MQTT_CONN_VIOLATION));
            FUZZ_CHECK(o.last != MQTT_CONN_PACKET || o.n_packets > 1 || p.type == MQTT_CONNECT);
        } while (o.last == MQTT_CONN_PACKET);
        FUZZ_CHECK(o.last != MQTT_CONN_MORE || in.len < limits.packet_max);
        FUZZ_CHECK(mqtt_conn_deadline(&c) > 0);
        o.n_consumed = arrived - in.len;
    }
    o.state = c.state;
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t pieces[] = { 1, 2, 7 };
    struct outcome whole = run(span_of(data, size), size + 1);

    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        struct outcome o = run(span_of(data, size), pieces[i]);

        FUZZ_CHECK(o.n_packets == whole.n_packets && o.n_consumed == whole.n_consumed);
        FUZZ_CHECK(o.last == whole.last && o.state == whole.state);
    }
    return 0;
}
