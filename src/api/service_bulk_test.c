/* api/service_bulk_test.c: bulk requests item by item, and as a whole over a store that fails, or
 * that has to begin again. */
#include "api/service_wire_test.h"
#include "store/backend.h"

#define ALL_DONE       "{\"errors\":[],\"isSuccessful\":true}"
#define A_KEY          "MDEyMzQ1Njc4OWFiY2RlZg==" /* 0123456789abcdef */
#define B_KEY          "YjEyMzQ1Njc4OWFiY2RlZg=="
#define C_KEY          "YzEyMzQ1Njc4OWFiY2RlZg=="
#define D_KEY          "ZDEyMzQ1Njc4OWFiY2RlZg=="
#define ITEM(id)       MORE(id, "")
#define FIELDS(id)     "\"registrationId\":\"" id "\""
#define MORE(id, more) "{" FIELDS(id) ",\"attestation\":{\"type\":\"symmetricKey\"}" more "}"
#define KEYED(id, first, second)                                                                   \
    "{\"enrollmentGroupId\":\"" id "\",\"attestation\":{\"type\":\"symmetricKey\","                \
    "\"symmetricKey\":{\"primaryKey\":\"" first "\",\"secondaryKey\":\"" second "\"}}}"

static struct wire_reply bulk(const char *mode, const char *items)
{
    size_t len = strlen(items) + 128;
    char *body = malloc(len);
    struct wire_reply r;

    assert_non_null(body);
    (void)snprintf(body, len, "{\"mode\":\"%s\",\"enrollments\":[%s]}", mode, items);
    r = ask("POST", "/enrollments" V, "", body);
    free(body);
    return r;
}

static void assert_is_there(const char *id, bool is_there)
{
    char target[128];
    struct wire_reply r;

    (void)snprintf(target, sizeof(target), "/enrollments/%s" V, id);
    r = ask("GET", target, "", "");
    if (r.status != (is_there ? 200 : 404)) {
        fail_msg("%s: %d", id, r.status);
    }
}

/* ---- item by item ---- */

static void test_outcome_of_each(void **state)
{
    /* One after another over one store; errors in the order of the items. */
    static const struct {
        const char *mode, *items, *errors[3];
    } cases[] = {
        { "create", ITEM("a") "," ITEM("b"), { NULL } },
        { "create",
          ITEM("c") "," ITEM("B") "," ITEM("d"),
          { "\"B\",\"errorCode\":409201,\"errorStatus\":\"It exists already" } },
        { "create",
          ITEM("e") ",{" FIELDS("x") "},7," ITEM("f."),
          { "\"x\",\"errorCode\":400004,\"errorStatus\":\"attestation is missing.\"",
            "\"\",\"errorCode\":400004,\"errorStatus\":\"The ID is missing.\"",
            "\"f.\",\"errorCode\":400004,\"errorStatus\":\"registrationId: up to 128" } },
        { "create", "7", { "\"\",\"errorCode\":400004" } },
        { "create", "", { NULL } },
        /* Both words of a refusal in the transaction, and what comes behind it. */
        { "Create",
          ITEM("g") "," MORE("h", ",\"iotHubs\":[\"one.example\"]") "," MORE(
              "i", ",\"iotHubs\":[\"another.example\"]") "," ITEM("j"),
          { "\"h\",\"errorCode\":400004,\"errorStatus\":\"iotHubs: one.example is not linked.\"",
            "\"i\",\"errorCode\":400004,\"errorStatus\":\"iotHubs: another.example is not" } },
        { "update", ITEM("a") "," ITEM("k"), { NULL } },
        { "updateIfMatchETag",
          MORE("a", ",\"etag\":\"*\"") "," MORE("b", ",\"etag\":\"\\\"old\\\"\"") "," ITEM("c"),
          { "\"b\",\"errorCode\":412001", "\"c\",\"errorCode\":412001" } },
        { "delete",
          "{" FIELDS("a") "},{" FIELDS("z") "},{" FIELDS("b") ",\"etag\":\"old\"},{" FIELDS(
              "c") ",\"etag\":\"*\"}",
          { "\"z\",\"errorCode\":404201", "\"b\",\"errorCode\":412001" } },
        /* Twice in one request: each sees what was before it. */
        { "create", ITEM("t") "," ITEM("T"), { "\"T\",\"errorCode\":409201" } },
        { "update", ITEM("u") "," MORE("u", ",\"deviceId\":\"last\""), { NULL } },
        { "delete",
          "{" FIELDS("t") "},{" FIELDS("t") "},{" FIELDS("k") "}",
          { "\"t\",\"errorCode\":404201" } },
    };
    static const char there[] = "bdegju";
    static const char gone[] = "achikt";
    char id[2] = "";
    struct wire_reply r;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *at;
        size_t n = 0;

        print_message("%s [%s]\n", cases[i].mode, cases[i].items);
        r = bulk(cases[i].mode, cases[i].items);
        assert_int_equal(r.status, 200);
        at = r.body;
        for (; n < 3 && cases[i].errors[n] != NULL; n++) {
            at = strstr(at, cases[i].errors[n]);
            if (at == NULL) {
                fail_msg("%s\nis not where it should be in\n%s", cases[i].errors[n], r.body);
            }
        }
        assert_has(&r, n == 0 ? ALL_DONE : "\"isSuccessful\":false}");
        for (at = r.body; (at = strstr(at, "errorCode")) != NULL; at++) {
            n--;
        }
        assert_int_equal(n, 0);
    }
    for (const char *c = there; *c != '\0'; c++) {
        id[0] = *c;
        assert_is_there(id, true);
    }
    for (const char *c = gone; *c != '\0'; c++) {
        id[0] = *c;
        assert_is_there(id, false);
    }
    r = ask("GET", "/enrollments/u" V, "", "");
    assert_has(&r, "\"deviceId\":\"last\"");
    /* An ETag is spent by the first that names it. */
    r = ask("GET", "/enrollments/u" V, "", "");
    {
        char items[512], etag[LIMIT_ETAG + 3];

        (void)snprintf(etag, sizeof(etag), "%s", etag_of(&r));
        etag[strlen(etag) - 1] = '\0';
        (void)snprintf(items, sizeof(items),
                       MORE("u", ",\"etag\":\"%s\"") "," MORE("u", ",\"etag\":\"%s\""), etag + 1,
                       etag + 1);
        r = bulk("updateIfMatchETag", items);
    }
    assert_has(&r, "{\"errors\":[{\"registrationId\":\"u\",\"errorCode\":412001,");
    assert_null(strstr(strstr(r.body, "errorCode") + 1, "errorCode"));
}

static void test_certificates(void **state)
{
    char body[16384], first[4096], second[4096];
    struct wire_reply r;

    (void)state;
    (void)snprintf(first, sizeof(first), "%s", individual("d1", der64, ""));
    (void)snprintf(second, sizeof(second), "%s", individual("d2", der64, ""));
    (void)snprintf(body, sizeof(body), "{\"mode\":\"create\",\"enrollments\":[%s,%s]}", first,
                   second);
    r = ask("POST", "/enrollments/" V, "", body);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "{\"errors\":[],\"isSuccessful\":true}");
    (void)snprintf(body, sizeof(body),
                   "{\"mode\":\"create\",\"enrollments\":[%s,{\"registrationId\":\"d3\"},7]}",
                   first);
    r = ask("POST", "/enrollments" V, "", body);
    assert_int_equal(r.status, 200);
    assert_has(&r, "{\"errors\":[{\"registrationId\":\"d1\",\"errorCode\":409201,");
    assert_has(&r, "{\"registrationId\":\"d3\",\"errorCode\":400004,\"errorStatus\":"
                   "\"attestation is missing.\"}");
    assert_has(&r, "{\"registrationId\":\"\",\"errorCode\":400004,");
    assert_has(&r, "\"isSuccessful\":false}");
    (void)snprintf(body, sizeof(body), "{\"mode\":\"update\",\"enrollments\":[%s]}", first);
    r = ask("POST", "/enrollments" V, "", body);
    assert_string_equal(r.body, "{\"errors\":[],\"isSuccessful\":true}");
    (void)snprintf(body, sizeof(body), "{\"mode\":\"updateIfMatchEtag\",\"enrollments\":[%s]}",
                   individual("d1", der64, ",\"etag\":\"\\\"old\\\"\""));
    r = ask("POST", "/enrollments" V, "", body);
    assert_has(&r, "\"errorCode\":412001");
    r = ask("POST", "/enrollments" V, "",
            "{\"mode\":\"delete\",\"enrollments\":[{\"registrationId\":\"d1\"},"
            "{\"registrationId\":\"d9\"}]}");
    assert_has(&r, "{\"errors\":[{\"registrationId\":\"d9\",\"errorCode\":404201,");
    r = ask("GET", "/enrollments/d1" V, "", "");
    assert_int_equal(r.status, 404);
}

static void test_a_key_in_two_groups(void **state)
{
    struct wire_reply r;

    (void)state;
    r = ask("POST", "/enrollmentGroups" V, "",
            "{\"mode\":\"create\",\"enrollmentGroups\":[" KEYED("g1", A_KEY, B_KEY) "," KEYED(
                "g2", C_KEY, A_KEY) "," KEYED("g3", C_KEY, D_KEY) "]}");
    assert_int_equal(r.status, 200);
    assert_has(&r, "{\"errors\":[{\"enrollmentGroupId\":\"g2\",\"errorCode\":409202,"
                   "\"errorStatus\":\"symmetricKey.secondaryKey is a key of enrollment group "
                   "g1.\"}],\"isSuccessful\":false}");
    /* A key that the request itself sets free. */
    r = ask("POST", "/enrollmentGroups" V, "",
            "{\"mode\":\"update\",\"enrollmentGroups\":[" KEYED("g1", B_KEY, B_KEY) "," KEYED(
                "g2", A_KEY, A_KEY) "]}");
    assert_string_equal(r.body, ALL_DONE);
    r = ask("GET", "/enrollmentGroups/g2" V, "", "");
    assert_int_equal(r.status, 200);
}

static void test_requests_that_are_none(void **state)
{
    static const char *const bodies[] = {
        "{\"mode\":\"all\",\"enrollments\":[]}",
        "{\"enrollments\":[]}",
        "{\"mode\":\"create\"}",
        "{\"mode\":\"create\",\"enrollments\":{}}",
        "{\"mode\":\"create\",\"enrollmentGroups\":[]}",
        "{\"mode\":\"delete\",\"enrollments\":[1,2,3,4,5,6,7,8,9,10,11]}",
        "[]",
        "",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct wire_reply r = ask("POST", "/enrollments" V, "", bodies[i]);

        print_message("%s\n", bodies[i]);
        assert_int_equal(r.status, 400);
    }
}

/* As many as there may be, each as large as one may be in a body of that many. */
static void test_ten_of_the_largest(void **state)
{
    static char items[LIMIT_HTTP_BODY];
    struct wire_reply r;

    (void)state;
    for (int with_extra = 0; with_extra < 2; with_extra++) {
        struct buf out = buf_over(items, sizeof(items));

        for (int i = 0; i < LIMIT_BULK; i++) {
            buf_printf(&out, "%s{\"registrationId\":\"l%d\",", i > 0 ? "," : "", i);
            buf_add_str(&out, "\"attestation\":{\"type\":\"symmetricKey\"},"
                              "\"initialTwin\":{\"tags\":{\"a\":\"");
            for (size_t n = 0; n < LIMIT_INITIAL_TWIN - strlen("{\"tags\":{\"a\":\"\"}}"); n++) {
                buf_add_u8(&out, 'x');
            }
            buf_add_str(&out, "\"}}");
            if (with_extra) {
                buf_printf(&out, ",\"optionalDeviceInformation\":{\"a\":\"%038000d\"}", i);
            }
            buf_add_u8(&out, '}');
        }
        (void)buf_cstr(&out);
        assert_true(err_is_ok(buf_ok(&out)));
        r = bulk("create", items);
        assert_int_equal(r.status, 200);
        assert_string_equal(r.body, ALL_DONE);
        r = bulk("update", items);
        assert_string_equal(r.body, ALL_DONE);
        /* A version that does not know of the extra member leaves it there. */
        {
            static char body[LIMIT_HTTP_BODY];

            (void)snprintf(body, sizeof(body), "{\"mode\":\"update\",\"enrollments\":[%.*s]}",
                           (int)out.len, items);
            r = ask("POST", "/enrollments?api-version=2018-04-01", "", body);
        }
        assert_string_equal(r.body, ALL_DONE);
        r = bulk("create", items);
        assert_has(&r, "{\"errors\":[{\"registrationId\":\"l0\",\"errorCode\":409201,");
        assert_has(&r, "\"l9\",\"errorCode\":409201,");
        r = bulk(
            "delete",
            "{" FIELDS("l0") "},{" FIELDS("l1") "},{" FIELDS("l2") "},{" FIELDS("l3") "},{" FIELDS("l4") "},{" FIELDS(
                "l5") "},{" FIELDS("l6") "},{" FIELDS("l7") "},{" FIELDS("l8") "},{" FIELDS("l9") "}");
        assert_string_equal(r.body, ALL_DONE);
    }
}

/* ---- as a whole ---- */

/* The store in memory with a put that fails, or a transaction that is lost once and run again. */
static const struct store_backend *sound;
static struct store_backend unsound;
static int puts_until_fault; /* 0: none */
static size_t writes;

static err put_or_fail(struct store_tx *tx, const struct kind *kind, const void *record)
{
    if (puts_until_fault > 0 && --puts_until_fault == 0) {
        return err_set(ERR_IO, "no space left on device");
    }
    return sound->put(tx, kind, record);
}

static err count_writes(struct store *s, store_fn fn, void *arg)
{
    writes++;
    return sound->write(s, fn, arg);
}

struct lost {
    store_fn fn;
    void *arg;
};

static err run_and_lose(struct store_tx *tx, void *arg)
{
    struct lost *lost = arg;

    TRY(lost->fn(tx, lost->arg));
    return ERR(PRECONDITION);
}

static err write_twice(struct store *s, store_fn fn, void *arg)
{
    struct lost lost = { fn, arg };

    assert_true(err_is(sound->write(s, run_and_lose, &lost), ERR_PRECONDITION));
    return sound->write(s, fn, arg);
}

static void make_unsound(struct store_backend with)
{
    sound = w.service.store->backend;
    unsound = *sound;
    unsound.put = with.put != NULL ? with.put : unsound.put;
    unsound.write = with.write != NULL ? with.write : unsound.write;
    w.service.store->backend = &unsound;
}

static void test_a_fault_leaves_nothing(void **state)
{
    static const char three[] = ITEM("a") "," ITEM("b") "," ITEM("c");
    struct wire_reply r;

    (void)state;
    r = bulk("create", ITEM("b"));
    assert_string_equal(r.body, ALL_DONE);
    make_unsound((struct store_backend){ .put = put_or_fail, .write = count_writes });
    puts_until_fault = 2; /* that of c: b is refused */
    r = bulk("create", three);
    assert_int_equal(r.status, 500);
    assert_int_equal(puts_until_fault, 0);
    assert_is_there("a", false);
    assert_is_there("c", false);
    writes = 0;
    r = bulk("create", three);
    assert_int_equal(r.status, 200);
    assert_has(&r, "{\"errors\":[{\"registrationId\":\"b\",\"errorCode\":409201,");
    assert_int_equal(writes, 1);
    assert_is_there("a", true);
    assert_is_there("c", true);
    r = bulk("create", "7");
    assert_int_equal(writes, 1); /* nothing to write, nothing to wait for */
}

static void test_begun_again(void **state)
{
    struct wire_reply r;

    (void)state;
    make_unsound((struct store_backend){ .write = write_twice });
    r = bulk("create",
             ITEM("a") "," MORE("b", ",\"iotHubs\":[\"no.example\"]") "," ITEM("c") "," ITEM("a"));
    assert_int_equal(r.status, 200);
    assert_has(&r, "{\"errors\":[{\"registrationId\":\"b\",\"errorCode\":400004,\"errorStatus\":"
                   "\"iotHubs: no.example is not linked.\"},"
                   "{\"registrationId\":\"a\",\"errorCode\":409201,");
    assert_is_there("a", true);
    assert_is_there("b", false);
    assert_is_there("c", true);
    r = bulk("delete", "{" FIELDS("a") "},{" FIELDS("a") "}");
    assert_has(&r, "{\"errors\":[{\"registrationId\":\"a\",\"errorCode\":404201,");
    assert_is_there("a", false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_outcome_of_each),     TEST(test_certificates),
        TEST(test_a_key_in_two_groups), TEST(test_requests_that_are_none),
        TEST(test_ten_of_the_largest),  TEST(test_a_fault_leaves_nothing),
        TEST(test_begun_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
