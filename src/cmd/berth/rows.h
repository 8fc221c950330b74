/* cmd/berth/rows.h: enrollments as rows of a CSV file, both ways. A header row names the columns,
 * in any order (enrollment_body.h has them); an empty cell is a member that is not there. */
#ifndef CMD_BERTH_ROWS_H
#define CMD_BERTH_ROWS_H

#include "cmd/berth/enrollment_body.h"

enum { ROWS_COLUMNS_MAX = ENROLLMENT_VALUES };

struct rows {
    enum enrollment_kind kind;
    size_t n;
    enum enrollment_value columns[ROWS_COLUMNS_MAX];
    /* The caller's, behind the header: */
    const char *dir; /* of the file, which paths of certificates start at */
    bool only_id;    /* the rows are deletions */
};

/* The header row; `record` is written over. ERR_MALFORMED: broken, a column that is not known or
 * twice there, or none for the ID; err_detail is a sentence. */
err berth_rows_decode_header(enum enrollment_kind kind, uint8_t *record, size_t len,
                             struct rows *ret_rows);
/* A row to the service's JSON; `record` is written over. ERR_MALFORMED: its quotes are wrong;
 * ERR_UNSUPPORTED: it is well-formed, but not an enrollment. *ret_id is in `record`. Uses the
 * command's memory. */
err berth_rows_decode(struct cli *cli, const struct rows *rows, uint8_t *record, size_t len,
                      struct json_writer *w, struct span *ret_id);

/* The header of all columns that an enrollment may be written to, and such a row: what
 * berth_rows_decode reads as the same enrollment, but for what the service alone writes. */
void berth_rows_encode_header(enum enrollment_kind kind, struct buf *out);
err berth_rows_encode(struct cli *cli, enum enrollment_kind kind, const json *enrollment,
                      struct buf *out);

#endif
