/* api/enrollment_members_test.c: what each api-version is given, and what it leaves alone
 * (reference dps-service-api.md 3 and 4.6). */
#include "api/service_wire_test.h"

#define OLD     "2018-04-01"
#define NODE    "2021-10-01"
#define POLICY  "2025-07-01-preview"
#define STABLE  "2026-11-01"
#define PREVIEW "2026-11-02-preview"

/* Each is one that some version is not given. */
static const char *const members[] = {
    "allocationPolicy",      "certificateAuthorityName",
    "certificatePolicyName", "clientCertificateIssuancePolicy",
    "credentialPolicyName",  "customAllocationDefinition",
    "deviceTypeRefs",        "iotHubs",
    "namespaceName",         "optionalDeviceInformation",
    "reprovisionPolicy",
};
enum { MEMBERS = sizeof(members) / sizeof(members[0]) };

#define CORE                                                                                       \
    " allocationPolicy capabilities customAllocationDefinition iotHubs optionalDeviceInformation " \
    "reprovisionPolicy "
#define TRIO " certificateAuthorityName certificatePolicyName namespaceName "

static const struct {
    const char *version, *knows;
} versions[] = {
    { OLD, "" },
    { "2018-09-01-preview", CORE },
    { "2019-03-31", CORE },
    { NODE, CORE },
    { "2021-11-01-preview", CORE " clientCertificateIssuancePolicy " },
    { POLICY, CORE " credentialPolicyName " },
    { "2026-04-01", CORE },
    { STABLE, CORE TRIO },
    { PREVIEW, CORE TRIO " deviceTypeRefs " },
    { "2026-11-15-preview", CORE TRIO " deviceTypeRefs " },
};
enum { VERSIONS = sizeof(versions) / sizeof(versions[0]) };

#define NAMES                                                                                      \
    ",\"namespaceName\":\"my-space\",\"certificateAuthorityName\":\"my-ca\","                      \
    "\"certificatePolicyName\":\"My-Policy\""

static const char everything[] =
    ",\"allocationPolicy\":\"custom\",\"iotHubs\":[\"hub.localhost\"],\"customAllocationDefinition"
    "\":{\"webhookUrl\":\"https://f.example/a?code=b\",\"apiVersion\":\"2021-10-01\"},"
    "\"reprovisionPolicy\":{\"updateHubAssignment\":false,\"migrateDeviceData\":false},"
    "\"capabilities\":{\"iotEdge\":true},\"optionalDeviceInformation\":{\"a\":[1]},"
    "\"clientCertificateIssuancePolicy\":{\"certificateAuthorityName\":\"x\"},"
    "\"credentialPolicyName\":\"policy\",\"deviceTypeRefs\":[\"t\"]" NAMES;

static struct wire_reply at(const char *method, const char *path, const char *version,
                            const char *body)
{
    char target[256];

    (void)snprintf(target, sizeof(target), "%s?api-version=%s", path, version);
    return ask(method, target, strcmp(method, "PUT") == 0 ? "If-Match: *\r\n" : "", body);
}

static struct wire_reply put_at(const char *version, const char *more)
{
    return at("PUT", "/enrollments/d1", version, individual("d1", pem, more));
}

static void create(void)
{
    struct wire_reply r = ask("PUT", "/enrollments/d1" V, "", individual("d1", pem, everything));

    assert_int_equal(r.status, 200);
}

static bool knows(const char *list, const char *name)
{
    char word[64];

    (void)snprintf(word, sizeof(word), " %s ", name);
    return strstr(list, word) != NULL;
}

static bool is_top_member(const struct wire_reply *r, const char *name)
{
    char text[80];

    (void)snprintf(text, sizeof(text), ",\"%s\":", name);
    return strstr(r->body, text) != NULL;
}

static void assert_members(const struct wire_reply *r, const char *version, const char *list)
{
    assert_int_equal(r->status, 200);
    for (size_t i = 0; i < MEMBERS; i++) {
        if (is_top_member(r, members[i]) != knows(list, members[i])) {
            fail_msg("%s: %s\n%s", version, members[i], r->body);
        }
    }
    assert_has_not(r, "null");
    assert_has(r, "\"provisioningStatus\":\"enabled\"");
    assert_has(r, "\"iotHubHostName\":\"hub.localhost\"");
    assert_has(r, "\"capabilities\":{\"iotEdge\":true}");
}

static void test_a_version_is_given_what_it_knows(void **state)
{
    (void)state;
    create();
    for (size_t i = 0; i < VERSIONS; i++) {
        struct wire_reply r = at("GET", "/enrollments/d1", versions[i].version, "");

        assert_members(&r, versions[i].version, versions[i].knows);
        r = at("POST", "/enrollments/query", versions[i].version, "{\"query\":\"SELECT *\"}");
        assert_members(&r, versions[i].version, versions[i].knows);
    }
}

/* A PUT without any of them: those that its version does not know stay, the others go, or back to
 * their defaults. */
static void test_a_put_leaves_alone_what_its_version_does_not_know(void **state)
{
    static const struct {
        const char *member, *shown_by, *value;
        bool has_default; /* "value" is what makes it differ from the default */
    } cases[] = {
        { "allocationPolicy", NODE, "\"custom\"", false },
        { "capabilities", NODE, "{\"iotEdge\":true}", true },
        { "certificateAuthorityName", STABLE, "\"my-ca\"", false },
        { "certificatePolicyName", STABLE, "\"My-Policy\"", false },
        { "clientCertificateIssuancePolicy", "2021-11-01-preview", "{\"cert", false },
        { "credentialPolicyName", POLICY, "\"policy\"", false },
        { "customAllocationDefinition", NODE, "{\"webhookUrl\":\"https://f.example/a?code=b\"",
          false },
        { "deviceTypeRefs", PREVIEW, "[\"t\"]", false },
        { "iotHubs", NODE, "[\"hub.localhost\"]", false },
        { "namespaceName", STABLE, "\"my-space\"", false },
        { "optionalDeviceInformation", NODE, "{\"a\":[1]}", false },
        { "reprovisionPolicy", NODE, "{\"updateHubAssignment\":false,\"migrateDeviceData\":false}",
          true },
    };

    (void)state;
    create();
    for (size_t i = 0; i < VERSIONS; i++) {
        struct wire_reply r = put_at(NODE, everything);

        assert_int_equal(r.status, 200);
        r = put_at(versions[i].version, "");
        assert_int_equal(r.status, 200);
        for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
            bool stays = !knows(versions[i].knows, cases[k].member);
            char expected[256];

            print_message("%s %s\n", versions[i].version, cases[k].member);
            (void)snprintf(expected, sizeof(expected), ",\"%s\":%s", cases[k].member,
                           cases[k].value);
            r = at("GET", "/enrollments/d1", cases[k].shown_by, "");
            assert_int_equal(strstr(r.body, expected) != NULL, stays);
            if (!cases[k].has_default) {
                assert_int_equal(is_top_member(&r, cases[k].member), stays);
            }
        }
    }
}

/* What is named counts, whatever the version; null is named too. */
static void test_what_is_named_counts_in_every_version(void **state)
{
    struct wire_reply r;

    (void)state;
    create();
    r = put_at(OLD, ",\"iotHubs\":null,\"allocationPolicy\":\"hashed\",\"deviceTypeRefs\":null,"
                    "\"optionalDeviceInformation\":{\"b\":2}");
    assert_int_equal(r.status, 200);
    assert_has_not(&r, "iotHub");
    r = at("GET", "/enrollments/d1", PREVIEW, "");
    assert_has_not(&r, "iotHub");
    assert_has_not(&r, "deviceTypeRefs");
    assert_has(&r, "\"allocationPolicy\":\"hashed\"");
    assert_has(&r, "\"optionalDeviceInformation\":{\"b\":2}");
    assert_has(&r, "\"customAllocationDefinition\":{");
    assert_has(&r, NAMES);
    /* The three are one: who names one names all. */
    r = put_at(NODE, ",\"namespaceName\":null");
    assert_int_equal(r.status, 200);
    r = at("GET", "/enrollments/d1", STABLE, "");
    assert_has_not(&r, "namespaceName");
    assert_has_not(&r, "certificateAuthorityName");
    assert_has_not(&r, "certificatePolicyName");
    r = at("GET", "/enrollments/d1", POLICY, "");
    assert_has(&r, "\"credentialPolicyName\":\"policy\"");
    /* An old version may even set what it will not be shown. */
    r = put_at(NODE, NAMES);
    assert_int_equal(r.status, 200);
    assert_has_not(&r, "namespaceName");
    r = at("GET", "/enrollments/d1", STABLE, "");
    assert_has(&r, NAMES);
    r = put_at(STABLE, ",\"namespaceName\":null,\"certificateAuthorityName\":null,"
                       "\"certificatePolicyName\":null");
    assert_int_equal(r.status, 200);
    assert_has_not(&r, "namespaceName");
    /* The one hub has two spellings. */
    r = put_at(NODE, ",\"iotHubs\":[\"hub.localhost\"]");
    assert_has(&r, "\"iotHubHostName\":\"hub.localhost\"");
    r = put_at(OLD, "");
    assert_has(&r, "\"iotHubHostName\":\"hub.localhost\"");
    r = put_at(OLD, ",\"iotHubHostName\":null");
    assert_int_equal(r.status, 200);
    assert_has_not(&r, "iotHub");
}

#define LONG_63 "a-3456789-123456789-123456789-123456789-123456789-123456789-123"
#define SET(ns, ca, policy)                                                                        \
    ",\"namespaceName\":" ns ",\"certificateAuthorityName\":" ca                                   \
    ",\"certificatePolicyName\":" policy
#define CUSTOM(text) ",\"allocationPolicy\":\"custom\",\"customAllocationDefinition\":" text

static void test_values(void **state)
{
    static const struct {
        const char *more, *says; /* NULL: taken */
    } cases[] = {
        { SET("\"abc\"", "\"abc\"", "\"abc\""), NULL },
        { SET("\"" LONG_63 "4\"", "\"" LONG_63 "\"", "\"" LONG_63 "\""), NULL },
        { SET("\"0-0\"", "\"A--\"", "\"9Z-\""), NULL },
        { ",\"namespaceName\":\"abc\"", "namespaceName is given without the others" },
        { ",\"certificatePolicyName\":\"abc\"", "certificatePolicyName is given without" },
        { SET("\"abc\"", "\"abc\"", "null"), "namespaceName is given without the others" },
        { SET("null", "\"abc\"", "\"abc\""), "certificateAuthorityName is given without" },
        { SET("\"ab\"", "\"abc\"", "\"abc\""), "namespaceName is not 3 to 64" },
        { SET("\"Abc\"", "\"abc\"", "\"abc\""), "namespaceName is not 3 to 64" },
        { SET("\"-bc\"", "\"abc\"", "\"abc\""), "namespaceName is not 3 to 64" },
        { SET("\"ab-\"", "\"abc\"", "\"abc\""), "namespaceName is not 3 to 64" },
        { SET("\"" LONG_63 "45\"", "\"abc\"", "\"abc\""), "namespaceName is not 3 to 64" },
        { SET("7", "\"abc\"", "\"abc\""), "namespaceName is not 3 to 64" },
        { SET("\"abc\"", "\"a_c\"", "\"abc\""), "certificateAuthorityName is not 3 to 63" },
        { SET("\"abc\"", "\"abc\"", "\"" LONG_63 "4\""), "certificatePolicyName is not 3 to 63" },
        { ",\"credentialPolicyName\":\"\"", "credentialPolicyName is not a string" },
        { ",\"credentialPolicyName\":[]", "credentialPolicyName is not a string" },
        { ",\"deviceTypeRefs\":[]", NULL },
        { ",\"deviceTypeRefs\":\"x\"", "deviceTypeRefs is not an array" },
        { ",\"deviceTypeRefs\":[\"x\",1]", "deviceTypeRefs is not an array" },
        { ",\"optionalDeviceInformation\":[1]", "optionalDeviceInformation is not an object" },
        { ",\"optionalDeviceInformation\":null", NULL },
        { CUSTOM(
              "{\"webhookUrl\":\"https://x:8443/a?code=b\",\"apiVersion\":\"2018-09-01-preview\"}"),
          NULL },
        { CUSTOM("{\"webhookUrl\":\"http://x\",\"apiVersion\":\"2018-09-01-preview\"}"),
          "has no webhookUrl that begins with https://" },
        { CUSTOM("{\"webhookUrl\":\"https://\",\"apiVersion\":\"2021-10-01\"}"), "without a host" },
        { CUSTOM("{\"webhookUrl\":\"https:///x\",\"apiVersion\":\"2021-10-01\"}"),
          "without a host" },
        { CUSTOM("{\"webhookUrl\":\"https://:443\",\"apiVersion\":\"2021-10-01\"}"),
          "without a host" },
        { CUSTOM("{\"webhookUrl\":\"https://a:b@x/\",\"apiVersion\":\"2021-10-01\"}"),
          "with a user's name" },
        { CUSTOM("{\"webhookUrl\":\"https://x/a b\",\"apiVersion\":\"2021-10-01\"}"),
          "a byte that no URL has" },
        { CUSTOM("{\"rule\":\"return 'hub'\"}"), NULL },
        { CUSTOM("{\"rule\":\"\"}"), "has a rule that is not a string, or empty" },
        { CUSTOM("{\"rule\":7}"), "has a rule that is not a string, or empty" },
        { CUSTOM("{\"rule\":\"x = 1\\n(\"}"), "rule does not compile: rule:2:" },
        { CUSTOM("{\"rule\":\"return 1\",\"webhookUrl\":\"https://x\"}"), "has both" },
        { ",\"customAllocationDefinition\":{\"rule\":\"(\"}", "rule does not compile" },
        { CUSTOM("{\"webhookUrl\":\"HTTPS://x\",\"apiVersion\":\"2021-10-01\"}"), NULL },
        { CUSTOM("null"), "customAllocationDefinition is missing" },
        { CUSTOM("\"x\""), "customAllocationDefinition has no webhookUrl" },
        { CUSTOM("{\"apiVersion\":\"2021-10-01\"}"), "has no webhookUrl" },
        { CUSTOM("{\"webhookUrl\":\"ftp://x\",\"apiVersion\":\"2021-10-01\"}"), "no webhookUrl" },
        { CUSTOM("{\"webhookUrl\":\"https://x\"}"), "has no apiVersion of 2018-09-01-preview" },
        { CUSTOM("{\"webhookUrl\":\"https://x\",\"apiVersion\":\"2018-08-31\"}"), "no apiVersion" },
        { CUSTOM("{\"webhookUrl\":\"https://x\",\"apiVersion\":\"soon\"}"), "has no apiVersion" },
        { ",\"initialTwin\":{\"tags\":null,\"properties\":{\"desired\":null}}", NULL },
    };
    struct wire_reply r;

    (void)state;
    create();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        print_message("%s\n", cases[i].more);
        r = put_at(PREVIEW, cases[i].more);
        if (cases[i].says == NULL) {
            assert_int_equal(r.status, 200);
            assert_has_not(&r, "null");
            continue;
        }
        assert_int_equal(r.status, 400);
        assert_has(&r, "\"errorCode\":400004");
        assert_has(&r, cases[i].says);
    }
    make_certificate("ca", true);
    r = ask("PUT", "/enrollmentGroups/g" V, "", group("g", ",\"optionalDeviceInformation\":{}"));
    assert_int_equal(r.status, 400);
    assert_has(&r, "optionalDeviceInformation is not an enrollment group's member");
    r = ask("PUT", "/enrollmentGroups/g" V, "", group("g", NAMES));
    assert_int_equal(r.status, 200);
}

static void test_api_versions(void **state)
{
    static const char *const refused[] = {
        "/enrollments/d1", "/enrollments/d1?api-version=", "/enrollments/d1?api-version=2021",
        "/enrollments/d1?api-version=latest", "/enrollments/d1?version=2021-10-01"
    };

    (void)state;
    create();
    for (size_t i = 0; i < VERSIONS; i++) {
        struct wire_reply r =
            at("POST", "/enrollments/d1/attestationmechanism", versions[i].version, "");

        assert_int_equal(r.status, 200);
    }
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct wire_reply r = ask("GET", refused[i], "", "");

        print_message("%s\n", refused[i]);
        assert_int_equal(r.status, 400);
        assert_has(&r, "\"errorCode\":400001");
        assert_has(&r, "api-version");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_version_is_given_what_it_knows),
        TEST(test_a_put_leaves_alone_what_its_version_does_not_know),
        TEST(test_what_is_named_counts_in_every_version),
        TEST(test_values),
        TEST(test_api_versions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
