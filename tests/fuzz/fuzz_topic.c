// links: berth_api
/* tests/fuzz/fuzz_topic.c: user names and topics. Whatever is read lies within what was sent, and a
 * bag decodes within its size. */
#include "api/topic.h"
#include "fuzz.h"

static void assert_within(struct span part, struct span whole)
{
    FUZZ_CHECK(span_is_absent(part) || (part.data >= whole.data && part.len <= whole.len &&
                                        (size_t)(part.data - whole.data) <= whole.len - part.len));
}

static void read_users(struct span text)
{
    struct topic_dps_user dps;
    struct topic_hub_user hub;

    if (err_is_ok(topic_parse_dps_user(text, &dps))) {
        assert_within(dps.id_scope, text);
        assert_within(dps.registration_id, text);
        FUZZ_CHECK(topic_is_api_version(dps.api_version));
        FUZZ_CHECK(dps.id_scope.len > 0 && dps.registration_id.len > 0);
    }
    if (err_is_ok(topic_parse_hub_user(text, &hub))) {
        assert_within(hub.hub, text);
        assert_within(hub.device_id, text);
        assert_within(hub.module_id, text);
        assert_within(hub.api_version, text);
        assert_within(hub.model_id, text);
        FUZZ_CHECK(hub.hub.len > 0 && hub.device_id.len > 0);
    }
    (void)topic_is_dps_user(text);
}

static void read_properties(struct span bag)
{
    /* Names and values with a NUL each, at most as long as sent. */
    size_t room = 3 * bag.len + 64;
    struct hub_property properties[HUB_PROPERTIES_MAX];
    uint8_t *block = malloc(room);
    struct arena arena;
    size_t n = 0;
    err e;

    FUZZ_CHECK(block != NULL);
    arena_init(&arena, block, room);
    e = topic_parse_properties(bag, &arena, properties, &n);
    FUZZ_CHECK(err_is_ok(e) || err_is(e, ERR_TOO_LARGE));
    FUZZ_CHECK(n <= topic_count_properties(bag));
    for (size_t i = 0; i < n; i++) {
        FUZZ_CHECK(properties[i].name.len > 0);
        for (size_t k = 0; k < i; k++) {
            FUZZ_CHECK(!span_eq(properties[i].name, properties[k].name));
        }
    }
    free(block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_of(data, size);
    struct topic_method_response response;
    struct topic_dps_request request;
    struct span bag;

    read_users(text);
    if (err_is_ok(topic_parse_dps_request(text, &request))) {
        FUZZ_CHECK(request.rid.len > 0);
        assert_within(request.rid, text);
        assert_within(request.operation_id, text);
    }
    if (err_is_ok(topic_parse_telemetry(text, SPAN("d"), &bag))) {
        assert_within(bag, text);
        read_properties(bag);
    }
    if (err_is_ok(topic_parse_method_response(text, &response))) {
        FUZZ_CHECK(topic_is_method(text) && response.rid.len > 0);
        assert_within(response.rid, text);
    }
    if (err_is_ok(topic_parse_telemetry(text, SPAN("d/m"), &bag))) {
        assert_within(bag, text);
        read_properties(bag);
    }
    read_properties(text);
    return 0;
}
