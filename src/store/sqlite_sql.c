/* store/sqlite_sql.c: SQL text from the kind tables.
 *
 * Every scan is equality on the first members of an order, at most one range on the next, and
 * ORDER BY the rest: what an index gives without sorting. INDEXED BY holds the planner to it, since
 * without statistics it may take the primary key and sort. */
#include "store/sqlite_sql.h"

unsigned store_sql_number(const struct store_sql *sql)
{
    return (unsigned)sql->verb | (unsigned)sql->index << 3 | (unsigned)sql->n_equal << 5 |
           (unsigned)sql->range << 11 | (unsigned)sql->descending << 14;
}

static void print_name(const char *name, struct buf *out)
{
    buf_add_str(out, "\"");
    buf_add_str(out, name);
    buf_add_str(out, "\"");
}

static void print_columns(const struct kind *kind, struct buf *out)
{
    for (int i = 0; i < kind->n_fields; i++) {
        buf_add_str(out, i > 0 ? "," : "");
        print_name(kind->fields[i].name, out);
    }
}

static void print_key_is(const struct kind *kind, struct buf *out)
{
    for (int i = 0; i < kind->n_key; i++) {
        buf_add_str(out, i > 0 ? " AND " : " WHERE ");
        print_name(kind->fields[i].name, out);
        buf_add_str(out, "=?");
    }
}

static void print_insert(const struct kind *kind, struct buf *out)
{
    buf_add_str(out, "INSERT INTO ");
    print_name(kind->name, out);
    buf_add_str(out, "(");
    print_columns(kind, out);
    buf_add_str(out, ")VALUES(");
    for (int i = 0; i < kind->n_fields; i++) {
        buf_add_str(out, i > 0 ? ",?" : "?");
    }
    buf_add_str(out, ")");
}

/* ON CONFLICT DO UPDATE rather than REPLACE: the row is rewritten in its place. */
static void print_put(const struct kind *kind, struct buf *out)
{
    print_insert(kind, out);
    buf_add_str(out, "ON CONFLICT DO ");
    buf_add_str(out, kind->n_fields > kind->n_key ? "UPDATE SET " : "NOTHING");
    for (int i = kind->n_key; i < kind->n_fields; i++) {
        buf_add_str(out, i > kind->n_key ? "," : "");
        print_name(kind->fields[i].name, out);
        buf_add_str(out, "=excluded.");
        print_name(kind->fields[i].name, out);
    }
}

static bool may_be_absent(const struct kind *kind, int field)
{
    return field >= kind->n_key && store_row_is_span(&kind->fields[field]);
}

static void print_source(const struct store_sql *sql, const struct kind *kind, struct buf *out)
{
    buf_add_str(out, " FROM ");
    print_name(kind->name, out);
    if (sql->index > 0) {
        buf_add_str(out, " INDEXED BY ");
        print_name(kind->indexes[sql->index - 1].name, out);
    }
}

static void print_where(const struct store_sql *sql, const struct kind *kind,
                        const struct store_order *order, struct buf *out)
{
    static const char *const ranges[] = {
        [STORE_SQL_ALL] = "",
        [STORE_SQL_ABOVE] = ">?",
        [STORE_SQL_BELOW] = "<?",
        [STORE_SQL_AT_LEAST] = ">=?",
        [STORE_SQL_AT_MOST] = "<=?",
        [STORE_SQL_PRESENT] = ">=''", /* texts and blobs all are; unlike IS NOT NULL, it seeks */
        [STORE_SQL_ABSENT] = " IS NULL",
    };
    const char *separator = " WHERE ";

    for (int i = 0; i < sql->n_equal; i++) {
        buf_add_str(out, separator);
        print_name(kind->fields[order->fields[i]].name, out);
        buf_add_str(out, may_be_absent(kind, order->fields[i]) ? " IS ?" : "=?");
        separator = " AND ";
    }
    if (sql->range != STORE_SQL_ALL) {
        buf_add_str(out, separator);
        print_name(kind->fields[order->fields[sql->n_equal]].name, out);
        buf_add_str(out, ranges[sql->range]);
    }
}

static void print_scan(const struct store_sql *sql, const struct kind *kind, struct buf *out)
{
    struct store_order order = store_order_of(kind, sql->index);

    buf_add_str(out, "SELECT ");
    print_columns(kind, out);
    print_source(sql, kind, out);
    print_where(sql, kind, &order, out);
    for (int i = sql->n_equal; i < order.n; i++) {
        buf_add_str(out, i > sql->n_equal ? "," : " ORDER BY ");
        print_name(kind->fields[order.fields[i]].name, out);
        buf_add_str(out, sql->descending ? " DESC" : "");
    }
    buf_add_str(out, " LIMIT ?");
}

void store_sql_print(const struct store_sql *sql, const struct kind *kind, struct buf *out)
{
    struct store_order order;

    switch (sql->verb) {
    case STORE_SQL_FIND:
        buf_add_str(out, "SELECT ");
        print_columns(kind, out);
        print_source(sql, kind, out);
        print_key_is(kind, out);
        break;
    case STORE_SQL_INSERT:
        print_insert(kind, out);
        break;
    case STORE_SQL_PUT:
        print_put(kind, out);
        break;
    case STORE_SQL_DELETE:
        buf_add_str(out, "DELETE FROM ");
        print_name(kind->name, out);
        print_key_is(kind, out);
        break;
    case STORE_SQL_SCAN:
        print_scan(sql, kind, out);
        break;
    case STORE_SQL_COUNT:
        order = store_order_of(kind, sql->index);
        buf_add_str(out, "SELECT count(*)");
        print_source(sql, kind, out);
        print_where(sql, kind, &order, out);
        break;
    }
}
