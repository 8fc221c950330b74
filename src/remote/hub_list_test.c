/* remote/hub_list_test.c: the devices of a hub elsewhere, page by page, over real sockets. */
#include "remote/fake_hub_test.h"

#include "model/limits.h"
#include "remote/remote.h"

#define HOST              "hub.example"
#define PAGE(token, body) "HTTP/1.1 200 OK\r\n" token "\r\n" body
#define ASKS              "{\"query\":\"SELECT deviceId FROM devices\"}"

static const struct list_case {
    const char *name;
    const char *token; /* to go on behind; NULL: from the start */
    const char *has;
    const char *lacks;
    const char *answer;
    enum elsewhere_outcome outcome;
    const char *ids, *next;
} CASES[] = {
    { "the first page", NULL, ASKS, "x-ms-continuation",
      PAGE("x-ms-continuation: t/1=\r\n", "[{\"deviceId\":\"a\"},{\"deviceId\":\"B\"}]"),
      ELSEWHERE_DONE, "a B ", "t/1=" },
    { "a page goes on", "t/1=", "x-ms-continuation: t/1=\r\n", NULL,
      PAGE("", "[{\"deviceId\":\"c\"}]"), ELSEWHERE_DONE, "c ", NULL },
    { "asks for many", NULL, "x-ms-max-item-count: 1000\r\n", NULL, PAGE("", "[]"), ELSEWHERE_DONE,
      "", NULL },
    { "an empty page that goes on", NULL, ASKS, NULL, PAGE("X-MS-Continuation: z\r\n", "[]"),
      ELSEWHERE_DONE, "", "z" },
    { "throttled", NULL, ASKS, NULL,
      FAKE_ERROR("429 Too Many", "ThrottlingException", "{\"Message\":\"slow\"}"), ELSEWHERE_RETRY,
      "", NULL },
    { "not allowed", NULL, ASKS, NULL,
      FAKE_ERROR("401 Unauthorized", "IotHubUnauthorizedAccess", "{\"Message\":\"no\"}"),
      ELSEWHERE_REFUSED, "", NULL },
    { "no list", NULL, ASKS, NULL, PAGE("", "{}"), ELSEWHERE_RETRY, "", NULL },
    { "no IDs", NULL, ASKS, NULL, PAGE("", "[{\"deviceId\":7}]"), ELSEWHERE_RETRY, "", NULL },
    { "no device's ID", NULL, ASKS, NULL, PAGE("", "[{\"deviceId\":\"a b/c\"}]"), ELSEWHERE_RETRY,
      "", NULL },
    { "no JSON", NULL, ASKS, NULL, PAGE("", "<html>"), ELSEWHERE_RETRY, "", NULL },
    { "half an answer", NULL, ASKS, NULL, "HTTP/1.1 200 OK\r\nContent-Le", ELSEWHERE_RETRY, "",
      NULL },
};

static void list(const struct list_case *c)
{
    const struct fake_exchange script[] = { { "POST /devices/query", c->has, c->lacks, c->answer },
                                            { NULL, NULL, NULL, NULL } };
    const struct remote_config config = { 0 };
    static uint8_t memory[LIMIT_REQUEST_ARENA];
    struct fake_hub hub;
    struct remote *remote;
    struct arena arena;
    struct env env = { .arena = &arena, .now_ms = 784111777000, .random = crypto_random };
    struct linked_hub link = { .host_name = SPAN(HOST), .is_remote = 1 };
    struct elsewhere_answer answer;
    const struct elsewhere *e;
    struct span *ids = NULL, next;
    char address[64], text[64] = "";
    size_t n;

    arena_init(&arena, memory, sizeof(memory));
    fake_start(&hub, "DNS:" HOST, script);
    assert_true(err_is_ok(remote_open(&config, &remote)));
    assert_true(err_is_ok(crypto_new(CRYPTO_SERVING, &env.crypto)));
    (void)snprintf(address, sizeof(address), "127.0.0.1:%d", hub.port);
    link.address = span_str(address);
    link.ca = span_str(hub.pem);
    link.connection_string =
        SPAN("HostName=" HOST ";SharedAccessKeyName=p;SharedAccessKey=c2VjcmV0LXNlY3JldC1zZWM=");
    e = remote_elsewhere(remote);
    assert_true(
        err_is_ok(e->list(e->arg, &env, &link, span_str(c->token), &ids, &n, &next, &answer)));
    assert_int_equal(answer.outcome, c->outcome);
    if (c->outcome == ELSEWHERE_DONE) {
        for (size_t i = 0; i < n; i++) {
            size_t len = strlen(text);

            (void)snprintf(text + len, sizeof(text) - len, "%.*s ", SPAN_FMT(ids[i]));
        }
        assert_string_equal(text, c->ids);
        assert_true(span_eq(next, span_str(c->next)));
        assert_int_equal(span_is_absent(next), c->next == NULL);
    } else {
        assert_false(span_is_absent(answer.message));
    }
    remote_close(remote);
    fake_end(&hub);
    crypto_free(env.crypto);
}

static void test_lists(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        print_message("  %s\n", CASES[i].name);
        list(&CASES[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_lists) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
