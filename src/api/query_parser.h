/* api/query_parser.h: reading a query text word by word. Every refusal is ERR_MALFORMED, whose
 * err_detail names the character, counted from 1. Inside the api's query files only. */
#ifndef API_QUERY_PARSER_H
#define API_QUERY_PARSER_H

#include "api/query_lex.h"
#include "api/query_text.h"

struct query_parser {
    struct arena *arena;
    const struct query_schema *const *schemas; /* the sources that may be named … */
    size_t n_schemas;
    const struct query_schema *schema; /* … and the one that is */
    struct span alias;                 /* what FROM calls it besides, or absent */
    struct query_lexer lexer;
    struct query_token token; /* the one to be read next */
    int depth;
    size_t n_terms, n_operands;
};

err query_parser_refuse(const struct query_parser *p, size_t at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "expected …" at the next word. */
err query_parser_expected(const struct query_parser *p, const char *what);
err query_parser_advance(struct query_parser *p);

/* Of the next word, in any case. */
bool query_parser_is_word(const struct query_parser *p, const char *word);
bool query_parser_is_symbol(const struct query_parser *p, const char *symbol);
bool query_parser_is_keyword(const struct query_parser *p);
/* Of the one behind it. */
bool query_parser_is_before(const struct query_parser *p, const char *symbol);

/* Step over what must be there; `what` is expected otherwise. */
err query_parser_take_symbol(struct query_parser *p, const char *symbol, const char *what);
err query_parser_take_name(struct query_parser *p, const char *what, const char **ret_name);
/* path = name { "." name } of what the source has */
err query_parser_path(struct query_parser *p, struct query_path *ret_path);
/* Into parentheses and the like, and out again. */
err query_parser_deepen(struct query_parser *p);

/* Chooses schema and alias by the FROM that comes, before anything is read; the first source
 * without one. */
void query_parser_choose(struct query_parser *p);
/* source = that of the schema ; steps over it. */
err query_parser_source(struct query_parser *p);

#endif
