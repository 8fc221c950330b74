/* api/query_lex.h: the words of a query text (doc/wire/query.md). Inside the api's query files
 * only. */
#ifndef API_QUERY_LEX_H
#define API_QUERY_LEX_H

#include "util/arena.h"

enum query_token_type {
    QUERY_TOKEN_END,
    QUERY_TOKEN_NAME,   /* a keyword, or a part of a path */
    QUERY_TOKEN_QUOTED, /* a part of a path that stood in [[ ]] */
    QUERY_TOKEN_TEXT,   /* between its quotation marks, escapes as they came */
    QUERY_TOKEN_NUMBER, /* of the form of a JSON number, perhaps */
    QUERY_TOKEN_SYMBOL, /* = != <> < <= > >= ( ) [ ] , . * ; and with arithmetic + - / % */
    QUERY_TOKEN_BAD,    /* `text` says what is wrong */
};

struct query_token {
    enum query_token_type type;
    size_t at; /* byte of the query text; of a bad one, where it goes wrong */
    struct span text;
};

struct query_lexer {
    struct span text;
    size_t at;
    bool has_arithmetic;
};

struct query_token query_lex_next(struct query_lexer *l);
/* The text of a QUERY_TOKEN_TEXT, in the arena. ERR_NOMEM. */
err query_lex_text(struct arena *arena, struct query_token token, struct span *ret_text);
/* Characters, counted from 1, up to a byte: what a message names. */
size_t query_lex_character(struct span text, size_t at);

#endif
