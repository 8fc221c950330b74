/* cmd/berth/records.h: a file of enrollments, record by record: lines, or CSV records, which may be
 * several lines. However large it is, two of the largest records are in memory. */
#ifndef CMD_BERTH_RECORDS_H
#define CMD_BERTH_RECORDS_H

#include "util/err.h"
#include "util/span.h"

struct records {
    /* Called before reading waits for somebody; NULL: nothing is. */
    err (*on_wait)(void *context);
    void *context;
    int fd;
    bool is_csv;
    const char *name;  /* for sentences */
    uint8_t *buffer;   /* RECORDS_BUFFER */
    size_t begin, end; /* what of it is not yet taken */
    int64_t offset;    /* in the file, of what begins there */
    int64_t line;      /* and its number, from 1 */
    bool is_last;      /* nothing more is to be read */
    bool is_continued; /* what begins there is the rest of a line that was too long */
};

struct record {
    uint8_t
        *text; /* with its line's end; may be written over, gone at the next berth_records_next */
    size_t len;
    int64_t line, offset, end_offset;
    bool is_too_long; /* more than LIMIT_IMPORT_RECORD; the text is as much of it as there is */
};

/* fd: open, and stays the caller's. ERR_NOMEM. */
err berth_records_open(struct records *r, int fd, bool is_csv, const char *name);
void berth_records_close(struct records *r);
/* Goes on at a place that a record's end_offset and line told. ERR_IO. */
err berth_records_seek(struct records *r, int64_t offset, int64_t line);
/* Empty lines are passed over, and a byte order mark. *ret_is_there false: the end. A CSV record
 * that is too long ends with its first line: its quote was a mistake. ERR_IO; ERR_CLOSED: a signal
 * came while it waited, nothing is lost. */
err berth_records_next(struct records *r, struct record *ret_record, bool *ret_is_there);
/* Broken CSV: the record is its first line after all, as a quote in it was a mistake, and what was
 * taken for the rest of it comes again. whole: the text as it was. */
void berth_records_cut(struct records *r, struct record *record, struct span whole);

#endif
