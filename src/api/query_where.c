/* api/query_where.c: the grammar of conditions, one function a rule, and which values and functions
 * go with which members. */
#include "api/query_where.h"
#include "api/query_expr.h"

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

bool query_where_is_value(const struct query_parser *p)
{
    static const char *const words[] = { "true", "false", "null", "undefined" };
    size_t n = p->schema->is_hub ? 4 : 3;
    bool is_word = false;

    for (size_t i = 0; i < n; i++) {
        is_word |= query_parser_is_word(p, words[i]);
    }
    return is_word || p->token.type == QUERY_TOKEN_TEXT || p->token.type == QUERY_TOKEN_NUMBER;
}

err query_where_value(struct query_parser *p, struct query_value *ret_value)
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
    } else if (!query_where_is_value(p)) {
        return query_parser_expected(p, "a value: 'text', a number, true, false or null");
    } else if (!query_parser_is_word(p, "null")) {
        v.type = QUERY_VALUE_UNDEFINED;
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

void query_where_find_time(const struct query_node *node, struct query_value *v)
{
    const struct query_member *m = node->path.member;

    if (m != NULL && m->type == QUERY_VALUE_TIME && v->type == QUERY_VALUE_TEXT &&
        err_is_ok(timefmt_parse_iso(v->text, &v->time_ms))) {
        v->type = QUERY_VALUE_TIME;
    }
}

/* A literal that can never be equal is a mistake of who asks: members of ours have one type. */
static err take_value_of(struct query_parser *p, const struct query_node *node, bool is_equality,
                         struct query_value *ret_value)
{
    static const char *const wanted[] = {
        [QUERY_VALUE_BOOL] = "true or false",
        [QUERY_VALUE_NUMBER] = "a number",
        [QUERY_VALUE_TEXT] = "a text: '…'",
        [QUERY_VALUE_TIME] = "a time: '2030-01-31T12:00:00Z'",
    };
    const struct query_member *m = node->path.member;
    size_t at = p->token.at;

    TRY(query_where_value(p, ret_value));
    query_where_find_time(node, ret_value);
    if (p->schema->is_hub || m->is_open || m->type == QUERY_VALUE_LIST) {
        return OK;
    }
    if (ret_value->type != m->type) {
        return query_parser_refuse(p, at, "expected %s, as %s is", wanted[m->type], m->name);
    }
    return m->words != NULL && is_equality ? check_word(p, at, m, ret_value->text) : OK;
}

/* ---- conditions ---- */

err query_where_node(struct query_parser *p, enum query_op op, struct query_node **ret_node)
{
    struct query_node *node = ARENA_NEW(p->arena, struct query_node);

    if (node == NULL) {
        return ERR(NOMEM);
    }
    node->op = op;
    *ret_node = node;
    return OK;
}

err query_where_values(struct query_parser *p, struct query_node *node, size_t n)
{
    node->values = ARENA_ARRAY(p->arena, n, struct query_value);
    return node->values != NULL ? OK : ERR(NOMEM);
}

err query_where_negate(struct query_parser *p, const struct query_node *what,
                       const struct query_node **ret_node)
{
    struct query_node *node;

    TRY(query_where_node(p, QUERY_NOT, &node));
    node->left = what;
    *ret_node = node;
    return OK;
}

err query_where_list(struct query_parser *p, struct query_node *node)
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
        TRY(take_value_of(p, node, true, &v));
        /* Texts lie between in the arena, so the array is not grown in place. */
        if (node->n_values % 16 == 0) {
            struct query_value *old = node->values;

            TRY(query_where_values(p, node, node->n_values + 16));
            for (size_t i = 0; i < node->n_values; i++) {
                node->values[i] = old[i];
            }
        }
        node->values[node->n_values++] = v;
    } while (query_parser_is_symbol(p, ","));
    return query_parser_take_symbol(p, is_square ? "]" : ")", is_square ? ", or ]" : ", or )");
}

bool query_where_comparison(const struct query_parser *p, enum query_op *ret_op)
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

    TRY(query_where_node(p, QUERY_IN, &node));
    TRY(query_parser_path(p, &node->path));
    TRY(check_comparable(p, at, &node->path));
    at = p->token.at;
    if (query_where_comparison(p, &node->op)) {
        if (node->path.member->type == QUERY_VALUE_BOOL && node->op > QUERY_NE) {
            return query_parser_refuse(
                p, at, "%s is true or false: expected = or !=", node->path.member->name);
        }
        TRY(query_parser_advance(p));
        TRY(query_where_values(p, node, 1));
        node->n_values = 1;
        *ret_node = node;
        return take_value_of(p, node, node->op <= QUERY_NE, &node->values[0]);
    }
    is_not = query_parser_is_word(p, "NOT");
    if (is_not) {
        TRY(query_parser_advance(p));
    }
    if (!query_parser_is_word(p, "IN")) {
        return query_parser_expected(p, is_not ? "IN" : "=, !=, <>, <, <=, >, >=, IN or NOT IN");
    }
    TRY(query_parser_advance(p));
    TRY(query_where_list(p, node));
    *ret_node = node;
    return is_not ? query_where_negate(p, node, ret_node) : OK;
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

static const struct function {
    const char *name;
    enum query_op op;
    err (*check)(const struct query_parser *p, size_t at, const struct query_path *path);
} functions[] = { { "STARTS_WITH", QUERY_STARTS_WITH, check_text },
                  { "ARRAY_CONTAINS", QUERY_ARRAY_CONTAINS, check_list },
                  { "IS_DEFINED", QUERY_IS_DEFINED, NULL },
                  /* of a hub's language alone */
                  { "ENDS_WITH", QUERY_ENDS_WITH, NULL },
                  { "CONTAINS", QUERY_CONTAINS, NULL },
                  { "IS_NULL", QUERY_IS_NULL, NULL } };

static const struct function *find_function(const struct query_parser *p)
{
    size_t n = p->schema->is_hub ? 6 : 3;

    for (size_t i = 0; i < n; i++) {
        if (query_parser_is_word(p, functions[i].name)) {
            return &functions[i];
        }
    }
    return NULL;
}

err query_where_function(const struct query_parser *p, enum query_op *ret_op)
{
    const struct function *f = find_function(p);

    if (f == NULL) {
        return query_parser_expected(
            p, p->schema->is_hub
                   ? "IS_DEFINED, IS_NULL, STARTS_WITH, ENDS_WITH, CONTAINS or ARRAY_CONTAINS: "
                     "there is no other function here"
                   : "STARTS_WITH, ARRAY_CONTAINS or IS_DEFINED: there is no other function");
    }
    *ret_op = f->op;
    return OK;
}

/* function = "IS_DEFINED" "(" path ")" | "STARTS_WITH" "(" path "," text ")"
 *          | "ARRAY_CONTAINS" "(" path "," value ")" */
static err parse_function(struct query_parser *p, const struct query_node **ret_node)
{
    const struct function *f = find_function(p);
    struct query_node *node;
    enum query_op op;
    size_t at;

    TRY(query_where_function(p, &op));
    TRY(query_where_node(p, op, &node));
    TRY(query_parser_advance(p));
    TRY(query_parser_advance(p)); /* the parenthesis */
    at = p->token.at;
    TRY(query_parser_path(p, &node->path));
    if (f->check != NULL) {
        TRY(f->check(p, at, &node->path));
        TRY(query_parser_take_symbol(p, ",", ","));
        TRY(query_where_values(p, node, 1));
        node->n_values = 1;
        at = p->token.at;
        TRY(take_value_of(p, node, false, &node->values[0]));
        if (node->op == QUERY_STARTS_WITH && node->values[0].type != QUERY_VALUE_TEXT) {
            return query_parser_refuse(p, at, "expected a text: '…'");
        }
    }
    *ret_node = node;
    return query_parser_take_symbol(p, ")", ")");
}

/* term = "NOT" term | "(" condition ")" | function | comparison ; a hub's: "NOT" term | comparison
 */
static err parse_term(struct query_parser *p, const struct query_node **ret_node)
{
    const struct query_node *inner;

    if (query_parser_is_word(p, "NOT")) {
        TRY(query_parser_deepen(p));
        TRY(parse_term(p, &inner));
        p->depth--;
        return query_where_negate(p, inner, ret_node);
    }
    if (!p->schema->is_hub && query_parser_is_symbol(p, "(")) {
        TRY(query_parser_deepen(p));
        TRY(query_where_parse(p, ret_node));
        p->depth--;
        return query_parser_take_symbol(p, ")", "AND, OR or )");
    }
    if (++p->n_terms > LIMIT_QUERY_TERMS) {
        return query_parser_refuse(p, p->token.at, "WHERE has at most %d comparisons",
                                   LIMIT_QUERY_TERMS);
    }
    if (p->schema->is_hub) {
        return query_expr_comparison(p, ret_node);
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
        TRY(query_where_node(p, op, &node));
        node->left = left;
        TRY(op == QUERY_AND ? parse_term(p, &node->right)
                            : parse_joined(p, QUERY_AND, &node->right));
        left = node;
    }
    *ret_node = left;
    return OK;
}

err query_where_parse(struct query_parser *p, const struct query_node **ret_node)
{
    return parse_joined(p, QUERY_OR, ret_node);
}
