/* api/query_text.c: the grammar of a whole query, one function a clause. Nothing is passed over: a
 * word that is not understood ends the reading at its character. */
#include "api/query_text.h"

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

/* columns = path [ "AS" name ] { "," path [ "AS" name ] } */
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
        TRY(query_parser_path(p, &columns[n].path));
        columns[n].name = columns[n].path.last;
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

/* select = [ "SELECT" ] "*" | "SELECT" count | "SELECT" columns */
static err parse_select(struct query_parser *p, struct query *q)
{
    bool has_select = query_parser_is_word(p, "SELECT");

    if (has_select) {
        TRY(query_parser_advance(p));
    }
    if (query_parser_is_symbol(p, "*")) {
        return query_parser_advance(p);
    }
    if (!has_select) {
        return query_parser_expected(p, "SELECT or *");
    }
    if (query_parser_is_word(p, "COUNT") && query_parser_is_before(p, "(")) {
        return parse_count(p, q);
    }
    return p->token.type == QUERY_TOKEN_NAME || p->token.type == QUERY_TOKEN_QUOTED
               ? parse_columns(p, q)
               : query_parser_expected(p, "*, COUNT() or the name of a member");
}

/* from = "FROM" name of the route */
static err parse_from(struct query_parser *p)
{
    bool is_old_name =
        p->of == CORE_LISTING_REGISTRATIONS && query_parser_is_word(p, "registrations");

    if (!query_parser_is_word(p, query_parser_from(p->of)) && !is_old_name) {
        return query_parser_refuse(p, p->token.at, "expected %s: that is what this path lists",
                                   query_parser_from(p->of));
    }
    return query_parser_advance(p);
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
    if (path.n_inside > 0 || path.member->order == CORE_LISTING_ANY) {
        query_row_print_members(p->of, true, &known);
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

/* query = [ select [ "FROM" name ] [ "WHERE" condition ] [ order ] [ ";" ] ] */
static err parse_query(struct query_parser *p, struct query *q)
{
    const char *next = "FROM, WHERE, ORDER BY or the end";

    if (p->token.type == QUERY_TOKEN_END) {
        return OK;
    }
    TRY(parse_select(p, q));
    if (query_parser_is_word(p, "FROM")) {
        TRY(query_parser_advance(p));
        TRY(parse_from(p));
        next = "WHERE, ORDER BY or the end";
    }
    if (query_parser_is_word(p, "WHERE")) {
        TRY(query_parser_advance(p));
        TRY(query_where_parse(p, &q->where));
        next = "AND, OR, ORDER BY or the end";
    }
    if (query_parser_is_word(p, "GROUP")) {
        return query_parser_refuse(p, p->token.at, "GROUP BY is not supported");
    }
    if (query_parser_is_word(p, "ORDER")) {
        TRY(parse_order(p, q));
        next = "the end";
    }
    if (query_parser_is_symbol(p, ";")) {
        TRY(query_parser_advance(p));
        next = "the end";
    }
    return p->token.type == QUERY_TOKEN_END ? OK : query_parser_expected(p, next);
}

err query_text_parse(struct arena *arena, struct span text, enum core_listing_of of,
                     struct query *ret_query)
{
    struct query_parser p = { .arena = arena, .of = of, .lexer = { .text = text } };
    struct query q = { .of = of };

    if (text.len > LIMIT_QUERY_TEXT) {
        return query_parser_refuse(&p, LIMIT_QUERY_TEXT, "a query has at most %d bytes",
                                   LIMIT_QUERY_TEXT);
    }
    TRY(query_parser_advance(&p));
    TRY(parse_query(&p, &q));
    *ret_query = q;
    return OK;
}
