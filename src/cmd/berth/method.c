/* cmd/berth/method.c: `berth hub invoke-device-method` and `invoke-module-method` (reference
 * iothub-service-api.md 7). What the device answers is its own: a status that is no success is exit
 * status 7, apart from the failures of getting there. */
#include "cmd/berth/commands.h"
#include "cmd/berth/hub_api.h"
#include "cmd/berth/view.h"
#include "json/writer.h"

enum { MARGIN_S = 15 };

/* The hub wants connecting to take no longer than answering. */
static err write_body(struct cli *cli, struct span *ret_body)
{
    int64_t timeout_s = berth_options_int(&cli->options, "timeout");
    int64_t connect_s = berth_options_int(&cli->options, "connect-timeout");
    json *payload = NULL;
    struct json_writer w;
    struct buf out;

    if (connect_s > timeout_s) {
        return berth_cli_usage(cli, "--connect-timeout is at most --timeout (%lld s)",
                               (long long)timeout_s);
    }
    TRY(berth_hub_api_read_json(cli, "method-payload", &payload));
    out = arena_buf(&cli->arena);
    w = json_writer_over(&out);
    json_write_begin_object(&w, NULL);
    json_write_str(&w, "methodName", berth_cli_text(cli, "method-name"));
    if (payload != NULL) {
        json_write_value(&w, "payload", payload);
    }
    json_write_int(&w, "responseTimeoutInSeconds", timeout_s);
    json_write_int(&w, "connectTimeoutInSeconds", connect_s);
    json_write_end_object(&w);
    return arena_buf_end(&cli->arena, &out, ret_body);
}

static err answer(struct cli *cli, const json *reply)
{
    int64_t status = 0;

    TRY(json_get_int(reply, "status", &status));
    TRY(berth_view_json(cli, reply));
    if (status < 200 || status > 299) {
        cli->exit_status = BERTH_EXIT_DEVICE;
    }
    return OK;
}

err berth_method_invoke(struct cli *cli)
{
    struct hub_who who = berth_hub_api_who(cli);
    struct http_request request = {
        .method = "POST",
        .path = berth_hub_api_path(cli, "/twins", who, "/methods"),
        .what = berth_cli_printf(cli, "method '%s' of '%s%s%s'", berth_cli_text(cli, "method-name"),
                                 who.device, who.module ? "/" : "", who.module ? who.module : ""),
        .timeout_s = (int)(berth_options_int(&cli->options, "timeout") +
                           berth_options_int(&cli->options, "connect-timeout")) +
                     MARGIN_S,
    };
    json *reply = NULL;

    TRY(write_body(cli, &request.body));
    TRY(berth_hub_api_json(cli, &request, &reply));
    return answer(cli, reply);
}
