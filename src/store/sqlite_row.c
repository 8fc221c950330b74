/* store/sqlite_row.c: records to parameters and columns to records, field by field as the kind
 * says, and the statement that is kept for each shape of SQL. What the SQL is, is sqlite_sql.c's.
 */
#include "store/sqlite_row.h"

err store_sqlite_row_statement(struct store_sqlite_db *db, const struct kind *kind,
                               const struct store_sql *sql, sqlite3_stmt **ret_stmt)
{
    unsigned number = store_sql_number(sql);
    char text[4096];
    struct buf out = buf_over(text, sizeof(text));

    *ret_stmt = store_sqlite_db_cached(db, kind, number);
    if (*ret_stmt != NULL) {
        return OK;
    }
    store_sql_print(sql, kind, &out);
    TRY(buf_ok(&out));
    return store_sqlite_db_prepare(db, kind, number, buf_span(&out), ret_stmt);
}

static int bind_field(sqlite3_stmt *stmt, int at, const struct field *f, const void *record)
{
    switch (f->type) {
    case FIELD_TEXT:
        return store_sqlite_db_bind_text(stmt, at, store_row_span(record, f));
    case FIELD_BLOB:
    case FIELD_SECRET:
        return store_sqlite_db_bind_blob(stmt, at, store_row_span(record, f));
    case FIELD_INT:
    case FIELD_ENUM:
        return sqlite3_bind_int64(stmt, at, store_row_int(record, f));
    }
    return SQLITE_MISUSE;
}

err store_sqlite_row_bind(struct store_sqlite_db *db, sqlite3_stmt *stmt, const struct kind *kind,
                          const struct store_order *order, int n, const void *record)
{
    for (int i = 0; i < n; i++) {
        int field = order != NULL ? order->fields[i] : i;
        int rc = bind_field(stmt, i + 1, &kind->fields[field], record);

        if (rc != SQLITE_OK) {
            return store_sqlite_db_fault(db, rc);
        }
    }
    return OK;
}

static err read_span(sqlite3_stmt *stmt, int column, struct arena *arena, struct span *ret_value)
{
    const void *data = sqlite3_column_blob(stmt, column); /* a text's bytes, too */
    int len;

    if (data != NULL) {
        len = sqlite3_column_bytes(stmt, column);
        return arena_copy(arena, span_of(data, (size_t)len), ret_value);
    }
    if (sqlite3_column_type(stmt, column) == SQLITE_NULL) {
        *ret_value = SPAN_NONE;
        return OK;
    }
    return sqlite3_column_bytes(stmt, column) == 0 ? arena_copy(arena, SPAN(""), ret_value)
                                                   : ERR(NOMEM);
}

err store_sqlite_row_read(sqlite3_stmt *stmt, const struct kind *kind, bool without_secrets,
                          struct arena *arena, void *row)
{
    for (int i = 0; i < kind->n_fields; i++) {
        const struct field *f = &kind->fields[i];

        if (store_row_is_hidden(f, without_secrets)) {
            continue; /* the row is zeroed */
        }
        if (store_row_is_span(f)) {
            struct span value;

            TRY(read_span(stmt, i, arena, &value));
            store_row_set_span(row, f, value);
        } else {
            store_row_set_int(row, f, sqlite3_column_int64(stmt, i));
        }
    }
    return OK;
}
