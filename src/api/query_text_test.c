/* api/query_text_test.c: what query texts mean, printed as a tree, and at which character the
 * others go wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "api/query_tree_test.h"
#include "api/service_query_row.h"
#include "model/limits.h"

enum { I = CORE_LISTING_INDIVIDUALS, G = CORE_LISTING_GROUPS, R = CORE_LISTING_REGISTRATIONS };

static uint8_t block[512 * 1024];
static struct arena arena;

static err parse(struct arena *a, struct span text, int of, struct query *ret_query)
{
    const struct query_schema *schema = service_query_row_schema((enum core_listing_of)of);

    return query_text_parse(a, text, &schema, 1, ret_query);
}

/* ---- what is understood ---- */

#define W "SELECT * WHERE "

static const struct understood {
    int of;
    const char *text, *tree;
} understood[] = {
    /* the texts that clients send, and the like */
    { I, "", "" },
    { I, "  ", "" },
    { I, "*", "" },
    { I, "SELECT *", "" },
    { I, "select *", "" },
    { I, "SELECT * FROM enrollments", "" },
    { I, "select * from Enrollments;", "" },
    { I, " SELECT\t*\nFROM enrollments ; ", "" },
    { I, "SELECT *FROM enrollments", "" },
    { G, "SELECT * FROM enrollmentGroups", "" },
    { R, "select * from deviceRegistrations", "" },
    { R, "SELECT * FROM registrations", "" },
    { I, "* WHERE deviceId = 'a'", "(= deviceId 'a')" },
    /* comparisons */
    { I, W "deviceId = 'a'", "(= deviceId 'a')" },
    { I, W "deviceId='a'", "(= deviceId 'a')" },
    { I, W "deviceId != 'a'", "(!= deviceId 'a')" },
    { I, W "deviceId <> 'a'", "(!= deviceId 'a')" },
    { I, W "deviceId < 'a'", "(< deviceId 'a')" },
    { I, W "deviceId <= 'a'", "(<= deviceId 'a')" },
    { I, W "deviceId > 'a'", "(> deviceId 'a')" },
    { I, W "deviceId >= 'a'", "(>= deviceId 'a')" },
    { I, W "deviceId in ['a','b']", "(IN deviceId 'a' 'b')" },
    { I, W "deviceId IN ( 'a' , 'b' )", "(IN deviceId 'a' 'b')" },
    { I, W "deviceId NOT IN ['a']", "(NOT (IN deviceId 'a'))" },
    { I, W "starts_with(deviceId, 'a')", "(^= deviceId 'a')" },
    { I, W "IS_DEFINED(deviceId)", "(EXISTS deviceId)" },
    { I, W "is_defined( attestation )", "(EXISTS attestation)" },
    { I, W "ARRAY_CONTAINS(iotHubs, 'h')", "(CONTAINS iotHubs 'h')" },
    { I, W "ARRAY_CONTAINS(initialTwin.tags.x, 7)", "(CONTAINS initialTwin/tags/x 7)" },
    /* paths */
    { I, W "attestation.type = 'x509'", "(= attestation.type 'x509')" },
    { I, W "attestation.x509.caReferences.primary = 'CA'",
      "(= attestation.x509.caReferences.primary 'CA')" },
    { I, W "capabilities.iotEdge = TRUE", "(= capabilities.iotEdge true)" },
    { I, W "reprovisionPolicy . migrateDeviceData != false",
      "(!= reprovisionPolicy.migrateDeviceData false)" },
    { I, W "initialTwin.properties.desired.a.b > 3", "(> initialTwin/properties/desired/a/b 3)" },
    { I, W "initialTwin.tags.[[a.b c]] = 1", "(= initialTwin/tags/a.b c 1)" },
    { I, W "[[deviceId]] = 'a'", "(= deviceId 'a')" },
    { I, W "initialTwin.tags.order = 1", "(= initialTwin/tags/order 1)" },
    { I, W "initialTwin.tags.site-a.$x_1 = 1", "(= initialTwin/tags/site-a/$x_1 1)" },
    { I, W "initialTwin.tags.\xc3\xa9 = '\xc3\xa9'", "(= initialTwin/tags/\xc3\xa9 '\xc3\xa9')" },
    { I, W "optionalDeviceInformation.a = 1", "(= optionalDeviceInformation/a 1)" },
    { R, W "payload.a.b = 1 AND status = 'assigned'",
      "(AND (= payload/a/b 1) (= status 'assigned'))" },
    { R, W "errorCode >= 400000", "(>= errorCode 400000)" },
    { G, W "enrollmentGroupId = 'g'", "(= enrollmentGroupId 'g')" },
    /* values */
    { I, W "deviceId = ''", "(= deviceId '')" },
    { I, W "deviceId = 'it''s'", "(= deviceId 'it's')" },
    { I, W "deviceId = 'it\\'s'", "(= deviceId 'it's')" },
    { I, W "deviceId = \"it's\"", "(= deviceId 'it's')" },
    { I, W "deviceId = \"a\"\"b\"", "(= deviceId 'a\"b')" },
    { I, W "deviceId = '\\\\\\/\\\"\\t\\u0041\\u00e9\\ud83d\\ude00'",
      "(= deviceId '\\/\"\tA\xc3\xa9\xf0\x9f\x98\x80')" },
    { I, W "initialTwin.tags.a = -1.5e3", "(= initialTwin/tags/a -1500)" },
    { I, W "initialTwin.tags.a = 0.25", "(= initialTwin/tags/a 0.25)" },
    { I, W "initialTwin.tags.a = null", "(= initialTwin/tags/a null)" },
    { I, W "initialTwin.tags.a IN [1, 'a', true, null]",
      "(IN initialTwin/tags/a 1 'a' true null)" },
    { I, W "createdDateTimeUtc > '1970-01-01T00:00:01Z'", "(> createdDateTimeUtc @1000)" },
    { I, W "lastUpdatedDateTimeUtc IN ['1970-01-01T00:00:00.0050000Z']",
      "(IN lastUpdatedDateTimeUtc @5)" },
    { I, W "provisioningStatus = 'Disabled'", "(= provisioningStatus 'Disabled')" },
    { I, W "provisioningStatus < 'e'", "(< provisioningStatus 'e')" },
    /* joined */
    { I, W "deviceId = 'a' AND etag = 'b' AND deviceId = 'c'",
      "(AND (AND (= deviceId 'a') (= etag 'b')) (= deviceId 'c'))" },
    { I, W "deviceId = 'a' OR etag = 'b' AND deviceId = 'c'",
      "(OR (= deviceId 'a') (AND (= etag 'b') (= deviceId 'c')))" },
    { I, W "(deviceId = 'a' OR etag = 'b') AND deviceId = 'c'",
      "(AND (OR (= deviceId 'a') (= etag 'b')) (= deviceId 'c'))" },
    { I, W "NOT deviceId = 'a' AND etag = 'b'", "(AND (NOT (= deviceId 'a')) (= etag 'b'))" },
    { I, W "NOT(deviceId = 'a' OR etag = 'b')", "(NOT (OR (= deviceId 'a') (= etag 'b')))" },
    { I, W "not not ((deviceId = 'a'))", "(NOT (NOT (= deviceId 'a')))" },
    /* SELECT */
    { I, "SELECT registrationId", "registrationId:registrationId" },
    { I, "select registrationId, initialTwin.tags.x AS y, attestation",
      "registrationId:registrationId, initialTwin/tags/x:y, attestation:attestation" },
    { I, "SELECT initialTwin.tags.[[a b]] FROM enrollments WHERE deviceId = 'a'",
      "initialTwin/tags/a b:a b (= deviceId 'a')" },
    { I, "SELECT COUNT()", "COUNT count" },
    { I, "SELECT count ( ) AS n FROM enrollments WHERE deviceId = 'a'",
      "COUNT n (= deviceId 'a')" },
    /* ORDER BY */
    { I, "* ORDER BY registrationId", "BY ID" },
    { I, "* ORDER BY registrationId ASC;", "BY ID" },
    { I, W "deviceId = 'a' order by lastUpdatedDateTimeUtc desc",
      "(= deviceId 'a') BY UPDATED DESC" },
    { G, "SELECT * ORDER BY enrollmentGroupId DESC", "BY ID DESC" },
    { R, "SELECT * ORDER BY registrationId DESC", "BY ID DESC" },
};

static void texts_that_are_understood(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(understood) / sizeof(understood[0]); i++) {
        const struct understood *c = &understood[i];
        uint8_t bytes[1024];
        struct buf tree = buf_over(bytes, sizeof(bytes));
        struct query q;
        err e;

        arena_reset(&arena);
        e = parse(&arena, span_str(c->text), c->of, &q);
        if (!err_is_ok(e)) {
            fail_msg("%s: %s", c->text, err_detail());
        }
        print_query(&q, &tree);
        assert_string_equal(buf_cstr(&tree), c->tree);
    }
}

/* ---- what is not ---- */

static const struct wrong {
    int of;
    const char *text;
    size_t at;
    const char *says;
} wrong[] = {
    { I, "DELETE", 1, "expected SELECT or *" },
    { I, "WHERE deviceId = 'a'", 1, "expected SELECT or *" },
    { I, "SELECT", 7, "expected *, COUNT() or the name of a member" },
    { I, "* *", 3, "expected FROM, WHERE, ORDER BY or the end" },
    { I, "SELECT * FROM", 14, "expected enrollments" },
    { I, "SELECT * FROM enrollmentGroups", 15, "expected enrollments: that is what this path" },
    { G, "SELECT * FROM enrollments", 15, "expected enrollmentGroups" },
    { R, "SELECT * FROM enrollments", 15, "expected deviceRegistrations" },
    { I, "SELECT * FROM registrations", 15, "expected enrollments" },
    { I, "SELECT * FROM enrollments;;", 27, "expected the end" },
    { I, "SELECT * FROM enrollments e", 27, "expected WHERE, ORDER BY or the end" },
    { I, "SELECT * GROUP BY deviceId", 10, "GROUP BY is not supported" },
    { I, W "deviceId = 'a' GROUP BY deviceId", 31, "GROUP BY is not supported" },
    /* columns */
    { I, "SELECT deviceId,", 17, "expected the name of a member" },
    { I, "SELECT deviceId, *", 18, "expected the name of a member" },
    { I, "SELECT deviceId etag", 17, "expected FROM" },
    { I, "SELECT deviceId AS", 19, "expected a name" },
    { I, "SELECT deviceId, etag AS deviceId", 18, "deviceId is in the list already" },
    { I, "SELECT FROM enrollments", 8, "expected the name of a member" },
    { I, "SELECT COUNT(*)", 14, "expected )" },
    { I, "SELECT COUNT(), deviceId", 15, "COUNT() stands alone" },
    { I, "SELECT deviceId, COUNT()", 18, "COUNT is not a member" },
    { I, "SELECT TOP 5 *", 8, "TOP is not a member" },
    /* members */
    { I, W "nothing = 1", 16, "nothing is not a member of enrollments" },
    { I, W "nothing = 1", 16, "provisioningStatus" },
    { I, W "tags.a = 1", 16,
      "tags.a is not a member of enrollments that a query may name, but initialTwin.tags is" },
    { I, W "DeviceId = 'a'", 16, "DeviceId is not a member" },
    { I, W "enrollmentGroupId = 'g'", 16, "not a member of enrollments" },
    { G, W "registrationId = 'g'", 16, "not a member of enrollmentGroups" },
    { G, W "optionalDeviceInformation.a = 1", 16, "not a member of enrollmentGroups" },
    { R, W "provisioningStatus = 'enabled'", 16, "not a member of deviceRegistrations" },
    { I, W "registrationState.status = 'assigned'", 16, "registrationState.status is not" },
    { I, W "attestation.symmetricKey.primaryKey = 'a'", 16, "attestation.symmetricKey is not" },
    { I, W "attestation.tpm.endorsementKey = 'a'", 16, "attestation.tpm is not" },
    { I, W "attestation.x509.clientCertificates.primary.certificate = 'a'", 16,
      "attestation.x509 is not" },
    { I, W "deviceId.x = 'a'", 16, "deviceId.x is not" },
    { I, W "capabilities.other = true", 16, "capabilities.other is not" },
    { I, W "x = 'a' OR deviceId = 'a'", 16, "x is not" },
    { I, W "deviceId = 'a' OR x = 'a'", 34, "x is not" },
    { I, "SELECT primaryKey", 8, "primaryKey is not" },
    { I, "SELECT attestation.symmetricKey", 8, "attestation.symmetricKey is not" },
    { I, W "initialTwin. = 1", 29, "expected a name" },
    { I, W ".deviceId = 'a'", 16, "expected the name of a member" },
    /* conditions */
    { I, "SELECT * WHERE", 15, "expected the name of a member" },
    { I, W "deviceId", 24, "expected =, !=" },
    { I, W "deviceId 'a'", 25, "expected =, !=" },
    { I, W "deviceId == 'a'", 26, "expected a value" },
    { I, W "deviceId =", 26, "expected a value" },
    { I, W "deviceId = a", 27, "expected a value" },
    { I, W "deviceId = etag", 27, "expected a value" },
    { I, W "'a' = deviceId", 16, "expected the name of a member" },
    { I, W "deviceId = 'a' AND", 34, "expected the name of a member" },
    { I, W "deviceId = 'a' OR OR", 34, "expected the name of a member" },
    { I, W "AND deviceId = 'a'", 16, "expected the name of a member" },
    { I, W "(deviceId = 'a'", 31, "expected AND, OR or )" },
    { I, W "deviceId = 'a')", 30, "expected AND, OR, ORDER BY or the end" },
    { I, W "deviceId = 'a' deviceId = 'b'", 31, "expected AND, OR, ORDER BY or the end" },
    { I, W "()", 17, "expected the name of a member" },
    { I, W "deviceId NOT 'a'", 29, "expected IN" },
    { I, W "deviceId IN 'a'", 28, "expected a list" },
    { I, W "deviceId IN []", 29, "expected a value" },
    { I, W "deviceId IN ['a',]", 33, "expected a value" },
    { I, W "deviceId IN ['a')", 32, "expected , or ]" },
    { I, W "deviceId IN ('a']", 32, "expected , or )" },
    { I, W "deviceId LIKE 'a%'", 25, "expected =, !=" },
    { I, W "ENDS_WITH(deviceId, 'a')", 16, "there is no other function" },
    { I, W "STARTS_WITH deviceId", 16, "STARTS_WITH is not a member" },
    { I, W "STARTS_WITH(deviceId)", 36, "expected ," },
    { I, W "STARTS_WITH(deviceId, 7)", 38, "expected a text" },
    { I, W "STARTS_WITH(initialTwin.tags.a, 7)", 48, "expected a text" },
    { I, W "STARTS_WITH(deviceId, 'a'", 41, "expected )" },
    { I, W "STARTS_WITH(capabilities.iotEdge, 'a')", 28, "capabilities.iotEdge is no text" },
    { I, W "STARTS_WITH(createdDateTimeUtc, '2')", 28, "createdDateTimeUtc is no text" },
    { I, W "ARRAY_CONTAINS(deviceId, 'a')", 31, "deviceId is no list" },
    { I, W "iotHubs = 'h'", 16, "iotHubs is a list: use ARRAY_CONTAINS" },
    { I, W "iotHubs IN ['h']", 16, "iotHubs is a list: use ARRAY_CONTAINS" },
    { I, W "STARTS_WITH(iotHubs, 'h')", 28, "iotHubs is a list" },
    { I, W "capabilities = true", 16, "capabilities is an object" },
    { I, W "attestation = 'tpm'", 16, "attestation is an object" },
    /* values */
    { I, W "capabilities.iotEdge = 'true'", 39, "expected true or false" },
    { I, W "capabilities.iotEdge < true", 37, "expected = or !=" },
    { I, W "deviceId = 7", 27, "expected a text" },
    { I, W "deviceId = null", 27, "expected a text" },
    { I, W "deviceId IN ['a', 7]", 34, "expected a text" },
    { R, W "errorCode = '7'", 28, "expected a number" },
    { I, W "createdDateTimeUtc > 'yesterday'", 37, "expected a time" },
    { I, W "createdDateTimeUtc > 7", 37, "expected a time" },
    { I, W "provisioningStatus = 'off'", 37, "expected one of 'enabled', 'disabled'" },
    { I, W "attestation.type IN ['tpm', 'x']", 44, "expected one of 'none', 'tpm'" },
    { I, W "initialTwin.tags.a = 01", 37, "this is no number" },
    { I, W "initialTwin.tags.a = 1.2.3", 37, "this is no number" },
    { I, W "initialTwin.tags.a = 9223372036854775808", 37, "this is no number" },
    { I, W "deviceId = 'a", 27, "this text has no end" },
    { I, W "deviceId = 'a''", 27, "this text has no end" },
    { I, W "deviceId = 'a\\x'", 29, "this is no escape" },
    { I, W "deviceId = '\\u00'", 28, "this is no escape" },
    { I, W "deviceId = '\\u0000'", 28, "this is no escape" },
    { I, W "deviceId = '\\ud83d'", 28, "this is no escape" },
    { I, W "deviceId = '\\ude00'", 28, "this is no escape" },
    { I, W "deviceId = '\xc3\xa9\\x'", 29, "this is no escape" }, /* characters, not bytes */
    { I, W "deviceId = 'a' & etag = 'b'", 31, "no meaning" },
    { I, W "deviceId ! 'a'", 25, "no meaning" },
    { I, W "[[deviceId = 'a'", 16, "[[ begins a name" },
    { I, W "[[]] = 'a'", 16, "[[ begins a name" },
    /* ORDER BY */
    { I, "* ORDER registrationId", 9, "expected BY" },
    { I, "* ORDER BY", 11, "expected the name of a member" },
    { I, "* ORDER BY deviceId", 12,
      "there is no order by deviceId, only by registrationId, lastUpdatedDateTimeUtc" },
    { R, "* ORDER BY lastUpdatedDateTimeUtc", 12, "only by registrationId" },
    { I, "* ORDER BY initialTwin.tags.a", 12, "there is no order by initialTwin" },
    { I, "* ORDER BY registrationId, deviceId", 26, "the order is by one member" },
    { I, "* ORDER BY registrationId UP", 27, "expected the end" },
    { I, "* ORDER BY registrationId WHERE deviceId = 'a'", 27, "expected the end" },
    { I, "SELECT COUNT() ORDER BY registrationId", 16, "COUNT() has no order" },
};

static void check_wrong(const struct wrong *c, struct span text)
{
    char start[48];
    struct query q;

    arena_reset(&arena);
    if (err_is_ok(parse(&arena, text, c->of, &q))) {
        fail_msg("is understood: %s", c->text);
    }
    (void)snprintf(start, sizeof(start), "At character %zu: ", c->at);
    if (strncmp(err_detail(), start, strlen(start)) != 0 || strstr(err_detail(), c->says) == NULL) {
        fail_msg("%s\n%s\nnot: %s%s", c->text, err_detail(), start, c->says);
    }
}

static void texts_that_are_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        check_wrong(&wrong[i], span_str(wrong[i].text));
    }
}

/* No beginning of a text is read beyond its end, or taken for something else without a fault. */
static void truncations(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(understood) / sizeof(understood[0]); i++) {
        const struct understood *c = &understood[i];

        for (size_t len = 0; len < strlen(c->text); len++) {
            uint8_t *copy = (uint8_t *)malloc(len > 0 ? len : 1);
            struct query q;
            err e;

            memcpy(copy, c->text, len);
            arena_reset(&arena);
            e = parse(&arena, span_of(copy, len), c->of, &q);
            assert_true(err_is_ok(e) || err_is(e, ERR_MALFORMED));
            free(copy);
        }
    }
}

/* ---- limits: what is at one is understood, what is beyond names it ---- */

/* before, n times `part` with `between` in between, after. */
static struct span repeat(const char *before, const char *part, const char *between, int n,
                          const char *after)
{
    static uint8_t bytes[64 * 1024];
    struct buf out = buf_over(bytes, sizeof(bytes));

    buf_add_str(&out, before);
    for (int i = 0; i < n; i++) {
        buf_add_str(&out, i > 0 ? between : "");
        buf_add_str(&out, part);
    }
    buf_add_str(&out, after);
    assert_true(err_is_ok(buf_ok(&out)));
    return buf_span(&out);
}

static void limits(void **state)
{
    static const struct {
        const char *before, *part, *between, *after;
        int most;
        const char *says;
    } cases[] = {
        { W, "(", "", "", LIMIT_QUERY_DEPTH, "more than 32 deep" },
        { W, "NOT ", "", "", LIMIT_QUERY_DEPTH, "more than 32 deep" },
        { W, "deviceId='a'", " OR ", "", LIMIT_QUERY_TERMS, "at most 128 comparisons" },
        { W "deviceId IN [", "'a'", ",", "]", LIMIT_QUERY_IN, "at most 256 values" },
        { W "initialTwin", ".a", "", "=1", LIMIT_QUERY_PATH - 1, "at most 16 names" },
        { "*", " ", "", "", LIMIT_QUERY_TEXT - 1, "at most 8192 bytes" },
    };
    struct query q;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int more = 0; more < 2; more++) {
            struct span text = repeat(cases[i].before, cases[i].part, cases[i].between,
                                      cases[i].most + more, cases[i].after);
            err e;

            arena_reset(&arena);
            e = parse(&arena, text, CORE_LISTING_INDIVIDUALS, &q);
            if (more == 1) {
                assert_true(err_is(e, ERR_MALFORMED));
                assert_non_null(strstr(err_detail(), cases[i].says));
            } else if (!err_is_ok(e)) {
                assert_null(strstr(err_detail(), cases[i].says)); /* it only has no end */
                assert_non_null(strstr(err_detail(), "expected the name of a member"));
            }
        }
    }
}

static void many_columns(void **state)
{
    uint8_t bytes[2048];

    (void)state;
    for (int n = LIMIT_QUERY_COLUMNS; n <= LIMIT_QUERY_COLUMNS + 1; n++) {
        struct buf text = buf_over(bytes, sizeof(bytes));
        struct query q;
        err e;

        buf_add_str(&text, "SELECT deviceId");
        for (int i = 1; i < n; i++) {
            buf_printf(&text, ", deviceId AS c%d", i);
        }
        arena_reset(&arena);
        e = parse(&arena, buf_span(&text), CORE_LISTING_INDIVIDUALS, &q);
        assert_int_equal(err_is_ok(e), n == LIMIT_QUERY_COLUMNS);
    }
    assert_non_null(strstr(err_detail(), "at most 32 members"));
}

static void arena_at_its_cap(void **state)
{
    struct span text = SPAN("SELECT deviceId AS d, initialTwin.tags.x WHERE deviceId IN ['a\\'', "
                            "'b'] AND NOT (etag = 'c' OR IS_DEFINED(attestation)) "
                            "ORDER BY registrationId");
    struct query q;

    (void)state;
    for (size_t size = 0;; size += 31) {
        struct arena small;
        err e;

        arena_init(&small, block, size);
        e = parse(&small, text, CORE_LISTING_INDIVIDUALS, &q);
        if (err_is_ok(e)) {
            assert_true(size > 500);
            break;
        }
        assert_true(err_is(e, ERR_NOMEM));
    }
}

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, block, sizeof(block));
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_that_are_understood),
        cmocka_unit_test(texts_that_are_not),
        cmocka_unit_test(truncations),
        cmocka_unit_test(limits),
        cmocka_unit_test(many_columns),
        cmocka_unit_test(arena_at_its_cap),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
