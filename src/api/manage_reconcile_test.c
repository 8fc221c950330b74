/* api/manage_reconcile_test.c: draining and reconciling over the wire (doc/wire/manage.md): pages,
 * filters, what is refused, and that an item is mended or said why not. */
#include "api/http_wire_test.h"
#include "model/elsewhere.h"

#define HUB2    "hub2.localhost"
#define DEVICES "/berth/v1/linkedHubs/" WIRE_HUB_HOST "/devices"
#define OTHERS  "/berth/v1/linkedHubs/" WIRE_HUB_HOST "/identities"

static struct wire_reply ask(const char *method, const char *target, const char *body)
{
    return wire_ask_as(&w, POLICY_OF_INSTANCE, method, target, "", body);
}

#define EXPECT(expected, reply_)                                                                   \
    do {                                                                                           \
        struct wire_reply expect_ = reply_;                                                        \
        if (expect_.status != (expected)) {                                                        \
            fail_msg("%d, not %d: %s", expect_.status, expected, expect_.body);                    \
        }                                                                                          \
    } while (0)

static err put_registration(struct store_tx *tx, const char *id, const char *hub,
                            enum registration_status status)
{
    const struct registration r = { .id_scope = w.instance.id_scope,
                                    .key = span_str(id),
                                    .id = span_str(id),
                                    .status = status,
                                    .substatus = status == REGISTRATION_ASSIGNED
                                                     ? SUBSTATUS_INITIAL_ASSIGNMENT
                                                     : SUBSTATUS_NONE,
                                    .enrollment_kind = ENROLLMENT_GROUP,
                                    .enrollment = SPAN("g"),
                                    .attestation = ATTESTATION_X509,
                                    .operation_id = SPAN("5.1"),
                                    .etag = SPAN("e"),
                                    .placed_hub = span_str(hub),
                                    .placed_device_id = span_str(id),
                                    .initial_hub = span_str(hub) };

    return store_put(tx, &KIND_REGISTRATION, &r);
}

static err put_device(struct store_tx *tx, const char *hub, const char *id)
{
    const struct device d = { .hub = span_str(hub), .device_id = span_str(id) };

    return store_put(tx, &KIND_DEVICE, &d);
}

/* On the hub: d1 to d3 as they should be, d4 that belongs to the other hub, x that is nobody's. */
static err put_rows(struct store_tx *tx, void *arg)
{
    const struct hub hub2 = { .host_name = SPAN(HUB2),
                              .name = SPAN("hub2"),
                              .id_scope = w.instance.id_scope };
    const struct linked_hub link = { .id_scope = w.instance.id_scope,
                                     .host_name = SPAN(HUB2),
                                     .weight = 1,
                                     .apply_allocation_policy = 1 };
    const struct enrollment e = { .id_scope = w.instance.id_scope,
                                  .kind = ENROLLMENT_GROUP,
                                  .key = SPAN("g"),
                                  .id = SPAN("g"),
                                  .update_hub_assignment = 1 };
    static const char *const ids[] = { "d1", "d2", "d3", "d4", "x" };

    (void)arg;
    TRY(store_put(tx, &KIND_HUB, &hub2));
    TRY(store_put(tx, &KIND_LINKED_HUB, &link));
    TRY(store_put(tx, &KIND_ENROLLMENT, &e));
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        TRY(put_device(tx, WIRE_HUB_HOST, ids[i]));
        if (i < 3) {
            TRY(put_registration(tx, ids[i], WIRE_HUB_HOST, REGISTRATION_ASSIGNED));
        }
    }
    TRY(put_registration(tx, "d4", HUB2, REGISTRATION_ASSIGNED));
    TRY(put_registration(tx, "lost", WIRE_HUB_HOST, REGISTRATION_ASSIGNED));
    TRY(put_registration(tx, "waits", HUB2, REGISTRATION_ASSIGNING));
    return put_device(tx, HUB2, "d4");
}

static int set_up(void **state)
{
    (void)state;
    wire_open(&w);
    assert_true(err_is_ok(store_write(w.service.store, put_rows, NULL)));
    return 0;
}

static void test_drain(void **state)
{
    struct wire_reply r;

    (void)state;
    EXPECT(400, ask("POST", "/berth/v1/linkedHubs/" WIRE_HUB_HOST "/disconnect", ""));
    r = ask("POST", "/berth/v1/linkedHubs/HUB.localhost/drain", "");
    assert_int_equal(r.status, 200);
    assert_has(&r, "\"draining\":true,\"devices\":4");
    /* A change of the link leaves the drain alone. */
    r = ask("PUT", "/berth/v1/linkedHubs/" WIRE_HUB_HOST, "{\"allocationWeight\":2}");
    assert_has(&r, "\"draining\":true");
    r = ask("POST", "/berth/v1/linkedHubs/" WIRE_HUB_HOST "/disconnect?top=10", "");
    assert_string_equal(r.body, "{\"value\":[]}"); /* nobody is connected */
    r = ask("DELETE", "/berth/v1/linkedHubs/" WIRE_HUB_HOST "/drain", "");
    assert_has(&r, "\"draining\":false");
    EXPECT(404, ask("POST", "/berth/v1/linkedHubs/other.example/drain", ""));
    EXPECT(404, ask("POST", "/berth/v1/linkedHubs/other.example/disconnect", ""));
    EXPECT(401, wire_ask(&w, "POST", "/berth/v1/linkedHubs/" WIRE_HUB_HOST "/drain", "", ""));
}

/* The path of nextLink; "" when there is none. */
static const char *next_of(const struct wire_reply *r)
{
    static char path[1024];
    const char *at = strstr(r->body, "\"nextLink\":\"");

    if (at == NULL) {
        return "";
    }
    at += strlen("\"nextLink\":\"");
    (void)snprintf(path, sizeof(path), "%.*s", (int)strcspn(at, "\""), at);
    return path;
}

static void test_devices_in_pages(void **state)
{
    static const char *const order[] = { "d1", "d2", "d3", "lost" };
    char path[1024] = DEVICES "?top=1";
    struct wire_reply r;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        char member[64];

        r = ask("GET", path, "");
        assert_int_equal(r.status, 200);
        (void)snprintf(member, sizeof(member), "{\"value\":[{\"deviceId\":\"%s\",", order[i]);
        assert_has(&r, member);
        assert_has(&r, "\"enrollment\":{\"kind\":\"group\",\"id\":\"g\"}");
        (void)snprintf(path, sizeof(path), "%s", next_of(&r));
    }
    if (path[0] != '\0') { /* a full page does not know that it is the last */
        r = ask("GET", path, "");
        assert_string_equal(r.body, "{\"value\":[]}");
    }
    r = ask("GET", DEVICES "?missing=true", "");
    assert_has(&r, "{\"value\":[{\"deviceId\":\"lost\"");
    assert_has_not(&r, "d1");
    r = ask("GET", DEVICES "?stuck=true", "");
    assert_string_equal(r.body, "{\"value\":[]}");
    EXPECT(200, ask("POST", "/berth/v1/linkedHubs/" HUB2 "/drain", ""));
    r = ask("GET", DEVICES "?stuck=true", "");
    assert_has(&r, "\"stays\":\"no-other-hub\"");

    EXPECT(400, ask("GET", DEVICES "?top=0", ""));
    EXPECT(400, ask("GET", DEVICES "?top=x", ""));
    EXPECT(400, ask("GET", DEVICES "?continuation=AAAA", ""));
    r = ask("GET", DEVICES "?top=1", "");
    (void)snprintf(path, sizeof(path), OTHERS "?%s", strstr(next_of(&r), "continuation="));
    EXPECT(400, ask("GET", path, "")); /* of another list */
}

static void test_identities(void **state)
{
    struct wire_reply r = ask("GET", OTHERS "?differences=true", "");

    (void)state;
    assert_string_equal(r.body,
                        "{\"value\":[{\"deviceId\":\"d4\",\"difference\":\"duplicate\","
                        "\"registrationId\":\"d4\",\"placedHub\":\"" HUB2 "\"},"
                        "{\"deviceId\":\"x\",\"difference\":\"stray\",\"wasRegistered\":false}]}");
    r = ask("GET", OTHERS "?top=2", "");
    assert_has(&r, "{\"value\":[{\"deviceId\":\"d1\"},{\"deviceId\":\"d2\"}],\"nextLink\":");
    r = ask("GET", next_of(&r), "");
    assert_has(&r, "{\"value\":[{\"deviceId\":\"d3\"},{\"deviceId\":\"d4\",");
    EXPECT(404, ask("GET", "/berth/v1/linkedHubs/other.example/identities", ""));
}

static err give_hub_away(struct store_tx *tx, void *arg)
{
    const struct hub hub = { .host_name = SPAN(WIRE_HUB_HOST),
                             .name = SPAN("hub"),
                             .id_scope = SPAN("0ne0ffffff") };

    (void)arg;
    return store_put(tx, &KIND_HUB, &hub);
}

/* The hub is another's, and the link no proof that it may be read. */
static void test_anothers_hub(void **state)
{
    struct wire_reply r;

    (void)state;
    assert_true(err_is_ok(store_write(w.service.store, give_hub_away, NULL)));
    r = ask("GET", OTHERS "?differences=true", "");
    assert_int_equal(r.status, 400);
    assert_int_equal(w.task_note.reason, REASON_CONNECTION_STRING_REFUSED);
    r = ask("POST", "/berth/v1/reconcile",
            "{\"items\":[{\"kind\":\"stray\",\"hub\":\"" WIRE_HUB_HOST "\",\"deviceId\":\"x\"},"
            "{\"kind\":\"missing\",\"hub\":\"" WIRE_HUB_HOST
            "\",\"deviceId\":\"lost\",\"registrationId\":\"lost\"}]}");
    assert_has(&r, "\"deviceId\":\"x\",\"mended\":false,\"why\":\"another made this hub");
    assert_has(&r, "\"deviceId\":\"lost\",\"mended\":true"); /* its own registration */
    EXPECT(204, ask("DELETE", "/berth/v1/linkedHubs/" WIRE_HUB_HOST, ""));
    EXPECT(400, ask("GET", DEVICES "?missing=true", ""));
    r = ask("POST", "/berth/v1/reconcile",
            "{\"items\":[{\"kind\":\"missing\",\"hub\":\"" WIRE_HUB_HOST
            "\",\"deviceId\":\"d1\",\"registrationId\":\"d1\"}]}");
    assert_has(&r, "\"mended\":false,\"why\":\"the hub is not linked\"");
    r = ask("GET", "/berth/v1/reconcile/hubs", "");
    assert_has(&r, "{\"name\":\"" WIRE_HUB_HOST "\",\"linked\":false,\"where\":\"here\","
                   "\"comparable\":false,\"devices\":3}");
}

static void test_mend(void **state)
{
    static const char *const items =
        "\"items\":["
        "{\"kind\":\"missing\",\"registrationId\":\"lost\",\"hub\":\"Hub.localhost\","
        "\"deviceId\":\"lost\"},"
        "{\"kind\":\"waiting\",\"registrationId\":\"waits\"},"
        "{\"kind\":\"duplicate\",\"hub\":\"" WIRE_HUB_HOST "\",\"deviceId\":\"d4\"},"
        "{\"kind\":\"stray\",\"hub\":\"" WIRE_HUB_HOST "\",\"deviceId\":\"d1\"},"
        "{\"kind\":\"stray\",\"hub\":\"" WIRE_HUB_HOST "\",\"deviceId\":\"x\"}]}";
    struct wire_reply r;
    char body[2048];

    (void)state;
    r = ask("GET", "/berth/v1/reconcile/registrations", "");
    assert_has(&r, "{\"value\":[{\"registrationId\":\"waits\"");
    (void)snprintf(body, sizeof(body), "{\"dryRun\":true,%s", items);
    r = ask("POST", "/berth/v1/reconcile", body);
    assert_int_equal(r.status, 200);
    assert_has(&r, "\"deviceId\":\"lost\",\"wouldMend\":true}");
    r = ask("GET", OTHERS "?differences=true", "");
    assert_has(&r, "\"x\"");

    (void)snprintf(body, sizeof(body), "{%s", items);
    r = ask("POST", "/berth/v1/reconcile", body);
    assert_int_equal(r.status, 200);
    assert_has(&r, "{\"kind\":\"missing\",\"registrationId\":\"lost\",\"hub\":\"" WIRE_HUB_HOST
                   "\",\"deviceId\":\"lost\",\"mended\":true}");
    assert_has(&r, "{\"kind\":\"waiting\",\"registrationId\":\"waits\",\"mended\":true}");
    assert_has(&r, "\"deviceId\":\"d4\",\"mended\":true}");
    assert_has(&r, "\"deviceId\":\"d1\",\"mended\":false,\"why\":\"");
    assert_has(&r, "\"deviceId\":\"x\",\"mended\":true}");
    r = ask("GET", OTHERS "?differences=true", "");
    assert_string_equal(r.body, "{\"value\":[]}");
    r = ask("GET", DEVICES "?missing=true", "");
    assert_string_equal(r.body, "{\"value\":[]}");
    r = ask("GET", "/berth/v1/reconcile/registrations", "");
    assert_string_equal(r.body, "{\"value\":[]}");
    r = ask("GET", "/berth/v1/reconcile/errands", "");
    assert_string_equal(r.body, "{\"value\":[]}");
}

/* ---- a hub elsewhere ---- */

#define FAR "far.example"

static enum elsewhere_outcome far_outcome;
static int far_status;

static struct elsewhere_answer far_answer(void)
{
    return (struct elsewhere_answer){ .outcome = far_outcome,
                                      .http_status = far_status,
                                      .retry_after_ms = far_status == 429 ? 7000 : 0,
                                      .message = far_outcome == ELSEWHERE_DONE
                                                     ? SPAN_NONE
                                                     : SPAN("far words") };
}

/* "f1" and "x", then "y". */
static err far_list(void *arg, const struct env *env, const struct linked_hub *link,
                    struct span token, struct span **ret_ids, size_t *ret_n, struct span *ret_token,
                    struct elsewhere_answer *ret_answer)
{
    static struct span first[] = { SPAN_INIT("f1"), SPAN_INIT("x") };
    static struct span second[] = { SPAN_INIT("y") };

    (void)arg;
    (void)env;
    assert_true(span_eq(link->host_name, SPAN(FAR)));
    assert_false(span_is_absent(link->connection_string));
    assert_true(span_is_absent(token) || span_eq(token, SPAN("t/1=")));
    *ret_ids = span_is_absent(token) ? first : second;
    *ret_n = span_is_absent(token) ? 2 : 1;
    *ret_token = span_is_absent(token) ? SPAN("t/1=") : SPAN_NONE;
    *ret_answer = far_answer();
    return OK;
}

static err far_find(void *arg, const struct env *env, const struct linked_hub *link,
                    struct span device_id, struct device_state *ret_state, bool *ret_found,
                    struct elsewhere_answer *ret_answer)
{
    (void)arg;
    (void)env;
    (void)link;
    *ret_state = (struct device_state){ 0 };
    *ret_found = span_eq(device_id, SPAN("f1"));
    *ret_answer = far_answer();
    return OK;
}

static const struct elsewhere far = { .list = far_list, .find = far_find };

static err put_far(struct store_tx *tx, void *arg)
{
    const struct linked_hub link = {
        .id_scope = w.instance.id_scope,
        .host_name = SPAN(FAR),
        .weight = 1,
        .is_remote = 1,
        .connection_string = SPAN("HostName=" FAR ";SharedAccessKeyName=p;SharedAccessKey=aGk="),
    };

    (void)arg;
    TRY(store_put(tx, &KIND_LINKED_HUB, &link));
    for (int i = 1; i <= 9; i++) {
        char id[8];

        (void)snprintf(id, sizeof(id), "f%d", i);
        TRY(put_registration(tx, id, FAR, REGISTRATION_ASSIGNED));
    }
    return OK;
}

static struct wire_reply mend_far(const char *kind, const char *device)
{
    char body[512];

    (void)snprintf(body, sizeof(body),
                   "{\"items\":[{\"kind\":\"%s\",\"hub\":\"" FAR "\",\"deviceId\":\"%s\","
                   "\"registrationId\":\"%s\"}]}",
                   kind, device, device);
    return ask("POST", "/berth/v1/reconcile", body);
}

static void test_a_hub_elsewhere(void **state)
{
    static const char *const path = "/berth/v1/linkedHubs/" FAR "/identities";
    struct wire_reply r;

    (void)state;
    assert_true(err_is_ok(store_write(w.service.store, put_far, NULL)));
    EXPECT(429, ask("GET", path, "")); /* nobody elsewhere is talked to */
    w.service.elsewhere = &far;
    far_outcome = ELSEWHERE_DONE;
    far_status = 200;
    r = ask("GET", path, "");
    assert_int_equal(r.status, 200);
    assert_has(&r, "{\"value\":[{\"deviceId\":\"f1\"},{\"deviceId\":\"x\",\"difference\":"
                   "\"stray\",\"wasRegistered\":false}],\"nextLink\":");
    r = ask("GET", next_of(&r), "");
    assert_string_equal(r.body, "{\"value\":[{\"deviceId\":\"y\",\"difference\":\"stray\","
                                "\"wasRegistered\":false}]}");
    EXPECT(400, ask("GET", "/berth/v1/linkedHubs/" FAR "/devices?missing=true", ""));
    EXPECT(400, ask("POST", "/berth/v1/linkedHubs/" FAR "/disconnect", ""));

    r = mend_far("missing", "f1");
    assert_has(&r, "\"mended\":false,\"why\":\"the hub has the device\"");
    r = mend_far("missing", "f2");
    assert_has(&r, "\"mended\":true");
    r = mend_far("stray", "x");
    assert_has(&r, "\"mended\":true");
    r = ask("GET", path, "");
    assert_has_not(&r, "stray"); /* it is on its way out */

    far_outcome = ELSEWHERE_RETRY;
    far_status = 429;
    r = ask("GET", path, "");
    assert_int_equal(r.status, 429);
    assert_string_equal(wire_header(&r, "Retry-After"), "7");
    r = mend_far("missing", "f3");
    assert_has(&r, "\"mended\":false,\"why\":\"far words\"");
    far_outcome = ELSEWHERE_REFUSED;
    far_status = 401;
    r = ask("GET", path, "");
    assert_int_equal(r.status, 502);
    assert_has(&r, "far words");
}

static size_t count_in(const char *text, const char *part)
{
    size_t n = 0;

    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part)) {
        n++;
    }
    return n;
}

/* A request asks a hub elsewhere only so often, and no more once it failed. */
static void test_few_at_a_time(void **state)
{
    char body[2048] = "{\"dryRun\":true,\"items\":[";
    struct wire_reply r;

    (void)state;
    assert_true(err_is_ok(store_write(w.service.store, put_far, NULL)));
    w.service.elsewhere = &far;
    for (int i = 2; i <= 9; i++) {
        size_t len = strlen(body);

        (void)snprintf(body + len, sizeof(body) - len,
                       "%s{\"kind\":\"missing\",\"hub\":\"" FAR "\",\"deviceId\":\"f%d\","
                       "\"registrationId\":\"f%d\"}",
                       i > 2 ? "," : "", i, i);
    }
    (void)strcat(body, "]}");
    far_outcome = ELSEWHERE_DONE;
    far_status = 200;
    r = ask("POST", "/berth/v1/reconcile", body);
    assert_int_equal(count_in(r.body, "\"wouldMend\":true"), LIMIT_MENDED_ELSEWHERE);
    far_outcome = ELSEWHERE_RETRY;
    r = ask("POST", "/berth/v1/reconcile", body);
    assert_int_equal(count_in(r.body, "\"why\":\"far words\""), 1);
    assert_int_equal(count_in(r.body, "wouldMend"), 1);
}

static void test_bodies_that_are_refused(void **state)
{
    static const char *const bodies[] = {
        "",
        "{}",
        "{\"items\":[]}",
        "{\"items\":{}}",
        "{\"items\":[7]}",
        "{\"items\":[{\"kind\":\"all\"}]}",
        "{\"items\":[{\"kind\":\"waiting\"}]}",
        "{\"items\":[{\"kind\":\"stray\",\"hub\":\"" WIRE_HUB_HOST "\"}]}",
        "{\"items\":[{\"kind\":\"stray\",\"deviceId\":\"x\"}]}",
        "{\"items\":[{\"kind\":\"missing\",\"hub\":\"h\",\"deviceId\":\"x\"}]}",
        "{\"dryRun\":7,\"items\":[{\"kind\":\"waiting\",\"registrationId\":\"waits\"}]}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        EXPECT(400, ask("POST", "/berth/v1/reconcile", bodies[i]));
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, wire_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_drain),         TEST(test_devices_in_pages),
        TEST(test_identities),    TEST(test_anothers_hub),
        TEST(test_mend),          TEST(test_a_hub_elsewhere),
        TEST(test_few_at_a_time), TEST(test_bodies_that_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
