/* cmd/berth/device_c2d.c: `berth device c2d-message`: the device's side of messages, over HTTPS
 * (reference iothub-device-api.md 11). Logged in as the device with --symmetric-key, or else by the
 * hub login, whose policy may speak for every device. */
#include "attest/sas.h"
#include "cmd/berth/c2d_headers.h"
#include "cmd/berth/commands.h"
#include "cmd/berth/enrollment_keys.h"
#include "cmd/berth/view.h"

enum { TOKEN_LIFE_S = 600, TOKEN_BYTES = 1024 };

static const struct view_column MESSAGE[] = {
    { "message ID", "messageId" },
    { "body", "body" },
    { "body (base64)", "bodyBase64" },
    { "properties", "properties" },
    { "content type", "contentType" },
    { "content encoding", "contentEncoding" },
    { "correlation ID", "correlationId" },
    { "user ID", "userId" },
    { "acknowledgement", "ack" },
    { "expires", "expiry" },
    { "enqueued", "enqueuedTime" },
    { "deliveries", "deliveryCount" },
    { "sequence number", "sequenceNumber" },
    { "etag", "etag" },
    { NULL, NULL },
};

struct device {
    struct endpoint hub;
    struct hub_who who;
    char token[TOKEN_BYTES]; /* "": by the hub login */
};

static err log_in(struct cli *cli, struct device *d)
{
    struct buf out = buf_over(d->token, sizeof(d->token) - 1);
    struct span key;

    d->who = berth_hub_api_who(cli);
    TRY(berth_cli_hub(cli, &d->hub));
    d->token[0] = '\0';
    if (berth_cli_text(cli, "symmetric-key") == NULL) {
        return OK;
    }
    TRY(berth_enrollment_keys_parse(cli, "symmetric-key", &key));
    TRY(sas_make(cli->crypto,
                 span_str(berth_cli_printf(cli, "%s/devices/%s%s%s", d->hub.host, d->who.device,
                                           d->who.module ? "/modules/" : "",
                                           d->who.module ? d->who.module : "")),
                 key, SPAN_NONE, berth_cli_now_ms() / 1000 + TOKEN_LIFE_S, &out));
    d->token[out.len] = '\0';
    d->hub.key = NULL;
    return OK;
}

/* lock NULL: of the queue itself. more: "&reject", or "". */
static struct http_request request_of(struct cli *cli, const struct device *d, const char *method,
                                      const char *lock, const char *suffix, const char *more)
{
    const char *below = lock == NULL ? "/messages/deviceBound"
                                     : berth_cli_printf(cli, "/messages/deviceBound/%s%s",
                                                        berth_http_escape(cli, lock), suffix);

    return (struct http_request){
        .method = method,
        .path =
            berth_cli_printf(cli, "%s%s", berth_hub_api_path(cli, "/devices", d->who, below), more),
        .if_match = lock,
        .token = d->token[0] != '\0' ? d->token : NULL,
        .what = lock == NULL ? berth_hub_api_what(cli, "messages to", d->who)
                             : berth_cli_printf(cli, "message locked by '%s'", lock),
    };
}

static err complete(struct cli *cli, const struct device *d, const char *lock)
{
    struct http_request request = request_of(cli, d, "DELETE", lock, "", "");
    struct http_reply reply;

    return berth_http_send(cli, &d->hub, &request, &reply);
}

static err reject(struct cli *cli, const struct device *d, const char *lock)
{
    struct http_request request = request_of(cli, d, "DELETE", lock, "", "&reject");
    struct http_reply reply;

    return berth_http_send(cli, &d->hub, &request, &reply);
}

static err abandon(struct cli *cli, const struct device *d, const char *lock)
{
    struct http_request request = request_of(cli, d, "POST", lock, "/abandon", "");
    struct http_reply reply;

    return berth_http_send(cli, &d->hub, &request, &reply);
}

static err check_one_end(struct cli *cli)
{
    int n = berth_options_flag(&cli->options, "complete") +
            berth_options_flag(&cli->options, "reject") +
            berth_options_flag(&cli->options, "abandon");

    return n <= 1 ? OK : berth_cli_usage(cli, "one of --complete, --reject and --abandon");
}

/* What becomes of it once it is shown; without any: it stays locked, for the verbs below. */
static err settle(struct cli *cli, const struct device *d, const json *message)
{
    const char *lock = berth_cli_cstr(cli, json_text(json_member(message, "etag")));

    if (berth_options_flag(&cli->options, "complete")) {
        return complete(cli, d, lock);
    }
    if (berth_options_flag(&cli->options, "reject")) {
        return reject(cli, d, lock);
    }
    return berth_options_flag(&cli->options, "abandon") ? abandon(cli, d, lock) : OK;
}

err berth_device_c2d_receive(struct cli *cli)
{
    struct device d;
    const char *headers[2] = { NULL };
    struct http_request request;
    struct http_reply reply;
    json *message = NULL;

    TRY(check_one_end(cli));
    TRY(log_in(cli, &d));
    request = request_of(cli, &d, "GET", NULL, "", "");
    headers[0] =
        berth_cli_printf(cli, "iothub-messagelocktimeout: %s", berth_cli_text(cli, "lock-timeout"));
    request.headers = headers;
    TRY(berth_http_send(cli, &d.hub, &request, &reply));
    if (reply.status == 204) {
        (void)puts(cli->is_json ? "null" : "No message waits.");
        return OK;
    }
    TRY(berth_c2d_headers_read(cli, &reply, &message));
    TRY(berth_view_show(cli, MESSAGE, message));
    return settle(cli, &d, message);
}

err berth_device_c2d_complete(struct cli *cli)
{
    struct device d;

    TRY(log_in(cli, &d));
    return complete(cli, &d, berth_cli_text(cli, "etag"));
}

err berth_device_c2d_reject(struct cli *cli)
{
    struct device d;

    TRY(log_in(cli, &d));
    return reject(cli, &d, berth_cli_text(cli, "etag"));
}

err berth_device_c2d_abandon(struct cli *cli)
{
    struct device d;

    TRY(log_in(cli, &d));
    return abandon(cli, &d, berth_cli_text(cli, "etag"));
}
