/* front/conn_test.c: connections with a surface of lines over real TLS on loopback: order,
 * batching, slow and silent and rude peers, tasks, signals, deadlines, drain. */
#include "front/kit_test.h"

#include <pthread.h>
#include <sys/resource.h>

#include "hub/bus.h"

/* ---- the surface ---- */

/* A line is a request:
 *   echo X     answers X at once           work X    answers X from a worker
 *   slow MS    the same, after MS          store X   answers X when the sink has it
 *   big N      N bytes 'x', then "."       watch     answers "signal" at each signal
 *   wait MS    as linger, and is busy till then
 *   linger MS  closes after MS             will X    gives X to the sink at the end
 *   close X    answers X and closes        refuse    a note without a task */
struct line_surface {
    struct surface s;
    char will[64];
    int64_t deadline_ms;
    bool is_in;  /* a call is under way */
    bool is_out; /* work is out */
    bool is_busy;
};

static atomic_int n_closed;
static _Atomic(struct surface *) watcher;

static void answer(struct surface_io *io, struct span text)
{
    buf_add(io->out, text);
    buf_add_u8(io->out, '\n');
}

static void run_line(struct task *t)
{
    struct span *line = t->state;
    struct span rest = *line;
    struct span verb = span_cut(&rest, ' ');
    int64_t ms;

    assert_non_null(t->env.crypto);
    assert_non_null(t->env.certs);
    assert_int_equal(strlen(t->env.tracking_id), GUID_TEXT_LEN);
    if (span_eq(verb, SPAN("slow")) && span_parse_int(rest, &ms)) {
        kit_sleep_ms(ms);
    }
    t->note = (struct access_note){ .surface = "test", .operation = "work", .status = 200 };
}

/* *state: the line, still in the input. */
static struct task *line_task(struct surface_io *io, struct span line)
{
    struct task *t = io->new_task(io);
    struct span *state;

    assert_non_null(t);
    state = ARENA_NEW(&t->arena, struct span);
    *state = line;
    t->state = state;
    t->run = run_line;
    io->task = t;
    return t;
}

static enum surface_step start_store(struct surface_io *io, struct span text)
{
    struct task *t = line_task(io, SPAN_NONE);
    struct span *state = t->state;

    assert_true(err_is_ok(arena_copy(&t->arena, text, state)));
    t->append.event = (struct sink_event){
        .hub = SPAN("hub"), .device_id = SPAN("device"), .properties = SPAN("{}"), .body = *state
    };
    t->note.quiet = true;
    return SURFACE_APPEND;
}

static void add_big(struct surface_io *io, struct span number)
{
    int64_t n = 0;
    uint8_t *at;

    assert_true(span_parse_int(number, &n));
    at = buf_reserve(io->out, (size_t)n);
    if (at != NULL) {
        memset(at, 'x', (size_t)n);
    }
    buf_add_u8(io->out, '.');
}

static enum surface_step on_line(struct line_surface *l, struct surface_io *io, struct span line)
{
    struct span rest = line;
    struct span verb = span_cut(&rest, ' ');
    int64_t ms = 0;

    if (span_eq(verb, SPAN("echo"))) {
        answer(io, rest);
    } else if (span_eq(verb, SPAN("work")) || span_eq(verb, SPAN("slow"))) {
        (void)line_task(io, line);
        l->is_out = true;
        return SURFACE_WORK;
    } else if (span_eq(verb, SPAN("store"))) {
        return start_store(io, rest);
    } else if (span_eq(verb, SPAN("big"))) {
        add_big(io, rest);
    } else if (span_eq(verb, SPAN("watch"))) {
        atomic_store(&watcher, &l->s);
        answer(io, verb);
    } else if (span_eq(verb, SPAN("will"))) {
        memcpy(l->will, rest.data, rest.len);
    } else if ((span_eq(verb, SPAN("linger")) || span_eq(verb, SPAN("wait"))) &&
               span_parse_int(rest, &ms)) {
        l->deadline_ms = io->now_ms + ms;
        l->is_busy = span_eq(verb, SPAN("wait"));
    } else if (span_eq(verb, SPAN("stall")) && span_parse_int(rest, &ms)) {
        kit_sleep_ms(ms); /* the loop is behind */
    } else if (span_eq(verb, SPAN("close"))) {
        answer(io, rest);
        return SURFACE_CLOSE;
    } else if (span_eq(verb, SPAN("refuse"))) {
        io->note(io, &(struct access_note){ .surface = "test", .operation = "refuse" });
    }
    return SURFACE_AGAIN;
}

static void line_init(struct surface *s, int64_t now_ms)
{
    struct line_surface *l = (struct line_surface *)s;

    assert_true(now_ms > 1600000000000);
    l->deadline_ms = INT64_MAX;
}

static void enter(struct line_surface *l)
{
    assert_false(l->is_in);
    assert_false(l->is_out);
    l->is_in = true;
}

static enum surface_step line_step(struct surface *s, struct surface_io *io)
{
    struct line_surface *l = (struct line_surface *)s;
    struct span in = span_of(io->in, io->in_len);
    size_t end = span_find(in, '\n');
    enum surface_step step = SURFACE_IDLE;

    enter(l);
    if (end < in.len) {
        io->consumed = end + 1;
        step = on_line(l, io, span_first(in, end));
    }
    l->is_in = false;
    return step;
}

static enum surface_step line_finish(struct surface *s, struct task *t, struct surface_io *io)
{
    struct line_surface *l = (struct line_surface *)s;
    struct span *line = t->state;
    struct span rest = *line;

    if (t->run != NULL && span_is_absent(t->append.event.hub)) {
        assert_true(l->is_out);
        l->is_out = false;
        (void)span_cut(&rest, ' ');
    } else {
        assert_true(err_is_ok(t->append_result));
    }
    answer(io, rest);
    return SURFACE_AGAIN;
}

static enum surface_step line_on_signal(struct surface *s, unsigned signals, struct surface_io *io)
{
    enter((struct line_surface *)s);
    answer(io, SPAN("signal"));
    ((struct line_surface *)s)->is_in = false;
    return (signals & BUS_CUT_OFF) != 0 ? SURFACE_CLOSE : SURFACE_AGAIN;
}

static int64_t line_deadline(const struct surface *s)
{
    return ((const struct line_surface *)s)->deadline_ms;
}

static enum surface_step line_on_deadline(struct surface *s, struct surface_io *io)
{
    enter((struct line_surface *)s);
    answer(io, SPAN("late"));
    return SURFACE_CLOSE;
}

static enum surface_step line_closed(struct surface *s, struct surface_io *io)
{
    struct line_surface *l = (struct line_surface *)s;

    assert_false(l->is_out);
    (void)atomic_fetch_add(&n_closed, 1);
    if (atomic_load(&watcher) == s) {
        atomic_store(&watcher, NULL);
    }
    return *l->will != '\0' ? start_store(io, span_str(l->will)) : SURFACE_IDLE;
}

static bool line_is_busy(const struct surface *s)
{
    return ((const struct line_surface *)s)->is_busy;
}

static const struct surface_ops lines = { .name = "lines",
                                          .alpn = "lines/1",
                                          .size = sizeof(struct line_surface),
                                          .init = line_init,
                                          .step = line_step,
                                          .finish = line_finish,
                                          .on_signal = line_on_signal,
                                          .deadline = line_deadline,
                                          .on_deadline = line_on_deadline,
                                          .closed = line_closed,
                                          .is_busy = line_is_busy };

static int set_up(void **state)
{
    struct kit *k = calloc(1, sizeof(*k));

    kit_init(k, &lines);
    atomic_store(&n_closed, 0);
    atomic_store(&watcher, NULL);
    *state = k;
    return 0;
}

static int tear_down(void **state)
{
    kit_close(*state);
    free(*state);
    return 0;
}

/* ---- bytes ---- */

static void test_lines(void **state)
{
    struct kit *k = *state;
    struct kit_client c;

    kit_open(k);
    kit_client_open(&c, k);
    kit_say(&c, "echo a\necho b\nwork c\necho d\nwork e\nstore f\n");
    kit_expect(&c, "a\nb\nc\nd\ne\nf\n");
    kit_say(&c, "refuse\nclose g\necho h\n");
    kit_expect(&c, "g\n");
    kit_expect_end(&c, 1000);
    kit_client_close(&c);
    KIT_WAIT_FOR(k->metrics.connections_open == 0);
    KIT_WAIT_FOR(n_closed == 1);
    assert_int_equal(k->accesses, 3); /* two of work, one of refuse; telemetry is quiet */
    assert_int_equal(k->metrics.handshakes_ok, 1);
}

/* What came before the peer's goodbye is answered, however much it is at once. */
static void test_many_lines_and_goodbye(void **state)
{
    enum { LINES = 200 };
    static char asked[LINES * 8], answered[LINES * 4];
    struct kit *k = *state;
    struct kit_client c;

    kit_open(k);
    kit_client_open(&c, k);
    *asked = *answered = '\0';
    for (int i = 0; i < LINES; i++) {
        (void)strcat(asked, "echo a\n");
        (void)strcat(answered, "a\n");
    }
    kit_say(&c, asked);
    assert_true(SSL_shutdown(c.ssl) >= 0);
    kit_expect(&c, answered);
    kit_client_close(&c);
}

static void test_half_lines(void **state)
{
    struct kit *k = *state;
    const char *text = "echo a\nwork bb\nstore ccc\n";
    struct kit_client c;

    kit_open(k);
    kit_client_open(&c, k);
    for (const char *p = text; *p != '\0'; p++) {
        assert_int_equal(SSL_write(c.ssl, p, 1), 1);
    }
    kit_expect(&c, "a\nbb\nccc\n");
    kit_client_close(&c);
}

static void test_many_lines(void **state)
{
    enum { LINES = 3000 };
    struct kit *k = *state;
    static char said[LINES * 16], expected[LINES * 8];
    struct kit_client c;
    size_t n = 0, m = 0;

    for (int i = 0; i < LINES; i++) {
        n += (size_t)sprintf(said + n, "%s %d\n", i % 100 == 7 ? "work" : "echo", i);
        m += (size_t)sprintf(expected + m, "%d\n", i);
    }
    kit_open(k);
    kit_client_open(&c, k);
    kit_say(&c, said);
    kit_expect(&c, expected);
    kit_client_close(&c);
}

static void test_appends_in_order(void **state)
{
    enum { LINES = 500 };
    struct kit *k = *state;
    static char said[LINES * 16], expected[LINES * 8];
    struct kit_client c;
    size_t n = 0, m = 0;

    for (int i = 0; i < LINES; i++) {
        n += (size_t)sprintf(said + n, "store %d\n", i);
        m += (size_t)sprintf(expected + m, "%d\n", i);
    }
    kit_open(k);
    kit_client_open(&c, k);
    kit_say(&c, said);
    kit_expect(&c, expected);
    kit_client_close(&c);
}

static void test_large_input(void **state)
{
    struct kit *k = *state;
    size_t len = LIMIT_INPUT;
    char *text = malloc(len + 1);
    struct kit_client c;

    assert_non_null(text);
    memset(text, 'x', len);
    memcpy(text, "noop ", 5);
    memcpy(text + len - 1, "\n", 2);
    kit_open(k);
    kit_client_open(&c, k);
    kit_say(&c, text);
    kit_say(&c, "echo a\n");
    kit_expect(&c, "a\n");
    text[len - 1] = 'x'; /* no end in sight */
    (void)SSL_write(c.ssl, text, (int)len);
    (void)SSL_write(c.ssl, "x", 1);
    kit_expect_end(&c, 5000);
    kit_client_close(&c);
    free(text);
    kit_client_open(&c, k); /* others are none the worse for it */
    kit_say(&c, "echo a\n");
    kit_expect(&c, "a\n");
    kit_client_close(&c);
}

static void test_slow_reader(void **state)
{
    enum { BIG = 4000000 };
    struct kit *k = *state;
    struct kit_client c;
    size_t got = 0;
    char piece[50000];

    kit_open(k);
    kit_client_open(&c, k);
    kit_say(&c, "big 4000000\necho a\n");
    for (int i = 0; got < BIG + 1; i++) {
        int n = SSL_read(c.ssl, piece, sizeof(piece));

        assert_true(n > 0);
        got += (size_t)n;
        if (i % 20 == 0) {
            kit_sleep_ms(5);
        }
    }
    kit_expect(&c, "a\n");
    kit_client_close(&c);
}

static void test_too_much_output(void **state)
{
    struct kit *k = *state;
    struct kit_client c;

    kit_open(k);
    kit_client_open(&c, k);
    kit_say(&c, "big 9000000\n"); /* beyond LIMIT_OUTPUT */
    kit_expect_end(&c, 5000);
    kit_client_close(&c);
}

/* ---- peers that do not behave ---- */

static void test_garbage(void **state)
{
    static const char *const junk[] = { "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
                                        "\x16\x03\x01\xff\xff", "\x16\x03\x01\x00\x05hello",
                                        "\x10\x20MQTT\x04" };
    struct kit *k = *state;
    struct kit_client c;
    char waste[64];

    k->config.limits.handshake_ms = 300;
    kit_open(k);
    for (size_t i = 0; i < sizeof(junk) / sizeof(junk[0]); i++) {
        int fd = kit_connect_tcp(k);

        assert_true(write(fd, junk[i], strlen(junk[i])) > 0);
        while (read(fd, waste, sizeof(waste)) > 0) {
        }
        (void)close(fd);
    }
    KIT_WAIT_FOR(k->metrics.handshakes_failed == sizeof(junk) / sizeof(junk[0]));
    kit_client_open(&c, k);
    kit_say(&c, "echo a\n");
    kit_expect(&c, "a\n");
    kit_client_close(&c);
}

static void test_hang_up_first(void **state)
{
    struct kit *k = *state;

    kit_open(k);
    for (int i = 0; i < 20; i++) {
        int fd = kit_connect_tcp(k);

        (void)close(fd);
    }
    KIT_WAIT_FOR(k->metrics.connections_accepted == 20);
    KIT_WAIT_FOR(k->metrics.connections_open == 0);
    assert_int_equal(k->metrics.handshakes_ok, 0);
}

/* Silent connections fill all places for handshakes; others get in when the places have been held
 * for long enough, and the silent ones are cut later. */
static void test_silent_peers(void **state)
{
    enum { SILENT = 8 };
    struct kit *k = *state;
    struct kit_client c;
    int fds[SILENT];
    int64_t began_ms = kit_ms();
    char byte;

    k->config.limits.handshakes_per_loop = SILENT;
    k->config.limits.handshake_slot_ms = 200;
    k->config.limits.handshake_ms = 1500;
    kit_open(k);
    for (int i = 0; i < SILENT; i++) {
        fds[i] = kit_connect_tcp(k);
    }
    KIT_WAIT_FOR(k->metrics.handshakes_in_flight == SILENT);
    kit_client_open(&c, k);
    assert_true(kit_ms() - began_ms >= 150);
    assert_true(kit_ms() - began_ms < 1400);
    kit_say(&c, "echo a\n");
    kit_expect(&c, "a\n");
    for (int i = 0; i < SILENT; i++) {
        assert_int_equal(read(fds[i], &byte, 1), 0);
        (void)close(fds[i]);
    }
    assert_int_equal(k->metrics.timeouts, SILENT);
    kit_client_close(&c);
}

/* Beyond the limit on connections one waits until another is closed, and that is said once. */
static void test_full(void **state)
{
    enum { MOST = 3 };
    struct kit *k = *state;
    struct kit_client c[MOST + 1];
    int before;

    k->config.limits.connections = MOST;
    kit_open(k);
    before = k->events;
    for (int i = 0; i < MOST; i++) {
        kit_client_open(&c[i], k);
    }
    kit_client_init(&c[MOST]);
    c[MOST].fd = kit_connect_tcp(k);
    kit_sleep_ms(200);
    assert_int_equal(k->metrics.connections_open, MOST);
    assert_int_equal(k->events, before + 1);
    kit_client_close(&c[0]);
    KIT_WAIT_FOR(k->metrics.connections_accepted == MOST + 1);
    for (int i = 1; i <= MOST; i++) {
        kit_client_close(&c[i]);
    }
}

/* No file may be opened for a while: who is connected is served, who comes then waits, and that is
 * said once. */
static void test_out_of_files(void **state)
{
    struct kit *k = *state;
    struct kit_client c, late;
    struct rlimit all, none;
    int before;

    kit_open(k);
    kit_client_open(&c, k);
    before = k->events;
    kit_client_init(&late);
    late.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
    none = (struct rlimit){ .rlim_cur = (rlim_t)c.fd, .rlim_max = all.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_true(kit_connect_socket(late.fd, k));
    kit_sleep_ms(200);
    kit_say(&c, "work a\n");
    kit_expect(&c, "a\n");
    assert_int_equal(k->metrics.connections_accepted, 1);
    assert_int_equal(k->events, before + 1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
    KIT_WAIT_FOR(k->metrics.connections_accepted == 2);
    kit_client_close(&late);
    kit_client_close(&c);
}

static void test_write_stall(void **state)
{
    struct kit *k = *state;
    struct kit_client c;

    k->config.limits.write_stall_ms = 200;
    kit_open(k);
    kit_client_open(&c, k);
    kit_say(&c, "big 8000000\n");
    KIT_WAIT_FOR(k->metrics.connections_open == 0);
    KIT_WAIT_FOR(n_closed == 1);
    assert_int_equal(k->metrics.timeouts, 1);
    kit_client_close(&c);
}

static void test_deadline(void **state)
{
    struct kit *k = *state;
    struct kit_client c;
    int64_t began_ms = kit_ms();

    kit_open(k);
    kit_client_open(&c, k);
    kit_say(&c, "linger 10000\nlinger 150\n");
    kit_expect(&c, "late\n");
    assert_true(kit_ms() - began_ms >= 150);
    kit_expect_end(&c, 1000);
    kit_client_close(&c);
    assert_int_equal(k->metrics.timeouts, 1);
}

/* Who has spoken in time is not overdue because the loop was busy with others. */
static void test_late_loop(void **state)
{
    struct kit *k = *state;
    struct kit_client busy, talker, newcomer;

    k->config.loops = 1;
    k->config.limits.handshake_ms = 500;
    k->config.limits.handshake_slot_ms = 400;
    kit_open(k);
    kit_client_open(&busy, k);
    kit_client_open(&talker, k);
    kit_client_init(&newcomer);
    newcomer.fd = kit_connect_tcp(k);
    kit_say(&talker, "linger 300\necho a\n");
    kit_expect(&talker, "a\n");
    KIT_WAIT_FOR(k->metrics.handshakes_in_flight == 1);
    kit_say(&busy, "stall 800\n");
    kit_say(&talker, "linger 10000\necho b\n");
    assert_true(kit_client_shake(&newcomer));
    kit_say(&newcomer, "echo c\n");
    kit_expect(&newcomer, "c\n");
    kit_expect(&talker, "b\n");
    assert_int_equal(k->metrics.timeouts, 0);
    kit_client_close(&busy);
    kit_client_close(&talker);
    kit_client_close(&newcomer);
}

/* ---- tasks and signals ---- */

static void test_peer_gone_while_working(void **state)
{
    struct kit *k = *state;
    struct sink_reading r;
    const struct sink_query all = { .hub = SPAN("hub"), .max_events = 10, .max_bytes = 1000 };
    static uint8_t block[65536];
    struct kit_client c;
    struct arena arena;

    kit_open(k);
    kit_client_open(&c, k);
    kit_say(&c, "will bequest\nstore a\nslow 150\n");
    kit_expect(&c, "a\n");
    kit_client_close(&c); /* resets: there is unread input */
    KIT_WAIT_FOR(n_closed == 1);
    KIT_WAIT_FOR(k->metrics.tasks_in_flight == 0);
    arena_init(&arena, block, sizeof(block));
    assert_true(err_is_ok(sink_read(k->service.sink, &all, &arena, &r)));
    assert_int_equal(r.n, 2);
    assert_true(span_eq(r.events[1].body, SPAN("bequest")));
}

static void *tell_often(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++) {
        struct surface *s = atomic_load(&watcher);

        s->tell(s, BUS_EVENTS);
    }
    return NULL;
}

static void test_signals(void **state)
{
    struct kit *k = *state;
    struct kit_client c;
    pthread_t thread;
    struct surface *s;

    kit_open(k);
    kit_client_open(&c, k);
    kit_say(&c, "watch\n");
    kit_expect(&c, "watch\n");
    s = atomic_load(&watcher);
    s->tell(s, BUS_EVENTS);
    kit_expect(&c, "signal\n");
    kit_say(&c, "slow 50\n"); /* while work is out they wait for it */
    kit_sleep_ms(20);
    s->tell(s, BUS_EVENTS);
    s->tell(s, BUS_EVENTS);
    kit_expect(&c, "50\nsignal\n");
    assert_int_equal(pthread_create(&thread, NULL, tell_often, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    s->tell(s, BUS_CUT_OFF);
    kit_expect(&c, "signal\n");
    while (SSL_read(c.ssl, (char[64]){ 0 }, 64) > 0) {
    }
    kit_client_close(&c);
    KIT_WAIT_FOR(n_closed == 1);
}

struct crowd {
    const struct kit *kit;
    atomic_int n_done;
};

static void *crowd_run(void *arg)
{
    struct crowd *crowd = arg;

    for (int i = 0; i < 10; i++) {
        struct kit_client c;

        kit_client_open(&c, crowd->kit);
        kit_say(&c, "work a\necho b\nstore c\n");
        kit_expect(&c, "a\nb\nc\n");
        kit_client_close(&c);
        (void)atomic_fetch_add(&crowd->n_done, 1);
    }
    return NULL;
}

static void test_crowd(void **state)
{
    enum { THREADS = 8 };
    struct kit *k = *state;
    struct crowd crowd = { .kit = k };
    pthread_t threads[THREADS];

    k->config.loops = 3;
    k->config.workers = 4;
    k->config.limits.handshakes_per_loop = 2;
    kit_open(k);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, crowd_run, &crowd), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(crowd.n_done, THREADS * 10);
}

/* ---- the end ---- */

static void test_drain(void **state)
{
    struct kit *k = *state;
    struct kit_client idle, busy, stuck, waits;

    k->config.limits.drain_ms = 2000;
    kit_open(k);
    kit_client_open(&idle, k);
    kit_client_open(&busy, k);
    kit_client_open(&stuck, k);
    kit_client_open(&waits, k);
    kit_say(&waits, "wait 400\n");
    kit_say(&idle, "echo a\n");
    kit_expect(&idle, "a\n");
    kit_say(&busy, "slow 200\n");
    kit_say(&stuck, "half a li");
    kit_sleep_ms(50);
    assert_false(front_is_draining());
    front_drain(k->front);
    assert_true(front_is_draining());
    kit_expect_end(&idle, 1000);
    assert_int_equal(kit_connect_tcp(k), -1);
    kit_expect(&busy, "200\n");
    kit_expect_end(&busy, 1000);
    kit_expect(&waits, "late\n");
    kit_expect_end(&waits, 1000);
    kit_expect_end(&stuck, 4000);
    assert_true(err_is_ok(front_join(k->front)));
    assert_int_equal(n_closed, 4);
    kit_client_close(&idle);
    kit_client_close(&busy);
    kit_client_close(&stuck);
    kit_client_close(&waits);
}

static void test_port_in_use(void **state)
{
    struct kit *k = *state;
    struct front_endpoint endpoint = k->endpoint;
    struct front_config config = k->config;
    struct front *second = NULL;

    kit_open(k);
    endpoint.port = k->port;
    config.endpoints = &endpoint;
    assert_true(err_is(front_open(&config, &second), ERR_EXISTS));
    assert_non_null(strstr(err_detail(), "in use"));
    assert_non_null(strstr(err_detail(), "--https-port 8443"));
    endpoint.address = "localhost";
    assert_true(err_is(front_open(&config, &second), ERR_MALFORMED));
    endpoint.address = "203.0.113.1";
    assert_true(err_is(front_open(&config, &second), ERR_MALFORMED));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_lines),
        TEST(test_half_lines),
        TEST(test_many_lines),
        TEST(test_many_lines_and_goodbye),
        TEST(test_appends_in_order),
        TEST(test_large_input),
        TEST(test_slow_reader),
        TEST(test_too_much_output),
        TEST(test_garbage),
        TEST(test_hang_up_first),
        TEST(test_silent_peers),
        TEST(test_full),
        TEST(test_out_of_files),
        TEST(test_write_stall),
        TEST(test_deadline),
        TEST(test_late_loop),
        TEST(test_peer_gone_while_working),
        TEST(test_signals),
        TEST(test_crowd),
        TEST(test_drain),
        TEST(test_port_in_use),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
