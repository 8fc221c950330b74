/* api/query_expr.c: the grammar of expressions, one function a rule. Conditions and values are one
 * kind of node, so that either may stand in parentheses. */
#include "api/query_expr.h"

#include "api/query_where.h"
#include "model/limits.h"

static err parse_sum(struct query_parser *p, const struct query_node **ret_node);

static err new_literal(struct query_parser *p, const struct query_node **ret_node)
{
    struct query_node *node;

    TRY(query_where_node(p, QUERY_LITERAL, &node));
    TRY(query_where_values(p, node, 1));
    node->n_values = 1;
    *ret_node = node;
    return query_where_value(p, &node->values[0]);
}

/* Both sides into one node; a member and a literal in their places, so that a plan finds them. */
static err join(struct query_parser *p, enum query_op op, const struct query_node *left,
                const struct query_node *right, const struct query_node **ret_node)
{
    struct query_node *node;

    TRY(query_where_node(p, op, &node));
    if (left->op == QUERY_PATH && (right == NULL || right->op == QUERY_LITERAL)) {
        node->path = left->path;
        if (right != NULL) {
            TRY(query_where_values(p, node, 1));
            node->n_values = 1;
            node->values[0] = right->values[0];
            query_where_find_time(node, &node->values[0]);
        }
    } else {
        node->left = left;
        node->right = right;
    }
    *ret_node = node;
    return OK;
}

static enum query_op mirrored(enum query_op op)
{
    switch (op) {
    case QUERY_LT:
        return QUERY_GT;
    case QUERY_LE:
        return QUERY_GE;
    case QUERY_GT:
        return QUERY_LT;
    case QUERY_GE:
        return QUERY_LE;
    default:
        return op;
    }
}

/* function = name "(" sum [ "," sum ] ")" */
static err parse_function(struct query_parser *p, const struct query_node **ret_node)
{
    const struct query_node *left;
    const struct query_node *right = NULL;
    enum query_op op;

    TRY(query_where_function(p, &op));
    TRY(query_parser_advance(p));
    TRY(query_parser_deepen(p)); /* the parenthesis */
    TRY(parse_sum(p, &left));
    if (op != QUERY_IS_DEFINED && op != QUERY_IS_NULL) {
        TRY(query_parser_take_symbol(p, ",", ","));
        TRY(parse_sum(p, &right));
    }
    p->depth--;
    TRY(query_parser_take_symbol(p, ")", ")"));
    return join(p, op, left, right, ret_node);
}

static err parse_path(struct query_parser *p, const struct query_node **ret_node)
{
    struct query_node *node;

    if (p->token.type != QUERY_TOKEN_NAME && p->token.type != QUERY_TOKEN_QUOTED) {
        return query_parser_expected(p, "the name of a member, a value, a function or (");
    }
    TRY(query_where_node(p, QUERY_PATH, &node));
    *ret_node = node;
    return query_parser_path(p, &node->path);
}

/* operand = "(" condition ")" | "-" operand | function | value | path */
static err parse_operand(struct query_parser *p, const struct query_node **ret_node)
{
    const struct query_node *inner;

    if (++p->n_operands > LIMIT_QUERY_OPERANDS) {
        return query_parser_refuse(p, p->token.at, "a query has at most %d operands",
                                   LIMIT_QUERY_OPERANDS);
    }
    if (query_parser_is_symbol(p, "(")) {
        TRY(query_parser_deepen(p));
        TRY(query_where_parse(p, ret_node));
        p->depth--;
        return query_parser_take_symbol(p, ")", "an operator or )");
    }
    if (query_parser_is_symbol(p, "-")) {
        struct query_node *node;

        TRY(query_parser_deepen(p));
        TRY(parse_operand(p, &inner));
        p->depth--;
        TRY(query_where_node(p, QUERY_NEGATE, &node));
        node->left = inner;
        *ret_node = node;
        return OK;
    }
    if (p->token.type == QUERY_TOKEN_NAME && query_parser_is_before(p, "(") &&
        !query_parser_is_keyword(p)) {
        return parse_function(p, ret_node);
    }
    return query_where_is_value(p) ? new_literal(p, ret_node) : parse_path(p, ret_node);
}

static bool find_arithmetic(const struct query_parser *p, bool is_product, enum query_op *ret_op)
{
    static const struct {
        const char *symbol;
        enum query_op op;
        bool is_product;
    } ops[] = { { "+", QUERY_ADD, false },
                { "-", QUERY_SUB, false },
                { "*", QUERY_MUL, true },
                { "/", QUERY_DIV, true },
                { "%", QUERY_MOD, true } };

    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        if (ops[i].is_product == is_product && query_parser_is_symbol(p, ops[i].symbol)) {
            *ret_op = ops[i].op;
            return true;
        }
    }
    return false;
}

/* product = operand { ( "*" | "/" | "%" ) operand } */
static err parse_product(struct query_parser *p, const struct query_node **ret_node)
{
    const struct query_node *left;
    enum query_op op;

    TRY(parse_operand(p, &left));
    while (find_arithmetic(p, true, &op)) {
        struct query_node *node;

        TRY(query_parser_advance(p));
        TRY(query_where_node(p, op, &node));
        node->left = left;
        TRY(parse_operand(p, &node->right));
        left = node;
    }
    *ret_node = left;
    return OK;
}

/* A number with its minus behind an operand: `a -5` is `a + -5`. */
static bool is_negative(const struct query_parser *p)
{
    return p->token.type == QUERY_TOKEN_NUMBER && p->token.text.data[0] == '-';
}

/* sum = product { ( "+" | "-" ) product } */
static err parse_sum(struct query_parser *p, const struct query_node **ret_node)
{
    const struct query_node *left;
    enum query_op op;

    TRY(parse_product(p, &left));
    for (;;) {
        struct query_node *node;

        if (find_arithmetic(p, false, &op)) {
            TRY(query_parser_advance(p));
        } else if (is_negative(p)) {
            op = QUERY_ADD;
        } else {
            break;
        }
        TRY(query_where_node(p, op, &node));
        node->left = left;
        TRY(parse_product(p, &node->right));
        left = node;
    }
    *ret_node = left;
    return OK;
}

/* [ "NOT" ] "IN" list | "NIN" list */
static err parse_in(struct query_parser *p, const struct query_node *left,
                    const struct query_node **ret_node)
{
    bool is_not = query_parser_is_word(p, "NOT");
    bool is_nin = query_parser_is_word(p, "NIN");
    struct query_node *node;

    if (is_not) {
        TRY(query_parser_advance(p));
    }
    if (!is_nin && !query_parser_is_word(p, "IN")) {
        return query_parser_expected(p, "IN");
    }
    TRY(query_parser_advance(p));
    TRY(query_where_node(p, QUERY_IN, &node));
    if (left->op == QUERY_PATH) {
        node->path = left->path;
    } else {
        node->left = left;
    }
    TRY(query_where_list(p, node));
    *ret_node = node;
    return is_not || is_nin ? query_where_negate(p, node, ret_node) : OK;
}

err query_expr_comparison(struct query_parser *p, const struct query_node **ret_node)
{
    const struct query_node *left, *right;
    enum query_op op;

    TRY(parse_sum(p, &left));
    if (query_where_comparison(p, &op)) {
        TRY(query_parser_advance(p));
        TRY(parse_sum(p, &right));
        return left->op == QUERY_LITERAL && right->op == QUERY_PATH
                   ? join(p, mirrored(op), right, left, ret_node)
                   : join(p, op, left, right, ret_node);
    }
    if (query_parser_is_word(p, "NOT") || query_parser_is_word(p, "IN") ||
        query_parser_is_word(p, "NIN")) {
        return parse_in(p, left, ret_node);
    }
    *ret_node = left;
    return OK;
}

/* ---- columns ---- */

static bool find_aggregate(const struct query_parser *p, struct query_column *c)
{
    static const struct {
        const char *word, *name;
        enum query_aggregate aggregate;
    } aggregates[] = { { "COUNT", "count", QUERY_COUNT },
                       { "AVG", "avg", QUERY_AVG },
                       { "SUM", "sum", QUERY_SUM },
                       { "MIN", "min", QUERY_MIN },
                       { "MAX", "max", QUERY_MAX } };

    for (size_t i = 0; i < sizeof(aggregates) / sizeof(aggregates[0]); i++) {
        if (query_parser_is_word(p, aggregates[i].word) && query_parser_is_before(p, "(")) {
            c->aggregate = aggregates[i].aggregate;
            c->name = aggregates[i].name;
            return true;
        }
    }
    return false;
}

static void set_expression(struct query_column *c, const struct query_node *node)
{
    if (node->op == QUERY_PATH) {
        c->path = node->path;
    } else {
        c->expression = node;
    }
}

err query_expr_column(struct query_parser *p, size_t number, struct query_column *ret_column)
{
    struct query_column c = { .at = p->token.at };
    const struct query_node *node;
    struct span name;

    if (find_aggregate(p, &c)) {
        TRY(query_parser_advance(p));
        TRY(query_parser_advance(p)); /* the parenthesis */
        if (c.aggregate != QUERY_COUNT) {
            TRY(parse_sum(p, &node));
            set_expression(&c, node);
        }
        *ret_column = c;
        return query_parser_take_symbol(p, ")", ")");
    }
    TRY(parse_sum(p, &node));
    set_expression(&c, node);
    c.name = c.path.last;
    if (c.name == NULL) {
        TRY(arena_printf(p->arena, &name, "$%zu", number));
        c.name = (const char *)name.data;
    }
    *ret_column = c;
    return OK;
}
