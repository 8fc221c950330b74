/* cmd/berth/view.h: what a server answered, for people (columns) or programs (--output json). */
#ifndef CMD_BERTH_VIEW_H
#define CMD_BERTH_VIEW_H

#include "cmd/berth/cli.h"
#include "cmd/berth/table.h"

/* A table of these ends with a row without a title. path:
 * "attestation.x509/tpm.caReferences.primary", x509 or else tpm; several joined by '|': the first
 * that is there. */
struct view_column {
    const char *title, *path;
};

/* The text at the path: a string, or anything else as JSON; absent when it is missing or null.
 * Times are 2017-10-12 19:23:50Z whatever their form, lists become "a, b". Of the command's memory.
 */
struct span berth_view_text(struct cli *cli, const json *object, const char *path);

/* The text of one value, by the same rules; absent for null. */
struct span berth_view_value(struct cli *cli, const json *value);
/* 2017-10-12 19:23:50Z, of the command's memory. */
struct span berth_view_time(struct cli *cli, int64_t time_ms);

/* A list that comes in pages. */
struct view_list {
    struct cli *cli;
    const struct view_column *columns;
    struct table table;
    size_t n;
};
void berth_view_begin(struct view_list *l, struct cli *cli, const struct view_column *columns);
/* array: a JSON array of objects. */
err berth_view_add(struct view_list *l, const json *array);
/* One object. */
err berth_view_add_one(struct view_list *l, const json *item);
/* Prints what was added and not yet printed; its documents and memory may be given up then. */
void berth_view_flush(struct view_list *l);
/* Prints the rest of the list; what: "enrollments", for the sentence when there are none. */
void berth_view_end(struct view_list *l, const char *what);

/* One object: a line a column, or JSON. */
err berth_view_show(struct cli *cli, const struct view_column *columns, const json *object);
/* One such line. */
void berth_view_line(const char *title, struct span text);
/* Indented JSON and a newline. */
err berth_view_json(struct cli *cli, const json *value);

#endif
