/* api/manage_instance_test.c: instances, policies, linked hubs and deletions over the wire
 * (doc/wire/manage.md). */
#include "api/http_wire_test.h"

static char server_token[512];
static int hosts_changed;

static void on_hosts_changed(void)
{
    hosts_changed++;
}

static int set_up(void **state)
{
    struct policy p;
    bool is_new;
    struct buf out = buf_over(server_token, sizeof(server_token));

    (void)state;
    wire_open(&w);
    w.service.hosts_changed = on_hosts_changed;
    hosts_changed = 0;
    arena_reset(&w.arena);
    assert_true(err_is_ok(core_policy_open_server(&w.env, &p, &is_new)));
    buf_add_str(&out, "Authorization: ");
    assert_true(err_is_ok(
        sas_make(w.crypto, SPAN(WIRE_HOST), p.primary_key, p.name, w.now_ms / 1000 + 3600, &out)));
    buf_add_str(&out, "\r\n");
    (void)buf_cstr(&out);
    return 0;
}

static struct wire_reply ask(const char *method, const char *target, const char *body)
{
    return wire_ask_as(&w, POLICY_OF_INSTANCE, method, target, "", body);
}

static struct wire_reply ask_server(const char *method, const char *target, const char *body)
{
    return wire_ask(&w, method, target, server_token, body);
}

#define EXPECT(status_, call)                                                                      \
    do {                                                                                           \
        struct wire_reply reply_ = call;                                                           \
        if (reply_.status != (status_)) {                                                          \
            fail_msg("%d, not %d: %s", reply_.status, status_, reply_.body);                       \
        }                                                                                          \
    } while (0)

static void test_own_instance(void **state)
{
    struct wire_reply r = ask("GET", "/berth/v1/instance", "");
    char expected[1024];

    (void)state;
    (void)snprintf(
        expected, sizeof(expected),
        "{\"name\":\"dev\",\"id\":\"/berth/v1/instances/dev\",\"type\":"
        "\"Microsoft.Devices/ProvisioningServices\",\"properties\":{\"state\":\"Active\","
        "\"idScope\":\"%s\",\"serviceOperationsHostName\":\"localhost\","
        "\"deviceProvisioningHostName\":\"localhost\",\"allocationPolicy\":\"Hashed\","
        "\"created\":\"2030-03-17T17:46:40.0000000Z\",\"iotHubs\":[{\"name\":\"hub.localhost\","
        "\"isRemote\":false,\"allocationWeight\":1,\"applyAllocationPolicy\":true,\"draining\":"
        "false}],"
        "\"authorizationPolicies\":["
        "{\"keyName\":\"provisioningserviceowner\",\"rights\":\"ServiceConfig, EnrollmentRead, "
        "EnrollmentWrite, DeviceConnect, RegistrationStatusRead, RegistrationStatusWrite\"}]}}",
        (const char *)w.instance.id_scope.data);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, expected);
}

static void test_own_allocation_policy(void **state)
{
    static const struct {
        const char *body;
        int status;
    } cases[] = {
        { "{\"properties\":{\"allocationPolicy\":\"Static\"}}", 200 },
        { "{\"properties\":{\"allocationPolicy\":\"geoLatency\"}}", 200 },
        { "{\"properties\":{\"allocationPolicy\":\"Custom\"}}", 400 },
        { "{\"properties\":{\"allocationPolicy\":\"Best\"}}", 400 },
        { "{\"properties\":{\"allocationPolicy\":7}}", 400 },
        { "{\"properties\":{\"serviceOperationsHostName\":\"x.example\"}}", 400 },
        { "{\"properties\":{}}", 400 },
        { "{\"properties\":[]}", 400 },
        { "{}", 400 },
        { "", 400 },
    };
    struct wire_reply r;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        EXPECT(cases[i].status, ask("PATCH", "/berth/v1/instance", cases[i].body));
    }
    r = ask("GET", "/berth/v1/instance", "");
    assert_has(&r, "\"allocationPolicy\":\"GeoLatency\"");
    r = ask("PATCH", "/berth/v1/instance", "{\"properties\":{\"idScope\":\"0ne0\"}}");
    assert_has(&r, "properties.idScope cannot be set here");
}

static void test_instances(void **state)
{
    static const char *const wrong[] = {
        "",
        "{}",
        "{\"properties\":{}}",
        "{\"properties\":{\"serviceOperationsHostName\":\"no good\"}}",
        "{\"properties\":{\"serviceOperationsHostName\":7}}",
        "{\"properties\":{\"serviceOperationsHostName\":\"x.example\",\"idScope\":\"0ne1\"}}",
        "{\"properties\":{\"serviceOperationsHostName\":\"x.y\",\"allocationPolicy\":\"Custom\"}}",
    };
    struct wire_reply r;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        EXPECT(400, ask_server("PUT", "/berth/v1/instances/two", wrong[i]));
    }
    assert_int_equal(hosts_changed, 0);
    r = ask_server("PUT", "/berth/v1/instances/two",
                   "{\"properties\":{\"serviceOperationsHostName\":\"Two.example\","
                   "\"allocationPolicy\":\"Static\"}}");
    assert_int_equal(r.status, 201);
    assert_int_equal(hosts_changed, 1);
    assert_has(&r, "\"serviceOperationsHostName\":\"two.example\"");
    assert_has(&r, "\"allocationPolicy\":\"Static\"");
    assert_has(&r, "\"connectionString\":\"HostName=two.example;SharedAccessKeyName="
                   "provisioningserviceowner;SharedAccessKey=");
    EXPECT(409, ask_server("PUT", "/berth/v1/instances/two",
                           "{\"properties\":{\"serviceOperationsHostName\":\"x.example\"}}"));
    EXPECT(409, ask_server("PUT", "/berth/v1/instances/three",
                           "{\"properties\":{\"serviceOperationsHostName\":\"two.example\"}}"));
    r = ask_server("GET", "/berth/v1/instances/two", "");
    assert_int_equal(r.status, 200);
    assert_has_not(&r, "connectionString");
    assert_has_not(&r, "Key\"");
    EXPECT(404, ask_server("GET", "/berth/v1/instances/none", ""));
    r = ask_server("GET", "/berth/v1/instances", "");
    assert_has(&r, "\"name\":\"dev\"");
    assert_has(&r, "\"name\":\"two\"");
    assert_has_not(&r, "nextLink");
    EXPECT(204, ask_server("DELETE", "/berth/v1/instances/two", ""));
    EXPECT(404, ask_server("DELETE", "/berth/v1/instances/two", ""));
    assert_int_equal(hosts_changed, 2);
}

static void test_only_the_server_may(void **state)
{
    static const char *const requests[][2] = {
        { "GET", "/berth/v1/instances" },
        { "GET", "/berth/v1/instances/dev" },
        { "PUT", "/berth/v1/instances/x" },
        { "DELETE", "/berth/v1/instances/dev" },
    };
    static const char *const own[][2] = {
        { "GET", "/berth/v1/instance" },     { "PATCH", "/berth/v1/instance" },
        { "GET", "/berth/v1/policies" },     { "GET", "/berth/v1/linkedHubs" },
        { "GET", "/berth/v1/certificates" }, { "GET", "/berth/v1/hubs" },
        { "PUT", "/berth/v1/hubs/x" },       { "DELETE", "/berth/v1/hubs/x" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        EXPECT(401, ask(requests[i][0], requests[i][1], "{}"));
        EXPECT(401, wire_ask(&w, requests[i][0], requests[i][1], "", "{}"));
        /* A token for one host is of no use at another. */
        EXPECT(401, wire_ask_host(&w, "other.example", requests[i][0], requests[i][1], server_token,
                                  "{}"));
    }
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        EXPECT(401, ask_server(own[i][0], own[i][1], "{}"));
    }
}

static void test_pages(void **state)
{
    struct wire_reply r;
    char next[256];
    const char *at;
    int pages = 1, rows = 0;

    (void)state;
    for (int i = 0; i < 12; i++) {
        char path[64], body[128];

        (void)snprintf(path, sizeof(path), "/berth/v1/instances/i%d", i);
        (void)snprintf(body, sizeof(body),
                       "{\"properties\":{\"serviceOperationsHostName\":\"i%d.example\"}}", i);
        EXPECT(201, ask_server("PUT", path, body));
    }
    r = ask_server("GET", "/berth/v1/instances?top=5", "");
    for (;;) {
        for (at = r.body; (at = strstr(at, "\"idScope\"")) != NULL; at++) {
            rows++;
        }
        at = strstr(r.body, "\"nextLink\":\"");
        if (at == NULL) {
            break;
        }
        at += strlen("\"nextLink\":\"");
        (void)snprintf(next, sizeof(next), "%.*s", (int)strcspn(at, "\""), at);
        r = ask_server("GET", next, "");
        assert_int_equal(r.status, 200);
        pages++;
    }
    assert_int_equal(pages, 3);
    assert_int_equal(rows, 13);
    EXPECT(400, ask_server("GET", "/berth/v1/instances?top=0", ""));
    EXPECT(400, ask_server("GET", "/berth/v1/instances?top=1001", ""));
    EXPECT(400, ask_server("GET", "/berth/v1/instances?top=x", ""));
    r = ask_server("GET", "/berth/v1/instances?after=zzz", "");
    assert_string_equal(r.body, "{\"value\":[]}");
    r = ask("GET", "/berth/v1/certificates?top=1", "");
    assert_string_equal(r.body, "{\"value\":[]}");
}

static void test_policies(void **state)
{
    static const char path[] = "/berth/v1/policies/reader";
    static const struct {
        const char *path, *body;
        int status;
    } cases[] = {
        { path, "{}", 400 },
        { path, "{\"rights\":7}", 400 },
        { path, "{\"rights\":\"\"}", 400 },
        { path, "{\"rights\":\"Everything\"}", 400 },
        { path, "{\"rights\":\"ServerConfig\"}", 400 },
        { path, "{\"rights\":\"RegistryWrite\"}", 400 },
        { path, "{\"rights\":\"EnrollmentRead\",\"keyName\":\"other\"}", 400 },
        { path, "{\"rights\":\"EnrollmentRead\",\"primaryKey\":\"?\"}", 400 },
        { path, "{\"rights\":\"EnrollmentRead\",\"primaryKey\":\"c2hvcnQ=\"}", 400 },
        { path, "{\"rights\":\"EnrollmentRead\",\"primaryKey\":7}", 400 },
        { "/berth/v1/policies/no%20good", "{\"rights\":\"EnrollmentRead\"}", 400 },
        { path,
          "{\"rights\":\"EnrollmentRead,RegistrationStatusRead\",\"keyName\":\"reader\","
          "\"primaryKey\":\"MDEyMzQ1Njc4OWFiY2RlZg==\"}",
          200 },
    };
    struct wire_reply r;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        EXPECT(cases[i].status, ask("PUT", cases[i].path, cases[i].body));
    }
    r = ask("GET", path, "");
    assert_string_equal(
        r.body, "{\"keyName\":\"reader\",\"rights\":\"EnrollmentRead, RegistrationStatusRead\"}");
    r = ask("GET", "/berth/v1/policies", "");
    assert_has(&r, "{\"value\":[{\"keyName\":\"provisioningserviceowner\",");
    assert_has_not(&r, "primaryKey");
    r = ask("PUT", path, "{\"rights\":\"Everything\"}");
    assert_has(&r, "rights: one or more of ServiceConfig, EnrollmentRead");
    r = ask("POST", "/berth/v1/policies/reader/listkeys", "");
    assert_has(&r, "\"primaryKey\":\"MDEyMzQ1Njc4OWFiY2RlZg==\",\"secondaryKey\":\"");
    /* It may read and do nothing else, and its keys are not told to itself. */
    EXPECT(401, wire_ask_by(&w, POLICY_OF_INSTANCE, "reader", "POST",
                            "/berth/v1/policies/reader/listkeys", "", ""));
    EXPECT(401, wire_ask_by(&w, POLICY_OF_INSTANCE, "reader", "GET", "/berth/v1/policies", "", ""));

    EXPECT(400, ask("POST", "/berth/v1/policies/reader/regenerateKey", "{}"));
    EXPECT(400, ask("POST", "/berth/v1/policies/reader/regenerateKey", "{\"key\":\"third\"}"));
    EXPECT(404, ask("POST", "/berth/v1/policies/none/regenerateKey", "{\"key\":\"swap\"}"));
    r = ask("POST", "/berth/v1/policies/reader/regenerateKey", "{\"key\":\"swap\"}");
    assert_int_equal(r.status, 200);
    assert_has_not(&r, "primaryKey");
    r = ask("POST", "/berth/v1/policies/reader/listkeys", "");
    assert_has(&r, "\"secondaryKey\":\"MDEyMzQ1Njc4OWFiY2RlZg==\"");
    EXPECT(200, ask("POST", "/berth/v1/policies/reader/regenerateKey", "{\"key\":\"secondary\"}"));
    r = ask("POST", "/berth/v1/policies/reader/listkeys", "");
    assert_has_not(&r, "MDEyMzQ1Njc4OWFiY2RlZg==");

    r = ask("DELETE", "/berth/v1/policies/provisioningserviceowner", "");
    assert_int_equal(r.status, 409);
    EXPECT(409, ask("PUT", "/berth/v1/policies/provisioningserviceowner",
                    "{\"rights\":\"EnrollmentRead\"}"));
    EXPECT(204, ask("DELETE", path, ""));
    EXPECT(404, ask("DELETE", path, ""));
    EXPECT(404, ask("GET", path, ""));
    EXPECT(404, ask("POST", "/berth/v1/policies/reader/listkeys", ""));
}

static void test_linked_hubs(void **state)
{
    struct wire_reply r = ask("GET", "/berth/v1/linkedHubs", "");

    (void)state;
    assert_string_equal(
        r.body, "{\"value\":[{\"name\":\"hub.localhost\",\"isRemote\":false,\"allocationWeight\":1,"
                "\"applyAllocationPolicy\":true,\"draining\":false,\"devices\":0}]}");
    r = ask("PUT", "/berth/v1/linkedHubs/HUB.localhost",
            "{\"allocationWeight\":7,\"applyAllocationPolicy\":false,\"location\":\"here\"}");
    assert_int_equal(r.status, 200);
    r = ask("GET", "/berth/v1/linkedHubs/hub.localhost", "");
    assert_string_equal(
        r.body,
        "{\"name\":\"hub.localhost\",\"isRemote\":false,\"location\":\"here\","
        "\"allocationWeight\":7,\"applyAllocationPolicy\":false,\"draining\":false,\"devices\":0}");
    EXPECT(400, ask("PUT", "/berth/v1/linkedHubs/hub.localhost", "{\"allocationWeight\":0}"));
    EXPECT(400, ask("PUT", "/berth/v1/linkedHubs/hub.localhost", "{\"allocationWeight\":\"1\"}"));
    EXPECT(400, ask("PUT", "/berth/v1/linkedHubs/hub.localhost", "{\"location\":7}"));
    EXPECT(400, ask("PUT", "/berth/v1/linkedHubs/elsewhere.example", "{}"));
    assert_int_equal(w.task_note.reason, REASON_CONNECTION_STRING_REFUSED);
    EXPECT(204, ask("DELETE", "/berth/v1/linkedHubs/hub.localhost", ""));
    EXPECT(404, ask("DELETE", "/berth/v1/linkedHubs/hub.localhost", ""));
    EXPECT(404, ask("GET", "/berth/v1/linkedHubs/hub.localhost", ""));
    /* The server's operator made that hub. */
    EXPECT(400, ask("PUT", "/berth/v1/linkedHubs/hub.localhost", "{}"));
    assert_int_equal(w.task_note.reason, REASON_CONNECTION_STRING_REFUSED);
}

static void test_a_link_by_connection_string(void **state)
{
    struct policy owner;
    struct wire_reply r;
    bool is_found;
    char body[512];
    struct buf out = buf_over(body, sizeof(body));

    (void)state;
    EXPECT(204, ask("DELETE", "/berth/v1/linkedHubs/hub.localhost", ""));
    arena_reset(&w.arena);
    assert_true(err_is_ok(core_policy_find(&w.env, POLICY_OF_HUB, SPAN(WIRE_HUB_HOST),
                                           SPAN("iothubowner"), &owner, &is_found)));
    buf_add_str(&out, "{\"connectionString\":\"HostName=hub.localhost;SharedAccessKeyName="
                      "iothubowner;SharedAccessKey=");
    base64_encode(owner.primary_key, &out);
    buf_add_str(&out, "\"}");
    r = ask("PUT", "/berth/v1/linkedHubs/hub.localhost", buf_cstr(&out));
    assert_int_equal(r.status, 200);
    assert_has(&r, "\"connectionString\":\"HostName=hub.localhost;SharedAccessKeyName=iothubowner;"
                   "SharedAccessKey=****\"");
    /* What was shown is sent back, changed. */
    r = ask("PUT", "/berth/v1/linkedHubs/hub.localhost",
            "{\"connectionString\":\"HostName=hub.localhost;SharedAccessKeyName=iothubowner;"
            "SharedAccessKey=****\",\"allocationWeight\":9}");
    assert_int_equal(r.status, 200);
    assert_has(&r, "****");
    assert_has(&r, "\"allocationWeight\":9");
    r = ask("GET", "/berth/v1/instance", "");
    assert_has(&r, "SharedAccessKey=****\"");
}

static err put_row(struct store_tx *tx, void *arg)
{
    return store_put(tx, &KIND_DEVICE, arg);
}

static void put_device(const char *hub, const char *id)
{
    struct device d = { .hub = span_str(hub), .device_id = span_str(id) };

    assert_true(err_is_ok(store_write(w.service.store, put_row, &d)));
}

static void test_a_hub_is_deleted(void **state)
{
    struct wire_reply r;

    (void)state;
    EXPECT(200, ask("PUT", "/berth/v1/hubs/h2", "{\"hostName\":\"h2.example\"}"));
    r = ask("PUT", "/berth/v1/hubs/h2", "{\"hostName\":\"h3.example\"}");
    assert_int_equal(r.status, 409);
    assert_has(&r, "The instance has a hub of this name.");
    EXPECT(400, ask("PUT", "/berth/v1/hubs/h3", "{\"hostName\":\"0ne00a1b2c3\"}"));
    put_device("h2.example", "d");
    r = ask("DELETE", "/berth/v1/hubs/h2", "");
    assert_int_equal(r.status, 409);
    assert_has(&r, "devices");
    r = ask("GET", "/berth/v1/linkedHubs/h2.example", "");
    assert_int_equal(r.status, 200);
    EXPECT(204, ask("DELETE", "/berth/v1/hubs/h2?force=true", ""));
    EXPECT(404, ask("DELETE", "/berth/v1/hubs/h2?force=true", ""));
    EXPECT(404, ask("GET", "/berth/v1/linkedHubs/h2.example", ""));
    EXPECT(404, ask("DELETE", "/berth/v1/hubs/hub", "")); /* the server's */
    EXPECT(200, ask("PUT", "/berth/v1/hubs/h2", "{\"hostName\":\"h2.example\"}"));
    EXPECT(204, ask("DELETE", "/berth/v1/hubs/h2", "")); /* its own link is no hindrance */
}

static void test_an_instance_is_deleted_in_parts(void **state)
{
    struct wire_reply r;

    (void)state;
    for (int i = 0; i < 40; i++) { /* more than one request takes away */
        char path[64], body[64];

        (void)snprintf(path, sizeof(path), "/berth/v1/hubs/h%d", i);
        (void)snprintf(body, sizeof(body), "{\"hostName\":\"h%d.example\"}", i);
        EXPECT(200, ask("PUT", path, body));
    }
    put_device("h7.example", "d");
    EXPECT(409, ask_server("DELETE", "/berth/v1/instances/dev", ""));
    r = ask_server("DELETE", "/berth/v1/instances/dev?force=true", "");
    assert_int_equal(r.status, 202);
    assert_has(&r, "\"state\":\"Deleting\"");
    /* To its operators it is gone. */
    r = ask_server("GET", "/berth/v1/instances/dev", "");
    assert_has(&r, "\"state\":\"Deleting\"");
    EXPECT(404, wire_ask_as(&w, POLICY_OF_INSTANCE, "GET", "/berth/v1/instance", "", ""));
    EXPECT(204, ask_server("DELETE", "/berth/v1/instances/dev", ""));
    EXPECT(404, ask_server("GET", "/berth/v1/instances/dev", ""));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, wire_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_own_instance),
        TEST(test_own_allocation_policy),
        TEST(test_instances),
        TEST(test_only_the_server_may),
        TEST(test_pages),
        TEST(test_policies),
        TEST(test_linked_hubs),
        TEST(test_a_link_by_connection_string),
        TEST(test_a_hub_is_deleted),
        TEST(test_an_instance_is_deleted_in_parts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
