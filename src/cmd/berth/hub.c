/* cmd/berth/hub.c: `berth hub`: the hubs of a server, and the device identities of one (reference
 * iothub-service-api.md 3, doc/wire/manage.md). */
#include "cmd/berth/commands.h"
#include "cmd/berth/manage.h"
#include "json/writer.h"

#define HUB_API_VERSION "api-version=2021-04-12"

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

static const struct view_column DEVICES[] = {
    { "DEVICE", "deviceId" },
    { "STATUS", "status" },
    { "CONNECTION", "connectionState" },
    { "AUTH", "authentication.type" },
    { "REASON", "statusReason" },
    { "LAST ACTIVITY", "lastActivityTime" },
    { NULL, NULL },
};

static const struct view_column DEVICE[] = {
    { "device ID", "deviceId" },
    { "status", "status" },
    { "status reason", "statusReason" },
    { "connection", "connectionState" },
    { "authentication", "authentication.type" },
    { "thumbprint", "authentication.x509Thumbprint.primaryThumbprint" },
    { "second thumbprint", "authentication.x509Thumbprint.secondaryThumbprint" },
    { "last activity", "lastActivityTime" },
    { "generation", "generationId" },
    { "etag", "etag" },
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

err berth_hub_device_list(struct cli *cli)
{
    struct http_request request = {
        .method = "GET",
        .path = berth_cli_printf(cli, "/devices?top=%lld&" HUB_API_VERSION,
                                 (long long)berth_options_int(&cli->options, "top")),
        .what = "device identities",
    };
    struct endpoint hub;
    struct view_list list;
    json *document = NULL;

    TRY(berth_cli_hub(cli, &hub));
    TRY(berth_http_json(cli, &hub, &request, &document));
    berth_view_begin(&list, cli, DEVICES);
    TRY(berth_view_add(&list, document));
    berth_view_end(&list, "device identities");
    return OK;
}

static err get_device(struct cli *cli, struct endpoint *hub, struct http_request *request,
                      json **ret_device)
{
    const char *id = berth_cli_text(cli, "device-id");

    *request = (struct http_request){
        .method = "GET",
        .path = berth_cli_printf(cli, "/devices/%s?" HUB_API_VERSION, berth_http_escape(cli, id)),
        .what = berth_cli_printf(cli, "device identity '%s'", id),
    };
    TRY(berth_cli_hub(cli, hub));
    return berth_http_json(cli, hub, request, ret_device);
}

err berth_hub_device_show(struct cli *cli)
{
    struct endpoint hub;
    struct http_request request;
    json *device = NULL;

    TRY(get_device(cli, &hub, &request, &device));
    return berth_view_show(cli, DEVICE, device);
}

/* A PUT replaces the whole identity: everything it had goes back, but the status. */
static err put_status(struct cli *cli, const char *status, const char *reason)
{
    struct endpoint hub;
    struct http_request request;
    struct json_writer w;
    struct buf body;
    json *device = NULL;

    TRY(get_device(cli, &hub, &request, &device));
    body = arena_buf(&cli->arena);
    w = json_writer_over(&body);
    json_write_begin_object(&w, NULL);
    json_write_str(&w, "status", status);
    json_write_text_if(&w, "statusReason", span_str(reason));
    for (struct json_iter it = json_first(device); it.name != NULL; json_next(&it)) {
        if (strcmp(it.name, "status") != 0 && strcmp(it.name, "statusReason") != 0) {
            json_write_name(&w, span_str(it.name));
            (void)json_print(it.value, w.out); /* a failure sticks to the buf */
            w.need_comma = true;
        }
    }
    json_write_end_object(&w);
    TRY(arena_buf_end(&cli->arena, &body, &request.body));
    request.method = "PUT";
    request.if_match = "*";
    TRY(berth_http_json(cli, &hub, &request, &device));
    return berth_view_show(cli, DEVICE, device);
}

err berth_hub_device_disable(struct cli *cli)
{
    return put_status(cli, "disabled", berth_cli_text(cli, "reason"));
}

err berth_hub_device_enable(struct cli *cli)
{
    return put_status(cli, "enabled", NULL);
}
