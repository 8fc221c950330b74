/* cmd/berth/instance.c: `berth instance`: the provisioning services (ID scopes) of a server, by the
 * server's own login, and the one that the service login is of. */
#include "cmd/berth/commands.h"
#include "cmd/berth/manage.h"
#include "json/writer.h"

static const struct view_column LIST[] = {
    { "NAME", "name" },
    { "ID SCOPE", "properties.idScope" },
    { "HOST", "properties.serviceOperationsHostName" },
    { "STATE", "properties.state" },
    { "ALLOCATION", "properties.allocationPolicy" },
    { "CREATED", "properties.created" },
    { NULL, NULL },
};

static const struct view_column SHOW[] = {
    { "name", "name" },
    { "ID scope", "properties.idScope" },
    { "host", "properties.serviceOperationsHostName" },
    { "state", "properties.state" },
    { "allocation policy", "properties.allocationPolicy" },
    { "created", "properties.created" },
    { "connection string", "connectionString" },
    { NULL, NULL },
};

static struct http_request request(struct cli *cli, const char *method)
{
    const char *name = berth_cli_text(cli, "instance-name");

    return (struct http_request){
        .method = method,
        .path = berth_cli_printf(cli, "/berth/v1/instances/%s", berth_http_escape(cli, name)),
        .what = berth_cli_printf(cli, "instance '%s'", name),
    };
}

static err write_properties(struct cli *cli, struct span *ret_body)
{
    struct buf body = arena_buf(&cli->arena);
    struct json_writer w = json_writer_over(&body);

    json_write_begin_object(&w, NULL);
    json_write_begin_object(&w, "properties");
    json_write_text_if(&w, "serviceOperationsHostName", span_str(berth_cli_text(cli, "host-name")));
    json_write_text_if(&w, "allocationPolicy", span_str(berth_cli_text(cli, "allocation-policy")));
    json_write_end_object(&w);
    json_write_end_object(&w);
    return arena_buf_end(&cli->arena, &body, ret_body);
}

err berth_instance_list(struct cli *cli)
{
    struct endpoint server;

    TRY(berth_cli_server(cli, &server));
    return berth_manage_list(cli, &server, "/berth/v1/instances", LIST, "instances");
}

err berth_instance_show(struct cli *cli)
{
    struct http_request own = { .method = "GET",
                                .path = "/berth/v1/instance",
                                .what = "the instance" };
    struct http_request named;
    struct endpoint to;

    if (berth_cli_text(cli, "instance-name") == NULL) {
        TRY(berth_cli_service(cli, &to));
        return berth_manage_send(cli, &to, &own, SHOW);
    }
    named = request(cli, "GET");
    TRY(berth_cli_server(cli, &to));
    return berth_manage_send(cli, &to, &named, SHOW);
}

err berth_instance_create(struct cli *cli)
{
    struct http_request r = request(cli, "PUT");
    struct endpoint server;

    TRY(write_properties(cli, &r.body));
    TRY(berth_cli_server(cli, &server));
    return berth_manage_send(cli, &server, &r, SHOW);
}

err berth_instance_update(struct cli *cli)
{
    struct http_request r = { .method = "PATCH",
                              .path = "/berth/v1/instance",
                              .what = "the instance" };
    struct endpoint service;
    struct buf body = arena_buf(&cli->arena);
    struct json_writer w = json_writer_over(&body);

    json_write_begin_object(&w, NULL);
    json_write_begin_object(&w, "properties");
    json_write_str(&w, "allocationPolicy", berth_cli_text(cli, "allocation-policy"));
    json_write_end_object(&w);
    json_write_end_object(&w);
    TRY(arena_buf_end(&cli->arena, &body, &r.body));
    TRY(berth_cli_service(cli, &service));
    return berth_manage_send(cli, &service, &r, SHOW);
}

err berth_instance_delete(struct cli *cli)
{
    struct http_request r = request(cli, "DELETE");
    struct endpoint server;

    TRY(berth_cli_server(cli, &server));
    return berth_manage_delete(cli, &server, r.path, r.what,
                               berth_options_flag(&cli->options, "force"));
}
