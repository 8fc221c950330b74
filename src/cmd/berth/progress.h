/* cmd/berth/progress.h: how far a long command is, on standard error: one line that is written over
 * on a terminal, a line every few seconds otherwise, nothing for programs (--output json). */
#ifndef CMD_BERTH_PROGRESS_H
#define CMD_BERTH_PROGRESS_H

#include "util/buf.h"

struct progress {
    bool is_on, is_terminal, is_shown;
    const char *what; /* "enrollments" */
    int64_t begin_ms, shown_ms;
    int64_t
        begin_position; /* where a resumed one began: what is before it says nothing of the rate */
};

struct progress_point {
    int64_t done, failed;
    int64_t position, size; /* bytes of the file; size 0: not known */
    int64_t elapsed_ms;
};

void berth_progress_begin(struct progress *p, bool is_json, const char *what, int64_t position);
/* May be called as often as one likes. */
void berth_progress_show(struct progress *p, int64_t done, int64_t failed, int64_t position,
                         int64_t size);
/* Takes the line off a terminal, before something else is written. */
void berth_progress_clear(struct progress *p);
/* Since it began; at least 1. */
int64_t berth_progress_elapsed_ms(const struct progress *p);

/* The line: "[#####     ] 50%  12,345 enrollments  3 failed  9,876/s  1:05 left". Without a known
 * size no bar; is_bar false: without it too. */
void berth_progress_format(const struct progress_point *at, const char *what, int64_t from,
                           bool is_bar, struct buf *out);
/* 1,234,567 */
void berth_progress_number(int64_t n, struct buf *out);

#endif
