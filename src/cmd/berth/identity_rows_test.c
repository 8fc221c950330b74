/* cmd/berth/identity_rows_test.c: lines of a file to items of a bulk request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cmd/berth/identity_rows.h"

enum { TEXT_MAX = 1000 };

static const struct {
    const char *header, *row;
    const char *expected, *why; /* one of them */
} CASES[] = {
    { "deviceId", "d", "{\"id\":\"d\",\"importMode\":\"create\"}", NULL },
    { " DEVICEID ,status,edgeEnabled", "d,disabled,true",
      "{\"id\":\"d\",\"importMode\":\"create\",\"status\":\"disabled\",\"capabilities\":{"
      "\"iotEdge\":"
      "true}}",
      NULL },
    { "primaryKey,secondaryKey,deviceId,moduleId", "p,s,d,m",
      "{\"id\":\"d\",\"moduleId\":\"m\",\"importMode\":\"create\",\"authentication\":{\"type\":"
      "\"sas\",\"symmetricKey\":{\"primaryKey\":\"p\",\"secondaryKey\":\"s\"}}}",
      NULL },
    { "deviceId,primaryThumbprint", "d,AB",
      "{\"id\":\"d\",\"importMode\":\"create\",\"authentication\":{\"type\":\"selfSigned\","
      "\"x509Thumbprint\":{\"primaryThumbprint\":\"AB\"}}}",
      NULL },
    { "deviceId,authMethod", "d,x509_ca",
      "{\"id\":\"d\",\"importMode\":\"create\",\"authentication\":{\"type\":"
      "\"certificateAuthority\"}}",
      NULL },
    { "deviceId,tags,desired", "d,\"{\"\"a\"\":1}\",{}",
      "{\"id\":\"d\",\"importMode\":\"create\",\"tags\":{\"a\":1},\"properties\":{\"desired\":{}}}",
      NULL },
    { "deviceId,tags", "d,[]", NULL, "tags is not a JSON object" },
    { "deviceId,authMethod", "d,tpm", NULL, "authMethod is none of" },
    { "deviceId,edgeEnabled", "d,yes", NULL, "neither true nor false" },
    { "deviceId,status", "d", NULL, "another number of fields" },
    { "deviceId,status", ",enabled", NULL, "deviceId is empty" },
    { "deviceId", "\xff", NULL, "not UTF-8" },
    { "deviceId", "\"d", NULL, "" },
    { "deviceId,colour", "", NULL, "there is no column 'colour'" },
    { "deviceId,deviceId", "", NULL, "twice" },
    { "status", "", NULL, "no column deviceId" },
    { NULL, "{\"id\":\"d\",\"tags\":{}}", "{\"importMode\":\"create\",\"id\":\"d\",\"tags\":{}}",
      NULL },
    { NULL, "{\"id\":\"d\",\"importMode\":\"delete\"}", "{\"id\":\"d\",\"importMode\":\"delete\"}",
      NULL },
    { NULL, "[]", NULL, "not a JSON object" },
    { NULL, "{\"deviceId\":\"d\"}", NULL, "no \"id\"" },
};

static err decode(struct cli *cli, size_t at, struct json_writer *w)
{
    uint8_t header[TEXT_MAX], row[TEXT_MAX];
    struct identity_rows rows;
    struct identity_row who;
    size_t len = strlen(CASES[at].row);

    memcpy(row, CASES[at].row, len);
    if (CASES[at].header == NULL) {
        return berth_identity_rows_decode_json(cli, span_of(row, len), "create", w, &who);
    }
    memcpy(header, CASES[at].header, strlen(CASES[at].header));
    TRY(berth_identity_rows_decode_header(header, strlen(CASES[at].header), &rows));
    TRY(berth_identity_rows_decode(&rows, row, len, "create", w, &who));
    assert_true(span_eq(who.device, SPAN("d")));
    return OK;
}

static void test_rows(void **state)
{
    static uint8_t memory[16 * 1024];

    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct cli cli = { .exit_status = 0 };
        char text[TEXT_MAX];
        struct buf out = buf_over(text, sizeof(text));
        struct json_writer w = json_writer_over(&out);
        err e;

        arena_init(&cli.arena, memory, sizeof(memory));
        e = decode(&cli, i, &w);
        if (err_is_ok(e) != (CASES[i].why == NULL)) {
            fail_msg("case %zu: %s", i, err_is_ok(e) ? "taken" : err_detail());
        } else if (err_is_ok(e)) {
            assert_string_equal(buf_cstr(&out), CASES[i].expected);
        } else {
            assert_non_null(strstr(err_detail(), CASES[i].why));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
