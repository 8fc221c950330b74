/* api/service_http_test.c: the service API over the wire: who may do what, enrollments in all the
 * spellings of the SDKs, preconditions. */
#include "api/service_wire_test.h"
#include "core/certificate.h"

static void test_life_of_an_individual_enrollment(void **state)
{
    struct wire_reply r;
    char expected[1024];

    (void)state;
    r = ask("GET", "/enrollments/d1" V, "", "");
    assert_int_equal(r.status, 404);
    assert_has(&r, "\"errorCode\":404201");
    r = ask("PUT", "/enrollments/d1" V, "Content-Type: application/json; charset=utf-8\r\n",
            individual("D1", pem, ",\"deviceId\":\"dev-1\""));
    assert_int_equal(r.status, 200);
    assert_has(&r, "{\"registrationId\":\"D1\",\"deviceId\":\"dev-1\",\"attestation\":");
    (void)snprintf(expected, sizeof(expected),
                   "{\"type\":\"x509\",\"x509\":{\"clientCertificates\":{\"primary\":{\"info\":"
                   "{\"subjectName\":\"CN=d1\",\"sha1Thumbprint\":\"");
    assert_has(&r, expected);
    (void)snprintf(expected, sizeof(expected),
                   "\"sha256Thumbprint\":\"%s\",\"issuerName\":\"CN=d1\",\"notBeforeUtc\":"
                   "\"2030-03-16T17:46:40.0000000Z\",\"notAfterUtc\":"
                   "\"2030-03-18T17:46:40.0000000Z\",\"serialNumber\":\"",
                   thumbprint);
    assert_has(&r, expected);
    assert_has(&r, "\",\"version\":3}}}}},\"capabilities\":{\"iotEdge\":false},\"etag\":\"\\\"");
    assert_has(&r, "\"provisioningStatus\":\"enabled\",\"reprovisionPolicy\":"
                   "{\"updateHubAssignment\":true,\"migrateDeviceData\":true},"
                   "\"createdDateTimeUtc\":\"2030-03-17T17:46:40.0000000Z\","
                   "\"lastUpdatedDateTimeUtc\":\"2030-03-17T17:46:40.0000000Z\"}");
    assert_has_not(&r, "null");
    assert_has_not(&r, "\"certificate\"");
    assert_has_not(&r, "allocationPolicy");
    r = ask("GET", "/ENROLLMENTS/%64%31/" V, "", "");
    assert_int_equal(r.status, 200);
    assert_has(&r, "\"registrationId\":\"D1\"");
    assert_has_not(&r, "registrationState");
    r = ask("POST", "/enrollments/d1/attestationmechanism" V, "Content-Type: application/json\r\n",
            "");
    assert_int_equal(r.status, 200);
    assert_int_equal(strncmp(r.body, "{\"type\":\"x509\",\"x509\":{\"clientCertificates\"", 41), 0);
    r = ask("DELETE", "/enrollments/d1" V, "", "");
    assert_int_equal(r.status, 204);
    assert_null(wire_header(&r, "Content-Length"));
    assert_null(wire_header(&r, "Content-Type"));
    r = ask("DELETE", "/enrollments/d1" V, "", "");
    assert_int_equal(r.status, 404);
}

static void test_paths_as_the_sdks_spell_them(void **state)
{
    static const struct {
        const char *method, *target, *body;
        int status;
    } cases[] = {
        { "POST", "/enrollmentgroups/g1/attestationmechanism" V, "", 200 },
        { "POST", "/enrollmentGroups/g1/attestationmechanism" V, "{}", 200 },
        { "GET", "/enrollmentGroups/g1/" V, "", 200 },
        { "GET", "/enrollmentGroups/G%31" V, "", 200 },
        { "GET", "/enrollmentGroups/query" V, "", 404 },
        { "DELETE", "/enrollmentGroups/query" V, "", 404 },
        { "POST", "/enrollmentGroups/query" V, "", 200 },
        { "POST", "/enrollments/query/" V, "{}", 200 },
        { "POST", "/registrations/g1/query" V, "", 200 },
        { "GET", "/registrations/x:y" V, "", 404 },
        { "GET", "/registrations/x%3ay" V, "", 404 },
        { "POST", "/enrollments/" V, "{\"mode\":\"create\",\"enrollments\":[]}", 200 },
        { "POST", "/enrollmentGroups" V, "{\"mode\":\"Delete\",\"enrollmentGroups\":[]}", 200 },
    };
    struct wire_reply r;

    (void)state;
    make_certificate("ca", true);
    r = ask("PUT", "/enrollmentGroups/g1" V, "", group("g1", ""));
    assert_int_equal(r.status, 200);
    assert_has(&r, "{\"enrollmentGroupId\":\"g1\",\"attestation\":{\"type\":\"x509\",\"x509\":"
                   "{\"signingCertificates\":{\"primary\":{\"info\":{");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        print_message("%s %s\n", cases[i].method, cases[i].target);
        r = ask(cases[i].method, cases[i].target, "Content-Type: application/json\r\n",
                cases[i].body);
        assert_int_equal(r.status, cases[i].status);
    }
    r = ask("DELETE", "/enrollmentgroups/g1" V, "", "");
    assert_int_equal(r.status, 204);
}

static void test_certificates_in_four_spellings(void **state)
{
    const char *const spellings[] = { pem, der64, pem64, der6464 };

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct wire_reply r = ask("PUT", "/enrollments/d1" V, i > 0 ? "If-Match: *\r\n" : "",
                                  individual("d1", spellings[i], ""));

        assert_int_equal(r.status, 200);
        assert_has(&r, thumbprint);
    }
}

static void test_what_was_got_can_be_put_back(void **state)
{
    static const char extra[] =
        ",\"optionalDeviceInformation\":{\"a\":[1,{\"b\":null}]},\"iotHubHostName\":\"hub."
        "localhost\","
        "\"ofTomorrow\":\"abc\",\"provisioningStatus\":\"disabled\","
        "\"initialTwin\":{\"tags\":{\"t\":1},\"properties\":{\"desired\":{\"x\":1.5}}},"
        "\"capabilities\":{\"iotEdge\":true},\"allocationPolicy\":\"geoLatency\","
        "\"reprovisionPolicy\":{\"updateHubAssignment\":false,\"migrateDeviceData\":true}";
    struct wire_reply r = ask("PUT", "/enrollments/d1" V, "", individual("d1", pem, extra));
    char *body, header[256], *changed;

    (void)state;
    assert_int_equal(r.status, 200);
    r = ask("GET", "/enrollments/d1" V, "", "");
    body = strdup(r.body);
    assert_non_null(body);
    (void)snprintf(header, sizeof(header), "If-Match: %s\r\n", etag_of(&r));
    w.now_ms += 1000;
    r = ask("PUT", "/enrollments/d1" V, header, body);
    assert_int_equal(r.status, 200);
    /* All the same but for the etag and the time of the update. */
    assert_has(&r, thumbprint);
    changed = strndup(strstr(body, "\"capabilities\""), 100);
    assert_non_null(changed);
    changed[strcspn(changed, "\\")] = '\0';
    assert_has(&r, changed);
    free(changed);
    assert_has(&r, "\"provisioningStatus\":\"disabled\",\"reprovisionPolicy\":"
                   "{\"updateHubAssignment\":false,\"migrateDeviceData\":true},"
                   "\"createdDateTimeUtc\":\"2030-03-17T17:46:40.0000000Z\","
                   "\"lastUpdatedDateTimeUtc\":\"2030-03-17T17:46:41.0000000Z\","
                   "\"allocationPolicy\":\"geoLatency\",\"iotHubs\":[\"hub.localhost\"],"
                   "\"iotHubHostName\":\"hub.localhost\","
                   "\"optionalDeviceInformation\":{\"a\":[1,{\"b\":null}]},"
                   "\"ofTomorrow\":\"abc\"}");
    /* The former etag is void now. */
    r = ask("PUT", "/enrollments/d1" V, header, body);
    assert_int_equal(r.status, 412);
    free(body);
}

static void test_preconditions(void **state)
{
    static const struct {
        const char *method, *target, *if_match; /* "$": the current etag */
        int status;
    } cases[] = {
        { "PUT", "/enrollments/d2" V, "If-Match: *\r\n", 412 },
        { "PUT", "/enrollments/d2" V, "If-Match: \"x\"\r\n", 412 },
        { "PUT", "/enrollments/d1" V, "", 200 },
        { "PUT", "/enrollments/d1" V, "", 409 },
        { "PUT", "/enrollments/d1" V, "If-Match: \"other\"\r\n", 412 },
        { "PUT", "/enrollments/d1" V, "If-Match: *\r\n", 200 },
        { "PUT", "/enrollments/d1" V, "If-Match: \"*\"\r\n", 200 },
        { "PUT", "/enrollments/d1" V, "If-Match: $\r\n", 200 },
        { "PUT", "/enrollments/d1" V, "If-Match: W/$\r\n", 200 },
        { "PUT", "/enrollments/d1" V, "If-Match:\r\n", 409 },
        { "DELETE", "/enrollments/d1" V, "If-Match: \"other\"\r\n", 412 },
        { "DELETE", "/enrollments/d1" V, "If-Match: $\r\n", 204 },
        { "DELETE", "/enrollments/d1" V, "If-Match: *\r\n", 404 },
        { "PUT", "/enrollments/d1" V, "", 200 },
        { "DELETE", "/enrollments/d1" V, "", 204 },
    };
    char etag[256] = "";

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *mark = strchr(cases[i].if_match, '$');
        bool is_put = strcmp(cases[i].method, "PUT") == 0;
        char header[512];
        struct wire_reply r;

        (void)snprintf(header, sizeof(header), "%.*s%s%s",
                       (int)(mark ? mark - cases[i].if_match : 0), cases[i].if_match,
                       mark ? etag : "", mark ? mark + 1 : cases[i].if_match);
        print_message("%s %s %s\n", cases[i].method, cases[i].target, cases[i].if_match);
        r = ask(cases[i].method, cases[i].target, header,
                is_put ? individual(strstr(cases[i].target, "d2") ? "d2" : "d1", pem, "") : "");
        assert_int_equal(r.status, cases[i].status);
        if (is_put && r.status == 200) {
            (void)snprintf(etag, sizeof(etag), "%s", etag_of(&r));
        }
    }
}

#define KEYS(primary, secondary)                                                                   \
    "{\"registrationId\":\"d1\",\"attestation\":{\"type\":\"symmetricKey\",\"symmetricKey\":{"     \
    "\"primaryKey\":\"" primary "\",\"secondaryKey\":\"" secondary "\"}}}"

static void test_symmetric_keys(void **state)
{
    static const char shown[] = "\"attestation\":{\"type\":\"symmetricKey\",\"symmetricKey\":{"
                                "\"primaryKey\":\"MDEyMzQ1Njc4OWFiY2RlZg==\","
                                "\"secondaryKey\":\"ZmVkY2JhOTg3NjU0MzIxMA==\"}}";
    static const char hidden[] = "\"attestation\":{\"type\":\"symmetricKey\"}";
    static const char no_keys[] =
        "{\"registrationId\":\"d1\",\"attestation\":{\"type\":\"symmetricKey\"}}";
    struct wire_reply r;

    (void)state;
    r = ask("PUT", "/enrollments/d1" V, "",
            KEYS("MDEyMzQ1Njc4OWFiY2RlZg==", "ZmVkY2JhOTg3NjU0MzIxMA=="));
    assert_int_equal(r.status, 200);
    assert_has(&r, shown);
    r = ask("PUT", "/enrollments/d1" V, "If-Match: *\r\n", no_keys); /* keeps them */
    assert_has(&r, shown);
    r = ask("GET", "/enrollments/d1" V, "", "");
    assert_has(&r, hidden);
    r = ask("POST", "/enrollments/query" V, "", "{\"query\":\"SELECT *\"}");
    assert_has(&r, hidden);
    r = ask("POST", "/enrollments/d1/attestationmechanism" V, "", "");
    assert_has(&r, "{\"type\":\"symmetricKey\",\"symmetricKey\":{\"primaryKey\":\"MDEyMzQ1");
    /* Another kind of proof and back again: fresh keys. */
    r = ask("PUT", "/enrollments/d1" V, "If-Match: *\r\n", individual("d1", pem, ""));
    assert_int_equal(r.status, 200);
    assert_has(&r, "\"type\":\"x509\"");
    r = ask("PUT", "/enrollments/d1" V, "If-Match: *\r\n", no_keys);
    assert_int_equal(r.status, 200);
    assert_has(&r, "\"primaryKey\":\"");
    assert_null(strstr(r.body, "MDEyMzQ1"));
}

static void test_bodies_that_are_refused(void **state)
{
#define X509(text)                                                                                 \
    "{\"registrationId\":\"d1\",\"attestation\":{\"type\":\"x509\",\"x509\":" text "}}"
    static const struct {
        const char *body;
        const char *says;
    } cases[] = {
        { "", "not the JSON object" },
        { "[]", "not the JSON object" },
        { "{", "JSON, line 1" },
        { "{\"a\":1,\"a\":2}", "JSON, line 1" },
        { "{}", "registrationId is missing" },
        { "{\"registrationId\":7}", "registrationId is not a string" },
        { "{\"registrationId\":\"d2\"}", "not the ID in the path" },
        { "{\"registrationId\":\"d1\"}", "attestation is missing" },
        { "{\"registrationId\":\"d1\",\"attestation\":{}}", "attestation.type is none of" },
        { "{\"registrationId\":\"d1\",\"attestation\":{\"type\":\"none\"}}", "is none of" },
        { "{\"registrationId\":\"d1\",\"attestation\":{\"type\":\"tpm\",\"tpm\":{}}}",
          "tpm.endorsementKey is missing" },
        { "{\"registrationId\":\"d1\",\"attestation\":{\"type\":\"symmetricKey\",\"symmetricKey\":"
          "[]}}",
          "symmetricKey is not an object" },
        { KEYS("?", "MDEyMzQ1Njc4OWFiY2RlZg=="), "primaryKey is not base64" },
        { KEYS("MDEyMzQ1Njc4OWFiY2RlZg==", ""), "both keys" },
        { KEYS("MDEyMzQ1Njc4OWFiY2RlZg==", "MDEyMw=="), "16 to 64 bytes" },
        { "{\"registrationId\":\"d1\",\"attestation\":{\"type\":\"x509\"}}", "x509 is missing" },
        { X509("{}"), "exactly one of clientCertificates and caReferences" },
        { X509("{\"signingCertificates\":{\"primary\":{\"info\":{}}}}"),
          "exactly one of clientCertificates" },
        { X509("{\"clientCertificates\":{},\"caReferences\":{}}"), "exactly one of" },
        { X509("{\"clientCertificates\":{}}"), "clientCertificates.primary is missing" },
        { X509("{\"clientCertificates\":{\"primary\":{}}}"), "primary has no certificate" },
        { X509("{\"clientCertificates\":{\"primary\":\"x\"}}"), "primary is not an object" },
        { X509("{\"clientCertificates\":{\"primary\":{\"certificate\":\"!\"}}}"),
          "primary is not a readable X.509 certificate" },
        { X509("{\"clientCertificates\":{\"secondary\":{\"certificate\":\"AAAA\"}}}"),
          "secondary is not a readable X.509 certificate" },
        { X509("{\"clientCertificates\":{\"primary\":{\"info\":{}}}}"), "ertificate" },
        { X509("{\"caReferences\":{\"primary\":7}}"), "is not the name" },
        { "{\"registrationId\":\"d1\",\"attestation\":{\"type\":\"x509\",\"x509\":{},"
          "\"tpm\":{}}}",
          "attestation.tpm does not go with the type x509" },
    };
    static const struct {
        const char *more;
        const char *says;
    } members[] = {
        { ",\"provisioningStatus\":\"on\"", "neither enabled nor disabled" },
        { ",\"provisioningStatus\":true", "provisioningStatus is not a string" },
        { ",\"allocationPolicy\":\"best\"", "allocationPolicy is none of" },
        { ",\"iotHubs\":\"h\"", "iotHubs is not an array" },
        { ",\"iotHubs\":[\"ok.example\",\"no good\"]", "iotHubs[1] is not a host name" },
        { ",\"iotHubs\":[\"not.linked\"]", "not.linked" },
        { ",\"reprovisionPolicy\":[]", "reprovisionPolicy is not an object" },
        { ",\"reprovisionPolicy\":{\"updateHubAssignment\":1}", "updateHubAssignment is neither" },
        { ",\"capabilities\":{\"iotEdge\":\"yes\"}", "iotEdge is neither" },
        { ",\"initialTwin\":[]", "initialTwin is not an object" },
        { ",\"initialTwin\":{\"tags\":1}", "initialTwin is not" },
        { ",\"initialTwin\":{\"properties\":{\"desired\":[]}}", "initialTwin is not" },
        { ",\"deviceId\":\"a b\"", "deviceId" },
        { ",\"allocationPolicy\":\"custom\"", "customAllocationDefinition is missing" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wire_reply r = ask("PUT", "/enrollments/d1" V, "", cases[i].body);

        print_message("%s\n", cases[i].body);
        assert_int_equal(r.status, 400);
        assert_has(&r, "\"errorCode\":400004");
        assert_has(&r, cases[i].says);
    }
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        struct wire_reply r =
            ask("PUT", "/enrollments/d1" V, "", individual("d1", pem, members[i].more));

        print_message("%s\n", members[i].more);
        assert_int_equal(r.status, 400);
        assert_has(&r, members[i].says);
    }
}

static void test_ca_references(void **state)
{
    static const char by_name[] =
        "{\"enrollmentGroupId\":\"g1\",\"attestation\":{\"type\":\"x509\",\"x509\":"
        "{\"caReferences\":{\"primary\":\"my-ca\"}}}}";
    static const char by_base64[] = /* base64 of my-ca, as the C SDK sends it */
        "{\"enrollmentGroupId\":\"g1\",\"attestation\":{\"type\":\"x509\",\"x509\":"
        "{\"caReferences\":{\"primary\":\"bXktY2E=\"}}}}";
    struct core_match none = { 0 };
    struct certificate certificate;
    struct verdict v;
    struct wire_reply r;

    (void)state;
    make_certificate("ca", true);
    assert_true(err_is_ok(core_certificate_put(&w.env, w.instance.id_scope, SPAN("my-ca"),
                                               span_str(pem), false, &none, &certificate, &v)));
    assert_int_equal(v.reason, REASON_GRANTED);
    r = ask("PUT", "/enrollmentGroups/g1" V, "", by_name);
    assert_int_equal(r.status, 200);
    assert_has(&r, "\"x509\":{\"caReferences\":{\"primary\":\"my-ca\"}}");
    r = ask("PUT", "/enrollmentGroups/g1" V, "If-Match: *\r\n", by_base64);
    assert_int_equal(r.status, 200);
    assert_has(&r, "\"x509\":{\"caReferences\":{\"primary\":\"my-ca\"}}");
}

static void test_tokens_and_rights(void **state)
{
    static const char *const targets[] = { "/enrollments/d1" V, "/enrollmentGroups/g" V,
                                           "/registrations/d1" V };
    char header[2048], token[1024];
    struct wire_reply r;

    (void)state;
    r = wire_ask(&w, "GET", targets[0], "", "");
    assert_int_equal(r.status, 401);
    assert_int_equal(w.task_note.reason, REASON_TOKEN_MISSING);
    r = wire_ask(&w, "GET", targets[0], "Authorization: Bearer x\r\n", "");
    assert_int_equal(r.status, 401);
    assert_int_equal(w.task_note.reason, REASON_TOKEN_MALFORMED);
    (void)snprintf(token, sizeof(token), "%s",
                   wire_token(&w, POLICY_OF_INSTANCE, "provisioningserviceowner", WIRE_HOST));
    (void)snprintf(header, sizeof(header), "authorization: %s\r\n", token);
    r = wire_ask(&w, "GET", targets[0], header, "");
    assert_int_equal(r.status, 404);
    w.now_ms += 2 * 3600 * 1000;
    wire_connect(&w);
    r = wire_ask(&w, "GET", targets[0], header, "");
    assert_int_equal(r.status, 401);
    assert_int_equal(w.task_note.reason, REASON_TOKEN_EXPIRED);
    w.now_ms -= 2 * 3600 * 1000;
    wire_connect(&w);
    r = wire_ask_host(&w, "elsewhere.example", "GET", targets[0], header, "");
    assert_int_equal(r.status, 404);
    assert_has(&r, "'elsewhere.example'");

    /* The token's resource: host in any case, longer ones as prefixes. */
    for (size_t i = 0; i < 4; i++) {
        static const struct {
            const char *sr;
            int status;
        } scopes[] = { { "LOCALHOST", 404 },
                       { "localhost/enrollments", 404 },
                       { "localhost/registrations", 401 },
                       { "localhost.example", 401 } };

        (void)snprintf(
            header, sizeof(header), "Authorization: %s\r\n",
            wire_token(&w, POLICY_OF_INSTANCE, "provisioningserviceowner", scopes[i].sr));
        r = wire_ask(&w, "GET", targets[0], header, "");
        assert_int_equal(r.status, scopes[i].status);
    }
    /* Unknown policy; and the hub's owner is nobody here. */
    (void)snprintf(header, sizeof(header), "Authorization: %s\r\n",
                   wire_token(&w, POLICY_OF_HUB, "iothubowner", WIRE_HOST));
    r = wire_ask(&w, "GET", targets[0], header, "");
    assert_int_equal(r.status, 401);
    assert_int_equal(w.task_note.reason, REASON_TOKEN_POLICY_UNKNOWN);
}

struct policy_put {
    const char *name;
    struct span id_scope;
    int64_t rights;
};

static err put_policy(struct store_tx *tx, void *arg)
{
    const struct policy_put *p = arg;
    struct policy policy = { .owner_type = POLICY_OF_INSTANCE,
                             .owner = p->id_scope,
                             .name = span_str(p->name),
                             .rights = p->rights,
                             .primary_key = SPAN("0123456789abcdef"),
                             .secondary_key = SPAN("fedcba9876543210") };

    return store_put(tx, &KIND_POLICY, &policy);
}

static void test_each_operation_needs_its_right(void **state)
{
    static const struct {
        const char *method, *target;
        int64_t right;
    } cases[] = {
        { "GET", "/enrollments/x" V, RIGHT_ENROLLMENT_READ },
        { "PUT", "/enrollments/x" V, RIGHT_ENROLLMENT_WRITE },
        { "DELETE", "/enrollments/x" V, RIGHT_ENROLLMENT_WRITE },
        { "POST", "/enrollments" V, RIGHT_ENROLLMENT_WRITE },
        { "POST", "/enrollments/query" V, RIGHT_ENROLLMENT_READ },
        { "POST", "/enrollments/x/attestationmechanism" V, RIGHT_ENROLLMENT_READ },
        { "GET", "/enrollmentGroups/x" V, RIGHT_ENROLLMENT_READ },
        { "PUT", "/enrollmentGroups/x" V, RIGHT_ENROLLMENT_WRITE },
        { "DELETE", "/enrollmentGroups/x" V, RIGHT_ENROLLMENT_WRITE },
        { "POST", "/enrollmentGroups" V, RIGHT_ENROLLMENT_WRITE },
        { "POST", "/enrollmentGroups/query" V, RIGHT_ENROLLMENT_READ },
        { "POST", "/enrollmentGroups/x/attestationmechanism" V, RIGHT_ENROLLMENT_READ },
        { "GET", "/registrations/x" V, RIGHT_REGISTRATION_STATUS_READ },
        { "DELETE", "/registrations/x" V, RIGHT_REGISTRATION_STATUS_WRITE },
        { "POST", "/registrations/x/query" V, RIGHT_REGISTRATION_STATUS_READ },
        { "GET", "/berth/v1/instance", RIGHT_SERVICE_CONFIG },
        { "GET", "/berth/v1/certificates", RIGHT_SERVICE_CONFIG },
        { "PUT", "/berth/v1/hubs/x", RIGHT_SERVICE_CONFIG },
        { "GET", "/berth/v1/decisions/x", RIGHT_REGISTRATION_STATUS_READ },
        { "POST", "/berth/v1/explain", RIGHT_REGISTRATION_STATUS_READ },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct policy_put only = { "only", w.instance.id_scope, cases[i].right };
        struct policy_put others = { "others", w.instance.id_scope,
                                     RIGHTS_INSTANCE & ~cases[i].right };
        struct wire_reply r;

        print_message("%s %s\n", cases[i].method, cases[i].target);
        assert_true(err_is_ok(store_write(w.service.store, put_policy, &only)));
        assert_true(err_is_ok(store_write(w.service.store, put_policy, &others)));
        r = wire_ask_by(&w, POLICY_OF_INSTANCE, "only", cases[i].method, cases[i].target, "", "");
        assert_int_not_equal(r.status, 401);
        r = wire_ask_by(&w, POLICY_OF_INSTANCE, "others", cases[i].method, cases[i].target, "", "");
        assert_int_equal(r.status, 401);
        assert_int_equal(w.task_note.reason, REASON_RIGHT_MISSING);
    }
}

static err put_registration(struct store_tx *tx, void *arg)
{
    return store_put(tx, &KIND_REGISTRATION, arg);
}

static void test_registrations(void **state)
{
    static const char body[] =
        "{\"registrationId\":\"D1\",\"createdDateTimeUtc\":\"2030-03-17T17:46:40.0000000Z\","
        "\"assignedHub\":\"hub.localhost\",\"deviceId\":\"D1\",\"status\":\"assigned\","
        "\"substatus\":\"initialAssignment\","
        "\"lastUpdatedDateTimeUtc\":\"2030-03-17T17:46:40.0000000Z\",\"etag\":\"Imxv\"}";
    struct registration put = { .id_scope = w.instance.id_scope,
                                .key = SPAN("d1"),
                                .id = SPAN("D1"),
                                .status = REGISTRATION_ASSIGNED,
                                .substatus = SUBSTATUS_INITIAL_ASSIGNMENT,
                                .assigned_hub = SPAN(WIRE_HUB_HOST),
                                .device_id = SPAN("D1"),
                                .enrollment_kind = ENROLLMENT_GROUP,
                                .enrollment = SPAN("g1"),
                                .etag = SPAN("Imxv"),
                                .created_ms = w.now_ms,
                                .updated_ms = w.now_ms };
    char expected[1024];
    struct wire_reply r;

    (void)state;
    assert_true(err_is_ok(store_write(w.service.store, put_registration, &put)));
    r = ask("GET", "/registrations/d1" V, "", "");
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, body);
    r = ask("POST", "/registrations/G1/query" V, "", "");
    (void)snprintf(expected, sizeof(expected), "[%s]", body);
    assert_string_equal(r.body, expected);
    r = ask("POST", "/registrations/g2/query" V, "", "");
    assert_string_equal(r.body, "[]");
    /* GET of the individual enrollment has it, the list has not. */
    r = ask("PUT", "/enrollments/d1" V, "", individual("D1", pem, ""));
    assert_int_equal(r.status, 200);
    r = ask("GET", "/enrollments/d1" V, "", "");
    (void)snprintf(expected, sizeof(expected), "\"registrationState\":%s,", body);
    assert_has(&r, expected);
    r = ask("POST", "/enrollments/query" V, "", "");
    assert_has_not(&r, "registrationState");
    r = ask("DELETE", "/registrations/d1" V, "If-Match: \"x\"\r\n", "");
    assert_int_equal(r.status, 412);
    r = ask("DELETE", "/registrations/d1" V, "If-Match: Imxv\r\n", "");
    assert_int_equal(r.status, 204);
    r = ask("DELETE", "/registrations/d1" V, "", "");
    assert_int_equal(r.status, 404);
    put.status = REGISTRATION_FAILED;
    put.error_code = 401001;
    put.error_message = SPAN("IoTHub not found.");
    assert_true(err_is_ok(store_write(w.service.store, put_registration, &put)));
    r = ask("GET", "/registrations/d1" V, "", "");
    assert_has(&r, "\"status\":\"failed\",\"errorCode\":401001,"
                   "\"errorMessage\":\"IoTHub not found.\",");
    assert_has_not(&r, "assignedHub");
}

/* One host may be an instance's and a hub's: the path decides. */
static err share_host(struct store_tx *tx, void *arg)
{
    struct hub hub = { .host_name = SPAN(WIRE_HOST), .name = SPAN("shared") };
    struct policy policy = { .owner_type = POLICY_OF_HUB,
                             .owner = hub.host_name,
                             .name = SPAN("iothubowner"),
                             .rights = RIGHTS_HUB,
                             .primary_key = SPAN("0123456789abcdef"),
                             .secondary_key = SPAN("fedcba9876543210") };

    (void)arg;
    TRY(store_put(tx, &KIND_HUB, &hub));
    return store_put(tx, &KIND_POLICY, &policy);
}

static void test_one_host_is_both(void **state)
{
    char header[1024];
    struct buf token = buf_over(header, sizeof(header) - 8);
    struct wire_reply r;

    (void)state;
    assert_true(err_is_ok(store_write(w.service.store, share_host, NULL)));
    buf_add_str(&token, "Authorization: ");
    assert_true(err_is_ok(sas_make(w.crypto, SPAN(WIRE_HOST), SPAN("0123456789abcdef"),
                                   SPAN("iothubowner"), w.now_ms / 1000 + 60, &token)));
    buf_add_str(&token, "\r\n");
    r = wire_ask(&w, "GET", "/devices" V, buf_cstr(&token), "");
    assert_int_equal(r.status, 200);
    r = wire_ask(&w, "GET", "/enrollments/d1" V, buf_cstr(&token), "");
    assert_int_equal(r.status, 401);
    r = ask("GET", "/enrollments/d1" V, "", "");
    assert_int_equal(r.status, 404);
    r = ask("GET", "/devices" V, "", "");
    assert_int_equal(r.status, 401);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_life_of_an_individual_enrollment),
        TEST(test_paths_as_the_sdks_spell_them),
        TEST(test_certificates_in_four_spellings),
        TEST(test_what_was_got_can_be_put_back),
        TEST(test_preconditions),
        TEST(test_symmetric_keys),
        TEST(test_bodies_that_are_refused),
        TEST(test_ca_references),
        TEST(test_tokens_and_rights),
        TEST(test_each_operation_needs_its_right),
        TEST(test_registrations),
        TEST(test_one_host_is_both),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
