/* cmd/berth/tpm_blob_test.c: blobs by hand, one byte too few, and other keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cmd/berth/tpm_blob.h"
#include "util/buf.h"

#define KEY_ATTRIBUTES "\x00\x04\x04\x40"
/* TPMT_PUBLIC: type, SHA-256, attributes, no policy, HMAC with SHA-256, unique */
#define KEYED_HASH "\x00\x08\x00\x0b" KEY_ATTRIBUTES "\x00\x00\x00\x05\x00\x0b\x00\x03uni"
/* type, SHA-256, attributes, no policy, AES 128 CFB, unique */
#define SYMMETRIC "\x00\x25\x00\x0b" KEY_ATTRIBUTES "\x00\x00\x00\x06\x00\x80\x00\x43\x00\x03uni"

static struct span make(uint8_t *memory, size_t size, struct span public_part)
{
    struct buf out = buf_over(memory, size);

    buf_add_lp16(&out, SPAN("credential"));
    buf_add_lp16(&out, SPAN("secret"));
    buf_add_lp16(&out, SPAN("duplicate"));
    buf_add_lp16(&out, SPAN("seed"));
    buf_add_lp16(&out, public_part);
    assert_true(err_is_ok(buf_ok(&out)));
    return buf_span(&out);
}

static void test_good(void **state)
{
    uint8_t memory[200];
    struct span whole = make(memory, sizeof(memory), SPAN(KEYED_HASH));
    struct tpm_blob b;

    (void)state;
    for (size_t more = 0; more < 3; more++) { /* URI data may follow */
        assert_true(err_is_ok(berth_tpm_blob_decode(span_of(whole.data, whole.len + more), &b)));
        assert_true(
            span_eq(span_of(b.credential.credential, b.credential.size), SPAN("credential")));
        assert_true(span_eq(span_of(b.duplicate_seed.secret, b.duplicate_seed.size), SPAN("seed")));
        assert_true(span_eq(span_of(b.key.publicArea.unique.keyedHash.buffer,
                                    b.key.publicArea.unique.keyedHash.size),
                            SPAN("uni")));
    }
}

static void test_truncations(void **state)
{
    uint8_t memory[200];
    struct span whole = make(memory, sizeof(memory), SPAN(KEYED_HASH));

    (void)state;
    for (size_t n = 0; n < whole.len; n++) {
        uint8_t *exact = malloc(n ? n : 1); /* so that a read past the end is seen */
        struct tpm_blob b;

        memcpy(exact, whole.data, n);
        assert_true(err_is(berth_tpm_blob_decode(span_of(exact, n), &b), ERR_MALFORMED));
        free(exact);
    }
}

static void test_other_keys(void **state)
{
    static const struct span parts[] = {
        SPAN_INIT(SYMMETRIC),
        SPAN_INIT(KEYED_HASH "x"), /* its size says more than it is */
        SPAN_INIT("\xff\xff\x00\x0b" KEY_ATTRIBUTES),
        SPAN_INIT(""),
    };
    uint8_t memory[200];
    struct tpm_blob b;

    (void)state;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        assert_true(err_is(berth_tpm_blob_decode(make(memory, sizeof(memory), parts[i]), &b),
                           ERR_MALFORMED));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_truncations),
        cmocka_unit_test(test_other_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
