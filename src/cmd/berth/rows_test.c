/* cmd/berth/rows_test.c: headers, rows to JSON, and JSON to rows and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cmd/berth/rows.h"

static uint8_t memory[256 * 1024];

static err read_header(enum enrollment_kind kind, const char *text, struct rows *ret_rows)
{
    uint8_t record[2048];

    memcpy(record, text, strlen(text));
    return berth_rows_decode_header(kind, record, strlen(text), ret_rows);
}

static void test_header(void **state)
{
    static const struct {
        enum enrollment_kind kind;
        const char *text, *why; /* why NULL: good */
    } cases[] = {
        { ENROLLMENT_INDIVIDUAL, "registrationId\n", NULL },
        { ENROLLMENT_INDIVIDUAL, " DeviceID ,\"registrationid\"\r\n", NULL },
        { ENROLLMENT_GROUP, "enrollmentGroupId,caName", NULL },
        { ENROLLMENT_GROUP, "registrationId", "there is no column 'registrationId'" },
        { ENROLLMENT_GROUP, "enrollmentGroupId,deviceId", "there is no column 'deviceId'" },
        { ENROLLMENT_INDIVIDUAL, "registrationId,etag,ETag", "the column etag is there twice" },
        { ENROLLMENT_INDIVIDUAL, "deviceId", "no column registrationId" },
        { ENROLLMENT_INDIVIDUAL, "registrationId,", "there is no column ''" },
        { ENROLLMENT_INDIVIDUAL, "\"registrationId", "no closing quote" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rows rows;
        err e = read_header(cases[i].kind, cases[i].text, &rows);

        assert_int_equal(err_is_ok(e), cases[i].why == NULL);
        if (cases[i].why != NULL && strstr(err_detail(), cases[i].why) == NULL) {
            fail_msg("case %zu: %s", i, err_detail());
        }
    }
}

/* A row as JSON; the detail of its error when there is one. */
static struct span decode(struct cli *cli, const char *header, const char *row, bool only_id,
                          err *ret_e)
{
    static uint8_t record[8192], text[8192];
    struct buf out = buf_over(text, sizeof(text));
    struct json_writer w = json_writer_over(&out);
    struct rows rows;
    struct span id;

    assert_true(err_is_ok(read_header(ENROLLMENT_INDIVIDUAL, header, &rows)));
    memcpy(record, row, strlen(row));
    rows.dir = "/nowhere";
    rows.only_id = only_id;
    *ret_e = berth_rows_decode(cli, &rows, record, strlen(row), &w, &id);
    return err_is_ok(*ret_e) ? buf_span(&out) : span_str(err_detail());
}

static void test_rows(void **state)
{
    static const struct {
        const char *header, *row;
        enum err_code code;
        const char *expected; /* the JSON, or part of the sentence */
    } cases[] = {
        { "registrationId,primaryKey,secondaryKey", "d,a,b", ERR_NONE,
          "{\"registrationId\":\"d\",\"attestation\":{\"type\":\"symmetricKey\",\"symmetricKey\":"
          "{\"primaryKey\":\"a\",\"secondaryKey\":\"b\"}}}" },
        { "registrationId,endorsementKey,edgeEnabled", "d,ek,TRUE", ERR_NONE,
          "{\"registrationId\":\"d\",\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":"
          "\"ek\"}},\"capabilities\":{\"iotEdge\":true}}" },
        { "registrationId,caName,reprovisionPolicy", "d,ca,\"{\"\"updateHubAssignment\"\":true}\"",
          ERR_NONE,
          "{\"registrationId\":\"d\",\"attestation\":{\"type\":\"x509\",\"x509\":{\"caReferences\":"
          "{\"primary\":\"ca\"}}},\"reprovisionPolicy\":{\"updateHubAssignment\":true}}" },
        { "registrationId,attestation,members",
          "d,\"{\"\"type\"\":\"\"none\"\"}\",\"{\"\"x\"\":[1]}\"", ERR_NONE,
          "{\"registrationId\":\"d\",\"attestation\":{\"type\":\"none\"},\"x\":[1]}" },
        { "registrationId,attestationType", "d", ERR_UNSUPPORTED,
          "1 fields, but the header has 2" },
        { "registrationId", "d\"e", ERR_MALFORMED, "quote in its middle" },
        { "registrationId", "d\xff", ERR_UNSUPPORTED, "registrationId is not UTF-8" },
        { "registrationId,attestationType", ",tpm", ERR_UNSUPPORTED, "registrationId is empty" },
        { "registrationId,attestationType", "d,", ERR_UNSUPPORTED, "attestationType is empty" },
        { "registrationId,attestationType,initialTwin", "d,symmetrickey,[]", ERR_UNSUPPORTED,
          "initialTwin wants a JSON object" },
        { "registrationId,primaryKey,members", "d,a,\"{\"\"etag\"\":1}\"", ERR_UNSUPPORTED,
          "members holds etag, which has a column of its own" },
        { "registrationId,primaryKey,attestation", "d,a,{}", ERR_UNSUPPORTED,
          "nothing else of it goes beside it" },
        { "registrationId,certificatePath", "d,c.pem", ERR_UNSUPPORTED, "/nowhere/c.pem" },
        { "registrationId,certificatePath,certificate", "d,c.pem,x", ERR_UNSUPPORTED,
          "certificatePath and certificate are both given" },
        { "registrationId,primaryKey,edgeEnabled", "d,a,yes", ERR_UNSUPPORTED,
          "edgeEnabled is true or false" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cli cli = { .exit_status = 0 };
        struct span text;
        err e;

        arena_init(&cli.arena, memory, sizeof(memory));
        text = decode(&cli, cases[i].header, cases[i].row, false, &e);
        if (e.code != cases[i].code ||
            memmem(text.data, text.len, cases[i].expected, strlen(cases[i].expected)) == NULL ||
            (err_is_ok(e) && text.len != strlen(cases[i].expected))) {
            fail_msg("case %zu: %s %.*s", i, err_name(e), SPAN_FMT(text));
        }
    }
}

static void test_deletion(void **state)
{
    struct cli cli = { .exit_status = 0 };
    struct span text;
    err e;

    (void)state;
    arena_init(&cli.arena, memory, sizeof(memory));
    text =
        decode(&cli, "etag,registrationId,initialTwin", "\"\"\"e\"\"\",d,not looked at", true, &e);
    assert_true(err_is_ok(e));
    assert_true(span_eq(text, SPAN("{\"registrationId\":\"d\",\"etag\":\"\\\"e\\\"\"}")));
}

/* JSON to a row to the same JSON, but for what the service alone writes. */
static void test_round_trip(void **state)
{
    static const char *const cases[][2] = {
        { "{\"registrationId\":\"d\",\"attestation\":{\"type\":\"symmetricKey\",\"symmetricKey\":"
          "{\"primaryKey\":\"a\",\"secondaryKey\":\"b\"}},\"createdDateTimeUtc\":\"x\"}",
          "{\"registrationId\":\"d\",\"attestation\":{\"type\":\"symmetricKey\",\"symmetricKey\":"
          "{\"primaryKey\":\"a\",\"secondaryKey\":\"b\"}}}" },
        { "{\"registrationId\":\"d\",\"attestation\":{\"type\":\"x509\",\"x509\":"
          "{\"clientCertificates\":{\"primary\":{\"info\":{\"version\":3}}}}}}",
          NULL },
        { "{\"registrationId\":\"d\",\"deviceId\":\"a,\\\"\\n\xc3\xa9\",\"attestation\":{\"type\":"
          "\"tpm\",\"tpm\":{\"endorsementKey\":\"e\",\"storageRootKey\":\"s\"}},"
          "\"provisioningStatus\":\"disabled\",\"allocationPolicy\":\"custom\",\"iotHubs\":[\"a\","
          "\"b\"],\"customAllocationDefinition\":{\"webhookUrl\":\"u\",\"apiVersion\":\"v\"},"
          "\"reprovisionPolicy\":{\"updateHubAssignment\":true,\"migrateDeviceData\":false},"
          "\"capabilities\":{\"iotEdge\":true},\"initialTwin\":{\"tags\":{\"a\":[\"\\\"\"]},"
          "\"properties\":{\"desired\":{}}},\"optionalDeviceInformation\":{\"s\":1},"
          "\"etag\":\"\\\"e\\\"\",\"namespaceName\":\"n\",\"deviceTypeRefs\":[\"t\"]}",
          NULL },
        { "{\"registrationId\":\"d\",\"attestation\":{\"type\":\"symmetricKey\",\"symmetricKey\":"
          "{}},\"reprovisionPolicy\":{\"updateHubAssignment\":false,\"migrateDeviceData\":true}}",
          NULL },
        { "{\"registrationId\":\"d\",\"attestation\":{\"type\":\"symmetricKey\",\"symmetricKey\":"
          "{}},\"customAllocationDefinition\":{\"rule\":\"x = 'a,b'\\nreturn \\\"x\\\"\"}}",
          NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *expected = cases[i][1] ? cases[i][1] : cases[i][0];
        char header[1024], row[4096];
        struct buf h = buf_over(header, sizeof(header) - 1), r = buf_over(row, sizeof(row) - 1);
        AUTO(json) json *document = NULL;
        struct cli cli = { .exit_status = 0 };
        struct span text;
        err e;

        arena_init(&cli.arena, memory, sizeof(memory));
        assert_true(err_is_ok(json_parse(span_str(cases[i][0]), 16, &document)));
        berth_rows_encode_header(ENROLLMENT_INDIVIDUAL, &h);
        assert_true(err_is_ok(berth_rows_encode(&cli, ENROLLMENT_INDIVIDUAL, document, &r)));
        text = decode(&cli, buf_cstr(&h), buf_cstr(&r), false, &e);
        if (!err_is_ok(e) || !span_eq(text, span_str(expected))) {
            fail_msg("case %zu:\n%s\n%.*s\n%s", i, buf_cstr(&r), SPAN_FMT(text), expected);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_deletion),
        cmocka_unit_test(test_round_trip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
