/* cmd/berth/csv.h: comma-separated values (RFC 4180): records out of a text that comes piece by
 * piece, fields out of a record, and fields written. Lines may end with CRLF or LF. */
#ifndef CMD_BERTH_CSV_H
#define CMD_BERTH_CSV_H

#include "util/buf.h"

/* The record at the front of the text: how many bytes it takes with its line's end, and how many
 * lines. False: it is not all there yet, or, with is_last, the text is empty. Within quotes, lines
 * do not end a record; with is_last it ends where the text does. */
bool berth_csv_measure(struct span text, bool is_last, size_t *ret_len, size_t *ret_lines);

/* Takes a record apart, in place: `record` is written over, and the fields point into it. Its
 * line's end may be there or not. ERR_MALFORMED: a quote in the middle of a field, something behind
 * a field's last quote, or no last quote; ERR_TOO_LARGE: more than `max` fields. err_detail says
 * what, and which field. */
err berth_csv_decode(uint8_t *record, size_t len, struct span *fields, size_t max, size_t *ret_n);

/* One field, in quotes where it needs them. Absent: nothing. The commas are the caller's. */
void berth_csv_encode(struct span field, struct buf *out);

#endif
