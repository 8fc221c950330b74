/* api/query_text.c: the grammar of a whole query, one function a clause. Nothing is passed over: a
 * word that is not understood ends the reading at its character. */
#include "api/query_text.h"

#include "api/query_expr.h"
#include "api/query_where.h"
#include "model/limits.h"

/* count = "COUNT" "(" ")" [ "AS" name ] */
static err parse_count(struct query_parser *p, struct query *q)
{
    q->is_count = true;
    q->count_name = "count";
    TRY(query_parser_advance(p));
    TRY(query_parser_advance(p)); /* the parenthesis */
    TRY(query_parser_take_symbol(p, ")", ")"));
    if (query_parser_is_word(p, "AS")) {
        TRY(query_parser_advance(p));
        TRY(query_parser_take_name(p, "a name", &q->count_name));
    }
    return query_parser_is_symbol(p, ",")
               ? query_parser_refuse(p, p->token.at, "COUNT() stands alone")
               : OK;
}

static err check_name(const struct query_parser *p, size_t at, const struct query_column *columns,
                      size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(columns[i].name, columns[n].name) == 0) {
            return query_parser_refuse(p, at, "%.60s is in the list already: name it with AS",
                                       columns[n].name);
        }
    }
    return OK;
}

/* column = path, or what a hub's language has */
static err parse_column(struct query_parser *p, size_t number, struct query_column *c)
{
    c->at = p->token.at;
    if (p->schema->is_hub) {
        return query_expr_column(p, number, c);
    }
    TRY(query_parser_path(p, &c->path));
    c->name = c->path.last;
    return OK;
}

/* columns = column [ "AS" name ] { "," column [ "AS" name ] } */
static err parse_columns(struct query_parser *p, struct query *q)
{
    struct query_column *columns = ARENA_ARRAY(p->arena, LIMIT_QUERY_COLUMNS, struct query_column);
    size_t n = 0;

    if (columns == NULL) {
        return ERR(NOMEM);
    }
    for (;;) {
        size_t at = p->token.at;

        if (n == LIMIT_QUERY_COLUMNS) {
            return query_parser_refuse(p, at, "SELECT has at most %d members", LIMIT_QUERY_COLUMNS);
        }
        TRY(parse_column(p, n + 1, &columns[n]));
        if (query_parser_is_word(p, "AS")) {
            TRY(query_parser_advance(p));
            TRY(query_parser_take_name(p, "a name", &columns[n].name));
        }
        TRY(check_name(p, at, columns, n));
        n++;
        if (!query_parser_is_symbol(p, ",")) {
            break;
        }
        TRY(query_parser_advance(p));
    }
    q->columns = columns;
    q->n_columns = n;
    return OK;
}

/* top = "TOP" number */
static err parse_top(struct query_parser *p, struct query *q)
{
    struct query_lexer ahead = p->lexer;

    if (!query_parser_is_word(p, "TOP") || query_lex_next(&ahead).type != QUERY_TOKEN_NUMBER) {
        return OK; /* a member may have that name */
    }
    TRY(query_parser_advance(p));
    return span_parse_int(p->token.text, &q->top) && q->top > 0
               ? query_parser_advance(p)
               : query_parser_expected(p, "a number of rows");
}

/* select = [ "SELECT" ] "*" | "SELECT" count | "SELECT" columns ; a hub's: "SELECT" [ top ] ( "*" |
 * columns ) */
static err parse_select(struct query_parser *p, struct query *q)
{
    bool is_hub = p->schema->is_hub;
    bool has_select = query_parser_is_word(p, "SELECT");

    if (has_select) {
        TRY(query_parser_advance(p));
        TRY(is_hub ? parse_top(p, q) : OK);
    }
    if (query_parser_is_symbol(p, "*") && (has_select || !is_hub)) {
        return query_parser_advance(p);
    }
    if (!has_select) {
        return query_parser_expected(p, is_hub ? "SELECT" : "SELECT or *");
    }
    if (!is_hub && query_parser_is_word(p, "COUNT") && query_parser_is_before(p, "(")) {
        return parse_count(p, q);
    }
    return is_hub || p->token.type == QUERY_TOKEN_NAME || p->token.type == QUERY_TOKEN_QUOTED
               ? parse_columns(p, q)
               : query_parser_expected(p, "*, COUNT() or the name of a member");
}

/* order = "ORDER" "BY" path [ "ASC" | "DESC" ] */
static err parse_order(struct query_parser *p, struct query *q)
{
    uint8_t bytes[120];
    struct buf known = buf_over(bytes, sizeof(bytes));
    struct query_path path;
    size_t at;

    if (q->is_count) {
        return query_parser_refuse(p, p->token.at, "COUNT() has no order");
    }
    TRY(query_parser_advance(p));
    if (!query_parser_is_word(p, "BY")) {
        return query_parser_expected(p, "BY");
    }
    TRY(query_parser_advance(p));
    at = p->token.at;
    TRY(query_parser_path(p, &path));
    if (path.n_inside > 0 || path.member->order == 0) {
        query_row_print_members(p->schema, true, &known);
        return query_parser_refuse(p, at, "there is no order by %s, only by %.*s",
                                   path.member->name, SPAN_FMT(buf_span(&known)));
    }
    q->order = path.member->order;
    q->descending = query_parser_is_word(p, "DESC");
    if (query_parser_is_word(p, "ASC") || query_parser_is_word(p, "DESC")) {
        TRY(query_parser_advance(p));
    }
    return query_parser_is_symbol(p, ",")
               ? query_parser_refuse(p, p->token.at, "the order is by one member")
               : OK;
}

/* query = [ select [ "FROM" name ] [ "WHERE" condition ] [ order ] ] */
static err parse_service_query(struct query_parser *p, struct query *q, const char **ret_next)
{
    *ret_next = "FROM, WHERE, ORDER BY or the end";
    if (p->token.type == QUERY_TOKEN_END) {
        return OK;
    }
    TRY(parse_select(p, q));
    if (query_parser_is_word(p, "FROM")) {
        TRY(query_parser_advance(p));
        TRY(query_parser_source(p));
        *ret_next = "WHERE, ORDER BY or the end";
    }
    if (query_parser_is_word(p, "WHERE")) {
        TRY(query_parser_advance(p));
        TRY(query_where_parse(p, &q->where));
        *ret_next = "AND, OR, ORDER BY or the end";
    }
    if (query_parser_is_word(p, "GROUP")) {
        return query_parser_refuse(p, p->token.at, "GROUP BY is not supported");
    }
    if (query_parser_is_word(p, "ORDER")) {
        TRY(parse_order(p, q));
        *ret_next = "the end";
    }
    return OK;
}

/* groups = "GROUP" "BY" path { "," path } */
static err parse_groups(struct query_parser *p, struct query *q)
{
    struct query_path *groups = ARENA_ARRAY(p->arena, LIMIT_QUERY_COLUMNS, struct query_path);

    if (groups == NULL) {
        return ERR(NOMEM);
    }
    if (q->n_columns == 0) {
        return query_parser_refuse(p, p->token.at, "SELECT * does not go with GROUP BY");
    }
    TRY(query_parser_advance(p));
    if (!query_parser_is_word(p, "BY")) {
        return query_parser_expected(p, "BY");
    }
    do {
        TRY(query_parser_advance(p));
        if (q->n_groups == LIMIT_QUERY_COLUMNS) {
            return query_parser_refuse(p, p->token.at, "GROUP BY has at most %d members",
                                       LIMIT_QUERY_COLUMNS);
        }
        TRY(query_parser_path(p, &groups[q->n_groups++]));
    } while (query_parser_is_symbol(p, ","));
    q->groups = groups;
    return OK;
}

static bool is_of_group(const struct query *q, const struct query_column *c)
{
    for (size_t i = 0; c->path.member != NULL && i < q->n_groups; i++) {
        if (query_row_is_same_path(&c->path, &q->groups[i])) {
            return true;
        }
    }
    return c->aggregate != QUERY_PLAIN;
}

/* What stands beside an aggregate is the same in all rows of the group. */
static err check_aggregates(const struct query_parser *p, struct query *q)
{
    bool is_aggregate = q->n_groups > 0;

    for (size_t i = 0; i < q->n_columns; i++) {
        is_aggregate |= q->columns[i].aggregate != QUERY_PLAIN;
    }
    for (size_t i = 0; is_aggregate && i < q->n_columns; i++) {
        if (!is_of_group(q, &q->columns[i])) {
            return query_parser_refuse(
                p, q->columns[i].at,
                "beside COUNT(), AVG, SUM, MIN, MAX and with GROUP BY stand only members that "
                "GROUP BY names");
        }
    }
    q->is_count = q->n_columns == 1 && q->n_groups == 0 && q->columns[0].aggregate == QUERY_COUNT;
    q->count_name = q->is_count ? q->columns[0].name : NULL;
    q->is_aggregate = is_aggregate && !q->is_count;
    return OK;
}

/* query = select "FROM" source [ "WHERE" condition ] [ groups ] */
static err parse_hub_query(struct query_parser *p, struct query *q, const char **ret_next)
{
    TRY(parse_select(p, q));
    if (!query_parser_is_word(p, "FROM")) {
        return query_parser_expected(p, q->n_columns > 0 ? "a comma, AS or FROM" : "FROM");
    }
    TRY(query_parser_advance(p));
    TRY(query_parser_source(p));
    *ret_next = "WHERE, GROUP BY or the end";
    if (query_parser_is_word(p, "WHERE")) {
        TRY(query_parser_advance(p));
        TRY(query_where_parse(p, &q->where));
        *ret_next = "an operator, AND, OR, GROUP BY or the end";
    }
    if (query_parser_is_word(p, "GROUP")) {
        TRY(parse_groups(p, q));
        *ret_next = "a comma or the end";
    }
    if (query_parser_is_word(p, "ORDER")) {
        return query_parser_refuse(p, p->token.at, "ORDER BY is not supported");
    }
    return check_aggregates(p, q);
}

/* The query of the language, and perhaps a semicolon. */
static err parse_query(struct query_parser *p, struct query *q)
{
    const char *next = "the end";

    TRY(p->schema->is_hub ? parse_hub_query(p, q, &next) : parse_service_query(p, q, &next));
    if (query_parser_is_symbol(p, ";")) {
        TRY(query_parser_advance(p));
        next = "the end";
    }
    return p->token.type == QUERY_TOKEN_END ? OK : query_parser_expected(p, next);
}

err query_text_parse(struct arena *arena, struct span text,
                     const struct query_schema *const *schemas, size_t n_schemas,
                     struct query *ret_query)
{
    struct query_parser p = {
        .arena = arena,
        .schemas = schemas,
        .n_schemas = n_schemas,
        .lexer = { .text = text, .has_arithmetic = schemas[0]->is_hub },
    };
    struct query q = { .top = -1 };

    if (text.len > LIMIT_QUERY_TEXT) {
        return query_parser_refuse(&p, LIMIT_QUERY_TEXT, "a query has at most %d bytes",
                                   LIMIT_QUERY_TEXT);
    }
    query_parser_choose(&p);
    q.schema = p.schema;
    TRY(query_parser_advance(&p));
    TRY(parse_query(&p, &q));
    *ret_query = q;
    return OK;
}
