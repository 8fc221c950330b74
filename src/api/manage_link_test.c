/* api/manage_link_test.c: links to hubs elsewhere, and looking whether a hub can be used, over the
 * wire (doc/wire/manage.md). */
#include "api/http_wire_test.h"

#include "model/elsewhere.h"
#include "json/writer.h"

#define HOST "far.example"
#define STRING                                                                                     \
    "\"connectionString\":\"HostName=" HOST ";SharedAccessKeyName=p;SharedAccessKey=aGk=\""

static int set_up(void **state)
{
    (void)state;
    wire_open(&w);
    return 0;
}

static struct wire_reply ask(const char *method, const char *target, const char *body)
{
    return wire_ask_as(&w, POLICY_OF_INSTANCE, method, target, "", body);
}

static struct wire_reply put(const char *body)
{
    return ask("PUT", "/berth/v1/linkedHubs/" HOST, body);
}

static void assert_has_text(const struct wire_reply *r, const char *text)
{
    if (strstr(r->body, text) == NULL) {
        fail_msg("no %s in %s", text, r->body);
    }
}

/* ---- links ---- */

static void make_ca(struct buf *out, int certificates)
{
    AUTO(crypto_key) struct crypto_key *key = NULL;
    AUTO(crypto_cert) struct crypto_cert *cert = NULL;
    struct crypto_cert_spec spec = { .common_name = "ca",
                                     .not_before_ms = 1600000000000,
                                     .not_after_ms = 4000000000000,
                                     .is_ca = true,
                                     .path_len = -1 };
    char pem[4096];
    struct buf text = buf_over(pem, sizeof(pem));
    struct json_writer writer = json_writer_over(out);

    assert_true(err_is_ok(crypto_key_generate(w.crypto, CRYPTO_KEY_EC_P256, &key)));
    assert_true(err_is_ok(crypto_key_issue(w.crypto, &spec, key, NULL, key, &cert)));
    for (int i = 0; i < certificates; i++) {
        assert_true(err_is_ok(crypto_x509_encode_pem(cert, &text)));
    }
    json_write_text(&writer, "ca", buf_span(&text));
}

static void test_members(void **state)
{
    static const struct {
        const char *member, *shown; /* NULL: refused */
    } cases[] = {
        { "\"address\":\"10.0.0.5:8443\"", "\"address\":\"10.0.0.5:8443\"" },
        { "\"address\":\"hub.internal\"", "\"address\":\"hub.internal\"" },
        { "\"address\":\"[::1]:8443\"", "\"address\":\"[::1]:8443\"" },
        { "\"address\":\"[2001:db8::5]\"", "\"address\":\"[2001:db8::5]\"" },
        { "\"address\":\"\"", "\"isRemote\":true,\"allocationWeight\":1" },
        { "\"address\":\"https://hub\"", NULL },
        { "\"address\":\"hub:0\"", NULL },
        { "\"address\":\"hub:65536\"", NULL },
        { "\"address\":\"hub:-1\"", NULL },
        { "\"address\":\"hub:\"", NULL },
        { "\"address\":\"hub:1:2\"", NULL },
        { "\"address\":\"::1\"", NULL },
        { "\"address\":\"[::1\"", NULL },
        { "\"address\":\"[::1]8443\"", NULL },
        { "\"address\":\"[hub]:1\"", NULL },
        { "\"address\":\"a b\"", NULL },
        { "\"address\":\"a\\r\\nX: y\"", NULL },
        { "\"address\":7", NULL },
        { "\"latitude\":52.374,\"longitude\":-4.8897",
          "\"latitude\":52.374,\"longitude\":-4.8897" },
        { "\"latitude\":-90,\"longitude\":180", "\"latitude\":-90,\"longitude\":180" },
        { "\"latitude\":0,\"longitude\":0", "\"latitude\":0,\"longitude\":0" },
        { "\"latitude\":90.000001,\"longitude\":0", NULL },
        { "\"latitude\":0,\"longitude\":-180.5", NULL },
        { "\"latitude\":1e300,\"longitude\":0", NULL },
        { "\"latitude\":1", NULL },
        { "\"longitude\":1", NULL },
        { "\"latitude\":\"1\",\"longitude\":1", NULL },
        { "\"location\":\"West Europe\"",
          "\"location\":\"West Europe\",\"latitude\":52.367,\"longitude\":4.9" },
        { "\"location\":\"eastus2\"",
          "\"location\":\"eastus2\",\"latitude\":36.668,\"longitude\":-78.389" },
        { "\"location\":\"westeurope\",\"latitude\":1,\"longitude\":2",
          "\"latitude\":1,\"longitude\":2" },
        { "\"location\":\"the attic\"", "\"location\":\"the attic\",\"allocationWeight\"" },
        { "\"ca\":\"none\"", NULL },
        { "\"ca\":\"-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n\"", NULL },
        { "\"ca\":[]", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct wire_reply r;
        char body[512];

        (void)snprintf(body, sizeof(body), "{" STRING ",%s}", cases[i].member);
        r = put(body);
        print_message("  %s: %d\n", cases[i].member, r.status);
        assert_int_equal(r.status, cases[i].shown != NULL ? 200 : 400);
        assert_true(cases[i].shown != NULL || w.task_note.reason == REASON_FIELD_INVALID);
        if (cases[i].shown != NULL) {
            r = ask("GET", "/berth/v1/linkedHubs/" HOST, "");
            assert_has_text(&r, cases[i].shown);
            assert_has_text(&r, "\"isRemote\":true");
            assert_has_text(&r, "SharedAccessKey=****");
        }
    }
}

static void test_cas(void **state)
{
    char body[20000];
    struct buf out = buf_over(body, sizeof(body) - 1);
    struct wire_reply r;

    (void)state;
    buf_add_str(&out, "{" STRING ",");
    make_ca(&out, 2);
    buf_add_str(&out, "}");
    r = put(buf_cstr(&out));
    assert_int_equal(r.status, 200);
    assert_has_text(&r, "\"ca\":\"-----BEGIN CERTIFICATE-----");
    /* What is not sent is none, but for the connection string. */
    r = put("{}");
    assert_int_equal(r.status, 200);
    assert_null(strstr(r.body, "BEGIN"));
    assert_has_text(&r, "SharedAccessKey=****");
    /* Too long, and the second certificate broken. */
    out.len -= 1;
    memcpy(strstr(strstr(body, "BEGIN") + 5, "BEGIN") + 40, "!!!!", 4);
    buf_add_str(&out, "}");
    r = put(buf_cstr(&out));
    assert_int_equal(r.status, 400);
    assert_has_text(&r, "certificate 2 cannot be read");
    out.len = 0;
    buf_printf(&out, "{" STRING ",\"ca\":\"%17000s\"}", "");
    r = put(buf_cstr(&out));
    assert_int_equal(r.status, 400);
    assert_has_text(&r, "at most 16384 bytes");
}

static void test_whose(void **state)
{
    struct wire_reply r;

    (void)state;
    r = put("{}");
    assert_int_equal(r.status, 400);
    assert_has_text(&r, "No hub of this server has the host name " HOST);
    r = put("{\"connectionString\":\"HostName=other.example;SharedAccessKeyName=p;"
            "SharedAccessKey=aGk=\"}");
    assert_has_text(&r, "of another hub");
    r = ask("PUT", "/berth/v1/linkedHubs/hub.localhost", "{\"address\":\"10.0.0.1\"}");
    assert_int_equal(r.status, 400);
    assert_has_text(&r, "for hubs elsewhere");
    r = ask("PUT", "/berth/v1/linkedHubs/hub.localhost", "{\"isRemote\":true}");
    assert_has_text(&r, "\"isRemote\":false");
}

/* Somebody makes a hub here that has the name of one that is linked elsewhere: nothing of the link
 * becomes that one's, until the instance shows a key of it. */
static void test_a_name_that_is_here_too(void **state)
{
    const struct hub_order order = { .name = SPAN("far"), .host_name = SPAN(HOST) };
    struct policy owner;
    struct verdict v;
    struct hub made;
    struct wire_reply r;
    bool is_found;
    char body[512];
    struct buf out = buf_over(body, sizeof(body) - 1);

    (void)state;
    assert_int_equal(put("{" STRING "}").status, 200);
    arena_reset(&w.arena);
    assert_true(err_is_ok(hub_create(&w.env, &order, &made, &v)));
    assert_true(verdict_is_granted(v));
    r = put("{\"allocationWeight\":5}");
    assert_int_equal(r.status, 200);
    assert_has_text(&r, "\"isRemote\":true");
    assert_int_equal(put("{" STRING "}").status, 200); /* of the one elsewhere */
    r = ask("GET", "/berth/v1/linkedHubs/" HOST, "");
    assert_has_text(&r, "\"isRemote\":true");
    arena_reset(&w.arena);
    assert_true(err_is_ok(core_policy_find(&w.env, POLICY_OF_HUB, SPAN(HOST), SPAN("iothubowner"),
                                           &owner, &is_found)));
    buf_add_str(&out, "{\"connectionString\":\"HostName=" HOST ";SharedAccessKeyName="
                      "iothubowner;SharedAccessKey=");
    base64_encode(owner.primary_key, &out);
    buf_add_str(&out, "\"}");
    r = put(buf_cstr(&out));
    assert_has_text(&r, "\"isRemote\":false");
}

/* ---- check ---- */

static struct elsewhere_report report;
static int checks;

static err fake_check(void *arg, const struct env *env, const struct linked_hub *link,
                      bool (*is_over)(void), struct elsewhere_report *ret_report)
{
    (void)arg, (void)env;
    assert_true(link->is_remote && !span_is_absent(link->connection_string));
    assert_false(is_over());
    checks++;
    *ret_report = report;
    return OK;
}

static void test_check_elsewhere(void **state)
{
    static const struct elsewhere elsewhere = { .check = fake_check };
    struct wire_reply r;

    (void)state;
    assert_int_equal(put("{" STRING "}").status, 200);
    assert_int_equal(ask("POST", "/berth/v1/linkedHubs/" HOST "/check", "").status, 503);
    w.service.elsewhere = &elsewhere;
    report = (struct elsewhere_report){ .connect_ms = 12, .answer_ms = 3, .skew_ms = -2000 };
    for (int q = 0; q < ELSEWHERE_QUESTIONS; q++) {
        report.is_asked[q] = report.is_good[q] = true;
    }
    r = ask("POST", "/berth/v1/linkedHubs/FAR.example/check", "");
    assert_int_equal(r.status, 200);
    assert_has_text(&r, "{\"name\":\"" HOST "\",\"isRemote\":true,\"isGood\":true,\"checks\":[{"
                        "\"check\":\"name\",\"result\":\"passed\"},");
    assert_has_text(&r, "\"connectMilliseconds\":12,\"answerMilliseconds\":3,"
                        "\"clockAheadSeconds\":-2}");
    report.is_good[ELSEWHERE_REGISTRY_WRITE] = false;
    report.words[ELSEWHERE_REGISTRY_WRITE] = SPAN("no");
    r = ask("POST", "/berth/v1/linkedHubs/" HOST "/check", "");
    assert_has_text(&r, "\"isGood\":false");
    assert_has_text(&r, "{\"check\":\"registryWrite\",\"result\":\"failed\",\"message\":\"no\","
                        "\"advice\":\"Give the policy");
    /* What was not come to is not good. */
    memset(&report, 0, sizeof(report));
    report.is_asked[ELSEWHERE_NAME] = report.is_good[ELSEWHERE_NAME] = true;
    r = ask("POST", "/berth/v1/linkedHubs/" HOST "/check", "");
    assert_has_text(&r,
                    "\"isGood\":false,\"checks\":[{\"check\":\"name\",\"result\":\"passed\"}]}");
    assert_int_equal(checks, 3);
    assert_int_equal(ask("POST", "/berth/v1/linkedHubs/none.example/check", "").status, 404);
}

static void test_check_here(void **state)
{
    struct wire_reply r;

    (void)state;
    r = ask("POST", "/berth/v1/linkedHubs/hub.localhost/check", "");
    assert_string_equal(r.body, "{\"name\":\"hub.localhost\",\"isRemote\":false,\"isGood\":true,"
                                "\"checks\":[{\"check\":\"hub\",\"result\":\"passed\"}]}");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, wire_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_members),         TEST(test_cas),
        TEST(test_whose),           TEST(test_a_name_that_is_here_too),
        TEST(test_check_elsewhere), TEST(test_check_here),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
