// links: berth_api
/* tests/fuzz/fuzz_c2d.c: an address as a back end writes it, and a message's topic: whatever a
 * sender may send is a topic that reads back, without wildcards. Input: lines of address, message
 * ID, content type and a value. */
#include "api/hub_c2d_text.h"
#include "api/topic.h"
#include "fuzz.h"
#include "hub/lock_token.h"

enum { ROOM = 1024 * 1024 };

/* What was put in is in the bag, or is empty. */
static void assert_has(const struct hub_property *properties, size_t n, struct span name,
                       struct span value)
{
    bool has = value.len == 0;

    for (size_t i = 0; i < n; i++) {
        has = has || (span_eq(properties[i].name, name) && span_eq(properties[i].value, value));
    }
    FUZZ_CHECK(has);
}

static void write_topic(struct span client_id, struct span parts, struct arena *arena)
{
    struct c2d_message m = { .client_id = client_id, .target = SPAN("t") };
    struct hub_property properties[HUB_PROPERTIES_MAX];
    uint8_t prefix_bytes[HUB_C2D_TEXT_PREFIX_MAX];
    struct buf prefix = buf_over(prefix_bytes, sizeof(prefix_bytes));
    struct span topic;
    size_t n;

    m.message_id = span_cut(&parts, '\n');
    m.content_type = span_cut(&parts, '\n');
    m.user_id = span_cut(&parts, '\n');
    if (!err_is_ok(hub_c2d_text_topic(&m, arena, &topic))) {
        return; /* too long for the arena */
    }
    hub_c2d_text_prefix(client_id, &prefix);
    FUZZ_CHECK(err_is_ok(buf_ok(&prefix)) && span_starts_with(topic, buf_span(&prefix)));
    topic = span_from(topic, prefix.len);
    FUZZ_CHECK(!span_ends_with(topic, SPAN("/")) && span_find(topic, '#') == topic.len &&
               span_find(topic, '+') == topic.len && span_find(topic, '/') == topic.len);
    if (err_is_ok(topic_parse_properties(topic, arena, properties, &n))) {
        assert_has(properties, n, SPAN("$.mid"), m.message_id);
        assert_has(properties, n, SPAN("$.to"), m.target);
        assert_has(properties, n, SPAN("$.ct"), m.content_type);
        assert_has(properties, n, SPAN("$.uid"), m.user_id);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_of(data, size);
    struct span to = span_cut(&text, '\n');
    struct span client_id;
    struct arena arena;
    int64_t sequence = 0;
    void *block = malloc(ROOM);

    FUZZ_CHECK(block != NULL);
    arena_init(&arena, block, ROOM);
    if (err_is_ok(hub_c2d_text_parse_to(to, &arena, &client_id))) {
        FUZZ_CHECK(client_id.len > 0 && client_id.len <= LIMIT_CLIENT_ID);
        write_topic(client_id, text, &arena);
    }
    if (lock_token_sequence(to, &sequence)) {
        FUZZ_CHECK(sequence >= 0 && sequence < INT64_C(1) << 48);
    }
    free(block);
    return 0;
}
