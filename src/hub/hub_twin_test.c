/* hub/hub_twin_test.c: what twins take and refuse, how changes are merged and stamped, and what a
 * connected device is told. */
#include "hub/kit_test.h"

#include "hub/hub.h"
#include "hub/twin.h"
#include "model/limits.h"

#define STAMP    "\"$lastUpdated\":\"2025-06-15T15:06:40.0000000Z\""
#define STAMP_V2 STAMP ",\"$lastUpdatedVersion\":2"

static struct device before; /* as it is stored when a test begins */

static void put_device(void)
{
    kit_put(&KIND_DEVICE, &before);
}

static int setup(void **state)
{
    (void)state;
    kit_open();
    before = (struct device){ .hub = HUB,
                              .device_id = SPAN("d1"),
                              .generation_id = SPAN("1"),
                              .etag = 1,
                              .version = 2,
                              .desired_version = 1,
                              .reported_version = 1,
                              .twin_etag = 1,
                              .created_ms = NOW_MS };
    put_device();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    kit_close();
    return 0;
}

static struct verdict report(const char *patch, int64_t if_version, int64_t *ret_version)
{
    struct hub_twin_report r = { .patch = span_str(patch),
                                 .if_version = if_version,
                                 .generation_id = before.generation_id };
    struct verdict v;

    arena_reset(&arena);
    assert_ok(hub_twin_report(&env, HUB, SPAN("d1"), &r, ret_version, &v));
    return v;
}

static struct verdict change_device(const char *id, const char *tags, const char *desired,
                                    bool is_replace, int64_t if_etag, struct device *ret_device)
{
    AUTO(json) json *t = NULL;
    AUTO(json) json *d = NULL;
    struct hub_twin_change c = { .is_replace = is_replace, .if_etag = if_etag };
    struct verdict v;

    arena_reset(&arena);
    if (tags != NULL) {
        assert_ok(json_parse(span_str(tags), LIMIT_JSON_DEPTH, &t));
    }
    if (desired != NULL) {
        assert_ok(json_parse(span_str(desired), LIMIT_JSON_DEPTH, &d));
    }
    c.tags = t;
    c.desired = d;
    assert_ok(hub_twin_change(&env, bus, HUB, span_str(id), &c, ret_device, &v));
    return v;
}

static struct verdict change(const char *tags, const char *desired, bool is_replace,
                             struct device *ret_device)
{
    return change_device("d1", tags, desired, is_replace, -1, ret_device);
}

static struct device get(void)
{
    struct device d = { 0 };
    struct verdict v;

    arena_reset(&arena);
    assert_ok(hub_twin_get(&env, HUB, SPAN("d1"), &d, &v));
    assert_reason(GRANTED, v);
    return d;
}

/* ---- merging ---- */

static void merges_as_rfc_7386_says(void **state)
{
    static const struct {
        const char *was, *patch, *now;
    } cases[] = {
        { NULL, "{}", "{}" },
        { NULL, "{\"a\":1}", "{\"a\":1}" },
        { NULL, "{\"a\":null,\"b\":{\"c\":null}}", "{\"b\":{}}" },
        { "{\"a\":1}", "{\"a\":2}", "{\"a\":2}" },
        { "{\"a\":1}", "{\"b\":2}", "{\"a\":1,\"b\":2}" },
        { "{\"a\":1}", "{\"a\":null}", "{}" },
        { "{\"a\":1}", "{\"x\":null}", "{\"a\":1}" },
        { "{\"a\":{\"b\":1}}", "{\"a\":{\"b\":null}}", "{\"a\":{}}" },
        { "{\"a\":{\"b\":1,\"c\":2}}", "{\"a\":{\"b\":3}}", "{\"a\":{\"b\":3,\"c\":2}}" },
        { "{\"a\":1}", "{\"a\":{\"b\":1}}", "{\"a\":{\"b\":1}}" },
        { "{\"a\":{\"b\":1}}", "{\"a\":1}", "{\"a\":1}" },
        { "{\"a\":[1,2]}", "{\"a\":[3]}", "{\"a\":[3]}" },
        { "{\"a\":[{\"b\":1}]}", "{\"a\":[{\"c\":true}]}", "{\"a\":[{\"c\":true}]}" },
        { "{\"a\":1}", "{\"$version\":7,\"$metadata\":{\"a\":1}}", "{\"a\":1}" },
        { NULL, "{\"t\":\"\\u00e9\",\"n\":-1.5,\"e\":\"\"}",
          "{\"t\":\"\xc3\xa9\",\"n\":-1.5,\"e\":\"\"}" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct device d;
        int64_t version = 0;

        before.reported = span_str(cases[i].was);
        before.desired = before.tags = before.reported;
        put_device();
        assert_reason(GRANTED, report(cases[i].patch, -1, &version));
        assert_int_equal(version, 2);
        assert_reason(GRANTED, change(cases[i].patch, cases[i].patch, false, &d));
        assert_text(cases[i].now, d.desired);
        assert_text(cases[i].now, d.tags);
        d = get();
        assert_text(cases[i].now, d.reported);
        assert_int_equal(d.reported_version, 2);
        assert_int_equal(d.desired_version, 2);
        assert_int_equal(d.version, 4);
        assert_int_equal(d.twin_etag, 2);
    }
}

static void metadata_mirrors_the_section(void **state)
{
    struct device d;
    int64_t version;

    (void)state;
    assert_reason(GRANTED, change(NULL, "{\"a\":{\"b\":1},\"l\":[1,{\"x\":2}]}", false, &d));
    assert_text("{" STAMP_V2 ",\"a\":{" STAMP_V2 ",\"b\":{" STAMP_V2 "}},\"l\":{" STAMP_V2 "}}",
                d.desired_metadata);
    env.now_ms += 1000;
    assert_reason(GRANTED, change(NULL, "{\"c\":1,\"l\":null}", false, &d));
    assert_text(
        "{\"$lastUpdated\":\"2025-06-15T15:06:41.0000000Z\",\"$lastUpdatedVersion\":3,"
        "\"a\":{" STAMP_V2 ",\"b\":{" STAMP_V2 "}},"
        "\"c\":{\"$lastUpdated\":\"2025-06-15T15:06:41.0000000Z\",\"$lastUpdatedVersion\":3}}",
        d.desired_metadata);
    env.now_ms -= 1000;
    assert_reason(GRANTED, report("{\"a\":{\"b\":1}}", -1, &version));
    assert_text("{" STAMP ",\"a\":{" STAMP ",\"b\":{" STAMP "}}}", get().reported_metadata);
}

/* What is not touched was changed at the device's birth, as far as anyone knows. */
static void devices_from_before_metadata(void **state)
{
    struct device d;

    (void)state;
    before.desired = SPAN("{\"a\":{\"b\":1},\"c\":2}");
    put_device();
    env.now_ms += 1000;
    d = get();
    assert_text("{" STAMP ",\"a\":{" STAMP ",\"b\":{" STAMP "}},\"c\":{" STAMP "}}",
                d.desired_metadata);
    assert_true(span_is_absent(d.reported_metadata));
    assert_reason(GRANTED, change(NULL, "{\"c\":3}", false, &d));
    assert_text(
        "{\"$lastUpdated\":\"2025-06-15T15:06:41.0000000Z\",\"$lastUpdatedVersion\":2,"
        "\"a\":{" STAMP ",\"b\":{" STAMP "}},"
        "\"c\":{\"$lastUpdated\":\"2025-06-15T15:06:41.0000000Z\",\"$lastUpdatedVersion\":2}}",
        d.desired_metadata);
}

static void replaces(void **state)
{
    struct device d;

    (void)state;
    assert_reason(GRANTED, change("{\"t\":1}", "{\"a\":1}", false, &d));
    assert_reason(GRANTED, change("{\"u\":null,\"v\":2}", "{\"b\":1}", true, &d));
    assert_text("{\"v\":2}", d.tags);
    assert_text("{\"b\":1}", d.desired);
    assert_int_equal(d.desired_version, 3);
    assert_reason(GRANTED, change(NULL, NULL, true, &d));
    assert_true(span_is_absent(d.tags));
    assert_text("{}", d.desired);
    assert_int_equal(d.desired_version, 4);
    assert_int_equal(d.version, 5);
    /* Nothing named, nothing changed. */
    assert_reason(GRANTED, change(NULL, NULL, false, &d));
    assert_int_equal(d.version, 5);
    assert_int_equal(d.twin_etag, 4);
    /* Tags alone. */
    assert_reason(GRANTED, change("{\"x\":1}", NULL, false, &d));
    assert_int_equal(d.desired_version, 4);
    assert_int_equal(d.version, 6);
}

/* ---- conditions ---- */

static void conditions(void **state)
{
    struct device d;
    int64_t version = 0;

    (void)state;
    assert_reason(ETAG_MISMATCH, report("{\"a\":1}", 2, &version));
    assert_reason(GRANTED, report("{\"a\":1}", 1, &version));
    assert_int_equal(version, 2);
    assert_reason(ETAG_MISMATCH, change_device("d1", "{}", NULL, false, 9, &d));
    assert_reason(GRANTED, change_device("d1", "{}", NULL, false, 1, &d));
    assert_reason(ETAG_MISMATCH, change_device("d1", "{}", NULL, true, 1, &d));
    assert_reason(DEVICE_NOT_FOUND, change_device("D1", "{}", NULL, false, -1, &d));
    assert_int_equal(get().version, 4);
}

/* ---- limits ---- */

static char *text_of(const char *head, char fill, size_t n, const char *tail)
{
    static char text[200 * 1024];
    size_t at = (size_t)snprintf(text, sizeof(text), "%s", head);

    assert_true(at + n + strlen(tail) < sizeof(text));
    memset(text + at, fill, n);
    (void)snprintf(text + at + n, sizeof(text) - at - n, "%s", tail);
    return text;
}

/* {"a":{"a":… "a":1 …}}: `levels` objects, one in the other. */
static char *nested(int levels)
{
    static char text[1024];
    size_t at = 0;

    for (int i = 0; i < levels; i++) {
        at += (size_t)snprintf(text + at, sizeof(text) - at, "{\"a\":");
    }
    at += (size_t)snprintf(text + at, sizeof(text) - at, "1");
    for (int i = 0; i < levels; i++) {
        at += (size_t)snprintf(text + at, sizeof(text) - at, "}");
    }
    return text;
}

/* n texts of 4096 and one of `more` bytes, names of two bytes. */
static char *sized(int n, size_t more)
{
    static char text[200 * 1024];
    size_t at = 1;

    text[0] = '{';
    for (int i = 0; i <= n; i++) {
        size_t len = i < n ? LIMIT_TWIN_STRING : more;

        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s\"%02d\":\"", i > 0 ? "," : "", i);
        memset(text + at, 'x', len);
        at += len;
        text[at++] = '"';
    }
    text[at++] = '}';
    text[at] = '\0';
    return text;
}

static void assert_takes(const char *patch, bool is_taken)
{
    struct device d;
    int64_t version;
    struct verdict v = report(patch, -1, &version);

    if (verdict_is_granted(v) != is_taken) {
        fail_msg("%.80s: %.*s", patch, SPAN_FMT(v.detail));
    }
    v = change(NULL, patch, true, &d);
    assert_int_equal(verdict_is_granted(v), is_taken);
    if (!is_taken) {
        assert_reason(FIELD_INVALID, v);
        assert_true(span_starts_with(v.detail, SPAN("properties.desired")));
    }
}

static void limits(void **state)
{
    static const struct {
        const char *patch;
        bool is_taken;
    } cases[] = {
        { "{\"a\":4503599627370495}", true },
        { "{\"a\":4503599627370496}", false },
        { "{\"a\":-4503599627370496}", true },
        { "{\"a\":-4503599627370497}", false },
        { "{\"a\":1e300}", true },
        { "{\"a.b\":1}", false },
        { "{\"a$\":1}", false },
        { "{\"$a\":1}", false },
        { "{\"a#\":1}", false },
        { "{\"a b\":1}", false },
        { "{\"\":1}", false },
        { "{\"a\\u001f\":1}", false },
        { "{\"a\":{\"$version\":1}}", false }, /* passed over at the top alone */
        { "{\"a\":{\"$x\":null}}", false },
        { "{\"a\":[1,null]}", false },
        { "{\"a\":[[null]]}", false },
        { "{\"a\":[{\"b.c\":1}]}", false },
        { "{\"a\":[]}", true },
    };
    char patch[8192];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_takes(cases[i].patch, cases[i].is_taken);
    }
    assert_takes(nested(LIMIT_TWIN_DEPTH), true);
    assert_takes(nested(LIMIT_TWIN_DEPTH + 1), false);
    assert_takes(text_of("{\"", 'n', LIMIT_TWIN_NAME, "\":1}"), true);
    assert_takes(text_of("{\"", 'n', LIMIT_TWIN_NAME + 1, "\":1}"), false);
    assert_takes(text_of("{\"a\":\"", 'x', LIMIT_TWIN_STRING, "\"}"), true);
    assert_takes(text_of("{\"a\":\"", 'x', LIMIT_TWIN_STRING + 1, "\"}"), false);
    (void)snprintf(patch, sizeof(patch), "%s", "[]");
    assert_takes(patch, false);
}

static void sizes(void **state)
{
    struct device d;
    int64_t version;

    (void)state;
    /* 7 times 2 + 4096, then 2 + the rest: 32768 in all. */
    before.reported = SPAN("{\"l\":1}");
    put_device();
    assert_reason(GRANTED, report("{\"l\":null}", -1, &version));
    assert_reason(GRANTED, report(sized(7, LIMIT_TWIN_STRING - 16), -1, &version));
    assert_reason(FIELD_INVALID, report("{\"z\":true}", -1, &version));
    assert_reason(GRANTED, report(sized(7, LIMIT_TWIN_STRING - 16 - 9), -1, &version));
    assert_reason(GRANTED, report("{\"z\":1}", -1, &version)); /* a name of 1, a number of 8 */
    assert_reason(FIELD_INVALID, report("{\"y\":\"\"}", -1, &version));
    assert_reason(GRANTED, change(NULL, sized(7, LIMIT_TWIN_STRING - 16), false, &d));
    assert_reason(FIELD_INVALID, change(NULL, sized(7, LIMIT_TWIN_STRING - 15), false, &d));
    assert_reason(GRANTED, change(sized(1, LIMIT_TWIN_STRING - 4), NULL, false, &d));
    assert_reason(FIELD_INVALID, change(sized(1, LIMIT_TWIN_STRING - 3), NULL, false, &d));
    assert_true(get().desired.len > LIMIT_TWIN_PROPERTIES);
}

/* Small by Azure's count, not by ours: no row may grow beyond what lists read of it. */
static void many_tiny_members(void **state)
{
    static char text[128 * 1024];
    size_t at = 1;
    int64_t version;
    struct verdict v;

    (void)state;
    text[0] = '{';
    for (int i = 0; i < 7000; i++) {
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s\"%d\":{}", i > 0 ? "," : "", i);
    }
    text[at++] = '}';
    text[at] = '\0';
    v = report(text, -1, &version);
    assert_reason(FIELD_INVALID, v);
    assert_true(span_ends_with(v.detail, SPAN("too many members.")));
}

static void bodies_that_are_no_json(void **state)
{
    static const char *const bodies[] = { "", " ", "{", "{}x", "nope", "{\"a\":1,}" };
    int64_t version;

    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        assert_reason(BODY_MALFORMED, report(bodies[i], -1, &version));
    }
    assert_reason(FIELD_INVALID, report("null", -1, &version));
    assert_reason(FIELD_INVALID, report("[1]", -1, &version));
    assert_int_equal(get().version, 2);
}

/* ---- what a connected device is told ---- */

static void no_tell(struct bus_member *m, unsigned signals)
{
    (void)m;
    (void)signals;
}

static void expect_letter(struct bus_member *m, int64_t number, const char *payload)
{
    struct bus_letter *letter = bus_take(bus, m);

    assert_non_null(letter);
    assert_int_equal(letter->number, number);
    assert_text(payload, letter->payload);
    bus_letter_free(letter);
}

static void the_device_is_told(void **state)
{
    struct bus_member m = { .hub = HUB, .client_id = SPAN("d1"), .tell = no_tell };
    struct device d;

    (void)state;
    bus_join(bus, &m);
    bus_claim(bus, &m);
    assert_reason(GRANTED, change(NULL, "{\"a\":1,\"b\":{\"c\":null},\"$version\":77}", false, &d));
    assert_reason(GRANTED, change("{\"t\":1}", NULL, false, &d)); /* none of its business */
    assert_reason(FIELD_INVALID, change(NULL, "{\"a.b\":1}", false, &d));
    assert_reason(GRANTED, change(NULL, "{\"x\":[1]}", true, &d));
    assert_reason(GRANTED, change(NULL, NULL, true, &d));
    expect_letter(&m, 2, "{\"a\":1,\"b\":{\"c\":null},\"$version\":2}");
    expect_letter(&m, 3, "{\"x\":[1],\"$version\":3}");
    expect_letter(&m, 4, "{\"$version\":4}");
    assert_null(bus_take(bus, &m));
    bus_leave(bus, &m);
}

/* ---- what is kept of sessions ---- */

static err find_session(struct store_tx *tx, void *arg)
{
    struct session key = { .hub = HUB, .client_id = SPAN("d1") };
    bool *is_found = arg;

    return store_find(tx, &KIND_SESSION, &key, &arena, &key, is_found);
}

static void sessions_are_kept_for_the_device_alone(void **state)
{
    struct session s = {
        .hub = HUB, .client_id = SPAN("d1"), .generation_id = SPAN("0"), .filters = SPAN("f")
    };
    struct verdict v;
    bool is_found;

    (void)state;
    assert_ok(
        hub_session_keep(&env, &s, NULL, NULL, &v)); /* a former device's connection, still open */
    assert_reason(DEVICE_NOT_FOUND, v);
    assert_ok(store_read(store, find_session, &is_found));
    assert_false(is_found);
    s.generation_id = SPAN("1");
    assert_ok(hub_session_keep(&env, &s, NULL, NULL, &v));
    assert_reason(GRANTED, v);
    assert_ok(store_read(store, find_session, &is_found));
    assert_true(is_found);
}

static void the_same_again_takes_no_more_room(void **state)
{
    struct device d;
    size_t used = 0;

    (void)state;
    for (int i = 0; i < 51; i++) {
        assert_reason(GRANTED, change("{\"n\":1}", "{\"n\":1}", false, &d));
        used = i < 10 ? arena.used : used; /* versions have two digits from then on */
        assert_in_range(arena.used, used, used + 16);
    }
    assert_int_equal(d.desired_version, 52);
    assert_int_equal(d.version, 53);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(merges_as_rfc_7386_says, setup, teardown),
        cmocka_unit_test_setup_teardown(metadata_mirrors_the_section, setup, teardown),
        cmocka_unit_test_setup_teardown(devices_from_before_metadata, setup, teardown),
        cmocka_unit_test_setup_teardown(replaces, setup, teardown),
        cmocka_unit_test_setup_teardown(conditions, setup, teardown),
        cmocka_unit_test_setup_teardown(limits, setup, teardown),
        cmocka_unit_test_setup_teardown(sizes, setup, teardown),
        cmocka_unit_test_setup_teardown(many_tiny_members, setup, teardown),
        cmocka_unit_test_setup_teardown(bodies_that_are_no_json, setup, teardown),
        cmocka_unit_test_setup_teardown(the_device_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(sessions_are_kept_for_the_device_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(the_same_again_takes_no_more_room, setup, teardown),
    };

    return cmocka_run_group_tests_name("hub/twin", tests, NULL, NULL);
}
