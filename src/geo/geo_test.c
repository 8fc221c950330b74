/* geo/geo_test.c: addresses to places, and how far places are from each other. The databases are
 * tools/mkplaces's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "geo/geo.h"

#define assert_ok(call) assert_string_equal(err_name(call), err_name(OK))
#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static const char PLACES[] = "tests/data/places.mmdb";
static const char MOVED[] = "tests/data/moved.mmdb";

static void where_an_address_is(void **state)
{
    static const struct {
        const char *address;
        int32_t latitude_udeg, longitude_udeg; /* 0: nowhere */
    } cases[] = {
        { "192.0.2.1:40000", 52520000, 13405000 },
        { "192.0.2.255:1", 52520000, 13405000 },
        { "192.0.2.1", 52520000, 13405000 },
        { "[::ffff:192.0.2.1]:40000", 52520000, 13405000 },
        { "198.51.100.7:443", -33868821, 151209296 },
        { "[2001:db8:1::2]:40000", 40713000, -74006000 },
        { "2001:db8:1::2", 40713000, -74006000 },
        { "198.51.100.8:443", 0, 0 },
        { "10.0.0.1:1", 0, 0 },
        { "127.0.0.1:1", 0, 0 },
        { "[::1]:1", 0, 0 },
        { "[fe80::1]:1", 0, 0 },
        { "[2001:db9::1]:1", 0, 0 },
        /* What the database says is no place. */
        { "203.0.113.1:1", 0, 0 },
        { "203.0.113.2:1", 0, 0 },
        { "203.0.113.3:1", 0, 0 },
        { "203.0.113.4:1", 0, 0 },
        { "203.0.113.5:1", 0, 0 },
        { "203.0.113.6:1", 0, 0 },
        { "203.0.113.7:1", 0, 0 },
        /* No addresses. */
        { "", 0, 0 },
        { "[", 0, 0 },
        { "[]", 0, 0 },
        { "]:1", 0, 0 },
        { ":", 0, 0 },
        { "192.0.2", 0, 0 },
        { "192.0.2.1.1:1", 0, 0 },
        { "192.0.2.1:40000:1", 0, 0 },
        { "hub.example:443", 0, 0 },
        { "[2001:db8::1", 40713000, -74006000 }, /* what is left of one that was cut */
        { "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000", 0, 0 },
    };
    AUTO(geo) struct geo *g = NULL;

    (void)state;
    assert_ok(geo_open(PLACES, &g));
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct geo_point p = { 0, 0 };
        bool is_found = geo_find(g, span_str(cases[i].address), &p);

        if (is_found != (cases[i].latitude_udeg != 0) ||
            p.latitude_udeg != cases[i].latitude_udeg ||
            p.longitude_udeg != cases[i].longitude_udeg) {
            fail_msg("%s: %d %d %d", cases[i].address, is_found, p.latitude_udeg, p.longitude_udeg);
        }
    }
    assert_false(geo_find(g, SPAN_NONE, &(struct geo_point){ 0 }));
    assert_false(geo_find(NULL, SPAN("192.0.2.1:1"), &(struct geo_point){ 0 }));
}

/* ---- files ---- */

static char path[] = "/tmp/berth-geo-XXXXXX";

static void write_file(const void *bytes, size_t n)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

static size_t read_file(const char *from, uint8_t *ret_bytes, size_t room)
{
    FILE *file = fopen(from, "rb");
    size_t n;

    assert_non_null(file);
    n = fread(ret_bytes, 1, room, file);
    assert_int_equal(fclose(file), 0);
    assert_in_range(n, 1, room - 1);
    return n;
}

static int make_file(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    return fd >= 0 ? close(fd) : -1;
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static void what_is_no_database_is_refused(void **state)
{
    struct geo *g = NULL;

    (void)state;
    assert_string_equal(err_name(geo_open("/nowhere/x.mmdb", &g)), "io");
    assert_non_null(strstr(err_detail(), "geo-database /nowhere/x.mmdb: No such file"));
    assert_string_equal(err_name(geo_open("/tmp", &g)), "io");
    assert_string_equal(err_name(geo_open("/dev/null", &g)), "io");
    write_file("", 0);
    assert_false(err_is_ok(geo_open(path, &g)));
    write_file("no database", 11);
    assert_string_equal(err_name(geo_open(path, &g)), "malformed");
    assert_null(g);
}

/* Whatever becomes of the file: what was read serves, until a good one is read anew. */
static void a_database_is_taken_anew(void **state)
{
    static uint8_t bytes[64 * 1024];
    char title[GEO_TITLE_MAX];
    AUTO(geo) struct geo *g = NULL;
    struct geo_point p;

    (void)state;
    write_file(bytes, read_file(PLACES, bytes, sizeof bytes));
    assert_ok(geo_open(path, &g));
    geo_title(g, title);
    assert_string_equal(title, "Test-City, 2025-01-02");
    write_file("", 0); /* a mapped file would be gone from under its reader */
    assert_true(geo_find(g, SPAN("192.0.2.1:1"), &p));
    assert_false(err_is_ok(geo_reload(g)));
    assert_true(geo_find(g, SPAN("192.0.2.1:1"), &p));
    assert_int_equal(p.latitude_udeg, 52520000);
    write_file(bytes, read_file(MOVED, bytes, sizeof bytes));
    assert_ok(geo_reload(g));
    assert_true(geo_find(g, SPAN("192.0.2.1:1"), &p));
    assert_int_equal(p.latitude_udeg, 1000000);
    assert_ok(geo_reload(NULL));
}

/* Cut anywhere, or with a byte changed: refused, or it finds what it finds; no more. */
static void damaged_databases_do_no_harm(void **state)
{
    static uint8_t bytes[64 * 1024];
    size_t n = read_file(PLACES, bytes, sizeof bytes);

    (void)state;
    for (size_t i = 0; i < n; i += 7) {
        for (int is_cut = 0; is_cut < 2; is_cut++) {
            AUTO(geo) struct geo *g = NULL;
            struct geo_point p;

            bytes[i] ^= 0xff;
            write_file(bytes, is_cut ? i : n);
            bytes[i] ^= 0xff;
            if (err_is_ok(geo_open(path, &g))) {
                (void)geo_find(g, SPAN("192.0.2.1:1"), &p);
                (void)geo_find(g, SPAN("203.0.113.3:1"), &p);
                (void)geo_find(g, SPAN("[2001:db8::1]:1"), &p);
            }
        }
    }
}

static atomic_bool is_over;

static void *look_up(void *arg)
{
    while (!atomic_load(&is_over)) {
        struct geo_point p;

        assert_true(geo_find(arg, SPAN("192.0.2.1:1"), &p));
    }
    return NULL;
}

static void many_look_while_it_is_taken_anew(void **state)
{
    AUTO(geo) struct geo *g = NULL;
    pthread_t threads[2];

    (void)state;
    assert_ok(geo_open(PLACES, &g));
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, look_up, g), 0);
    }
    for (int i = 0; i < 100; i++) {
        assert_ok(geo_reload(g));
    }
    atomic_store(&is_over, true);
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
}

/* ---- distances ---- */

static void how_far_it_is(void **state)
{
    static const struct {
        struct geo_point a, b;
        int km;
    } cases[] = {
        { { 52520000, 13405000 }, { 52520000, 13405000 }, 0 },
        { { 52520000, 13405000 }, { 40713000, -74006000 }, 6385 },  /* Berlin, New York */
        { { -33868821, 151209296 }, { 51507400, -127800 }, 16994 }, /* Sydney, London */
        { { 90000000, 0 }, { -90000000, 0 }, 20015 },               /* the poles */
        { { 0, -180000000 }, { 0, 180000000 }, 0 },                 /* the date line */
        { { 0, 179500000 }, { 0, -179500000 }, 111 },
        { { 52391000, 13065000 }, { 52520000, 13405000 }, 27 },
        { { 52520000, 13405000 }, { 52520000, 13405150 }, 0 }, /* 10 m */
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct geo_vector a = geo_vector_of(cases[i].a), b = geo_vector_of(cases[i].b);
        int64_t chord2 = geo_chord2(&a, &b);

        assert_int_equal((int)(geo_km(chord2) + 0.5), cases[i].km);
        assert_true(chord2 == geo_chord2(&b, &a) && chord2 >= 0);
        if (cases[i].km < 19000) {
            assert_int_equal((int)(geo_km(geo_chord2_plus_km(chord2, 1000)) - geo_km(chord2) + 0.5),
                             1000);
        } else {
            assert_true(geo_chord2_plus_km(chord2, 1000) == INT64_MAX);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_an_address_is),
        cmocka_unit_test(what_is_no_database_is_refused),
        cmocka_unit_test(a_database_is_taken_anew),
        cmocka_unit_test(damaged_databases_do_no_harm),
        cmocka_unit_test(many_look_while_it_is_taken_anew),
        cmocka_unit_test(how_far_it_is),
    };

    return cmocka_run_group_tests(tests, make_file, remove_file);
}
