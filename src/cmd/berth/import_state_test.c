/* cmd/berth/import_state_test.c: what is written is read; what is damaged is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "cmd/berth/file.h"
#include "cmd/berth/import_state.h"

static uint8_t memory[2 * 1024 * 1024];
static char path[] = "/tmp/berth-import-state-XXXXXX";

static struct cli make_cli(void)
{
    struct cli cli = { .exit_status = 0 };

    arena_init(&cli.arena, memory, sizeof(memory));
    assert_true(err_is_ok(crypto_new(CRYPTO_FULL, &cli.crypto)));
    return cli;
}

static void test_round_trip(void **state)
{
    struct cli cli = make_cli();
    struct import_state was = { .mode = "create",
                                .collection = "enrollments",
                                .host = "a \"host\"",
                                .digest_len = 7,
                                .offset = 1234567890123,
                                .line = 99,
                                .sent = 1234567890124,
                                .done = 5,
                                .there = 6,
                                .failed = 7,
                                .errors_len = 8 };
    struct import_state is;

    (void)state;
    memset(was.digest, 'a', sizeof(was.digest) - 1);
    assert_true(err_is_ok(berth_import_state_write(path, &was)));
    assert_true(err_is_ok(berth_import_state_read(&cli, path, &is)));
    assert_string_equal(is.mode, was.mode);
    assert_string_equal(is.collection, was.collection);
    assert_string_equal(is.host, was.host);
    assert_string_equal(is.digest, was.digest);
    assert_true(is.digest_len == was.digest_len && is.offset == was.offset && is.line == was.line &&
                is.sent == was.sent && is.done == was.done && is.there == was.there &&
                is.failed == was.failed && is.errors_len == was.errors_len);
    berth_cli_done(&cli);
}

static void test_damaged(void **state)
{
    static const char *const texts[] = {
        "", "{", "{}", "{\"version\":2}", "{\"version\":1}", "{\"version\":1,\"line\":-1}",
    };
    struct cli cli = make_cli();
    struct import_state is;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_true(err_is_ok(berth_file_write(path, span_str(texts[i]), 0600, true)));
        assert_true(err_is(berth_import_state_read(&cli, path, &is), ERR_CORRUPT));
    }
    assert_int_equal(unlink(path), 0);
    assert_true(err_is(berth_import_state_read(&cli, path, &is), ERR_NOT_FOUND));
    berth_cli_done(&cli);
}

static void test_digest(void **state)
{
    struct cli cli = make_cli();
    struct import_state whole = { .offset = 0 }, part = { .offset = 0 };
    FILE *f = tmpfile();

    (void)state;
    assert_non_null(f);
    assert_true(fputs("one file", f) != EOF && fflush(f) == 0);
    assert_true(err_is_ok(berth_import_state_digest(&cli, fileno(f), &whole, 0)));
    assert_int_equal(whole.digest_len, 8);
    assert_true(fputs(", grown", f) != EOF && fflush(f) == 0);
    assert_true(err_is_ok(berth_import_state_digest(&cli, fileno(f), &part, whole.digest_len)));
    assert_string_equal(part.digest, whole.digest);
    assert_true(err_is_ok(berth_import_state_digest(&cli, fileno(f), &part, 0)));
    assert_string_not_equal(part.digest, whole.digest);
    (void)fclose(f);
    berth_cli_done(&cli);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_digest),
    };
    int fd = mkstemp(path);

    if (fd < 0) {
        return 1;
    }
    (void)close(fd);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
