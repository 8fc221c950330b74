/* hub/move_test.c: a device that changes hubs: what it finds on the new one, and that nothing of it
 * stays on the old. Which moves there are is core's (core/core_move_test.c). */
#include "hub/kit_test.h"

#include "crypto/crypto.h"
#include "hub/bus_call.h"
#include "hub/c2d.h"
#include "hub/event.h"
#include "hub/family.h"
#include "hub/hub.h"
#include "model/kinds.h"
#include "model/limits.h"

#define OLD SPAN("old.example")
#define NEW SPAN("new.example")
#define KEY SPAN("0123456789abcdef")
#define INITIAL                                                                                    \
    SPAN("{\"tags\":{\"from\":\"enrollment\"},\"properties\":{\"desired\":{\"begin\":1}}}")
#define META "{\"$lastUpdated\":\"2025-01-01T00:00:00.0000000Z\",\"$lastUpdatedVersion\":6}"

static struct sink *sink;

static void make_hub(struct span host)
{
    const struct hub_order order = { .name = span_first(host, 3),
                                     .host_name = host,
                                     .id_scope = SPAN("0ne1") };
    struct hub hub;
    struct verdict v;

    assert_ok(hub_create(&env, &order, &hub, &v));
    assert_reason(GRANTED, v);
}

static int setup(void **state)
{
    (void)state;
    kit_open();
    assert_ok(sink_mem_open(&sink));
    env = (struct env){ .store = store,
                        .sink = sink,
                        .arena = &arena,
                        .now_ms = NOW_MS,
                        .random = crypto_random,
                        .tracking_id = "t-1" };
    make_hub(OLD);
    make_hub(NEW);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sink_close(sink);
    kit_close();
    return 0;
}

/* ---- what there is ---- */

/* One that has seen something. */
static struct device lived(struct span hub, const char *client_id)
{
    return (struct device){ .hub = hub,
                            .device_id = span_str(client_id),
                            .generation_id = SPAN("g-old"),
                            .etag = 7,
                            .auth = DEVICE_AUTH_SAS,
                            .primary_key = KEY,
                            .secondary_key = KEY,
                            .tags = SPAN("{\"site\":\"n\"}"),
                            .desired = SPAN("{\"interval\":5}"),
                            .desired_metadata = SPAN(META),
                            .reported = SPAN("{\"interval\":4}"),
                            .reported_metadata = SPAN(META),
                            .version = 12,
                            .desired_version = 6,
                            .reported_version = 7,
                            .twin_etag = 5,
                            .model_id = SPAN("dtmi:a;1"),
                            .created_ms = NOW_MS - 1000,
                            .updated_ms = NOW_MS - 500 };
}

static void put(const struct device *d)
{
    struct tag tag = { d->hub, SPAN("site"), SPAN("\"n\""), d->device_id };

    kit_put(span_find(d->device_id, '/') < d->device_id.len ? &KIND_MODULE : &KIND_DEVICE, d);
    if (!span_is_absent(d->tags)) {
        kit_put(&KIND_TAG, &tag);
    }
}

static void put_lived(struct span hub, const char *client_id)
{
    struct device d = lived(hub, client_id);

    put(&d);
}

struct search {
    struct device device;
    const struct kind *kind;
    bool is_found;
};

static err find_in(struct store_tx *tx, void *arg)
{
    struct search *s = arg;

    return store_find(tx, s->kind, &s->device, &arena, &s->device, &s->is_found);
}

static bool find(struct span hub, const char *client_id, struct device *ret)
{
    struct search s = { .device = { .hub = hub, .device_id = span_str(client_id) },
                        .kind = strchr(client_id, '/') != NULL ? &KIND_MODULE : &KIND_DEVICE };

    assert_ok(store_read(store, find_in, &s));
    *ret = s.device;
    return s.is_found;
}

static struct device get(const char *client_id)
{
    struct device d;

    assert_true(find(NEW, client_id, &d));
    return d;
}

/* Rows whose first key is the hub. */
struct count {
    const struct kind *kind;
    const void *prefix;
    size_t n;
};

static err count_in(struct store_tx *tx, void *arg)
{
    struct count *c = arg;
    struct store_scan scan = { .prefix = c->prefix, .n_prefix = 1, .limit = 1000 };
    void *rows;

    return store_scan(tx, c->kind, &scan, &arena, &rows, &c->n);
}

static size_t count(const struct kind *kind, const void *prefix)
{
    struct count c = { kind, prefix, 0 };

    assert_ok(store_read(store, count_in, &c));
    return c.n;
}

static size_t count_modules(struct span hub)
{
    return count(&KIND_MODULE, &(struct device){ .hub = hub });
}

/* But for feedback nothing is left on the old hub. */
static void assert_left(void)
{
    assert_int_equal(count(&KIND_DEVICE, &(struct device){ .hub = OLD }), 0);
    assert_int_equal(count_modules(OLD), 0);
    assert_int_equal(count(&KIND_TAG, &(struct tag){ .hub = OLD }), 0);
    assert_int_equal(count(&KIND_PRESENCE, &(struct presence){ .hub = OLD }), 0);
    assert_int_equal(count(&KIND_SESSION, &(struct session){ .hub = OLD }), 0);
    assert_int_equal(count(&KIND_C2D_MESSAGE, &(struct c2d_message){ .hub = OLD }), 0);
    assert_int_equal(count(&KIND_C2D_QUEUE, &(struct c2d_queue){ .hub = OLD }), 0);
}

/* ---- the move ---- */

static struct placed placed; /* by the latest */

static err place_in(struct store_tx *tx, void *arg)
{
    return HUB_PLACER.place(&env, tx, arg, &placed);
}

static struct placement placement(bool keeps_twin)
{
    return (struct placement){ .hub = NEW,
                               .device_id = SPAN("d1"),
                               .auth = DEVICE_AUTH_SELF_SIGNED,
                               .primary_thumbprint = SPAN("AA"),
                               .secondary_thumbprint = SPAN("AA"),
                               .initial_twin = INITIAL,
                               .reset_twin = !keeps_twin,
                               .from_hub = OLD,
                               .from_device_id = SPAN("d1"),
                               .keeps_twin = keeps_twin };
}

static void move(const struct placement *p)
{
    struct placement copy = *p;

    assert_ok(store_write(store, place_in, &copy));
}

static void assert_versions(const struct device *d, int64_t version, int64_t desired,
                            int64_t reported)
{
    assert_int_equal(d->version, version);
    assert_int_equal(d->desired_version, desired);
    assert_int_equal(d->reported_version, reported);
}

static void assert_lived(const struct device *d)
{
    assert_text("{\"site\":\"n\"}", d->tags);
    assert_text("{\"interval\":5}", d->desired);
    assert_text(META, d->desired_metadata);
    assert_text("{\"interval\":4}", d->reported);
    assert_text(META, d->reported_metadata);
    assert_text("dtmi:a;1", d->model_id);
}

static void assert_initial(const struct device *d)
{
    assert_text("{\"from\":\"enrollment\"}", d->tags);
    assert_text("{\"begin\":1}", d->desired);
    assert_true(span_is_absent(d->reported));
    assert_true(span_is_absent(d->reported_metadata));
}

static void the_twin_comes_along(void **state)
{
    struct placement p = placement(true);
    struct device d;

    (void)state;
    put_lived(OLD, "d1");
    put_lived(OLD, "d10"); /* somebody else */
    move(&p);
    assert_true(placed.is_new && placed.has_twin && placed.has_left && !placed.ends_sessions);
    assert_text("g-old", placed.left.generation_id);
    d = get("d1");
    assert_lived(&d);
    assert_versions(&d, 12, 6, 7);
    assert_int_equal(d.twin_etag, 5);
    assert_int_equal(d.generation_id.len, 18);
    assert_true(span_eq(placed.now.generation_id, d.generation_id));
    assert_int_equal(d.created_ms, NOW_MS);
    assert_int_equal(d.auth, DEVICE_AUTH_SELF_SIGNED);
    assert_text("AA", d.primary_thumbprint);
    assert_true(span_is_absent(d.primary_key));
    assert_false(find(OLD, "d1", &d));
    assert_true(find(OLD, "d10", &d));
    assert_int_equal(count(&KIND_TAG, &(struct tag){ .hub = NEW }), 1);
    assert_int_equal(count(&KIND_TAG, &(struct tag){ .hub = OLD }), 1);
}

/* $version goes on: it is the same device to itself. */
static void the_twin_is_reset(void **state)
{
    struct placement p = placement(false);
    struct device d;

    (void)state;
    put_lived(OLD, "d1");
    put_lived(OLD, "d1/m");
    p.iot_edge = 1;
    move(&p);
    assert_true(placed.is_new && !placed.has_twin && placed.has_left);
    d = get("d1");
    assert_initial(&d);
    assert_versions(&d, 13, 7, 8);
    assert_true(span_is_absent(d.model_id));
    assert_false(find(NEW, "d1/m", &d));
    assert_int_equal(count_modules(NEW), HUB_FAMILY_EDGE_MODULES);
    assert_left();
}

/* From before metadata was kept: it is that of its birth on the old hub. */
static void a_twin_without_metadata(void **state)
{
    struct placement p = placement(true);
    struct device d = lived(OLD, "d1");

    (void)state;
    d.desired_metadata = d.reported_metadata = SPAN_NONE;
    put(&d);
    move(&p);
    d = get("d1");
    assert_text("{\"$lastUpdated\":\"2025-06-15T15:06:39.0000000Z\",\"interval\":{"
                "\"$lastUpdated\":\"2025-06-15T15:06:39.0000000Z\"}}",
                d.desired_metadata);
}

static void modules_come_along(void **state)
{
    struct placement p = placement(true);
    struct device m = lived(OLD, "d1/m"), d = lived(OLD, "d1");

    (void)state;
    d.iot_edge = 1;
    d.parent_scopes = SPAN("[\"ms-azure-iot-edge://up-1\"]");
    m.managed_by = SPAN("me");
    put(&d);
    put(&m);
    put_lived(OLD, "d1/$edgeAgent"); /* the other one is missing, whyever */
    put_lived(OLD, "d10/m");
    p.device_id = SPAN("named-anew");
    move(&p);
    d = get("named-anew");
    assert_int_equal(d.iot_edge, 1);
    assert_true(span_is_absent(d.parent_scopes));
    m = get("named-anew/m");
    assert_lived(&m);
    assert_versions(&m, 12, 6, 7);
    assert_text("me", m.managed_by);
    assert_true(span_eq(m.primary_key, KEY));
    assert_int_equal(m.generation_id.len, 18);
    m = get("named-anew/$edgeAgent");
    assert_lived(&m);
    m = get("named-anew/$edgeHub");
    assert_int_equal(m.auth, DEVICE_AUTH_NONE);
    assert_int_equal(count_modules(NEW), 3);
    assert_int_equal(count(&KIND_TAG, &(struct tag){ .hub = NEW }), 3);
    assert_int_equal(count_modules(OLD), 1);
}

static void who_is_barred_stays_so(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        bool keeps = i % 2 == 0, is_there = i >= 2;
        struct placement p = placement(keeps);
        struct device d = lived(OLD, "d1");

        d.status = DEVICE_DISABLED;
        d.status_reason = SPAN("stolen");
        d.status_updated_ms = 5;
        put(&d);
        if (is_there) {
            put_lived(NEW, "d1");
        }
        move(&p);
        assert_int_equal(placed.ends_sessions, is_there);
        d = get("d1");
        assert_int_equal(d.status, DEVICE_DISABLED);
        assert_text("stolen", d.status_reason);
        assert_int_equal(d.status_updated_ms, 5);
        p = placement(keeps); /* and the other way: nobody is let in by coming */
        p.hub = OLD;
        p.from_hub = NEW;
        put_lived(OLD, "d1");
        move(&p);
        assert_true(find(OLD, "d1", &d));
        assert_int_equal(d.status, DEVICE_DISABLED);
    }
}

/* ---- what is there already ---- */

static void one_that_is_there_gets_the_twin(void **state)
{
    struct placement p = placement(true);
    struct device d = lived(NEW, "d1");

    (void)state;
    put_lived(OLD, "d1");
    put_lived(OLD, "d1/m");
    d.generation_id = SPAN("g-new");
    d.tags = SPAN("{\"by\":\"hand\"}");
    d.desired = SPAN("{}");
    d.desired_version = 40;
    put(&d);
    d.device_id = SPAN("d1/m");
    put(&d);
    d.device_id = SPAN("d1/other");
    put(&d);
    move(&p);
    assert_true(!placed.is_new && placed.ends_sessions && placed.has_twin && placed.has_left);
    d = get("d1");
    assert_lived(&d);
    assert_versions(&d, 13, 41, 8); /* neither hub's versions come again */
    assert_text("g-new", d.generation_id);
    assert_int_equal(d.etag, 8);
    assert_text("AA", d.primary_thumbprint);
    d = get("d1/m");
    assert_lived(&d);
    assert_int_equal(d.generation_id.len, 18);
    d = get("d1/other");
    assert_text("{\"by\":\"hand\"}", d.tags);
    assert_left();
}

static void one_that_is_there_is_reset(void **state)
{
    struct placement p = placement(false);
    struct device d = lived(NEW, "d1");

    (void)state;
    put_lived(OLD, "d1");
    d.iot_edge = 1;
    put(&d);
    put_lived(NEW, "d1/$edgeHub");
    put_lived(NEW, "d1/own");
    move(&p);
    assert_true(!placed.is_new && placed.ends_sessions && !placed.has_twin);
    d = get("d1");
    assert_initial(&d);
    assert_versions(&d, 13, 7, 8);
    assert_int_equal(count_modules(NEW), 1);
    assert_left();
}

static void too_many_modules_together(void **state)
{
    struct placement p = placement(true);
    struct device d;
    char id[32];

    (void)state;
    put_lived(OLD, "d1");
    put_lived(OLD, "d1/both");
    put_lived(OLD, "d1/more");
    put_lived(NEW, "d1");
    put_lived(NEW, "d1/both");
    for (int i = 0; i < LIMIT_MODULES - 1; i++) {
        (void)snprintf(id, sizeof id, "d1/m%d", i);
        put_lived(NEW, id);
    }
    move(&p);
    assert_reason(TOO_MANY_MODULES, placed.verdict);
    assert_false(placed.is_new || placed.has_left || placed.ends_sessions || placed.has_twin);
    assert_true(find(OLD, "d1/more", &d));
    d = get("d1");
    assert_text("g-old", d.generation_id);
    assert_int_equal(d.auth, DEVICE_AUTH_SAS);
}

/* Somebody took the old one away: there is nothing to keep. */
static void one_that_is_gone(void **state)
{
    struct placement p = placement(true);
    struct device d;

    (void)state;
    move(&p);
    assert_true(placed.is_new && !placed.has_twin && !placed.has_left);
    d = get("d1");
    assert_initial(&d);
    assert_versions(&d, 2, 1, 1);
    p.initial_twin = SPAN_NONE;
    move(&p); /* and what is there stays as it is */
    assert_false(placed.is_new || placed.has_twin || placed.ends_sessions);
    d = get("d1");
    assert_initial(&d);
}

/* ---- from a hub elsewhere ---- */

static char much[64 * 1024];

static struct span many_members(int n)
{
    struct buf out = buf_over(much, sizeof much);

    for (int i = 0; i < n; i++) {
        buf_printf(&out, "%s\"m%d\":\"%0*d\"", i > 0 ? "," : "{", i, 1000, i);
    }
    buf_add_str(&out, "}");
    return buf_span(&out);
}

static void from_elsewhere(void **state)
{
    static const struct {
        struct device_state carried;
        bool is_reset;
        enum reason reason;
        const char *tags, *desired, *reported;
        int64_t versions[3];
    } cases[] = {
        { { .tags = SPAN_INIT("{\"a\":1}"),
            .desired = SPAN_INIT("{\"b\":{\"c\":2},\"$metadata\":{\"b\":{\"$lastUpdated\":\"x\"}},"
                                 "\"$version\":9}"),
            .reported = SPAN_INIT("{\"e\":[1],\"$version\":4}"),
            .iot_edge = 1 },
          false,
          REASON_GRANTED,
          "{\"a\":1}",
          "{\"b\":{\"c\":2}}",
          "{\"e\":[1]}",
          { 13, 9, 4 } },
        { { .status = DEVICE_DISABLED, .status_reason = SPAN_INIT("lost") },
          false,
          REASON_GRANTED,
          NULL,
          NULL,
          NULL,
          { 2, 1, 1 } },
        { { .desired = SPAN_INIT("{\"$version\":-1}"),
            .reported = SPAN_INIT("{\"$version\":9223372036854775807}") },
          false,
          REASON_GRANTED,
          NULL,
          "{}",
          "{}",
          { 2, 1, 1 } },
        { { .desired = SPAN_INIT("{\"b\":1,\"$version\":9}"), .status = DEVICE_DISABLED },
          true,
          REASON_GRANTED,
          "{\"from\":\"enrollment\"}",
          "{\"begin\":1}",
          NULL,
          { 2, 1, 1 } },
        { { .desired = SPAN_INIT("{\"b\":") },
          false,
          REASON_FIELD_INVALID,
          NULL,
          NULL,
          NULL,
          { 0 } },
        { { .reported = SPAN_INIT("[]") }, false, REASON_FIELD_INVALID, NULL, NULL, NULL, { 0 } },
        { { .tags = SPAN_INIT("{\"a.b\":1}") },
          false,
          REASON_FIELD_INVALID,
          NULL,
          NULL,
          NULL,
          { 0 } },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct placement p = placement(!cases[i].is_reset);
        struct device d;
        char id[8];

        (void)snprintf(id, sizeof id, "d%zu", i);
        p.device_id = span_str(id);
        p.from_hub = p.from_device_id = SPAN_NONE;
        p.carried = &cases[i].carried;
        move(&p);
        assert_int_equal(placed.verdict.reason, cases[i].reason);
        if (cases[i].reason != REASON_GRANTED) {
            assert_false(span_is_absent(placed.verdict.detail));
            assert_false(find(NEW, id, &d));
            continue;
        }
        assert_int_equal(placed.has_twin, !cases[i].is_reset);
        d = get(id);
        assert_text(cases[i].tags, d.tags);
        assert_text(cases[i].desired, d.desired);
        assert_text(cases[i].reported, d.reported);
        assert_versions(&d, cases[i].versions[0], cases[i].versions[1], cases[i].versions[2]);
        assert_int_equal(d.status, cases[i].carried.status);
        assert_int_equal(count_modules(NEW),
                         cases[0].carried.iot_edge ? HUB_FAMILY_EDGE_MODULES : 0);
    }
}

/* It is told so, once and for all: a fault would have it try for ever. */
static void one_from_elsewhere_that_does_not_fit(void **state)
{
    struct device_state carried = { .reported = many_members(40) };
    struct placement p = placement(true);
    struct device d;

    (void)state;
    p.from_hub = p.from_device_id = SPAN_NONE;
    p.carried = &carried;
    move(&p);
    assert_reason(FIELD_INVALID, placed.verdict);
    assert_text("properties.reported would be 40110 bytes of names and values; at most 32768 are "
                "kept.",
                placed.verdict.detail);
    assert_false(find(NEW, "d1", &d));
    carried.reported = many_members(30);
    move(&p);
    assert_reason(GRANTED, placed.verdict);
    p.carried = &(struct device_state){ .reported = SPAN("{\"is\":\"new\"}") };
    move(&p); /* it was there: the same once more, with what it brings now */
    assert_true(!placed.is_new && placed.has_twin && placed.ends_sessions);
    d = get("d1");
    assert_text("{\"is\":\"new\"}", d.reported);
}

/* ---- the largest ---- */

/* A section of as many members as its metadata has room for. */
static struct span widest(char *block, size_t size)
{
    struct buf out = buf_over(block, size);

    for (int i = 0; i < 3000; i++) {
        buf_printf(&out, "%s\"%06d\":%d", i > 0 ? "," : "{", i, i % 10);
    }
    buf_add_str(&out, "}");
    return buf_span(&out);
}

static void the_largest_fit(void **state)
{
    static char values[64 * 1024], metadata[LIMIT_TWIN_METADATA];
    struct placement p = placement(true);
    struct device d = lived(OLD, "d1");
    char id[32];

    (void)state;
    memset(metadata, ' ', sizeof metadata);
    metadata[0] = '{';
    metadata[sizeof metadata - 1] = '}';
    d.tags = d.desired = d.reported = widest(values, sizeof values);
    d.desired_metadata = d.reported_metadata = span_of((uint8_t *)metadata, sizeof metadata);
    put(&d);
    d.hub = NEW;
    put(&d);
    d.hub = OLD;
    for (int i = 0; i < LIMIT_MODULES; i++) {
        (void)snprintf(id, sizeof id, "d1/m%d", i);
        d.device_id = span_str(id);
        put(&d);
    }
    arena_reset(&arena);
    move(&p);
    assert_true(placed.has_twin);
    HUB_PLACER.tell(&env, bus, &placed);
    arena_reset(&arena);
    assert_int_equal(count(&KIND_DEVICE, &(struct device){ .hub = OLD }), 0);
    d = get("d1/m49");
    assert_true(span_eq(d.reported, span_of((uint8_t *)values, d.reported.len)));
}

/* ---- what does not come along ---- */

static void send(const char *client_id, enum c2d_ack ack)
{
    struct hub_c2d_order order = { .message = { .hub = OLD,
                                                .client_id = span_str(client_id),
                                                .message_id = span_str(client_id),
                                                .ack = ack,
                                                .body = SPAN("hello") } };
    struct verdict v;
    int64_t sequence;

    assert_ok(hub_c2d_enqueue(&env, bus, &order, &sequence, &v));
    assert_reason(GRANTED, v);
}

static err read_feedback(struct store_tx *tx, void *arg)
{
    struct feedback prefix = { .hub = OLD };
    struct store_scan scan = { .prefix = &prefix, .n_prefix = 1, .limit = 3 };
    struct feedback *rows;
    size_t n;

    (void)arg;
    TRY(store_scan(tx, &KIND_FEEDBACK, &scan, &arena, &rows, &n));
    assert_int_equal(n, 2);
    for (size_t i = 0; i < n; i++) {
        assert_text(i == 0 ? "d1" : "d1/m", rows[i].message_id);
        assert_text("g-old", rows[i].generation_id);
        assert_int_equal(rows[i].status, FEEDBACK_PURGED);
    }
    return OK;
}

static void messages_that_wait_end(void **state)
{
    struct presence presence = { .hub = OLD, .client_id = SPAN("d1/m") };
    struct session session = { .hub = OLD, .client_id = SPAN("d1"), .filters = SPAN("x") };
    struct placement p = placement(true);

    (void)state;
    put_lived(OLD, "d1");
    put_lived(OLD, "d1/m");
    kit_put(&KIND_PRESENCE, &presence);
    kit_put(&KIND_SESSION, &session);
    send("d1", C2D_ACK_FULL);
    send("d1", C2D_ACK_POSITIVE); /* only of a success */
    send("d1", C2D_ACK_NONE);
    send("d1/m", C2D_ACK_NEGATIVE);
    move(&p);
    assert_left();
    assert_ok(store_read(store, read_feedback, NULL));
    assert_int_equal(count(&KIND_C2D_MESSAGE, &(struct c2d_message){ .hub = NEW }), 0);
}

static err take_away_in(struct store_tx *tx, void *arg)
{
    (void)arg;
    return HUB_PLACER.take_away(&env, tx, OLD, SPAN("d1"), &placed);
}

/* To a hub elsewhere. */
static void a_device_is_taken_away(void **state)
{
    (void)state;
    put_lived(OLD, "d1");
    put_lived(OLD, "d1/m");
    send("d1", C2D_ACK_FULL);
    send("d1/m", C2D_ACK_FULL);
    placed = (struct placed){ .has_twin = true };
    assert_ok(store_write(store, take_away_in, NULL));
    assert_true(placed.has_left && placed.has_twin);
    assert_left();
    assert_ok(store_read(store, read_feedback, NULL));
    placed = (struct placed){ 0 };
    assert_ok(store_write(store, take_away_in, NULL));
    assert_false(placed.has_left);
}

/* ---- what follows ---- */

static unsigned told[3];

static void hear(struct bus_member *m, unsigned signals)
{
    told[m->now_ms] |= signals; /* its number: nobody looks at it otherwise */
}

static void hear_call(struct bus_call *c)
{
    (void)c;
}

static void sessions_and_calls_end(void **state)
{
    struct bus_member members[] = {
        { .hub = OLD, .client_id = SPAN("d1"), .tell = hear, .now_ms = 0 },
        { .hub = OLD, .client_id = SPAN("d1/m"), .tell = hear, .now_ms = 1 },
        { .hub = NEW, .client_id = SPAN("d1"), .tell = hear, .now_ms = 2 },
    };
    struct bus_letter letter = { .kind = BUS_LETTER_METHOD, .rid = SPAN("r") };
    struct bus_call call = {
        .hub = OLD, .client_id = SPAN("d1/m"), .rid = SPAN("r"), .tell = hear_call
    };
    struct device last = lived(SPAN("third.example"), "d");
    struct sink_query q = { .hub = NEW, .max_events = 10, .max_bytes = 1 << 20 };
    struct placement p = placement(true);
    struct sink_reading r;

    (void)state;
    put_lived(OLD, "d1");
    put_lived(OLD, "d1/m");
    for (size_t i = 0; i < 3; i++) {
        bus_join(bus, &members[i]);
        bus_claim(bus, &members[i]);
        told[i] = 0;
    }
    assert_true(bus_call_begin(bus, &call, bus_letter_new(&letter)));
    bus_letter_free(bus_take(bus, &members[1]));
    assert_int_equal(bus_call_state(bus, &call), BUS_CALL_TAKEN);
    move(&p);
    assert_int_equal(told[0], 0); /* not before it is durable */
    HUB_PLACER.tell(&env, bus, &placed);
    assert_true((told[0] & BUS_CUT_OFF) != 0);
    assert_true((told[1] & BUS_CUT_OFF) != 0);
    assert_int_equal(told[2], 0);
    assert_int_equal(bus_call_state(bus, &call), BUS_CALL_GONE);
    bus_call_end(bus, &call);
    for (size_t i = 0; i < 3; i++) {
        bus_leave(bus, &members[i]);
    }
    assert_ok(hub_event_lifecycle(&env, HUB_EVENT_CREATED, &last)); /* behind the others */
    assert_ok(sink_read(sink, &q, &arena, &r));
    assert_int_equal(r.n, 1);
    assert_non_null(memmem(r.events[0].properties.data, r.events[0].properties.len,
                           "createDeviceIdentity", 20));
    assert_non_null(memmem(r.events[0].body.data, r.events[0].body.len, "{\"interval\":4,", 14));
    q.hub = OLD;
    assert_ok(sink_read(sink, &q, &arena, &r));
    assert_int_equal(r.n, 1);
    assert_non_null(memmem(r.events[0].properties.data, r.events[0].properties.len,
                           "deleteDeviceIdentity", 20));
    assert_non_null(memmem(r.events[0].properties.data, r.events[0].properties.len, "g-old", 5));
    assert_non_null(memmem(r.events[0].body.data, r.events[0].body.len, "{\"interval\":4,", 14));
}

static void a_reset_is_told(void **state)
{
    struct device last = lived(SPAN("third.example"), "d");
    struct sink_query q = { .hub = NEW, .max_events = 10, .max_bytes = 1 << 20 };
    struct placement p = placement(false);
    struct sink_reading r;

    (void)state;
    put_lived(NEW, "d1");
    p.from_hub = p.from_device_id = SPAN_NONE;
    move(&p);
    assert_true(placed.has_other_twin && placed.ends_sessions); /* which its credential does */
    HUB_PLACER.tell(&env, bus, &placed);
    move(&p);
    assert_true(placed.has_other_twin && !placed.ends_sessions);
    p.reset_twin = false;
    move(&p);
    assert_false(placed.has_other_twin);
    assert_ok(hub_event_lifecycle(&env, HUB_EVENT_CREATED, &last)); /* behind the others */
    assert_ok(sink_read(sink, &q, &arena, &r));
    assert_int_equal(r.n, 1);
    assert_text("{\"version\":13,\"tags\":{\"from\":\"enrollment\"},\"properties\":{\"desired\":{"
                "\"begin\":1,\"$metadata\":{\"$lastUpdated\":\"2025-06-15T15:06:40.0000000Z\","
                "\"begin\":{\"$lastUpdated\":\"2025-06-15T15:06:40.0000000Z\"}},\"$version\":7},"
                "\"reported\":{\"$metadata\":{\"$lastUpdated\":\"2025-06-15T15:06:39.0000000Z\"},"
                "\"$version\":8}}}",
                r.events[0].body);
    assert_non_null(
        memmem(r.events[0].properties.data, r.events[0].properties.len, "replaceTwin", 11));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_twin_comes_along, setup, teardown),
        cmocka_unit_test_setup_teardown(the_twin_is_reset, setup, teardown),
        cmocka_unit_test_setup_teardown(a_twin_without_metadata, setup, teardown),
        cmocka_unit_test_setup_teardown(modules_come_along, setup, teardown),
        cmocka_unit_test_setup_teardown(who_is_barred_stays_so, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_is_there_gets_the_twin, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_is_there_is_reset, setup, teardown),
        cmocka_unit_test_setup_teardown(too_many_modules_together, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_is_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(from_elsewhere, setup, teardown),
        cmocka_unit_test_setup_teardown(one_from_elsewhere_that_does_not_fit, setup, teardown),
        cmocka_unit_test_setup_teardown(the_largest_fit, setup, teardown),
        cmocka_unit_test_setup_teardown(messages_that_wait_end, setup, teardown),
        cmocka_unit_test_setup_teardown(a_device_is_taken_away, setup, teardown),
        cmocka_unit_test_setup_teardown(sessions_and_calls_end, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reset_is_told, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
