/* remote/remote_hub_test.c: which requests a placement makes, and what becomes of each kind of
 * answer, over real sockets. */
#include "remote/fake_hub_test.h"

#include "model/limits.h"
#include "remote/hub.h"
#include "remote/remote.h"

#define HOST  "hub.example"
#define KEY   "c2VjcmV0LXNlY3JldC1zZWNyZXQ="
#define THUMB "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define OTHER "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"
#define NO_DEVICE                                                                                  \
    FAKE_ERROR("404 Not Found", "DeviceNotFound",                                                  \
               "{\"Message\":\"ErrorCode:DeviceNotFound;d\",\"ExceptionMessage\":\"\"}")
#define DEVICE(thumb, status)                                                                      \
    FAKE_JSON("200 OK",                                                                            \
              "{\"deviceId\":\"d-1\",\"etag\":\"MQ==\",\"status\":\"" status "\","                 \
              "\"statusReason\":\"lent\",\"capabilities\":{\"iotEdge\":true},"                     \
              "\"deviceScope\":\"ms-azure-iot-edge://d-1-5\",\"authentication\":{"                 \
              "\"type\":\"selfSigned\",\"x509Thumbprint\":{\"primaryThumbprint\":\"" thumb         \
              "\",\"secondaryThumbprint\":\"" thumb "\"}}}")
#define TWIN(tags, desired)                                                                        \
    FAKE_JSON(                                                                                     \
        "200 OK",                                                                                  \
        "{\"deviceId\":\"d-1\",\"status\":\"disabled\",\"statusReason\":\"lent\",\"tags\":" tags   \
        ",\"capabilities\":{\"iotEdge\":true},\"properties\":{\"desired\":" desired                \
        ",\"reported\":{\"fw\":\"1.0\",\"$metadata\":{},\"$version\":3}}}")
#define FRESH   TWIN("{}", "{\"$metadata\":{},\"$version\":1}")
#define WRITTEN TWIN("{\"a\":1}", "{\"x\":1,\"$metadata\":{\"x\":{}},\"$version\":2}")
#define GOOD    FAKE_JSON("200 OK", "{}")
#define BULK    FAKE_JSON("200 OK", "{\"isSuccessful\":true,\"errors\":[],\"warnings\":[]}")
#define EXISTS                                                                                     \
    FAKE_ERROR("409 Conflict", "DeviceAlreadyExists",                                              \
               "{\"Message\":\"ErrorCode:DeviceAlreadyExists;d\"}")
#define BULK_REFUSED(code, words)                                                                  \
    FAKE_ERROR("400 Bad Request", "BulkRegistryOperationFailure",                                  \
               "{\"isSuccessful\":false,\"errors\":[{\"deviceId\":\"d-1\",\"errorCode\":" code     \
               ",\"errorStatus\":\"" words "\"}],\"warnings\":[]}")
#define STALE FAKE_ERROR("412 Precondition Failed", "PreconditionFailed", "{\"Message\":\"e\"}")

struct bench {
    struct fake_hub hub;
    struct remote *remote;
    struct crypto *crypto;
    struct arena arena;
    struct env env;
    struct linked_hub link;
    char address[64];
    uint8_t *memory;
};

static void bench_open(struct bench *b, const char *names, const struct fake_exchange *script)
{
    const struct remote_config config = { 0 };

    memset(b, 0, sizeof(*b));
    fake_start(&b->hub, names, script);
    assert_true(err_is_ok(remote_open(&config, &b->remote)));
    assert_true(err_is_ok(crypto_new(CRYPTO_SERVING, &b->crypto)));
    b->memory = malloc(LIMIT_REQUEST_ARENA);
    assert_non_null(b->memory);
    arena_init(&b->arena, b->memory, LIMIT_REQUEST_ARENA);
    b->env = (struct env){ .crypto = b->crypto,
                           .arena = &b->arena,
                           .now_ms = 784111777000, /* as the fake's Date */
                           .random = crypto_random };
    (void)snprintf(b->address, sizeof(b->address), "127.0.0.1:%d", b->hub.port);
    b->link = (struct linked_hub){
        .host_name = SPAN(HOST),
        .connection_string =
            SPAN("HostName=" HOST ";SharedAccessKeyName=owner;SharedAccessKey=" KEY),
        .is_remote = 1,
        .address = span_str(b->address),
        .ca = span_str(b->hub.pem),
    };
}

static void bench_close(struct bench *b)
{
    remote_close(b->remote); /* its connections, too */
    fake_end(&b->hub);
    crypto_free(b->crypto);
    free(b->memory);
}

static struct placement placement_of(const struct placement *given)
{
    struct placement p = *given;

    p.hub = SPAN(HOST);
    p.device_id = SPAN("d-1");
    p.auth = DEVICE_AUTH_SELF_SIGNED;
    p.primary_thumbprint = p.secondary_thumbprint = SPAN(THUMB);
    return p;
}

/* ---- place ---- */

#define INITIAL "{\"tags\":{\"site\":\"b\"},\"properties\":{\"desired\":{\"x\":2.5}}}"

static const struct device_state carried = {
    .tags = SPAN_INIT("{\"site\":\"a\"}"),
    .desired = SPAN_INIT("{\"rate\":5,\"$version\":7}"),
    .reported = SPAN_INIT("{\"fw\":\"1.0\"}"),
    .iot_edge = 1,
    .status = DEVICE_ENABLED,
};
static const struct device_state barred = { .status = DEVICE_DISABLED,
                                            .status_reason = SPAN_INIT("lent") };

static const struct place_case {
    const char *name;
    struct placement p;
    struct fake_exchange script[FAKE_EXCHANGES];
    enum elsewhere_outcome outcome;
    int64_t code;
    const char *message; /* part of it */
} place_cases[] = {
    { "new, nothing to bring",
      { .reset_twin = true },
      { { "PUT /devices/d-1", "\"secondaryThumbprint\":\"" THUMB "\"", "If-Match", GOOD } },
      ELSEWHERE_DONE,
      0,
      NULL },
    { "new, with an initial twin",
      { .reset_twin = true, .initial_twin = SPAN_INIT(INITIAL) },
      { { "POST /devices", "\"tags\":{\"site\":\"b\"},\"properties\":{\"desired\":{\"x\":2.5}}",
          "reported", BULK } },
      ELSEWHERE_DONE,
      0,
      NULL },
    { "new, with what it carries",
      { .reset_twin = true,
        .keeps_twin = true,
        .carried = &carried,
        .initial_twin = SPAN_INIT(INITIAL) },
      { { "POST /devices",
          "\"capabilities\":{\"iotEdge\":true},\"tags\":{\"site\":\"a\"},\"properties\":{"
          "\"desired\":{\"rate\":5},\"reported\":{\"fw\":\"1.0\"}}",
          NULL, BULK } },
      ELSEWHERE_DONE,
      0,
      NULL },
    { "a hub that cannot be told what was reported",
      { .reset_twin = true, .keeps_twin = true, .carried = &carried },
      { { "POST /devices", "reported", NULL, BULK_REFUSED("\"ArgumentInvalid\"", "reported") },
        { "POST /devices", "desired", "reported", BULK } },
      ELSEWHERE_DONE,
      0,
      NULL },
    { "new, barred where it comes from",
      { .reset_twin = true, .carried = &barred },
      { { "PUT /devices/d-1", "\"status\":\"disabled\",\"statusReason\":\"lent\"", NULL, GOOD } },
      ELSEWHERE_DONE,
      0,
      NULL },
    { "made without its twin",
      { .reset_twin = true, .initial_twin = SPAN_INIT(INITIAL) },
      { { "POST /devices", NULL, NULL,
          FAKE_JSON("200 OK", "{\"isSuccessful\":true,\"errors\":[],\"warnings\":[{\"deviceId\":"
                              "\"d-1\",\"warningCode\":\"DeviceRegisteredWithoutTwin\"}]}") },
        { "PATCH /twins/d-1", "{\"tags\":{\"site\":\"b\"}", NULL, GOOD } },
      ELSEWHERE_DONE,
      0,
      NULL },
    { "an earlier try made it, perhaps not its twin",
      { .reset_twin = true, .iot_edge = 1, .initial_twin = SPAN_INIT(INITIAL) },
      { { "POST /devices", NULL, NULL, BULK_REFUSED("409001", "there") },
        { "GET /devices/d-1", NULL, NULL, DEVICE(THUMB, "enabled") },
        { "PUT /twins/d-1", "\"x\":2.5", NULL, GOOD } },
      ELSEWHERE_DONE,
      0,
      NULL },
    { "there, with the same credential",
      { .initial_twin = SPAN_INIT(INITIAL) },
      { { "GET /devices/d-1", NULL, NULL,
          DEVICE("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "enabled") } },
      ELSEWHERE_DONE,
      0,
      NULL },
    { "there, with another credential: all else stays",
      { .reset_twin = false },
      { { "GET /devices/d-1", NULL, NULL, DEVICE(OTHER, "disabled") },
        { "PUT /devices/d-1",
          "{\"deviceId\":\"d-1\",\"status\":\"disabled\",\"statusReason\":\"lent\",\"deviceScope\":"
          "\"ms-azure-iot-edge://d-1-5\",\"authentication\":{\"type\":\"selfSigned\","
          "\"x509Thumbprint\":{\"primaryThumbprint\":\"" THUMB "\",\"secondaryThumbprint\":\"" THUMB
          "\"}},\"capabilities\":{\"iotEdge\":true}}",
          NULL, GOOD } },
      ELSEWHERE_DONE,
      0,
      NULL },
    { "the ETag is named",
      { .reset_twin = true },
      { { "PUT /devices/d-1", NULL, NULL, EXISTS },
        { "GET /devices/d-1", NULL, NULL, DEVICE(OTHER, "enabled") },
        { "PUT /devices/d-1", "If-Match: \"MQ==\"\r\n", NULL, GOOD },
        { "PUT /twins/d-1", NULL, "If-Match", GOOD } },
      ELSEWHERE_DONE,
      0,
      NULL },
    { "changed by another meanwhile",
      { .reset_twin = false },
      { { "GET /devices/d-1", NULL, NULL, DEVICE(OTHER, "enabled") },
        { "PUT /devices/d-1", NULL, NULL, STALE },
        { "GET /devices/d-1", NULL, NULL, DEVICE(THUMB, "enabled") } },
      ELSEWHERE_DONE,
      0,
      NULL },
    { "changed by another all the time",
      { .reset_twin = false },
      { { "GET /devices/d-1", NULL, NULL, DEVICE(OTHER, "enabled") },
        { "PUT /devices/d-1", NULL, NULL, STALE },
        { "GET /devices/d-1", NULL, NULL, DEVICE(OTHER, "enabled") },
        { "PUT /devices/d-1", NULL, NULL, STALE },
        { "GET /devices/d-1", NULL, NULL, DEVICE(OTHER, "enabled") },
        { "PUT /devices/d-1", NULL, NULL, STALE },
        { "GET /devices/d-1", NULL, NULL, DEVICE(OTHER, "enabled") },
        { "PUT /devices/d-1", NULL, NULL, STALE } },
      ELSEWHERE_RETRY,
      412001,
      "by another" },
    { "gone meanwhile: made anew",
      { .reset_twin = false },
      { { "GET /devices/d-1", NULL, NULL, NO_DEVICE }, { "PUT /devices/d-1", NULL, NULL, GOOD } },
      ELSEWHERE_DONE,
      0,
      NULL },
    { "reset",
      { .reset_twin = true, .initial_twin = SPAN_INIT(INITIAL) },
      { { "POST /devices", NULL, NULL, BULK_REFUSED("\"DeviceAlreadyExists\"", "there") },
        { "GET /devices/d-1", NULL, NULL, DEVICE(THUMB, "enabled") },
        { "PUT /devices/d-1", "\"iotEdge\":false", NULL, GOOD },
        { "PUT /twins/d-1", "{\"tags\":{\"site\":\"b\"},\"properties\":{\"desired\":{\"x\":2.5}}}",
          NULL, GOOD } },
      ELSEWHERE_DONE,
      0,
      NULL },
    { "reset to nothing",
      { .reset_twin = true, .iot_edge = 1 },
      { { "PUT /devices/d-1", NULL, NULL, EXISTS },
        { "GET /devices/d-1", NULL, NULL, DEVICE(THUMB, "enabled") },
        { "PUT /twins/d-1", "{\"properties\":{}}", NULL, GOOD } },
      ELSEWHERE_DONE,
      0,
      NULL },
    { "what it carries, over what is there",
      { .reset_twin = true, .keeps_twin = true, .carried = &carried },
      { { "POST /devices", NULL, NULL, BULK_REFUSED("\"DeviceAlreadyExists\"", "there") },
        { "GET /devices/d-1", NULL, NULL, DEVICE(THUMB, "enabled") },
        { "PUT /twins/d-1", "{\"tags\":{\"site\":\"a\"},\"properties\":{\"desired\":{\"rate\":5}}}",
          "reported", GOOD } },
      ELSEWHERE_DONE,
      0,
      NULL },
    { "the hub refuses the key",
      { .reset_twin = true },
      { { "PUT /devices/d-1", "Authorization: SharedAccessSignature sr=" HOST "&sig=", NULL,
          FAKE_ERROR("401 Unauthorized", "IotHubUnauthorizedAccess",
                     "{\"Message\":\"ErrorCode:IotHubUnauthorizedAccess;Unauthorized\","
                     "\"ExceptionMessage\":\"Tracking ID:7\"}") } },
      ELSEWHERE_REFUSED,
      401002,
      "{\"Message\":\"ErrorCode:IotHubUnauthorizedAccess;Unauthorized\",\"ExceptionMessage\":"
      "\"Tracking ID:7\"}" },
    { "made, but its twin is refused",
      { .reset_twin = true, .initial_twin = SPAN_INIT(INITIAL) },
      { { "POST /devices", NULL, NULL,
          FAKE_JSON("200 OK", "{\"isSuccessful\":true,\"errors\":[],\"warnings\":[{\"deviceId\":"
                              "\"d-1\",\"warningCode\":\"DeviceRegisteredWithoutTwin\"}]}") },
        { "PATCH /twins/d-1", NULL, NULL,
          FAKE_ERROR("401 Unauthorized", "IotHubUnauthorizedAccess", "{\"Message\":\"e\"}") } },
      ELSEWHERE_REFUSED,
      401002,
      "\"e\"" },
    { "the hub refuses the twin",
      { .reset_twin = true, .initial_twin = SPAN_INIT(INITIAL) },
      { { "POST /devices", NULL, NULL, BULK_REFUSED("\"ArgumentInvalid\"", "too deep") } },
      ELSEWHERE_REFUSED,
      400004,
      "too deep" },
    { "throttled",
      { .reset_twin = true },
      { { "PUT /devices/d-1", NULL, NULL,
          "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\niothub-errorcode: "
          "ThrottlingException\r\n\r\n{\"Message\":\"ErrorCode:ThrottlingException;wait\"}" } },
      ELSEWHERE_RETRY,
      429001,
      "ThrottlingException" },
    { "a fault over there",
      { .reset_twin = true },
      { { "PUT /devices/d-1", NULL, NULL,
          "HTTP/1.1 503 Service Unavailable\r\n\r\n<html>no</html>" } },
      ELSEWHERE_RETRY,
      503000,
      "The hub " HOST " answered 503 without saying why." },
    { "half an answer",
      { .reset_twin = true },
      { { "PUT /devices/d-1", NULL, NULL, "HTTP/1.1 200 OK\r\nContent-Len" } },
      ELSEWHERE_RETRY,
      503001,
      "did not answer: its answer was cut off, or is no HTTP" },
    { "no HTTP at all",
      { .reset_twin = true },
      { { "PUT /devices/d-1", NULL, NULL, "SSH-2.0-OpenSSH_9.2\r\n" } },
      ELSEWHERE_RETRY,
      503001,
      "its answer was cut off, or is no HTTP" },
    { "no hub: a 404 that no hub says",
      { .reset_twin = false },
      { { "GET /devices/d-1", NULL, NULL, "HTTP/1.1 404 Not Found\r\n\r\nno such page" } },
      ELSEWHERE_REFUSED,
      404000,
      "answered 404 without saying why" },
    { "no hub: a page",
      { .reset_twin = false },
      { { "GET /devices/d-1", NULL, NULL, "HTTP/1.1 200 OK\r\n\r\n<html>welcome</html>" } },
      ELSEWHERE_RETRY,
      503001,
      "is it one?" },
    { "no hub: a redirect is not followed",
      { .reset_twin = true },
      { { "PUT /devices/d-1", NULL, NULL,
          "HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1/elsewhere\r\n\r\n" } },
      ELSEWHERE_REFUSED,
      302000,
      "answered 302" },
};

static void test_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof place_cases / sizeof *place_cases; i++) {
        const struct place_case *c = &place_cases[i];
        const struct placement p = placement_of(&c->p);
        const struct elsewhere *elsewhere;
        struct elsewhere_answer a;
        struct bench b;

        print_message("  %s\n", c->name);
        bench_open(&b, "DNS:" HOST, c->script);
        elsewhere = remote_elsewhere(b.remote);
        assert_true(err_is_ok(elsewhere->place(elsewhere->arg, &b.env, &b.link, &p, &a)));
        print_message("    %.*s\n", SPAN_FMT(a.message));
        assert_int_equal(a.outcome, c->outcome);
        assert_int_equal(a.error_code, c->code);
        if (c->message != NULL) {
            assert_non_null(strstr((const char *)a.message.data, c->message));
        }
        /* What is refused after the first request was made by it. */
        assert_int_equal(a.has_made, c->outcome == ELSEWHERE_REFUSED && c->script[1].line != NULL);
        assert_int_equal(a.retry_after_ms, c->code == 429001 ? 7000 : 0);
        assert_true(atomic_load(&b.hub.connections) == 1); /* kept for all of them */
        bench_close(&b);
    }
}

/* ---- find, take away ---- */

static void test_find(void **state)
{
    static const struct fake_exchange script[] = {
        { "GET /twins/d%2F1", NULL, NULL, WRITTEN },
        { "GET /twins/d%2F1", NULL, NULL, FRESH },
        { "GET /twins/d%2F1", NULL, NULL, NO_DEVICE },
        { "GET /twins/d%2F1", NULL, NULL, "HTTP/1.1 404 Not Found\r\n\r\n" },
        { "GET /twins/d%2F1", NULL, NULL, FAKE_JSON("200 OK", "[1]") },
        { .line = NULL },
    };
    const struct elsewhere *elsewhere;
    struct elsewhere_answer a;
    struct device_state s;
    struct bench b;
    bool found;

    (void)state;
    bench_open(&b, "DNS:" HOST, script);
    elsewhere = remote_elsewhere(b.remote);
#define FIND()                                                                                     \
    assert_true(                                                                                   \
        err_is_ok(elsewhere->find(elsewhere->arg, &b.env, &b.link, SPAN("d/1"), &s, &found, &a)))
    FIND();
    assert_true(found && a.outcome == ELSEWHERE_DONE);
    assert_string_equal((const char *)s.tags.data, "{\"a\":1}");
    assert_string_equal((const char *)s.desired.data, "{\"x\":1,\"$version\":2}");
    assert_string_equal((const char *)s.reported.data, "{\"fw\":\"1.0\",\"$version\":3}");
    assert_int_equal(s.iot_edge, 1);
    assert_int_equal(s.status, DEVICE_DISABLED);
    assert_string_equal((const char *)s.status_reason.data, "lent");
    FIND();
    assert_true(found && span_is_absent(s.tags));
    assert_string_equal((const char *)s.desired.data, "{\"$version\":1}");
    FIND();
    assert_true(!found && a.outcome == ELSEWHERE_DONE);
    FIND();
    assert_true(!found && a.outcome == ELSEWHERE_REFUSED);
    FIND();
    assert_true(!found && a.outcome == ELSEWHERE_RETRY);
    bench_close(&b);
}

static void test_take_away(void **state)
{
    static const struct {
        const char *answer;
        enum elsewhere_outcome outcome;
    } cases[] = {
        { "HTTP/1.1 204 No Content\r\n\r\n", ELSEWHERE_DONE },
        { NO_DEVICE, ELSEWHERE_DONE },
        { "HTTP/1.1 404 Not Found\r\n\r\n", ELSEWHERE_REFUSED },
        { FAKE_ERROR("401 Unauthorized", "IotHubNotFound",
                     "{\"errorCode\":401001,\"message\":\"\"}"),
          ELSEWHERE_REFUSED },
        { "HTTP/1.1 500 No\r\n\r\n", ELSEWHERE_RETRY },
        { "HTTP/1.1 408 Late\r\n\r\n", ELSEWHERE_RETRY },
        { FAKE_CLOSE, ELSEWHERE_RETRY },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct fake_exchange script[] = {
            { "DELETE /devices/d-1", "If-Match: *\r\n", NULL, cases[i].answer }, { .line = NULL }
        };
        const struct elsewhere *elsewhere;
        struct elsewhere_answer a;
        struct bench b;

        bench_open(&b, "DNS:" HOST, script);
        elsewhere = remote_elsewhere(b.remote);
        assert_true(
            err_is_ok(elsewhere->take_away(elsewhere->arg, &b.env, &b.link, SPAN("d-1"), &a)));
        assert_int_equal(a.outcome, cases[i].outcome);
        bench_close(&b);
    }
}

/* ---- the way there ---- */

static void test_way(void **state)
{
    static const struct fake_exchange script[] = { { .line = NULL } };
    static const struct {
        const char *names;   /* in its certificate */
        const char *address; /* NULL: where it is */
        bool is_trusted;
        bool is_public_only;
        const char *message;
    } cases[] = {
        { "DNS:" HOST, NULL, false, false, "its certificate is not trusted" },
        { "DNS:other.example", NULL, true, false,
          "its certificate is not trusted, or is for another" },
        { "DNS:" HOST, "127.0.0.1:1", true, false, "it cannot be connected to" },
        { "DNS:" HOST, "[::1]:1", true, false, "it cannot be connected to" },
        { "DNS:" HOST, "no-such-host.invalid", true, false, "its host name cannot be resolved" },
        { "DNS:" HOST, "169.254.169.254", true, false, "may not connect to (elsewhere-addresses)" },
        { "DNS:" HOST, NULL, true, true, "may not connect to (elsewhere-addresses)" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct remote_config config = { .is_public_only = cases[i].is_public_only };
        const struct elsewhere *elsewhere;
        struct elsewhere_answer a;
        struct bench b;

        bench_open(&b, cases[i].names, script);
        remote_close(b.remote);
        assert_true(err_is_ok(remote_open(&config, &b.remote)));
        elsewhere = remote_elsewhere(b.remote);
        b.link.address = cases[i].address ? span_str(cases[i].address) : b.link.address;
        b.link.ca = cases[i].is_trusted ? b.link.ca : SPAN_NONE;
        assert_true(
            err_is_ok(elsewhere->take_away(elsewhere->arg, &b.env, &b.link, SPAN("d-1"), &a)));
        print_message("  %.*s\n", SPAN_FMT(a.message));
        assert_int_equal(a.outcome, ELSEWHERE_RETRY);
        assert_int_equal(a.http_status, 0);
        assert_non_null(strstr((const char *)a.message.data, cases[i].message));
        bench_close(&b);
    }
}

static bool is_over(void)
{
    return true;
}

/* Silence ends with the time that a call has, or with the server. */
static void test_time(void **state)
{
    static const struct fake_exchange script[] = { { "GET /devices/d-1", NULL, NULL, FAKE_SILENT },
                                                   { .line = NULL } };
    const struct hub_request get = { .method = "GET",
                                     .folder = "devices",
                                     .device_id = SPAN_INIT("d-1") };
    const struct remote_config config = { 0 };
    struct remote_http_pool *pool;
    struct remote_http_reply reply;
    struct hub_talk t;
    struct bench b;

    (void)state;
    bench_open(&b, "DNS:" HOST, script);
    assert_true(err_is_ok(remote_http_open(&config, &pool)));
    assert_true(err_is_ok(remote_hub_begin(pool, &b.env, &b.link, 300, &t)));
    assert_true(err_is_ok(remote_hub_send(&t, &get, &reply)));
    assert_int_equal(reply.stage, REMOTE_HTTP_ANSWER);
    assert_non_null(strstr((const char *)reply.problem.data, "no answer in time"));
    assert_true(t.call.left_ms <= 0);
    assert_true(err_is_ok(remote_hub_send(&t, &get, &reply))); /* asks nobody */
    assert_int_equal(reply.stage, REMOTE_HTTP_ANSWER);
    t.call.left_ms = 1000;
    t.call.is_over = is_over;
    assert_true(err_is_ok(remote_hub_send(&t, &get, &reply)));
    assert_int_equal(reply.stage, REMOTE_HTTP_STOPPED);
    remote_hub_end(&t);
    remote_http_close(pool);
    bench_close(&b);
}

static void *cancel_soon(void *arg)
{
    struct bench *b = arg;
    const struct elsewhere *elsewhere = remote_elsewhere(b->remote);

    while (atomic_load(&b->hub.at) == 0) {
        (void)usleep(1000);
    }
    elsewhere->cancel(elsewhere->arg);
    return NULL;
}

static void test_cancel(void **state)
{
    static const struct fake_exchange script[] = {
        { "DELETE /devices/d-1", NULL, NULL, FAKE_SILENT }, { .line = NULL }
    };
    const struct elsewhere *elsewhere;
    struct elsewhere_answer a;
    struct timespec from, to;
    pthread_t thread;
    struct bench b;

    (void)state;
    bench_open(&b, "DNS:" HOST, script);
    elsewhere = remote_elsewhere(b.remote);
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, &b), 0);
    (void)clock_gettime(CLOCK_MONOTONIC, &from);
    for (int i = 0; i < 2; i++) {
        assert_true(
            err_is_ok(elsewhere->take_away(elsewhere->arg, &b.env, &b.link, SPAN("d-1"), &a)));
        assert_int_equal(a.outcome, ELSEWHERE_RETRY);
        assert_non_null(strstr((const char *)a.message.data, "this server stops"));
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &to);
    assert_true(to.tv_sec - from.tv_sec < 5); /* not LIMIT_ELSEWHERE_MS */
    assert_int_equal(pthread_join(thread, NULL), 0);
    bench_close(&b);
}

static void test_too_long(void **state)
{
    static const struct fake_exchange script[] = {
        { "GET /devices/d-1", NULL, NULL, FAKE_JSON("200 OK", "{\"a\":\"0123456789\"}") },
        { "GET /devices/d-1", NULL, NULL, FAKE_JSON("200 OK", "{\"a\":1}") },
        { .line = NULL },
    };
    const struct remote_config config = { 0 };
    struct remote_http_request r = { .method = "GET",
                                     .path = SPAN("/devices/d-1"),
                                     .answer_max = 7 };
    struct remote_http_reply reply;
    struct remote_http_call call;
    struct bench b;

    (void)state;
    bench_open(&b, "DNS:" HOST, script);
    call = (struct remote_http_call){
        .env = &b.env,
        .target = { .host = b.link.host_name, .address = b.link.address, .ca = b.link.ca },
        .left_ms = 5000
    };
    assert_true(err_is_ok(remote_http_open(&config, &call.pool)));
    assert_true(err_is_ok(remote_http_begin(&call)));
    assert_true(err_is_ok(remote_http_send(&call, &r, &reply)));
    assert_int_equal(reply.stage, REMOTE_HTTP_ANSWER);
    assert_non_null(strstr((const char *)reply.problem.data, "too long"));
    assert_true(err_is_ok(remote_http_send(&call, &r, &reply)));
    assert_int_equal(reply.stage, REMOTE_HTTP_DONE);
    remote_http_end(&call);
    remote_http_close(call.pool);
    bench_close(&b);
}

/* ---- webhooks ---- */

static void test_post(void **state)
{
    static const struct {
        const char *answer;
        enum elsewhere_outcome outcome;
        const char *body, *message;
    } cases[] = {
        { FAKE_JSON("200 OK", "{\"iotHubHostName\":\"h\"}"), ELSEWHERE_DONE,
          "{\"iotHubHostName\":\"h\"}", NULL },
        { FAKE_JSON("400 Bad Request", "no"), ELSEWHERE_REFUSED, "no",
          "Custom allocation failed with status code: 400" },
        { FAKE_JSON("503 Later", ""), ELSEWHERE_RETRY, "",
          "Custom allocation failed with status code: 503" },
        { FAKE_CLOSE, ELSEWHERE_RETRY, NULL, "Custom allocation failed: 127.0.0.1 did not answer" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct fake_exchange script[] = { { "POST /allocate", "\r\n\r\n{\"a\":1}",
                                                  "Authorization", cases[i].answer },
                                                { .line = NULL } };
        struct remote_config config = { 0 };
        char ca_file[] = "/tmp/berth-remote-XXXXXX", url[128];
        const struct elsewhere *elsewhere;
        struct elsewhere_answer a;
        struct span body;
        struct bench b;
        int fd = mkstemp(ca_file);

        bench_open(&b, "IP:127.0.0.1", script);
        assert_true(write(fd, b.hub.pem, strlen(b.hub.pem)) > 0);
        (void)close(fd);
        remote_close(b.remote);
        config.ca_file = ca_file;
        assert_true(err_is_ok(remote_open(&config, &b.remote)));
        elsewhere = remote_elsewhere(b.remote);
        (void)snprintf(url, sizeof(url), "https://127.0.0.1:%d/allocate?code=secret", b.hub.port);
        assert_true(err_is_ok(
            elsewhere->post(elsewhere->arg, &b.env, span_str(url), SPAN("{\"a\":1}"), &body, &a)));
        assert_int_equal(a.outcome, cases[i].outcome);
        assert_int_equal(span_is_absent(body), cases[i].body == NULL);
        assert_true(span_eq(body, span_str(cases[i].body ? cases[i].body : "")));
        if (cases[i].message != NULL) {
            print_message("  %.*s\n", SPAN_FMT(a.message));
            assert_true(span_starts_with(a.message, span_str(cases[i].message)));
            assert_null(strstr((const char *)a.message.data, "secret"));
            assert_int_equal(a.error_code, 400207);
        }
        bench_close(&b);
        (void)unlink(ca_file);
    }
}

static void test_post_elsewhere_only(void **state)
{
    static const char *const urls[] = { "http://127.0.0.1/", "file:///etc/passwd", "", "https:/x" };
    static const struct fake_exchange script[] = { { .line = NULL } };
    const struct elsewhere *elsewhere;
    struct elsewhere_answer a;
    struct span body;
    struct bench b;

    (void)state;
    bench_open(&b, "IP:127.0.0.1", script);
    elsewhere = remote_elsewhere(b.remote);
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        assert_true(err_is_ok(
            elsewhere->post(elsewhere->arg, &b.env, span_str(urls[i]), SPAN("{}"), &body, &a)));
        assert_int_equal(a.outcome, ELSEWHERE_REFUSED);
    }
    bench_close(&b);
}

/* ---- check ---- */

#define DENIED                                                                                     \
    FAKE_JSON("401 Unauthorized",                                                                  \
              "{\"Message\":\"ErrorCode:IotHubUnauthorizedAccess;Unauthorized\"}")

static void test_check(void **state)
{
    enum {
        N = 1 << ELSEWHERE_NAME,
        C = 1 << ELSEWHERE_CONNECT,
        T = 1 << ELSEWHERE_TLS,
        A = 1 << ELSEWHERE_ANSWER,
        K = 1 << ELSEWHERE_TOKEN,
        W = 1 << ELSEWHERE_REGISTRY_WRITE,
        S = 1 << ELSEWHERE_SERVICE_CONNECT,
        D = 1 << ELSEWHERE_CLOCK,
    };
    static const char no_device[] = "HTTP/1.1 404 Not Found\r\niothub-errorcode: DeviceNotFound\r\n"
                                    "Date: Sun, 06 Nov 1994 09:49:37 GMT\r\n\r\n{}";
    static const struct {
        const char *answers[3]; /* GET device, DELETE device, GET twin */
        int asked, good;
    } cases[] = {
        { { no_device, no_device, no_device },
          N | C | T | A | K | W | S | D,
          N | C | T | A | K | W | S },
        { { no_device, DENIED, no_device }, N | C | T | A | K | W | S | D, N | C | T | A | K | S },
        { { DENIED, DENIED, no_device }, N | C | T | A | K | W | S | D, N | C | T | A | K | S | D },
        { { DENIED, DENIED, DENIED }, N | C | T | A | K | D, N | C | T | A | D },
        { { GOOD }, N | C | T | A | D, N | C | T | D },
        { { FAKE_CLOSE }, N | C | T | A, N | C | T },
        { { no_device, "HTTP/1.1 503 Later\r\n\r\n" }, N | C | T | A | K | D, N | C | T | K },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fake_exchange script[] = {
            { "GET", "/devices/berth-check-", NULL, cases[i].answers[0] },
            { "DELETE", "/devices/berth-check-", NULL, cases[i].answers[1] },
            { "GET", "/twins/berth-check-", NULL, cases[i].answers[2] },
            { .line = NULL },
        };
        const struct elsewhere *elsewhere;
        struct elsewhere_report r;
        struct bench b;

        bench_open(&b, "DNS:" HOST, script);
        elsewhere = remote_elsewhere(b.remote);
        assert_true(err_is_ok(elsewhere->check(elsewhere->arg, &b.env, &b.link, NULL, &r)));
        for (int q = 0; q < ELSEWHERE_QUESTIONS; q++) {
            print_message("  %zu.%d: asked %d, good %d: %.*s\n", i, q, r.is_asked[q], r.is_good[q],
                          SPAN_FMT(r.words[q]));
            assert_int_equal(r.is_asked[q], (cases[i].asked >> q) & 1);
            assert_int_equal(r.is_asked[q] && r.is_good[q], (cases[i].good >> q) & 1);
        }
        if (cases[i].answers[0] == no_device) {
            assert_int_equal(r.skew_ms, 3600 * 1000);
        }
        bench_close(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_place),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_take_away),
        cmocka_unit_test(test_way),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_post),
        cmocka_unit_test(test_post_elsewhere_only),
        cmocka_unit_test(test_check),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
