/* api/query_eval.c: conditions over values, in three truths as SQL has them, so that NOT (a = b) is
 * a != b and De Morgan's laws hold for rows without the member, too. */
#include "api/query_eval.h"

#include <math.h>

#include "util/timefmt.h"

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

/* A time and a text that is none, such as a date alone. */
static int compare_time_text(int64_t time_ms, struct span text)
{
    uint8_t bytes[40];
    struct buf time = buf_over(bytes, sizeof(bytes));

    timefmt_iso(time_ms, &time);
    return span_compare(buf_span(&time), text);
}

/* False: there is no order between the two. */
static bool find_side(const struct query_value *a, const struct query_value *b, bool is_caseless,
                      int *ret_side)
{
    if (a->type == QUERY_VALUE_TIME && b->type == QUERY_VALUE_TEXT) {
        *ret_side = compare_time_text(a->time_ms, b->text);
        return true;
    }
    if (a->type == QUERY_VALUE_TEXT && b->type == QUERY_VALUE_TIME) {
        *ret_side = -compare_time_text(b->time_ms, a->text);
        return true;
    }
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

/* What is compared, and with what: literals, or one value of the row's. */
struct comparison {
    enum query_op op;
    bool is_caseless;
    const struct query_value *values;
    size_t n_values;
};

static enum truth is_one_of(const struct query_value *v, const struct comparison *c)
{
    for (size_t i = 0; i < c->n_values; i++) {
        if (is_equal(v, &c->values[i], c->is_caseless)) {
            return YES;
        }
    }
    return NO;
}

static enum truth compare(const struct query_value *v, const struct comparison *c)
{
    int side;

    if (!find_side(v, &c->values[0], c->is_caseless, &side)) {
        return UNKNOWN;
    }
    return truth_of(c->op == QUERY_LT   ? side < 0
                    : c->op == QUERY_LE ? side <= 0
                    : c->op == QUERY_GT ? side > 0
                                        : side >= 0);
}

static bool has_part(struct span text, struct span part, bool is_caseless)
{
    for (size_t i = 0; i + part.len <= text.len; i++) {
        struct span here = span_of(text.data + i, part.len);

        if (is_caseless ? span_eq_nocase(here, part) : span_eq(here, part)) {
            return true;
        }
    }
    return false;
}

/* STARTS_WITH, ENDS_WITH, CONTAINS */
static enum truth has_text(const struct query_value *v, const struct comparison *c)
{
    struct span part = c->values[0].text;

    if (v->type != QUERY_VALUE_TEXT || c->values[0].type != QUERY_VALUE_TEXT) {
        return UNKNOWN;
    }
    if (c->op == QUERY_CONTAINS) {
        return truth_of(has_part(v->text, part, c->is_caseless));
    }
    if (part.len > v->text.len) {
        return NO;
    }
    return truth_of(has_part(c->op == QUERY_STARTS_WITH
                                 ? span_first(v->text, part.len)
                                 : span_from(v->text, v->text.len - part.len),
                             part, c->is_caseless));
}

static enum truth contains(const struct query_value *v, const struct comparison *c)
{
    if (v->type != QUERY_VALUE_LIST) {
        return UNKNOWN;
    }
    for (size_t i = 0; i < json_array_len(v->json); i++) {
        struct query_value item = query_row_of_json(json_array_at(v->json, i));

        if (is_equal(&item, &c->values[0], c->is_caseless)) {
            return YES;
        }
    }
    return NO;
}

static enum truth judge(const struct query_value *v, const struct comparison *c)
{
    if (c->op == QUERY_IS_DEFINED) {
        return truth_of(v->type != QUERY_VALUE_UNDEFINED);
    }
    if (v->type == QUERY_VALUE_UNDEFINED ||
        (c->n_values == 1 && c->values[0].type == QUERY_VALUE_UNDEFINED)) {
        return UNKNOWN;
    }
    switch (c->op) {
    case QUERY_EQ:
    case QUERY_IN:
        return is_one_of(v, c);
    case QUERY_NE:
        return negation_of(is_one_of(v, c));
    case QUERY_STARTS_WITH:
    case QUERY_ENDS_WITH:
    case QUERY_CONTAINS:
        return has_text(v, c);
    case QUERY_ARRAY_CONTAINS:
        return contains(v, c);
    case QUERY_IS_NULL:
        return truth_of(v->type == QUERY_VALUE_NULL);
    default:
        return compare(v, c);
    }
}

/* ---- arithmetic: of numbers, in whole ones as far as they reach ---- */

static bool find_whole(enum query_op op, int64_t a, int64_t b, int64_t *ret_n)
{
    switch (op) {
    case QUERY_ADD:
        return !__builtin_add_overflow(a, b, ret_n);
    case QUERY_SUB:
        return !__builtin_sub_overflow(a, b, ret_n);
    case QUERY_MUL:
        return !__builtin_mul_overflow(a, b, ret_n);
    default: /* / and %: not by 0, and not the one quotient that does not fit */
        if (b == 0 || (a == INT64_MIN && b == -1) || (op == QUERY_DIV && a % b != 0)) {
            return false;
        }
        *ret_n = op == QUERY_DIV ? a / b : a % b;
        return true;
    }
}

static double real_of(enum query_op op, double a, double b)
{
    double quotient = a / b;

    switch (op) {
    case QUERY_ADD:
        return a + b;
    case QUERY_SUB:
        return a - b;
    case QUERY_MUL:
        return a * b;
    case QUERY_DIV:
        return quotient;
    default: /* beyond 2^53 there are no fractions */
        return quotient > -0x1p53 && quotient < 0x1p53 ? a - b * (double)(int64_t)quotient : 0;
    }
}

static struct query_value calculate(enum query_op op, const struct query_value *a,
                                    const struct query_value *b)
{
    struct query_value v = { .type = QUERY_VALUE_UNDEFINED };
    int64_t n;
    double real;

    if (a->type != QUERY_VALUE_NUMBER || b->type != QUERY_VALUE_NUMBER) {
        return v;
    }
    if (a->number.is_integer && b->number.is_integer &&
        find_whole(op, a->number.integer, b->number.integer, &n)) {
        return query_row_of_int(n);
    }
    real = (op == QUERY_DIV || op == QUERY_MOD) && b->number.real == 0
               ? INFINITY
               : real_of(op, a->number.real, b->number.real);
    if (isfinite(real)) {
        v.type = QUERY_VALUE_NUMBER;
        v.number.real = real;
    }
    return v;
}

/* ---- a whole tree ---- */

static bool is_caseless(const struct query_node *n)
{
    return n != NULL && n->path.member != NULL && n->path.member->is_caseless;
}

static err eval(struct query_row *row, const struct query_node *n, enum truth *ret_truth);

static err eval_comparison(struct query_row *row, const struct query_node *n, enum truth *ret_truth)
{
    struct comparison c = { .op = n->op,
                            .is_caseless =
                                is_caseless(n) || is_caseless(n->left) || is_caseless(n->right),
                            .values = n->values,
                            .n_values = n->n_values };
    struct query_value left, right;

    TRY(n->left != NULL ? query_eval_value(row, n->left, &left)
                        : query_row_value(row, &n->path, &left));
    if (n->right != NULL) {
        TRY(query_eval_value(row, n->right, &right));
        c.values = &right;
        c.n_values = 1;
    }
    *ret_truth = judge(&left, &c);
    return OK;
}

static err eval_truth(struct query_row *row, const struct query_node *n, enum truth *ret_truth)
{
    struct query_value v;

    TRY(query_eval_value(row, n, &v));
    *ret_truth = v.type == QUERY_VALUE_BOOL ? truth_of(v.truth) : UNKNOWN;
    return OK;
}

/* As deep as the parser let it become: LIMIT_QUERY_DEPTH, _TERMS and _OPERANDS. */
static err eval(struct query_row *row, const struct query_node *n, enum truth *ret_truth)
{
    enum truth decides = n->op == QUERY_OR ? YES : NO;
    enum truth left, right;

    if (n->op >= QUERY_PATH) {
        return eval_truth(row, n, ret_truth);
    }
    if (n->op > QUERY_NOT) {
        return eval_comparison(row, n, ret_truth);
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

err query_eval_value(struct query_row *row, const struct query_node *n,
                     struct query_value *ret_value)
{
    const struct query_value zero = query_row_of_int(0);
    struct query_value left, right;
    enum truth t;

    if (n->op == QUERY_PATH) {
        return query_row_value(row, &n->path, ret_value);
    }
    if (n->op == QUERY_LITERAL) {
        *ret_value = n->values[0];
        return OK;
    }
    if (n->op < QUERY_PATH) {
        TRY(eval(row, n, &t));
        *ret_value = t == UNKNOWN ? query_row_of_text(SPAN_NONE) : query_row_of_bool(t == YES);
        return OK;
    }
    TRY(query_eval_value(row, n->left, &left));
    if (n->op == QUERY_NEGATE) {
        *ret_value = calculate(QUERY_SUB, &zero, &left);
        return OK;
    }
    TRY(query_eval_value(row, n->right, &right));
    *ret_value = calculate(n->op, &left, &right);
    return OK;
}

err query_eval_column(struct query_row *row, const struct query_column *c,
                      struct query_value *ret_value)
{
    return c->expression != NULL ? query_eval_value(row, c->expression, ret_value)
                                 : query_row_value(row, &c->path, ret_value);
}

bool query_eval_order(const struct query_value *a, const struct query_value *b, int *ret_side)
{
    return find_side(a, b, false, ret_side);
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
