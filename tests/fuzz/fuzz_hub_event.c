// links: berth_device
/* tests/fuzz/fuzz_hub_event.c: what a hub sends, as the device library reads it: topic, a newline,
 * payload. What is read lies within what was sent. */
#include <berth/hub_event.h>

#include "fuzz.h"

static void assert_within(struct span part, struct span whole)
{
    FUZZ_CHECK(part.len == 0 || (part.data >= whole.data && part.len <= whole.len &&
                                 (size_t)(part.data - whole.data) <= whole.len - part.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span payload = span_of(data, size);
    struct span topic = span_cut(&payload, '\n');
    struct berth_hub_event event;

    if (err_is_ok(berth_hub_event_decode(topic, payload, SPAN("d"), &event))) {
        assert_within(event.properties, topic);
        assert_within(event.name, topic);
        assert_within(event.request_id, topic);
        FUZZ_CHECK(event.kind != BERTH_HUB_METHOD ||
                   (event.name.len > 0 && event.request_id.len > 0));
        FUZZ_CHECK(event.version >= 0 && event.status >= 0);
    }
    return 0;
}
