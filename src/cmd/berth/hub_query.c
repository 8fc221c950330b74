/* cmd/berth/hub_query.c: `berth hub query`: twins by the query language of a hub, page by page
 * (reference iothub-service-api.md 6). */
#include "cmd/berth/commands.h"
#include "cmd/berth/hub_api.h"
#include "cmd/berth/query_columns.h"
#include "cmd/berth/resource.h"

struct rows {
    struct query_columns columns;
    struct view_list list; /* for JSON */
};

static err on_page(void *context, json *page)
{
    struct rows *rows = context;

    if (rows->list.cli->is_json) {
        return berth_view_add(&rows->list, page);
    }
    TRY(berth_query_columns_add(&rows->columns, page));
    rows->list.n += json_array_len(page);
    if (rows->columns.is_begun) {
        berth_table_print(&rows->columns.table, stdout);
    }
    return OK;
}

err berth_hub_query(struct cli *cli)
{
    static const struct view_column none[] = { { NULL, NULL } };
    struct rows rows;
    struct resource_query query = { .path = "/devices/query?" BERTH_HUB_API_QUERY,
                                    .what = "query",
                                    .text = berth_cli_text(cli, "query-command"),
                                    .top = berth_options_int(&cli->options, "top"),
                                    .find_endpoint = berth_cli_hub,
                                    .on_page = on_page,
                                    .context = &rows };

    berth_query_columns_init(&rows.columns, cli);
    berth_view_begin(&rows.list, cli, none);
    TRY(berth_resource_query(cli, &query));
    if (cli->is_json || rows.list.n == 0) {
        berth_view_end(&rows.list, "rows");
    }
    if (rows.columns.left_some_out) {
        (void)fprintf(stderr, "berth: not all members have a column; --output json shows them\n");
    }
    return OK;
}
