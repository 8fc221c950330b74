/* api/hub_query_text_test.c: what query texts of a hub mean, printed as a tree, and at which
 * character the others go wrong. What the language shares with the service API's is in
 * query_text_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "api/hub_query_row.h"
#include "api/query_tree_test.h"
#include "model/limits.h"

static uint8_t block[512 * 1024];
static struct arena arena;

static err parse(struct span text, struct query *ret_query)
{
    arena_reset(&arena);
    return query_text_parse(&arena, text, HUB_QUERY_SCHEMAS, HUB_QUERY_SOURCES, ret_query);
}

#define W "SELECT * FROM devices WHERE "

static const struct understood {
    const char *text, *tree;
} understood[] = {
    /* the texts that SDK samples, az and Azure's documentation send */
    { "SELECT * FROM devices", "" },
    { "select * from devices", "" },
    { "SELECT * FROM devices;", "" },
    { "SELECT * FROM devices.modules", "" },
    { "SELECT * FROM devices.jobs WHERE devices.jobs.jobId = 'myJobId'", "(= jobId 'myJobId')" },
    { "SELECT deviceId FROM devices", "deviceId:deviceId" },
    { "SELECT * FROM devices WHERE tags.location.region = 'US'", "(= tags/location/region 'US')" },
    { W "tags.location.region = 'US' AND properties.reported.telemetryConfig.sendFrequencyInSecs "
        ">= 60",
      "(AND (= tags/location/region 'US') (>= properties.reported/telemetryConfig/"
      "sendFrequencyInSecs 60))" },
    { W "properties.reported.connectivity IN ['wired', 'wifi']",
      "(IN properties.reported/connectivity 'wired' 'wifi')" },
    { W "is_defined(properties.reported.connectivity)",
      "(EXISTS properties.reported/connectivity)" },
    { W "connectionState = 'Connected' AND lastActivityTime >= '2026-01-01T00:00:00Z'",
      "(AND (= connectionState 'Connected') (>= lastActivityTime @1767225600000))" },
    { "SELECT properties.reported.telemetryConfig.status AS status, COUNT() AS numberOfDevices "
      "FROM devices GROUP BY properties.reported.telemetryConfig.status",
      "properties.reported/telemetryConfig/status:status, COUNT():numberOfDevices BY "
      "properties.reported/telemetryConfig/status" },
    { "SELECT * FROM devices.modules WHERE properties.reported.status = 'scanning' AND deviceId IN "
      "['device1', 'device2']",
      "(AND (= properties.reported/status 'scanning') (IN deviceId 'device1' 'device2'))" },
    { "SELECT COUNT() AS totalNumber FROM devices.modules WHERE moduleId = 'm'",
      "COUNT totalNumber (= moduleId 'm')" },
    { "SELECT COUNT() AS numberOfDevices FROM devices", "COUNT numberOfDevices" },
    { W "capabilities.iotEdge = true", "(= capabilities.iotEdge true)" },
    /* sources */
    { "SELECT devices.deviceId FROM devices WHERE devices.tags.a = 1",
      "deviceId:deviceId (= tags/a 1)" },
    { "SELECT d.deviceId FROM devices d WHERE d.tags.a = 1", "deviceId:deviceId (= tags/a 1)" },
    { "SELECT d.tags.d FROM Devices AS d", "tags/d:d" },
    { "SELECT devices.modules.moduleId FROM devices.modules", "moduleId:moduleId" },
    { "SELECT * FROM DEVICES . Modules m WHERE m.moduleId = 'x'", "(= moduleId 'x')" },
    /* TOP */
    { "SELECT TOP 5 * FROM devices", "TOP 5 " },
    { "select top 10 deviceId from devices", "TOP 10 deviceId:deviceId" },
    /* columns */
    { "SELECT deviceId, tags.a AS x, tags.b + 1, properties.reported FROM devices",
      "deviceId:deviceId, tags/a:x, (+ tags/b 1):$3, properties.reported:reported" },
    { "SELECT (tags.a > 3) AS x FROM devices", "(> tags/a 3):x" },
    { "SELECT AVG(tags.a), sum(tags.b) AS s, Min(version), MAX(version * 2) FROM devices",
      "AVG(tags/a):avg, SUM(tags/b):s, MIN(version):min, MAX((* version 2)):max" },
    { "SELECT tags.count FROM devices", "tags/count:count" },
    { "SELECT 'x' AS x FROM devices", "'x':x" },
    { "SELECT COUNT(), tags.a, tags.b FROM devices WHERE version > 1 GROUP BY tags.b, tags.a",
      "COUNT():count, tags/a:a, tags/b:b (> version 1) BY tags/b, tags/a" },
    { "SELECT tags.a FROM devices GROUP BY tags.a", "tags/a:a BY tags/a" },
    /* paths */
    { W "properties.desired.$version > 3", "(> properties.desired.$version 3)" },
    { W "properties.desired.$metadata.a.$lastUpdated > '2'",
      "(> properties.desired.$metadata/a/$lastUpdated '2')" },
    { W "tags.[[a b]].[[c.d]] = 1", "(= tags/a b/c.d 1)" },
    { W "tags.top = 1 AND tags.count = 2", "(AND (= tags/top 1) (= tags/count 2))" },
    { W "x509Thumbprint.primaryThumbprint = 'A'", "(= x509Thumbprint.primaryThumbprint 'A')" },
    { W "configurations.[[c]].status = 'Applied'", "(= configurations/c/status 'Applied')" },
    /* comparisons; a member and a literal find each other */
    { W "3 < tags.a", "(> tags/a 3)" },
    { W "'x' = deviceId", "(= deviceId 'x')" },
    { W "'2026-01-01T00:00:00Z' <= lastActivityTime", "(>= lastActivityTime @1767225600000)" },
    { W "lastActivityTime > '2026-01-01'", "(> lastActivityTime '2026-01-01')" },
    { W "properties.desired.v != properties.reported.v",
      "(!= properties.desired/v properties.reported/v)" },
    { W "tags.a NIN ['x', 2]", "(NOT (IN tags/a 'x' 2))" },
    { W "tags.a NOT IN ['x']", "(NOT (IN tags/a 'x'))" },
    { W "tags.a + 1 IN [2]", "(IN (+ tags/a 1) 2)" },
    { W "tags.a = undefined OR tags.b = null", "(OR (= tags/a undefined) (= tags/b null))" },
    { W "status = 'anything'", "(= status 'anything')" },
    { W "version = 'x'", "(= version 'x')" },
    { W "tags.flag", "tags/flag" },
    { W "NOT tags.flag AND true", "(AND (NOT tags/flag) true)" },
    { W "(tags.a = 1) = true", "(= (= tags/a 1) true)" },
    /* arithmetic */
    { W "tags.a + 2 * tags.b > 7 - 1", "(> (+ tags/a (* 2 tags/b)) (- 7 1))" },
    { W "(tags.a + 2) * 3 % 4 = 1", "(= (% (* (+ tags/a 2) 3) 4) 1)" },
    { W "tags.a -5 > 0", "(> (+ tags/a -5) 0)" },
    { W "tags.a - 5 > 0", "(> (- tags/a 5) 0)" },
    { W "tags.a-5 > 0", "(> tags/a-5 0)" }, /* a name */
    { W "-tags.a / 2 = -1", "(= (/ (NEG tags/a) 2) -1)" },
    { W "((tags.a)) = 1", "(= tags/a 1)" },
    /* functions */
    { W "STARTS_WITH(deviceId, 'a') AND ends_with(deviceId, 'b')",
      "(AND (^= deviceId 'a') ($= deviceId 'b'))" },
    { W "CONTAINS(tags.a, tags.b) OR is_null(tags.c)", "(OR (*= tags/a tags/b) (NULL tags/c))" },
    { W "ARRAY_CONTAINS(tags.a, 3)", "(CONTAINS tags/a 3)" },
    { W "is_defined(tags.a) = false", "(= (EXISTS tags/a) false)" },
};

static void texts_that_are_understood(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(understood) / sizeof(understood[0]); i++) {
        const struct understood *c = &understood[i];
        uint8_t bytes[1024];
        struct buf tree = buf_over(bytes, sizeof(bytes));
        struct query q;

        if (!err_is_ok(parse(span_str(c->text), &q))) {
            fail_msg("%s: %s", c->text, err_detail());
        }
        print_query(&q, &tree);
        assert_string_equal(buf_cstr(&tree), c->tree);
    }
}

static const struct wrong {
    const char *text;
    size_t at;
    const char *says;
} wrong[] = {
    { "", 1, "expected SELECT" },
    { "*", 1, "expected SELECT" },
    { "SELECT", 7, "expected the name of a member, a value" },
    { "SELECT *", 9, "expected FROM" },
    { "SELECT * WHERE deviceId = 'a'", 10, "expected FROM" },
    { "SELECT deviceId tags.a FROM devices", 17, "expected a comma, AS or FROM" },
    { "SELECT tags.a > 3 AS x FROM devices", 15, "expected a comma, AS or FROM" },
    { "SELECT * FROM enrollments", 15, "expected devices, devices.modules or devices.jobs" },
    { "SELECT * FROM devices.things", 15, "expected devices, devices.modules or devices.jobs" },
    { "SELECT * FROM devices AS", 25, "expected a name" },
    { "SELECT * FROM devices d e", 25, "expected WHERE, GROUP BY or the end" },
    { "SELECT * FROM devices ORDER BY deviceId", 23, "ORDER BY is not supported" },
    { "SELECT TOP 0 * FROM devices", 12, "expected a number of rows" },
    { "SELECT TOP 1.5 * FROM devices", 12, "expected a number of rows" },
    { "SELECT * FROM devices GROUP BY tags.a", 23, "SELECT * does not go with GROUP BY" },
    { "SELECT COUNT() FROM devices GROUP tags.a", 35, "expected BY" },
    { "SELECT deviceId, COUNT() FROM devices", 8, "stand only members that GROUP BY names" },
    { "SELECT COUNT(), tags.b FROM devices GROUP BY tags.a", 17, "stand only members" },
    { "SELECT deviceId, tags.a AS deviceId FROM devices", 18, "deviceId is in the list already" },
    { "SELECT COUNT(tags.a) FROM devices", 14, "expected )" },
    { "SELECT AVG() FROM devices", 12, "expected the name of a member, a value" },
    /* members */
    { "SELECT primaryKey FROM devices", 8, "primaryKey is not a member of devices" },
    { W "authentication.symmetricKey = 'a'", 29, "authentication.symmetricKey is not a member" },
    { W "tag.a = 1", 29,
      "tag.a is not a member of devices that a query may name; there are deviceId" },
    { W "moduleId = 'm'", 29, "moduleId is not a member of devices" },
    { W "devices.nothing = 1", 29, "nothing is not a member of devices" },
    { "SELECT * FROM devices.modules WHERE x = 1", 37, "x is not a member of devices.modules" },
    { W "deviceid = 'a'", 29, "deviceid is not a member" },
    /* conditions */
    { W "", 29, "expected the name of a member, a value" },
    { W "tags.a =", 37, "expected the name of a member, a value" },
    { W "tags.a = = 1", 38, "expected the name of a member, a value" },
    { W "tags.a = 1 AND", 43, "expected the name of a member, a value" },
    { W "(tags.a = 1", 40, "expected an operator or )" },
    { W "tags.a = 1)", 39, "expected an operator, AND, OR, GROUP BY or the end" },
    { W "tags.a NOT 1", 40, "expected IN" },
    { W "tags.a IN 1", 39, "expected a list" },
    { W "tags.a IN [tags.b]", 40, "expected a value" },
    { W "tags.a + = 1", 38, "expected the name of a member, a value" },
    { W "LENGTH(tags.a) > 1", 29, "there is no other function here" },
    { W "STARTS_WITH(tags.a)", 47, "expected ," },
    { W "is_defined(tags.a, 1)", 46, "expected )" },
    { W "tags.a = 'x", 38, "this text has no end" },
    { W "tags.a = 1 & 2", 40, "no meaning" },
};

static void texts_that_are_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char start[48];
        struct query q;

        if (err_is_ok(parse(span_str(wrong[i].text), &q))) {
            fail_msg("is understood: %s", wrong[i].text);
        }
        (void)snprintf(start, sizeof(start), "At character %zu: ", wrong[i].at);
        if (strncmp(err_detail(), start, strlen(start)) != 0 ||
            strstr(err_detail(), wrong[i].says) == NULL) {
            fail_msg("%s\n%s\nnot: %s%s", wrong[i].text, err_detail(), start, wrong[i].says);
        }
    }
}

/* No beginning of a text is read beyond its end. */
static void truncations(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(understood) / sizeof(understood[0]); i++) {
        for (size_t len = 0; len < strlen(understood[i].text); len++) {
            uint8_t *copy = (uint8_t *)malloc(len > 0 ? len : 1);
            struct query q;
            err e;

            memcpy(copy, understood[i].text, len);
            e = parse(span_of(copy, len), &q);
            assert_true(err_is_ok(e) || err_is(e, ERR_MALFORMED));
            free(copy);
        }
    }
}

/* before, n times `part`, after. */
static struct span repeat(const char *before, const char *part, int n, const char *after)
{
    static uint8_t bytes[64 * 1024];
    struct buf out = buf_over(bytes, sizeof(bytes));

    buf_add_str(&out, before);
    for (int i = 0; i < n; i++) {
        buf_add_str(&out, part);
    }
    buf_add_str(&out, after);
    assert_true(err_is_ok(buf_ok(&out)));
    return buf_span(&out);
}

/* What is at one is understood, what is beyond names it. */
static void limits(void **state)
{
    static const struct {
        const char *before, *part;
        int most;
        const char *after, *says;
    } cases[] = {
        { W "tags.a = ", "(", LIMIT_QUERY_DEPTH, "1", "more than 32 deep" },
        { W "tags.a = ", "- ", LIMIT_QUERY_DEPTH, "1", "more than 32 deep" },
        { W, "NOT ", LIMIT_QUERY_DEPTH, "tags.a", "more than 32 deep" },
        { W "tags.a = 1", "+1", LIMIT_QUERY_OPERANDS - 2, "", "at most 512 operands" },
        { W "true", " OR true", LIMIT_QUERY_TERMS - 1, "", "at most 128 comparisons" },
        { "SELECT COUNT() FROM devices GROUP BY tags.a", ",tags.a", LIMIT_QUERY_COLUMNS - 1, "",
          "at most 32 members" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct query q;
        char closing[LIMIT_QUERY_DEPTH + 2] = "", after[64];
        bool is_open = strcmp(cases[i].part, "(") == 0;

        memset(closing, is_open ? ')' : '\0', LIMIT_QUERY_DEPTH);
        (void)snprintf(after, sizeof(after), "%s%s", cases[i].after, closing);
        if (!err_is_ok(parse(repeat(cases[i].before, cases[i].part, cases[i].most, after), &q))) {
            fail_msg("%s: %s", cases[i].says, err_detail());
        }
        assert_true(
            err_is(parse(repeat(cases[i].before, cases[i].part, cases[i].most + 1, after), &q),
                   ERR_MALFORMED));
        if (strstr(err_detail(), cases[i].says) == NULL) {
            fail_msg("%s, not: %s", err_detail(), cases[i].says);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_that_are_understood),
        cmocka_unit_test(texts_that_are_not),
        cmocka_unit_test(truncations),
        cmocka_unit_test(limits),
    };

    arena_init(&arena, block, sizeof(block));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
