/* api/query_parser.c: what every rule of the grammar needs: the next word, a refusal that names its
 * character, names and paths. */
#include "api/query_parser.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "model/limits.h"

static const char *const from_names[] = {
    [CORE_LISTING_INDIVIDUALS] = "enrollments",
    [CORE_LISTING_GROUPS] = "enrollmentGroups",
    [CORE_LISTING_REGISTRATIONS] = "deviceRegistrations",
};

const char *query_parser_from(enum core_listing_of of)
{
    return from_names[of];
}

err query_parser_refuse(const struct query_parser *p, size_t at, const char *format, ...)
{
    uint8_t bytes[480];
    struct buf text = buf_over(bytes, sizeof(bytes) - 1);
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf((char *)bytes, sizeof(bytes), format, args);
    va_end(args);
    text.len = n < 0 ? 0 : (size_t)n < sizeof(bytes) ? (size_t)n : sizeof(bytes) - 1;
    return err_set(ERR_MALFORMED, "At character %zu: %.*s.", query_lex_character(p->lexer.text, at),
                   SPAN_FMT(buf_span(&text)));
}

err query_parser_expected(const struct query_parser *p, const char *what)
{
    return query_parser_refuse(p, p->token.at, "expected %s", what);
}

err query_parser_advance(struct query_parser *p)
{
    p->token = query_lex_next(&p->lexer);
    return p->token.type == QUERY_TOKEN_BAD
               ? query_parser_refuse(p, p->token.at, "%.*s", SPAN_FMT(p->token.text))
               : OK;
}

bool query_parser_is_word(const struct query_parser *p, const char *word)
{
    return p->token.type == QUERY_TOKEN_NAME && span_eq_nocase(p->token.text, span_str(word));
}

bool query_parser_is_symbol(const struct query_parser *p, const char *symbol)
{
    return p->token.type == QUERY_TOKEN_SYMBOL && span_eq(p->token.text, span_str(symbol));
}

/* Steps over a symbol that must be there. */
err query_parser_take_symbol(struct query_parser *p, const char *symbol, const char *what)
{
    return query_parser_is_symbol(p, symbol) ? query_parser_advance(p)
                                             : query_parser_expected(p, what);
}

bool query_parser_is_before(const struct query_parser *p, const char *symbol)
{
    struct query_lexer ahead = p->lexer;
    struct query_token next = query_lex_next(&ahead);

    return next.type == QUERY_TOKEN_SYMBOL && span_eq(next.text, span_str(symbol));
}

/* ---- paths ---- */

bool query_parser_is_keyword(const struct query_parser *p)
{
    static const char *const words[] = { "SELECT", "FROM",  "WHERE", "AND", "OR",   "NOT", "IN",
                                         "ORDER",  "GROUP", "BY",    "ASC", "DESC", "AS" };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (query_parser_is_word(p, words[i])) {
            return true;
        }
    }
    return false;
}

/* A name as C text. */
err query_parser_take_name(struct query_parser *p, const char *what, const char **ret_name)
{
    if (p->token.type != QUERY_TOKEN_NAME && p->token.type != QUERY_TOKEN_QUOTED) {
        return query_parser_expected(p, what);
    }
    *ret_name = arena_cstr(p->arena, p->token.text);
    return *ret_name != NULL ? query_parser_advance(p) : ERR(NOMEM);
}

static err refuse_member(const struct query_parser *p, size_t at, const char *const *names,
                         size_t n)
{
    uint8_t bytes[400];
    struct buf known = buf_over(bytes, sizeof(bytes));
    bool is_twin = strcmp(names[0], "tags") == 0 || strcmp(names[0], "properties") == 0;

    if (is_twin && p->of != CORE_LISTING_REGISTRATIONS) { /* a hub's query would have it so */
        return query_parser_refuse(
            p, at, "%s%s%.60s is not a member of %s that a query may name, but initialTwin.%s is",
            names[0], n > 1 ? "." : "", n > 1 ? names[1] : "", query_parser_from(p->of), names[0]);
    }
    query_row_print_members(p->of, false, &known);
    return query_parser_refuse(
        p, at, "%.60s%s%.60s is not a member of %s that a query may name; there are %.*s", names[0],
        n > 1 ? "." : "", n > 1 ? names[1] : "", query_parser_from(p->of),
        SPAN_FMT(buf_span(&known)));
}

/* path = name { "." name } */
err query_parser_path(struct query_parser *p, struct query_path *ret_path)
{
    const char **names = ARENA_ARRAY(p->arena, LIMIT_QUERY_PATH, const char *);
    size_t at = p->token.at;
    size_t n = 0;

    if (names == NULL) {
        return ERR(NOMEM);
    }
    if (query_parser_is_keyword(p)) {
        return query_parser_expected(p, "the name of a member");
    }
    TRY(query_parser_take_name(p, "the name of a member", &names[n++]));
    while (query_parser_is_symbol(p, ".")) {
        if (n == LIMIT_QUERY_PATH) {
            return query_parser_refuse(p, p->token.at, "a path has at most %d names",
                                       LIMIT_QUERY_PATH);
        }
        TRY(query_parser_advance(p));
        TRY(query_parser_take_name(p, "a name", &names[n++]));
    }
    return query_row_find_member(p->of, names, n, ret_path) ? OK : refuse_member(p, at, names, n);
}
