/* core/core_links_test.c: links kept ready are never out of date, and lists of hubs name the right
 * ones among them. */
#include "core/allocate.h"
#include "core/fixture.h"
#include "core/link.h"
#include "store/link.h"

static struct fixture f;

static void put(struct span scope, const char *host, int64_t weight, bool applies)
{
    struct linked_hub link = { .id_scope = scope,
                               .host_name = span_str(host),
                               .weight = weight,
                               .apply_allocation_policy = applies };
    struct verdict v;

    assert_ok(core_link_put(&f.env, &link, CORE_LINK_VOUCHED, &link, &v));
    assert_reason(GRANTED, v);
}

static err put_hubs(struct store_tx *tx, void *arg)
{
    const size_t *n = arg;

    for (size_t i = 0; i < *n; i++) {
        char host[32];
        struct hub hub = { .name = SPAN("h") };

        (void)snprintf(host, sizeof host, "h%zu.example", i);
        hub.host_name = span_str(host);
        TRY(store_put(tx, &KIND_HUB, &hub));
    }
    return OK;
}

static void make_hubs(size_t n)
{
    assert_ok(store_write(f.store, put_hubs, &n));
}

/* What a worker sees of a scope. */
struct look {
    struct span scope;
    struct core_links links;
    struct instance instance;
};

static err look(struct store_tx *tx, void *arg)
{
    struct look *l = arg;

    l->instance = (struct instance){ .id_scope = l->scope };
    TRY(store_get(tx, &KIND_INSTANCE, &l->instance, f.env.arena, &l->instance));
    return core_links_get(&f.env, tx, &l->instance, &l->links);
}

static struct look links_of(struct span scope)
{
    struct look l = { .scope = scope };

    assert_ok(store_read(f.store, look, &l));
    return l;
}

/* "h0.example:3 hub.example:1" */
static const char *text_of(const struct core_links *links)
{
    struct span text = SPAN("");

    for (size_t i = 0; i < links->n; i++) {
        assert_int_equal(links->rows[i].hash, core_allocate_hash(links->rows[i].host_name));
        assert_ok(arena_printf(f.env.arena, &text, "%.*s%s%.*s:%d%s%s", SPAN_FMT(text),
                               i > 0 ? " " : "", SPAN_FMT(links->rows[i].host_name),
                               links->rows[i].weight,
                               links->rows[i].applies_policy ? "" : " (named only)",
                               links->rows[i].is_draining ? " (draining)" : ""));
    }
    return arena_cstr(f.env.arena, text);
}

static void expect(struct span scope, const char *text)
{
    struct core_links_cache *cache = f.env.links;

    assert_string_equal(
        text_of(&(struct core_links){ links_of(scope).links.rows, links_of(scope).links.n }), text);
    f.env.links = NULL; /* and so do those who keep none */
    assert_string_equal(
        text_of(&(struct core_links){ links_of(scope).links.rows, links_of(scope).links.n }), text);
    f.env.links = cache;
}

static err drain(struct store_tx *tx, void *arg)
{
    struct linked_hub link = { .id_scope = f.scope, .host_name = SPAN("h0.example") };

    (void)arg;
    TRY(store_get(tx, &KIND_LINKED_HUB, &link, &f.arena, &link));
    link.is_draining = 1;
    TRY(store_links_changed(tx, &f.arena, f.scope));
    return store_put(tx, &KIND_LINKED_HUB, &link);
}

static void every_change_is_seen(void **state)
{
    struct verdict v;

    (void)state;
    fixture_open(&f);
    make_hubs(2);
    expect(f.scope, "hub.example:1");
    put(f.scope, "h0.example", 3, true);
    expect(f.scope, "h0.example:3 hub.example:1");
    put(f.scope, "H0.example", 4, false);
    expect(f.scope, "h0.example:4 (named only) hub.example:1");
    assert_ok(store_write(f.store, drain, NULL));
    expect(f.scope, "h0.example:4 (named only) (draining) hub.example:1");
    put(f.scope, "h1.example", 1000, true);
    assert_ok(core_link_delete(&f.env, f.scope, SPAN("hub.example"), &v));
    expect(f.scope, "h0.example:4 (named only) (draining) h1.example:1000");
    assert_ok(core_link_delete(&f.env, f.scope, SPAN("h0.example"), &v));
    assert_ok(core_link_delete(&f.env, f.scope, SPAN("h1.example"), &v));
    expect(f.scope, "");
    fixture_close(&f);
}

/* Reads of one scope do not cost it another's rows, and nothing is read twice. */
static void what_is_kept_is_not_read(void **state)
{
    const struct core_link *rows;

    (void)state;
    fixture_open(&f);
    rows = links_of(f.scope).links.rows;
    assert_ptr_equal(links_of(f.scope).links.rows, rows);
    make_hubs(1);
    put(f.scope, "h0.example", 1, true);
    assert_ptr_not_equal(links_of(f.scope).links.rows, rows);
    fixture_close(&f);
}

/* More scopes than are kept, with more links than there is room for: each sees its own. */
static void many_scopes_share_the_room(void **state)
{
    enum { SCOPES = LIMIT_LINK_SCOPES + 20, HUBS = 60 };
    struct span scopes[SCOPES];
    char expected[SCOPES][HUBS * 20];

    (void)state;
    fixture_open(&f);
    make_hubs(HUBS);
    for (size_t s = 0; s < SCOPES; s++) {
        static uint8_t ids[SCOPES][LIMIT_ID_SCOPE];
        char name[32], host[32];
        size_t at = 0;
        struct instance i;

        (void)snprintf(name, sizeof name, "i%zu", s);
        (void)snprintf(host, sizeof host, "i%zu.example", s);
        fixture_next(&f);
        i = fixture_instance(&f, name, host);
        memcpy(ids[s], i.id_scope.data, i.id_scope.len);
        scopes[s] = span_of(ids[s], i.id_scope.len);
        expected[s][0] = '\0';
        for (size_t h = 10; h < 10 + s % 50; h++) { /* of one length: their order is that of text */
            fixture_next(&f);
            (void)snprintf(host, sizeof host, "h%zu.example", h);
            put(scopes[s], host, (int64_t)s + 1, true);
            at += (size_t)snprintf(expected[s] + at, sizeof expected[s] - at, "%s%s:%zu",
                                   h > 10 ? " " : "", host, s + 1);
        }
    }
    for (int round = 0; round < 3; round++) {
        for (size_t s = 0; s < SCOPES; s++) {
            size_t other = (s * 7 + (size_t)round) % SCOPES;

            fixture_next(&f);
            expect(scopes[other], expected[other]);
        }
    }
    fixture_close(&f);
}

/* ---- candidates ---- */

/* The candidates of an enrollment, with and without a cache, the second time too. */
static const char *candidates(const struct look *l, const struct enrollment *e)
{
    struct span text = SPAN("");
    struct core_candidates c;

    assert_ok(core_candidates_get(&f.env, &l->instance, &l->links, e, &c));
    for (size_t i = 0; i < c.n; i++) {
        struct span name = core_candidate(&c, i)->host_name;

        assert_true(core_candidates_has(&c, name));
        assert_ok(arena_printf(f.env.arena, &text, "%.*s%.*s ", SPAN_FMT(text), SPAN_FMT(name)));
    }
    assert_false(core_candidates_has(&c, SPAN("nowhere.example")));
    assert_ok(arena_printf(f.env.arena, &text, "%.*s/%zu", SPAN_FMT(text), c.n_named));
    return arena_cstr(f.env.arena, text);
}

static void expect_candidates(const struct enrollment *e, const char *text)
{
    struct look l = links_of(f.scope);

    for (int i = 0; i < 2; i++) {
        assert_string_equal(candidates(&l, e), text);
    }
}

static void candidates_are_those_named_or_those_that_apply(void **state)
{
    static const struct {
        const char *iot_hubs, *expected;
    } cases[] = {
        { NULL, "h0.example hub.example /0" },
        { "[]", "h0.example hub.example /0" },
        { "[\"h1.example\"]", "h1.example /1" },
        { "[\"hub.example\",\"H0.Example\"]", "h0.example hub.example /2" },
        { "[\"h0.example\",\"H0.Example\"]", "h0.example /2" },
        { "[\"gone.example\"]", "/1" },
        { "[\"gone.example\",\"h0.example\"]", "h0.example /2" },
        { "[7,\"h0.example\"]", "h0.example /1" },
    };

    (void)state;
    fixture_open(&f);
    make_hubs(2);
    put(f.scope, "h0.example", 1, true);
    put(f.scope, "h1.example", 1, false);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct enrollment e = { .iot_hubs = span_str(cases[i].iot_hubs), .etag = SPAN("e") };

        expect_candidates(&e, cases[i].expected);
    }
    fixture_close(&f);
}

/* A list that is long enough to be kept. */
static struct span long_list(const char *first)
{
    struct span text;

    assert_ok(arena_printf(f.env.arena, &text, "[\"%s\"", first));
    for (int i = 0; i < 100; i++) {
        assert_ok(arena_printf(f.env.arena, &text, "%.*s,\"gone%d.example\"", SPAN_FMT(text), i));
    }
    assert_ok(arena_printf(f.env.arena, &text, "%.*s]", SPAN_FMT(text)));
    return text;
}

static void a_long_list_is_kept_until_it_or_a_link_changes(void **state)
{
    struct enrollment e = { .etag = SPAN("one") };
    struct verdict v;

    (void)state;
    fixture_open(&f);
    make_hubs(2);
    put(f.scope, "h0.example", 1, true);
    e.iot_hubs = long_list("h0.example");
    expect_candidates(&e, "h0.example /101");
    e.etag = SPAN("two");
    e.iot_hubs = long_list("hub.example");
    expect_candidates(&e, "hub.example /101");
    e.etag = SPAN("three");
    e.iot_hubs = long_list("h1.example");
    expect_candidates(&e, "/101");
    put(f.scope, "h1.example", 1, true);
    expect_candidates(&e, "h1.example /101");
    assert_ok(core_link_delete(&f.env, f.scope, SPAN("h0.example"), &v));
    expect_candidates(&e, "h1.example /101");
    assert_ok(core_link_delete(&f.env, f.scope, SPAN("h1.example"), &v));
    expect_candidates(&e, "/101");
    /* It is kept by its ETag: that alone is looked at. */
    e.iot_hubs = long_list("hub.example");
    expect_candidates(&e, "/101");
    f.env.links = NULL;
    expect_candidates(&e, "hub.example /101");
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_change_is_seen),
        cmocka_unit_test(what_is_kept_is_not_read),
        cmocka_unit_test(many_scopes_share_the_room),
        cmocka_unit_test(candidates_are_those_named_or_those_that_apply),
        cmocka_unit_test(a_long_list_is_kept_until_it_or_a_link_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
