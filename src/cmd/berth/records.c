/* cmd/berth/records.c: cuts what is read into records. Knows where each stands, not what it says.
 */
#include "cmd/berth/records.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "cmd/berth/cli.h"
#include "cmd/berth/csv.h"
#include "model/limits.h"

enum { RECORDS_BUFFER = 2 * LIMIT_IMPORT_RECORD };

static const struct span BYTE_ORDER_MARK = { (const uint8_t *)"\xef\xbb\xbf", 3 };

err berth_records_open(struct records *r, int fd, bool is_csv, const char *name)
{
    *r = (struct records){ .fd = fd, .is_csv = is_csv, .name = name, .line = 1 };
    r->buffer = berth_cli_map(RECORDS_BUFFER);
    return r->buffer != NULL ? OK : ERR(NOMEM);
}

void berth_records_close(struct records *r)
{
    berth_cli_unmap(r->buffer, RECORDS_BUFFER);
    r->buffer = NULL;
}

err berth_records_seek(struct records *r, int64_t offset, int64_t line)
{
    if (lseek(r->fd, (off_t)offset, SEEK_SET) < 0) {
        return err_set(ERR_IO, "cannot go to byte %lld of %s: %s", (long long)offset, r->name,
                       strerror(errno));
    }
    r->begin = r->end = 0;
    r->offset = offset;
    r->line = line;
    r->is_last = r->is_continued = false;
    return OK;
}

static struct span rest_of(const struct records *r)
{
    return span_of(r->buffer + r->begin, r->end - r->begin);
}

/* Room for more is made at the end; there is some, as no record is left that fills the buffer. */
static err fill(struct records *r)
{
    struct pollfd ready = { .fd = r->fd, .events = POLLIN };
    ssize_t n;

    memmove(r->buffer, r->buffer + r->begin, r->end - r->begin);
    r->end -= r->begin;
    r->begin = 0;
    if (r->on_wait != NULL && poll(&ready, 1, 0) == 0) {
        TRY(r->on_wait(r->context));
    }
    n = read(r->fd, r->buffer + r->end, RECORDS_BUFFER - r->end);
    if (n < 0 && errno == EINTR) {
        return ERR(CLOSED);
    }
    if (n < 0) {
        return err_set(ERR_IO, "cannot read %s: %s", r->name, strerror(errno));
    }
    r->is_last = n == 0;
    r->end += (size_t)n;
    if (r->offset == 0 && span_starts_with(rest_of(r), BYTE_ORDER_MARK)) {
        r->begin += BYTE_ORDER_MARK.len;
        r->offset += (int64_t)BYTE_ORDER_MARK.len;
    }
    return OK;
}

static void take(struct records *r, size_t len, size_t lines)
{
    r->begin += len;
    r->offset += (int64_t)len;
    r->line += (int64_t)lines;
}

/* True: all of it is there. */
static bool measure(const struct records *r, size_t *ret_len, size_t *ret_lines)
{
    struct span rest = rest_of(r);
    size_t at;

    if (r->is_csv) {
        return berth_csv_measure(rest, r->is_last, ret_len, ret_lines);
    }
    at = span_find(rest, '\n');
    *ret_len = at < rest.len ? at + 1 : at;
    *ret_lines = 1;
    return at < rest.len || (r->is_last && rest.len > 0);
}

static struct record record_of(const struct records *r, size_t len)
{
    return (struct record){ .text = r->buffer + r->begin,
                            .len = len,
                            .line = r->line,
                            .offset = r->offset,
                            .end_offset = r->offset + (int64_t)len };
}

/* To the first line's end, or as much of it as there is; the rest is passed over when it comes. */
static struct record take_too_long(struct records *r)
{
    struct span rest = rest_of(r);
    size_t at = span_find(rest, '\n');
    bool is_whole = at < rest.len;
    struct record record = record_of(r, is_whole ? at + 1 : at);

    record.is_too_long = true;
    take(r, record.len, is_whole);
    r->is_continued = !is_whole;
    return record;
}

/* The rest of a line that was too long: none of it is left, unless more is to be read. */
static void pass_over(struct records *r)
{
    size_t at = span_find(rest_of(r), '\n');
    bool is_whole = r->begin + at < r->end;

    take(r, is_whole ? at + 1 : at, is_whole);
    r->is_continued = !is_whole;
}

static bool is_blank(const struct record *record)
{
    return record->len == 0 || record->text[0] == '\n' ||
           (record->text[0] == '\r' && (record->len == 1 || record->text[1] == '\n'));
}

err berth_records_next(struct records *r, struct record *ret_record, bool *ret_is_there)
{
    for (;;) {
        size_t len = 0, lines = 0;

        if (r->is_continued) {
            pass_over(r);
        }
        if (!r->is_continued && measure(r, &len, &lines) && len <= LIMIT_IMPORT_RECORD) {
            struct record record = record_of(r, len);

            take(r, len, lines);
            if (is_blank(&record)) {
                continue;
            }
            *ret_record = record;
            *ret_is_there = true;
            return OK;
        }
        if (!r->is_continued && r->end - r->begin > LIMIT_IMPORT_RECORD) {
            *ret_record = take_too_long(r);
            *ret_is_there = true;
            return OK;
        }
        if (r->is_last) {
            *ret_is_there = false;
            return OK;
        }
        TRY(fill(r));
    }
}

void berth_records_cut(struct records *r, struct record *record, struct span whole)
{
    size_t at = span_find(whole, '\n');

    memcpy(record->text, whole.data, whole.len);
    if (at + 1 >= whole.len) {
        return;
    }
    record->len = at + 1;
    record->end_offset = record->offset + (int64_t)record->len;
    r->begin = (size_t)(record->text - r->buffer) + record->len;
    r->offset = record->end_offset;
    r->line = record->line + 1;
}
