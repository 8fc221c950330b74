/* attest/attest_tpm_test.c: what a token by a TPM's key is still good for, by who asks what and
 * when. Whole registrations are core/core_tpm_test.c's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "attest/attest.h"
#include "attest/sas.h"
#include "model/limits.h"

#define NOW 1750000000000LL

static struct crypto *crypto;
static uint8_t memory[64 * 1024];
static struct arena arena;

static const uint8_t keys[3][32] = { "the open challenge's key", "the used challenge's key",
                                     "a key of nobody" };
enum { OPEN, USED, NOBODY };

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, memory, sizeof memory);
    return err_is_ok(crypto_new(CRYPTO_SERVING, &crypto)) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    crypto_free(crypto);
    return 0;
}

static struct span token_by(int key, const char *resource)
{
    struct buf out = arena_buf(&arena);
    struct span token;

    assert_true(err_is_ok(sas_make(crypto, span_str(resource), span_of(keys[key], 32),
                                   SPAN("registration"), NOW / 1000 + 3600, &out)));
    assert_true(err_is_ok(arena_buf_end(&arena, &out, &token)));
    return token;
}

enum { LATE = LIMIT_TPM_CHALLENGE_MS + 1, IN_TIME = LIMIT_TPM_CHALLENGE_MS };

static const struct {
    const char *what;
    enum operation operation;
    int signed_by;
    int open_age_ms, used_age_ms; /* -1: there is none */
    enum reason expected;
} cases[] = {
    { "first", OPERATION_REGISTER, OPEN, IN_TIME, -1, REASON_GRANTED },
    { "late", OPERATION_REGISTER, OPEN, LATE, -1, REASON_TPM_CHALLENGE_EXPIRED },
    { "guess", OPERATION_REGISTER, NOBODY, 0, -1, REASON_TPM_KEY_UNPROVEN },
    { "late guess", OPERATION_REGISTER, NOBODY, LATE, -1, REASON_TPM_KEY_UNPROVEN },
    { "never asked", OPERATION_REGISTER, NOBODY, -1, -1, REASON_TPM_CHALLENGE_MISSING },
    { "replay", OPERATION_REGISTER, USED, -1, 0, REASON_TPM_CHALLENGE_USED },
    { "replay beside a new one", OPERATION_REGISTER, USED, 0, 0, REASON_TPM_CHALLENGE_USED },
    { "late replay", OPERATION_REGISTER, USED, -1, LATE, REASON_TPM_CHALLENGE_USED },
    { "again, by the new one", OPERATION_REGISTER, OPEN, 0, 0, REASON_GRANTED },
    { "guess after use", OPERATION_REGISTER, NOBODY, -1, 0, REASON_TPM_KEY_UNPROVEN },
    { "poll", OPERATION_STATUS, USED, -1, IN_TIME, REASON_GRANTED },
    { "poll beside a new one", OPERATION_STATUS, USED, 0, IN_TIME, REASON_GRANTED },
    { "late poll", OPERATION_STATUS, USED, -1, LATE, REASON_TPM_CHALLENGE_EXPIRED },
    { "poll by guess", OPERATION_STATUS, NOBODY, 0, 0, REASON_TPM_KEY_UNPROVEN },
    { "lookup before", OPERATION_LOOKUP, OPEN, IN_TIME, -1, REASON_GRANTED },
    { "lookup after", OPERATION_LOOKUP, USED, -1, IN_TIME, REASON_GRANTED },
    { "late lookup", OPERATION_LOOKUP, USED, -1, LATE, REASON_TPM_CHALLENGE_EXPIRED },
};

static void what_a_key_is_good_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct env env = { .crypto = crypto, .arena = &arena, .now_ms = NOW };
        struct challenge open = { .key = span_of(keys[OPEN], 32),
                                  .issued_ms = NOW - cases[i].open_age_ms };
        struct challenge used = { .key = span_of(keys[USED], 32),
                                  .used_ms = NOW - cases[i].used_age_ms };
        struct attest_challenges has = { .open = cases[i].open_age_ms < 0 ? NULL : &open,
                                         .used = cases[i].used_age_ms < 0 ? NULL : &used };
        struct claim claim = { .id_scope = SPAN("scope"),
                               .registration_id = SPAN("dev"),
                               .operation = cases[i].operation,
                               .token = token_by(cases[i].signed_by, "scope/registrations/dev") };
        struct verdict v;

        assert_true(err_is_ok(attest_tpm_judge_token(&env, &claim, &has, &v)));
        if (v.reason != cases[i].expected) {
            fail_msg("%s: %s", cases[i].what, reason_info(v.reason)->token);
        }
    }
}

static void what_a_token_must_say(void **state)
{
    struct env env = { .crypto = crypto, .arena = &arena, .now_ms = NOW };
    struct challenge open = { .key = span_of(keys[OPEN], 32), .issued_ms = NOW };
    struct attest_challenges has = { .open = &open };
    struct claim claim = { .id_scope = SPAN("scope"),
                           .registration_id = SPAN("dev"),
                           .operation = OPERATION_REGISTER };
    struct verdict v;

    (void)state;
    assert_true(err_is_ok(attest_tpm_judge_token(&env, &claim, &has, &v)));
    assert_int_equal(REASON_TPM_CHALLENGED, v.reason);
    claim.token = token_by(OPEN, "scope/registrations/dev2");
    assert_true(err_is_ok(attest_tpm_judge_token(&env, &claim, &has, &v)));
    assert_int_equal(REASON_TOKEN_SCOPE, v.reason);
    claim.token = SPAN("SharedAccessSignature");
    assert_true(err_is_ok(attest_tpm_judge_token(&env, &claim, &has, &v)));
    assert_int_equal(REASON_TOKEN_MALFORMED, v.reason);
    claim.token = token_by(OPEN, "scope/registrations/dev");
    env.now_ms += (3600 + 301) * 1000LL;
    open.issued_ms = env.now_ms;
    assert_true(err_is_ok(attest_tpm_judge_token(&env, &claim, &has, &v)));
    assert_int_equal(REASON_TOKEN_EXPIRED, v.reason);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_key_is_good_for),
        cmocka_unit_test(what_a_token_must_say),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
