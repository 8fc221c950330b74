/* cmd/berth/provision_tpm_test.c: what needs no TPM; the rest is
 * tests/scenario/tpm_client.test.mjs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cmd/berth/provision_tpm.h"

/* printf '\x00\x03\x01\x02\x03' | openssl dgst -sha256 -binary | base32 | tr -d =, in lower case */
static void test_registration_id(void **state)
{
    char id[PROVISION_TPM_REGISTRATION_ID_MAX];
    struct crypto *crypto = NULL;

    (void)state;
    assert_true(err_is_ok(crypto_new(CRYPTO_FULL, &crypto)));
    assert_true(
        err_is_ok(berth_provision_tpm_registration_id(crypto, SPAN("\x00\x03\x01\x02\x03"), id)));
    assert_string_equal(id, "orwogmijazl74xlojg3k7q6rpgq5ebol47pa2qbjwjghjstrrpla");
    crypto_free(crypto);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registration_id),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
