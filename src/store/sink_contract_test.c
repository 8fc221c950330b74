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
#include <sqlite3.h>
#include <stdatomic.h>
#include <unistd.h>

#include "model/limits.h"
#include "store/files_test.h"
#include "store/schema/schema.h"
#include "store/sink.h"

enum { ARENA_SIZE = 32 << 20, RETENTION_MS = 1000, SIZE_MAX_BYTES = 512 * 1024 };

struct fixture {
    struct sink *sink;
    struct arena arena;
    struct files files;
};

static const struct sink_config plain = { 0 };
static const struct sink_config retaining = { .retention_ms = RETENTION_MS };
static const struct sink_config bounded = { .size = SIZE_MAX_BYTES, .partitions = 2 };

static err open_mem(const char *path, const struct sink_config *config, struct sink **ret_sink)
{
    (void)path;
    return sink_mem_open_with(config, ret_sink);
}

struct backend_case {
    err (*open)(const char *path, const struct sink_config *config, struct sink **ret_sink);
    const struct sink_config *config;
};
static struct backend_case mem = { open_mem, &plain }, sqlite = { sink_sqlite_open, &plain },
                           retaining_mem = { open_mem, &retaining },
                           retaining_sqlite = { sink_sqlite_open, &retaining },
                           bounded_mem = { open_mem, &bounded },
                           bounded_sqlite = { sink_sqlite_open, &bounded };

static int setup(void **state)
{
    const struct backend_case *backend = (const struct backend_case *)*state;
    struct fixture *f = (struct fixture *)calloc(1, sizeof(*f));

    arena_init(&f->arena, malloc(ARENA_SIZE), ARENA_SIZE);
    files_open(&f->files);
    assert_true(err_is_ok(backend->open(f->files.path, backend->config, &f->sink)));
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
    struct sink_reading r;
    struct sink_event *events;
    int64_t last = q.after;
    int len = 0;

    arena_reset(&f->arena);
    assert_true(err_is_ok(sink_read(f->sink, &q, &f->arena, &r)));
    events = r.events;
    *ret_n = r.n;
    assert_int_equal(events == NULL, r.n == 0);
    assert_true(r.n == 0 || r.next >= events[r.n - 1].offset);
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
    struct sink_reading r;
    struct append a, bare;

    prepare(&a, "h", "d/1", "");
    a.base.event.properties = SPAN("{\"system\":{}}");
    a.base.event.body = SPAN("\0\xff{}");
    prepare(&bare, "h", "d/2", "");
    bare.base.event.properties = SPAN_NONE;
    bare.base.event.module_id = SPAN("m");
    bare.base.event.source = SINK_TWIN_CHANGE;
    assert_true(err_is_ok(sink_append(f->sink, &a.base)));
    assert_true(err_is_ok(sink_append(f->sink, &bare.base)));
    wait_for(&bare);
    assert_true(err_is_ok(sink_read(f->sink, &q, &f->arena, &r)));
    assert_int_equal(r.n, 2);
    assert_int_equal(r.events[0].offset, a.base.event.offset);
    assert_true(span_eq(r.events[0].device_id, SPAN("d/1")));
    assert_int_equal(r.events[0].enqueued_ms, 1669000000000);
    assert_true(span_eq(r.events[0].properties, SPAN("{\"system\":{}}")));
    assert_true(span_eq(r.events[0].body, SPAN("\0\xff{}")));
    assert_true(span_is_absent(r.events[1].properties));
    assert_true(!span_is_absent(r.events[1].body) && r.events[1].body.len == 0);
    assert_true(span_is_absent(r.events[0].module_id));
    assert_true(span_eq(r.events[1].module_id, SPAN("m")));
    assert_int_equal(r.events[0].source, SINK_TELEMETRY);
    assert_int_equal(r.events[1].source, SINK_TWIN_CHANGE);
    assert_int_equal(r.events[1].partition, bare.base.event.partition);
    assert_int_equal(r.events[1].sequence, bare.base.event.sequence);
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
    struct sink_reading r = { .n = 77 };
    struct arena small;
    uint8_t block[64];

    (void)append(f, "h", "d", "body");
    arena_init(&small, block, sizeof(block));
    assert_int_equal(sink_read(f->sink, &q, &small, &r).code, ERR_NOMEM);
    assert_int_equal(small.used, 0);
    assert_null(r.events);
    assert_int_equal(r.n, 77);
}

struct producer {
    struct fixture *fixture;
    char device_id[8];
    struct append *appends;
};

enum { PRODUCERS = 8, PER_PRODUCER = 500 };

/* Every partition's numbers follow one another; a device's events are in its own. */
static void check_numbers(struct fixture *f, const struct sink_reading *r)
{
    int64_t next[SINK_PARTITIONS_MAX];

    memset(next, -1, sizeof(next));
    for (size_t i = 0; i < r->n; i++) {
        const struct sink_event *e = &r->events[i];

        assert_in_range(e->partition, 0, sink_partitions(f->sink) - 1);
        assert_int_equal(e->partition, sink_partition_of(f->sink, e->device_id));
        assert_true(next[e->partition] < 0 || e->sequence == next[e->partition]);
        next[e->partition] = e->sequence + 1;
    }
}

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
        struct sink_reading r;

        assert_true(err_is_ok(sink_read(f->sink, &q, &f->arena, &r)));
        assert_int_equal(r.n, PRODUCERS * PER_PRODUCER);
        check_numbers(f, &r);
        q.device_id = SPAN("d3");
        assert_true(err_is_ok(sink_read(f->sink, &q, &f->arena, &r)));
        assert_int_equal(r.n, PER_PRODUCER);
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
    const struct sink_config config = { .retention_ms = retention_ms, .partitions = 7 };

    sink_close(f->sink);
    f->sink = NULL;
    assert_true(err_is_ok(sink_sqlite_open(f->files.path, &config, &f->sink)));
}

static void test_reopen(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct sink_query q = { .hub = SPAN("h"), .max_events = 100, .max_bytes = 10000 };
    int64_t first = append(f, "h", "d", "one");
    struct sink *second = NULL;
    int64_t last;
    size_t n;

    assert_int_equal(sink_sqlite_open(f->files.path, &plain, &second).code, ERR_BUSY);
    reopen(f, 0);
    assert_int_equal(sink_partitions(f->sink), SINK_PARTITIONS_DEFAULT); /* as it was made */
    assert_true(err_is_ok(sink_last_offset(f->sink, &last)));
    assert_int_equal(last, first);
    assert_true(append(f, "h", "d", "two") > first);
    assert_string_equal(read_bodies(f, q, &n), "one two");
}

static void test_offsets_outlive_events(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct sink_query q = { .hub = SPAN("h"), .max_events = 100, .max_bytes = 10000 };
    int64_t last, offset;
    size_t n;

    offset = append_at(f, "h", "d", "a", 5000);
    reopen(f, 1);
    assert_true(append_at(f, "g", "d", "y", 20000) == offset + 1);
    reopen(f, 1);
    assert_true(err_is_ok(sink_last_offset(f->sink, &last)));
    assert_int_equal(last, offset + 1);
    assert_string_equal(read_bodies(f, q, &n), "");
    assert_int_equal(append_at(f, "h", "d", "z", 30000), offset + 2);
    {
        struct sink_reading r;

        assert_true(err_is_ok(sink_read(f->sink, &q, &f->arena, &r)));
        assert_int_equal(r.n, 1);
        assert_int_equal(r.events[0].sequence, 1); /* the second of its partition */
        assert_int_equal(r.dropped, offset);
    }
}

/* ---- what is asked for ---- */

static void test_waiting(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct sink_query q = { .hub = SPAN("h"), .max_events = 100, .max_bytes = 10000 };
    struct sink_event event = {
        .hub = SPAN("h"), .device_id = SPAN("d"), .module_id = SPAN("m"), .body = SPAN("copied")
    };
    struct sink_event waited = event;
    size_t n;

    assert_true(err_is_ok(sink_append_copy(f->sink, &event)));
    waited.body = SPAN("waited");
    assert_true(err_is_ok(sink_append_wait(f->sink, &f->arena, &waited, 1)));
    assert_int_equal(waited.offset, 2);
    assert_string_equal(read_bodies(f, q, &n), "copied waited");
    assert_int_equal(sink_share(f->sink), LIMIT_APPENDS_IN_FLIGHT);
    assert_true(sink_wants(f->sink, SINK_TWIN_CHANGE));
    sink_want(f->sink, 1U << SINK_TELEMETRY);
    assert_false(sink_wants(f->sink, SINK_TWIN_CHANGE));
}

static void append_as(struct fixture *f, const char *hub, const char *device, const char *module,
                      enum sink_source source, const char *body)
{
    struct sink_event event = { .hub = span_str(hub),
                                .device_id = span_str(device),
                                .module_id = span_str(module),
                                .source = source,
                                .enqueued_ms = 1000,
                                .body = span_str(body) };
    struct arena arena;
    uint8_t block[1024];

    arena_init(&arena, block, sizeof(block));
    assert_true(err_is_ok(sink_append_wait(f->sink, &arena, &event, 1)));
}

static void test_what_is_asked_for(void **state)
{
    enum { TELEMETRY = 1 << SINK_TELEMETRY, TWIN = 1 << SINK_TWIN_CHANGE };
    static const struct {
        const char *device;
        const char *of_partition_of; /* or NULL: all */
        unsigned sources;
        const char *want;
    } cases[] = {
        { NULL, NULL, 0, "a am at b c ct" },
        { NULL, NULL, TELEMETRY, "a am b c" },
        { NULL, NULL, TWIN, "at ct" },
        { NULL, NULL, TELEMETRY | TWIN, "a am at b c ct" },
        { NULL, NULL, 1 << SINK_CONNECTION_STATE, "" },
        { "d1", NULL, 0, "a am at" },
        { "d1", NULL, TWIN, "at" },
        { "d1", "d1", TELEMETRY, "a am" },
        { NULL, "d1", 0, "a am at" }, /* d2 and d3 are elsewhere, see below */
        { NULL, "d2", TWIN, "ct" },
        { "d1", "d2", 0, "" },
        { "d", NULL, 0, "" },
    };
    struct fixture *f = (struct fixture *)*state;

    append_as(f, "h", "d1", NULL, SINK_TELEMETRY, "a");
    append_as(f, "h", "d1", "m", SINK_TELEMETRY, "am");
    append_as(f, "g", "d1", NULL, SINK_TELEMETRY, "another hub's");
    append_as(f, "h", "d1", NULL, SINK_TWIN_CHANGE, "at");
    append_as(f, "h", "d3", NULL, SINK_TELEMETRY, "b");
    append_as(f, "h", "d2", NULL, SINK_TELEMETRY, "c");
    append_as(f, "h", "d2", NULL, SINK_TWIN_CHANGE, "ct");
    assert_int_not_equal(sink_partition_of(f->sink, SPAN("d1")),
                         sink_partition_of(f->sink, SPAN("d2")));
    assert_int_not_equal(sink_partition_of(f->sink, SPAN("d1")),
                         sink_partition_of(f->sink, SPAN("d3")));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sink_query q = { .hub = SPAN("h"),
                                .device_id = span_str(cases[i].device),
                                .sources = cases[i].sources,
                                .max_events = 100,
                                .max_bytes = 10000 };
        size_t n;

        if (cases[i].of_partition_of != NULL) {
            q.has_partition = true;
            q.partition = sink_partition_of(f->sink, span_str(cases[i].of_partition_of));
        }
        assert_string_equal(read_bodies(f, q, &n), cases[i].want);
    }
}

/* ---- a log of some length ---- */

enum { RUN = 16384, MANY = 2 * RUN + 5000, SPACING = 97 };

static void count_down(struct sink_append *base, err result)
{
    (void)result;
    (void)atomic_fetch_sub((atomic_int *)base->event.body.data, 1);
}

/* One event in SPACING is d1's, one in 1000 a twin's change of "rare". */
static void append_many(struct fixture *f, int first, int n)
{
    struct sink_append *appends = calloc((size_t)n, sizeof(*appends));
    atomic_int left = n;

    for (int i = 0; i < n; i++) {
        int no = first + i;
        bool is_rare = no % 1000 == 500;

        appends[i] = (struct sink_append){
            .event = { .hub = SPAN("h"),
                       .device_id = is_rare             ? SPAN("rare")
                                    : no % SPACING == 0 ? SPAN("d1")
                                    : no % 2 == 0       ? SPAN("d2")
                                                        : SPAN("d3"),
                       .source = is_rare ? SINK_TWIN_CHANGE : SINK_TELEMETRY,
                       .enqueued_ms = 1000000 + no * 100,
                       .properties = SPAN("{}"),
                       .body = span_of(&left, sizeof(left)) },
            .done = count_down,
        };
        while (err_is(sink_append(f->sink, &appends[i]), ERR_BUSY)) {
            (void)usleep(100);
        }
    }
    while (atomic_load(&left) > 0) {
        (void)usleep(100);
    }
    free(appends);
}

/* Reads all there is, page by page. */
static size_t count_all(struct fixture *f, struct sink_query q, int64_t *ret_sum)
{
    struct sink_reading r;
    size_t n = 0;
    int64_t seen = q.after;

    *ret_sum = 0;
    do {
        arena_reset(&f->arena);
        assert_true(err_is_ok(sink_read(f->sink, &q, &f->arena, &r)));
        for (size_t i = 0; i < r.n; i++) {
            assert_true(r.events[i].offset > seen);
            seen = r.events[i].offset;
            *ret_sum += seen;
        }
        assert_true(r.next >= seen && (r.next > q.after || !r.has_more));
        n += r.n;
        q.after = r.next;
    } while (r.has_more);
    return n;
}

static size_t expect_device(int after, int64_t *ret_sum)
{
    size_t n = 0;

    *ret_sum = 0;
    for (int no = 1; no <= MANY; no++) {
        if (no > after && no % SPACING == 0 && no % 1000 != 500) {
            n++;
            *ret_sum += no;
        }
    }
    return n;
}

static void check_many(struct fixture *f)
{
    static const int afters[] = { 0, 1, 96, 97, RUN - 2, RUN - 1, RUN, RUN + 1, 2 * RUN, MANY };
    struct sink_query q = { .hub = SPAN("h"), .max_events = 100, .max_bytes = 1 << 20 };
    size_t n = 0;
    int64_t sum, want;

    assert_int_equal(count_all(f, q, &sum), MANY);
    q.sources = 1U << SINK_TWIN_CHANGE;
    assert_int_equal(count_all(f, q, &sum), (MANY + 500) / 1000);
    q.sources = 0;
    q.has_partition = true;
    for (q.partition = 0; q.partition < sink_partitions(f->sink); q.partition++) {
        n += count_all(f, q, &sum);
    }
    assert_int_equal(n, MANY);
    q.has_partition = false;
    q.device_id = SPAN("d1");
    for (size_t i = 0; i < sizeof(afters) / sizeof(afters[0]); i++) {
        size_t expected = expect_device(afters[i], &want);

        q.after = afters[i];
        assert_int_equal(count_all(f, q, &sum), expected);
        assert_int_equal(sum, want);
    }
    q.hub = SPAN("g");
    q.after = 0;
    assert_int_equal(count_all(f, q, &sum), 0);
}

static void test_many_runs(void **state)
{
    struct fixture *f = (struct fixture *)*state;

    append_many(f, 1, MANY);
    check_many(f);
}

/* What is not yet in the index is found after the next start, too. */
static void test_reopen_within_a_run(void **state)
{
    struct fixture *f = (struct fixture *)*state;

    append_many(f, 1, 1000);
    reopen(f, 0);
    append_many(f, 1001, RUN - 1001); /* to the end of the run */
    reopen(f, 0);
    append_many(f, RUN, MANY - RUN + 1);
    reopen(f, 0);
    check_many(f);
}

static void test_times(void **state)
{
    static const int nos[] = { 1, 2, 1000, RUN - 1, RUN, MANY };
    struct fixture *f = (struct fixture *)*state;
    struct sink_query q = { .hub = SPAN("h"), .max_events = 1000, .max_bytes = 1 << 20 };
    int64_t sum;

    append_many(f, 1, MANY);
    for (size_t i = 0; i < sizeof(nos) / sizeof(nos[0]); i++) {
        q.from_ms = 1000000 + nos[i] * 100;
        assert_true(err_is_ok(sink_find_time(f->sink, q.from_ms, &q.after)));
        assert_in_range(q.after, nos[i] > 700 ? nos[i] - 700 : 0, nos[i] - 1);
        assert_int_equal(count_all(f, q, &sum), MANY - nos[i] + 1);
    }
    q.from_ms = 1000000 + (MANY + 1) * 100;
    assert_true(err_is_ok(sink_find_time(f->sink, q.from_ms, &q.after)));
    assert_int_equal(count_all(f, q, &sum), 0);
}

/* ---- dropping ---- */

static int64_t dropped_of(struct fixture *f, const char *hub, const char *device, int64_t after)
{
    struct sink_query q = { .hub = span_str(hub),
                            .device_id = span_str(device),
                            .after = after,
                            .max_events = 1,
                            .max_bytes = 1 };
    struct sink_reading r;

    arena_reset(&f->arena);
    assert_true(err_is_ok(sink_read(f->sink, &q, &f->arena, &r)));
    return r.dropped;
}

static void test_retention(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct sink_query q = { .hub = SPAN("h"), .max_events = 100, .max_bytes = 10000 };
    struct sink_stats stats;
    int64_t a, x;
    size_t n;

    a = append_at(f, "h", "d", "a", 5000);
    (void)append_at(f, "h", "d", "b", 5500);
    x = append_at(f, "g", "d", "x", 5600);
    (void)append_at(f, "h", "d", "c", 6000);
    assert_string_equal(read_bodies(f, q, &n), "a b c"); /* a is as old as may be, not older */
    assert_int_equal(dropped_of(f, "h", NULL, 0), 0);
    (void)append_at(f, "h", "d", "d", 6001);
    assert_string_equal(read_bodies(f, q, &n), "b c d");
    assert_int_equal(dropped_of(f, "h", NULL, 0), a);
    assert_int_equal(dropped_of(f, "h", "d", 0), a);
    assert_int_equal(dropped_of(f, "g", NULL, 0), 0);
    assert_int_equal(dropped_of(f, "none", NULL, 0), 0);
    sink_stats(f->sink, &stats);
    assert_int_equal(stats.dropped, 1);
    /* About two of the oldest go with an event: the log is caught up with in small steps. */
    for (int i = 0; i < 8; i++) {
        (void)append_at(f, "g", "d", "y", 9000);
    }
    assert_string_equal(read_bodies(f, q, &n), "");
    assert_true(dropped_of(f, "h", NULL, 0) > x);
    assert_int_equal(dropped_of(f, "g", NULL, 0), x);
    assert_string_equal(
        read_bodies(
            f, (struct sink_query){ .hub = SPAN("g"), .max_events = 100, .max_bytes = 10000 }, &n),
        "y y y y y y y y");
}

/* The newest stay, the oldest go, and it is not much larger than it may be. */
static void test_size(void **state)
{
    static char body[9000];
    struct fixture *f = (struct fixture *)*state;
    struct sink_query q = { .hub = SPAN("h"), .max_events = 10000, .max_bytes = 1 << 30 };
    struct sink_reading r;
    struct sink_stats stats;
    int64_t last = 0;

    for (int i = 0; i < 2000; i++) { /* 1.2 MB of small ones */
        static char small[600];

        memset(small, 's', sizeof(small) - 1);
        last = append_at(f, "h", i % 2 == 0 ? "d1" : "d2", small, 5000);
    }
    sink_stats(f->sink, &stats);
    assert_int_equal(stats.bytes_max, SIZE_MAX_BYTES);
    assert_in_range(stats.bytes, SIZE_MAX_BYTES / 2, SIZE_MAX_BYTES + 64 * 1024);
    memset(body, 'L', sizeof(body) - 1);
    for (int i = 0; i < 100; i++) { /* small ones give way to large ones in time */
        last = append_at(f, "h", "d1", body, 5000);
    }
    sink_stats(f->sink, &stats);
    assert_in_range(stats.bytes, SIZE_MAX_BYTES / 2, SIZE_MAX_BYTES + 64 * 1024);
    arena_reset(&f->arena);
    assert_true(err_is_ok(sink_read(f->sink, &q, &f->arena, &r)));
    assert_in_range(r.n, 20, 60);
    assert_int_equal(r.events[r.n - 1].offset, last);
    assert_int_equal(r.events[0].offset, last - (int64_t)r.n + 1);
    assert_int_equal(r.events[r.n - 1].sequence, 1000 + 100 - 1);
    assert_int_equal(r.dropped, r.events[0].offset - 1);
    assert_int_equal(stats.dropped, r.dropped);
    check_numbers(f, &r);
}

/* ---- a log of before there were partitions ---- */

static void make_old_log(const char *path, int n)
{
    sqlite3 *db;
    sqlite3_stmt *stmt;
    char marks[128];

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, STORE_SCHEMA_SQLITE_SINK.steps[0], NULL, NULL, NULL),
                     SQLITE_OK);
    (void)snprintf(marks, sizeof(marks),
                   "PRAGMA application_id=%d;PRAGMA user_version=1;"
                   "UPDATE state SET last_offset = %d;BEGIN",
                   (int)STORE_SCHEMA_SQLITE_SINK.application_id, n);
    assert_int_equal(sqlite3_exec(db, marks, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db,
                                        "INSERT INTO event VALUES (?1, 'h', 'd' || (?1 % 3), "
                                        "1000 + ?1, '{}', CAST('b' || ?1 AS BLOB))",
                                        -1, &stmt, NULL),
                     SQLITE_OK);
    for (int i = 11; i <= n; i++) { /* the first ten were dropped */
        (void)sqlite3_bind_int(stmt, 1, i);
        assert_int_equal(sqlite3_step(stmt), SQLITE_DONE);
        (void)sqlite3_reset(stmt);
    }
    (void)sqlite3_finalize(stmt);
    assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void test_upgrade(void **state)
{
    enum { OLD = RUN + 3000 };
    struct fixture *f = (struct fixture *)*state;
    struct sink_query q = { .hub = SPAN("h"), .max_events = 100000, .max_bytes = 1 << 30 };
    struct sink_reading r;

    sink_close(f->sink);
    f->sink = NULL;
    files_close(&f->files);
    files_open(&f->files);
    make_old_log(f->files.path, OLD);
    assert_true(err_is_ok(sink_sqlite_open(f->files.path, &plain, &f->sink)));
    assert_int_equal(append(f, "h", "d1", "new"), OLD + 1);
    reopen(f, 0);
    assert_true(err_is_ok(sink_read(f->sink, &q, &f->arena, &r)));
    assert_int_equal(r.n, OLD - 10 + 1);
    assert_int_equal(r.events[0].offset, 11);
    assert_true(span_eq(r.events[0].body, SPAN("b11")));
    assert_true(span_eq(r.events[0].device_id, SPAN("d2")));
    assert_int_equal(r.events[0].enqueued_ms, 1011);
    assert_int_equal(r.events[0].source, SINK_TELEMETRY);
    assert_true(span_eq(r.events[r.n - 1].body, SPAN("new")));
    check_numbers(f, &r);
    q.device_id = SPAN("d1");
    arena_reset(&f->arena);
    assert_true(err_is_ok(sink_read(f->sink, &q, &f->arena, &r)));
    assert_int_equal(r.n, (OLD + 2) / 3 - 4 + 1);
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
        ON_BOTH(test_waiting),
        ON_BOTH(test_what_is_asked_for),
        ON_BOTH(test_many_runs),
        ON_BOTH(test_times),
        ON(retaining_mem, test_retention),
        ON(retaining_sqlite, test_retention),
        ON(bounded_mem, test_size),
        ON(bounded_sqlite, test_size),
        ON(sqlite, test_reopen),
        ON(sqlite, test_reopen_within_a_run),
        ON(retaining_sqlite, test_offsets_outlive_events),
        ON(sqlite, test_upgrade),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
