/* api/service_query_test.c: lists of the service API page by page. What queries say is in
 * query_text_test.c and query_test.c. */
#include "api/service_wire_test.h"

static void test_lists_page_by_page(void **state)
{
    char token[256] = "", header[512], target[64], id[16];
    struct wire_reply r;
    size_t pages = 0;
    size_t seen = 0;

    (void)state;
    for (int i = 0; i < 25; i++) {
        (void)snprintf(id, sizeof(id), "D-%02d", i);
        (void)snprintf(target, sizeof(target), "/enrollments/%s" V, id);
        r = ask("PUT", target, "", individual(id, pem, ""));
        assert_int_equal(r.status, 200);
    }
    do {
        const char *next;

        (void)snprintf(header, sizeof(header), "x-ms-max-item-count: 10\r\n%s%s%s",
                       token[0] ? "x-ms-continuation: " : "", token, token[0] ? "\r\n" : "");
        r = ask("POST", "/enrollments/query" V, header,
                "{\"query\":\"SELECT * FROM enrollments\"}");
        assert_int_equal(r.status, 200);
        assert_string_equal(wire_header(&r, "x-ms-item-type"), "Enrollment");
        next = wire_header(&r, "x-ms-continuation");
        (void)snprintf(token, sizeof(token), "%s", next ? next : "");
        for (const char *at = r.body; (at = strstr(at, "\"registrationId\":")) != NULL; at++) {
            (void)snprintf(id, sizeof(id), "D-%02zu", seen++);
            assert_memory_equal(at + strlen("\"registrationId\":\""), id, strlen(id));
        }
        pages++;
    } while (token[0] != '\0');
    assert_int_equal(seen, 25);
    assert_int_equal(pages, 3);
    /* A page that ends with the last row has no continuation. */
    r = ask("POST", "/enrollments/query" V, "x-ms-max-item-count: 25\r\n", "");
    assert_null(wire_header(&r, "x-ms-continuation"));
    r = ask("POST", "/enrollments/query" V, "x-ms-max-item-count: 24\r\n", "");
    (void)snprintf(token, sizeof(token), "%s", wire_header(&r, "x-ms-continuation"));
    r = ask("POST", "/enrollments/query" V, "x-ms-max-item-count: 0\r\n", "");
    assert_null(wire_header(&r, "x-ms-continuation"));
    (void)snprintf(header, sizeof(header), "x-ms-continuation: %s\r\n", token);
    r = ask("DELETE", "/enrollments/d-24" V, "", "");
    assert_int_equal(r.status, 204);
    r = ask("POST", "/enrollments/query" V, header, "");
    assert_string_equal(r.body, "[]");
    assert_null(wire_header(&r, "x-ms-continuation"));
    r = ask("POST", "/enrollments/query" V, "x-ms-continuation: ???\r\n", "");
    assert_int_equal(r.status, 400);
    r = ask("POST", "/enrollments/query" V, "x-ms-max-item-count: -1\r\n", "");
    assert_int_equal(r.status, 400);
    r = ask("POST", "/enrollmentGroups/query" V, "", "{\"query\":\"*\"}");
    assert_string_equal(wire_header(&r, "x-ms-item-type"), "EnrollmentGroup");
    assert_string_equal(r.body, "[]");
    r = ask("POST", "/registrations/g1/query" V, "", "");
    assert_string_equal(wire_header(&r, "x-ms-item-type"), "DeviceRegistration");
    assert_string_equal(r.body, "[]");
}

static void test_a_page_of_large_rows_is_shorter(void **state)
{
    static char more[70 * 1024], body_text[80 * 1024];
    char id[16], target[64];
    struct wire_reply r;
    size_t rows = 0;

    (void)state;
    (void)snprintf(more, sizeof(more), ",\"optionalDeviceInformation\":{\"a\":\"%060000d\"}", 7);
    for (int i = 0; i < 60; i++) {
        struct buf body = buf_over(body_text, sizeof(body_text));

        (void)snprintf(id, sizeof(id), "d-%02d", i);
        (void)snprintf(target, sizeof(target), "/enrollments/%s" V, id);
        buf_add_str(&body, individual(id, der64, ""));
        body.len--; /* the closing brace */
        buf_add_str(&body, more);
        buf_add_u8(&body, '}');
        r = ask("PUT", target, "", buf_cstr(&body));
        assert_int_equal(r.status, 200);
    }
    r = ask("POST", "/enrollments/query" V, "x-ms-max-item-count: 1000\r\n", "");
    assert_int_equal(r.status, 200);
    for (const char *at = r.body; (at = strstr(at, "\"registrationId\":")) != NULL; at++) {
        rows++;
    }
    assert_in_range(rows, 10, 59);
    assert_int_equal(r.body[strlen(r.body) - 1], ']');
    assert_non_null(wire_header(&r, "x-ms-continuation"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_lists_page_by_page),
        TEST(test_a_page_of_large_rows_is_shorter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
