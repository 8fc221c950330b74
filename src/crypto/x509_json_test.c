/* crypto/x509_json_test.c: what is shown of a certificate's alternative names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "crypto/key.h"
#include "crypto/x509_json.h"

static void alternative_names_are_shown_by_kind(void **state)
{
    static const struct {
        const char *names, *json;
    } cases[] = {
        { NULL, "{}" },
        { "DNS:a.example,URI:urn:x:1,DNS:b.example,email:a@example,IP:192.0.2.1,IP:2001:db8::1",
          "{\"subjectAltNames\":{\"dns\":[\"a.example\",\"b.example\"],\"uri\":[\"urn:x:1\"],"
          "\"email\":[\"a@example\"],\"ip\":[\"192.0.2.1\",\"2001:db8::1\"]}}" },
        { "RID:1.2.3,DNS:a", "{\"subjectAltNames\":{\"dns\":[\"a\"]}}" },
        { "RID:1.2.3", "{\"subjectAltNames\":{}}" },
    };
    struct crypto *crypto;
    AUTO(crypto_key) struct crypto_key *key = NULL;

    (void)state;
    assert_true(err_is_ok(crypto_new(CRYPTO_FULL, &crypto)));
    assert_true(err_is_ok(crypto_key_generate(crypto, CRYPTO_KEY_EC_P256, &key)));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        AUTO(crypto_cert) struct crypto_cert *cert = NULL;
        struct crypto_cert_spec spec = { .common_name = "d",
                                         .not_before_ms = 1600000000000,
                                         .not_after_ms = 4000000000000,
                                         .path_len = -1,
                                         .subject_alt_name = cases[i].names,
                                         .serial = { 1 } };
        char text[1024];
        struct buf out = buf_over(text, sizeof text - 1);
        struct json_writer w = json_writer_over(&out);

        assert_true(err_is_ok(crypto_key_issue(crypto, &spec, key, NULL, key, &cert)));
        json_write_begin_object(&w, NULL);
        crypto_x509_json_alt_names(cert, &w);
        json_write_end_object(&w);
        text[out.len] = '\0';
        assert_string_equal(cases[i].json, text);
    }
    crypto_free(crypto);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(alternative_names_are_shown_by_kind) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
