/* remote/hub_error_test.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "model/limits.h"
#include "remote/hub_error.h"

static void test_envelopes(void **state)
{
    static const struct {
        int status;
        const char *header, *body;
        int64_t code;
        bool is_hubs;
    } cases[] = {
        { 409, "", "{\"Message\":\"ErrorCode:DeviceAlreadyExists;d\",\"ExceptionMessage\":\"T\"}",
          409001, true },
        { 401, "", "{\"Message\":\"ErrorCode:IotHubUnauthorizedAccess;Unauthorized\"}", 401002,
          true },
        { 404, "", "{\"errorCode\":404001,\"message\":\"no\",\"trackingId\":\"t\"}", 404001, true },
        { 401, "",
          "{\"Message\":\"{\\\"errorCode\\\":401002,\\\"message\\\":\\\"Unauthorized "
          "access\\\"}\",\"ExceptionMessage\":\"\"}",
          401002, true },
        { 400, "ArgumentInvalid", "{\"Message\":\"words\"}", 400004, true },
        { 400, "NeverHeardOf", "{\"Message\":\"words\"}", 400000, true },
        { 400, "NeverHeardOf", "{\"Message\":\"ErrorCode:ArgumentNull;w\"}", 400005, true },
        { 404, "DeviceNotFound", "", 404001, false },
        { 502, "", "<html>", 502000, false },
        { 403, "", "[1]", 403000, false },
        { 403, "", "{\"error\":\"x\"}", 403000, false },
        { 403, "", "{\"Message\":7}", 403000, false },
        { 403, "", "{\"Message\":\"{\\\"Message\\\":\\\"{}\\\"}\"}", 403000, true },
        { 403, "", "{\"Message\":\"ErrorCode:\"}", 403000, true },
    };
    static uint8_t memory[65536];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct remote_http_reply reply = {
            .stage = REMOTE_HTTP_DONE,
            .status = cases[i].status,
            .body = span_str(cases[i].body),
            .error_name = span_str(cases[i].header),
        };
        struct hub_error e;
        struct arena arena;

        arena_init(&arena, memory, sizeof(memory));
        assert_true(err_is_ok(remote_hub_error_read(&arena, &reply, &e)));
        assert_int_equal(e.code, cases[i].code);
        assert_int_equal(!span_is_absent(e.message), cases[i].is_hubs);
        assert_true(!cases[i].is_hubs || span_eq(e.message, reply.body));
    }
}

/* Long ones are cut between characters. */
static void test_long(void **state)
{
    static uint8_t memory[65536];
    static char body[2 * LIMIT_ERROR_MESSAGE];
    struct remote_http_reply reply = { .stage = REMOTE_HTTP_DONE, .status = 400 };
    struct hub_error e;
    struct arena arena;

    (void)state;
    for (size_t shift = 0; shift < 2; shift++) {
        size_t n = (size_t)snprintf(body, sizeof(body), "{\"Message\":\"%s", shift ? "x" : "");

        while (n < LIMIT_ERROR_MESSAGE + 100) {
            memcpy(body + n, "\xc3\xa4", 2);
            n += 2;
        }
        memcpy(body + n, "\"}", 3);
        reply.body = span_str(body);
        arena_init(&arena, memory, sizeof(memory));
        assert_true(err_is_ok(remote_hub_error_read(&arena, &reply, &e)));
        assert_int_equal(e.message.len,
                         LIMIT_ERROR_MESSAGE - ((LIMIT_ERROR_MESSAGE - 12 - shift) % 2));
        assert_int_equal(e.message.data[e.message.len - 1], 0xa4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_envelopes),
        cmocka_unit_test(test_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
