/* core/custom_answer_test.c: answers of webhooks and rules, good and bad, and what is kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "core/custom.h"
#include "model/limits.h"

#define REQUEST "{\"linkedHubs\":[\"Hub1.example\",\"hub2.example\"]}"

static uint8_t block[1024 * 1024];

static void assert_text(const char *expected, struct span s)
{
    char text[2048];

    (void)snprintf(text, sizeof text, "%.*s", SPAN_FMT(s));
    assert_string_equal(expected, text);
}

static void answers_are_judged(void **state)
{
    static const struct {
        const char *answer;
        const char *wrong; /* "": good */
        const char *hub, *twin, *payload;
    } cases[] = {
        { "{\"iotHubHostName\":\"hub2.example\"}", "", "hub2.example", "", "" },
        { "{\"iotHubHostName\":\"HUB1.EXAMPLE\",\"initialTwin\":null,\"payload\":null,\"x\":1}", "",
          "hub1.example", "", "" },
        { " {\"iotHubHostName\":\"hub2.example\",\"initialTwin\":{\"tags\":{\"a\":1},"
          "\"properties\":"
          "{\"desired\":{\"b\":null},\"reported\":{}}},\"payload\":{\"c\":[1.5]}} ",
          "", "hub2.example", "{\"tags\":{\"a\":1},\"properties\":{\"desired\":{\"b\":null}}}",
          "{\"c\":[1.5]}" },
        { "", "the answer is not a JSON object.", "", "", "" },
        { "OK", "the answer is not a JSON object.", "", "", "" },
        { "[\"hub2.example\"]", "the answer is not a JSON object.", "", "", "" },
        { "{\"iotHubHostName\":\"hub2.example\"", "the answer is not a JSON object.", "", "", "" },
        { "{\"iotHubHostName\":\"hub2.example\",\"iotHubHostName\":\"hub2.example\"}",
          "the answer is not a JSON object.", "", "", "" },
        { "{}", "the answer names no iotHubHostName.", "", "", "" },
        { "{\"iotHubHostName\":\"\"}", "the answer names no iotHubHostName.", "", "", "" },
        { "{\"iotHubHostName\":7}", "the answer names no iotHubHostName.", "", "", "" },
        { "{\"iotHubHostName\":\"hub3.example\"}", "hub3.example is not one of the linkedHubs.", "",
          "", "" },
        { "{\"iotHubHostName\":\"hub3 example\\n\"}", "its iotHubHostName is not a host name.", "",
          "", "" },
        { "{\"iotHubHostName\":\"hub2.example\",\"initialTwin\":[]}",
          "its initialTwin is not an object.", "", "", "" },
        { "{\"iotHubHostName\":\"hub2.example\",\"initialTwin\":{\"tags\":[]}}",
          "its initialTwin is not {\"tags\":{…},\"properties\":{\"desired\":{…}}}.", "", "", "" },
        { "{\"iotHubHostName\":\"hub2.example\",\"initialTwin\":{\"properties\":{\"desired\":3}}}",
          "its initialTwin is not {\"tags\":{…},\"properties\":{\"desired\":{…}}}.", "", "", "" },
        { "{\"iotHubHostName\":\"hub2.example\",\"payload\":\"text\"}",
          "its payload is not an object.", "", "", "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct arena arena;
        struct core_custom_answer answer = { 0 };
        struct span wrong;
        char expected[256] = "";

        arena_init(&arena, block, sizeof block);
        if (cases[i].wrong[0] != '\0') {
            (void)snprintf(expected, sizeof expected, "Custom allocation failed: %s",
                           cases[i].wrong);
        }
        assert_true(err_is_ok(core_custom_read_answer(&arena, SPAN(REQUEST),
                                                      span_str(cases[i].answer), &answer, &wrong)));
        assert_text(expected, wrong);
        assert_text(cases[i].hub, answer.hub);
        assert_text(cases[i].twin, answer.initial_twin);
        assert_text(cases[i].payload, answer.payload);
    }
}

/* {"iotHubHostName":…, name: {"a":"xxx…"}} of a text of n bytes. */
static struct span big_answer(const char *name, size_t n)
{
    static char text[256 * 1024];
    int head = snprintf(text, sizeof text, "{\"iotHubHostName\":\"hub2.example\",\"%s\":%s", name,
                        "{\"tags\":{\"a\":\"");

    memset(text + head, 'x', n);
    (void)snprintf(text + head + n, sizeof(text) - (size_t)head - n, "\"}}}");
    return span_str(text);
}

static void large_answers_are_refused(void **state)
{
    static const struct {
        const char *name;
        size_t fits; /* bytes of text */
    } cases[] = {
        { "initialTwin", LIMIT_INITIAL_TWIN - sizeof("{\"tags\":{\"a\":\"\"}}") + 1 },
        { "payload", LIMIT_CUSTOM_PAYLOAD - sizeof("{\"tags\":{\"a\":\"\"}}") + 1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t over = 0; over < 2; over++) {
            struct arena arena;
            struct core_custom_answer answer;
            struct span wrong;

            arena_init(&arena, block, sizeof block);
            assert_true(err_is_ok(core_custom_read_answer(
                &arena, SPAN(REQUEST), big_answer(cases[i].name, cases[i].fits + over), &answer,
                &wrong)));
            assert_int_equal(over == 1, !span_is_absent(wrong));
        }
    }
}

static void a_request_that_is_none_is_a_fault(void **state)
{
    struct arena arena;
    struct core_custom_answer answer;
    struct span wrong;

    (void)state;
    arena_init(&arena, block, sizeof block);
    assert_true(
        err_is(core_custom_read_answer(&arena, SPAN("nothing"), SPAN("{}"), &answer, &wrong),
               ERR_CORRUPT));
}

static void a_webhook_fails_in_azures_words(void **state)
{
    struct arena arena;
    struct span text;

    (void)state;
    arena_init(&arena, block, sizeof block);
    assert_true(err_is_ok(core_custom_webhook_failed(&arena, 400, &text)));
    assert_text("Custom allocation failed with status code: 400", text);
    assert_true(err_is_ok(core_custom_webhook_failed(&arena, 0, &text)));
    assert_text("Custom allocation failed: the webhook did not answer.", text);
}

static void transcripts_are_bounded_and_keep_no_key(void **state)
{
    static char large[LIMIT_TRANSCRIPT_PART + 2];
    const struct core_custom_transcript webhook = {
        .kind = CORE_CUSTOM_WEBHOOK,
        .url = SPAN("https://example/api?code=secret"),
        .request = SPAN(REQUEST),
        .answer = SPAN("<html>\x01\xff"),
        .error = SPAN("No."),
        .duration_us = 5,
        .tries = 2,
    };
    const struct core_custom_transcript rule = {
        .kind = CORE_CUSTOM_RULE,
        .request = SPAN(REQUEST),
        .answer = SPAN("{\"iotHubHostName\": \"hub2.example\"}"),
        .hub = SPAN("hub2.example"),
        .log = SPAN("[\"a line\"]"),
        .rule_sha256 = SPAN("\x01\xab"),
        .duration_us = 7,
    };
    struct core_custom_transcript bounded = { .kind = CORE_CUSTOM_WEBHOOK, .is_pending = true };
    struct arena arena;
    struct span text;

    (void)state;
    arena_init(&arena, block, sizeof block);
    assert_true(err_is_ok(core_custom_record(&arena, &webhook, &text)));
    assert_text("{\"policy\":\"custom\",\"kind\":\"webhook\",\"error\":\"No.\",\"url\":"
                "\"https://example/api\",\"request\":" REQUEST
                ",\"answerText\":\"<html>\\u0001\xef\xbf\xbd\",\"tries\":2,"
                "\"durationMicroseconds\":5}",
                text);
    assert_true(err_is_ok(core_custom_record(&arena, &rule, &text)));
    assert_text("{\"policy\":\"custom\",\"kind\":\"rule\",\"hub\":\"hub2.example\","
                "\"ruleSha256\":\"01AB\",\"request\":" REQUEST
                ",\"answer\":{\"iotHubHostName\":\"hub2.example\"},\"log\":[\"a line\"],"
                "\"durationMicroseconds\":7}",
                text);
    memset(large, ' ', sizeof large - 1);
    bounded.request = bounded.answer = span_str(large);
    assert_true(err_is_ok(core_custom_record(&arena, &bounded, &text)));
    assert_text("{\"policy\":\"custom\",\"kind\":\"webhook\",\"pending\":true,"
                "\"requestBytes\":32769,\"answerBytes\":32769}",
                text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_judged),
        cmocka_unit_test(large_answers_are_refused),
        cmocka_unit_test(a_request_that_is_none_is_a_fault),
        cmocka_unit_test(a_webhook_fails_in_azures_words),
        cmocka_unit_test(transcripts_are_bounded_and_keep_no_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
