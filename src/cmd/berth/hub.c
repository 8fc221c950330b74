/* cmd/berth/hub.c: `berth hub`: the hubs of a server (doc/wire/manage.md). */
#include "cmd/berth/commands.h"
#include "cmd/berth/manage.h"
#include "json/writer.h"

static const struct view_column HUBS[] = {
    { "NAME", "name" },       { "HOST", "hostName" },   { "OWN", "isOwn" },
    { "LINKED", "isLinked" }, { "CREATED", "created" }, { NULL, NULL },
};

static const struct view_column HUB[] = {
    { "name", "name" },
    { "host", "hostName" },
    { "linked", "isLinked" },
    { "created", "created" },
    { "connection string", "connectionString" },
    { NULL, NULL },
};

err berth_hub_create(struct cli *cli)
{
    const char *name = berth_cli_text(cli, "hub-name"), *host = berth_cli_text(cli, "host-name");
    int64_t weight = berth_options_int(&cli->options, "allocation-weight");
    struct http_request request = {
        .method = "PUT",
        .path = berth_cli_printf(cli, "/berth/v1/hubs/%s", berth_http_escape(cli, name)),
        .what = berth_cli_printf(cli, "hub '%s'", name),
    };
    struct buf body = arena_buf(&cli->arena);
    struct json_writer w = json_writer_over(&body);
    struct endpoint service;
    json *document = NULL;

    json_write_begin_object(&w, NULL);
    json_write_str(&w, "hostName", host);
    json_write_bool(&w, "link", !berth_options_flag(&cli->options, "no-link"));
    if (weight > 0) {
        json_write_int(&w, "allocationWeight", weight);
    }
    json_write_end_object(&w);
    TRY(arena_buf_end(&cli->arena, &body, &request.body));
    TRY(berth_cli_service(cli, &service));
    TRY(berth_http_json(cli, &service, &request, &document));
    return berth_view_show(cli, HUB, document);
}

err berth_hub_list(struct cli *cli)
{
    struct endpoint service;

    TRY(berth_cli_service(cli, &service));
    return berth_manage_list(cli, &service, "/berth/v1/hubs", HUBS, "hubs");
}

err berth_hub_delete(struct cli *cli)
{
    const char *name = berth_cli_text(cli, "hub-name");
    struct endpoint service;

    TRY(berth_cli_service(cli, &service));
    return berth_manage_delete(
        cli, &service, berth_cli_printf(cli, "/berth/v1/hubs/%s", berth_http_escape(cli, name)),
        berth_cli_printf(cli, "hub '%s'", name), berth_options_flag(&cli->options, "force"));
}
