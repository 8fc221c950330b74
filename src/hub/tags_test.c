/* hub/tags_test.c: what stands in the index over tags, and that every writer of tags keeps it in
 * step. */
#include "hub/kit_test.h"

#include "hub/hub.h"
#include "hub/tags.h"
#include "hub/twin.h"
#include "model/limits.h"

static void fill_random(void *ret_bytes, size_t len)
{
    memset(ret_bytes, 7, len);
}

static int setup(void **state)
{
    (void)state;
    kit_open();
    env = (struct env){
        .store = store, .arena = &arena, .now_ms = 1750000000000, .random = fill_random
    };
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    kit_close();
    return 0;
}

/* The whole index: "path=value:client ID " each. */
static err print_rows(struct store_tx *tx, void *arg)
{
    struct buf *out = arg;
    struct store_scan scan = { .limit = 10000 };
    struct tag *rows;
    size_t n;

    TRY(store_scan(tx, &KIND_TAG, &scan, &arena, &rows, &n));
    for (size_t i = 0; i < n; i++) {
        assert_true(span_eq(rows[i].hub, HUB));
        buf_printf(out, "%s%.*s=%.*s:%.*s", i > 0 ? " " : "", SPAN_FMT(rows[i].path),
                   SPAN_FMT(rows[i].value), SPAN_FMT(rows[i].client_id));
    }
    return OK;
}

static void assert_rows(const char *expected)
{
    static char room[64 * 1024];
    struct buf out = buf_over(room, sizeof(room) - 1);

    arena_reset(&arena);
    assert_ok(store_read(store, print_rows, &out));
    assert_string_equal(buf_cstr(&out), expected);
}

struct update {
    const char *was, *is;
};

static err update(struct store_tx *tx, void *arg)
{
    const struct update *u = arg;
    size_t mark = arena.used;

    TRY(hub_tags_update(tx, &arena, HUB, SPAN("d"), span_str(u->was), span_str(u->is)));
    assert_int_equal(arena.used, mark);
    return OK;
}

static void test_rows_follow_the_tags(void **state)
{
    static char long_text[LIMIT_TAG_VALUE * 3];
    static const struct {
        const char *tags, *rows;
    } steps[] = {
        { NULL, "" },
        { "{}", "" },
        { "{\"a\":\"x\"}", "a=\"x\":d" },
        { "{\"a\":\"x\",\"b\":{\"c\":1,\"d\":{\"e\":true}}}", "a=\"x\":d b.c=1:d b.d.e=true:d" },
        { "{\"b\":{\"c\":2,\"d\":false},\"a\":\"x\"}", "a=\"x\":d b.c=2:d b.d=false:d" },
        /* one number, however it is written */
        { "{\"a\":1.0,\"b\":1,\"c\":100,\"d\":1e2,\"e\":-0.0,\"f\":0.1}",
          "a=1:d b=1:d c=100:d d=100:d e=0:d f=0.10000000000000001:d" },
        { "{\"a\":\"\\\"q\\\" \\u00e9\"}", "a=\"\\\"q\\\" \xc3\xa9\":d" },
        /* what no tag of one value is */
        { "{\"a\":null,\"b\":[1,2],\"c\":{},\"d\":7}", "d=7:d" },
        { "{\"a.b\":1,\"a\":{\"b\":2},\"\":3}", "a.b=2:d" },
        { NULL, "" },
    };
    struct update u = { NULL, NULL };

    (void)state;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        u.was = u.is;
        u.is = steps[i].tags;
        assert_ok(store_write(store, update, &u));
        assert_rows(steps[i].rows);
    }
    /* too long to be looked up by: the path, then the value */
    (void)snprintf(long_text, sizeof(long_text), "{\"%0*d\":1,\"%0*d\":2}", LIMIT_TAG_PATH + 1, 1,
                   LIMIT_TAG_PATH - 1, 2);
    u = (struct update){ NULL, long_text };
    assert_ok(store_write(store, update, &u));
    u = (struct update){ long_text, "{\"a\":1}" };
    assert_ok(store_write(store, update, &u));
    assert_rows("a=1:d");
    (void)snprintf(long_text, sizeof(long_text), "{\"a\":\"%0*d\"}", LIMIT_TAG_VALUE - 1, 1);
    u = (struct update){ "{\"a\":1}", long_text };
    assert_ok(store_write(store, update, &u));
    assert_rows("");
    u = (struct update){ "{", "{}" };
    assert_true(err_is(store_write(store, update, &u), ERR_CORRUPT));
}

/* As many rows, with as long paths, as tags of 8 KB can have: they fit into a request. */
static void test_the_most_tags(void **state)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    static char text[32 * 1024];
    struct buf out = buf_over(text, sizeof(text) - 1);
    struct update u = { NULL, text };

    (void)state;
    buf_printf(&out, "{\"%0*d\":{", LIMIT_TAG_PATH - 3, 1);
    for (int i = 0; i < 52 * 52; i++) {
        buf_printf(&out, "%s\"%c%c\":1", i > 0 ? "," : "", letters[i / 52], letters[i % 52]);
    }
    buf_add_str(&out, "}}");
    (void)buf_cstr(&out);
    assert_ok(store_write(store, update, &u));
    u = (struct update){ text, NULL };
    assert_ok(store_write(store, update, &u));
    assert_rows("");
}

/* ---- writers of tags ---- */

static void change(const char *tags, bool is_replace)
{
    AUTO(json) json *t = NULL;
    struct hub_twin_change c = { .is_replace = is_replace, .if_etag = -1 };
    struct device d;
    struct verdict v;

    assert_ok(json_parse(span_str(tags), LIMIT_JSON_DEPTH, &t));
    c.tags = t;
    assert_ok(hub_twin_change(&env, bus, HUB, SPAN("d1"), &c, &d, &v));
    assert_reason(GRANTED, v);
}

static err place(struct store_tx *tx, void *arg)
{
    struct placed placed;

    return hub_device_place(&env, tx, arg, &placed);
}

static void test_all_writers_keep_the_index(void **state)
{
    struct hub_order order = { .name = SPAN("h"), .host_name = HUB, .id_scope = SPAN("s") };
    struct hub_removal removal = { SPAN("s"), SPAN("h"), .is_forced = true, .most = 2 };
    struct placement p = { .hub = HUB,
                           .device_id = SPAN("d1"),
                           .initial_twin = SPAN("{\"tags\":{\"site\":\"n\",\"floor\":3}}") };
    struct hub hub;
    struct verdict v;
    bool is_done = false;

    (void)state;
    assert_ok(hub_create(&env, &order, &hub, &v));
    assert_reason(GRANTED, v);
    assert_ok(store_write(store, place, &p));
    assert_rows("floor=3:d1 site=\"n\":d1");
    change("{\"site\":\"s\",\"floor\":null,\"is\":{\"new\":true}}", false);
    assert_rows("is.new=true:d1 site=\"s\":d1");
    change("{\"a\":1}", true);
    assert_rows("a=1:d1");
    p.primary_key = SPAN("0123456789abcdef"); /* the credential alone */
    assert_ok(store_write(store, place, &p));
    assert_rows("a=1:d1");
    p.reset_twin = true;
    assert_ok(store_write(store, place, &p));
    assert_rows("floor=3:d1 site=\"n\":d1");
    p.device_id = SPAN("d2");
    p.initial_twin = SPAN_NONE;
    assert_ok(store_write(store, place, &p));
    assert_rows("floor=3:d1 site=\"n\":d1");
    for (int i = 0; i < 10 && !is_done; i++) {
        assert_ok(hub_remove(&env, bus, &removal, &is_done, &v));
        assert_reason(GRANTED, v);
    }
    assert_true(is_done);
    assert_rows("");
}

/* ---- devices from before the index ---- */

static err ask_complete(struct store_tx *tx, void *arg)
{
    return hub_tags_is_complete(tx, &arena, HUB, arg);
}

static bool is_complete(void)
{
    bool complete;

    assert_ok(store_read(store, ask_complete, &complete));
    return complete;
}

static void put_old(const char *client_id, const char *tags)
{
    struct device d = { .hub = HUB, .device_id = span_str(client_id), .tags = span_str(tags) };
    struct tag_backlog b = { .hub = HUB, .client_id = d.device_id };

    if (tags != NULL) {
        kit_put(&KIND_DEVICE, &d);
    }
    kit_put(&KIND_TAG_BACKLOG, &b);
}

static void test_devices_from_before_are_entered_once(void **state)
{
    char id[16];
    bool again = true;
    int rounds = 0;

    (void)state;
    assert_true(is_complete());
    put_old("d1", "{\"a\":1,\"b\":2,\"c\":3}");
    put_old("gone", NULL);
    assert_false(is_complete());
    change("{\"a\":null,\"b\":7}", false); /* c stays out until d1 has its turn */
    assert_rows("b=7:d1");
    for (int i = 0; i < 2 * LIMIT_TAG_BATCH; i++) {
        (void)snprintf(id, sizeof(id), "x%03d", i);
        put_old(id, "{}");
    }
    while (again) {
        arena_reset(&arena);
        assert_false(is_complete());
        assert_ok(hub_tags_enter_old(&env, bus, NULL, &again));
        rounds++;
    }
    assert_int_equal(rounds, 3);
    assert_true(is_complete());
    assert_rows("b=7:d1 c=3:d1");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_rows_follow_the_tags),
        TEST(test_the_most_tags),
        TEST(test_all_writers_keep_the_index),
        TEST(test_devices_from_before_are_entered_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
