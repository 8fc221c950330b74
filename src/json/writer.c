/* json/writer.c: the punctuation of JSON and the escaping of text. Failure sticks in the buf. */
#include "json/writer.h"

#include "util/base64.h"
#include "util/hex.h"
#include "util/timefmt.h"
#include "util/utf8.h"

static void add_escape(struct buf *out, uint8_t c)
{
    switch (c) {
    case '"':
        buf_add_str(out, "\\\"");
        return;
    case '\\':
        buf_add_str(out, "\\\\");
        return;
    case '\n':
        buf_add_str(out, "\\n");
        return;
    case '\r':
        buf_add_str(out, "\\r");
        return;
    case '\t':
        buf_add_str(out, "\\t");
        return;
    default:
        buf_printf(out, "\\u%04x", c);
        return;
    }
}

static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static void add_text(struct buf *out, struct span text)
{
    size_t skip;

    buf_add_u8(out, '"');
    while (text.len > 0) {
        size_t n = 0;

        while (n < text.len && is_plain(text.data[n])) {
            n++;
        }
        buf_add(out, span_first(text, n));
        text = span_from(text, n);
        if (text.len == 0) {
            break;
        }
        if (text.data[0] < 0x80) {
            add_escape(out, text.data[0]);
            text = span_from(text, 1);
            continue;
        }
        n = utf8_sequence(text, &skip);
        buf_add(out, n > 0 ? span_first(text, n) : SPAN("\xef\xbf\xbd"));
        text = span_from(text, n > 0 ? n : skip);
    }
    buf_add_u8(out, '"');
}

static void begin_value(struct json_writer *w, const char *name)
{
    if (w->need_comma) {
        buf_add_u8(w->out, ',');
    }
    if (name != NULL) {
        buf_add_u8(w->out, '"');
        buf_add_str(w->out, name);
        buf_add_str(w->out, "\":");
    }
    w->need_comma = true;
}

static void open_with(struct json_writer *w, const char *name, uint8_t bracket)
{
    begin_value(w, name);
    buf_add_u8(w->out, bracket);
    w->need_comma = false;
}

static void close_with(struct json_writer *w, uint8_t bracket)
{
    buf_add_u8(w->out, bracket);
    w->need_comma = true;
}

void json_write_begin_object(struct json_writer *w, const char *name)
{
    open_with(w, name, '{');
}

void json_write_end_object(struct json_writer *w)
{
    close_with(w, '}');
}

void json_write_begin_array(struct json_writer *w, const char *name)
{
    open_with(w, name, '[');
}

void json_write_end_array(struct json_writer *w)
{
    close_with(w, ']');
}

void json_write_text(struct json_writer *w, const char *name, struct span text)
{
    begin_value(w, name);
    add_text(w->out, text);
}

void json_write_str(struct json_writer *w, const char *name, const char *text)
{
    json_write_text(w, name, span_str(text));
}

void json_write_text_if(struct json_writer *w, const char *name, struct span text)
{
    if (!span_is_absent(text)) {
        json_write_text(w, name, text);
    }
}

void json_write_int(struct json_writer *w, const char *name, int64_t value)
{
    begin_value(w, name);
    buf_add_int(w->out, value);
}

void json_write_bool(struct json_writer *w, const char *name, bool value)
{
    begin_value(w, name);
    buf_add_str(w->out, value ? "true" : "false");
}

void json_write_null(struct json_writer *w, const char *name)
{
    begin_value(w, name);
    buf_add_str(w->out, "null");
}

void json_write_raw_if(struct json_writer *w, const char *name, struct span json_text)
{
    if (!span_is_absent(json_text)) {
        begin_value(w, name);
        buf_add(w->out, json_text);
    }
}

void json_write_time(struct json_writer *w, const char *name, int64_t time_ms)
{
    begin_value(w, name);
    buf_add_u8(w->out, '"');
    timefmt_iso(time_ms, w->out);
    buf_add_u8(w->out, '"');
}

void json_write_base64(struct json_writer *w, const char *name, struct span bytes)
{
    begin_value(w, name);
    buf_add_u8(w->out, '"');
    base64_encode(bytes, w->out);
    buf_add_u8(w->out, '"');
}

void json_write_hex_upper(struct json_writer *w, const char *name, struct span bytes)
{
    begin_value(w, name);
    buf_add_u8(w->out, '"');
    hex_encode_upper(bytes, w->out);
    buf_add_u8(w->out, '"');
}

void json_write_name(struct json_writer *w, struct span name)
{
    begin_value(w, NULL);
    add_text(w->out, name);
    buf_add_u8(w->out, ':');
    w->need_comma = false;
}
