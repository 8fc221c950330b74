// links: berth_api
/* tests/fuzz/fuzz_dps_body.c: the body of a registration. A payload that is taken is canonical: as
 * the payload of another body it comes out the same. */
#include "api/dps_json.h"
#include "fuzz.h"

static enum reason parse(struct span text, struct arena *arena, struct dps_json_body *ret_body)
{
    struct verdict v;

    FUZZ_CHECK(err_is_ok(dps_json_parse_body(text, SPAN("dev1"), arena, ret_body, &v)));
    return v.reason;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A real or an escape may grow to six times its length and more. */
    size_t room = 4096 + 128 * size;
    uint8_t *block = malloc(room);
    struct dps_json_body first, again;
    struct arena arena;
    struct span text;

    FUZZ_CHECK(block != NULL);
    arena_init(&arena, block, room);
    if (parse(span_of(data, size), &arena, &first) == REASON_GRANTED &&
        !span_is_absent(first.payload)) {
        FUZZ_CHECK(
            err_is_ok(arena_printf(&arena, &text, "{\"payload\":%.*s}", SPAN_FMT(first.payload))));
        if (parse(text, &arena, &again) == REASON_GRANTED) { /* or too large by now */
            FUZZ_CHECK(span_eq(first.payload, again.payload));
        }
    }
    free(block);
    return 0;
}
