// links: berth_api
/* tests/fuzz/fuzz_query.c: query texts of the service API; the first byte chooses what is listed.
 * What parses can be planned, and evaluated on a row; what does not names a character of the text.
 */
#include "api/query_eval.h"
#include "api/query_plan.h"
#include "fuzz.h"
#include "model/limits.h"

static const struct enrollment enrollment = {
    .id_scope = SPAN_INIT("s"),
    .key = SPAN_INIT("dev"),
    .id = SPAN_INIT("Dev"),
    .attestation = ATTESTATION_TPM,
    .iot_hubs = SPAN_INIT("[\"a\"]"),
    .initial_twin = SPAN_INIT("{\"tags\":{\"a\":1,\"b\":[null,\"x\"]}}"),
    .extra = SPAN_INIT("{\"optionalDeviceInformation\":{\"a\":1.5}}"),
    .etag = SPAN_INIT("e"),
};
static const struct registration registration = {
    .id_scope = SPAN_INIT("s"),
    .key = SPAN_INIT("dev"),
    .id = SPAN_INIT("Dev"),
    .status = REGISTRATION_ASSIGNED,
    .payload = SPAN_INIT("[true]"),
};

static void use(const struct env *env, const struct query *q)
{
    static uint8_t answer[16 * 1024];
    struct buf out = buf_over(answer, sizeof(answer));
    struct json_writer w = json_writer_over(&out);
    struct core_listing listing = { .id_scope = SPAN("s"), .of = q->of };
    bool is_registration = q->of == CORE_LISTING_REGISTRATIONS;
    struct query_row row = { .env = env,
                             .enrollment = is_registration ? NULL : &enrollment,
                             .registration = is_registration ? &registration : NULL };
    bool is_whole, is_met;

    FUZZ_CHECK(err_is_ok(query_plan_listing(env->arena, q, &listing, &is_whole)));
    FUZZ_CHECK(err_is_ok(query_eval_where(&row, q->where, &is_met)));
    for (size_t i = 0; i < q->n_columns; i++) {
        FUZZ_CHECK(err_is_ok(query_row_write(&row, &q->columns[i].path, q->columns[i].name, &w)));
    }
    query_row_done(&row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t block[2 * 1024 * 1024];
    struct arena arena;
    struct env env = { .arena = &arena };
    struct span text = size > 0 ? span_of(data + 1, size - 1) : SPAN("");
    enum core_listing_of of = size > 0 ? (enum core_listing_of)(1 + data[0] % 3) : 1;
    struct query q;
    unsigned at = 0;
    err e;

    arena_init(&arena, block, sizeof block);
    e = query_text_parse(&arena, text, of, &q);
    if (err_is_ok(e)) {
        use(&env, &q);
        return 0;
    }
    FUZZ_CHECK(err_is(e, ERR_MALFORMED));
    FUZZ_CHECK(sscanf(err_detail(), "At character %u:", &at) == 1);
    FUZZ_CHECK(at >= 1 && at <= text.len + 1);
    return 0;
}
