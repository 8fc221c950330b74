/* api/query_lex.c: cuts a query text into words. Texts stand in ' or ", a mark inside doubled or
 * behind a backslash, as in the hub's query language; names of odd characters stand in [[ ]]. */
#include "api/query_lex.h"

#include "util/utf8.h"

static bool is_white(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool starts_name(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' || c >= 0x80;
}

static bool is_of_name(uint8_t c)
{
    return starts_name(c) || is_digit(c) || c == '-';
}

static bool is_of_number(uint8_t c, uint8_t before)
{
    return is_digit(c) || c == '.' || c == 'e' || c == 'E' ||
           ((c == '-' || c == '+') && (before == 'e' || before == 'E'));
}

/* NUL behind the end. */
static uint8_t byte_at(const struct query_lexer *l, size_t at)
{
    return at < l->text.len ? l->text.data[at] : 0;
}

static struct query_token token_of(const struct query_lexer *l, enum query_token_type type,
                                   size_t from, size_t to)
{
    return (struct query_token){ type, from, span_first(span_from(l->text, from), to - from) };
}

static struct query_token bad(size_t at, struct span what)
{
    return (struct query_token){ QUERY_TOKEN_BAD, at, what };
}

static int hex_value(uint8_t c)
{
    if (is_digit(c)) {
        return c - '0';
    }
    c = (uint8_t)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits of \uXXXX behind `at`; -1: they are not. */
static int code_unit_at(struct span s, size_t at)
{
    int value = 0;

    for (size_t i = at; i < at + 4; i++) {
        int digit = i < s.len ? hex_value(s.data[i]) : -1;

        if (digit < 0) {
            return -1;
        }
        value = value * 16 + digit;
    }
    return value;
}

static bool is_low_half(int unit)
{
    return unit >= 0xdc00 && unit <= 0xdfff;
}

/* Length of the escape at s[at], a backslash, and the character it stands for. 0: it is none. */
static size_t escape_at(struct span s, size_t at, int *ret_character)
{
    static const char names[] = "'\"\\/bfnrt";
    static const char stand_for[] = "'\"\\/\b\f\n\r\t";
    uint8_t c = at + 1 < s.len ? s.data[at + 1] : 0;
    const char *name = c != 0 ? strchr(names, c) : NULL;
    int high, low;

    if (name != NULL) {
        *ret_character = stand_for[name - names];
        return 2;
    }
    high = c == 'u' ? code_unit_at(s, at + 2) : 0;
    if (high <= 0 || is_low_half(high)) {
        return 0; /* U+0000 is in no stored text */
    }
    if (high < 0xd800 || high > 0xdbff) {
        *ret_character = high;
        return 6;
    }
    low = at + 7 < s.len && s.data[at + 6] == '\\' && s.data[at + 7] == 'u'
              ? code_unit_at(s, at + 8)
              : -1;
    if (!is_low_half(low)) {
        return 0;
    }
    *ret_character = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    return 12;
}

static struct query_token text_token(struct query_lexer *l)
{
    size_t from = l->at;
    uint8_t mark = byte_at(l, from);
    size_t at = from + 1;
    int character;

    while (at < l->text.len) {
        size_t step = 1;

        if (l->text.data[at] == '\\') {
            step = escape_at(l->text, at, &character);
            if (step == 0) {
                return bad(
                    at, SPAN("this is no escape: \\' \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX"));
            }
        } else if (l->text.data[at] == mark) {
            if (byte_at(l, at + 1) != mark) {
                l->at = at + 1;
                return (struct query_token){ QUERY_TOKEN_TEXT, from,
                                             span_of(l->text.data + from + 1, at - from - 1) };
            }
            step = 2;
        }
        at += step;
    }
    return bad(from, SPAN("this text has no end"));
}

static struct query_token quoted_token(struct query_lexer *l)
{
    size_t from = l->at;
    size_t at = from + 2;

    while (at < l->text.len && !(byte_at(l, at) == ']' && byte_at(l, at + 1) == ']')) {
        at++;
    }
    if (at >= l->text.len || at == from + 2) {
        return bad(from, SPAN("[[ begins a name, which ends in ]]"));
    }
    l->at = at + 2;
    return (struct query_token){ QUERY_TOKEN_QUOTED, from,
                                 span_of(l->text.data + from + 2, at - from - 2) };
}

static struct query_token symbol_token(struct query_lexer *l)
{
    static const char *const symbols[] = { "!=", "<>", "<=", ">=", "=", "<", ">", "(", ")", "[",
                                           "]",  ",",  ".",  "*",  ";", "+", "-", "/", "%" };
    size_t n = sizeof(symbols) / sizeof(symbols[0]) - (l->has_arithmetic ? 0 : 4);
    struct span rest = span_from(l->text, l->at);

    for (size_t i = 0; i < n; i++) {
        if (span_starts_with(rest, span_str(symbols[i]))) {
            size_t from = l->at;

            l->at += strlen(symbols[i]);
            return token_of(l, QUERY_TOKEN_SYMBOL, from, l->at);
        }
    }
    return bad(l->at, SPAN("this character has no meaning here"));
}

struct query_token query_lex_next(struct query_lexer *l)
{
    size_t from;
    uint8_t c;

    while (l->at < l->text.len && is_white(l->text.data[l->at])) {
        l->at++;
    }
    if (l->at >= l->text.len) {
        return token_of(l, QUERY_TOKEN_END, l->text.len, l->text.len);
    }
    from = l->at;
    c = byte_at(l, from);
    if (starts_name(c)) {
        while (l->at < l->text.len && is_of_name(l->text.data[l->at])) {
            l->at++;
        }
        return token_of(l, QUERY_TOKEN_NAME, from, l->at);
    }
    if (is_digit(c) || (c == '-' && is_digit(byte_at(l, from + 1)))) {
        l->at++;
        while (l->at < l->text.len && is_of_number(l->text.data[l->at], l->text.data[l->at - 1])) {
            l->at++;
        }
        return token_of(l, QUERY_TOKEN_NUMBER, from, l->at);
    }
    if (c == '\'' || c == '"') {
        return text_token(l);
    }
    return c == '[' && byte_at(l, from + 1) == '[' ? quoted_token(l) : symbol_token(l);
}

err query_lex_text(struct arena *arena, struct query_token token, struct span *ret_text)
{
    struct buf out = arena_buf(arena);
    uint8_t mark = token.text.data[-1];
    size_t at = 0;

    while (at < token.text.len) {
        int character = token.text.data[at];
        size_t step = 1;

        if (character == '\\') {
            step = escape_at(token.text, at, &character);
            utf8_encode((uint32_t)character, &out);
        } else {
            buf_add_u8(&out, (uint8_t)character);
            step = character == mark ? 2 : 1;
        }
        at += step;
    }
    return arena_buf_end(arena, &out, ret_text);
}

size_t query_lex_character(struct span text, size_t at)
{
    size_t n = 1;

    for (size_t i = 0; i < at && i < text.len; i++) {
        n += (text.data[i] & 0xc0) != 0x80;
    }
    return n;
}
