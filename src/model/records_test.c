/* model/records_test.c: the kind tables against the structs, and the rules of names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "model/kinds.h"
#include "model/limits.h"
#include "model/records.h"

static size_t field_size(const struct field *f)
{
    switch (f->type) {
    case FIELD_TEXT:
    case FIELD_BLOB:
    case FIELD_SECRET:
        return sizeof(struct span);
    case FIELD_INT:
        return sizeof(int64_t);
    case FIELD_ENUM:
        return sizeof(int);
    }
    fail();
    return 0;
}

/* The fields of a kind must tile its struct: a member that is missing or of another type leaves a
 * gap larger than padding, or overlaps its neighbour. */
static void test_fields_tile_the_struct(void **state)
{
    (void)state;
    for (int k = 0; k < MODEL_KINDS_N; k++) {
        const struct kind *kind = MODEL_KINDS[k];
        size_t end = 0;

        for (int i = 0; i < kind->n_fields; i++) {
            const struct field *f = &kind->fields[i];
            size_t align = field_size(f) == sizeof(int) ? sizeof(int) : sizeof(int64_t);

            assert_int_equal(f->offset, (end + align - 1) / align * align);
            end = f->offset + field_size(f);
        }
        assert_int_equal(kind->size, (end + 7) / 8 * 8);
    }
}

static void test_kinds_keep_their_bounds(void **state)
{
    (void)state;
    for (int k = 0; k < MODEL_KINDS_N; k++) {
        const struct kind *kind = MODEL_KINDS[k];

        assert_in_range(kind->n_fields, 1, KIND_FIELDS_MAX);
        assert_in_range(kind->n_key, 1, kind->n_fields);
        assert_in_range(kind->n_indexes, 0, KIND_INDEXES_MAX);
        for (int i = 0; i < kind->n_indexes; i++) {
            assert_in_range(kind->indexes[i].n_fields, 1, KIND_INDEX_FIELDS_MAX);
            assert_true(strncmp(kind->indexes[i].name, kind->name, strlen(kind->name)) == 0);
        }
        for (int j = 0; j < k; j++) {
            assert_string_not_equal(kind->name, MODEL_KINDS[j]->name);
        }
    }
}

static void test_indexes_are_those_of_the_header(void **state)
{
    static const struct {
        const struct kind *kind;
        int index;
        const char *fields;
    } cases[] = {
        { &KIND_INSTANCE, INSTANCE_BY_HOST, "host_name" },
        { &KIND_ANCHOR, ANCHOR_BY_SHA256, "id_scope,sha256" },
        { &KIND_REGISTRATION, REGISTRATION_BY_ENROLLMENT, "id_scope,enrollment_kind,enrollment" },
        { &KIND_DECISION, DECISION_BY_REGISTRATION, "id_scope,registration_key,time_ms" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct kind_index *index = &cases[i].kind->indexes[cases[i].index - 1];
        char names[256] = "";
        int len = 0;

        assert_true(cases[i].index <= cases[i].kind->n_indexes);
        for (int f = 0; f < index->n_fields; f++) {
            len += snprintf(names + len, sizeof(names) - (size_t)len, "%s%s", f > 0 ? "," : "",
                            cases[i].kind->fields[index->fields[f]].name);
        }
        assert_string_equal(names, cases[i].fields);
    }
}

static void test_fold(void **state)
{
    uint8_t block[64];
    struct arena arena;
    struct span folded = SPAN("untouched");

    (void)state;
    arena_init(&arena, block, sizeof(block));
    assert_true(err_is_ok(model_fold(&arena, SPAN("Az-09_\xc3\x84@[`{"), &folded)));
    assert_true(span_eq(folded, SPAN("az-09_\xc3\x84@[`{")));
    assert_true(err_is_ok(model_fold(&arena, SPAN_NONE, &folded)));
    assert_true(span_is_absent(folded));
    assert_true(err_is_ok(model_fold(&arena, SPAN(""), &folded)));
    assert_true(!span_is_absent(folded) && folded.len == 0);
    folded = SPAN("untouched");
    arena_init(&arena, block, 4);
    assert_true(err_is(model_fold(&arena, SPAN("ABCD"), &folded), ERR_NOMEM));
    assert_true(span_eq(folded, SPAN("untouched")));
}

struct name_case {
    const char *name;
    bool is_registration_id, is_device_id, is_host_name;
};

static void test_names(void **state)
{
    static const struct name_case cases[] = {
        { "a", true, true, true },
        { "Dev-1", true, true, true },
        { "-dev", true, true, false },
        { "dev-", true, true, false },
        { "dev.", false, true, false },
        { "dev:", false, true, false },
        { "dev_", false, true, false },
        { "a.b", true, true, true },
        { "a..b", true, true, false },
        { ".a", true, true, false },
        { "a_b", true, true, false },
        { "a:b", true, true, false },
        { "-:.+%_#*?!(),=@;$'", false, true, false },
        { "a b", false, false, false },
        { "a/b", false, false, false },
        { "a&b", false, false, false },
        { "d\xc3\xa9v", false, false, false },
        { "", false, false, false },
    };
    char long_name[LIMIT_HOST_NAME + 2];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct span name = span_str(cases[i].name);

        assert_int_equal(model_is_registration_id(name), cases[i].is_registration_id);
        assert_int_equal(model_is_device_id(name), cases[i].is_device_id);
        assert_int_equal(model_is_host_name(name), cases[i].is_host_name);
    }
    assert_false(model_is_registration_id(SPAN_NONE));
    assert_false(model_is_device_id(SPAN_NONE));
    assert_false(model_is_host_name(SPAN_NONE));
    assert_false(model_is_device_id(SPAN("a\0b")));

    memset(long_name, 'a', sizeof(long_name));
    assert_true(model_is_registration_id(span_of(long_name, LIMIT_REGISTRATION_ID)));
    assert_false(model_is_registration_id(span_of(long_name, LIMIT_REGISTRATION_ID + 1)));
    assert_true(model_is_device_id(span_of(long_name, LIMIT_DEVICE_ID)));
    assert_false(model_is_device_id(span_of(long_name, LIMIT_DEVICE_ID + 1)));
    assert_true(model_is_host_name(span_of(long_name, 63)));
    assert_false(model_is_host_name(span_of(long_name, 64)));
    for (size_t i = 1; i < sizeof(long_name); i += 2) {
        long_name[i] = '.';
    }
    assert_true(model_is_host_name(span_of(long_name, LIMIT_HOST_NAME)));
    assert_false(model_is_host_name(span_of(long_name, LIMIT_HOST_NAME + 1)));
}

static void test_words(void **state)
{
    enum attestation_type type;
    enum allocation_policy policy;

    (void)state;
    assert_string_equal(model_registration_status_word(REGISTRATION_DISABLED), "disabled");
    assert_null(model_registration_status_word((enum registration_status)5));
    assert_null(model_registration_status_word((enum registration_status) - 1));
    assert_null(model_substatus_word(SUBSTATUS_NONE));
    assert_string_equal(model_substatus_word(SUBSTATUS_REPROVISIONED_TO_INITIAL_ASSIGNMENT),
                        "reprovisionedToInitialAssignment");
    assert_null(model_allocation_word(ALLOCATION_DEFAULT));
    assert_string_equal(model_operation_word(OPERATION_CONNECT), "connect");
    assert_null(model_transport_word((enum transport)0));
    assert_string_equal(model_transport_word(TRANSPORT_HTTP), "http");
    assert_string_equal(model_enrollment_kind_word(ENROLLMENT_GROUP), "group");

    for (int i = ATTESTATION_NONE; i <= ATTESTATION_SYMMETRIC_KEY; i++) {
        const char *word = model_attestation_word((enum attestation_type)i);

        assert_true(model_parse_attestation(span_str(word), &type));
        assert_int_equal(type, i);
    }
    for (int i = ALLOCATION_HASHED; i <= ALLOCATION_CUSTOM; i++) {
        const char *word = model_allocation_word((enum allocation_policy)i);

        assert_true(model_parse_allocation(span_str(word), &policy));
        assert_int_equal(policy, i);
    }
    assert_true(model_parse_allocation(SPAN("GeoLatency"), &policy));
    assert_false(model_parse_allocation(SPAN(""), &policy));
    assert_false(model_parse_attestation(SPAN_NONE, &type));
    assert_false(model_parse_attestation(SPAN("x5090"), &type));
}

static void test_rights(void **state)
{
    static const char *const bad[] = { "", " ", ",", "ServiceConfig,", "Root", "EnrollmentRead x" };
    char text[256];
    struct buf out = buf_over(text, sizeof(text));
    int64_t rights = 0;

    (void)state;
    model_format_rights(RIGHTS_HUB, &out);
    assert_string_equal(buf_cstr(&out), "DeviceConnect, RegistryRead, RegistryWrite, "
                                        "ServiceConnect");
    assert_true(model_parse_rights(buf_span(&out), &rights));
    assert_int_equal(rights, RIGHTS_HUB);

    out.len = 0;
    model_format_rights(RIGHTS_INSTANCE, &out);
    assert_true(model_parse_rights(buf_span(&out), &rights));
    assert_int_equal(rights, RIGHTS_INSTANCE);

    assert_true(model_parse_rights(SPAN("serviceconfig,EnrollmentRead"), &rights));
    assert_int_equal(rights, RIGHT_SERVICE_CONFIG | RIGHT_ENROLLMENT_READ);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(model_parse_rights(span_str(bad[i]), &rights));
    }
    assert_false(model_parse_rights(SPAN_NONE, &rights));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields_tile_the_struct),
        cmocka_unit_test(test_kinds_keep_their_bounds),
        cmocka_unit_test(test_indexes_are_those_of_the_header),
        cmocka_unit_test(test_fold),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_rights),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
