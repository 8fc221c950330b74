/* api/hub_query_row.h: what queries of a hub are about: devices, modules, and the jobs that there
 * are none of. */
#ifndef API_HUB_QUERY_ROW_H
#define API_HUB_QUERY_ROW_H

#include "api/query_row.h"
#include "hub/bus.h"
#include "store/store.h"

enum hub_query_source { HUB_QUERY_DEVICES, HUB_QUERY_MODULES, HUB_QUERY_JOBS, HUB_QUERY_SOURCES };
extern const struct query_schema *const HUB_QUERY_SCHEMAS[HUB_QUERY_SOURCES];

/* The record of a row. What is known of a device besides its row is read when it is asked for. */
struct hub_query_record {
    const struct device *device; /* or module */
    struct bus *bus;
    struct store_tx *tx;
};

/* The row as GET /twins/{id} answers it. */
err hub_query_row_write_whole(struct query_row *row, struct json_writer *w);

#endif
