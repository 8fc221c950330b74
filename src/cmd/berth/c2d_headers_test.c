/* cmd/berth/c2d_headers_test.c: options to headers, and a device's answer to a message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cmd/berth/c2d_headers.h"
#include "cmd/berth/commands.h"

enum { ARGS_MAX = 12, NOW_MS = 1000 };

static const struct {
    const char *args[ARGS_MAX];
    const char *lines, *why; /* one of them */
} CASES[] = {
    { { "d" }, "iothub-to: /devices/d/messages/deviceBound|iothub-messageid: 1|", NULL },
    { { "a b/ü", "-m", "m#1" },
      "iothub-to: /devices/a%20b%2F%C3%BC/modules/m%231/messages/deviceBound|iothub-messageid: 1|",
      NULL },
    { { "d", "--cid", "c", "--uid", "u", "--ct", "text/plain", "--ce", "utf-8" },
      "iothub-to: /devices/d/messages/deviceBound|iothub-messageid: 1|iothub-correlationid: c|"
      "iothub-userid: u|iothub-contenttype: text/plain|iothub-contentencoding: utf-8|",
      NULL },
    { { "d", "--expiry", "+60", "-p", "a=1; b = x=y ;c=" },
      "iothub-to: /devices/d/messages/deviceBound|iothub-messageid: 1|"
      "iothub-expiry: 1970-01-01T00:01:01.0000000Z|iothub-app-a: 1|iothub-app-b:  x=y |"
      "iothub-app-c;|",
      NULL },
    { { "d", "--expiry-time-utc", "2030-12-31T23:59:59Z" },
      "iothub-to: /devices/d/messages/deviceBound|iothub-messageid: 1|"
      "iothub-expiry: 2030-12-31T23:59:59.0000000Z|",
      NULL },
    { { "d", "--expiry", "86400000" },
      "iothub-to: /devices/d/messages/deviceBound|iothub-messageid: 1|"
      "iothub-expiry: 1970-01-02T00:00:00.0000000Z|",
      NULL },
    { { "d", "--expiry", "999" }, NULL, "in the past" },
    { { "d", "--expiry", "+0" }, NULL, "wants seconds" },
    { { "d", "--expiry", "soon" }, NULL, "wants +SECONDS" },
    { { "d", "-p", "a" }, NULL, "name=value" },
    { { "d", "-p", "=1" }, NULL, "name=value" },
    { { "d", "-p", "a b=1" }, NULL, "name=value" },
    { { "d", "-p", "a=1\nx: y" }, NULL, "name=value" },
    { { "d", "--cid", "1\r\nx: y" }, NULL, "control character" },
};

static void check(size_t at)
{
    static uint8_t memory[64 * 1024];
    struct cli cli = { .exit_status = 0 };
    const char *const *headers = NULL;
    char why[256] = "", lines_memory[1024];
    struct buf lines = buf_over(lines_memory, sizeof(lines_memory));
    const char *const words[] = { "hub", "c2d-message", "send" };
    int argc = 0, used;
    err e;

    arena_init(&cli.arena, memory, sizeof(memory));
    cli.command = berth_commands_find(3, (char *const *)words, &used);
    assert_non_null(cli.command);
    while (argc < ARGS_MAX && CASES[at].args[argc] != NULL) {
        argc++;
    }
    if (!err_is_ok(berth_options_parse(&cli.options, cli.command->options, BERTH_GLOBAL_OPTIONS,
                                       argc, (char *const *)CASES[at].args, why, sizeof(why)))) {
        fail_msg("case %zu: %s", at, why);
    }
    e = berth_c2d_headers(&cli, berth_hub_api_who(&cli), "1", NULL, NOW_MS, &headers);
    if (CASES[at].lines == NULL) {
        assert_true(err_is(e, ERR_MALFORMED));
        assert_int_equal(cli.exit_status, BERTH_EXIT_USAGE);
        assert_non_null(strstr(err_detail(), CASES[at].why));
        return;
    }
    for (; err_is_ok(e) && *headers != NULL; headers++) {
        buf_printf(&lines, "%s|", *headers);
    }
    assert_string_equal(err_is_ok(e) ? buf_cstr(&lines) : err_detail(), CASES[at].lines);
}

static void test_options(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        check(i);
    }
}

static const struct {
    const char *headers;
    struct span body;
    const char *shown;
} ANSWERS[] = {
    { "ETag: \"l-1\"\r\niothub-messageid: 7\r\niothub-sequencenumber: 3\r\nContent-Type: x\r\n"
      "iothub-app-Room: k\"\r\n\r\n",
      SPAN_INIT("hi"),
      "{\"messageId\":\"7\",\"sequenceNumber\":3,\"etag\":\"l-1\",\"properties\":{\"Room\":"
      "\"k\\\"\"},\"body\":\"hi\"}" },
    { "\r\n", { NULL, 0 }, "{\"properties\":{},\"body\":\"\"}" },
    { "\r\n", SPAN_INIT("\xff"), "{\"properties\":{},\"bodyBase64\":\"/w==\"}" },
};

static void test_answers(void **state)
{
    static uint8_t memory[64 * 1024];

    (void)state;
    for (size_t i = 0; i < sizeof(ANSWERS) / sizeof(ANSWERS[0]); i++) {
        struct cli cli = { .exit_status = 0 };
        struct http_reply reply = { .headers = span_str(ANSWERS[i].headers),
                                    .body = ANSWERS[i].body };
        json *message = NULL;
        char text[512];
        struct buf out = buf_over(text, sizeof(text));

        arena_init(&cli.arena, memory, sizeof(memory));
        assert_true(err_is_ok(berth_c2d_headers_read(&cli, &reply, &message)));
        assert_true(err_is_ok(json_print(message, &out)));
        assert_string_equal(buf_cstr(&out), ANSWERS[i].shown);
        berth_cli_done(&cli);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
