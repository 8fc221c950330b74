/* store/sink_contract_test.c: sink.h's contract, once, run on every backend; at the end what holds
 * for the file only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "model/limits.h"
#include "store/files_test.h"
#include "store/sink.h"

enum { ARENA_SIZE = 1 << 20, RETENTION_MS = 1000 };

struct fixture {
    struct sink *sink;
    struct arena arena;
    struct files files;
};

static err open_mem(const char *path, struct sink **ret_sink)
{
    (void)path;
    return sink_mem_open(ret_sink);
}

static err open_sqlite(const char *path, struct sink **ret_sink)
{
    return sink_sqlite_open(path, 0, ret_sink);
}

static err open_retaining(const char *path, struct sink **ret_sink)
{
    return sink_sqlite_open(path, RETENTION_MS, ret_sink);
}

struct backend_case {
    err (*open)(const char *path, struct sink **ret_sink);
};
static struct backend_case mem = { open_mem }, sqlite = { open_sqlite },
                           retaining = { open_retaining };

static int setup(void **state)
{
    const struct backend_case *backend = (const struct backend_case *)*state;
    struct fixture *f = (struct fixture *)calloc(1, sizeof(*f));

    arena_init(&f->arena, malloc(ARENA_SIZE), ARENA_SIZE);
    files_open(&f->files);
    assert_true(err_is_ok(backend->open(f->files.path, &f->sink)));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = (struct fixture *)*state;

    sink_close(f->sink);
    files_close(&f->files);
    free(f->arena.block);
    free(f);
    return 0;
}

/* An append that counts how often it was ended, and may hold the sink's thread up. */
struct append {
    struct sink_append base; /* first */
    atomic_int ended;
    enum err_code code;
    const atomic_bool *go; /* NULL: does not wait */
};

static void on_done(struct sink_append *base, err result)
{
    struct append *a = (struct append *)base;

    while (a->go != NULL && !atomic_load(a->go)) {
        (void)usleep(100);
    }
    a->code = result.code;
    (void)atomic_fetch_add(&a->ended, 1);
}

static void prepare(struct append *a, const char *hub, const char *device_id, const char *body)
{
    memset(a, 0, sizeof(*a));
    a->base.done = on_done;
    a->base.event = (struct sink_event){ .hub = span_str(hub),
                                         .device_id = span_str(device_id),
                                         .enqueued_ms = 1669000000000,
                                         .properties = SPAN("{}"),
                                         .body = span_str(body) };
}

static void wait_for(struct append *a)
{
    while (atomic_load(&a->ended) == 0) {
        (void)usleep(100);
    }
    assert_int_equal(a->code, ERR_NONE);
}

static int64_t append_at(struct fixture *f, const char *hub, const char *device_id,
                         const char *body, int64_t enqueued_ms)
{
    struct append a;

    prepare(&a, hub, device_id, body);
    a.base.event.enqueued_ms = enqueued_ms;
    assert_true(err_is_ok(sink_append(f->sink, &a.base)));
    wait_for(&a);
    return a.base.event.offset;
}

static int64_t append(struct fixture *f, const char *hub, const char *device_id, const char *body)
{
    return append_at(f, hub, device_id, body, 1669000000000);
}

/* The bodies of a query's events, joined by ' '. */
static const char *read_bodies(struct fixture *f, struct sink_query q, size_t *ret_n)
{
    static char text[4096];
    struct sink_event *events = NULL;
    int64_t last = q.after;
    int len = 0;

    arena_reset(&f->arena);
    assert_true(err_is_ok(sink_read(f->sink, &q, &f->arena, &events, ret_n)));
    assert_int_equal(events == NULL, *ret_n == 0);
    text[0] = '\0';
    for (size_t i = 0; i < *ret_n; i++) {
        assert_true(events[i].offset > last);
        assert_true(span_eq(events[i].hub, q.hub));
        last = events[i].offset;
        len += snprintf(text + len, sizeof(text) - (size_t)len, "%s%.*s", i > 0 ? " " : "",
                        SPAN_FMT(events[i].body));
    }
    return text;
}

static void test_an_event_is_kept_whole(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct sink_query q = { .hub = SPAN("h"), .max_events = 9, .max_bytes = 999 };
    struct sink_event *events;
    struct append a, bare;
    size_t n;

    prepare(&a, "h", "d/1", "");
    a.base.event.properties = SPAN("{\"system\":{}}");
    a.base.event.body = SPAN("\0\xff{}");
    prepare(&bare, "h", "d/2", "");
    bare.base.event.properties = SPAN_NONE;
    assert_true(err_is_ok(sink_append(f->sink, &a.base)));
    assert_true(err_is_ok(sink_append(f->sink, &bare.base)));
    wait_for(&bare);
    assert_true(err_is_ok(sink_read(f->sink, &q, &f->arena, &events, &n)));
    assert_int_equal(n, 2);
    assert_int_equal(events[0].offset, a.base.event.offset);
    assert_true(span_eq(events[0].device_id, SPAN("d/1")));
    assert_int_equal(events[0].enqueued_ms, 1669000000000);
    assert_true(span_eq(events[0].properties, SPAN("{\"system\":{}}")));
    assert_true(span_eq(events[0].body, SPAN("\0\xff{}")));
    assert_true(span_is_absent(events[1].properties));
    assert_true(!span_is_absent(events[1].body) && events[1].body.len == 0);
}

/* One after another, each durable when it returns. */
static void test_waiting_for_many(void **state)
{
    enum { N = 3 };
    struct fixture *f = (struct fixture *)*state;
    struct sink_query q = { .hub = SPAN("h"), .max_events = 9, .max_bytes = 999 };
    struct sink_event events[N] = { 0 };
    static const char *const bodies[N] = { "one", "two", "three" };
    size_t n;

    for (size_t i = 0; i < N; i++) {
        events[i] = (struct sink_event){ .hub = SPAN("h"),
                                         .device_id = SPAN("d"),
                                         .properties = SPAN("{}"),
                                         .body = span_str(bodies[i]) };
    }
    assert_true(err_is_ok(sink_append_wait(f->sink, &f->arena, events, N)));
    assert_true(0 < events[0].offset && events[0].offset < events[1].offset &&
                events[1].offset < events[2].offset);
    assert_string_equal(read_bodies(f, q, &n), "one two three");
    assert_true(err_is_ok(sink_append_wait(f->sink, &f->arena, events, 1)));
    assert_string_equal(read_bodies(f, q, &n), "one two three one");
    f->arena.used = f->arena.size;
    assert_true(err_is(sink_append_wait(f->sink, &f->arena, events, N), ERR_NOMEM));
}

struct read_case {
    const char *hub, *device_id;
    size_t n_after; /* behind the n-th event; 0: from the start */
    size_t max_events, max_bytes;
    const char *want;
};

static void test_reading(void **state)
{
    static const struct read_case cases[] = {
        { "h", NULL, 0, 100, 10000, "a1 b1 a2 a3-long" },
        { "g", NULL, 0, 100, 10000, "x1 x2" },
        { "none", NULL, 0, 100, 10000, "" },
        { "h", "a", 0, 100, 10000, "a1 a2 a3-long" },
        { "h", "A", 0, 100, 10000, "" },
        { "h", NULL, 1, 100, 10000, "b1 a2 a3-long" },
        { "h", NULL, 3, 100, 10000, "a2 a3-long" },
        { "h", "a", 1, 100, 10000, "a2 a3-long" },
        { "h", NULL, 6, 100, 10000, "" },
        { "h", NULL, 0, 2, 10000, "a1 b1" },
        { "h", "a", 0, 1, 10000, "a1" },
        { "h", NULL, 0, 100, 8, "a1 b1" },  /* 4 bytes each with their properties */
        { "h", NULL, 0, 100, 11, "a1 b1" }, /* the third would be one too many */
        { "h", NULL, 0, 100, 12, "a1 b1 a2" },
        { "h", NULL, 0, 100, 1, "a1" }, /* one is always given */
        { "h", NULL, 5, 100, 0, "a3-long" },
    };
    struct fixture *f = (struct fixture *)*state;
    int64_t offsets[7] = { 0 };
    int64_t last;

    assert_true(err_is_ok(sink_last_offset(f->sink, &last)));
    assert_int_equal(last, 0);
    offsets[1] = append(f, "h", "a", "a1");
    offsets[2] = append(f, "g", "a", "x1");
    offsets[3] = append(f, "h", "b", "b1");
    offsets[4] = append(f, "h", "a", "a2");
    offsets[5] = append(f, "g", "a", "x2");
    offsets[6] = append(f, "h", "a", "a3-long");
    for (int i = 1; i <= 6; i++) {
        assert_true(offsets[i] > offsets[i - 1]);
    }
    assert_true(err_is_ok(sink_last_offset(f->sink, &last)));
    assert_int_equal(last, offsets[6]);
    offsets[5] = offsets[4]; /* of "h" nothing lies between; events behind the fifth is a3 */
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct read_case *c = &cases[i];
        struct sink_query q = { .hub = span_str(c->hub),
                                .device_id = span_str(c->device_id),
                                .after = offsets[c->n_after],
                                .max_events = c->max_events,
                                .max_bytes = c->max_bytes };
        size_t n;

        assert_string_equal(read_bodies(f, q, &n), c->want);
    }
}

static void test_arena_at_its_cap(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct sink_query q = { .hub = SPAN("h"), .max_events = 100, .max_bytes = 10000 };
    struct sink_event *events = NULL;
    struct arena small;
    uint8_t block[64];
    size_t n = 77;

    (void)append(f, "h", "d", "body");
    arena_init(&small, block, sizeof(block));
    assert_int_equal(sink_read(f->sink, &q, &small, &events, &n).code, ERR_NOMEM);
    assert_int_equal(small.used, 0);
    assert_null(events);
    assert_int_equal(n, 77);
}

struct producer {
    struct fixture *fixture;
    char device_id[8];
    struct append *appends;
};

enum { PRODUCERS = 8, PER_PRODUCER = 500 };

static void *produce(void *arg)
{
    struct producer *p = (struct producer *)arg;

    for (size_t i = 0; i < PER_PRODUCER; i++) {
        prepare(&p->appends[i], "h", p->device_id, "x");
        if (!err_is_ok(sink_append(p->fixture->sink, &p->appends[i].base))) {
            return p;
        }
    }
    return NULL;
}

static void test_many_producers(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct producer producers[PRODUCERS];
    pthread_t threads[PRODUCERS];
    struct sink_query q = { .hub = SPAN("h"), .max_events = 100000, .max_bytes = 1 << 30 };
    size_t n;

    for (int i = 0; i < PRODUCERS; i++) {
        producers[i].fixture = f;
        producers[i].appends = (struct append *)calloc(PER_PRODUCER, sizeof(struct append));
        (void)snprintf(producers[i].device_id, sizeof(producers[i].device_id), "d%d", i);
        assert_int_equal(pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
    }
    for (int i = 0; i < PRODUCERS; i++) {
        void *failed;

        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    for (int i = 0; i < PRODUCERS; i++) {
        struct append *appends = producers[i].appends;

        for (size_t k = 0; k < PER_PRODUCER; k++) {
            wait_for(&appends[k]);
            assert_true(k == 0 || appends[k].base.event.offset > appends[k - 1].base.event.offset);
        }
    }
    (void)read_bodies(f, (struct sink_query){ .hub = SPAN("h"), .max_events = 1 }, &n);
    arena_reset(&f->arena);
    {
        struct sink_event *events;

        assert_true(err_is_ok(sink_read(f->sink, &q, &f->arena, &events, &n)));
        assert_int_equal(n, PRODUCERS * PER_PRODUCER);
        q.device_id = SPAN("d3");
        assert_true(err_is_ok(sink_read(f->sink, &q, &f->arena, &events, &n)));
        assert_int_equal(n, PER_PRODUCER);
    }
    sink_close(f->sink); /* the thread is at rest: no append may be ended later */
    f->sink = NULL;
    for (int i = 0; i < PRODUCERS; i++) {
        for (size_t k = 0; k < PER_PRODUCER; k++) {
            assert_int_equal(atomic_load(&producers[i].appends[k].ended), 1);
        }
        free(producers[i].appends);
    }
}

static void test_full_queue_and_close(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct append *appends = (struct append *)calloc(LIMIT_APPEND_QUEUE + 2, sizeof(struct append));
    atomic_bool go = false;
    struct append first;
    int64_t last;

    prepare(&first, "h", "d", "first");
    first.go = &go;
    assert_true(err_is_ok(sink_append(f->sink, &first.base)));
    do { /* until the thread is inside `first`, and so the queue empty */
        assert_true(err_is_ok(sink_last_offset(f->sink, &last)));
        (void)usleep(100);
    } while (last == 0);
    for (size_t i = 0; i < LIMIT_APPEND_QUEUE + 2; i++) {
        prepare(&appends[i], "h", "d", "x");
        assert_int_equal(sink_append(f->sink, &appends[i].base).code,
                         i < LIMIT_APPEND_QUEUE ? ERR_NONE : ERR_BUSY);
    }
    atomic_store(&go, true);
    sink_close(f->sink);
    f->sink = NULL;
    assert_int_equal(atomic_load(&first.ended), 1);
    for (size_t i = 0; i < LIMIT_APPEND_QUEUE + 2; i++) {
        assert_int_equal(atomic_load(&appends[i].ended), i < LIMIT_APPEND_QUEUE ? 1 : 0);
        assert_int_equal(appends[i].code, ERR_NONE);
    }
    free(appends);
    sink_close(NULL);
}

static void on_told(void *arg)
{
    (void)atomic_fetch_add((atomic_int *)arg, 1);
}

static void test_listener(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    atomic_int told = 0;
    int before;

    sink_listen(f->sink, on_told, &told);
    (void)append(f, "h", "d", "1");
    while (atomic_load(&told) == 0) {
        (void)usleep(100);
    }
    (void)append(f, "h", "d", "2");
    while (atomic_load(&told) == 1) {
        (void)usleep(100);
    }
    sink_listen(f->sink, NULL, NULL);
    before = atomic_load(&told);
    (void)append(f, "h", "d", "3");
    sink_close(f->sink);
    f->sink = NULL;
    assert_int_equal(atomic_load(&told), before);
}

/* ---- the file ---- */

static void reopen(struct fixture *f, int64_t retention_ms)
{
    sink_close(f->sink);
    f->sink = NULL;
    assert_true(err_is_ok(sink_sqlite_open(f->files.path, retention_ms, &f->sink)));
}

static void test_reopen(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct sink_query q = { .hub = SPAN("h"), .max_events = 100, .max_bytes = 10000 };
    int64_t first = append(f, "h", "d", "one");
    struct sink *second = NULL;
    int64_t last;
    size_t n;

    assert_int_equal(sink_sqlite_open(f->files.path, 0, &second).code, ERR_BUSY);
    reopen(f, 0);
    assert_true(err_is_ok(sink_last_offset(f->sink, &last)));
    assert_int_equal(last, first);
    assert_true(append(f, "h", "d", "two") > first);
    assert_string_equal(read_bodies(f, q, &n), "one two");
}

static void test_retention(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct sink_query q = { .hub = SPAN("h"), .max_events = 100, .max_bytes = 10000 };
    int64_t last, offset;
    size_t n;

    (void)append_at(f, "h", "d", "a", 5000);
    (void)append_at(f, "h", "d", "b", 5500);
    (void)append_at(f, "g", "d", "x", 5600);
    (void)append_at(f, "h", "d", "c", 6000);
    assert_string_equal(read_bodies(f, q, &n), "a b c"); /* a is as old as may be, not older */
    (void)append_at(f, "h", "d", "d", 6001);
    assert_string_equal(read_bodies(f, q, &n), "b c d");
    /* One of the oldest two goes with an event: the log is caught up with in small steps. */
    reopen(f, RETENTION_MS);
    (void)append_at(f, "h", "d", "e", 9000);
    assert_string_equal(read_bodies(f, q, &n), "c d e"); /* b and x went */
    offset = append_at(f, "h", "d", "f", 9000);
    assert_string_equal(read_bodies(f, q, &n), "e f");

    /* An offset is not given twice, not even when no event is left of those before. */
    reopen(f, 1);
    assert_true(append_at(f, "g", "d", "y", 20000) == offset + 1);
    reopen(f, 1);
    assert_true(err_is_ok(sink_last_offset(f->sink, &last)));
    assert_int_equal(last, offset + 1);
    assert_string_equal(read_bodies(f, q, &n), "");
    assert_int_equal(append_at(f, "h", "d", "z", 30000), offset + 2);
}

#define ON(backend, test)                                                                          \
    cmocka_unit_test_prestate_setup_teardown(test, setup, teardown, &(backend))
#define ON_BOTH(test) ON(mem, test), ON(sqlite, test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(test_an_event_is_kept_whole),
        ON_BOTH(test_waiting_for_many),
        ON_BOTH(test_reading),
        ON_BOTH(test_arena_at_its_cap),
        ON_BOTH(test_many_producers),
        ON_BOTH(test_full_queue_and_close),
        ON_BOTH(test_listener),
        ON(sqlite, test_reopen),
        ON(retaining, test_retention),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
