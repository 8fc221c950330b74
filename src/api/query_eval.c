/* api/query_eval.c: conditions over values, in three truths as SQL has them, so that NOT (a = b) is
 * a != b and De Morgan's laws hold for rows without the member, too. */
#include "api/query_eval.h"

enum truth { NO, YES, UNKNOWN };

static uint8_t fold(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

static int compare_caseless(struct span a, struct span b)
{
    for (size_t i = 0; i < a.len && i < b.len; i++) {
        int side = fold(a.data[i]) - fold(b.data[i]);

        if (side != 0) {
            return side;
        }
    }
    return (a.len > b.len) - (a.len < b.len);
}

static int compare_numbers(struct json_number a, struct json_number b)
{
    if (a.is_integer && b.is_integer) {
        return (a.integer > b.integer) - (a.integer < b.integer);
    }
    return (a.real > b.real) - (a.real < b.real);
}

/* False: there is no order between the two. */
static bool find_side(const struct query_value *a, const struct query_value *b, bool is_caseless,
                      int *ret_side)
{
    if (a->type != b->type) {
        return false;
    }
    switch (a->type) {
    case QUERY_VALUE_NUMBER:
        *ret_side = compare_numbers(a->number, b->number);
        return true;
    case QUERY_VALUE_TEXT:
        *ret_side =
            is_caseless ? compare_caseless(a->text, b->text) : span_compare(a->text, b->text);
        return true;
    case QUERY_VALUE_TIME:
        *ret_side = (a->time_ms > b->time_ms) - (a->time_ms < b->time_ms);
        return true;
    default:
        return false;
    }
}

static bool is_equal(const struct query_value *a, const struct query_value *b, bool is_caseless)
{
    int side;

    if (find_side(a, b, is_caseless, &side)) {
        return side == 0;
    }
    return a->type == b->type &&
           (a->type == QUERY_VALUE_NULL || (a->type == QUERY_VALUE_BOOL && a->truth == b->truth));
}

static enum truth truth_of(bool is_true)
{
    return is_true ? YES : NO;
}

static enum truth negation_of(enum truth t)
{
    return t == UNKNOWN ? UNKNOWN : truth_of(t == NO);
}

static enum truth is_one_of(const struct query_value *v, const struct query_node *n)
{
    for (size_t i = 0; i < n->n_values; i++) {
        if (is_equal(v, &n->values[i], n->path.member->is_caseless)) {
            return YES;
        }
    }
    return NO;
}

static enum truth compare(const struct query_value *v, const struct query_node *n)
{
    int side;

    if (!find_side(v, &n->values[0], n->path.member->is_caseless, &side)) {
        return UNKNOWN;
    }
    return truth_of(n->op == QUERY_LT   ? side < 0
                    : n->op == QUERY_LE ? side <= 0
                    : n->op == QUERY_GT ? side > 0
                                        : side >= 0);
}

static enum truth starts_with(const struct query_value *v, const struct query_node *n)
{
    struct span prefix = n->values[0].text;

    if (v->type != QUERY_VALUE_TEXT) {
        return UNKNOWN;
    }
    return truth_of(n->path.member->is_caseless ? span_starts_with_nocase(v->text, prefix)
                                                : span_starts_with(v->text, prefix));
}

static enum truth contains(const struct query_value *v, const struct query_node *n)
{
    if (v->type != QUERY_VALUE_LIST) {
        return UNKNOWN;
    }
    for (size_t i = 0; i < json_array_len(v->json); i++) {
        struct query_value item = query_row_of_json(json_array_at(v->json, i));

        if (is_equal(&item, &n->values[0], n->path.member->is_caseless)) {
            return YES;
        }
    }
    return NO;
}

static enum truth judge(const struct query_value *v, const struct query_node *n)
{
    if (n->op == QUERY_IS_DEFINED) {
        return truth_of(v->type != QUERY_VALUE_UNDEFINED);
    }
    if (v->type == QUERY_VALUE_UNDEFINED) {
        return UNKNOWN;
    }
    switch (n->op) {
    case QUERY_EQ:
    case QUERY_IN:
        return is_one_of(v, n);
    case QUERY_NE:
        return negation_of(is_one_of(v, n));
    case QUERY_STARTS_WITH:
        return starts_with(v, n);
    case QUERY_ARRAY_CONTAINS:
        return contains(v, n);
    default:
        return compare(v, n);
    }
}

/* As deep as the parser let it become: LIMIT_QUERY_DEPTH and LIMIT_QUERY_TERMS. */
static err eval(struct query_row *row, const struct query_node *n, enum truth *ret_truth)
{
    enum truth decides = n->op == QUERY_OR ? YES : NO;
    struct query_value v;
    enum truth left, right;

    if (n->op > QUERY_NOT) {
        TRY(query_row_value(row, &n->path, &v));
        *ret_truth = judge(&v, n);
        return OK;
    }
    TRY(eval(row, n->left, &left));
    if (n->op == QUERY_NOT || left == decides) {
        *ret_truth = n->op == QUERY_NOT ? negation_of(left) : left;
        return OK;
    }
    TRY(eval(row, n->right, &right));
    *ret_truth = right == decides || left != UNKNOWN ? right : UNKNOWN;
    return OK;
}

err query_eval_where(struct query_row *row, const struct query_node *where, bool *ret_is_met)
{
    enum truth t = YES;

    if (where != NULL) {
        TRY(eval(row, where, &t));
    }
    *ret_is_met = t == YES;
    return OK;
}
