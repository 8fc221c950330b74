/* device/src/hub_event_test.c: topics as real hubs send them, and cut short. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "berth/hub_event.h"

static const struct {
    const char *topic;
    enum err_code code;
    struct berth_hub_event event;
} CASES[] = {
    { "devices/d/messages/devicebound/%24.mid=1&a=b",
      ERR_NONE,
      { BERTH_HUB_MESSAGE, .properties = SPAN_INIT("%24.mid=1&a=b") } },
    { "devices/d/messages/devicebound/", ERR_NONE, { BERTH_HUB_MESSAGE, .properties = { 0 } } },
    { "devices/d/messages/devicebound", ERR_NONE, { BERTH_HUB_MESSAGE, .properties = { 0 } } },
    { "devices/d/messages/deviceboundary", ERR_UNSUPPORTED, { 0 } },
    { "devices/other/messages/devicebound/", ERR_UNSUPPORTED, { 0 } },
    { "devices/d", ERR_UNSUPPORTED, { 0 } },
    { "$iothub/methods/POST/reboot/?$rid=a1",
      ERR_NONE,
      { BERTH_HUB_METHOD, .name = SPAN_INIT("reboot"), .request_id = SPAN_INIT("a1") } },
    { "$iothub/methods/POST/reboot/?$rid=", ERR_MALFORMED, { 0 } },
    { "$iothub/methods/POST/reboot/", ERR_MALFORMED, { 0 } },
    { "$iothub/methods/POST/reboot", ERR_MALFORMED, { 0 } },
    { "$iothub/methods/POST//?$rid=1", ERR_MALFORMED, { 0 } },
    { "$iothub/twin/PATCH/properties/desired/?$version=15",
      ERR_NONE,
      { BERTH_HUB_DESIRED, .version = 15 } },
    { "$iothub/twin/PATCH/properties/desired/?$version=", ERR_MALFORMED, { 0 } },
    { "$iothub/twin/PATCH/properties/desired/?$version=-1", ERR_MALFORMED, { 0 } },
    { "$iothub/twin/res/200/?$rid=r",
      ERR_NONE,
      { BERTH_HUB_TWIN, .request_id = SPAN_INIT("r"), .status = 200 } },
    { "$iothub/twin/res/204/?$rid=0&$version=2",
      ERR_NONE,
      { BERTH_HUB_TWIN, .request_id = SPAN_INIT("0"), .status = 204 } },
    { "$iothub/twin/res/", ERR_MALFORMED, { 0 } },
    { "$iothub/twin/res/200", ERR_MALFORMED, { 0 } },
    { "$iothub/other", ERR_UNSUPPORTED, { 0 } },
    { "", ERR_UNSUPPORTED, { 0 } },
};

static void test_decode(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct berth_hub_event e = { 0 }, expected = CASES[i].event;
        err result = berth_hub_event_decode(span_str(CASES[i].topic), SPAN("x"), SPAN("d"), &e);

        if (!err_is(result, CASES[i].code)) {
            fail_msg("%s: %s", CASES[i].topic, err_name(result));
        }
        assert_int_equal(e.kind, expected.kind);
        assert_true(span_eq(e.properties, expected.properties));
        assert_true(span_eq(e.name, expected.name));
        assert_true(span_eq(e.request_id, expected.request_id));
        assert_int_equal(e.version, expected.version);
        assert_int_equal(e.status, expected.status);
        assert_true(e.kind == 0 || span_eq(e.payload, SPAN("x")));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_decode) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
