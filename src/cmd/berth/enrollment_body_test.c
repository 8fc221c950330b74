/* cmd/berth/enrollment_body_test.c: options, and what is stored, to the body of a PUT. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cmd/berth/commands.h"
#include "cmd/berth/enrollment_body.h"

enum { ARGS_MAX = 14 };

#define ID    "{\"registrationId\":\"d\","
#define GROUP "{\"enrollmentGroupId\":\"d\","
#define X509_STORED                                                                                \
    ID "\"attestation\":{\"type\":\"x509\",\"x509\":{\"clientCertificates\":{\"primary\":"         \
       "{\"info\":{\"version\":3}},\"secondary\":{\"info\":{\"version\":1}}}}},\"etag\":\"e\","    \
       "\"namespaceName\":\"abc\",\"capabilities\":{\"iotEdge\":false}}"
#define CA_STORED                                                                                  \
    GROUP "\"attestation\":{\"type\":\"x509\",\"x509\":{\"caReferences\":{\"primary\":\"a\","      \
          "\"secondary\":\"b\"}}}}"
#define TPM_GROUP_STORED                                                                           \
    GROUP "\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"caReferences\":{\"primary\":\"a\"}}}}"
#define WEBHOOK_STORED                                                                             \
    ID "\"attestation\":{\"type\":\"symmetricKey\"},\"customAllocationDefinition\":"               \
       "{\"webhookUrl\":\"https://x\",\"apiVersion\":\"2019-03-31\"}}"

static const struct {
    const char *words; /* "enrollment create" */
    const char *args[ARGS_MAX];
    const char *stored;         /* NULL: a new one */
    const char *expected, *why; /* one of them */
} cases[] = {
    { "enrollment create",
      { "d", "--endorsement-key", "ZWs=", "--srk", "c3Jr", "--edge-enabled", "--device-id", "x" },
      NULL,
      ID "\"deviceId\":\"x\",\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":"
         "\"ZWs=\",\"storageRootKey\":\"c3Jr\"}},\"capabilities\":{\"iotEdge\":true}}",
      NULL },
    { "enrollment create",
      { "d", "--attestation-type", "symmetrickey", "--iot-hubs", "h1, h2 h3", "--ap", "custom",
        "--webhook-url", "https://x", "--api-version", "2019-03-31", "--rp", "never" },
      NULL,
      ID "\"attestation\":{\"type\":\"symmetricKey\",\"symmetricKey\":{}},\"allocationPolicy\":"
         "\"custom\",\"iotHubs\":[\"h1\",\"h2\",\"h3\"],\"customAllocationDefinition\":"
         "{\"webhookUrl\":\"https://x\",\"apiVersion\":\"2019-03-31\"},\"reprovisionPolicy\":"
         "{\"updateHubAssignment\":false,\"migrateDeviceData\":false}}",
      NULL },
    { "enrollment create",
      { "d", "--ca-name", "c", "--tags", "{\"a\":1}", "--props", "{}", "--info", "{\"b\":[]}" },
      NULL,
      ID "\"attestation\":{\"type\":\"x509\",\"x509\":{\"caReferences\":{\"primary\":\"c\"}}},"
         "\"initialTwin\":{\"tags\":{\"a\":1},\"properties\":{\"desired\":{}}},"
         "\"optionalDeviceInformation\":{\"b\":[]}}",
      NULL },
    { "enrollment-group create",
      { "d", "--attestation-type", "tpm", "--ca-name", "maker" },
      NULL,
      GROUP "\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"caReferences\":{\"primary\":"
            "\"maker\"}}}}",
      NULL },
    { "enrollment create", { "d" }, NULL, NULL, "how do devices prove themselves?" },
    { "enrollment create",
      { "d", "--at", "tpm", "--ca-name", "c" },
      NULL,
      NULL,
      "--ca-name does not go with --attestation-type tpm" },
    { "enrollment create",
      { "d", "--ek", "ZWs=", "--pk", "a2V5" },
      NULL,
      NULL,
      "--endorsement-key does not go with --attestation-type symmetrickey" },
    { "enrollment-group create",
      { "d", "--at", "tpm" },
      NULL,
      NULL,
      "--certificate-path or --ca-name is missing" },
    { "enrollment create",
      { "d", "--ca-name", "c", "--tags", "[1]" },
      NULL,
      NULL,
      "--initial-twin-tags wants a JSON object" },
    { "enrollment update",
      { "d", "--ps", "disabled", "--edge-enabled", "true" },
      X509_STORED,
      ID "\"provisioningStatus\":\"disabled\",\"capabilities\":{\"iotEdge\":true},"
         "\"attestation\":{\"type\":\"x509\",\"x509\":{\"clientCertificates\":{\"primary\":"
         "{\"info\":{\"version\":3}},\"secondary\":{\"info\":{\"version\":1}}}}},"
         "\"namespaceName\":\"abc\"}",
      NULL },
    { "enrollment update",
      { "d", "--remove-certificate" },
      X509_STORED,
      ID "\"attestation\":{\"type\":\"x509\",\"x509\":{\"clientCertificates\":{\"secondary\":"
         "{\"info\":{\"version\":1}}}}},\"namespaceName\":\"abc\","
         "\"capabilities\":{\"iotEdge\":false}}",
      NULL },
    { "enrollment update",
      { "d", "--pk", "a2V5" },
      X509_STORED,
      ID "\"attestation\":{\"type\":\"symmetricKey\",\"symmetricKey\":{\"primaryKey\":\"a2V5\"}},"
         "\"namespaceName\":\"abc\",\"capabilities\":{\"iotEdge\":false}}",
      NULL },
    { "enrollment-group update",
      { "d", "--secondary-ca-name", "c" },
      CA_STORED,
      GROUP "\"attestation\":{\"type\":\"x509\",\"x509\":{\"caReferences\":{\"primary\":\"a\","
            "\"secondary\":\"c\"}}}}",
      NULL },
    { "enrollment-group update",
      { "d", "--rsc", "true" },
      CA_STORED,
      GROUP "\"attestation\":{\"type\":\"x509\",\"x509\":{\"caReferences\":{\"primary\":"
            "\"a\"}}}}",
      NULL },
    { "enrollment-group update",
      { "d", "--ca-name", "b" },
      TPM_GROUP_STORED,
      GROUP "\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"caReferences\":{\"primary\":\"b\"}}}}",
      NULL },
    { "enrollment update",
      { "d", "--api-version", "2021-10-01" },
      WEBHOOK_STORED,
      ID "\"customAllocationDefinition\":{\"webhookUrl\":\"https://x\",\"apiVersion\":"
         "\"2021-10-01\"},\"attestation\":{\"type\":\"symmetricKey\"}}",
      NULL },
};

static const struct command *find(const char *words)
{
    const struct command *c;

    for (size_t i = 0; (c = berth_commands_at(i)) != NULL; i++) {
        if (strcmp(c->path, words) == 0) {
            return c;
        }
    }
    fail_msg("no command %s", words);
    return NULL;
}

static void check(size_t at)
{
    static uint8_t memory[64 * 1024];
    bool is_group = strncmp(cases[at].words, "enrollment-group", 16) == 0;
    AUTO(json) json *stored = NULL;
    struct cli cli = { .command = find(cases[at].words) };
    struct span body = SPAN_NONE;
    char why[256] = "";
    int argc = 0;
    err e;

    while (argc < ARGS_MAX && cases[at].args[argc] != NULL) {
        argc++;
    }
    arena_init(&cli.arena, memory, sizeof(memory));
    if (!err_is_ok(berth_options_parse(&cli.options, cli.command->options, BERTH_GLOBAL_OPTIONS,
                                       argc, (char *const *)cases[at].args, why, sizeof(why)))) {
        fail_msg("case %zu: %s", at, why);
    }
    if (cases[at].stored != NULL) {
        assert_true(err_is_ok(json_parse(span_str(cases[at].stored), 16, &stored)));
    }
    e = berth_enrollment_body_make(&cli, is_group ? ENROLLMENT_GROUP : ENROLLMENT_INDIVIDUAL,
                                   stored, &body);
    if (cases[at].expected == NULL) {
        assert_true(err_is(e, ERR_MALFORMED));
        assert_int_equal(cli.exit_status, BERTH_EXIT_USAGE);
        assert_non_null(strstr(err_detail(), cases[at].why));
    } else if (!err_is_ok(e) || !span_eq(body, span_str(cases[at].expected))) {
        fail_msg("case %zu: %s\n%.*s\n%s", at, err_is_ok(e) ? "" : err_detail(), SPAN_FMT(body),
                 cases[at].expected);
    }
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        check(i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_cases) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
