/* cmd/berth/identity_rows.h: identities as lines of a file, CSV or JSON, to items of a bulk request
 * (reference iothub-service-api.md 3.3). A CSV file's first row names the columns, in any order; an
 * empty cell says nothing. */
#ifndef CMD_BERTH_IDENTITY_ROWS_H
#define CMD_BERTH_IDENTITY_ROWS_H

#include "cmd/berth/cli.h"
#include "json/writer.h"

/* The names are those of the wire, or of the options where the wire nests them. */
enum identity_column {
    COLUMN_DEVICE_ID,
    COLUMN_MODULE_ID,
    COLUMN_STATUS,
    COLUMN_STATUS_REASON,
    COLUMN_AUTH_METHOD, /* as --auth-method */
    COLUMN_PRIMARY_KEY,
    COLUMN_SECONDARY_KEY,
    COLUMN_PRIMARY_THUMBPRINT,
    COLUMN_SECONDARY_THUMBPRINT,
    COLUMN_EDGE_ENABLED,
    COLUMN_DEVICE_SCOPE,
    COLUMN_TAGS,    /* JSON */
    COLUMN_DESIRED, /* JSON */
    IDENTITY_COLUMNS
};

struct identity_rows {
    enum identity_column columns[IDENTITY_COLUMNS];
    size_t n;
};

/* Whom an item is about. */
struct identity_row {
    struct span device, module; /* module absent: the device */
};

/* The first row; `record` is written over. ERR_MALFORMED: a column that is not known or twice
 * there, or no deviceId; err_detail is a sentence. */
err berth_identity_rows_decode_header(uint8_t *record, size_t len, struct identity_rows *ret_rows);
/* A row as one item; `record` is written over, *ret_row points into it. ERR_UNSUPPORTED: the row is
 * wrong, as err_detail tells. */
err berth_identity_rows_decode(const struct identity_rows *rows, uint8_t *record, size_t len,
                               const char *mode, struct json_writer *w,
                               struct identity_row *ret_row);
/* A line that is an item already ("id", "moduleId", "authentication", "tags", …), with its mode
 * where it has none. The IDs are of the command's memory. */
err berth_identity_rows_decode_json(struct cli *cli, struct span line, const char *mode,
                                    struct json_writer *w, struct identity_row *ret_row);

#endif
