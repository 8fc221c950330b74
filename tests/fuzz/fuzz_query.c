// links: berth_api
/* tests/fuzz/fuzz_query.c: query texts; the first byte chooses the language: 'h' that of a hub, any
 * other that of the service API, and what is listed. What parses can be planned, and evaluated on a
 * row; what does not names a character of the text. */
#include "api/hub_query_groups.h"
#include "api/hub_query_plan.h"
#include "api/hub_query_row.h"
#include "api/query_eval.h"
#include "api/service_query_plan.h"
#include "api/service_query_row.h"
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

static const struct device device = {
    .hub = SPAN_INIT("h"),
    .device_id = SPAN_INIT("dev/mod"),
    .generation_id = SPAN_INIT("1"),
    .iot_edge = 1,
    .tags = SPAN_INIT("{\"a\":1,\"b\":{\"c\":\"x\",\"d\":[1,\"y\"]},\"e\":1.5,\"f\":true}"),
    .desired = SPAN_INIT("{\"a\":{\"b\":-3}}"),
    .parent_scopes = SPAN_INIT("[\"s\"]"),
};

static uint8_t answer[16 * 1024];

static void write_columns(struct query_row *row, const struct query *q)
{
    struct buf out = buf_over(answer, sizeof(answer));
    struct json_writer w = json_writer_over(&out);
    struct query_value v;

    for (size_t i = 0; i < q->n_columns; i++) {
        const struct query_column *c = &q->columns[i];

        if (c->aggregate == QUERY_COUNT) {
            continue;
        }
        FUZZ_CHECK(err_is_ok(query_eval_column(row, c, &v)));
        if (c->expression == NULL) {
            FUZZ_CHECK(err_is_ok(query_row_write(row, &c->path, c->name, &w)));
        }
    }
}

static void use(const struct env *env, const struct query *q, enum core_listing_of of)
{
    struct core_listing listing = { .id_scope = SPAN("s"), .of = of };
    bool is_registration = of == CORE_LISTING_REGISTRATIONS;
    struct query_row row = { .env = env,
                             .record = is_registration ? (const void *)&registration
                                                       : (const void *)&enrollment };
    bool is_whole, is_met;

    FUZZ_CHECK(err_is_ok(service_query_plan_listing(env->arena, q, &listing, &is_whole)));
    FUZZ_CHECK(err_is_ok(query_eval_where(&row, q->where, &is_met)));
    write_columns(&row, q);
    query_row_done(&row);
}

struct using
{
    const struct env *env;
    const struct query *query;
    struct bus *bus;
};

static void use_groups(const struct env *env, const struct query *q, struct query_row *row)
{
    struct buf out = buf_over(answer, sizeof(answer));
    struct json_writer w = json_writer_over(&out);
    struct hub_query_groups *groups;

    FUZZ_CHECK(err_is_ok(hub_query_groups_new(env->arena, q, &groups)));
    FUZZ_CHECK(err_is_ok(hub_query_groups_take(groups, row)));
    FUZZ_CHECK(err_is_ok(hub_query_groups_take(groups, row)));
    hub_query_groups_write(groups, &w);
}

static err use_of_hub(struct store_tx *tx, void *arg)
{
    const struct using *u = arg;
    const struct query *q = u->query;
    struct hub_listing listing = { .hub = SPAN("h"),
                                   .is_modules = q->schema == HUB_QUERY_SCHEMAS[1] };
    struct hub_query_record record = { &device, u->bus, tx };
    struct query_row row = { .env = u->env, .record = &record };
    bool is_whole, is_met;

    FUZZ_CHECK(err_is_ok(hub_query_plan_listing(u->env->arena, q, &listing, &is_whole)));
    FUZZ_CHECK(err_is_ok(query_eval_where(&row, q->where, &is_met)));
    write_columns(&row, q);
    if (q->is_aggregate) {
        use_groups(u->env, q, &row);
    }
    query_row_done(&row);
    return OK;
}

static void open_hub(struct store **ret_store, struct bus **ret_bus)
{
    static struct store *store;
    static struct bus *bus;

    if (store == NULL) {
        FUZZ_CHECK(err_is_ok(store_mem_open(&store)));
        FUZZ_CHECK(err_is_ok(bus_new(&bus)));
    }
    *ret_store = store;
    *ret_bus = bus;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t block[4 * 1024 * 1024];
    struct arena arena;
    struct env env = { .arena = &arena };
    struct span text = size > 0 ? span_of(data + 1, size - 1) : SPAN("");
    bool is_hub = size > 0 && data[0] == 'h';
    enum core_listing_of of = size > 0 ? (enum core_listing_of)(1 + data[0] % 3) : 1;
    const struct query_schema *schema = service_query_row_schema(of);
    struct query q;
    struct using u = { .env = &env, .query = &q };
    unsigned at = 0;
    err e;

    open_hub(&env.store, &u.bus);
    arena_init(&arena, block, sizeof block);
    e = is_hub ? query_text_parse(&arena, text, HUB_QUERY_SCHEMAS, HUB_QUERY_SOURCES, &q)
               : query_text_parse(&arena, text, &schema, 1, &q);
    if (err_is_ok(e) && is_hub) {
        FUZZ_CHECK(err_is_ok(store_read(env.store, use_of_hub, &u)));
        return 0;
    }
    if (err_is_ok(e)) {
        use(&env, &q, of);
        return 0;
    }
    FUZZ_CHECK(err_is(e, ERR_MALFORMED));
    FUZZ_CHECK(sscanf(err_detail(), "At character %u:", &at) == 1);
    FUZZ_CHECK(at >= 1 && at <= text.len + 1);
    return 0;
}
