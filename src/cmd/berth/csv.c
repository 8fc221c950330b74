/* cmd/berth/csv.c: RFC 4180, strictly: a quote is at a field's ends, doubled inside, or an error.
 * Ours, as libcsv neither tells where a record stands in its file, which resuming and error files
 * need, nor goes on behind a broken one.
 *
 * file   = record *(EOL record) [EOL]        EOL = CRLF / LF
 * record = field *("," field)
 * field  = DQUOTE *(any but DQUOTE / 2DQUOTE) DQUOTE / *(any but DQUOTE, comma, EOL) */
#include "cmd/berth/csv.h"

bool berth_csv_measure(struct span text, bool is_last, size_t *ret_len, size_t *ret_lines)
{
    bool at_start = true, is_quoted = false;
    size_t lines = 0;

    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];

        lines += c == '\n';
        if (c == '\n' && !is_quoted) {
            *ret_len = i + 1;
            *ret_lines = lines;
            return true;
        }
        if (c == '"' && (is_quoted || at_start)) {
            is_quoted = !is_quoted; /* a doubled one closes and opens */
            at_start = is_quoted ? at_start : true;
        } else {
            at_start = c == ',' && !is_quoted;
        }
    }
    *ret_len = text.len;
    *ret_lines = lines + (text.len > 0 && text.data[text.len - 1] != '\n');
    return is_last && text.len > 0;
}

struct decoding {
    uint8_t *data;
    size_t len, at;
};

/* Between quotes; the cursor stands behind the first. Doubled quotes become one, so the text moves
 * to the front. */
static err decode_quoted(struct decoding *d, size_t number, struct span *ret_field)
{
    size_t begin = d->at, end = d->at;

    for (;;) {
        if (d->at == d->len) {
            return err_set(ERR_MALFORMED, "field %zu has no closing quote", number);
        }
        if (d->data[d->at] == '"') {
            d->at++;
            if (d->at == d->len || d->data[d->at] != '"') {
                break;
            }
        }
        d->data[end++] = d->data[d->at++];
    }
    if (d->at < d->len && d->data[d->at] != ',') {
        return err_set(ERR_MALFORMED, "field %zu goes on behind its closing quote", number);
    }
    *ret_field = span_of(d->data + begin, end - begin);
    return OK;
}

static err decode_plain(struct decoding *d, size_t number, struct span *ret_field)
{
    size_t begin = d->at;

    for (; d->at < d->len && d->data[d->at] != ','; d->at++) {
        if (d->data[d->at] == '"') {
            return err_set(ERR_MALFORMED, "field %zu has a quote in its middle", number);
        }
    }
    *ret_field = span_of(d->data + begin, d->at - begin);
    return OK;
}

err berth_csv_decode(uint8_t *record, size_t len, struct span *fields, size_t max, size_t *ret_n)
{
    struct decoding d = { .data = record, .len = len };
    size_t n = 0;

    if (d.len > 0 && record[d.len - 1] == '\n') {
        d.len--;
        d.len -= d.len > 0 && record[d.len - 1] == '\r';
    }
    for (;;) {
        bool is_quoted = d.at < d.len && record[d.at] == '"';

        if (n == max) {
            return err_set(ERR_TOO_LARGE, "there are more than %zu fields", max);
        }
        d.at += is_quoted;
        TRY(is_quoted ? decode_quoted(&d, n + 1, &fields[n]) : decode_plain(&d, n + 1, &fields[n]));
        n++;
        if (d.at == d.len) {
            *ret_n = n;
            return OK;
        }
        d.at++; /* the comma */
    }
}

void berth_csv_encode(struct span field, struct buf *out)
{
    bool is_plain = true;

    for (size_t i = 0; i < field.len; i++) {
        is_plain = is_plain && field.data[i] != '"' && field.data[i] != ',' &&
                   field.data[i] != '\n' && field.data[i] != '\r';
    }
    if (is_plain) {
        buf_add(out, field);
        return;
    }
    buf_add_u8(out, '"');
    while (!span_is_absent(field)) {
        buf_add(out, span_cut(&field, '"'));
        buf_add_str(out, span_is_absent(field) ? "" : "\"\"");
    }
    buf_add_u8(out, '"');
}
