/* attest/sas_test.c: every SDK's spelling of a token, the published vectors (reference
 * dps-device-api.md 6.3, re-computed there), and what must not pass. */
#include "attest/sas.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/limits.h"
#include "util/base64.h"

#define GROUP_KEY                                                                                  \
    "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw=="
#define DEVICE     "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6"
#define DEVICE_KEY "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc="
#define RESOURCE   "0ne00111111/registrations/" DEVICE
#define UPPER_SR   "0ne00111111%2Fregistrations%2F" DEVICE
#define LOWER_SR   "0ne00111111%2fregistrations%2f" DEVICE
#define UPPER_SIG  "4vgT0nSltTOl1Mdo9UH0nk4hIwsK9ExboUU1oeIqY2I%3D"
#define LOWER_SIG  "j%2fhDiV4nC7UmhyS5Sg3pG02hr3jjYK5aEWWnrFKiLLY%3d"
#define RAW_SIG    "3lktnU51iC6A11Y9Q%2FwJfErs23XUO145NYAZoDxmiUE%3D"

static const int64_t expiry_s = 1893456000;

static struct crypto *crypto;
static uint8_t memory[64 * 1024];
static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    return err_is_ok(crypto_new(CRYPTO_SERVING, &crypto)) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    crypto_free(crypto);
    return 0;
}

static int reset(void **state)
{
    (void)state;
    arena_init(&arena, memory, sizeof(memory));
    return 0;
}

static struct span unbase64(const char *text)
{
    struct buf out = arena_buf(&arena);
    struct span bytes;

    assert_true(err_is_ok(base64_decode(span_str(text), &out)));
    assert_true(err_is_ok(arena_buf_end(&arena, &out, &bytes)));
    return bytes;
}

static enum reason check(const char *text, struct span key, int64_t now_ms)
{
    struct span keys[2] = { span_str("another key entirely"), key };
    struct sas_token token;
    enum reason reason;

    assert_true(err_is_ok(sas_parse(span_str(text), &arena, &token)));
    assert_true(err_is_ok(sas_check(crypto, &token, keys, 2, now_ms, &reason)));
    return reason;
}

static void test_device_key_is_the_published_one(void **state)
{
    uint8_t mac[CRYPTO_SHA256_LEN];

    (void)state;
    assert_true(err_is_ok(crypto_hmac_sha256(crypto, unbase64(GROUP_KEY), SPAN(DEVICE), mac)));
    assert_true(span_eq(span_of(mac, sizeof(mac)), unbase64(DEVICE_KEY)));
}

static const struct spelling {
    const char *client;
    const char *text;
    const char *key_name; /* NULL: absent */
} spellings[] = {
    { "C", "SharedAccessSignature sr=" LOWER_SR "&sig=" LOWER_SIG "&se=1893456000&skn=registration",
      "registration" },
    { "Python", "SharedAccessSignature sr=" UPPER_SR "&sig=" UPPER_SIG "&se=1893456000", NULL },
    { "Node",
      "SharedAccessSignature sr=" RESOURCE "&sig=" RAW_SIG "&skn=registration&se=1893456000",
      "registration" },
    { "C#",
      "SharedAccessSignature sr=" UPPER_SR "&sig=" UPPER_SIG "&se=1893456000&skn=registration",
      "registration" },
    { "Java", "SharedAccessSignature sr=" RESOURCE "&sig=" RAW_SIG "&se=1893456000&skn=", "" },
    { "base64 left as it is",
      "SharedAccessSignature sr=" RESOURCE
      "&sig=3lktnU51iC6A11Y9Q/wJfErs23XUO145NYAZoDxmiUE=&se=1893456000",
      NULL },
    { "scheme in another case, more blanks",
      " sharedaccesssignature   se=1893456000&sr=" UPPER_SR "&sig=" UPPER_SIG " ", NULL },
};

static void test_every_client_is_understood(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
        const struct spelling *s = &spellings[i];
        struct sas_token token;

        print_message("%s\n", s->client);
        assert_true(err_is_ok(sas_parse(span_str(s->text), &arena, &token)));
        assert_true(span_eq(token.resource, SPAN(RESOURCE)));
        assert_true(token.expiry_s == expiry_s);
        assert_true(span_is_absent(token.key_name) == (s->key_name == NULL));
        assert_true(span_eq(token.key_name, span_str(s->key_name)));
        assert_int_equal(check(s->text, unbase64(DEVICE_KEY), 0), REASON_GRANTED);
    }
}

static void test_no_truncation_passes(void **state)
{
    const char *text = spellings[1].text;
    struct span key = unbase64(DEVICE_KEY);

    (void)state;
    for (size_t n = 0; n < strlen(text); n++) {
        struct span keys[1] = { key };
        struct sas_token token;
        enum reason reason;

        if (err_is_ok(sas_parse(span_of(text, n), &arena, &token))) {
            assert_true(err_is_ok(sas_check(crypto, &token, keys, 1, 0, &reason)));
            assert_int_equal(reason, REASON_TOKEN_BAD_SIGNATURE);
        }
    }
}

static void test_malformed_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "Bearer abc",
        "SharedAccessSignature",
        "SharedAccessSignature ",
        "SharedAccessSignature sr=h&sig=AAAA",
        "SharedAccessSignature sr=h&se=1",
        "SharedAccessSignature sig=AAAA&se=1",
        "SharedAccessSignature sr=&sig=AAAA&se=1",
        "SharedAccessSignature sr=h&sig=&se=1",
        "SharedAccessSignature sr=h&sig=  &se=1",
        "SharedAccessSignature sr=h&sig=AAAA&se=",
        "SharedAccessSignature sr=h&sig=AAAA&se=-1",
        "SharedAccessSignature sr=h&sig=AAAA&se=1x",
        "SharedAccessSignature sr=h&sig=AAAA&se=99999999999999999999",
        "SharedAccessSignature sr=h&sig=A%2&se=1",
        "SharedAccessSignature sr=h%zz&sig=AAAA&se=1",
        "SharedAccessSignature sr=h&sig=!!!!&se=1",
        "SharedAccessSignature sr=h&sr=h&sig=AAAA&se=1",
        "SharedAccessSignature sr=h&sig=AAAA&se=1&skn=a&skn=b",
        "SharedAccessSignature sr=h&sig=AAAA&se=1&skn",
        "SharedAccessSignature sr=h&sig=AAAA&se=1&skn=%",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct sas_token token;

        assert_true(err_is(sas_parse(span_str(texts[i]), &arena, &token), ERR_MALFORMED));
    }
}

static void test_expiry_and_signature(void **state)
{
    const char *text = spellings[1].text;
    struct span key = unbase64(DEVICE_KEY);
    int64_t expiry_ms = expiry_s * 1000;
    struct sas_token token;
    enum reason reason;
    struct span empty[1] = { SPAN("") };

    (void)state;
    assert_int_equal(check(text, key, expiry_ms), REASON_GRANTED);
    assert_int_equal(check(text, key, expiry_ms + LIMIT_SAS_SKEW_MS), REASON_GRANTED);
    assert_int_equal(check(text, key, expiry_ms + LIMIT_SAS_SKEW_MS + 1000), REASON_TOKEN_EXPIRED);
    assert_int_equal(check(text, unbase64(GROUP_KEY), 0), REASON_TOKEN_BAD_SIGNATURE);
    /* A forger does not learn that the token would have expired. */
    assert_int_equal(check(text, unbase64(GROUP_KEY), INT64_MAX), REASON_TOKEN_BAD_SIGNATURE);
    /* Another expiry or another spelling of sr is another text to sign. */
    assert_int_equal(
        check("SharedAccessSignature sr=" UPPER_SR "&sig=" UPPER_SIG "&se=1893456001", key, 0),
        REASON_TOKEN_BAD_SIGNATURE);
    assert_int_equal(
        check("SharedAccessSignature sr=" LOWER_SR "&sig=" UPPER_SIG "&se=1893456000", key, 0),
        REASON_TOKEN_BAD_SIGNATURE);
    /* The empty key signs nothing. */
    assert_true(err_is_ok(sas_parse(span_str(text), &arena, &token)));
    assert_true(err_is_ok(sas_check(crypto, &token, empty, 1, 0, &reason)));
    assert_int_equal(reason, REASON_TOKEN_BAD_SIGNATURE);
}

static void test_coverage(void **state)
{
    static const struct {
        const char *sr;
        const char *resource;
        bool covers;
    } cases[] = {
        { "host", "host", true },
        { "host", "host/enrollments/a", true },
        { "HOST", "host/enrollments/a", true },
        { "host/", "host/enrollments/a", true },
        { "host%2Fenrollments", "host/Enrollments/a", true },
        { "host/enrollments/a", "host/enrollments/a", true },
        { "host/enrollments/a", "host/enrollments/ab", false },
        { "host/enrollments/a", "host/enrollments", false },
        { "hos", "host", false },
        { "host2", "host", false },
        { "https%3A%2F%2Fhost%3A443%2Fdevices", "host/devices/d", true },
        { "sb://host/", "host/messages/events", true },
        { "amqps://host:5671/devices/d", "host/devices/d", true },
        { "host%2Fdevices%2Fd%2F%3Fapi-version%3D2020-03-13", "host/devices/d", true },
        { "host/devices/d/?api-version=2020-03-13", "host/devices/d", true },
        { "host%2Fdevices%2Fd%2F?api-version=2020-03-13", "host/devices/d", true },
        { "host/devices/d?api-version=2020-03-13", "host/devices/d", true },
        { "host/devices/d%3Fx", "host/devices/d?x", true }, /* a device ID may have these */
        { "host%2Fdevices%2Fd%3Fx", "host/devices/d?x", true },
        { "host%2Fdevices%2F%3Fx%23y%3Fapi-version", "host/devices/?x#y?api-version", true },
        { "host%2Fdevices%2Fd%3Fx", "host/devices/d", false },
        { "host%2Fdevices%2Fd%3Fx?y", "host/devices/d?x", true },
        { "host/devices/d?x", "host/devices/d?x", false }, /* a query, as far as one can tell */
        { "%2F", "host", false },
        { "https://", "host", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct span text;
        struct sas_token token;

        print_message("%s\n", cases[i].sr);
        assert_true(err_is_ok(
            arena_printf(&arena, &text, "SharedAccessSignature sr=%s&sig=AAAA&se=1", cases[i].sr)));
        assert_true(err_is_ok(sas_parse(text, &arena, &token)));
        assert_true(sas_covers(&token, span_str(cases[i].resource)) == cases[i].covers);
    }
}

static void test_made_tokens_are_the_vectors(void **state)
{
    char text[512];
    struct buf out = buf_over(text, sizeof(text));

    (void)state;
    assert_true(err_is_ok(sas_make(crypto, SPAN(RESOURCE), unbase64(DEVICE_KEY),
                                   SPAN("registration"), expiry_s, &out)));
    assert_string_equal(buf_cstr(&out), spellings[3].text);
    out = buf_over(text, sizeof(text));
    assert_true(err_is_ok(
        sas_make(crypto, SPAN(RESOURCE), unbase64(DEVICE_KEY), SPAN_NONE, expiry_s, &out)));
    assert_string_equal(buf_cstr(&out), spellings[1].text);
    for (size_t room = 0; room < strlen(spellings[1].text); room++) {
        out = buf_over(text, room);
        assert_true(err_is(
            sas_make(crypto, SPAN(RESOURCE), unbase64(DEVICE_KEY), SPAN_NONE, expiry_s, &out),
            ERR_NOMEM));
    }
}

/* A signature made elsewhere gives the same token. */
static void test_a_token_in_two_halves(void **state)
{
    uint8_t mac[CRYPTO_SHA256_LEN];
    char signed_text[200], text[400];
    struct buf what = buf_over(signed_text, sizeof(signed_text));
    struct buf out = buf_over(text, sizeof(text));

    (void)state;
    sas_signed_text(SPAN(RESOURCE), expiry_s, &what);
    assert_true(err_is_ok(crypto_hmac_sha256(crypto, unbase64(DEVICE_KEY), buf_span(&what), mac)));
    assert_true(err_is_ok(sas_format(SPAN(RESOURCE), span_of(mac, sizeof(mac)),
                                     SPAN("registration"), expiry_s, &out)));
    assert_string_equal(buf_cstr(&out), spellings[3].text);
    out = buf_over(text, sizeof(text));
    assert_true(err_is(sas_format(SPAN(RESOURCE), span_of(text, 64), SPAN_NONE, expiry_s, &out),
                       ERR_NOMEM));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_device_key_is_the_published_one, reset),
        cmocka_unit_test_setup(test_every_client_is_understood, reset),
        cmocka_unit_test_setup(test_no_truncation_passes, reset),
        cmocka_unit_test_setup(test_malformed_is_refused, reset),
        cmocka_unit_test_setup(test_expiry_and_signature, reset),
        cmocka_unit_test_setup(test_coverage, reset),
        cmocka_unit_test_setup(test_made_tokens_are_the_vectors, reset),
        cmocka_unit_test_setup(test_a_token_in_two_halves, reset),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
