/* core/core_instance_test.c: instances, their policies and links: what is unique, and who may link
 * what. */
#include "core/fixture.h"
#include "core/instance.h"
#include "core/link.h"
#include "core/policy.h"
#include "util/base64.h"

static struct fixture f;

static int setup(void **state)
{
    (void)state;
    fixture_open(&f);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_close(&f);
    return 0;
}

static enum reason create(const char *name, const char *host, enum allocation_policy allocation)
{
    const struct instance wanted = { .name = span_str(name),
                                     .host_name = span_str(host),
                                     .allocation_policy = allocation };
    struct instance i;
    struct policy owner;
    struct verdict v;

    assert_ok(core_instance_create_with(&f.env, &wanted, &i, &owner, &v));
    return v.reason;
}

static void what_an_instance_may_be(void **state)
{
    static const struct {
        const char *name, *host;
        enum allocation_policy allocation;
        enum reason expected;
    } cases[] = {
        { "two", "DPS2.example", ALLOCATION_STATIC, REASON_GRANTED },
        { "x", "dps2.EXAMPLE", ALLOCATION_HASHED, REASON_NAME_TAKEN },
        { "two", "dps3.example", ALLOCATION_HASHED, REASON_NAME_TAKEN },
        { "Two", "dps3.example", ALLOCATION_HASHED, REASON_GRANTED },  /* case matters */
        { "three", TEST_HUB, ALLOCATION_GEO_LATENCY, REASON_GRANTED }, /* a hub's host serves too */
        { "x", "no host", ALLOCATION_HASHED, REASON_FIELD_INVALID },
        { "x", "", ALLOCATION_HASHED, REASON_FIELD_INVALID },
        { "", "x.example", ALLOCATION_HASHED, REASON_FIELD_INVALID },
        { "a/b", "x.example", ALLOCATION_HASHED, REASON_FIELD_INVALID },
        { "-a", "x.example", ALLOCATION_HASHED, REASON_FIELD_INVALID },
        { "123456789012345678901234567890123456789012345678901", "x.example", ALLOCATION_HASHED,
          REASON_FIELD_INVALID },
        { "x", "x.example", ALLOCATION_CUSTOM, REASON_FIELD_INVALID },
    };
    struct instance found, *rows;
    bool is_found;
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(cases[i].expected,
                         create(cases[i].name, cases[i].host, cases[i].allocation));
    }
    assert_ok(core_instance_find_by_host(&f.env, SPAN("Dps2.example"), &found, &is_found));
    assert_true(is_found && span_eq(found.name, SPAN("two")));
    assert_int_equal(found.allocation_policy, ALLOCATION_STATIC);
    assert_int_equal(found.id_scope.len, 11);
    assert_true(span_starts_with(found.id_scope, SPAN("0ne")));
    assert_ok(core_instance_find_by_host(&f.env, SPAN("dps9.example"), &found, &is_found));
    assert_false(is_found);
    assert_ok(core_instance_find_by_name(&f.env, SPAN("Two"), &found, &is_found));
    assert_span("dps3.example", found.host_name);
    assert_ok(core_instance_list(&f.env, SPAN_NONE, 10, &rows, &n));
    assert_int_equal(n, 4);
    assert_ok(core_instance_list(&f.env, rows[1].id_scope, 1, &rows, &n));
    assert_int_equal(n, 1);
}

static void its_allocation_policy(void **state)
{
    struct instance i;
    struct verdict v;

    (void)state;
    assert_ok(core_instance_set_allocation(&f.env, f.scope, ALLOCATION_STATIC, &i, &v));
    assert_reason(GRANTED, v);
    assert_int_equal(i.allocation_policy, ALLOCATION_STATIC);
    assert_ok(core_instance_set_allocation(&f.env, f.scope, ALLOCATION_CUSTOM, &i, &v));
    assert_reason(FIELD_INVALID, v);
    assert_ok(core_instance_set_allocation(&f.env, SPAN("0neffffffff"), ALLOCATION_STATIC, &i, &v));
    assert_reason(RESOURCE_NOT_FOUND, v);
}

/* ---- policies ---- */

static struct policy policy_of(struct span scope, const char *name, int64_t rights)
{
    return (struct policy){
        .owner_type = POLICY_OF_INSTANCE, .owner = scope, .name = span_str(name), .rights = rights
    };
}

static enum reason put_policy(struct policy *p)
{
    struct verdict v;

    assert_ok(core_policy_put(&f.env, p, &v));
    return v.reason;
}

static void what_a_policy_may_be(void **state)
{
    static const char long_name[] =
        "12345678901234567890123456789012345678901234567890123456789012345";
    static const uint8_t bytes[LIMIT_SYMMETRIC_KEY + 1];
    static const struct {
        const char *name;
        int64_t rights;
        size_t key_len;
        enum reason expected;
    } cases[] = {
        { "a_b-c@d.e9", RIGHT_ENROLLMENT_READ, 16, REASON_GRANTED },
        { "x", RIGHTS_INSTANCE, 64, REASON_GRANTED },
        { "x", RIGHTS_INSTANCE, 15, REASON_FIELD_INVALID },
        { "x", RIGHTS_INSTANCE, 65, REASON_FIELD_INVALID },
        { "x", 0, 16, REASON_FIELD_INVALID },
        { "x", RIGHT_SERVER_CONFIG, 16, REASON_FIELD_INVALID },
        { "x", RIGHT_SERVICE_CONFIG | RIGHT_SERVER_CONFIG, 16, REASON_FIELD_INVALID },
        { "x", RIGHT_REGISTRY_WRITE, 16, REASON_FIELD_INVALID },
        { "", RIGHTS_INSTANCE, 16, REASON_FIELD_INVALID },
        { "a b", RIGHTS_INSTANCE, 16, REASON_FIELD_INVALID },
        { "a/b", RIGHTS_INSTANCE, 16, REASON_FIELD_INVALID },
        { long_name, RIGHTS_INSTANCE, 16, REASON_FIELD_INVALID },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct policy p = policy_of(f.scope, cases[i].name, cases[i].rights);

        p.primary_key = span_of(bytes, cases[i].key_len);
        assert_int_equal(cases[i].expected, put_policy(&p));
    }
}

static void keys_are_made_kept_and_renewed(void **state)
{
    struct policy p = policy_of(f.scope, "p", RIGHT_SERVICE_CONFIG);
    struct policy first, q;
    struct verdict v;

    (void)state;
    assert_int_equal(REASON_GRANTED, put_policy(&p));
    assert_int_equal(p.primary_key.len, 32);
    assert_false(span_eq(p.primary_key, p.secondary_key));
    first = p;
    p = policy_of(f.scope, "p", RIGHTS_INSTANCE);
    p.secondary_key = SPAN("0123456789abcdef");
    assert_int_equal(REASON_GRANTED, put_policy(&p));
    assert_true(span_eq(first.primary_key, p.primary_key));
    assert_span("0123456789abcdef", p.secondary_key);

    assert_ok(core_policy_renew(&f.env, &p, CORE_POLICY_SWAP, &q, &v));
    assert_span("0123456789abcdef", q.primary_key);
    assert_true(span_eq(first.primary_key, q.secondary_key));
    assert_ok(core_policy_renew(&f.env, &p, CORE_POLICY_PRIMARY, &q, &v));
    assert_int_equal(q.primary_key.len, 32);
    assert_true(span_eq(first.primary_key, q.secondary_key));
    assert_ok(core_policy_renew(&f.env, &p, CORE_POLICY_SECONDARY, &q, &v));
    assert_false(span_eq(first.primary_key, q.secondary_key));
    assert_int_equal(q.rights, RIGHTS_INSTANCE);
    p.name = SPAN("none");
    assert_ok(core_policy_renew(&f.env, &p, CORE_POLICY_SWAP, &q, &v));
    assert_reason(RESOURCE_NOT_FOUND, v);
}

static void somebody_can_always_manage(void **state)
{
    struct instance i = fixture_instance(&f, "two", "dps2.example");
    struct policy other = policy_of(i.id_scope, "other", RIGHT_SERVICE_CONFIG);
    struct policy weak = policy_of(i.id_scope, "other", RIGHT_ENROLLMENT_READ);
    struct span owner = SPAN("provisioningserviceowner");
    struct verdict v;

    (void)state;
    assert_ok(core_policy_delete(&f.env, POLICY_OF_INSTANCE, i.id_scope, owner, &v));
    assert_reason(RESOURCE_IN_USE, v);
    assert_int_equal(REASON_GRANTED, put_policy(&other));
    assert_ok(core_policy_delete(&f.env, POLICY_OF_INSTANCE, i.id_scope, owner, &v));
    assert_reason(GRANTED, v);
    assert_int_equal(REASON_RESOURCE_IN_USE, put_policy(&weak));
    assert_ok(core_policy_delete(&f.env, POLICY_OF_INSTANCE, i.id_scope, SPAN("other"), &v));
    assert_reason(RESOURCE_IN_USE, v);
    assert_ok(core_policy_delete(&f.env, POLICY_OF_INSTANCE, i.id_scope, owner, &v));
    assert_reason(RESOURCE_NOT_FOUND, v);
}

static void there_are_so_many_policies(void **state)
{
    struct policy *rows;
    size_t n;

    (void)state;
    for (int i = 0; i <= LIMIT_POLICIES; i++) {
        char name[16];
        struct policy p;

        (void)snprintf(name, sizeof name, "p%d", i);
        p = policy_of(f.scope, name, RIGHT_SERVICE_CONFIG);
        assert_int_equal(i < LIMIT_POLICIES ? REASON_GRANTED : REASON_QUOTA_EXCEEDED,
                         put_policy(&p));
    }
    assert_ok(core_policy_list(&f.env, POLICY_OF_INSTANCE, f.scope, &rows, &n));
    assert_int_equal(n, LIMIT_POLICIES);
}

static void the_servers_policy_is_made_once(void **state)
{
    struct policy p, again;
    bool is_new;

    (void)state;
    assert_ok(core_policy_open_server(&f.env, &p, &is_new));
    assert_true(is_new);
    assert_int_equal(p.rights, RIGHT_SERVER_CONFIG);
    assert_ok(core_policy_open_server(&f.env, &again, &is_new));
    assert_false(is_new);
    assert_true(span_eq(p.primary_key, again.primary_key));
}

/* ---- links ---- */

static err put_row(struct store_tx *tx, void *arg)
{
    return store_put(tx, &KIND_HUB, arg);
}

static void put_hub(const char *host, struct span scope, enum life life)
{
    struct hub hub = {
        .host_name = span_str(host), .name = SPAN("h"), .id_scope = scope, .life = life
    };

    assert_ok(store_write(f.store, put_row, &hub));
}

static err put_hub_policy_row(struct store_tx *tx, void *arg)
{
    return store_put(tx, &KIND_POLICY, arg);
}

static void put_hub_policy(const char *host, const char *name, int64_t rights)
{
    struct policy p = { .owner_type = POLICY_OF_HUB,
                        .owner = span_str(host),
                        .name = span_str(name),
                        .rights = rights,
                        .primary_key = SPAN("primary-primary1"),
                        .secondary_key = SPAN("secondary-second") };

    assert_ok(store_write(f.store, put_hub_policy_row, &p));
}

/* A connection string by a key's text. */
static struct span login(const char *host, const char *policy, const char *key)
{
    struct span text;
    struct buf out = arena_buf(&f.arena);

    buf_printf(&out, "HostName=%s;SharedAccessKeyName=%s;SharedAccessKey=", host, policy);
    base64_encode(span_str(key), &out);
    assert_ok(arena_buf_end(&f.arena, &out, &text));
    return text;
}

static enum reason link_hub(struct span scope, const char *host, struct span string)
{
    struct linked_hub link = {
        .id_scope = scope, .host_name = span_str(host), .weight = 1, .connection_string = string
    };
    struct verdict v;

    assert_ok(core_link_put(&f.env, &link, CORE_LINK_ASKED, &link, &v));
    return v.reason;
}

static void who_may_link_a_hub(void **state)
{
    struct span two = fixture_instance(&f, "two", "dps2.example").id_scope;
    const struct {
        const char *host;
        struct span string;
        enum reason expected;
    } cases[] = {
        { "own.example", SPAN_NONE, REASON_GRANTED },
        { "OWN.example", SPAN_NONE, REASON_GRANTED }, /* again */
        { "none.example", SPAN_NONE, REASON_CONNECTION_STRING_REFUSED },
        { "far.example", login("far.example", "any", "its-own-its-own1"), REASON_GRANTED },
        { "far.example", SPAN_NONE, REASON_GRANTED }, /* it is linked, wherever it is */
        { "not a host", SPAN_NONE, REASON_FIELD_INVALID },
        { "going.example", SPAN_NONE, REASON_FIELD_INVALID },
        { "other.example", SPAN_NONE, REASON_CONNECTION_STRING_REFUSED },
        { TEST_HUB, SPAN_NONE, REASON_CONNECTION_STRING_REFUSED }, /* the server's */
        { "other.example", SPAN("nonsense"), REASON_CONNECTION_STRING_REFUSED },
        { "other.example", login("own.example", "iothubowner", "primary-primary1"),
          REASON_CONNECTION_STRING_REFUSED },
        { "other.example", login("other.example", "iothubowner", "primary-primary2"),
          REASON_CONNECTION_STRING_REFUSED },
        { "other.example", login("other.example", "iothubowner", ""),
          REASON_CONNECTION_STRING_REFUSED },
        { "other.example", login("other.example", "none", "primary-primary1"),
          REASON_CONNECTION_STRING_REFUSED },
        { "other.example", login("other.example", "reader", "primary-primary1"),
          REASON_CONNECTION_STRING_REFUSED },
        { "other.example", login("other.example", "writer", "primary-primary1"),
          REASON_CONNECTION_STRING_REFUSED },
        { "other.example", login("Other.example", "iothubowner", "secondary-second"),
          REASON_GRANTED },
        { "other.example", SPAN_NONE, REASON_GRANTED }, /* it is linked */
        { "other.example", login("other.example", "iothubowner", "wrong-wrong-wron"),
          REASON_CONNECTION_STRING_REFUSED },
        { "own.example", login("own.example", "iothubowner", "wrong-wrong-wron"),
          REASON_CONNECTION_STRING_REFUSED },
    };
    struct linked_hub link, *rows;
    struct verdict v;
    size_t n;

    (void)state;
    put_hub("own.example", two, LIFE_ACTIVE);
    put_hub("going.example", two, LIFE_DELETING);
    put_hub("other.example", f.scope, LIFE_ACTIVE);
    put_hub_policy("other.example", "iothubowner", RIGHTS_HUB | RIGHT_REGISTRY_WRITE);
    put_hub_policy("other.example", "reader", RIGHT_REGISTRY_READ | RIGHT_SERVICE_CONNECT);
    put_hub_policy("other.example", "writer", RIGHT_REGISTRY_WRITE);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum reason got = link_hub(two, cases[i].host, cases[i].string);

        if (got != cases[i].expected) {
            fail_msg("case %zu: %s", i, reason_info(got)->token);
        }
    }
    assert_ok(core_link_list(&f.env, two, &rows, &n));
    assert_int_equal(n, 3);
    /* The string that let it be linked is kept. */
    assert_ok(core_link_get(&f.env, two, SPAN("OTHER.example"), &link, &v));
    assert_true(span_starts_with(link.connection_string, SPAN("HostName=Other.example;")));
    assert_ok(core_link_delete(&f.env, two, SPAN("Other.example"), &v));
    assert_reason(GRANTED, v);
    assert_ok(core_link_delete(&f.env, two, SPAN("other.example"), &v));
    assert_reason(RESOURCE_NOT_FOUND, v);
    assert_int_equal(REASON_CONNECTION_STRING_REFUSED, link_hub(two, "other.example", SPAN_NONE));
}

static void what_a_link_may_be(void **state)
{
    static const struct {
        int64_t weight;
        size_t location;
        enum reason expected;
    } cases[] = {
        { 1, 0, REASON_GRANTED },        { 1000, LIMIT_LOCATION, REASON_GRANTED },
        { 0, 0, REASON_FIELD_INVALID },  { 1001, 0, REASON_FIELD_INVALID },
        { -1, 0, REASON_FIELD_INVALID }, { 1, LIMIT_LOCATION + 1, REASON_FIELD_INVALID },
    };
    static const char text[LIMIT_LOCATION + 1] = "westeurope";

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct linked_hub link = { .id_scope = f.scope,
                                   .host_name = SPAN(TEST_HUB),
                                   .weight = cases[i].weight,
                                   .location = span_of(text, cases[i].location) };
        struct verdict v;

        assert_ok(core_link_put(&f.env, &link, CORE_LINK_ASKED, &link, &v));
        assert_int_equal(cases[i].expected, v.reason);
    }
}

static void an_instance_has_so_many_links(void **state)
{
    struct span two = fixture_instance(&f, "two", "dps2.example").id_scope;

    (void)state;
    for (int i = 0; i <= LIMIT_LINKED_HUBS; i++) {
        size_t mark = f.arena.used;
        char host[32];

        (void)snprintf(host, sizeof host, "h%d.example", i);
        put_hub(host, two, LIFE_ACTIVE);
        assert_int_equal(i < LIMIT_LINKED_HUBS ? REASON_GRANTED : REASON_QUOTA_EXCEEDED,
                         link_hub(two, host, SPAN_NONE));
        f.arena.used = mark;
    }
    assert_int_equal(REASON_GRANTED, link_hub(two, "h0.example", SPAN_NONE));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_an_instance_may_be),
        CASE(its_allocation_policy),
        CASE(what_a_policy_may_be),
        CASE(keys_are_made_kept_and_renewed),
        CASE(somebody_can_always_manage),
        CASE(there_are_so_many_policies),
        CASE(the_servers_policy_is_made_once),
        CASE(who_may_link_a_hub),
        CASE(what_a_link_may_be),
        CASE(an_instance_has_so_many_links),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
