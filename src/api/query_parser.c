/* api/query_parser.c: what every rule of the grammar needs: the next word, a refusal that names its
 * character, names and paths. */
#include "api/query_parser.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "model/limits.h"

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
    const struct query_schema *schema = p->schema;
    uint8_t bytes[400];
    struct buf known = buf_over(bytes, sizeof(bytes));
    bool is_twin = strcmp(names[0], "tags") == 0 || strcmp(names[0], "properties") == 0;

    if (is_twin && schema->twin != NULL) { /* a hub's query would have it so */
        return query_parser_refuse(
            p, at, "%s%s%.60s is not a member of %s that a query may name, but %s.%s is", names[0],
            n > 1 ? "." : "", n > 1 ? names[1] : "", schema->from, schema->twin, names[0]);
    }
    query_row_print_members(schema, false, &known);
    return query_parser_refuse(
        p, at, "%.60s%s%.60s is not a member of %s that a query may name; there are %.*s", names[0],
        n > 1 ? "." : "", n > 1 ? names[1] : "", schema->from, SPAN_FMT(buf_span(&known)));
}

/* How many of the names say once more what FROM says: `devices.deviceId`, `d.deviceId`. */
static size_t count_source(const struct query_parser *p, const char *const *names, size_t n)
{
    struct span rest = span_str(p->schema->from);
    size_t taken = 0;

    if (!p->schema->is_hub || n < 2) {
        return 0;
    }
    if (span_eq(p->alias, span_str(names[0]))) {
        return 1;
    }
    while (!span_is_absent(rest)) {
        if (taken + 1 == n || !span_eq(span_cut(&rest, '.'), span_str(names[taken]))) {
            return 0;
        }
        taken++;
    }
    return taken;
}

/* path = name { "." name } */
err query_parser_path(struct query_parser *p, struct query_path *ret_path)
{
    const char **names = ARENA_ARRAY(p->arena, LIMIT_QUERY_PATH, const char *);
    size_t at = p->token.at;
    size_t n = 0;
    size_t skip;

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
    skip = count_source(p, names, n);
    return query_row_find_member(p->schema, names + skip, n - skip, ret_path)
               ? OK
               : refuse_member(p, at, names + skip, n - skip);
}

err query_parser_deepen(struct query_parser *p)
{
    return ++p->depth > LIMIT_QUERY_DEPTH
               ? query_parser_refuse(p, p->token.at,
                                     "conditions lie in each other more than %d deep",
                                     LIMIT_QUERY_DEPTH)
               : query_parser_advance(p);
}

/* ---- sources ---- */

/* Does `name`, which may have dots, come next, in any case? Then *ret_behind is where it ends. */
static bool is_source(const struct query_parser *p, const char *name,
                      struct query_parser *ret_behind)
{
    struct query_parser ahead = *p;
    struct span rest = span_str(name);

    for (;;) {
        struct span part = span_cut(&rest, '.');

        if (ahead.token.type != QUERY_TOKEN_NAME || !span_eq_nocase(ahead.token.text, part)) {
            return false;
        }
        ahead.token = query_lex_next(&ahead.lexer);
        if (span_is_absent(rest)) {
            break;
        }
        if (!query_parser_is_symbol(&ahead, ".")) {
            return false;
        }
        ahead.token = query_lex_next(&ahead.lexer);
    }
    *ret_behind = ahead;
    return !query_parser_is_symbol(&ahead, ".");
}

/* [ [ "AS" ] name ] */
static struct span alias_at(struct query_parser *p)
{
    if (query_parser_is_word(p, "AS")) {
        p->token = query_lex_next(&p->lexer);
    }
    return p->token.type == QUERY_TOKEN_NAME && !query_parser_is_keyword(p) ? p->token.text
                                                                            : SPAN_NONE;
}

void query_parser_choose(struct query_parser *p)
{
    struct query_parser ahead = *p, behind;

    p->schema = p->schemas[0];
    if (p->n_schemas == 1) {
        return;
    }
    do {
        ahead.token = query_lex_next(&ahead.lexer);
    } while (ahead.token.type != QUERY_TOKEN_END && ahead.token.type != QUERY_TOKEN_BAD &&
             !query_parser_is_word(&ahead, "FROM"));
    ahead.token = query_lex_next(&ahead.lexer);
    for (size_t i = 0; i < p->n_schemas; i++) {
        if (is_source(&ahead, p->schemas[i]->from, &behind)) {
            p->schema = p->schemas[i];
            p->alias = alias_at(&behind);
        }
    }
}

static err refuse_source(const struct query_parser *p)
{
    uint8_t bytes[100];
    struct buf names = buf_over(bytes, sizeof(bytes));

    if (p->n_schemas == 1) {
        return query_parser_refuse(p, p->token.at, "expected %s: that is what this path lists",
                                   p->schema->from);
    }
    for (size_t i = 0; i < p->n_schemas; i++) {
        buf_printf(&names, "%s%s",
                   i == 0                 ? ""
                   : i + 1 < p->n_schemas ? ", "
                                          : " or ",
                   p->schemas[i]->from);
    }
    return query_parser_refuse(p, p->token.at, "expected %.*s", SPAN_FMT(buf_span(&names)));
}

err query_parser_source(struct query_parser *p)
{
    const struct query_schema *schema = p->schema;
    struct query_parser behind;

    if (!is_source(p, schema->from, &behind) &&
        (schema->from_old == NULL || !is_source(p, schema->from_old, &behind))) {
        return refuse_source(p);
    }
    *p = behind;
    if (schema->is_hub) {
        if (query_parser_is_word(p, "AS")) {
            TRY(query_parser_advance(p));
            if (span_is_absent(p->alias)) {
                return query_parser_expected(p, "a name");
            }
        }
        if (!span_is_absent(p->alias)) {
            return query_parser_advance(p);
        }
    }
    return p->token.type == QUERY_TOKEN_BAD
               ? query_parser_refuse(p, p->token.at, "%.*s", SPAN_FMT(p->token.text))
               : OK;
}
