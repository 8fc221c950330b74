// links: berth_api
/* tests/fuzz/fuzz_telemetry_batch.c: a batch of messages over HTTPS. Of one that is taken each
 * message becomes an event or is refused; bodies are no longer than what was sent. */
#include "api/hub_http_message.h"
#include "fuzz.h"
#include "model/limits.h"

static void check_message(const json *batch, size_t i, size_t size, struct arena *arena)
{
    struct hub_message *m = ARENA_NEW(arena, struct hub_message);
    struct sink_event event;
    struct verdict v;
    err e;

    FUZZ_CHECK(m != NULL);
    *m = (struct hub_message){ .hub = SPAN("h"), .client_id = SPAN("d") };
    FUZZ_CHECK(err_is_ok(hub_http_message_read_element(batch, i, arena, m, &v)));
    if (!verdict_is_granted(v)) {
        return;
    }
    FUZZ_CHECK(m->n_properties <= HUB_PROPERTIES_MAX && m->body.len <= size);
    for (size_t k = 0; k < m->n_properties; k++) {
        FUZZ_CHECK(m->properties[k].name.len > 0);
    }
    e = hub_message_event(m, arena, &event);
    FUZZ_CHECK(err_is_ok(e) || err_is(e, ERR_TOO_LARGE));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t room = 64 * 1024 + 64 * size;
    uint8_t *block = malloc(room);
    AUTO(json) json *batch = NULL;
    struct arena arena;
    struct verdict v;

    FUZZ_CHECK(block != NULL);
    arena_init(&arena, block, room);
    (void)hub_http_message_key(span_of(data, size));
    (void)hub_http_message_is_batch(span_of(data, size));
    FUZZ_CHECK(err_is_ok(hub_http_message_parse_batch(span_of(data, size), &arena, &batch, &v)));
    FUZZ_CHECK(verdict_is_granted(v) == (batch != NULL));
    for (size_t i = 0; i < json_array_len(batch); i++) {
        size_t mark = arena.used;

        check_message(batch, i, size, &arena);
        arena.used = mark;
    }
    free(block);
    return 0;
}
