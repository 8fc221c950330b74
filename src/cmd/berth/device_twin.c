/* cmd/berth/device_twin.c: `berth hub device-twin` and `module-twin`: what an operator wants of a
 * device or module, and what it reported (reference iothub-service-api.md 5). A twin is shown as
 * the hub sends it: its members are the operator's own. */
#include "cmd/berth/commands.h"
#include "cmd/berth/hub_api.h"
#include "cmd/berth/view.h"
#include "json/writer.h"

static err send(struct cli *cli, struct http_request *request)
{
    struct hub_who who = berth_hub_api_who(cli);
    json *twin = NULL;

    request->path = berth_hub_api_path(cli, "/twins", who, "");
    request->what = berth_hub_api_what(cli, "twin of", who);
    TRY(berth_hub_api_json(cli, request, &twin));
    return berth_view_json(cli, twin);
}

err berth_hub_twin_show(struct cli *cli)
{
    struct http_request request = { .method = "GET" };

    return send(cli, &request);
}

static err read_object(struct cli *cli, const char *option, json **ret_object)
{
    TRY(berth_hub_api_read_json(cli, option, ret_object));
    return *ret_object == NULL || json_is_object(*ret_object)
               ? OK
               : berth_cli_usage(cli, "--%s is not a JSON object", option);
}

static void write_if(struct json_writer *w, const char *name, const json *value)
{
    if (value != NULL) {
        json_write_value(w, name, value);
    }
}

static err send_change(struct cli *cli, const char *method, const json *tags, const json *desired)
{
    const char *etag = berth_cli_text(cli, "etag");
    struct http_request request = {
        .method = method,
        .if_match = etag != NULL ? etag : "*",
    };
    struct buf body = arena_buf(&cli->arena);
    struct json_writer w = json_writer_over(&body);

    json_write_begin_object(&w, NULL);
    write_if(&w, "tags", tags);
    json_write_begin_object(&w, "properties");
    write_if(&w, "desired", desired);
    json_write_end_object(&w);
    json_write_end_object(&w);
    TRY(arena_buf_end(&cli->arena, &body, &request.body));
    return send(cli, &request);
}

err berth_hub_twin_update(struct cli *cli)
{
    json *tags, *desired;

    TRY(read_object(cli, "tags", &tags));
    TRY(read_object(cli, "desired", &desired));
    if (tags == NULL && desired == NULL) {
        return berth_cli_usage(cli, "say what to change: --tags, --desired or both");
    }
    return send_change(cli, "PATCH", tags, desired);
}

err berth_hub_twin_replace(struct cli *cli)
{
    json *twin;

    TRY(read_object(cli, "json", &twin));
    return send_change(cli, "PUT", json_member(twin, "tags"),
                       json_member(json_member(twin, "properties"), "desired"));
}
