/* cmd/berth/identity_body_test.c: options, and what is stored, to the body of a PUT. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cmd/berth/commands.h"
#include "cmd/berth/identity_body.h"

enum { ARGS_MAX = 10 };

#define ID     "{\"deviceId\":\"d\","
#define MODULE "{\"deviceId\":\"d\",\"moduleId\":\"m\","
#define STORED                                                                                     \
    ID "\"etag\":\"e\",\"status\":\"enabled\",\"statusReason\":null,\"capabilities\":"             \
       "{\"iotEdge\":false},\"authentication\":{\"type\":\"sas\",\"symmetricKey\":"                \
       "{\"primaryKey\":\"P\",\"secondaryKey\":\"S\"}},\"deviceScope\":\"x\"}"
#define STORED_X509                                                                                \
    ID "\"authentication\":{\"type\":\"selfSigned\",\"x509Thumbprint\":{\"primaryThumbprint\":"    \
       "\"A\",\"secondaryThumbprint\":\"B\"}}}"

static const struct {
    const char *words; /* "device-identity create" */
    const char *args[ARGS_MAX];
    const char *stored;         /* NULL: a new one */
    const char *expected, *why; /* one of them */
} CASES[] = {
    { "device-identity create", { "d" }, NULL, ID "\"authentication\":{\"type\":\"sas\"}}", NULL },
    { "device-identity create",
      { "d", "--ee", "--sta", "disabled", "--star", "r", "--device-scope", "s" },
      NULL,
      ID "\"status\":\"disabled\",\"statusReason\":\"r\",\"deviceScope\":\"s\",\"capabilities\":"
         "{\"iotEdge\":true},\"authentication\":{\"type\":\"sas\"}}",
      NULL },
    { "device-identity create",
      { "d", "--pk", "AA==", "--sk", "BB==" },
      NULL,
      ID "\"authentication\":{\"type\":\"sas\",\"symmetricKey\":{\"primaryKey\":\"AA==\","
         "\"secondaryKey\":\"BB==\"}}}",
      NULL },
    { "device-identity create",
      { "d", "--ptp", "AB" },
      NULL,
      ID "\"authentication\":{\"type\":\"selfSigned\",\"x509Thumbprint\":{\"primaryThumbprint\":"
         "\"AB\"}}}",
      NULL },
    { "device-identity create",
      { "d", "--am", "x509_ca" },
      NULL,
      ID "\"authentication\":{\"type\":\"certificateAuthority\"}}",
      NULL },
    { "device-identity create", { "d", "--pk", "AA==" }, NULL, NULL, "go together" },
    { "device-identity create", { "d", "--pk", "A", "--ptp", "A" }, NULL, NULL, "not both" },
    { "device-identity create",
      { "d", "--am", "x509_thumbprint" },
      NULL,
      NULL,
      "wants --primary-thumbprint" },
    { "device-identity create",
      { "d", "--am", "x509_ca", "--pk", "A", "--sk", "B" },
      NULL,
      NULL,
      "keys go with" },
    { "device-identity create",
      { "d", "--am", "shared_private_key", "--ptp", "A" },
      NULL,
      NULL,
      "thumbprints go with" },
    { "device-identity update",
      { "d", "--status", "disabled" },
      STORED,
      ID "\"status\":\"disabled\",\"etag\":\"e\",\"statusReason\":null,\"capabilities\":"
         "{\"iotEdge\":false},\"authentication\":{\"type\":\"sas\",\"symmetricKey\":"
         "{\"primaryKey\":\"P\",\"secondaryKey\":\"S\"}},\"deviceScope\":\"x\"}",
      NULL },
    { "device-identity update",
      { "d", "--secondary-key", "Z", "--edge-enabled", "false" },
      STORED,
      ID "\"capabilities\":{\"iotEdge\":false},\"authentication\":{\"type\":\"sas\","
         "\"symmetricKey\":{\"primaryKey\":\"P\",\"secondaryKey\":\"Z\"}},\"etag\":\"e\","
         "\"status\":\"enabled\",\"statusReason\":null,\"deviceScope\":\"x\"}",
      NULL },
    { "device-identity update",
      { "d", "--secondary-thumbprint", "C" },
      STORED_X509,
      ID "\"authentication\":{\"type\":\"selfSigned\",\"x509Thumbprint\":{\"primaryThumbprint\":"
         "\"A\",\"secondaryThumbprint\":\"C\"}}}",
      NULL },
    { "device-identity update",
      { "d", "--auth-method", "shared_private_key" },
      STORED_X509,
      ID "\"authentication\":{\"type\":\"sas\"}}",
      NULL },
    { "device-identity update", { "d", "--pk", "A" }, STORED_X509, NULL, "go together" },
    { "device-identity update", { "d", "--etag", "e" }, STORED, NULL, "say what to change" },
    { "module-identity create",
      { "d", "m", "--managed-by", "me" },
      NULL,
      MODULE "\"managedBy\":\"me\",\"authentication\":{\"type\":\"sas\"}}",
      NULL },
    { "module-identity update",
      { "d", "m", "--managed-by", "you" },
      MODULE "\"managedBy\":\"me\",\"etag\":\"e\"}",
      MODULE "\"managedBy\":\"you\",\"etag\":\"e\"}",
      NULL },
};

static void begin(struct cli *cli, const char *words, const char *const *args)
{
    char path[64], why[256] = "";
    int argc = 0;

    (void)snprintf(path, sizeof(path), "hub %s", words);
    for (size_t i = 0; (cli->command = berth_commands_at(i)) != NULL; i++) {
        if (strcmp(cli->command->path, path) == 0) {
            break;
        }
    }
    assert_non_null(cli->command);
    while (argc < ARGS_MAX && args[argc] != NULL) {
        argc++;
    }
    if (!err_is_ok(berth_options_parse(&cli->options, cli->command->options, BERTH_GLOBAL_OPTIONS,
                                       argc, (char *const *)args, why, sizeof(why)))) {
        fail_msg("%s: %s", words, why);
    }
}

static void check(size_t at)
{
    static uint8_t memory[64 * 1024];
    AUTO(json) json *stored = NULL;
    struct cli cli = { .exit_status = 0 };
    struct span body = SPAN_NONE;
    err e;

    arena_init(&cli.arena, memory, sizeof(memory));
    begin(&cli, CASES[at].words, CASES[at].args);
    if (CASES[at].stored != NULL) {
        assert_true(err_is_ok(json_parse(span_str(CASES[at].stored), 16, &stored)));
    }
    e = berth_identity_body(&cli, berth_hub_api_who(&cli), stored, &body);
    if (CASES[at].expected == NULL) {
        assert_true(err_is(e, ERR_MALFORMED));
        assert_int_equal(cli.exit_status, BERTH_EXIT_USAGE);
        assert_non_null(strstr(err_detail(), CASES[at].why));
    } else if (!err_is_ok(e) || !span_eq(body, span_str(CASES[at].expected))) {
        fail_msg("case %zu: %s\n%.*s\n%s", at, err_is_ok(e) ? "" : err_detail(), SPAN_FMT(body),
                 CASES[at].expected);
    }
}

static void test_options(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        check(i);
    }
}

static void test_parts(void **state)
{
    static uint8_t memory[16 * 1024];
    struct cli cli = { .exit_status = 0 };
    AUTO(json) json *stored = NULL;
    struct span body;

    (void)state;
    arena_init(&cli.arena, memory, sizeof(memory));
    assert_true(err_is_ok(json_parse(
        SPAN("{\"deviceId\":\"d\",\"status\":\"enabled\",\"statusReason\":\"r\",\"authentication\":"
             "{\"type\":\"sas\"}}"),
        8, &stored)));
    assert_true(err_is_ok(berth_identity_body_status(&cli, stored, "disabled", NULL, &body)));
    assert_true(span_eq(body, SPAN("{\"status\":\"disabled\",\"deviceId\":\"d\",\"authentication\":"
                                   "{\"type\":\"sas\"}}")));
    assert_true(err_is_ok(berth_identity_body_keys(&cli, stored, SPAN("1"), SPAN("2"), &body)));
    assert_true(span_eq(
        body, SPAN("{\"authentication\":{\"type\":\"sas\",\"symmetricKey\":{\"primaryKey\":\"1\","
                   "\"secondaryKey\":\"2\"}},\"deviceId\":\"d\",\"status\":\"enabled\","
                   "\"statusReason\":\"r\"}")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_parts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
