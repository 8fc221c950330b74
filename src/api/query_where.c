/* api/query_where.c: the grammar of conditions, one function a rule, and which values and functions
 * go with which members. */
#include "api/query_where.h"

#include "model/limits.h"
#include "util/timefmt.h"

/* ---- literals ---- */

/* number = as in JSON */
static err parse_number(struct query_parser *p, struct query_value *ret_value)
{
    AUTO(json) json *number = NULL;

    if (!err_is_ok(json_parse(p->token.text, 1, &number))) {
        return query_parser_refuse(p, p->token.at, "this is no number");
    }
    *ret_value = query_row_of_json(number);
    ret_value->json = NULL;
    return OK;
}

/* value = text | number | "true" | "false" | "null" */
static err parse_value(struct query_parser *p, struct query_value *ret_value)
{
    struct query_value v = { .type = QUERY_VALUE_NULL };

    if (p->token.type == QUERY_TOKEN_TEXT) {
        v.type = QUERY_VALUE_TEXT;
        TRY(query_lex_text(p->arena, p->token, &v.text));
    } else if (p->token.type == QUERY_TOKEN_NUMBER) {
        TRY(parse_number(p, &v));
    } else if (query_parser_is_word(p, "true") || query_parser_is_word(p, "false")) {
        v.type = QUERY_VALUE_BOOL;
        v.truth = query_parser_is_word(p, "true");
    } else if (!query_parser_is_word(p, "null")) {
        return query_parser_expected(p, "a value: 'text', a number, true, false or null");
    }
    TRY(query_parser_advance(p));
    *ret_value = v;
    return OK;
}

static err check_word(const struct query_parser *p, size_t at, const struct query_member *m,
                      struct span word)
{
    uint8_t bytes[200];
    struct buf known = buf_over(bytes, sizeof(bytes));

    for (const char *const *w = m->words; *w != NULL; w++) {
        if (span_eq_nocase(span_str(*w), word)) {
            return OK;
        }
        buf_printf(&known, "%s'%s'", w == m->words ? "" : ", ", *w);
    }
    return query_parser_refuse(p, at, "expected one of %.*s", SPAN_FMT(buf_span(&known)));
}

/* A literal that can never be equal is a mistake of who asks: members of ours have one type. */
static err take_value_of(struct query_parser *p, const struct query_path *path, bool is_equality,
                         struct query_value *ret_value)
{
    static const char *const wanted[] = {
        [QUERY_VALUE_BOOL] = "true or false",
        [QUERY_VALUE_NUMBER] = "a number",
        [QUERY_VALUE_TEXT] = "a text: '…'",
        [QUERY_VALUE_TIME] = "a time: '2030-01-31T12:00:00Z'",
    };
    const struct query_member *m = path->member;
    size_t at = p->token.at;

    TRY(parse_value(p, ret_value));
    if (m->is_open || m->type == QUERY_VALUE_LIST) {
        return OK;
    }
    if (m->type == QUERY_VALUE_TIME && ret_value->type == QUERY_VALUE_TEXT &&
        err_is_ok(timefmt_parse_iso(ret_value->text, &ret_value->time_ms))) {
        ret_value->type = QUERY_VALUE_TIME;
    }
    if (ret_value->type != m->type) {
        return query_parser_refuse(p, at, "expected %s, as %s is", wanted[m->type], m->name);
    }
    return m->words != NULL && is_equality ? check_word(p, at, m, ret_value->text) : OK;
}

/* ---- conditions ---- */

static err parse_or(struct query_parser *p, const struct query_node **ret_node);

static err new_node(struct query_parser *p, enum query_op op, struct query_node **ret_node)
{
    struct query_node *node = ARENA_NEW(p->arena, struct query_node);

    if (node == NULL) {
        return ERR(NOMEM);
    }
    node->op = op;
    *ret_node = node;
    return OK;
}

static err new_values(struct query_parser *p, struct query_node *node, size_t n)
{
    node->values = ARENA_ARRAY(p->arena, n, struct query_value);
    return node->values != NULL ? OK : ERR(NOMEM);
}

static err negate(struct query_parser *p, const struct query_node *what,
                  const struct query_node **ret)
{
    struct query_node *node;

    TRY(new_node(p, QUERY_NOT, &node));
    node->left = what;
    *ret = node;
    return OK;
}

/* list = ( "[" | "(" ) value { "," value } ( "]" | ")" ) */
static err parse_list(struct query_parser *p, struct query_node *node)
{
    bool is_square = query_parser_is_symbol(p, "[");
    struct query_value v;

    if (!is_square && !query_parser_is_symbol(p, "(")) {
        return query_parser_expected(p, "a list: ['a', 'b'] or ('a', 'b')");
    }
    do {
        TRY(query_parser_advance(p));
        if (node->n_values == LIMIT_QUERY_IN) {
            return query_parser_refuse(p, p->token.at, "a list has at most %d values",
                                       LIMIT_QUERY_IN);
        }
        TRY(take_value_of(p, &node->path, true, &v));
        /* Texts lie between in the arena, so the array is not grown in place. */
        if (node->n_values % 16 == 0) {
            struct query_value *old = node->values;

            TRY(new_values(p, node, node->n_values + 16));
            for (size_t i = 0; i < node->n_values; i++) {
                node->values[i] = old[i];
            }
        }
        node->values[node->n_values++] = v;
    } while (query_parser_is_symbol(p, ","));
    return query_parser_take_symbol(p, is_square ? "]" : ")", is_square ? ", or ]" : ", or )");
}

static bool find_comparison(const struct query_parser *p, enum query_op *ret_op)
{
    static const struct {
        const char *symbol;
        enum query_op op;
    } ops[] = { { "=", QUERY_EQ },  { "!=", QUERY_NE }, { "<>", QUERY_NE }, { "<", QUERY_LT },
                { "<=", QUERY_LE }, { ">", QUERY_GT },  { ">=", QUERY_GE } };

    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        if (query_parser_is_symbol(p, ops[i].symbol)) {
            *ret_op = ops[i].op;
            return true;
        }
    }
    return false;
}

/* What has no single value cannot be compared. */
static err check_comparable(const struct query_parser *p, size_t at, const struct query_path *path)
{
    if (path->member->type == QUERY_VALUE_LIST) {
        return query_parser_refuse(p, at, "%s is a list: use ARRAY_CONTAINS(%s, …)",
                                   path->member->name, path->member->name);
    }
    if (path->member->type == QUERY_VALUE_OBJECT && !path->member->is_open) {
        return query_parser_refuse(p, at, "%s is an object: name one of its members",
                                   path->member->name);
    }
    return OK;
}

/* comparison = path op value | path [ "NOT" ] "IN" list */
static err parse_comparison(struct query_parser *p, const struct query_node **ret_node)
{
    size_t at = p->token.at;
    struct query_node *node;
    bool is_not;

    TRY(new_node(p, QUERY_IN, &node));
    TRY(query_parser_path(p, &node->path));
    TRY(check_comparable(p, at, &node->path));
    at = p->token.at;
    if (find_comparison(p, &node->op)) {
        if (node->path.member->type == QUERY_VALUE_BOOL && node->op > QUERY_NE) {
            return query_parser_refuse(
                p, at, "%s is true or false: expected = or !=", node->path.member->name);
        }
        TRY(query_parser_advance(p));
        TRY(new_values(p, node, 1));
        node->n_values = 1;
        *ret_node = node;
        return take_value_of(p, &node->path, node->op <= QUERY_NE, &node->values[0]);
    }
    is_not = query_parser_is_word(p, "NOT");
    if (is_not) {
        TRY(query_parser_advance(p));
    }
    if (!query_parser_is_word(p, "IN")) {
        return query_parser_expected(p, is_not ? "IN" : "=, !=, <>, <, <=, >, >=, IN or NOT IN");
    }
    TRY(query_parser_advance(p));
    TRY(parse_list(p, node));
    *ret_node = node;
    return is_not ? negate(p, node, ret_node) : OK;
}

/* Is it about texts, or may it be? */
static err check_text(const struct query_parser *p, size_t at, const struct query_path *path)
{
    TRY(check_comparable(p, at, path));
    return path->member->type == QUERY_VALUE_TEXT || path->member->is_open
               ? OK
               : query_parser_refuse(p, at, "%s is no text", path->member->name);
}

static err check_list(const struct query_parser *p, size_t at, const struct query_path *path)
{
    return path->member->type == QUERY_VALUE_LIST || path->member->is_open
               ? OK
               : query_parser_refuse(p, at, "%s is no list", path->member->name);
}

/* function = "IS_DEFINED" "(" path ")" | "STARTS_WITH" "(" path "," text ")"
 *          | "ARRAY_CONTAINS" "(" path "," value ")" */
static err parse_function(struct query_parser *p, const struct query_node **ret_node)
{
    static const struct {
        const char *name;
        enum query_op op;
        err (*check)(const struct query_parser *p, size_t at, const struct query_path *path);
    } functions[] = { { "STARTS_WITH", QUERY_STARTS_WITH, check_text },
                      { "ARRAY_CONTAINS", QUERY_ARRAY_CONTAINS, check_list },
                      { "IS_DEFINED", QUERY_IS_DEFINED, NULL } };
    struct query_node *node;
    size_t i = 0;
    size_t at;

    while (i < 3 && !query_parser_is_word(p, functions[i].name)) {
        i++;
    }
    if (i == 3) {
        return query_parser_expected(
            p, "STARTS_WITH, ARRAY_CONTAINS or IS_DEFINED: there is no other function");
    }
    TRY(new_node(p, functions[i].op, &node));
    TRY(query_parser_advance(p));
    TRY(query_parser_advance(p)); /* the parenthesis */
    at = p->token.at;
    TRY(query_parser_path(p, &node->path));
    if (functions[i].check != NULL) {
        TRY(functions[i].check(p, at, &node->path));
        TRY(query_parser_take_symbol(p, ",", ","));
        TRY(new_values(p, node, 1));
        node->n_values = 1;
        at = p->token.at;
        TRY(take_value_of(p, &node->path, false, &node->values[0]));
        if (node->op == QUERY_STARTS_WITH && node->values[0].type != QUERY_VALUE_TEXT) {
            return query_parser_refuse(p, at, "expected a text: '…'");
        }
    }
    *ret_node = node;
    return query_parser_take_symbol(p, ")", ")");
}

static err deepen(struct query_parser *p)
{
    return ++p->depth > LIMIT_QUERY_DEPTH
               ? query_parser_refuse(p, p->token.at,
                                     "conditions lie in each other more than %d deep",
                                     LIMIT_QUERY_DEPTH)
               : query_parser_advance(p);
}

/* term = "NOT" term | "(" condition ")" | function | comparison */
static err parse_term(struct query_parser *p, const struct query_node **ret_node)
{
    const struct query_node *inner;

    if (query_parser_is_word(p, "NOT")) {
        TRY(deepen(p));
        TRY(parse_term(p, &inner));
        p->depth--;
        return negate(p, inner, ret_node);
    }
    if (query_parser_is_symbol(p, "(")) {
        TRY(deepen(p));
        TRY(parse_or(p, ret_node));
        p->depth--;
        return query_parser_take_symbol(p, ")", "AND, OR or )");
    }
    if (++p->n_terms > LIMIT_QUERY_TERMS) {
        return query_parser_refuse(p, p->token.at, "WHERE has at most %d comparisons",
                                   LIMIT_QUERY_TERMS);
    }
    return p->token.type == QUERY_TOKEN_NAME && query_parser_is_before(p, "(") &&
                   !query_parser_is_keyword(p)
               ? parse_function(p, ret_node)
               : parse_comparison(p, ret_node);
}

/* Terms joined by one word; AND binds more tightly than OR. */
static err parse_joined(struct query_parser *p, enum query_op op,
                        const struct query_node **ret_node)
{
    const char *word = op == QUERY_AND ? "AND" : "OR";
    const struct query_node *left;

    TRY(op == QUERY_AND ? parse_term(p, &left) : parse_joined(p, QUERY_AND, &left));
    while (query_parser_is_word(p, word)) {
        struct query_node *node;

        TRY(query_parser_advance(p));
        TRY(new_node(p, op, &node));
        node->left = left;
        TRY(op == QUERY_AND ? parse_term(p, &node->right)
                            : parse_joined(p, QUERY_AND, &node->right));
        left = node;
    }
    *ret_node = left;
    return OK;
}

static err parse_or(struct query_parser *p, const struct query_node **ret_node)
{
    return parse_joined(p, QUERY_OR, ret_node);
}

err query_where_parse(struct query_parser *p, const struct query_node **ret_node)
{
    return parse_or(p, ret_node);
}
