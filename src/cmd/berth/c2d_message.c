/* cmd/berth/c2d_message.c: `berth hub c2d-message`: a back end's messages to devices, over the
 * hub's REST (doc/wire/hub-c2d.md). */
#include "cmd/berth/c2d_headers.h"
#include "cmd/berth/commands.h"
#include "cmd/berth/feedback.h"
#include "cmd/berth/file.h"
#include "cmd/berth/manage.h"
#include "util/guid.h"
#include "json/writer.h"

static const struct view_column SENT[] = {
    { "message ID", "messageId" },
    { "outcome", "outcome" },
    { "at", "outcomeTime" },
    { NULL, NULL },
};

static const struct view_column PURGED[] = {
    { "device ID", "deviceId" },
    { "module ID", "moduleId" },
    { "messages purged", "totalMessagesPurged" },
    { NULL, NULL },
};

static const char *new_message_id(struct cli *cli)
{
    uint8_t random[GUID_BYTES];
    char memory[GUID_TEXT_LEN + 1];
    struct buf text = buf_over(memory, sizeof(memory));

    crypto_random(random, sizeof(random));
    guid_format(random, &text);
    return berth_cli_cstr(cli, buf_span(&text));
}

static err read_body(struct cli *cli, struct span *ret_body)
{
    const char *data = berth_cli_text(cli, "data"), *file = berth_cli_text(cli, "data-file-path");

    if ((data == NULL) == (file == NULL)) {
        return berth_cli_usage(cli, "say what to send: --data TEXT or --data-file-path FILE");
    }
    *ret_body = span_str(data);
    return file != NULL ? berth_file_read(&cli->arena, file, ret_body) : OK;
}

/* With --wait the outcome is wanted, whichever it is. */
static err choose_ack(struct cli *cli, const char **ret_ack)
{
    const char *ack = berth_cli_text(cli, "ack");
    bool waits = berth_options_flag(&cli->options, "wait");

    if (waits && ack != NULL && strcmp(ack, "full") != 0) {
        return berth_cli_usage(cli, "--wait wants --ack full");
    }
    *ret_ack = waits ? "full" : ack;
    return OK;
}

static err show_sent(struct cli *cli, const char *message_id, const json *record)
{
    struct buf out = arena_buf(&cli->arena);
    struct json_writer w = json_writer_over(&out);
    json *shown = NULL;
    struct span text;

    json_write_begin_object(&w, NULL);
    json_write_str(&w, "messageId", message_id);
    json_write_text_if(&w, "outcome", json_text(json_member(record, "statusCode")));
    json_write_text_if(&w, "outcomeTime", json_text(json_member(record, "enqueuedTimeUtc")));
    json_write_end_object(&w);
    TRY(arena_buf_end(&cli->arena, &out, &text));
    TRY(berth_hub_api_parse(cli, text, &shown));
    return berth_view_show(cli, SENT, shown);
}

static err wait_for_outcome(struct cli *cli, const struct endpoint *hub, const char *message_id)
{
    int64_t timeout_s = berth_options_int(&cli->options, "timeout");
    int64_t deadline_ms = timeout_s > 0 ? berth_cli_now_ms() + timeout_s * 1000 : INT64_MAX;
    json *record = NULL;

    if (!cli->is_json) {
        (void)fprintf(stderr, "Waiting for what becomes of it (Ctrl-C ends)\n");
    }
    TRY(berth_feedback_wait(cli, hub, message_id, deadline_ms, &record));
    TRY(show_sent(cli, message_id, record));
    if (record == NULL) {
        return err_set(ERR_TIMEOUT, "message '%s' is sent, but nothing is known of it yet",
                       message_id);
    }
    if (!span_eq(json_text(json_member(record, "statusCode")), SPAN("Success"))) {
        cli->exit_status = BERTH_EXIT_DEVICE;
    }
    return OK;
}

err berth_c2d_send(struct cli *cli)
{
    struct hub_who who = berth_hub_api_who(cli);
    const char *message_id = berth_cli_text(cli, "message-id"), *ack = NULL;
    struct http_request request = {
        .method = "POST",
        .path = "/messages/deviceBound?" BERTH_HUB_API_QUERY,
        .content_type = "application/octet-stream",
        .what = berth_hub_api_what(cli, "message to", who),
    };
    struct endpoint hub;
    struct http_reply reply;

    message_id = message_id != NULL ? message_id : new_message_id(cli);
    TRY(choose_ack(cli, &ack));
    TRY(read_body(cli, &request.body));
    TRY(berth_c2d_headers(cli, who, message_id, ack, berth_cli_now_ms(), &request.headers));
    TRY(berth_cli_hub(cli, &hub));
    TRY(berth_http_send(cli, &hub, &request, &reply));
    return berth_options_flag(&cli->options, "wait") ? wait_for_outcome(cli, &hub, message_id)
                                                     : show_sent(cli, message_id, NULL);
}

err berth_c2d_purge(struct cli *cli)
{
    struct hub_who who = berth_hub_api_who(cli);
    struct http_request request = {
        .method = "DELETE",
        .path = berth_hub_api_path(cli, "/devices", who, "/commands"),
        .what = berth_hub_api_what(cli, "messages to", who),
    };
    struct endpoint hub;
    json *result = NULL;

    TRY(berth_cli_hub(cli, &hub));
    TRY(berth_manage_confirm(cli, "Purge the waiting", request.what));
    TRY(berth_http_json(cli, &hub, &request, &result));
    return result != NULL ? berth_view_show(cli, PURGED, result) : OK;
}
