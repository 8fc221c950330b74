/* util/encoding_test.c: hex, base32, base64, percent-encoding and GUIDs, there and back. */
#include "util/base32.h"
#include "util/base64.h"
#include "util/guid.h"
#include "util/hex.h"
#include "util/percent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct good {
    struct span plain;
    const char *coded;
};

static void assert_decodes(err (*decode)(struct span, struct buf *), struct span text,
                           struct span want)
{
    uint8_t room[64];
    struct buf b = buf_over(room, want.len);

    assert_true(err_is_ok(decode(text, &b)));
    assert_true(span_eq(buf_span(&b), want));
    if (want.len > 0) {
        b = buf_over(room, want.len - 1);
        assert_true(err_is(decode(text, &b), ERR_NOMEM));
    }
}

static void assert_refused(err (*decode)(struct span, struct buf *), const char *text)
{
    uint8_t room[64];
    struct buf b = buf_over(room, sizeof(room));

    if (!err_is(decode(span_str(text), &b), ERR_MALFORMED)) {
        fail_msg("accepted: %s", text);
    }
}

static void assert_encodes(void (*encode)(struct span, struct buf *), const struct good *g)
{
    uint8_t room[64];
    struct buf b = buf_over(room, strlen(g->coded));

    encode(g->plain, &b);
    assert_true(err_is_ok(buf_ok(&b)));
    assert_true(span_eq(buf_span(&b), span_str(g->coded)));
}

static void hex(void **state)
{
    static const char *const bad[] = { "0", "000", "0g", "g0", " 0", "0x", "/0", ":0", "@0", "`0" };
    const struct good lower[] = { { SPAN(""), "" }, { SPAN("\x00\x9a\xff"), "009aff" } };
    const struct good upper = { SPAN("\x00\x9a\xff"), "009AFF" };

    (void)state;
    for (size_t i = 0; i < COUNT(lower); i++) {
        assert_encodes(hex_encode_lower, &lower[i]);
        assert_decodes(hex_decode, span_str(lower[i].coded), lower[i].plain);
    }
    assert_encodes(hex_encode_upper, &upper);
    assert_decodes(hex_decode, span_str(upper.coded), upper.plain);
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_refused(hex_decode, bad[i]);
    }
}

static void base32(void **state)
{
    /* RFC 4648 section 10, in lower case and without padding */
    const struct good good[] = {
        { SPAN(""), "" },
        { SPAN("f"), "my" },
        { SPAN("fo"), "mzxq" },
        { SPAN("foo"), "mzxw6" },
        { SPAN("foob"), "mzxw6yq" },
        { SPAN("fooba"), "mzxw6ytb" },
        { SPAN("foobar"), "mzxw6ytboi" },
        { SPAN("\xff\xff\xff\xff\xff\xff"), "7777777774" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_int_equal(base32_encoded_len(good[i].plain.len), strlen(good[i].coded));
        assert_encodes(base32_encode_lower, &good[i]);
    }
}

static void base64(void **state)
{
    /* RFC 4648 section 10 */
    const struct good good[] = {
        { SPAN(""), "" },
        { SPAN("f"), "Zg==" },
        { SPAN("fo"), "Zm8=" },
        { SPAN("foo"), "Zm9v" },
        { SPAN("foob"), "Zm9vYg==" },
        { SPAN("fooba"), "Zm9vYmE=" },
        { SPAN("foobar"), "Zm9vYmFy" },
        { SPAN("\xfb\xef\xff"), "++//" },
    };
    static const char *const bad[] = {
        "Z",     "Zm9vY", "Zh==", /* a lone character; bits left over */
        "Zm9=",  "Z===",  "=",        "====", "Zg=",  "Zg===", "Zm8==",   "Zm9v=",
        "Zg==Z", "Zg=a",  "Zm9v====", "Zm-v", "Zm_v", "Zm9v.", "Zm\x01v",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_encodes(base64_encode, &good[i]);
        assert_int_equal(base64_encoded_len(good[i].plain.len), strlen(good[i].coded));
        assert_decodes(base64_decode, span_str(good[i].coded), good[i].plain);
    }
    assert_decodes(base64_decode, SPAN("Zm\r\n9v Yg\t"), SPAN("foob")); /* unpadded, with space */
    assert_decodes(base64_decode, SPAN("Zg=\n="), SPAN("f"));
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_refused(base64_decode, bad[i]);
    }
}

static void percent(void **state)
{
    static const char *const bad[] = { "%", "a%2", "%zz", "%2g", "%%20" };
    const struct good good[] = {
        { SPAN(""), "" },
        { SPAN("aZ09-._~"), "aZ09-._~" },
        { SPAN("a b+/=%\x00\xff"), "a%20b%2B%2F%3D%25%00%FF" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_encodes(percent_encode, &good[i]);
        assert_decodes(percent_decode, span_str(good[i].coded), good[i].plain);
    }
    assert_decodes(percent_decode, SPAN("a+%2f%2F"), SPAN("a+//"));
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_refused(percent_decode, bad[i]);
    }
}

static void guid(void **state)
{
    static const uint8_t ones[GUID_BYTES] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                              0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f };
    static const uint8_t zeros[GUID_BYTES] = { 0 };
    uint8_t room[GUID_TEXT_LEN];
    struct buf b = buf_over(room, sizeof(room));

    (void)state;
    guid_format(ones, &b);
    assert_true(span_eq(buf_span(&b), SPAN("ffffffff-ffff-4fff-bfff-ffffffffff0f")));
    b = buf_over(room, sizeof(room));
    guid_format(zeros, &b);
    assert_true(span_eq(buf_span(&b), SPAN("00000000-0000-4000-8000-000000000000")));
    b = buf_over(room, sizeof(room));
    guid_format_v7(0x0123456789ab, ones, &b);
    assert_true(span_eq(buf_span(&b), SPAN("01234567-89ab-7fff-bfff-ffffffffff0f")));
    b = buf_over(room, sizeof(room));
    guid_format_v7(1700000000000, zeros, &b);
    assert_true(span_eq(buf_span(&b), SPAN("018bcfe5-6800-7000-8000-000000000000")));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(hex),     cmocka_unit_test(base32), cmocka_unit_test(base64),
        cmocka_unit_test(percent), cmocka_unit_test(guid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
