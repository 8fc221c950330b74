/* api/hub_query_test.c: POST /devices/query: what conditions find, against a filter of its own that
 * knows the rows by other means, whichever index served them; paging, projections, counts, groups,
 * and what is refused. Each row is a device and, under the same name, a module of it. */
#include "api/http_wire_test.h"
#include "api/query_random_test.h"
#include "hub/identity.h"
#include "hub/tags.h"
#include "json/writer.h"

#define V     "?api-version=2021-04-12"
#define QUERY "/devices/query" V
#define HUB   SPAN(WIRE_HUB_HOST)

static const char *const SITES[] = { "north", "south", "It's", "\xc3\xa9", NULL };

/* What the test knows of row i. */
struct known {
    char id[16], module[20];
    bool is_disabled, is_edge, is_connected, has_flag, flag;
    const char *site; /* tags.site; NULL: none */
    int floor;        /* tags.loc.floor: that and a half; 7: none; 8: [1]; 9: the text "nine" */
    int desired, reported; /* properties.….v; 9: none */
    int64_t active_ms;     /* 0: never */
};

static struct known rows[ROWS];
static struct bus_member members[2 * ROWS];

static void know(int i)
{
    struct known *k = &rows[i];

    (void)snprintf(k->id, sizeof(k->id), "%s-%02d", i % 2 == 0 ? "Dev" : "dev", i * 7 % ROWS);
    (void)snprintf(k->module, sizeof(k->module), "%s-%02d/m", i % 2 == 0 ? "Dev" : "dev",
                   i * 7 % ROWS);
    k->is_disabled = i % 11 == 0;
    k->is_edge = i % 3 == 0;
    k->is_connected = i % 4 == 1;
    k->has_flag = i % 5 != 0;
    k->flag = i % 2 == 0;
    k->site = SITES[i % 5];
    k->floor = i % 10;
    k->desired = i % 4;
    k->reported = i % 6 == 5 ? 9 : i % 6;
    k->active_ms = i % 8 == 0 ? 0 : 1700000000000 + i % 20 * 1000;
}

static void print_tags(const struct known *k, struct buf *out)
{
    buf_printf(out, "{\"loc\":{");
    if (k->floor < 7) {
        buf_printf(out, "\"floor\":%d.5", k->floor);
    } else if (k->floor > 7) {
        buf_printf(out, "\"floor\":%s", k->floor == 8 ? "[1]" : "\"nine\"");
    }
    buf_printf(out, "}");
    if (k->site != NULL) {
        buf_printf(out, ",\"site\":\"%s\"", k->site);
    }
    if (k->has_flag) {
        buf_printf(out, ",\"flag\":%s", k->flag ? "true" : "false");
    }
    buf_printf(out, "}");
}

static err put_one(struct store_tx *tx, const struct known *k, const char *client_id)
{
    char tags[256], desired[32], reported[32];
    struct buf out = buf_over(tags, sizeof(tags));
    struct device d = { .hub = HUB,
                        .device_id = span_str(client_id),
                        .generation_id = SPAN("1"),
                        .etag = 7,
                        .primary_key = SPAN("never to be seen"),
                        .version = 2 + k->floor,
                        .desired_version = 1,
                        .reported_version = 1,
                        .twin_etag = 1,
                        .created_ms = 1600000000000 };
    struct presence p = { .hub = HUB,
                          .client_id = d.device_id,
                          .generation_id = d.generation_id,
                          .last_activity_ms = k->active_ms };

    print_tags(k, &out);
    (void)snprintf(desired, sizeof(desired), "{\"v\":%d}", k->desired);
    (void)snprintf(reported, sizeof(reported), "{\"v\":%d}", k->reported);
    d.tags = buf_span(&out);
    d.desired = span_str(desired);
    d.reported = k->reported == 9 ? SPAN_NONE : span_str(reported);
    d.status = k->is_disabled ? DEVICE_DISABLED : DEVICE_ENABLED;
    d.iot_edge = k->is_edge;
    TRY(hub_identity_put(tx, &d));
    TRY(k->active_ms != 0 ? store_put(tx, &KIND_PRESENCE, &p) : OK);
    return hub_tags_update(tx, &w.arena, HUB, d.device_id, SPAN_NONE, d.tags);
}

static err put_row(struct store_tx *tx, void *arg)
{
    const struct known *k = arg;

    TRY(put_one(tx, k, k->id));
    return put_one(tx, k, k->module);
}

static void tell_nobody(struct bus_member *m, unsigned signals)
{
    (void)m;
    (void)signals;
}

static void connect_one(struct bus_member *m, struct span hub, const char *client_id)
{
    *m = (struct bus_member){ .hub = hub, .client_id = span_str(client_id), .tell = tell_nobody };
    bus_join(w.service.bus, m);
    bus_claim(w.service.bus, m);
}

static void put_rows(void)
{
    for (int i = 0; i < ROWS; i++) {
        know(i);
        assert_true(err_is_ok(store_write(w.service.store, put_row, &rows[i])));
        if (rows[i].is_connected) {
            connect_one(&members[2 * i], HUB, rows[i].id);
            connect_one(&members[2 * i + 1], HUB, rows[i].module);
        } else {
            connect_one(&members[2 * i], SPAN("other.example"), rows[i].id);
        }
    }
    arena_reset(&w.arena);
}

static int set_up(void **state)
{
    (void)state;
    memset(members, 0, sizeof(members));
    wire_open(&w);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * ROWS; i++) {
        bus_leave(w.service.bus, &members[i]);
    }
    wire_close(&w);
    return 0;
}

/* ---- asking ---- */

static struct wire_reply ask_by(const char *policy, const char *text, const char *headers)
{
    uint8_t bytes[16384];
    struct buf body = buf_over(bytes, sizeof(bytes));
    struct json_writer j = json_writer_over(&body);

    json_write_begin_object(&j, NULL);
    json_write_str(&j, "query", text);
    json_write_end_object(&j);
    return wire_ask_by(&w, POLICY_OF_HUB, policy, "POST", QUERY, headers, buf_cstr(&body));
}

static struct wire_reply ask(const char *text, const char *headers)
{
    return ask_by("registryRead", text, headers);
}

static void assert_answer(const char *text, const char *expected)
{
    struct wire_reply r = ask(text, "");

    if (r.status != 200 || strcmp(r.body, expected) != 0) {
        fail_msg("%s\n%d %s\nnot %s", text, r.status, r.body, expected);
    }
    assert_string_equal(wire_header(&r, "x-ms-item-type"), "Raw");
    assert_null(wire_header(&r, "x-ms-continuation"));
}

/* The device IDs of all pages, in their order, each behind a ' '. Returns their number. */
static size_t collect(const char *text, int page_size, char *ret_ids, size_t *ret_pages)
{
    char headers[512], token[400] = "";
    struct wire_reply r;
    size_t n = 0;

    *ret_pages = 0;
    ret_ids[0] = '\0';
    do {
        const char *next;

        (void)snprintf(headers, sizeof(headers), "x-ms-max-item-count: %d\r\n%s%s%s", page_size,
                       token[0] ? "x-ms-continuation: " : "", token, token[0] ? "\r\n" : "");
        r = ask(text, headers);
        if (r.status != 200) {
            fail_msg("%s: %s", text, r.body);
        }
        next = wire_header(&r, "x-ms-continuation");
        (void)snprintf(token, sizeof(token), "%s", next ? next : "");
        for (const char *at = r.body; (at = strstr(at, "\"deviceId\":\"")) != NULL; at++) {
            const char *id = at + strlen("\"deviceId\":\"");

            (void)snprintf(ret_ids + strlen(ret_ids), 32, " %.*s", (int)strcspn(id, "\""), id);
            n++;
        }
        assert_null(strstr(r.body, "primaryKey"));
        (*ret_pages)++;
    } while (token[0] != '\0');
    return n;
}

/* ---- any condition finds what it says ---- */

static void leaf_of_id(struct condition *c, int op)
{
    char id[16];

    (void)snprintf(id, sizeof(id), "%s-%02d", pick(2) ? "dev" : "Dev", pick(ROWS));
    if (pick(3) == 0) {
        size_t len = strlen(id) - (size_t)pick(3);

        (void)sprintf(c->text, "STARTS_WITH(deviceId, '%.*s')", (int)len, id);
        for (int i = 0; i < ROWS; i++) {
            c->of[i] = strncmp(rows[i].id, id, len) == 0 ? YES : NO;
        }
        return;
    }
    if (pick(3) == 0) {
        int a = pick(ROWS), b = pick(ROWS);

        (void)sprintf(c->text, "deviceId %s ['%s', 7, '%s', 'nobody']", op == 1 ? "NIN" : "IN",
                      rows[a].id, rows[b].id);
        for (int i = 0; i < ROWS; i++) {
            c->of[i] = side_truth(op == 1, i == a || i == b ? 0 : 1);
        }
        return;
    }
    (void)sprintf(c->text, "devices.deviceId %s '%s'", OPS[op], id);
    for (int i = 0; i < ROWS; i++) {
        c->of[i] = side_truth(op, strcmp(rows[i].id, id));
    }
}

static void leaf_of_site(struct condition *c, int op)
{
    static const char *const quoted[] = { "'north'", "'south'", "'It''s'", "'\xc3\xa9'" };
    int which = pick(4);
    bool is_in = pick(3) == 0;

    if (is_in) {
        (void)sprintf(c->text, "tags.site %s [%s, 'x', 7]", op == 1 ? "NIN" : "IN", quoted[which]);
    } else {
        (void)sprintf(c->text, "tags.site %s %s", OPS[op], quoted[which]);
    }
    for (int i = 0; i < ROWS; i++) {
        int side = rows[i].site ? strcmp(rows[i].site, SITES[which]) : 0;

        c->of[i] = rows[i].site == NULL ? UNKNOWN : side_truth(is_in ? op == 1 : op, side);
    }
}

static void leaf_of_floor(struct condition *c, int op)
{
    int floor = pick(7);
    int form = pick(3);

    (void)sprintf(c->text,
                  form == 0   ? "tags.loc.floor %s %d.5"
                  : form == 1 ? "tags.[[loc]].floor * 2 - 1 %s %d * 2"
                              : "tags.loc.floor %s %d.50e0",
                  OPS[op], floor);
    for (int i = 0; i < ROWS; i++) {
        int f = rows[i].floor;

        c->of[i] = f == 7 || (f > 7 && form == 1) ? UNKNOWN
                   : f < 7                        ? side_truth(op, (f > floor) - (f < floor))
                   : op < 2                       ? side_truth(op, 1)
                                                  : UNKNOWN;
    }
}

static void leaf_of_versions(struct condition *c, int op)
{
    (void)sprintf(c->text, "properties.desired.v %s properties.reported.v", OPS[op]);
    for (int i = 0; i < ROWS; i++) {
        c->of[i] =
            rows[i].reported == 9 ? UNKNOWN : side_truth(op, rows[i].desired - rows[i].reported);
    }
}

static void leaf_of_activity(struct condition *c, int op)
{
    int second = pick(22);

    (void)sprintf(c->text, "lastActivityTime %s '2023-11-14T22:13:%02dZ'", OPS[op], 20 + second);
    for (int i = 0; i < ROWS; i++) {
        int64_t side = rows[i].active_ms - (1700000000000 + second * 1000);

        c->of[i] = side_truth(op, (side > 0) - (side < 0));
    }
}

static void leaf_of_word(struct condition *c, int op)
{
    bool is_status = pick(2) == 0;

    op %= 2;
    (void)sprintf(c->text, is_status ? "status %s 'Disabled'" : "connectionState %s 'connected'",
                  OPS[op]);
    for (int i = 0; i < ROWS; i++) {
        c->of[i] = side_truth(op, is_status ? !rows[i].is_disabled : !rows[i].is_connected);
    }
}

static void leaf_of_others(struct condition *c, int op)
{
    static const char *const texts[] = {
        "capabilities.iotEdge = true",
        "is_defined(tags.loc.floor)",
        "tags.flag",
        "tags.flag = false",
        "ARRAY_CONTAINS(tags.loc.floor, 1)",
        "ENDS_WITH(tags.loc.floor, 'ne')",
        "(tags.flag = true) = is_defined(tags.site)",
        "properties.reported.$version = undefined",
    };
    int which = pick(8);

    (void)op;
    (void)strcpy(c->text, texts[which]);
    for (int i = 0; i < ROWS; i++) {
        const struct known *k = &rows[i];
        const enum truth flag = !k->has_flag ? UNKNOWN : k->flag ? YES : NO;
        const enum truth truths[] = {
            k->is_edge ? YES : NO,
            k->floor != 7 ? YES : NO,
            flag,
            flag == UNKNOWN ? UNKNOWN : !flag,
            k->floor == 8 ? YES : UNKNOWN,
            k->floor == 9 ? YES : UNKNOWN,
            flag == UNKNOWN                      ? UNKNOWN
            : (flag == YES) == (k->site != NULL) ? YES
                                                 : NO,
            UNKNOWN,
        };
        c->of[i] = truths[which];
    }
}

static void (*const leaves[])(struct condition *c, int op) = {
    leaf_of_id,       leaf_of_site, leaf_of_floor,  leaf_of_versions,
    leaf_of_activity, leaf_of_word, leaf_of_others,
};

static bool is_sorted(const char *ids)
{
    const char *before = "";

    for (const char *at = ids; *at != '\0'; at += 1 + strcspn(at + 1, " ")) {
        if (strcmp(before, at) > 0) {
            return false;
        }
        before = at;
    }
    return true;
}

static int64_t count_of(const char *from, const char *where)
{
    char text[5000];
    struct wire_reply r;
    long n;

    (void)snprintf(text, sizeof(text), "SELECT COUNT() AS n FROM %s WHERE %s", from, where);
    r = ask(text, "");
    assert_int_equal(r.status, 200);
    assert_string_equal(wire_header(&r, "x-ms-item-type"), "Raw");
    assert_int_equal(sscanf(r.body, "[{\"n\":%ld}]", &n), 1);
    return n;
}

static void check_condition(const struct condition *c, const char *from)
{
    char text[5000], ids[2048];
    size_t want = 0;
    size_t pages, n;

    (void)snprintf(text, sizeof(text), "SELECT deviceId FROM %s devices WHERE %s", from, c->text);
    n = collect(text, 1 + pick(30), ids, &pages);
    for (int i = 0; i < ROWS; i++) {
        char id[32];

        (void)snprintf(id, sizeof(id), " %s", rows[i].id);
        want += c->of[i] == YES;
        if ((strstr(ids, id) != NULL) != (c->of[i] == YES)) {
            fail_msg("%s: %s is %s", text, rows[i].id, c->of[i] == YES ? "not found" : "found");
        }
    }
    assert_int_equal(n, want);
    assert_true(is_sorted(ids));
}

static void test_any_condition_finds_what_it_says(void **state)
{
    struct condition *c = malloc(sizeof(*c));

    (void)state;
    put_rows();
    for (seed = 1; seed < 1200; seed = seed % 1200 + 3) {
        uint32_t own = seed;

        make_condition(c, leaves, 7, pick(4));
        if (strlen(c->text) < 3500) {
            check_condition(c, pick(3) == 0 ? "devices.modules" : "devices");
        }
        seed = own;
    }
    free(c);
}

/* ---- indexes ---- */

static err put_many(struct store_tx *tx, void *arg)
{
    char id[16];
    struct device d = { .hub = HUB, .generation_id = SPAN("1") };

    for (int i = 0; i < *(int *)arg; i++) {
        (void)snprintf(id, sizeof(id), "m%06d", i);
        d.device_id = span_str(id);
        d.tags = i % 15000 == 14999 ? SPAN("{\"rare\":1}") : SPAN_NONE;
        d.status = i % 30000 == 14999 ? DEVICE_DISABLED : DEVICE_ENABLED;
        TRY(store_put(tx, &KIND_DEVICE, &d));
        TRY(hub_tags_update(tx, &w.arena, HUB, d.device_id, SPAN_NONE, d.tags));
    }
    return OK;
}

static err put_backlog(struct store_tx *tx, void *arg)
{
    (void)arg;
    return store_put(tx, &KIND_TAG_BACKLOG,
                     &(struct tag_backlog){ .hub = HUB, .client_id = SPAN("m000001") });
}

/* What an index serves comes on one page from beyond LIMIT_QUERY_EXAMINED rows; what none does
 * comes on many, and one request looks at so many rows and no more. */
static void test_indexes_pass_over_rows(void **state)
{
    static const struct {
        const char *where;
        size_t n;
    } indexed[] = {
        { "tags.rare = 1", 6 },
        { "tags.rare IN [1.0, 'x'] AND version != 5", 6 },
        { "tags.rare = '1'", 0 },
        { "status = 'disabled'", 3 },
        { "connectionState = 'Connected'", 1 },
        { "deviceId = 'm090000'", 1 },
        { "deviceId IN ['m090000', 'm000001', 'zz'] AND version = 0", 2 },
        { "deviceId > 'm099998' AND deviceId <= 'm099999'", 1 },
        { "STARTS_WITH(deviceId, 'm09999')", 10 },
        { "version = 0 AND (tags.rare = 1)", 6 },
    };
    static const char rare[] = "SELECT deviceId FROM devices WHERE tags.rare + 0 = 1";
    int many = LIMIT_QUERY_COUNTED + 1;
    char ids[512], text[256];
    struct wire_reply r;
    size_t pages;
    bool again;

    (void)state;
    assert_true(err_is_ok(store_write(w.service.store, put_many, &many)));
    connect_one(&members[0], HUB, "m070000");
    connect_one(&members[1], HUB, "m070000/module");
    connect_one(&members[2], HUB, "not-there");
    for (size_t i = 0; i < sizeof(indexed) / sizeof(indexed[0]); i++) {
        (void)snprintf(text, sizeof(text), "SELECT deviceId FROM devices WHERE %s",
                       indexed[i].where);
        assert_int_equal(collect(text, 100, ids, &pages), indexed[i].n);
        assert_int_equal(pages, 1);
        assert_int_equal(count_of("devices", indexed[i].where), indexed[i].n);
    }
    assert_int_equal(collect(rare, 100, ids, &pages), 6);
    assert_int_equal(pages, (many + LIMIT_QUERY_EXAMINED - 1) / LIMIT_QUERY_EXAMINED);
    /* too many for what is answered at once, but not for an index alone */
    r = ask("SELECT COUNT() FROM devices WHERE tags.rare + 0 = 1", "");
    assert_int_equal(r.status, 400);
    assert_int_equal(w.task_note.reason, REASON_QUERY_TOO_WIDE);
    assert_has(&r, "COUNT() gave up after 100000 rows: narrow it by a condition on deviceId");
    r = ask("SELECT AVG(version) FROM devices", "");
    assert_int_equal(w.task_note.reason, REASON_QUERY_TOO_WIDE);
    assert_answer("SELECT COUNT() FROM devices", "[{\"count\":100001}]");
    assert_int_equal(count_of("devices", "status = 'enabled'"), many - 3);
    /* While devices from before the index wait, it is passed over. */
    assert_true(err_is_ok(store_write(w.service.store, put_backlog, NULL)));
    assert_int_equal(collect("SELECT deviceId FROM devices WHERE tags.rare = 1", 100, ids, &pages),
                     6);
    assert_true(pages > 1);
    {
        struct env env = { .store = w.service.store, .arena = &w.arena };

        assert_true(err_is_ok(hub_tags_enter_old(&env, NULL, NULL, &again)));
    }
    assert_int_equal(collect("SELECT deviceId FROM devices WHERE tags.rare = 1", 100, ids, &pages),
                     6);
    assert_int_equal(pages, 1);
}

/* More than one page of gathered client IDs: by sessions, and by two values of a tag. */
static void test_gathered_pages_join(void **state)
{
    enum { MANY = 3 * LIMIT_LISTING_PAGE + 7 };
    static struct bus_member all[MANY];
    static char ids[MANY][16];
    static char found[32 * MANY];
    size_t pages;
    int many = MANY;

    (void)state;
    assert_true(err_is_ok(store_write(w.service.store, put_many, &many)));
    for (int i = 0; i < MANY; i++) {
        struct known k = { .site = i % 3 == 0 ? "a" : i % 3 == 1 ? "b" : "c" };

        (void)snprintf(k.id, sizeof(k.id), "m%06d", i);
        (void)snprintf(k.module, sizeof(k.module), "m%06d/m", i);
        (void)strcpy(ids[i], k.id);
        assert_true(err_is_ok(store_write(w.service.store, put_row, &k)));
        connect_one(&all[i], HUB, ids[i]);
    }
    assert_int_equal(collect("SELECT deviceId FROM devices WHERE connectionState = 'Connected'",
                             100, found, &pages),
                     MANY);
    assert_int_equal(pages, (MANY + 99) / 100);
    assert_true(is_sorted(found));
    assert_int_equal(
        collect("SELECT deviceId FROM devices WHERE tags.site IN ['b', 'a']", 1000, found, &pages),
        (MANY + 2) / 3 + (MANY + 1) / 3);
    assert_true(is_sorted(found));
    assert_int_equal(count_of("devices.modules", "tags.site = 'c'"), MANY / 3);
    for (int i = 0; i < MANY; i++) {
        bus_leave(w.service.bus, &all[i]);
    }
}

/* ---- answers ---- */

static void test_whole_rows_are_twins(void **state)
{
    static const struct {
        const char *from, *twin;
    } cases[] = {
        { "SELECT * FROM devices WHERE deviceId = 'Dev-14'", "/twins/Dev-14" V },
        { "SELECT * FROM devices.modules WHERE deviceId = 'dev-07'", "/twins/dev-07/modules/m" V },
        { "SELECT * FROM devices WHERE deviceId = 'dev-35'", "/twins/dev-35" V },
    };
    struct wire_reply r;
    char whole[4096], text[256];

    (void)state;
    put_rows();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        AUTO(json) json *twin = NULL;

        r = ask(cases[i].from, "");
        assert_int_equal(r.status, 200);
        assert_string_equal(wire_header(&r, "x-ms-item-type"), "Twin");
        assert_string_equal(wire_header(&r, "Content-Type"), "application/json; charset=utf-8");
        assert_null(wire_header(&r, "x-ms-continuation"));
        (void)snprintf(whole, sizeof(whole), "%s", r.body);
        r = wire_ask_by(&w, POLICY_OF_HUB, "service", "GET", cases[i].twin, "", "");
        assert_int_equal(r.status, 200);
        assert_int_equal(strlen(whole), strlen(r.body) + 2);
        assert_memory_equal(whole + 1, r.body, strlen(r.body));
        /* Each member of it is what a projection gives. */
        assert_true(err_is_ok(json_parse(span_str(r.body), 32, &twin)));
        for (struct json_iter it = json_first(twin); it.name; json_next(&it)) {
            uint8_t bytes[4096];
            struct buf want = buf_over(bytes, sizeof(bytes));

            buf_printf(&want, "[{\"x\":");
            assert_true(err_is_ok(json_print(it.value, &want)));
            buf_add_str(&want, "}]");
            (void)snprintf(text, sizeof(text), "SELECT %s AS x %s", it.name,
                           cases[i].from + strlen("SELECT * "));
            assert_answer(text, buf_cstr(&want));
        }
    }
    assert_answer("SELECT tags.site, tags.none, tags.loc.floor * 2 AS twice, properties.desired.v, "
                  "x509Thumbprint.primaryThumbprint AS p, properties.desired.$version AS dv, "
                  "properties.reported.$metadata.$lastUpdated AS at, "
                  "(tags.loc.floor > 1) AS up FROM devices WHERE deviceId = 'Dev-14'",
                  "[{\"site\":\"It's\",\"twice\":5.0,\"v\":2,\"p\":null,\"dv\":1,"
                  "\"at\":\"2020-09-13T12:26:40.0000000Z\",\"up\":true}]");
}

static void test_aggregates(void **state)
{
    (void)state;
    assert_answer("SELECT COUNT() FROM devices", "[{\"count\":0}]");
    assert_answer("SELECT COUNT() AS n, AVG(version) FROM devices", "[{\"n\":0}]");
    assert_answer("SELECT tags.site, COUNT() FROM devices GROUP BY tags.site", "[]");
    put_rows();
    assert_answer("SELECT COUNT() FROM devices", "[{\"count\":60}]");
    assert_answer("SELECT COUNT() FROM devices.modules", "[{\"count\":60}]");
    assert_answer("SELECT COUNT() AS n FROM devices WHERE status = 'disabled'", "[{\"n\":6}]");
    assert_answer("SELECT COUNT() AS n FROM devices.modules WHERE status = 'disabled'",
                  "[{\"n\":6}]");
    assert_answer(
        "SELECT COUNT() AS n FROM devices WHERE status = 'disabled' AND status = 'enabled'",
        "[{\"n\":0}]");
    assert_answer("SELECT COUNT() AS n FROM devices WHERE connectionState = 'Connected'",
                  "[{\"n\":15}]");
    /* floors 0.5 to 6.5, six times each; the others are no numbers */
    assert_answer("SELECT COUNT() AS n, AVG(tags.loc.floor) AS a, SUM(tags.loc.floor) AS s, "
                  "MIN(tags.loc.floor) AS least, MAX(tags.loc.floor + 1) AS most, "
                  "SUM(properties.desired.v), AVG(tags.site) FROM devices",
                  "[{\"n\":60,\"a\":3.5,\"s\":147.0,\"least\":0.5,\"most\":7.5,\"sum\":90}]");
    assert_answer("SELECT tags.site, COUNT() AS n, MAX(properties.desired.v) AS v FROM devices "
                  "WHERE tags.site != 'south' GROUP BY tags.site",
                  "[{\"site\":\"north\",\"n\":12,\"v\":3},"
                  "{\"site\":\"It's\",\"n\":12,\"v\":3},"
                  "{\"site\":\"\xc3\xa9\",\"n\":12,\"v\":3}]");
    assert_answer("SELECT COUNT() AS n, status AS s, tags.flag FROM devices GROUP BY tags.flag, "
                  "status",
                  "[{\"n\":2,\"s\":\"disabled\"},{\"n\":22,\"s\":\"enabled\",\"flag\":true},"
                  "{\"n\":2,\"s\":\"disabled\",\"flag\":true},{\"n\":10,\"s\":\"enabled\"},"
                  "{\"n\":22,\"s\":\"enabled\",\"flag\":false},"
                  "{\"n\":2,\"s\":\"disabled\",\"flag\":false}]");
    assert_answer("SELECT TOP 1 tags.loc FROM devices WHERE deviceId IN ['Dev-14', 'dev-35'] "
                  "GROUP BY tags.loc",
                  "[{\"loc\":{\"floor\":2.5}}]");
}

static err put_groups(struct store_tx *tx, void *arg)
{
    struct device d = { .hub = HUB };
    char id[16], tags[32];

    for (int i = 0; i < *(int *)arg; i++) {
        (void)snprintf(id, sizeof(id), "g%05d", i);
        (void)snprintf(tags, sizeof(tags), "{\"g\":%d}", i);
        d.device_id = span_str(id);
        d.tags = span_str(tags);
        TRY(store_put(tx, &KIND_DEVICE, &d));
    }
    return OK;
}

static void test_groups_are_bounded(void **state)
{
    static const char text[] = "SELECT tags.g, COUNT() FROM devices GROUP BY tags.g";
    int n = LIMIT_QUERY_GROUPS;
    struct wire_reply r;

    (void)state;
    assert_true(err_is_ok(store_write(w.service.store, put_groups, &n)));
    r = ask(text, "");
    assert_int_equal(r.status, 200);
    assert_has(&r, "{\"g\":999,\"count\":1}]");
    n++;
    assert_true(err_is_ok(store_write(w.service.store, put_groups, &n)));
    r = ask(text, "");
    assert_int_equal(r.status, 400);
    assert_int_equal(w.task_note.reason, REASON_QUERY_TOO_WIDE);
    assert_has(&r, "GROUP BY makes more than 1000 groups");
}

/* ---- paging ---- */

static void test_pages(void **state)
{
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        { "SELECT * FROM devices WHERE version > 0", 200 },
        { "SELECT * FROM devices WHERE version > 0 ", 200 },
        { "SELECT * FROM devices WHERE version > 1", 400 },
        { "SELECT * FROM devices.modules WHERE version > 0", 400 },
        { "SELECT COUNT() FROM devices", 400 },
        { "SELECT COUNT(), status FROM devices GROUP BY status", 400 },
    };
    char ids[2048], header[512];
    struct wire_reply r;
    size_t pages;

    (void)state;
    put_rows();
    assert_int_equal(collect("SELECT deviceId FROM devices", 60, ids, &pages), 60);
    assert_int_equal(pages, 1); /* a page that ends with the last row has no continuation */
    assert_int_equal(collect("SELECT deviceId FROM devices", 59, ids, &pages), 60);
    assert_int_equal(pages, 2);
    assert_true(is_sorted(ids));
    /* TOP counts over all pages. */
    assert_int_equal(collect("SELECT TOP 7 deviceId FROM devices", 3, ids, &pages), 7);
    assert_int_equal(pages, 3);
    assert_int_equal(
        collect("SELECT TOP 6 deviceId FROM devices WHERE status = 'enabled'", 3, ids, &pages), 6);
    assert_int_equal(pages, 2);
    assert_int_equal(collect("SELECT TOP 100 deviceId FROM devices", 50, ids, &pages), 60);
    r = ask(cases[0].text, "x-ms-max-item-count: 3\r\n");
    (void)snprintf(header, sizeof(header), "x-ms-continuation: %s\r\n",
                   wire_header(&r, "x-ms-continuation"));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        r = ask(cases[i].text, header);
        assert_int_equal(r.status, cases[i].status);
        if (cases[i].status == 400) {
            assert_int_equal(w.task_note.reason, REASON_CONTINUATION_INVALID);
        }
    }
}

/* ---- refusals, and jobs ---- */

static void test_refusals(void **state)
{
    struct wire_reply r = ask("SELECT * FROM devices WHERE nothing = 1", "");

    (void)state;
    assert_int_equal(r.status, 400);
    assert_string_equal(wire_header(&r, "iothub-errorcode"), "ArgumentInvalid");
    assert_has(&r, "{\"Message\":\"ErrorCode:ArgumentInvalid;");
    assert_has(&r, "At character 29: nothing is not a member of devices");
    r = wire_ask_by(&w, POLICY_OF_HUB, "registryRead", "POST", QUERY, "", "{\"query\":7}");
    assert_int_equal(r.status, 400);
    r = wire_ask_by(&w, POLICY_OF_HUB, "registryRead", "POST", QUERY, "", "");
    assert_int_equal(r.status, 400);
    assert_has(&r, "At character 1: expected SELECT");
    r = ask("SELECT * FROM devices", "x-ms-max-item-count: x\r\n");
    assert_int_equal(r.status, 400);
    assert_int_equal(ask_by("service", "SELECT * FROM devices", "").status, 401);
    assert_int_equal(ask_by("device", "SELECT * FROM devices", "").status, 401);
    assert_int_equal(ask_by("registryReadWrite", "SELECT * FROM devices", "").status, 200);
    /* a device may have that name */
    r = wire_ask_by(&w, POLICY_OF_HUB, "registryRead", "GET", QUERY, "", "");
    assert_int_equal(r.status, 404);
}

static void test_there_are_no_jobs(void **state)
{
    struct wire_reply r = ask("SELECT * FROM devices.jobs WHERE devices.jobs.jobId = 'j'", "");

    (void)state;
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "[]");
    assert_string_equal(wire_header(&r, "x-ms-item-type"), "DeviceJob");
    assert_null(wire_header(&r, "x-ms-continuation"));
    assert_answer("SELECT COUNT() FROM devices.jobs", "[{\"count\":0}]");
    assert_answer("SELECT jobId FROM devices.jobs", "[]");
    assert_int_equal(ask("SELECT * FROM devices.jobs WHERE tags.a = 1", "").status, 400);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_any_condition_finds_what_it_says),
        TEST(test_indexes_pass_over_rows),
        TEST(test_gathered_pages_join),
        TEST(test_whole_rows_are_twins),
        TEST(test_aggregates),
        TEST(test_groups_are_bounded),
        TEST(test_pages),
        TEST(test_refusals),
        TEST(test_there_are_no_jobs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
