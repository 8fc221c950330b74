/* api/query_tree_test.h: for tests: what a query text was understood as, printed as a tree. */
#ifndef API_QUERY_TREE_TEST_H
#define API_QUERY_TREE_TEST_H

#include "api/query_text.h"

static inline void print_path(const struct query_path *p, struct buf *out)
{
    buf_add_str(out, p->member->name);
    for (size_t i = 0; i < p->n_inside; i++) {
        buf_printf(out, "/%s", p->inside[i]);
    }
}

static inline void print_value(const struct query_value *v, struct buf *out)
{
    switch (v->type) {
    case QUERY_VALUE_BOOL:
        buf_add_str(out, v->truth ? "true" : "false");
        break;
    case QUERY_VALUE_NUMBER:
        if (v->number.is_integer) {
            buf_add_int(out, v->number.integer);
        } else {
            buf_printf(out, "%g", v->number.real);
        }
        break;
    case QUERY_VALUE_TEXT:
        buf_printf(out, "'%.*s'", SPAN_FMT(v->text));
        break;
    case QUERY_VALUE_TIME:
        buf_add_str(out, "@");
        buf_add_int(out, v->time_ms);
        break;
    default:
        buf_add_str(out, v->type == QUERY_VALUE_NULL ? "null" : "undefined");
    }
}

static inline void print_node(const struct query_node *n, struct buf *out)
{
    static const char *const ops[] = {
        "AND",      "OR", "NOT", "=",    "!=", "<", "<=", ">", ">=", "IN", "^=", "EXISTS",
        "CONTAINS", "$=", "*=",  "NULL", "",   "",  "+",  "-", "*",  "/",  "%",  "NEG"
    };

    if (n->op == QUERY_PATH) {
        print_path(&n->path, out);
        return;
    }
    if (n->op == QUERY_LITERAL) {
        print_value(&n->values[0], out);
        return;
    }

    buf_printf(out, "(%s", ops[n->op]);
    if (n->left != NULL) {
        buf_add_str(out, " ");
        print_node(n->left, out);
    } else {
        buf_add_str(out, " ");
        print_path(&n->path, out);
    }
    if (n->right != NULL) {
        buf_add_str(out, " ");
        print_node(n->right, out);
    }
    for (size_t i = 0; i < n->n_values; i++) {
        buf_add_str(out, " ");
        print_value(&n->values[i], out);
    }
    buf_add_str(out, ")");
}

static inline void print_column(const struct query_column *c, struct buf *out)
{
    static const char *const aggregates[] = { "", "COUNT(", "AVG(", "SUM(", "MIN(", "MAX(" };

    buf_add_str(out, aggregates[c->aggregate]);
    if (c->expression != NULL) {
        print_node(c->expression, out);
    } else if (c->path.member != NULL) {
        print_path(&c->path, out);
    }
    buf_printf(out, "%s:%s", c->aggregate != QUERY_PLAIN ? ")" : "", c->name);
}

/* "" for whole rows without condition and order. */
static inline void print_query(const struct query *q, struct buf *out)
{
    static const char *const orders[] = { "", "BY ID", "BY UPDATED" };

    if (q->top >= 0) {
        buf_printf(out, "TOP %d ", (int)q->top);
    }
    if (q->is_count) {
        buf_printf(out, "COUNT %s", q->count_name);
    }
    for (size_t i = 0; !q->is_count && i < q->n_columns; i++) {
        buf_add_str(out, i > 0 ? ", " : "");
        print_column(&q->columns[i], out);
    }
    if (q->where != NULL) {
        buf_add_str(out, out->len > 0 ? " " : "");
        print_node(q->where, out);
    }
    for (size_t i = 0; i < q->n_groups; i++) {
        buf_add_str(out, i > 0 ? ", " : " BY ");
        print_path(&q->groups[i], out);
    }
    if (q->order != 0) {
        buf_printf(out, "%s%s%s", out->len > 0 ? " " : "", orders[q->order],
                   q->descending ? " DESC" : "");
    }
}

#endif
