/* proto/http1/http1_conn_test.c: requests whole and in pieces, what must be refused and with which
 * status, deadlines, replies. */
#include "proto/http1/conn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define HOST     "Host: h\r\n"

enum { ROOM = 4096 };

static const struct http1_limits limits = {
    .head_max = 256,
    .body_max = 64,
    .request_within_ms = 5000,
    .idle_max_ms = 60000,
};

/* A connection and the bytes it has not consumed. */
struct fixture {
    struct http1_conn conn;
    uint8_t in[ROOM];
    size_t len;
    struct http1_request request;
    size_t consumed;
    int status;
};

static void begin(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    http1_conn_init(&f->conn, &limits, 0);
}

static enum http1_event feed(struct fixture *f, struct span bytes, int64_t now_ms)
{
    assert_true(f->len + bytes.len <= ROOM);
    memcpy(f->in + f->len, bytes.data, bytes.len);
    f->len += bytes.len;
    return http1_conn_next(&f->conn, f->in, f->len, now_ms, &f->request, &f->consumed, &f->status);
}

static void drop(struct fixture *f)
{
    memmove(f->in, f->in + f->consumed, f->len - f->consumed);
    f->len -= f->consumed;
}

static const char chunked[] = "POST /a/b?x=1 HTTP/1.1\r\n" HOST
                              "Transfer-Encoding: Chunked\r\nX-Empty:\r\nX-Space: \t v w \t\r\n\r\n"
                              "3\r\nabc\r\n00A;ext=\"1\"\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n";

static void assert_chunked_request(const struct http1_request *r)
{
    assert_true(span_eq(r->method, SPAN("POST")));
    assert_true(span_eq(r->target, SPAN("/a/b?x=1")));
    assert_true(span_eq(r->path, SPAN("/a/b")));
    assert_true(span_eq(r->query, SPAN("x=1")));
    assert_true(span_eq(r->body, SPAN("abc0123456789")));
    assert_true(r->keep_alive);
    assert_int_equal(r->n_headers, 4);
    assert_true(span_eq(http1_request_header(r, SPAN("hOST")), SPAN("h")));
    assert_true(span_eq(http1_request_header(r, SPAN("x-space")), SPAN("v w")));
    assert_false(span_is_absent(http1_request_header(r, SPAN("x-empty"))));
    assert_true(span_is_absent(http1_request_header(r, SPAN("trailer"))));
    assert_true(span_is_absent(http1_request_header(r, SPAN("x-spac"))));
}

static void reads_a_request(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    assert_int_equal(feed(&f, span_str(chunked), 0), HTTP1_REQUEST);
    assert_int_equal(f.consumed, f.len);
    assert_chunked_request(&f.request);
}

/* Cut in two at every place, and in pieces of every size: the same request, and not before its end.
 */
static void reads_a_request_in_pieces(void **state)
{
    const struct span all = span_str(chunked);

    (void)state;
    for (size_t size = 1; size < all.len; size++) {
        struct fixture f;

        begin(&f);
        for (size_t at = 0; at < all.len; at += size) {
            bool is_last = at + size >= all.len;
            enum http1_event event = feed(&f, span_first(span_from(all, at), size), 0);

            assert_int_equal(event, is_last ? HTTP1_REQUEST : HTTP1_MORE);
        }
        assert_int_equal(f.consumed, all.len);
        assert_chunked_request(&f.request);
    }
}

static void the_input_may_move(void **state)
{
    const struct span all = span_str(chunked);
    static uint8_t places[2][ROOM];
    struct http1_conn c;
    struct http1_request r;
    size_t consumed;
    int status;

    (void)state;
    http1_conn_init(&c, &limits, 0);
    for (size_t len = 1; len <= all.len; len++) {
        uint8_t *here = places[len % 2], *before = places[(len + 1) % 2];

        memcpy(here, before, len - 1);
        memset(before, 0xaa, ROOM);
        here[len - 1] = all.data[len - 1];
        assert_int_equal(http1_conn_next(&c, here, len, 0, &r, &consumed, &status),
                         len == all.len ? HTTP1_REQUEST : HTTP1_MORE);
    }
    assert_chunked_request(&r);
}

static void pipelined_requests(void **state)
{
    static const struct {
        const char *method, *body;
    } want[] = { { "PUT", "hello" }, { "GET", "" }, { "POST", "x" }, { "M-SEARCH", "" } };
    struct span all =
        SPAN("PUT /1 HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"
             "\r\nGET /2 HTTP/1.1\r\n" HOST "\r\n"
             "POST /3 HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
             "M-SEARCH * HTTP/1.1\r\n" HOST "\r\n");
    struct fixture f;

    (void)state;
    begin(&f);
    for (size_t i = 0; i < COUNT(want); i++) {
        assert_int_equal(feed(&f, i == 0 ? all : SPAN(""), 0), HTTP1_REQUEST);
        assert_true(span_eq(f.request.method, span_str(want[i].method)));
        assert_true(span_eq(f.request.body, span_str(want[i].body)));
        drop(&f);
    }
    assert_int_equal(f.len, 0);
    assert_int_equal(feed(&f, SPAN(""), 0), HTTP1_MORE);
}

static void refuses(void **state)
{
    static const struct {
        int status;
        const char *in;
    } cases[] = {
        { 400, "\x16\x03\x01" }, /* a TLS hello, at its first byte */
        { 400, " GET / HTTP/1.1\r\n" HOST "\r\n" },
        { 400, "GET / HTTP/1.1\n" },
        { 400, "GET / HTTP/1.1\r\nHost: h\n" },
        { 400, "\rGET / HTTP/1.1\r\n" HOST "\r\n" },
        { 400, "GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\n" HOST "\rX\r\n\r\n" },
        { 400, "GET /\r\n" HOST "\r\n" },
        { 400, "GET / HTTP/0.9\r\n" HOST "\r\n" },
        { 400, "GET / HTTP/1\r\n" HOST "\r\n" },
        { 400, "GET / HTTP/11.1\r\n" HOST "\r\n" },
        { 400, "GET / ICY/1.1\r\n" HOST "\r\n" },
        { 400, "GET  HTTP/1.1\r\n" HOST "\r\n" },
        { 400, "GET /a b HTTP/1.1\r\n" HOST "\r\n" },
        { 400, "GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n" },
        { 400, "GET / HTTP/1.1\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\n" HOST HOST "\r\n" },
        { 400, "GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n" },
        { 400, "GET / HTTP/1.1\r\n" HOST "X:\r\n\tb\r\n" },
        { 400, "GET / HTTP/1.1\r\n" HOST "X Y: a\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\n" HOST "X : a\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\n" HOST "X\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\n" HOST ": a\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\n" HOST "X: \x01\r\n\r\n" },
        { 400, "PUT / HTTP/1.1\r\n" HOST "Content-Length : 1\r\n\r\n" },
        { 400, "PUT / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n" },
        { 400, "PUT / HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\n" },
        { 400, "PUT / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n" },
        { 400, "PUT / HTTP/1.1\r\n" HOST "Content-Length: 1 2\r\n\r\n" },
        { 400, "PUT / HTTP/1.1\r\n" HOST "Content-Length: 1,1\r\n\r\n" },
        { 400, "PUT / HTTP/1.1\r\n" HOST "Content-Length: 0x1\r\n\r\n" },
        { 400, "PUT / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\n" },
        { 400, "PUT / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n" },
        { 400,
          "PUT / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n" },
        { 400,
          "PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n" },
        { 400, "PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" },
        { 413, "PUT / HTTP/1.1\r\n" HOST "Content-Length: 65\r\n\r\n" },
        { 501, "BREW / HTTP/1.1\r\n" HOST "\r\n" },
        { 501, "GETX / HTTP/1.1\r\n" HOST "\r\n" },
        { 501, "get / HTTP/1.1\r\n" HOST "\r\n" },
        { 501, "PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n" },
        { 501, "PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n" },
        { 501, "PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, chunked\r\n\r\n" },
        { 501, "PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n" },
        { 501, "PUT / HTTP/1.1\r\n" HOST
               "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" },
        { 505, "GET / HTTP/2.0\r\n" HOST "\r\n" },
        { 505, "GET / HTTP/3.1\r\n" HOST "\r\n" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct fixture f;
        enum http1_event event;

        begin(&f);
        event = feed(&f, span_str(cases[i].in), 0);
        if (event != HTTP1_VIOLATION || f.status != cases[i].status) {
            fail_msg("%d %d: %s", event, f.status, cases[i].in);
        }
        assert_int_equal(feed(&f, SPAN("GET / HTTP/1.1\r\n"), 0), HTTP1_VIOLATION);
        assert_int_equal(f.status, cases[i].status);
    }
}

static void refuses_chunks(void **state)
{
    static const struct {
        int status;
        const char *body;
    } cases[] = {
        { 400, "\r\n" },
        { 400, "x" },
        { 400, ";a\r\n" },
        { 400, " 3\r\n" },
        { 400, "-1\r\n" },
        { 400, "3x\r\n" },
        { 400, "3\n" },
        { 400, "3\rx" },
        { 400, "3;a\nb" },
        { 400, "3;\x01" },
        { 400, "3\r\nabcd" }, /* longer than it said */
        { 400, "3\r\nabc\n" },
        { 400, "3\r\nabc\rx" },
        { 400, "3\r\nabcXX0\r\n\r\n" },
        { 400, "0\r\n\n" },
        { 400, "0\r\n\rx" },
        { 400, "0\r\nA: b\n" },
        { 400, "0\r\nA: b\rx" },
        { 413, "41" },
        { 413, "fffffffffffffffff" },
        { 413, "10000000000000000" },
        /* framing counts too: here 65 bytes are sent for little data */
        { 413, "1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" },
        { 413, "1\r\nx\r\n1\r\nx\r\n1\r\nx\r\n1\r\nx\r\n1\r\nx\r\n1\r\nx\r\n1\r\nx\r\n1\r\nx\r\n"
               "1\r\nx\r\n1\r\nx\r\n0\r\n\r\n" },
    };
    static const char head[] = "PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n";

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct fixture f;
        enum http1_event event;

        begin(&f);
        assert_int_equal(feed(&f, span_str(head), 0), HTTP1_MORE);
        event = feed(&f, span_str(cases[i].body), 0);
        if (event != HTTP1_VIOLATION || f.status != cases[i].status) {
            fail_msg("%d %d: %s", event, f.status, cases[i].body);
        }
    }
}

static void limits_are_exact(void **state)
{
    static const char fixed[] = "GET / HTTP/1.1\r\n" HOST "X: \r\n\r\n";
    static const char put[] = "PUT / HTTP/1.1\r\n" HOST "Content-Length: 64\r\n\r\n";
    uint8_t head[ROOM], body[64] = { 0 };
    struct fixture f;

    (void)state;
    for (size_t len = 255; len <= 257; len++) {
        struct buf b = buf_over(head, sizeof(head));

        begin(&f);
        buf_printf(&b, "GET / HTTP/1.1\r\n" HOST "X: %0*d\r\n\r\n", (int)(len + 1 - sizeof(fixed)),
                   0);
        assert_int_equal(b.len, len);
        assert_int_equal(feed(&f, buf_span(&b), 0), len <= 256 ? HTTP1_REQUEST : HTTP1_VIOLATION);
        assert_int_equal(f.status, len <= 256 ? 0 : 431);
    }
    begin(&f);
    assert_int_equal(feed(&f, span_str(put), 0), HTTP1_MORE);
    assert_int_equal(feed(&f, span_of(body, 63), 0), HTTP1_MORE);
    assert_int_equal(feed(&f, span_of(body, 1), 0), HTTP1_REQUEST);
    assert_int_equal(f.request.body.len, 64);
}

static void too_many_headers(void **state)
{
    static const struct http1_limits wide = { 4096, 64, 5000, 60000 };

    (void)state;
    for (size_t n = HTTP1_HEADERS_MAX; n <= HTTP1_HEADERS_MAX + 1; n++) {
        struct fixture f;
        uint8_t head[ROOM];
        struct buf b = buf_over(head, sizeof(head));

        begin(&f);
        http1_conn_init(&f.conn, &wide, 0);
        buf_add_str(&b, "GET / HTTP/1.1\r\n" HOST);
        for (size_t i = 1; i < n; i++) {
            buf_printf(&b, "H%zu: v\r\n", i);
        }
        buf_add_str(&b, "\r\n");
        assert_int_equal(feed(&f, buf_span(&b), 0),
                         n == HTTP1_HEADERS_MAX ? HTTP1_REQUEST : HTTP1_VIOLATION);
        assert_int_equal(f.status, n == HTTP1_HEADERS_MAX ? 0 : 431);
    }
}

static void keep_alive(void **state)
{
    static const struct {
        const char *in;
        bool keep_alive;
    } cases[] = {
        { "GET / HTTP/1.1\r\n" HOST "\r\n", true },
        { "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", false },
        { "GET / HTTP/1.1\r\n" HOST "Connection: keep-alive, Close\r\n\r\n", false },
        { "GET / HTTP/1.0\r\n\r\n", false },
        { "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct fixture f;

        begin(&f);
        assert_int_equal(feed(&f, span_str(cases[i].in), 0), HTTP1_REQUEST);
        assert_int_equal(f.request.keep_alive, cases[i].keep_alive);
    }
}

static void upgrades_are_ordinary_requests(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    assert_int_equal(feed(&f,
                          SPAN("GET /$iothub/websocket HTTP/1.1\r\n" HOST
                               "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x80"),
                          0),
                     HTTP1_REQUEST);
    assert_true(span_eq(http1_request_header(&f.request, SPAN("upgrade")), SPAN("websocket")));
    assert_int_equal(f.consumed, f.len - 2); /* what follows is the next protocol's */
}

static void asks_to_continue_once(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    assert_int_equal(feed(&f,
                          SPAN("PUT / HTTP/1.1\r\n" HOST "Expect: 100-Continue\r\n"
                               "Content-Length: 2\r\n"),
                          0),
                     HTTP1_MORE);
    assert_false(http1_conn_wants_continue(&f.conn));
    assert_int_equal(feed(&f, SPAN("\r\n"), 0), HTTP1_MORE);
    assert_true(http1_conn_wants_continue(&f.conn));
    assert_false(http1_conn_wants_continue(&f.conn));
    assert_int_equal(feed(&f, SPAN("x"), 0), HTTP1_MORE);
    assert_false(http1_conn_wants_continue(&f.conn));
    assert_int_equal(feed(&f, SPAN("y"), 0), HTTP1_REQUEST);
    assert_true(span_eq(f.request.body, SPAN("xy")));
    assert_false(http1_conn_wants_continue(&f.conn));
}

static void targets(void **state)
{
    static const struct {
        const char *target, *path, *query;
    } cases[] = {
        { "/", "/", NULL },
        { "/a?", "/a", "" },
        { "/a?b?c", "/a", "b?c" },
        { "*", "*", NULL },
        { "http://h:1/a%20b?c", "/a%20b", "c" },
        { "HTTPS://h", "/", NULL },
        { "http://h?c", "/", "c" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct fixture f;
        uint8_t head[256];
        struct buf b = buf_over(head, sizeof(head));

        begin(&f);
        buf_printf(&b, "OPTIONS %s HTTP/1.1\r\n" HOST "\r\n", cases[i].target);
        assert_int_equal(feed(&f, buf_span(&b), 0), HTTP1_REQUEST);
        assert_true(span_eq(f.request.target, span_str(cases[i].target)));
        assert_true(span_eq(f.request.path, span_str(cases[i].path)));
        assert_true(span_eq(f.request.query, span_str(cases[i].query)));
        assert_int_equal(span_is_absent(f.request.query), cases[i].query == NULL);
    }
}

static void query_parameters(void **state)
{
    static const struct {
        const char *query, *name, *value; /* value NULL: not found */
    } cases[] = {
        { "api-version=2021-06-01", "api-version", "2021-06-01" },
        { "a=1&API-Version=2&api-version=3", "api-version", "2" },
        { "a=%2Fb+c%20d", "a", "/b+c d" },
        { "%24top=5", "$top", "5" },
        { "a=b=c", "a", "b=c" },
        { "a", "a", "" },
        { "&&a=1", "a", "1" },
        { "ab=1", "a", NULL },
        { "a=%zz", "a", NULL },
        { "%zz=1", "a", NULL },
        { "a=0123456789", "a", NULL }, /* no room */
        { "", "a", NULL },
        { NULL, "a", NULL },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct http1_request r = { .query = span_str(cases[i].query) };
        uint8_t room[10];
        struct buf out = buf_over(room, sizeof(room));
        bool found;

        if (cases[i].value == NULL) {
            out.cap = 8;
        }
        found = http1_request_query(&r, span_str(cases[i].name), &out);
        assert_int_equal(found, cases[i].value != NULL);
        assert_true(span_eq(buf_span(&out), span_str(cases[i].value)));
        assert_false(out.failed);
    }
}

static void deadlines(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    assert_int_equal(http1_conn_deadline(&f.conn), 60000);
    assert_int_equal(feed(&f, SPAN(""), 10), HTTP1_MORE);
    assert_int_equal(http1_conn_deadline(&f.conn), 60000);
    assert_int_equal(feed(&f, SPAN("G"), 1000), HTTP1_MORE);
    assert_int_equal(http1_conn_deadline(&f.conn), 6000);
    assert_int_equal(feed(&f, SPAN("ET / HTTP/1.1\r\n"), 5000), HTTP1_MORE);
    assert_int_equal(http1_conn_deadline(&f.conn), 6000); /* bytes buy no time */
    assert_int_equal(feed(&f, SPAN(HOST "\r\n"), 5500), HTTP1_REQUEST);
    assert_int_equal(http1_conn_deadline(&f.conn), 65500);
}

static void assert_reply(const struct http1_reply *r, const char *want)
{
    uint8_t room[512];
    struct buf b = buf_over(room, sizeof(room));

    http1_conn_reply(r, &b);
    assert_true(err_is_ok(buf_ok(&b)));
    assert_true(span_eq(buf_span(&b), span_str(want)));
}

static void replies(void **state)
{
    const struct http1_header headers[] = { { SPAN("Retry-After"), SPAN("3") } };
    const struct http1_header bad[] = { { SPAN("A"), SPAN("b\r\nC: d") } };
    uint8_t room[512];
    struct buf b = buf_over(room, sizeof(room));

    (void)state;
    assert_reply(&(struct http1_reply){ 202, headers, 1, SPAN("{}"), false, false },
                 "HTTP/1.1 202 Accepted\r\nRetry-After: 3\r\nContent-Length: 2\r\n\r\n{}");
    assert_reply(&(struct http1_reply){ .status = 400, .close = true },
                 "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    assert_reply(&(struct http1_reply){ .status = 200, .body = SPAN("{}"), .to_head = true },
                 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
    assert_reply(&(struct http1_reply){ .status = 204, .body = SPAN("{}") },
                 "HTTP/1.1 204 No Content\r\n\r\n");
    assert_reply(&(struct http1_reply){ .status = 100 }, "HTTP/1.1 100 Continue\r\n\r\n");
    http1_conn_reply(&(struct http1_reply){ .status = 200, .headers = bad, .n_headers = 1 }, &b);
    assert_true(b.failed);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_request),
        cmocka_unit_test(reads_a_request_in_pieces),
        cmocka_unit_test(the_input_may_move),
        cmocka_unit_test(pipelined_requests),
        cmocka_unit_test(refuses),
        cmocka_unit_test(refuses_chunks),
        cmocka_unit_test(limits_are_exact),
        cmocka_unit_test(too_many_headers),
        cmocka_unit_test(keep_alive),
        cmocka_unit_test(upgrades_are_ordinary_requests),
        cmocka_unit_test(asks_to_continue_once),
        cmocka_unit_test(targets),
        cmocka_unit_test(query_parameters),
        cmocka_unit_test(deadlines),
        cmocka_unit_test(replies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
