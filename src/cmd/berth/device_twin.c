/* cmd/berth/device_twin.c: `berth hub device-twin`: what an operator wants of a device, and what it
 * reported (reference iothub-service-api.md 5). A twin is shown as the hub sends it: its members
 * are the operator's own. */
#include "cmd/berth/commands.h"
#include "cmd/berth/file.h"
#include "cmd/berth/http.h"
#include "cmd/berth/view.h"
#include "model/limits.h"
#include "json/writer.h"

#define HUB_API_VERSION "api-version=2021-04-12"

static err send(struct cli *cli, struct http_request *request)
{
    const char *id = berth_cli_text(cli, "device-id");
    struct endpoint hub;
    json *twin = NULL;

    request->path = berth_cli_printf(cli, "/twins/%s?" HUB_API_VERSION, berth_http_escape(cli, id));
    request->what = berth_cli_printf(cli, "twin of '%s'", id);
    TRY(berth_cli_hub(cli, &hub));
    TRY(berth_http_json(cli, &hub, request, &twin));
    return berth_view_json(cli, twin);
}

err berth_hub_twin_show(struct cli *cli)
{
    struct http_request request = { .method = "GET" };

    return send(cli, &request);
}

/* JSON text, or @ and the file that holds it. The object lives as long as the command. */
static err read_object(struct cli *cli, const char *option, json **ret_object)
{
    const char *value = berth_cli_text(cli, option);
    struct span text = span_str(value);
    json *object;

    *ret_object = NULL;
    if (value == NULL) {
        return OK;
    }
    if (value[0] == '@') {
        TRY(berth_file_read(&cli->arena, value + 1, &text));
    }
    if (!err_is_ok(json_parse(text, LIMIT_JSON_DEPTH, &object))) {
        return berth_cli_usage(cli, "--%s is not JSON", option);
    }
    berth_cli_keep(cli, object);
    if (!json_is_object(object)) {
        return berth_cli_usage(cli, "--%s is not a JSON object", option);
    }
    *ret_object = object;
    return OK;
}

static void write_member(struct json_writer *w, const char *name, const json *value)
{
    if (value != NULL) {
        json_write_name(w, span_str(name));
        (void)json_print(value, w->out); /* a failure sticks to the buf */
        w->need_comma = true;
    }
}

static err send_change(struct cli *cli, const char *method, const json *tags, const json *desired)
{
    const char *etag = berth_cli_text(cli, "etag");
    struct http_request request = {
        .method = method,
        .if_match = etag != NULL ? berth_cli_printf(cli, "\"%s\"", etag) : "*",
    };
    struct buf body = arena_buf(&cli->arena);
    struct json_writer w = json_writer_over(&body);

    json_write_begin_object(&w, NULL);
    write_member(&w, "tags", tags);
    json_write_begin_object(&w, "properties");
    write_member(&w, "desired", desired);
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
