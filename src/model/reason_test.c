/* model/reason_test.c: what clients rely on in the reason table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/reason.h"

static void test_tokens_are_unique_words(void **state)
{
    (void)state;
    for (int i = 0; i < REASON_COUNT; i++) {
        const char *token = reason_info((enum reason)i)->token;
        enum reason parsed;

        assert_true(token[0] != '\0');
        assert_int_equal(strspn(token, "abcdefghijklmnopqrstuvwxyz0123456789-"), strlen(token));
        /* Finds the first of equal tokens, so each must find itself. */
        assert_true(reason_parse(span_str(token), &parsed));
        assert_int_equal(parsed, i);
    }
}

/* C# and the embedded SDK take errorCode / 1000 for the status (reference dps-device-api.md 2.5).
 */
static void test_codes_begin_with_the_status(void **state)
{
    (void)state;
    for (int i = 0; i < REASON_COUNT; i++) {
        const struct reason_info *info = reason_info((enum reason)i);

        if (info->http_status >= 400 && info->error_code / 1000 != info->http_status) {
            fail_msg("%s: %d with status %d", info->token, info->error_code, info->http_status);
        }
        assert_in_range(info->http_status, 200, 599);
        assert_true(info->error_code == 0 ||
                    (info->error_code >= 400000 && info->error_code <= 599999));
    }
}

static void test_texts_are_there(void **state)
{
    (void)state;
    for (int i = 0; i < REASON_COUNT; i++) {
        const struct reason_info *info = reason_info((enum reason)i);

        assert_true(info->message != NULL && info->message[0] != '\0');
        assert_true(info->meaning != NULL && info->meaning[0] != '\0');
    }
}

static void test_out_of_range(void **state)
{
    enum reason parsed = REASON_GRANTED;

    (void)state;
    assert_ptr_equal(reason_info((enum reason)REASON_COUNT), reason_info(REASON_INTERNAL));
    assert_ptr_equal(reason_info((enum reason) - 1), reason_info(REASON_INTERNAL));
    assert_false(reason_parse(SPAN("no-such-token"), &parsed));
    assert_false(reason_parse(SPAN_NONE, &parsed));
    assert_int_equal(parsed, REASON_GRANTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens_are_unique_words),
        cmocka_unit_test(test_codes_begin_with_the_status),
        cmocka_unit_test(test_texts_are_there),
        cmocka_unit_test(test_out_of_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
