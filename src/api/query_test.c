/* api/query_test.c: queries over HTTP: what they find, against a filter of its own that knows the
 * rows by other means; paging, projections, counts, and what they refuse. */
#include <strings.h>

#include "api/query_random_test.h"
#include "api/service_wire_test.h"
#include "json/writer.h"

static const char *const SITES[] = { "north", "south", "It's", "\xc3\xa9", NULL };

/* What the test knows of row i. */
struct known {
    char id[16];     /* case varies */
    const char *hub; /* of one hub; NULL: none, or two */
    bool is_disabled, is_edge, has_device_id, has_twin;
    enum attestation_type type;
    const char *site; /* initialTwin.tags.site; NULL: none */
    int floor;        /* initialTwin.tags.floor; 9: the text "nine"; 8: null; 7: none */
    int64_t updated_ms;
};

static struct known rows[ROWS];

static void know(int i)
{
    static const enum attestation_type types[] = { ATTESTATION_X509, ATTESTATION_SYMMETRIC_KEY,
                                                   ATTESTATION_TPM };
    struct known *k = &rows[i];

    (void)snprintf(k->id, sizeof(k->id), "%s-%02d", i % 2 == 0 ? "Dev" : "dev", i * 7 % ROWS);
    k->hub = i % 4 == 1 ? "Hub.example" : NULL;
    k->is_disabled = i % 11 == 0;
    k->is_edge = i % 3 == 0;
    k->has_device_id = i % 5 == 0;
    k->has_twin = i % 6 != 0;
    k->type = types[i % 3];
    k->site = k->has_twin ? SITES[i % 5] : NULL;
    k->floor = k->has_twin ? i % 10 : 7;
    k->updated_ms = 1700000000000 + i % 20 * 1000;
}

static err put_row(struct store_tx *tx, void *arg)
{
    const struct known *k = arg;
    struct enrollment e = { .id_scope = w.instance.id_scope,
                            .kind = ENROLLMENT_INDIVIDUAL,
                            .id = span_str(k->id),
                            .etag = SPAN("e"),
                            .primary_key = SPAN("never to be seen"),
                            .x509_source = X509_SOURCE_NONE };
    char twin[256], site[64] = "", floor[64] = "";

    if (k->site != NULL) {
        (void)snprintf(site, sizeof(site), "\"site\":\"%s\"", k->site);
    }
    if (k->floor < 7) {
        (void)snprintf(floor, sizeof(floor), "\"floor\":%d.5", k->floor);
    } else if (k->floor > 7) {
        (void)snprintf(floor, sizeof(floor), "\"floor\":%s", k->floor == 8 ? "null" : "\"nine\"");
    }
    (void)snprintf(twin, sizeof(twin), "{\"tags\":{%s%s%s}}", site,
                   site[0] != '\0' && floor[0] != '\0' ? "," : "", floor);
    TRY(model_fold(&w.arena, e.id, &e.key));
    e.attestation = k->type;
    e.provisioning_status = k->is_disabled ? PROVISIONING_DISABLED : PROVISIONING_ENABLED;
    e.iot_edge = k->is_edge;
    e.device_id = k->has_device_id ? SPAN("Thing") : SPAN_NONE;
    e.initial_twin = k->has_twin ? span_str(twin) : SPAN_NONE;
    e.iot_hubs = k->hub ? SPAN("[\"Hub.example\"]") : SPAN("[\"a.example\",\"B.example\"]");
    e.updated_ms = k->updated_ms;
    e.created_ms = 1600000000000;
    return store_put(tx, &KIND_ENROLLMENT, &e);
}

static void put_rows(void)
{
    for (int i = 0; i < ROWS; i++) {
        know(i);
        assert_true(err_is_ok(store_write(w.service.store, put_row, &rows[i])));
    }
    arena_reset(&w.arena);
}

/* ---- asking ---- */

static struct wire_reply ask_query(const char *path, const char *text, const char *headers)
{
    uint8_t bytes[16384];
    struct buf body = buf_over(bytes, sizeof(bytes));
    struct json_writer j = json_writer_over(&body);

    json_write_begin_object(&j, NULL);
    json_write_str(&j, "query", text);
    json_write_end_object(&j);
    return ask("POST", path, headers, buf_cstr(&body));
}

/* The IDs of all pages, in their order, each behind a ' '. Returns their number. */
static size_t collect(const char *text, int page_size, char *ret_ids, size_t *ret_pages)
{
    char headers[512], token[400] = "";
    struct wire_reply r;
    size_t n = 0;

    *ret_pages = 0;
    ret_ids[0] = '\0';
    do {
        const char *next;

        (void)snprintf(headers, sizeof(headers), "x-ms-max-item-count: %d\r\n%s%s%s", page_size,
                       token[0] ? "x-ms-continuation: " : "", token, token[0] ? "\r\n" : "");
        r = ask_query("/enrollments/query" V, text, headers);
        if (r.status != 200) {
            fail_msg("%s: %s", text, r.body);
        }
        next = wire_header(&r, "x-ms-continuation");
        (void)snprintf(token, sizeof(token), "%s", next ? next : "");
        for (const char *at = r.body; (at = strstr(at, "\"registrationId\":\"")) != NULL; at++) {
            const char *id = at + strlen("\"registrationId\":\"");

            (void)snprintf(ret_ids + strlen(ret_ids), 32, " %.*s", (int)strcspn(id, "\""), id);
            n++;
        }
        assert_null(strstr(r.body, "primaryKey"));
        (*ret_pages)++;
    } while (token[0] != '\0');
    return n;
}

/* ---- any condition finds what it says ---- */

static void leaf_of_id(struct condition *c, int op)
{
    char id[16];

    (void)snprintf(id, sizeof(id), "DEV-%02d", pick(ROWS));
    if (pick(3) == 0) {
        size_t len = strlen(id) - (size_t)pick(3);

        (void)sprintf(c->text, "STARTS_WITH(registrationId, '%.*s')", (int)len, id);
        for (int i = 0; i < ROWS; i++) {
            c->of[i] = strncasecmp(rows[i].id, id, len) == 0 ? YES : NO;
        }
        return;
    }
    (void)sprintf(c->text, "registrationId %s '%s'", OPS[op], id);
    for (int i = 0; i < ROWS; i++) {
        c->of[i] = side_truth(op, strcasecmp(rows[i].id, id));
    }
}

static void leaf_of_site(struct condition *c, int op)
{
    static const char *const quoted[] = { "'north'", "'south'", "'It''s'", "'\xc3\xa9'" };
    int which = pick(4);
    bool is_in = pick(3) == 0;

    if (is_in) {
        (void)sprintf(c->text, "initialTwin.tags.site %sIN [%s, 'x', 7]", op == 1 ? "NOT " : "",
                      quoted[which]);
    } else {
        (void)sprintf(c->text, "initialTwin.tags.site %s %s", OPS[op], quoted[which]);
    }
    for (int i = 0; i < ROWS; i++) {
        int side = rows[i].site ? strcmp(rows[i].site, SITES[which]) : 0;

        c->of[i] = rows[i].site == NULL ? UNKNOWN : side_truth(is_in ? op == 1 : op, side);
    }
}

static void leaf_of_floor(struct condition *c, int op)
{
    int floor = pick(7);
    bool is_null = pick(4) == 0 && op < 2;

    if (is_null) {
        (void)sprintf(c->text, "initialTwin.tags.floor %s null", OPS[op]);
    } else {
        (void)sprintf(c->text, "initialTwin.tags.floor %s %d.5", OPS[op], floor);
    }
    for (int i = 0; i < ROWS; i++) {
        int f = rows[i].floor;
        bool is_equal = is_null ? f == 8 : f == floor;

        c->of[i] = f == 7   ? UNKNOWN
                   : op < 2 ? side_truth(op, !is_equal)
                   : f > 7  ? UNKNOWN
                            : side_truth(op, sign_of(f, floor));
    }
}

static void leaf_of_time(struct condition *c, int op)
{
    int second = pick(22);

    (void)sprintf(c->text, "lastUpdatedDateTimeUtc %s '2023-11-14T22:13:%02dZ'", OPS[op],
                  20 + second);
    for (int i = 0; i < ROWS; i++) {
        c->of[i] =
            side_truth(op, sign_of((double)rows[i].updated_ms, 1700000000000.0 + second * 1000.0));
    }
}

static void leaf_of_word(struct condition *c, int op)
{
    static const char *const types[] = { "none", "tpm", "x509", "symmetricKey" };
    int type = pick(4);

    op %= 2;
    if (pick(2) == 0) {
        (void)sprintf(c->text, "provisioningStatus %s 'DISABLED'", OPS[op]);
        for (int i = 0; i < ROWS; i++) {
            c->of[i] = side_truth(op, !rows[i].is_disabled);
        }
        return;
    }
    (void)sprintf(c->text, "attestation.type %s '%s'", OPS[op], types[type]);
    for (int i = 0; i < ROWS; i++) {
        c->of[i] = side_truth(op, (int)rows[i].type != type);
    }
}

static void leaf_of_others(struct condition *c, int op)
{
    int which = pick(6);
    static const char *const texts[] = {
        "capabilities.iotEdge = true",
        "IS_DEFINED(initialTwin.tags.floor)",
        "ARRAY_CONTAINS(iotHubs, 'hub.EXAMPLE')",
        "iotHubHostName = 'hub.example'",
        "deviceId != 'thing'",
        "IS_DEFINED(deviceId)",
    };

    (void)op;
    (void)strcpy(c->text, texts[which]);
    for (int i = 0; i < ROWS; i++) {
        const struct known *k = &rows[i];
        const enum truth truths[] = {
            k->is_edge ? YES : NO,
            k->floor != 7 ? YES : NO,
            k->hub != NULL ? YES : NO,
            k->hub != NULL ? YES : UNKNOWN,
            k->has_device_id ? YES : UNKNOWN,
            k->has_device_id ? YES : NO,
        };
        c->of[i] = truths[which];
    }
}

static void (*const leaves[])(struct condition *c, int op) = {
    leaf_of_id, leaf_of_site, leaf_of_floor, leaf_of_time, leaf_of_word, leaf_of_others,
};

static int64_t count_of(const char *where)
{
    char text[5000];
    struct wire_reply r;
    long n;

    (void)snprintf(text, sizeof(text), "SELECT COUNT() AS n WHERE %s", where);
    r = ask_query("/enrollments/query" V, text, "");
    assert_int_equal(r.status, 200);
    assert_string_equal(wire_header(&r, "x-ms-item-type"), "Unknown");
    assert_int_equal(sscanf(r.body, "[{\"n\":%ld}]", &n), 1);
    return n;
}

static bool is_in_order(const char *ids, bool by_updated, bool descending)
{
    const struct known *before = NULL;

    for (const char *at = ids; *at != '\0'; at += 1 + strcspn(at + 1, " ")) {
        const struct known *k = NULL;
        int side = 0;

        for (int i = 0; i < ROWS; i++) {
            k = strncmp(at + 1, rows[i].id, strlen(rows[i].id)) == 0 ? &rows[i] : k;
        }
        assert_non_null(k);
        if (before != NULL) {
            side = strcasecmp(before->id, k->id);
            if (by_updated && before->updated_ms != k->updated_ms) {
                side = before->updated_ms < k->updated_ms ? -1 : 1;
            }
            if (descending ? side <= 0 : side >= 0) {
                return false;
            }
        }
        before = k;
    }
    return true;
}

static void check_condition(const struct condition *c)
{
    static const char *const orders[] = { "", " ORDER BY registrationId DESC",
                                          " ORDER BY registrationId",
                                          " ORDER BY lastUpdatedDateTimeUtc",
                                          " ORDER BY lastUpdatedDateTimeUtc DESC" };
    char text[5000], ids[2048];
    int order = pick(5);
    size_t want = 0;
    size_t pages, n;

    (void)snprintf(text, sizeof(text), "SELECT * WHERE %s%s", c->text, orders[order]);
    n = collect(text, 1 + pick(30), ids, &pages);
    for (int i = 0; i < ROWS; i++) {
        char id[32];

        (void)snprintf(id, sizeof(id), " %s", rows[i].id);
        want += c->of[i] == YES;
        if ((strstr(ids, id) != NULL) != (c->of[i] == YES)) {
            fail_msg("%s: %s is %s", text, rows[i].id, c->of[i] == YES ? "not found" : "found");
        }
    }
    assert_int_equal(n, want);
    if (order > 0 && !is_in_order(ids, order > 2, order == 1 || order == 4)) {
        fail_msg("%s: not in order:%s", text, ids);
    }
    assert_int_equal(count_of(c->text), want);
}

static void test_any_condition_finds_what_it_says(void **state)
{
    struct condition *c = malloc(sizeof(*c));

    (void)state;
    put_rows();
    for (seed = 1; seed < 1200; seed = seed % 1200 + 3) {
        uint32_t own = seed;

        make_condition(c, leaves, 6, pick(4));
        if (strlen(c->text) < 3500) {
            check_condition(c);
        }
        seed = own;
    }
    free(c);
}

/* ---- paging ---- */

static void change(const char *method, const char *id)
{
    char target[96];
    struct wire_reply r;

    (void)snprintf(target, sizeof(target), "/enrollments/%s" V, id);
    r = ask(method, target, "", strcmp(method, "PUT") == 0 ? individual(id, der64, "") : "");
    assert_in_range(r.status, 200, 204);
}

/* Rows that come and go while a list is read: whoever stays is seen once. */
static void check_paging(const char *text, const char *const *stays, const char *come,
                         const char *goes)
{
    char headers[512], token[400] = "", ids[1024] = "";
    struct wire_reply r;
    int pages = 0;

    do {
        const char *next;

        (void)snprintf(headers, sizeof(headers), "x-ms-max-item-count: 2\r\n%s%s%s",
                       token[0] ? "x-ms-continuation: " : "", token, token[0] ? "\r\n" : "");
        r = ask_query("/enrollments/query" V, text, headers);
        assert_int_equal(r.status, 200);
        next = wire_header(&r, "x-ms-continuation");
        (void)snprintf(token, sizeof(token), "%s", next ? next : "");
        (void)snprintf(ids + strlen(ids), sizeof(ids) - strlen(ids), "%s", r.body);
        if (pages == 0) {
            change("PUT", come);
            change("DELETE", goes);
        }
        pages++;
    } while (token[0] != '\0');
    change("DELETE", come);
    change("PUT", goes);
    for (; *stays != NULL; stays++) {
        char needle[64];
        const char *first;

        (void)snprintf(needle, sizeof(needle), "\"registrationId\":\"%s\"", *stays);
        first = strstr(ids, needle);
        assert_non_null(first);
        assert_null(strstr(first + 1, needle));
    }
    assert_true(pages >= 3);
}

static void test_pages_stay_valid_across_writes(void **state)
{
    static const char *const ids[] = { "b1", "b2", "b3", "b4", "b5", "b6", NULL };
    static const char *const all_but_b2[] = { "b1", "b3", "b4", "b5", "b6", NULL };
    static const char *const all_but_b5[] = { "b1", "b2", "b3", "b4", "b6", NULL };

    (void)state;
    for (int i = 0; ids[i] != NULL; i++) {
        w.now_ms += 1000;
        change("PUT", ids[i]);
    }
    /* a0, before where the reading is; b2, where it is; c0, ahead of it */
    check_paging("SELECT registrationId", all_but_b2, "a0", "b2");
    check_paging("SELECT registrationId", all_but_b5, "c0", "b5");
    check_paging("SELECT registrationId ORDER BY registrationId DESC", all_but_b5, "c0", "b5");
    check_paging("SELECT registrationId ORDER BY lastUpdatedDateTimeUtc", all_but_b2, "a0", "b2");
    check_paging("SELECT registrationId WHERE provisioningStatus = 'enabled'", all_but_b5, "b45",
                 "b5");
}

static void test_a_token_is_of_one_query(void **state)
{
    static const struct {
        const char *path, *text;
        int status;
    } cases[] = {
        { "/enrollments/query" V, "SELECT * WHERE deviceId > ''", 400 },
        { "/enrollments/query" V, "SELECT * WHERE registrationId > 'b'", 400 },
        { "/enrollments/query" V, "SELECT * WHERE registrationId > 'a' ", 200 },
        { "/enrollments/query" V, "SELECT COUNT() WHERE registrationId > 'a'", 400 },
        { "/enrollmentGroups/query" V, "SELECT * WHERE enrollmentGroupId > 'a'", 400 },
        { "/registrations/g/query" V, "SELECT * WHERE registrationId > 'a'", 400 },
    };
    char header[512], token[400];
    struct wire_reply r;

    (void)state;
    put_rows();
    r = ask_query("/enrollments/query" V, cases[2].text, "x-ms-max-item-count: 3\r\n");
    (void)snprintf(token, sizeof(token), "%s", wire_header(&r, "x-ms-continuation"));
    (void)snprintf(header, sizeof(header), "x-ms-continuation: %s\r\n", token);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        r = ask_query(cases[i].path, cases[i].text, header);
        assert_int_equal(r.status, cases[i].status);
        if (cases[i].status == 400) {
            assert_int_equal(w.task_note.reason, REASON_CONTINUATION_INVALID);
        }
    }
    r = ask_query("/registrations/g/query" V, "", "x-ms-continuation: ZC0yNA==\r\n");
    assert_int_equal(w.task_note.reason, REASON_CONTINUATION_INVALID);
    /* Each byte of it counts, but for those of the place. */
    for (size_t i = 0; i < 16; i++) {
        (void)snprintf(header, sizeof(header), "x-ms-continuation: %s\r\n", token);
        header[strlen("x-ms-continuation: ") + i / 4 * 3] ^= 1;
        r = ask_query("/enrollments/query" V, cases[2].text, header);
        assert_int_equal(r.status, 400);
    }
    for (size_t len = 1; len < 24; len++) {
        (void)snprintf(header, sizeof(header), "x-ms-continuation: %.*s\r\n", (int)len, token);
        r = ask_query("/enrollments/query" V, cases[2].text, header);
        assert_int_equal(r.status, 400);
    }
}

/* ---- projections and counts ---- */

/* Each member of a whole row is what a projection of it gives. */
static void check_members(const char *path, const char *ordered)
{
    struct wire_reply r = ask_query(path, "SELECT *", "");
    AUTO(json) json *whole = NULL;
    char text[256];

    assert_int_equal(r.status, 200);
    assert_true(err_is_ok(json_parse(span_str(r.body), 32, &whole)));
    assert_int_equal(json_array_len(whole), 1);
    for (struct json_iter it = json_first(json_array_at(whole, 0)); it.name; json_next(&it)) {
        uint8_t bytes[8192];
        struct buf want = buf_over(bytes, sizeof(bytes));

        buf_printf(&want, "[{\"%s\":", it.name);
        assert_true(err_is_ok(json_print(it.value, &want)));
        buf_add_str(&want, "}]");
        (void)snprintf(text, sizeof(text), "SELECT %s WHERE IS_DEFINED(%s) ORDER BY %s", it.name,
                       it.name, ordered);
        r = ask_query(path, text, "");
        assert_int_equal(r.status, 200);
        assert_string_equal(wire_header(&r, "x-ms-item-type"), "Unknown");
        assert_string_equal(r.body, buf_cstr(&want));
    }
}

static err put_registration(struct store_tx *tx, void *arg)
{
    struct registration *r = arg;

    r->id_scope = w.instance.id_scope;
    r->enrollment_kind = ENROLLMENT_GROUP;
    r->enrollment = SPAN("g");
    r->created_ms = 1600000000000;
    r->updated_ms = 1700000000000;
    r->etag = SPAN("tag");
    r->payload = SPAN("{\"a\":[1,{\"b\":null}]}");
    return store_put(tx, &KIND_REGISTRATION, r);
}

static void test_projections_are_the_members(void **state)
{
    static struct registration assigned = { .key = SPAN_INIT("r1"),
                                            .id = SPAN_INIT("R1"),
                                            .status = REGISTRATION_ASSIGNED,
                                            .substatus = SUBSTATUS_INITIAL_ASSIGNMENT,
                                            .assigned_hub = SPAN_INIT("hub.localhost"),
                                            .device_id = SPAN_INIT("D") };
    static struct registration failed = { .key = SPAN_INIT("r1"),
                                          .id = SPAN_INIT("R1"),
                                          .status = REGISTRATION_FAILED,
                                          .assigned_hub = SPAN_INIT("hub.localhost"),
                                          .error_code = 400209,
                                          .error_message = SPAN_INIT("no hub") };
    static const char more[] =
        ",\"deviceId\":\"D\",\"capabilities\":{\"iotEdge\":true},\"allocationPolicy\":\"static\","
        "\"iotHubs\":[\"hub.localhost\"],\"initialTwin\":{\"tags\":{\"a\":1.5,\"b\":[true]},"
        "\"properties\":{\"desired\":{\"c\":2}}},\"optionalDeviceInformation\":{\"x\":\"y\"},"
        "\"customAllocationDefinition\":{\"webhookUrl\":\"https://"
        "a\",\"apiVersion\":\"2021-10-01\"},"
        "\"namespaceName\":\"ns1\",\"certificateAuthorityName\":\"ca1\","
        "\"certificatePolicyName\":\"po1\",\"credentialPolicyName\":\"cr1\","
        "\"deviceTypeRefs\":[\"t\"]";
    struct wire_reply r;

    (void)state;
    r = ask("PUT", "/enrollments/d1" V, "", individual("d1", der64, more));
    assert_int_equal(r.status, 200);
    check_members("/enrollments/query" V, "registrationId");
    make_certificate("CA", true);
    r = ask("PUT", "/enrollmentGroups/g" V, "", group("g", ",\"allocationPolicy\":\"hashed\""));
    assert_int_equal(r.status, 200);
    check_members("/enrollmentGroups/query" V, "enrollmentGroupId");
    assert_true(err_is_ok(store_write(w.service.store, put_registration, &assigned)));
    check_members("/registrations/G/query" V, "registrationId");
    assert_true(err_is_ok(store_write(w.service.store, put_registration, &failed)));
    check_members("/registrations/G/query" V, "registrationId");
    r = ask_query("/registrations/g/query" V,
                  "SELECT errorCode AS e, deviceId, payload.a WHERE payload.a = 1 OR "
                  "ARRAY_CONTAINS(payload.a, 1)",
                  "");
    assert_string_equal(r.body, "[{\"e\":400209,\"a\":[1,{\"b\":null}]}]");
    r = ask_query("/enrollments/query" V,
                  "SELECT initialTwin.tags.a AS x, attestation.type, initialTwin.tags.none", "");
    assert_string_equal(r.body, "[{\"x\":1.5,\"type\":\"x509\"}]");
    r = ask_query("/enrollments/query" V, "SELECT attestation", "");
    assert_has(&r, "sha256Thumbprint");
    assert_has_not(&r, "\"certificate\"");
}

static void test_counts(void **state)
{
    struct wire_reply r;

    (void)state;
    r = ask_query("/enrollments/query" V, "SELECT COUNT()", "");
    assert_string_equal(r.body, "[{\"count\":0}]");
    put_rows();
    r = ask_query("/enrollments/query" V, "SELECT COUNT() FROM enrollments", "");
    assert_string_equal(r.body, "[{\"count\":60}]");
    assert_null(wire_header(&r, "x-ms-continuation"));
    assert_int_equal(count_of("provisioningStatus = 'disabled'"), 6);
    assert_int_equal(count_of("provisioningStatus = 'disabled' AND provisioningStatus = 'enabled'"),
                     0);
    assert_int_equal(count_of("attestation.type = 'tpm'"), 20);
    assert_int_equal(count_of("registrationId = 'DEV-07'"), 1);
    assert_int_equal(count_of("registrationId = 'DEV-07' AND attestation.type = 'x509'"), 0);
    assert_int_equal(count_of("registrationId IN ['DEV-07', 'dev-09', 'dev']"), 2);
}

static err put_many(struct store_tx *tx, void *arg)
{
    char id[16];
    struct enrollment e = { .id_scope = w.instance.id_scope, .kind = ENROLLMENT_INDIVIDUAL };

    for (int i = 0; i < *(int *)arg; i++) {
        (void)snprintf(id, sizeof(id), "m%06d", i);
        e.key = e.id = span_str(id);
        e.attestation = ATTESTATION_TPM;
        e.iot_edge = i % 15000 == 14999;
        TRY(store_put(tx, &KIND_ENROLLMENT, &e));
    }
    return OK;
}

/* One request looks at so many rows and no more; what it has not seen yet comes with the next. */
static void test_a_selective_condition_over_many_rows(void **state)
{
    int many = LIMIT_QUERY_COUNTED + 1;
    char ids[256];
    struct wire_reply r;
    size_t pages;

    (void)state;
    assert_true(err_is_ok(store_write(w.service.store, put_many, &many)));
    assert_int_equal(collect("* WHERE capabilities.iotEdge = true", 100, ids, &pages), 6);
    assert_int_equal(pages, (many + LIMIT_QUERY_EXAMINED - 1) / LIMIT_QUERY_EXAMINED);
    r = ask_query("/enrollments/query" V, "* WHERE capabilities.iotEdge = true",
                  "x-ms-max-item-count: 1\r\n");
    assert_has(&r, "m014999");
    assert_non_null(wire_header(&r, "x-ms-continuation"));
    r = ask_query("/enrollments/query" V, "SELECT COUNT() WHERE capabilities.iotEdge = true", "");
    assert_int_equal(r.status, 400);
    assert_int_equal(w.task_note.reason, REASON_QUERY_TOO_WIDE);
    assert_has(&r, "COUNT() gave up after 100000 rows: narrow it by a condition on registrationId");
    assert_int_equal(count_of("capabilities.iotEdge = true AND registrationId < 'm09'"), 6);
    assert_int_equal(count_of("attestation.type = 'tpm'"), many);
}

/* ---- refusals ---- */

static void test_refusals_name_the_character(void **state)
{
    static const struct {
        const char *path, *text, *says;
    } cases[] = {
        { "/enrollments/query" V, "SELECT * FROM enrollments WHERE a = 'b'",
          "At character 33: a is not a member of enrollments" },
        { "/enrollments/query" V, "SELECT * FROM enrollments WHERE deviceId = \xc3\xa9",
          "At character 44: expected a value" },
        { "/enrollmentGroups/query" V, "SELECT * GROUP BY etag", "At character 10: GROUP BY" },
        { "/registrations/g/query" V, "SELECT * ORDER BY status",
          "At character 19: there is no order by status, only by registrationId." },
    };
    struct wire_reply r;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        r = ask_query(cases[i].path, cases[i].text, "");
        assert_int_equal(r.status, 400);
        assert_int_equal(w.task_note.reason, REASON_QUERY_UNSUPPORTED);
        assert_has(&r, cases[i].says);
    }
    r = ask("POST", "/enrollments/query" V, "", "{\"query\":7}");
    assert_int_equal(r.status, 400);
    r = ask("POST", "/enrollments/query" V, "", "{\"query\":null}");
    assert_int_equal(r.status, 200);
    r = ask("POST", "/enrollments/query" V, "", "{}");
    assert_int_equal(r.status, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_any_condition_finds_what_it_says),
        TEST(test_pages_stay_valid_across_writes),
        TEST(test_a_token_is_of_one_query),
        TEST(test_projections_are_the_members),
        TEST(test_counts),
        TEST(test_a_selective_condition_over_many_rows),
        TEST(test_refusals_name_the_character),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
