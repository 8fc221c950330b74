/* cmd/berth/simulate_receive_test.c: a message's properties as a person sees them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cmd/berth/simulate_receive.h"

static const struct {
    const char *properties, *shown;
} CASES[] = {
    { "", "" },
    { "%24.mid=7&%24.to=%2Fdevices%2Fd&iothub-ack=full&a%20b=1%262",
      "message ID 7, iothub-ack=full, a b=1&2" },
    { "a=%1B%5B2J", "a=?[2J" },
    { "a=%zz&b=2", "b=2" },
    { "&&a", "a" },
};

static void test_properties(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        char memory[200];
        struct buf out = buf_over(memory, sizeof(memory));

        berth_simulate_receive_properties(span_str(CASES[i].properties), &out);
        assert_string_equal(buf_cstr(&out), CASES[i].shown);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_properties) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
