// links: berth_device
/* tests/fuzz/fuzz_device_response.c: what a provisioning service answers, as the device library
 * reads it: topic, a newline, payload. Texts taken from it end within their members. */
#include <berth/provisioning.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span payload = span_of(data, size);
    struct span topic = span_cut(&payload, '\n');
    struct berth_provisioning_result result;

    if (err_is_ok(berth_provisioning_decode_response(topic, payload, &result))) {
        FUZZ_CHECK(memchr(result.operation_id, 0, sizeof result.operation_id) != NULL);
        FUZZ_CHECK(memchr(result.assigned_hub, 0, sizeof result.assigned_hub) != NULL);
        FUZZ_CHECK(memchr(result.device_id, 0, sizeof result.device_id) != NULL);
    }
    return 0;
}
