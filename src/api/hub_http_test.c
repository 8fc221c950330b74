/* api/hub_http_test.c: a hub's events as a stream. */
#include "api/http_wire_test.h"

#define V "?api-version=2021-04-12"

static struct wire_reply ask(const char *method, const char *target, const char *headers,
                             const char *body)
{
    return wire_ask_as(&w, POLICY_OF_HUB, method, target, headers, body);
}

static void on_done(struct sink_append *a, err result)
{
    assert_true(err_is_ok(result));
    *(atomic_bool *)(void *)(a + 1) = true;
}

/* Appends and waits; then signals as the sink's listener does. */
static void append_as(enum sink_source source, const char *hub, const char *device_id,
                      struct span body)
{
    struct {
        struct sink_append append;
        atomic_bool is_done;
    } a = { .append = { .event = { .hub = span_str(hub),
                                   .device_id = span_str(device_id),
                                   .source = source,
                                   .enqueued_ms = w.now_ms,
                                   .properties = SPAN("{\"system\":{\"message-id\":\"m\"},"
                                                      "\"application\":{\"k\":\"v\"}}"),
                                   .body = body },
                        .done = on_done } };

    assert_true(err_is_ok(sink_append(w.service.sink, &a.append)));
    while (!atomic_load(&a.is_done)) {
    }
    wire_now = &w;
    bus_events(w.service.bus);
    wire_signal(&w);
}

static void append(const char *hub, const char *device_id, struct span body)
{
    append_as(SINK_TELEMETRY, hub, device_id, body);
}

/* Takes one chunk off the wire; NULL when there is none. */
static char *take_chunk(void)
{
    static char chunk[2 * 1024 * 1024];
    char *data;
    unsigned long len;

    if (w.out.len == 0) {
        return NULL;
    }
    w.out.data[w.out.len] = '\0';
    len = strtoul((char *)w.out.data, &data, 16);
    assert_int_equal(strncmp(data, "\r\n", 2), 0);
    data += 2;
    assert_true(len > 0 && len < sizeof(chunk));
    memcpy(chunk, data, len);
    chunk[len] = '\0';
    assert_int_equal(strncmp(data + len, "\r\n", 2), 0);
    buf_consume(&w.out, (size_t)(data + len + 2 - (char *)w.out.data));
    return chunk;
}

static void open_stream(const char *target, const char *headers)
{
    struct wire_reply r;

    wire_disconnect(&w);
    wire_connect(&w);
    r = ask("GET", target, headers, "");
    assert_int_equal(r.status, 200);
    assert_string_equal(wire_header(&r, "Content-Type"), "text/event-stream");
    assert_string_equal(wire_header(&r, "Transfer-Encoding"), "chunked");
    assert_null(wire_header(&r, "Content-Length"));
    wire_pump(&w);
}

static void test_events_arrive_as_they_come(void **state)
{
    char *chunk;
    size_t n_tasks;

    (void)state;
    append(WIRE_HUB_HOST, "d1", SPAN("before"));
    open_stream("/messages/events", "");
    assert_null(take_chunk());
    append(WIRE_HUB_HOST, "d1", SPAN("hot \"1\"\n"));
    chunk = take_chunk();
    assert_non_null(chunk);
    assert_string_equal(chunk, "id: 2\nevent: telemetry\ndata: {\"offset\":2,\"partition\":3,"
                               "\"sequenceNumber\":1,\"deviceId\":\"d1\","
                               "\"enqueuedTimeUtc\":\"2030-03-17T17:46:40.0000000Z\","
                               "\"systemProperties\":{\"message-id\":\"m\"},"
                               "\"applicationProperties\":{\"k\":\"v\"},"
                               "\"body\":\"hot \\\"1\\\"\\n\"}\n\n");
    assert_null(take_chunk());
    append(WIRE_HUB_HOST, "d1", SPAN("\xff\x00"));
    assert_non_null(strstr(take_chunk(), "\"bodyBase64\":\"/wA=\"}"));
    append("other.hub", "d1", SPAN("not ours"));
    assert_null(take_chunk());
    /* What the client sends meanwhile is passed over. */
    wire_send(&w, SPAN("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_null(take_chunk());
    assert_int_equal(w.in_len, 0);
    /* Silence. */
    wire_pass_ms(&w, LIMIT_STREAM_HEARTBEAT_MS - 1);
    assert_null(take_chunk());
    wire_pass_ms(&w, 1);
    assert_string_equal(take_chunk(), "id: 4\n:\n\n"); /* the other hub's is behind us */
    wire_pass_ms(&w, LIMIT_STREAM_HEARTBEAT_MS);
    assert_string_equal(take_chunk(), ":\n\n");
    /* A reader that takes nothing holds up nobody, and is asked no page. */
    append(WIRE_HUB_HOST, "d1", SPAN("one"));
    n_tasks = w.n_tasks;
    append(WIRE_HUB_HOST, "d1", SPAN("two"));
    append(WIRE_HUB_HOST, "d1", SPAN("three"));
    assert_int_equal(w.n_tasks, n_tasks);
    assert_non_null(strstr(take_chunk(), "\"body\":\"one\""));
    wire_pump(&w);
    chunk = take_chunk();
    assert_non_null(strstr(chunk, "\"body\":\"two\""));
    assert_non_null(strstr(chunk, "\"body\":\"three\""));
    /* Gone: no signal reaches it any more. */
    wire_disconnect(&w);
    w.told = 0;
    bus_events(w.service.bus);
    assert_int_equal(w.told, 0);
    wire_connect(&w);
}

/* The token of wire_ask is good for an hour. */
static void test_a_stream_ends_with_its_token(void **state)
{
    int64_t begun_ms = w.now_ms;

    (void)state;
    open_stream("/messages/events", "");
    while (!w.is_closed && w.now_ms < begun_ms + 2 * 3600 * 1000) {
        wire_pass_ms(&w, LIMIT_STREAM_HEARTBEAT_MS);
        if (!w.is_closed) {
            assert_non_null(strstr(take_chunk(), ":\n\n"));
        }
    }
    assert_int_equal(w.now_ms - begun_ms, 3600 * 1000);
    assert_int_equal(w.out.len, 5);
    assert_memory_equal(w.out.data, "0\r\n\r\n", 5); /* whole: there is no more of it */
    wire_disconnect(&w);
    wire_connect(&w);
}

static void test_where_a_stream_begins(void **state)
{
    static const struct {
        const char *target, *headers;
        const char *first; /* body, or NULL */
    } cases[] = {
        { "/messages/events?from=start", "", "\"1\"" },
        { "/messages/events?from=now", "", NULL },
        { "/messages/events?from=1", "", "\"2\"" },
        { "/messages/events?from=start", "Last-Event-ID: 2\r\n", "\"3\"" },
        { "/messages/events?from=99", "", NULL },
        { "/messages/events?from=start&device=d2", "", "\"2\"" },
        { "/messages/events?from=start&device=d3", "", NULL },
        { "/messages/events?from=start&partition=3", "", "\"1\"" },
        { "/messages/events?from=start&partition=1", "", NULL },
        { "/messages/events?from=2030-03-17T17:46:40Z", "", "\"1\"" },
        { "/messages/events?from=2030-03-17T17:46:41Z", "", NULL },
        { "/messages/events?from=start&source=twinChangeEvents", "", "\"t\"" },
        { "/messages/events?from=1&source=deviceLifecycleEvents,Telemetry", "", "\"2\"" },
        { "/messages/events?from=3&source=all", "", "\"t\"" },
        { "/messages/events?from=3", "", NULL },
    };
    static const char *const bad[] = {
        "/messages/events?from=yesterday",      "/messages/events?source=weather",
        "/messages/events?source=telemetry,,x", "/messages/events?partition=4",
        "/messages/events?partition=-1",
    };
    struct wire_reply r;

    (void)state;
    append(WIRE_HUB_HOST, "d1", SPAN("1"));
    append(WIRE_HUB_HOST, "d2", SPAN("2"));
    append(WIRE_HUB_HOST, "d1", SPAN("3"));
    append_as(SINK_TWIN_CHANGE, WIRE_HUB_HOST, "d1", SPAN("t"));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *chunk, *body;

        print_message("%s %s\n", cases[i].target, cases[i].headers);
        open_stream(cases[i].target, cases[i].headers);
        chunk = take_chunk();
        assert_true((chunk == NULL) == (cases[i].first == NULL));
        if (chunk != NULL) {
            body = strstr(chunk, "\"body\":");
            assert_non_null(body);
            assert_int_equal(strncmp(body + strlen("\"body\":"), cases[i].first, 3), 0);
        }
    }
    wire_disconnect(&w);
    wire_connect(&w);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        r = ask("GET", bad[i], "", "");
        assert_int_equal(r.status, 400);
    }
}

/* Retention does not wait for readers; they are told. */
static void test_a_gap_is_told(void **state)
{
    static const char told[] =
        "id: 3\nevent: gap\ndata: {\"after\":2,\"droppedTo\":3}\n\nid: 4\nevent: telemetry";
    const struct sink_config config = { .retention_ms = 1000 };

    (void)state;
    sink_close(w.service.sink);
    assert_true(err_is_ok(sink_mem_open_with(&config, &w.service.sink)));
    append(WIRE_HUB_HOST, "d1", SPAN("1"));
    append(WIRE_HUB_HOST, "d1", SPAN("2"));
    append(WIRE_HUB_HOST, "d1", SPAN("3"));
    wire_pass_ms(&w, 2000);
    for (int i = 0; i < 4; i++) {
        append(WIRE_HUB_HOST, "d1", SPAN("new"));
    }
    open_stream("/messages/events", "Last-Event-ID: 2\r\n");
    assert_int_equal(strncmp(take_chunk(), told, sizeof(told) - 1), 0);
    open_stream("/messages/events", "Last-Event-ID: 3\r\n");
    assert_null(strstr(take_chunk(), "event: gap"));
    open_stream("/messages/events?from=start", ""); /* asks for what there is */
    assert_null(strstr(take_chunk(), "event: gap"));
}

static void test_a_long_log_comes_in_pages(void **state)
{
    static char body[200 * 1024];
    size_t seen = 0;
    char *chunk;

    (void)state;
    memset(body, 1, sizeof(body)); /* six characters each in JSON */
    for (int i = 0; i < 8; i++) {
        append(WIRE_HUB_HOST, "d1", span_of(body, sizeof(body)));
    }
    for (int i = 0; i < LIMIT_EVENTS_PAGE + 50; i++) {
        append(WIRE_HUB_HOST, "d1", SPAN("x"));
    }
    open_stream("/messages/events?from=start", "");
    while ((chunk = take_chunk()) != NULL) {
        for (const char *at = chunk; (at = strstr(at, "event: telemetry")) != NULL; at++) {
            seen++;
        }
        wire_pump(&w);
    }
    assert_int_equal(seen, 8 + LIMIT_EVENTS_PAGE + 50);
}

static void test_no_room_for_a_page_is_tried_again(void **state)
{
    (void)state;
    open_stream("/messages/events", "");
    w.is_full = true;
    append(WIRE_HUB_HOST, "d1", SPAN("x"));
    assert_null(take_chunk());
    w.is_full = false;
    wire_pass_ms(&w, 1000);
    assert_non_null(strstr(take_chunk(), "\"body\":\"x\""));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, wire_set_up, wire_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_events_arrive_as_they_come), TEST(test_a_stream_ends_with_its_token),
        TEST(test_where_a_stream_begins),      TEST(test_a_gap_is_told),
        TEST(test_a_long_log_comes_in_pages),  TEST(test_no_room_for_a_page_is_tried_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
