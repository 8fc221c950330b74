// links: berth_proto
/* tests/fuzz/fuzz_http1.c: any bytes as what a client sends. However they are cut on the way, the
 * same requests come out and the same end is reached; and a buffer of head_max + body_max holds
 * whatever is not refused. */
#include "fuzz.h"
#include "proto/http1/conn.h"

enum { INPUT_MAX = 8192, DIGEST_PRIME = 0x01000193 };

static const struct http1_limits limits = {
    .head_max = 1024,
    .body_max = 512,
    .request_within_ms = 5000,
    .idle_max_ms = 60000,
};

struct outcome {
    size_t n_requests;
    uint32_t digest; /* of all requests */
    enum http1_event last;
    int status;
};

static void digest_span(uint32_t *digest, struct span s)
{
    *digest = (*digest ^ (uint32_t)s.len ^ (span_is_absent(s) ? 0x80000000U : 0)) * DIGEST_PRIME;
    for (size_t i = 0; i < s.len; i++) {
        *digest = (*digest ^ s.data[i]) * DIGEST_PRIME;
    }
}

static void check_request(const struct http1_request *r, uint32_t *digest)
{
    uint8_t room[64];
    struct buf value = buf_over(room, sizeof(room));

    FUZZ_CHECK(r->method.len > 0 && r->target.len > 0 && r->path.len > 0);
    FUZZ_CHECK(r->n_headers <= HTTP1_HEADERS_MAX && r->body.len <= limits.body_max);
    digest_span(digest, r->method);
    digest_span(digest, r->target);
    digest_span(digest, r->path);
    digest_span(digest, r->query);
    digest_span(digest, r->body);
    for (size_t i = 0; i < r->n_headers; i++) {
        digest_span(digest, r->headers[i].name);
        digest_span(digest, r->headers[i].value);
        FUZZ_CHECK(!span_is_absent(http1_request_header(r, r->headers[i].name)));
    }
    if (http1_request_query(r, SPAN("api-version"), &value)) {
        digest_span(digest, buf_span(&value));
    }
    FUZZ_CHECK(!value.failed);
    *digest ^= r->keep_alive;
}

static struct outcome run(struct span all, size_t piece)
{
    static uint8_t in[INPUT_MAX];
    struct outcome o = { 0 };
    struct http1_conn c;
    size_t len = 0;
    size_t arrived = 0;

    http1_conn_init(&c, &limits, 1);
    while (arrived < all.len && o.last != HTTP1_VIOLATION) {
        struct span next = span_first(span_from(all, arrived), piece);

        memcpy(in + len, next.data, next.len);
        len += next.len;
        arrived += next.len;
        do {
            struct http1_request r;
            size_t consumed = 0;

            o.last = http1_conn_next(&c, in, len, 1, &r, &consumed, &o.status);
            if (o.last == HTTP1_REQUEST) {
                FUZZ_CHECK(consumed > 0 && consumed <= limits.head_max + limits.body_max);
                check_request(&r, &o.digest);
                o.n_requests++;
                len -= consumed;
                memmove(in, in + consumed, len);
            }
        } while (o.last == HTTP1_REQUEST);
        FUZZ_CHECK(o.last != HTTP1_MORE || len < limits.head_max + limits.body_max);
        (void)http1_conn_wants_continue(&c);
    }
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t pieces[] = { 1, 2, 61 };
    struct outcome whole;

    if (size > INPUT_MAX) {
        return 0;
    }
    whole = run(span_of(data, size), size + 1);
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        struct outcome o = run(span_of(data, size), pieces[i]);

        FUZZ_CHECK(o.n_requests == whole.n_requests && o.digest == whole.digest);
        FUZZ_CHECK(o.last == whole.last && o.status == whole.status);
    }
    return 0;
}
