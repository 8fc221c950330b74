/* core/core_placements_test.c: whose devices are on a hub, in which order, who would stay there,
 * and the drain itself. */
#include "core/fixture.h"
#include "core/placements.h"

static struct fixture f;

#define HUB3 "hub3.example"

struct enrollment_case {
    const char *key;
    enum provisioning_status status;
    bool is_kept;
    enum allocation_policy policy;
    const char *iot_hubs;
    const char *stays;         /* while hub3 may be gone to; NULL: it does not */
    const char *stays_drained; /* while hub3 drains, too */
};
/* The instance is linked to TEST_HUB, TEST_HUB2, which drains, and HUB3. */
static const struct enrollment_case CASES[] = {
    { "any", PROVISIONING_ENABLED, false, ALLOCATION_DEFAULT, NULL, NULL, "no-other-hub" },
    { "barred", PROVISIONING_DISABLED, false, ALLOCATION_DEFAULT, NULL, "enrollment-disabled",
      "enrollment-disabled" },
    { "kept", PROVISIONING_ENABLED, true, ALLOCATION_DEFAULT, NULL, "hub-kept", "hub-kept" },
    { "static-1", PROVISIONING_ENABLED, false, ALLOCATION_STATIC, "[\"" TEST_HUB "\"]",
      "no-other-hub", "no-other-hub" },
    { "static-2", PROVISIONING_ENABLED, false, ALLOCATION_STATIC, "[\"" TEST_HUB2 "\"]",
      "no-other-hub", "no-other-hub" },
    { "static-3", PROVISIONING_ENABLED, false, ALLOCATION_STATIC, "[\"HUB3.Example\"]", NULL,
      "no-other-hub" },
    { "two", PROVISIONING_ENABLED, false, ALLOCATION_HASHED, "[\"" TEST_HUB "\",\"" HUB3 "\"]",
      NULL, "no-other-hub" },
    { "nowhere", PROVISIONING_ENABLED, false, ALLOCATION_HASHED, "[\"other.example\"]",
      "no-other-hub", "no-other-hub" },
};
enum { N_CASES = sizeof CASES / sizeof CASES[0], EACH = 3, GONE = 2 };

static struct span text_of(const char *a, int i)
{
    struct span text;

    assert_ok(arena_printf(&f.arena, &text, "%s%d", a, i));
    return text;
}

static err put_registration(struct store_tx *tx, struct span scope, struct span device_id,
                            struct span enrollment)
{
    struct registration r = { .id_scope = scope,
                              .key = device_id,
                              .id = device_id,
                              .status = REGISTRATION_ASSIGNED,
                              .enrollment_kind = ENROLLMENT_GROUP,
                              .enrollment = enrollment,
                              .placed_hub = SPAN(TEST_HUB),
                              .placed_device_id = device_id };

    return store_put(tx, &KIND_REGISTRATION, &r);
}

static err put_rows(struct store_tx *tx, void *arg)
{
    const struct linked_hub links[] = {
        { .id_scope = f.scope,
          .host_name = SPAN(TEST_HUB2),
          .weight = 1,
          .apply_allocation_policy = 1,
          .is_draining = 1 },
        { .id_scope = f.scope, .host_name = SPAN(HUB3), .weight = 1, .apply_allocation_policy = 1 },
    };

    (void)arg;
    TRY(store_put(tx, &KIND_LINKED_HUB, &links[0]));
    TRY(store_put(tx, &KIND_LINKED_HUB, &links[1]));
    for (size_t i = 0; i < N_CASES; i++) {
        const struct enrollment_case *c = &CASES[i];
        const struct enrollment e = { .id_scope = f.scope,
                                      .kind = ENROLLMENT_GROUP,
                                      .key = span_str(c->key),
                                      .id = span_str(c->key),
                                      .provisioning_status = c->status,
                                      .update_hub_assignment = !c->is_kept,
                                      .allocation_policy = c->policy,
                                      .iot_hubs = span_str(c->iot_hubs) };

        TRY(store_put(tx, &KIND_ENROLLMENT, &e));
        for (int n = 0; n < EACH; n++) {
            TRY(put_registration(tx, f.scope, text_of(c->key, n), e.key));
        }
    }
    for (int n = 0; n < GONE; n++) {
        TRY(put_registration(tx, f.scope, text_of("gone", n), SPAN("no such group")));
    }
    return put_registration(tx, SPAN("0ne0ffffff"), SPAN("another's"), SPAN("any"));
}

static int setup(void **state)
{
    (void)state;
    fixture_open(&f);
    assert_ok(store_write(f.store, put_rows, NULL));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_close(&f);
    return 0;
}

struct seen {
    int n, most;
    struct span last;
    bool drained; /* hub3, too */
};

static const char *expected(struct span enrollment, bool drained)
{
    for (size_t i = 0; i < N_CASES; i++) {
        if (span_eq(enrollment, span_str(CASES[i].key))) {
            return drained ? CASES[i].stays_drained : CASES[i].stays;
        }
    }
    return "enrollment-missing";
}

static err see(const struct core_placement *row, void *arg, bool *more)
{
    struct seen *s = arg;
    static uint8_t place[LIMIT_CLIENT_ID];
    struct buf out = buf_over(place, sizeof place);
    const char *stays = expected(row->registration->enrollment, s->drained);

    assert_true(span_eq(row->registration->id_scope, f.scope));
    assert_string_equal(stays != NULL ? stays : "moves",
                        row->stay != CORE_STAY_NOT ? core_stay_word(row->stay) : "moves");
    assert_true(span_is_absent(s->last) ||
                span_compare(s->last, row->registration->placed_device_id) < 0);
    core_placements_write_place(row->registration, &out);
    assert_ok(buf_ok(&out));
    s->last = span_first(buf_span(&out), row->registration->placed_device_id.len);
    s->n++;
    *more = s->n < s->most;
    return OK;
}

static void test_who_stays(void **state)
{
    struct core_placements what = { .id_scope = f.scope,
                                    .hub = SPAN(TEST_HUB),
                                    .judges_stay = true };
    struct seen s = { .most = 1000 };
    struct linked_hub link;
    struct verdict v;
    int64_t n;

    (void)state;
    assert_ok(core_placements_walk(&f.env, &what, SPAN_NONE, see, &s));
    assert_int_equal(s.n, N_CASES * EACH + GONE);
    assert_ok(core_placements_count(&f.env, f.scope, SPAN(TEST_HUB), &n));
    assert_int_equal(n, N_CASES * EACH + GONE);
    assert_ok(core_placements_count(&f.env, f.scope, SPAN(HUB3), &n));
    assert_int_equal(n, 0);

    assert_ok(core_placements_drain(&f.env, f.scope, SPAN("HUB3.example"), true, &link, &v));
    assert_reason(GRANTED, v);
    s = (struct seen){ .most = 1000, .drained = true };
    assert_ok(core_placements_walk(&f.env, &what, SPAN_NONE, see, &s));
    assert_int_equal(s.n, N_CASES * EACH + GONE);
}

static void test_goes_on_behind_a_place(void **state)
{
    struct core_placements what = { .id_scope = f.scope,
                                    .hub = SPAN(TEST_HUB),
                                    .judges_stay = true };
    struct seen s = { .most = 4 };
    int n = 0;

    (void)state;
    do {
        uint8_t bytes[LIMIT_CLIENT_ID];
        struct buf place = buf_over(bytes, sizeof bytes);
        bool is_first = n == 0;

        if (!is_first) {
            buf_add(&place, s.last);
            buf_add_u8(&place, '/');
            buf_add(&place, s.last);
        }
        s = (struct seen){ .most = 4 };
        assert_ok(
            core_placements_walk(&f.env, &what, is_first ? SPAN_NONE : buf_span(&place), see, &s));
        n += s.n;
    } while (s.n > 0);
    assert_int_equal(n, N_CASES * EACH + GONE);
}

static err read_version(struct store_tx *tx, void *arg)
{
    struct instance i = { .id_scope = f.scope };

    TRY(store_get(tx, &KIND_INSTANCE, &i, &f.arena, &i));
    *(int64_t *)arg = i.links_version;
    return OK;
}

/* Caches of links hear of each change, and of nothing else. */
static void test_drain(void **state)
{
    struct linked_hub link = { 0 };
    struct verdict v;
    int64_t before, now;

    (void)state;
    assert_ok(store_read(f.store, read_version, &before));
    for (int i = 0; i < 2; i++) {
        assert_ok(core_placements_drain(&f.env, f.scope, SPAN(HUB3), true, &link, &v));
        assert_reason(GRANTED, v);
        assert_int_equal(link.is_draining, 1);
    }
    assert_ok(store_read(f.store, read_version, &now));
    assert_int_equal(now, before + 1);
    assert_ok(core_placements_drain(&f.env, f.scope, SPAN(HUB3), false, &link, &v));
    assert_int_equal(link.is_draining, 0);
    assert_ok(store_read(f.store, read_version, &now));
    assert_int_equal(now, before + 2);
    assert_ok(core_placements_drain(&f.env, f.scope, SPAN("other.example"), true, &link, &v));
    assert_reason(RESOURCE_NOT_FOUND, v);
    assert_ok(core_placements_drain(&f.env, SPAN("0ne0ffffff"), SPAN(HUB3), true, &link, &v));
    assert_reason(RESOURCE_NOT_FOUND, v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_who_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(test_goes_on_behind_a_place, setup, teardown),
        cmocka_unit_test_setup_teardown(test_drain, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
