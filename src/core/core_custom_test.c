/* core/core_custom_test.c: registering by a rule; what a rule and a webhook are told. */
#include "core/fixture.h"

#include "core/loads.h"
#include "core/plan.h"

struct world {
    struct fixture f;
    struct node ca, leaf;
};

/* A second hub, linked. */
static err put_hub2(struct store_tx *tx, void *arg)
{
    const struct fixture *f = arg;
    struct hub hub = { .host_name = SPAN(TEST_HUB2), .name = SPAN("hub2") };
    struct linked_hub link = { .id_scope = f->scope,
                               .host_name = SPAN(TEST_HUB2),
                               .weight = 7,
                               .apply_allocation_policy = 1,
                               .location = SPAN("north"),
                               .has_coordinates = 1,
                               .latitude_udeg = 47376900,
                               .longitude_udeg = -8541700 };

    TRY(store_put(tx, &KIND_HUB, &hub));
    return store_put(tx, &KIND_LINKED_HUB, &link);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    fixture_open(&w->f);
    assert_ok(store_write(w->f.store, put_hub2, &w->f));
    w->ca = fixture_ca(&w->f, "ca", NULL);
    w->leaf = fixture_leaf(&w->f, "Dev-1", &w->ca);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    fixture_free(&w->leaf);
    fixture_free(&w->ca);
    fixture_close(&w->f);
    free(w);
    return 0;
}

/* Group "g" with a customAllocationDefinition, or none (NULL). */
static struct verdict put_group(struct world *w, const char *definition, const char *iot_hubs)
{
    struct fixture *f = &w->f;
    struct enrollment e = fixture_enrollment(f, ENROLLMENT_GROUP, "g", X509_SOURCE_SIGNING);

    e.x509_primary = fixture_der(f, &w->ca);
    e.allocation_policy = ALLOCATION_CUSTOM;
    e.initial_twin = SPAN("{\"tags\":{\"of\":\"enrollment\"}}");
    e.iot_hubs = span_str(iot_hubs);
    if (definition != NULL) {
        assert_ok(
            arena_printf(&f->arena, &e.extra, "{\"customAllocationDefinition\":%s}", definition));
    }
    return fixture_put(f, &e);
}

static void put_rule(struct world *w, const char *rule)
{
    char definition[1024];

    (void)snprintf(definition, sizeof definition, "{\"rule\":\"%s\"}", rule);
    assert_reason(GRANTED, put_group(w, definition, NULL));
}

static struct core_outcome come(struct world *w)
{
    return fixture_register(&w->f, "Dev-1", &w->leaf.cert, 1);
}

static void a_rule_decides(void **state)
{
    struct world *w = *state;
    struct core_outcome o;
    struct decision_row row;

    put_rule(w, "log('seen', request.deviceRuntimeContext.registrationId) return { hub = "
                "'HUB21.example', initialTwin = { tags = { of = 'rule' } }, payload = { a = 1 } }");
    o = come(w);
    assert_reason(GRANTED, o.verdict);
    assert_int_equal(o.registration.status, REGISTRATION_ASSIGNED);
    assert_int_equal(o.registration.substatus, SUBSTATUS_INITIAL_ASSIGNMENT);
    assert_span(TEST_HUB2, o.registration.assigned_hub);
    assert_span("{\"a\":1}", o.registration.payload);
    assert_span("{\"tags\":{\"of\":\"rule\"}}", fixture_placed.initial_twin);
    row = fixture_decision(&w->f);
    assert_span("granted", row.reason);
    assert_true(fixture_has(row.allocation,
                            "{\"policy\":\"custom\",\"kind\":\"rule\",\"hub\":\"" TEST_HUB2
                            "\",\"ruleSha256\":\""));
    assert_true(fixture_has(row.allocation, "\"log\":[\"seen Dev-1\"]"));
    assert_true(fixture_has(row.allocation, "\"answer\":{\"iotHubHostName\":\"HUB21.example\""));

    /* Another rule moves it; without a twin of its own the device's comes along. */
    put_rule(w, "return { hub = request.linkedHubs[1] }");
    o = come(w);
    assert_span(TEST_HUB, o.registration.assigned_hub);
    assert_span(TEST_HUB2, fixture_placed.from_hub);
    assert_true(fixture_placed.keeps_twin);
    assert_true(span_is_absent(o.registration.payload));

    /* One that gives a twin overrides the migration (reference dps-device-api.md 7). */
    put_rule(w, "return { hub = request.linkedHubs[2], initialTwin = {} }");
    o = come(w);
    assert_span(TEST_HUB2, o.registration.assigned_hub);
    assert_false(fixture_placed.keeps_twin);
    assert_span("{}", fixture_placed.initial_twin);
}

/* The device keeps its place, and learns why in words that show nothing of the script. */
static void a_rule_that_fails_fails_the_registration(void **state)
{
    static const struct {
        const char *rule, *told, *recorded;
    } cases[] = {
        { "return nothing.at.all", "Custom allocation failed: the enrollment's rule has an error.",
          "\"error\":\"rule:1: attempt to index a nil value (global 'nothing')\"" },
        { "while true do end", "Custom allocation failed: the enrollment's rule has an error.",
          "\"error\":\"rule:1: it takes too many instructions\"" },
        { "return 'elsewhere.example'",
          "Custom allocation failed: elsewhere.example is not one of the linkedHubs.",
          "\"error\":\"Custom allocation failed: elsewhere.example is not one of the "
          "linkedHubs.\"" },
        { "return { hub = request.linkedHubs[1], payload = { 1 } }",
          "Custom allocation failed: its payload is not an object.", "\"answer\":{" },
    };
    struct world *w = *state;

    put_rule(w, "return request.linkedHubs[2]");
    assert_int_equal(come(w).registration.status, REGISTRATION_ASSIGNED);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct core_outcome o;
        struct decision_row row;

        put_rule(w, cases[i].rule);
        fixture_placements = 0;
        o = come(w);
        assert_int_equal(o.registration.status, REGISTRATION_FAILED);
        assert_int_equal(o.registration.error_code, 400207);
        assert_span(cases[i].told, o.registration.error_message);
        assert_span(TEST_HUB2, o.registration.placed_hub);
        assert_int_equal(fixture_placements, 0);
        row = fixture_decision(&w->f);
        assert_span("custom-allocation-failed", row.reason);
        assert_true(fixture_has(row.allocation, cases[i].recorded));
    }
    put_rule(w, "return request.linkedHubs[2]");
    assert_int_equal(come(w).registration.status, REGISTRATION_ASSIGNED);
}

static void rules_are_compiled_when_they_are_stored(void **state)
{
    struct world *w = *state;
    struct verdict v = put_group(w, "{\"rule\":\"return 1\\nreturn return\"}", NULL);

    assert_reason(FIELD_INVALID, v);
    assert_span("customAllocationDefinition.rule does not compile: rule:2: <eof> expected near "
                "'return'.",
                v.detail);
}

/* "never" (updateHubAssignment false): a placed device is not asked about. */
static void a_placed_device_that_never_moves_is_not_asked_about(void **state)
{
    struct world *w = *state;
    struct fixture *f = &w->f;
    struct enrollment e = fixture_enrollment(f, ENROLLMENT_GROUP, "g", X509_SOURCE_SIGNING);
    struct core_outcome o;

    put_rule(w, "return request.linkedHubs[2]");
    (void)come(w);
    e.x509_primary = fixture_der(f, &w->ca);
    e.allocation_policy = ALLOCATION_CUSTOM;
    e.update_hub_assignment = e.migrate_device_data = 0;
    e.extra = SPAN("{\"customAllocationDefinition\":{\"rule\":\"error()\"}}");
    assert_reason(GRANTED, fixture_put(f, &e));
    o = come(w);
    assert_int_equal(o.registration.status, REGISTRATION_ASSIGNED);
    assert_span(TEST_HUB2, o.registration.assigned_hub);
}

static void only_hubs_that_may_be_are_offered(void **state)
{
    struct world *w = *state;
    struct core_outcome o;

    assert_reason(GRANTED, put_group(w,
                                     "{\"rule\":\"return { hub = request.linkedHubs[1], payload "
                                     "= { n = #request.hubs } }\"}",
                                     "[\"Hub21.example\"]"));
    o = come(w);
    assert_span(TEST_HUB2, o.registration.assigned_hub);
    assert_span("{\"n\":1}", o.registration.payload);
}

static struct core_plan plan(struct world *w, const struct claim *claim)
{
    struct core_reading *reading = ARENA_NEW(&w->f.arena, struct core_reading);
    struct core_plan p;

    fixture_next(&w->f);
    assert_ok(core_reading_run(&w->f.env, claim, reading));
    assert_reason(GRANTED, reading->found.verdict);
    assert_ok(core_plan_make(&w->f.env, claim, reading, &fixture_tools, &p));
    return p;
}

/* Byte for byte: webhooks of Azure's read it. */
static void a_webhook_is_told(void **state)
{
    struct world *w = *state;
    struct claim claim = fixture_claim(&w->f, "Dev-1", OPERATION_REGISTER, &w->leaf.cert, 1);
    struct core_plan p;
    struct buf expected;

    claim.payload = SPAN("{\"modelId\":\"dtmi:a;1\"}");
    assert_reason(GRANTED, put_group(w,
                                     "{\"webhookUrl\":\"https://example/f?code=key\","
                                     "\"apiVersion\":\"2021-10-01\"}",
                                     NULL));
    p = plan(w, &claim);
    assert_true(p.asks_webhook);
    assert_true(p.reason == REASON_GRANTED && span_is_absent(p.hub));
    assert_span("https://example/f?code=key", p.webhook_url);
    expected = arena_buf(&w->f.arena);
    buf_add_str(&expected, "{\"enrollmentGroup\":{\"id\":\"g\",\"version\":\"2021-10-01\"},"
                           "\"deviceRuntimeContext\":{\"registrationId\":\"Dev-1\",\"x509\":{"
                           "\"subjectName\":\"CN=Dev-1\",\"sha1Thumbprint\":\"");
    assert_true(span_starts_with(p.webhook_request, buf_span(&expected)));
    assert_true(fixture_has(p.webhook_request, "\"issuerName\":\"CN=ca\",\"notBeforeUtc\":\""));
    assert_true(fixture_has(p.webhook_request,
                            "\"version\":3},\"payload\":{\"modelId\":\"dtmi:a;1\"}},"
                            "\"linkedHubs\":[\"" TEST_HUB "\",\"" TEST_HUB2 "\"]}"));
    assert_true(fixture_has(p.allocation,
                            "{\"policy\":\"custom\",\"kind\":\"webhook\",\"pending\":true,"
                            "\"url\":\"https://example/f\",\"request\":{"));
    assert_false(fixture_has(p.allocation, "key"));
}

static void a_rule_is_told_of_hubs_and_loads(void **state)
{
    static const char hubs[] =
        "\"hubs\":[{\"hostName\":\"" TEST_HUB "\",\"weight\":1,\"down\":false,\"devices\":0},"
        "{\"hostName\":\"" TEST_HUB2 "\",\"weight\":7,\"location\":\"north\",\"latitude\":47.3769,"
        "\"longitude\":-8.5417,\"down\":false,\"devices\":1}]}";
    struct world *w = *state;
    struct decision_row row;

    put_rule(w, "return 'hub21.example'");
    (void)come(w);
    row = fixture_decision(&w->f);
    assert_true(fixture_has(row.allocation, "\"hubs\":[{"));
    assert_false(fixture_has(row.allocation, "devices")); /* it did not ask */
    put_rule(w, "local d = request.hubs[1].devices return 'hub21.example'");
    (void)come(w);
    row = fixture_decision(&w->f);
    assert_true(fixture_has(row.allocation, hubs));
    assert_true(fixture_has(row.allocation, "\"currentIotHubHostName\":\"" TEST_HUB2
                                            "\",\"currentDeviceId\":\"Dev-1\""));
}

static err count(struct fixture *f, int64_t ret_counts[2])
{
    const struct span hubs[] = { SPAN(TEST_HUB), SPAN(TEST_HUB2) };

    return core_loads_get(&f->env, f->scope, hubs, 2, ret_counts);
}

/* For a moment it is what was counted, and what was placed since. */
static void loads_are_kept_for_a_moment(void **state)
{
    struct world *w = *state;
    struct fixture *f = &w->f;
    struct core_loads *loads = core_loads_init(calloc(1, core_loads_size()));
    int64_t n[2];

    f->env.loads = loads;
    assert_ok(count(f, n));
    assert_true(n[0] == 0 && n[1] == 0);
    f->env.loads = NULL; /* as another process would */
    put_rule(w, "return 'hub21.example'");
    (void)come(w);
    f->env.loads = loads;
    assert_ok(count(f, n));
    assert_true(n[0] == 0 && n[1] == 0);
    core_loads_moved(&f->env, f->scope, SPAN_NONE, SPAN(TEST_HUB));
    core_loads_moved(&f->env, f->scope, SPAN("other.example"), SPAN(TEST_HUB));
    core_loads_moved(&f->env, f->scope, SPAN(TEST_HUB), SPAN(TEST_HUB2));
    core_loads_moved(&f->env, SPAN("0ne00000002"), SPAN_NONE, SPAN(TEST_HUB));
    assert_ok(count(f, n));
    assert_true(n[0] == 1 && n[1] == 1);
    f->env.now_ms += LIMIT_LOADS_MS;
    assert_ok(count(f, n));
    assert_true(n[0] == 0 && n[1] == 1);
    core_loads_done(loads);
    free(loads);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_rule_decides),
        CASE(a_rule_that_fails_fails_the_registration),
        CASE(rules_are_compiled_when_they_are_stored),
        CASE(a_placed_device_that_never_moves_is_not_asked_about),
        CASE(only_hubs_that_may_be_are_offered),
        CASE(a_webhook_is_told),
        CASE(a_rule_is_told_of_hubs_and_loads),
        CASE(loads_are_kept_for_a_moment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
