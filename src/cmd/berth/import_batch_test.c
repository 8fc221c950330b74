/* cmd/berth/import_batch_test.c: which item an answer speaks of, and what of it is no failure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cmd/berth/import_batch.h"

enum { ITEMS = 3 };

#define EXISTS(id)     "{\"registrationId\":\"" id "\",\"errorCode\":409201,\"errorStatus\":\"There.\"}"
#define GONE(id)       "{\"registrationId\":\"" id "\",\"errorCode\":404201,\"errorStatus\":\"Gone.\"}"
#define IN_USE(id)     "{\"registrationId\":\"" id "\",\"errorCode\":409202,\"errorStatus\":\"Used.\"}"
#define FAILED(errors) "{\"isSuccessful\":false,\"errors\":[" errors "]}"

/* Items a (offset 0), b (10), c (20) and between b and c one that was never sent. */
static const struct {
    const char *mode;
    int status;
    bool is_again;
    int64_t known;
    const char *reply;
    enum err_code code;
    enum import_outcome outcomes[ITEMS];
} cases[] = {
    { "create", 200, false, 0, "{\"isSuccessful\":true,\"errors\":[]}", ERR_NONE, { 0 } },
    { "create", 200, false, 0, FAILED(EXISTS("B")), ERR_NONE, { 0, IMPORT_FAILED, 0 } },
    { "create",
      200,
      false,
      11,
      FAILED(EXISTS("b") "," EXISTS("c")),
      ERR_NONE,
      { 0, IMPORT_THERE, IMPORT_FAILED } },
    { "create",
      200,
      true,
      0,
      FAILED(EXISTS("a") "," EXISTS("c")),
      ERR_NONE,
      { IMPORT_THERE, 0, IMPORT_THERE } },
    { "create", 200, true, 99, FAILED(GONE("a")), ERR_NONE, { IMPORT_FAILED, 0, 0 } },
    { "create", 200, true, 99, FAILED(IN_USE("a")), ERR_NONE, { IMPORT_FAILED, 0, 0 } },
    { "delete", 200, true, 0, FAILED(GONE("a")), ERR_NONE, { IMPORT_THERE, 0, 0 } },
    { "delete", 200, false, 0, FAILED(GONE("a")), ERR_NONE, { IMPORT_FAILED, 0, 0 } },
    { "update", 200, true, 99, FAILED(EXISTS("a")), ERR_NONE, { IMPORT_FAILED, 0, 0 } },
    { "create", 400, false, 0, "", ERR_NONE, { IMPORT_FAILED, IMPORT_FAILED, IMPORT_FAILED } },
    { "create", 200, false, 0, FAILED(EXISTS("x")), ERR_IO, { 0 } },
    { "create", 200, false, 0, FAILED(""), ERR_IO, { 0 } },
    { "create", 200, false, 0, "[]", ERR_IO, { 0 } },
    { "create", 200, false, 0, "<html>", ERR_IO, { 0 } },
    { "create", 401, false, 0, "", ERR_DENIED, { 0 } },
    { "create", 500, false, 0, "", ERR_IO, { 0 } },
    { "create", 0, true, 0, "", ERR_IO, { 0 } },
};

static struct import_batch batch;

static void add(int64_t offset, const char *id, bool is_sent)
{
    struct record record = { .line = offset, .offset = offset };
    struct span body = is_sent ? SPAN("{}") : SPAN_NONE;

    assert_true(berth_import_batch_fits(&batch, SPAN("raw\n"), body, span_str(id)));
    berth_import_batch_add(&batch, &record, SPAN("raw\n"), body, span_str(id), SPAN("broken"));
}

static void test_judge(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct import_kind kind = { .kind = ENROLLMENT_INDIVIDUAL,
                                    .mode = cases[i].mode,
                                    .collection = "enrollments",
                                    .id_name = "registrationId" };
        err e;

        berth_import_batch_begin(&batch, &kind);
        add(0, "a", true);
        add(10, "b", true);
        add(15, "", false);
        add(20, "c", true);
        assert_false(berth_import_batch_fits(&batch, SPAN("raw\n"), SPAN("{}"), SPAN("A")));
        assert_true(berth_import_batch_end(&batch));
        batch.job.status = cases[i].status;
        batch.job.is_again = cases[i].is_again;
        batch.job.reply = buf_over(batch.job.reply_memory, sizeof(batch.job.reply_memory));
        buf_add_str(&batch.job.reply, cases[i].reply);
        e = berth_import_batch_judge(&batch, &kind, cases[i].known);
        assert_int_equal(e.code, cases[i].code);
        for (size_t n = 0, at = 0; n < ITEMS && err_is_ok(e); n++, at++) {
            at += at == 2;
            if (batch.items[at].outcome != cases[i].outcomes[n]) {
                fail_msg("case %zu, item %zu: %d", i, n, batch.items[at].outcome);
            }
        }
        assert_true(!err_is_ok(e) || (batch.items[2].outcome == IMPORT_FAILED &&
                                      span_eq(batch.items[2].why, SPAN("broken"))));
    }
}

static void test_room(void **state)
{
    struct import_kind kind = { .mode = "create", .collection = "enrollments" };
    char id[8];
    size_t n = 0;

    (void)state;
    berth_import_batch_begin(&batch, &kind);
    for (; n < LIMIT_BULK; n++) {
        (void)snprintf(id, sizeof(id), "d%zu", n);
        add(0, id, true);
    }
    assert_false(berth_import_batch_fits(&batch, SPAN("raw\n"), SPAN("{}"), SPAN("other")));
    for (; n < IMPORT_ITEMS_MAX; n++) {
        add(0, "", false);
    }
    assert_false(berth_import_batch_fits(&batch, SPAN("raw\n"), SPAN_NONE, SPAN("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_judge),
        cmocka_unit_test(test_room),
    };
    int failed;

    if (!err_is_ok(berth_import_batch_open(&batch))) {
        return 1;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    berth_import_batch_close(&batch);
    return failed;
}
