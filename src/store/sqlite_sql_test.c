/* store/sqlite_sql_test.c: the schema against the kind tables, and every statement's plan: no scan
 * of ours may sort, or read more than what its prefix and place select. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "model/kinds.h"
#include "store/schema/schema.h"
#include "store/sqlite_sql.h"

static int setup(void **state)
{
    const struct store_schema *schema = &STORE_SCHEMA_SQLITE_STORE;
    sqlite3 *db;

    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    for (int i = 0; i < schema->version; i++) {
        assert_int_equal(sqlite3_exec(db, schema->steps[i], NULL, NULL, NULL), SQLITE_OK);
    }
    *state = db;
    return 0;
}

static int teardown(void **state)
{
    assert_int_equal(sqlite3_close((sqlite3 *)*state), SQLITE_OK);
    return 0;
}

/* The rows of a query as text: columns joined by ' ', rows by '\n'. */
static void ask(sqlite3 *db, const char *sql, struct buf *out)
{
    sqlite3_stmt *stmt;

    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK) {
        fail_msg("%s: %s", sqlite3_errmsg(db), sql);
    }
    out->len = 0;
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        buf_add_str(out, out->len > 0 ? "\n" : "");
        for (int i = 0; i < sqlite3_column_count(stmt); i++) {
            buf_add_str(out, i > 0 ? " " : "");
            buf_add_str(out, (const char *)sqlite3_column_text(stmt, i));
        }
    }
    assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
}

static void test_columns_are_the_fields(void **state)
{
    static const char *const types[] = { [FIELD_TEXT] = "TEXT",
                                         [FIELD_BLOB] = "BLOB",
                                         [FIELD_SECRET] = "BLOB",
                                         [FIELD_INT] = "INTEGER",
                                         [FIELD_ENUM] = "INTEGER" };

    for (int k = 0; k < MODEL_KINDS_N; k++) {
        const struct kind *kind = MODEL_KINDS[k];
        char sql[256], got_text[4096], want_text[4096];
        struct buf got = buf_over(got_text, sizeof(got_text));
        struct buf want = buf_over(want_text, sizeof(want_text));

        (void)snprintf(sql, sizeof(sql),
                       "SELECT name, type, \"notnull\", pk FROM pragma_table_info('%s')",
                       kind->name);
        ask((sqlite3 *)*state, sql, &got);
        for (int i = 0; i < kind->n_fields; i++) {
            const struct field *f = &kind->fields[i];
            bool is_key = i < kind->n_key;

            buf_printf(&want, "%s%s %s %d %d", i > 0 ? "\n" : "", f->name, types[f->type],
                       is_key || !store_row_is_span(f), is_key ? i + 1 : 0);
        }
        assert_string_equal(buf_cstr(&got), buf_cstr(&want));
    }
}

static void test_indexes_are_the_kinds(void **state)
{
    char got_text[4096], want_text[4096];
    struct buf got = buf_over(got_text, sizeof(got_text));
    struct buf want = buf_over(want_text, sizeof(want_text));

    for (int k = 0; k < MODEL_KINDS_N; k++) {
        const struct kind *kind = MODEL_KINDS[k];

        for (int i = 0; i < kind->n_indexes; i++) {
            const struct kind_index *index = &kind->indexes[i];

            for (int f = 0; f < index->n_fields; f++) {
                buf_printf(&want, "%s%s %s %d %s", want.len > 0 ? "\n" : "", kind->name,
                           index->name, f, kind->fields[index->fields[f]].name);
            }
        }
    }
    /* In the kinds' order, which is that of the schema. */
    ask((sqlite3 *)*state,
        "SELECT t.name, i.name, c.seqno, c.name FROM sqlite_schema t, "
        "pragma_index_list(t.name) i, pragma_index_info(i.name) c "
        "WHERE t.type = 'table' AND i.origin = 'c' ORDER BY t.rowid, i.seq DESC, c.seqno",
        &got);
    assert_string_equal(buf_cstr(&got), buf_cstr(&want));
    ask((sqlite3 *)*state, "SELECT count(*) FROM sqlite_schema WHERE type = 'table'", &got);
    assert_int_equal(atoi(buf_cstr(&got)), MODEL_KINDS_N);
}

static int count_of(const char *text, char c)
{
    int n = 0;

    for (; *text != '\0'; text++) {
        n += *text == c;
    }
    return n;
}

static void check_plan(sqlite3 *db, const struct kind *kind, const struct store_sql *sql)
{
    int n_terms = sql->verb == STORE_SQL_FIND || sql->verb == STORE_SQL_DELETE
                      ? kind->n_key
                      : sql->n_equal + (sql->range != STORE_SQL_ALL);
    char text[4096] = "EXPLAIN QUERY PLAN ", plan_text[4096];
    struct buf out = buf_over(text, sizeof(text));
    struct buf plan = buf_over(plan_text, sizeof(plan_text));
    /* Counting by the primary key may walk any index that has its members: it is smaller. */
    const char *by = sql->index > 0                 ? kind->indexes[sql->index - 1].name
                     : sql->verb == STORE_SQL_COUNT ? ""
                                                    : "PRIMARY KEY";

    out.len = strlen(text);
    store_sql_print(sql, kind, &out);
    ask(db, buf_cstr(&out), &plan);
    (void)buf_cstr(&plan);
    if (strstr(plan_text, "TEMP B-TREE") != NULL || count_of(plan_text, '\n') != 0 ||
        (n_terms > 0 && (strstr(plan_text, "SEARCH") == NULL || strstr(plan_text, by) == NULL)) ||
        count_of(plan_text, '?') != n_terms) {
        fail_msg("%s\n%s", text, plan_text);
    }
}

static void check_scans(sqlite3 *db, const struct kind *kind, int index)
{
    struct store_order order = store_order_of(kind, index);

    for (int n_equal = 0; n_equal <= order.n; n_equal++) {
        struct store_sql sql = { .index = index, .n_equal = n_equal };

        sql.verb = STORE_SQL_COUNT;
        check_plan(db, kind, &sql);
        sql.verb = STORE_SQL_SCAN;
        for (int range = STORE_SQL_ALL; range <= STORE_SQL_ABSENT; range++) {
            bool is_nullable = n_equal < order.n && order.fields[n_equal] >= kind->n_key &&
                               store_row_is_span(&kind->fields[order.fields[n_equal]]);

            if ((range != STORE_SQL_ALL && n_equal == order.n) ||
                (range >= STORE_SQL_PRESENT && !is_nullable)) {
                continue;
            }
            sql.range = (enum store_sql_range)range;
            sql.descending = false;
            check_plan(db, kind, &sql);
            sql.descending = true;
            check_plan(db, kind, &sql);
        }
    }
}

static void test_plans(void **state)
{
    for (int k = 0; k < MODEL_KINDS_N; k++) {
        const struct kind *kind = MODEL_KINDS[k];

        check_plan((sqlite3 *)*state, kind, &(struct store_sql){ .verb = STORE_SQL_FIND });
        check_plan((sqlite3 *)*state, kind, &(struct store_sql){ .verb = STORE_SQL_DELETE });
        for (int index = 0; index <= kind->n_indexes; index++) {
            check_scans((sqlite3 *)*state, kind, index);
        }
    }
}

static void test_numbers_differ(void **state)
{
    const struct store_sql shapes[] = {
        { .verb = STORE_SQL_FIND },
        { .verb = STORE_SQL_COUNT },
        { .verb = STORE_SQL_SCAN },
        { .verb = STORE_SQL_SCAN, .index = 3 },
        { .verb = STORE_SQL_SCAN, .n_equal = 36 },
        { .verb = STORE_SQL_SCAN, .range = STORE_SQL_ABSENT },
        { .verb = STORE_SQL_SCAN, .range = STORE_SQL_AT_LEAST },
        { .verb = STORE_SQL_SCAN, .descending = true },
        { .verb = STORE_SQL_SCAN, .index = 3, .range = STORE_SQL_ABOVE },
    };
    size_t n = sizeof(shapes) / sizeof(shapes[0]);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i; j++) {
            assert_int_not_equal(store_sql_number(&shapes[i]), store_sql_number(&shapes[j]));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns_are_the_fields),
        cmocka_unit_test(test_indexes_are_the_kinds),
        cmocka_unit_test(test_plans),
        cmocka_unit_test(test_numbers_differ),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
