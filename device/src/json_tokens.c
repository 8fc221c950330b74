/* device/src/json_tokens.c: members of a JSON object over jsmn's flat token list. jsmn is lenient
 * about commas and primitives; what is read here is checked again, what is not read is passed
 * over. */
#define JSMN_STATIC
#include <jsmn.h>

#include "json_tokens.h"

#include "util/hex.h"
#include "util/utf8.h"

static struct span token_text(const struct berth_json *j, int i)
{
    return span_of(j->text.data + j->tokens[i].start,
                   (size_t)(j->tokens[i].end - j->tokens[i].start));
}

err berth_json_parse(struct span text, struct berth_json *ret_json)
{
    jsmn_parser parser;
    int n;

    jsmn_init(&parser);
    n = jsmn_parse(&parser, (const char *)text.data, text.len, ret_json->tokens,
                   BERTH_RESPONSE_TOKENS_MAX);
    if (n == JSMN_ERROR_NOMEM) {
        return ERR(TOO_LARGE);
    }
    if (n < 1 || ret_json->tokens[0].type != JSMN_OBJECT) {
        return ERR(MALFORMED);
    }
    for (int i = 1; i < n; i++) { /* nothing behind the object */
        if (ret_json->tokens[i].start >= ret_json->tokens[0].end) {
            return ERR(MALFORMED);
        }
    }
    ret_json->text = text;
    ret_json->n = n;
    return OK;
}

/* The token behind the value at i and all that is in it. */
static int skip(const struct berth_json *j, int i)
{
    int end = j->tokens[i].end;

    do {
        i++;
    } while (i < j->n && j->tokens[i].start < end);
    return i;
}

int berth_json_find(const struct berth_json *j, int object, const char *name)
{
    int i = object + 1;

    if (object < 0 || j->tokens[object].type != JSMN_OBJECT) {
        return -1;
    }
    while (i + 1 < j->n && j->tokens[i].start < j->tokens[object].end) {
        if (j->tokens[i].type != JSMN_STRING || j->tokens[i].size != 1) {
            return -1; /* a name without a value: not JSON */
        }
        if (span_eq(token_text(j, i), span_str(name))) {
            return i + 1;
        }
        i = skip(j, i + 1);
    }
    return -1;
}

/* Four hex digits. */
static err take_unit(struct span *rest, unsigned *ret_unit)
{
    uint8_t bytes[2];
    struct buf out = buf_over(bytes, sizeof(bytes));

    if (rest->len < 4) {
        return ERR(MALFORMED);
    }
    TRY(hex_decode(span_first(*rest, 4), &out));
    *rest = span_from(*rest, 4);
    *ret_unit = (unsigned)bytes[0] << 8 | bytes[1];
    return OK;
}

/* \uXXXX, or two of them that are a surrogate pair (RFC 8259 section 7). */
static err take_unicode(struct span *rest, struct buf *out)
{
    unsigned c = 0, low = 0;

    TRY(take_unit(rest, &c));
    if (c >= 0xd800 && c < 0xdc00) {
        if (!span_starts_with(*rest, SPAN("\\u"))) {
            return ERR(MALFORMED);
        }
        *rest = span_from(*rest, 2);
        TRY(take_unit(rest, &low));
        if (low < 0xdc00 || low > 0xdfff) {
            return ERR(MALFORMED);
        }
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    } else if (c == 0 || (c >= 0xdc00 && c < 0xe000)) {
        return ERR(MALFORMED);
    }
    utf8_encode(c, out);
    return OK;
}

static err unescape(struct span text, struct buf *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";

    while (text.len > 0) {
        uint8_t c = text.data[0];
        const char *found;

        text = span_from(text, 1);
        if (c != '\\') {
            buf_add_u8(out, c);
            continue;
        }
        c = text.len > 0 ? text.data[0] : 0;
        text = span_from(text, 1);
        if (c == 'u') {
            TRY(take_unicode(&text, out));
            continue;
        }
        found = c ? strchr(from, c) : NULL;
        if (found == NULL) {
            return ERR(MALFORMED);
        }
        buf_add_u8(out, (uint8_t)to[found - from]);
    }
    return OK;
}

static bool is_null(const struct berth_json *j, int i)
{
    return j->tokens[i].type == JSMN_PRIMITIVE && span_eq(token_text(j, i), SPAN("null"));
}

err berth_json_text(const struct berth_json *j, int object, const char *name, char *out,
                    size_t size)
{
    int i = berth_json_find(j, object, name);
    struct buf text = buf_over(out, size - 1);

    if (i < 0 || is_null(j, i)) {
        out[0] = '\0';
        return OK;
    }
    if (j->tokens[i].type != JSMN_STRING) {
        return ERR(MALFORMED);
    }
    TRY(unescape(token_text(j, i), &text));
    out[text.len] = '\0';
    return err_is_ok(buf_ok(&text)) ? OK : ERR(TOO_LARGE);
}

err berth_json_int(const struct berth_json *j, int object, const char *name, int *ret_value)
{
    int i = berth_json_find(j, object, name);
    int64_t value = 0;

    if (i < 0 || is_null(j, i)) {
        return OK;
    }
    if (j->tokens[i].type != JSMN_PRIMITIVE || token_text(j, i).len > 9 ||
        !span_parse_int(token_text(j, i), &value)) {
        return ERR(MALFORMED);
    }
    *ret_value = (int)value;
    return OK;
}
