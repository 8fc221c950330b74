/* core/core_listing_test.c: lists: their order, that no row is left out of them, and that no more
 * rows are looked at than the order that serves them must give. */
#include "core/fixture.h"
#include "core/listing.h"

static struct fixture f;

enum { ROWS = 40, OTHERS = 5 };

/* Key, status, attestation and time of row i: all differ, in different ways. */
static struct enrollment row_of(int i)
{
    static const enum attestation_type types[] = { ATTESTATION_X509, ATTESTATION_TPM,
                                                   ATTESTATION_SYMMETRIC_KEY };
    static char keys[ROWS][16];
    struct enrollment e = { .id_scope = f.scope, .kind = ENROLLMENT_INDIVIDUAL };

    (void)snprintf(keys[i], sizeof keys[i], "k%02d", i);
    e.key = span_str(keys[i]);
    e.id = e.key;
    e.provisioning_status = i % 10 == 3 ? PROVISIONING_DISABLED : PROVISIONING_ENABLED;
    e.attestation = types[i % 3];
    e.updated_ms = (i * 7 % ROWS) / 2; /* two of each time */
    e.primary_key = SPAN("sixteen bytes or more");
    return e;
}

/* The row of a key. */
static int row_at(struct span key)
{
    return (key.data[1] - '0') * 10 + key.data[2] - '0';
}

static err put_rows(struct store_tx *tx, void *arg)
{
    (void)arg;
    for (int i = 0; i < ROWS; i++) {
        struct enrollment e = row_of(i);
        struct registration r = { .id_scope = e.id_scope,
                                  .key = e.key,
                                  .enrollment_kind = ENROLLMENT_GROUP,
                                  .enrollment = i % 4 == 0 ? SPAN("g") : SPAN("other") };

        TRY(store_put(tx, &KIND_ENROLLMENT, &e));
        TRY(store_put(tx, &KIND_REGISTRATION, &r));
        if (i < OTHERS) {
            e.kind = ENROLLMENT_GROUP;
            TRY(store_put(tx, &KIND_ENROLLMENT, &e));
            e.id_scope = SPAN("0ne0ffffff");
            e.kind = ENROLLMENT_INDIVIDUAL;
            TRY(store_put(tx, &KIND_ENROLLMENT, &e));
        }
    }
    return OK;
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
    struct core_place places[2 * ROWS];
    char keys[2 * ROWS][16];
    bool has_secret, is_enrollment;
};

static err see(const void *row, struct core_place place, void *arg, bool *more)
{
    struct seen *s = arg;

    (void)snprintf(s->keys[s->n], sizeof s->keys[0], "%.*s", SPAN_FMT(place.key));
    s->places[s->n] = (struct core_place){ place.updated_ms, row_of(row_at(place.key)).key };
    s->has_secret |=
        s->is_enrollment && !span_is_absent(((const struct enrollment *)row)->primary_key);
    s->n++;
    *more = s->n < s->most;
    return OK;
}

static struct seen look(const struct core_listing *l, const struct core_place *after, int most)
{
    struct seen s = { .most = most, .is_enrollment = l->of != CORE_LISTING_REGISTRATIONS };

    assert_ok(core_listing_walk(&f.env, l, after, see, &s));
    assert_false(s.has_secret);
    return s;
}

static bool is_wanted(const struct core_listing *l, const struct enrollment *e)
{
    return (!l->has_status || e->provisioning_status == l->status) &&
           (!l->has_attestation || e->attestation == l->attestation) &&
           (!l->has_updated ||
            (e->updated_ms >= l->updated_least && e->updated_ms <= l->updated_most)) &&
           (span_is_absent(l->id_least) || span_compare(e->key, l->id_least) >= 0) &&
           (span_is_absent(l->id_most) || span_compare(e->key, l->id_most) <= 0);
}

static bool has_key(const struct seen *s, struct span key)
{
    for (int i = 0; i < s->n; i++) {
        if (span_eq(s->places[i].key, key)) {
            return true;
        }
    }
    return false;
}

static int compare_places(const struct core_listing *l, struct core_place a, struct core_place b)
{
    int side = span_compare(a.key, b.key);

    if (core_listing_is_by_updated(l) && a.updated_ms != b.updated_ms) {
        side = a.updated_ms < b.updated_ms ? -1 : 1;
    }
    return l->descending ? -side : side;
}

/* In order, complete, and the same from each place on. */
static void check(const struct core_listing *l)
{
    struct seen all = look(l, NULL, 2 * ROWS);

    for (int i = 0; i < ROWS; i++) {
        struct enrollment e = row_of(i);

        if (is_wanted(l, &e)) {
            assert_true(has_key(&all, e.key));
        }
    }
    for (int i = 0; i < all.n; i++) {
        struct seen rest = look(l, &all.places[i], 2 * ROWS);

        assert_true(i == 0 || compare_places(l, all.places[i - 1], all.places[i]) < 0);
        assert_int_equal(rest.n, all.n - i - 1);
        for (int k = 0; k < rest.n; k++) {
            assert_string_equal(rest.keys[k], all.keys[i + 1 + k]);
        }
    }
}

static void every_combination_is_complete_and_in_order(void **state)
{
    (void)state;
    for (int bits = 0; bits < 1 << 9; bits++) {
        struct core_listing l = { .id_scope = f.scope, .of = CORE_LISTING_INDIVIDUALS };

        l.has_status = bits & 1;
        l.status = PROVISIONING_DISABLED;
        l.has_attestation = bits & 2;
        l.attestation = ATTESTATION_TPM;
        l.has_updated = bits & 4;
        l.updated_least = 5;
        l.updated_most = bits & 8 ? 5 : 12;
        l.id_least = bits & 16 ? SPAN("k07") : SPAN_NONE;
        l.id_most = bits & 32 ? bits & 64 ? SPAN("k07") : SPAN("k30") : SPAN_NONE;
        l.descending = bits & 128;
        l.order =
            bits & 256 ? bits & 8 ? CORE_LISTING_BY_ID : CORE_LISTING_BY_UPDATED : CORE_LISTING_ANY;
        check(&l);
        f.env.arena->used = 0;
    }
}

/* How many rows are looked at, and the first of them. */
static void no_more_rows_than_need_be(void **state)
{
    static const struct {
        struct core_listing l;
        int n;
        const char *first;
    } cases[] = {
        { { .of = CORE_LISTING_INDIVIDUALS }, ROWS, "k00" },
        { { .of = CORE_LISTING_INDIVIDUALS, .descending = true }, ROWS, "k39" },
        { { .of = CORE_LISTING_GROUPS }, OTHERS, "k00" },
        { { .of = CORE_LISTING_INDIVIDUALS, .has_status = true, .status = PROVISIONING_DISABLED },
          4,
          "k03" },
        { { .of = CORE_LISTING_INDIVIDUALS,
            .has_status = true,
            .status = PROVISIONING_DISABLED,
            .has_attestation = true,
            .descending = true,
            .order = CORE_LISTING_BY_ID },
          4,
          "k33" },
        { { .of = CORE_LISTING_INDIVIDUALS,
            .has_attestation = true,
            .attestation = ATTESTATION_TPM },
          13,
          "k01" },
        { { .of = CORE_LISTING_INDIVIDUALS,
            .has_attestation = true,
            .attestation = ATTESTATION_TPM,
            .id_least = SPAN_INIT("k30") },
          3,
          "k31" },
        { { .of = CORE_LISTING_INDIVIDUALS,
            .has_updated = true,
            .updated_least = 3,
            .updated_most = 4 },
          4,
          "k01" },
        { { .of = CORE_LISTING_INDIVIDUALS,
            .has_updated = true,
            .updated_least = 3,
            .updated_most = 4,
            .order = CORE_LISTING_BY_UPDATED,
            .descending = true },
          4,
          "k24" },
        { { .of = CORE_LISTING_INDIVIDUALS, .order = CORE_LISTING_BY_UPDATED }, ROWS, "k00" },
        { { .of = CORE_LISTING_INDIVIDUALS,
            .id_least = SPAN_INIT("k10"),
            .id_most = SPAN_INIT("k12") },
          3,
          "k10" },
        { { .of = CORE_LISTING_INDIVIDUALS,
            .id_least = SPAN_INIT("k10"),
            .id_most = SPAN_INIT("k12"),
            .descending = true,
            .has_updated = true,
            .updated_most = 99 },
          3,
          "k12" },
        { { .of = CORE_LISTING_INDIVIDUALS,
            .id_least = SPAN_INIT("k10"),
            .id_most = SPAN_INIT("k10"),
            .order = CORE_LISTING_BY_UPDATED,
            .has_status = true },
          1,
          "k10" },
        { { .of = CORE_LISTING_INDIVIDUALS,
            .id_least = SPAN_INIT("k1"),
            .id_most = SPAN_INIT("k1") },
          0,
          "" },
        { { .of = CORE_LISTING_REGISTRATIONS, .group = SPAN_INIT("g") }, 10, "k00" },
        { { .of = CORE_LISTING_REGISTRATIONS,
            .group = SPAN_INIT("g"),
            .descending = true,
            .id_most = SPAN_INIT("k10") },
          3,
          "k08" },
        { { .of = CORE_LISTING_REGISTRATIONS,
            .group = SPAN_INIT("g"),
            .id_least = SPAN_INIT("k08"),
            .id_most = SPAN_INIT("k08") },
          1,
          "k08" },
        { { .of = CORE_LISTING_REGISTRATIONS, .group = SPAN_INIT("none") }, 0, "" },
        { { .of = CORE_LISTING_REGISTRATIONS }, ROWS, "k00" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct core_listing l = cases[i].l;
        struct seen s;
        int64_t n;

        l.id_scope = f.scope;
        s = look(&l, NULL, 2 * ROWS);
        print_message("case %zu: %d rows\n", i, s.n);
        assert_int_equal(s.n, cases[i].n);
        assert_string_equal(s.keys[0], cases[i].first);
        if (core_listing_is_countable(&l)) {
            assert_ok(core_listing_count(&f.env, &l, &n));
            assert_int_equal(n, cases[i].n);
        }
        assert_int_equal(look(&l, NULL, 2).n, s.n < 2 ? s.n : 2);
    }
}

static void what_an_index_can_count(void **state)
{
    struct core_listing l = { .of = CORE_LISTING_INDIVIDUALS };

    (void)state;
    assert_true(core_listing_is_countable(&l));
    l.has_status = true;
    assert_true(core_listing_is_countable(&l));
    l.has_attestation = true;
    assert_false(core_listing_is_countable(&l));
    l.has_status = false;
    assert_true(core_listing_is_countable(&l));
    l.id_least = SPAN("a");
    assert_false(core_listing_is_countable(&l));
    l.id_most = SPAN("a");
    assert_false(core_listing_is_countable(&l));
    l.has_attestation = false;
    assert_true(core_listing_is_countable(&l));
    l.id_most = SPAN("b");
    assert_false(core_listing_is_countable(&l));
    l = (struct core_listing){ .of = CORE_LISTING_INDIVIDUALS, .has_updated = true };
    assert_false(core_listing_is_countable(&l));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(every_combination_is_complete_and_in_order),
        CASE(no_more_rows_than_need_be),
        CASE(what_an_index_can_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
