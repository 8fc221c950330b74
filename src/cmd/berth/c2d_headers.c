/* cmd/berth/c2d_headers.c: names of headers, and which values they can hold. */
#include "cmd/berth/c2d_headers.h"

#include "util/timefmt.h"
#include "util/utf8.h"
#include "json/writer.h"

enum { FIXED_HEADERS = 10, SECONDS_MAX = 172800 };

/* Options that are a header as they are. */
static const struct {
    const char *option, *header;
} TEXTS[] = {
    { "correlation-id", "iothub-correlationid" },
    { "user-id", "iothub-userid" },
    { "content-type", "iothub-contenttype" },
    { "content-encoding", "iothub-contentencoding" },
};

static const char APP[] = "iothub-app-";

/* What of a received message's headers is shown, and as which member. */
static const struct {
    const char *header, *member;
    bool is_number;
} SYSTEM[] = {
    { "iothub-messageid", "messageId", false },
    { "iothub-correlationid", "correlationId", false },
    { "iothub-userid", "userId", false },
    { "iothub-to", "to", false },
    { "iothub-contenttype", "contentType", false },
    { "iothub-contentencoding", "contentEncoding", false },
    { "iothub-expiry", "expiry", false },
    { "iothub-enqueuedtime", "enqueuedTime", false },
    { "iothub-sequencenumber", "sequenceNumber", true },
    { "iothub-deliverycount", "deliveryCount", true },
    { "iothub-ack", "ack", false },
    { "etag", "etag", false },
};

struct headers {
    struct cli *cli;
    const char **lines;
    size_t n;
};

/* Field values may hold anything but what ends them. */
static bool is_value(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < 0x20 || text.data[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

/* token of RFC 9110 section 5.6.2 */
static bool is_name(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        bool is_alphanumeric = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');

        if (!is_alphanumeric && (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL)) {
            return false;
        }
    }
    return text.len > 0;
}

static void add(struct headers *h, const char *name, struct span value)
{
    /* curl takes "name:" for a header to leave out */
    h->lines[h->n++] = value.len > 0 ? berth_cli_printf(h->cli, "%s: %.*s", name, SPAN_FMT(value))
                                     : berth_cli_printf(h->cli, "%s;", name);
}

static err add_text(struct headers *h, const char *option, const char *name)
{
    const char *value = berth_cli_text(h->cli, option);

    if (value == NULL) {
        return OK;
    }
    if (!is_value(span_str(value))) {
        return berth_cli_usage(h->cli, "--%s has a control character", option);
    }
    add(h, name, span_str(value));
    return OK;
}

/* name=value;name=value */
static err add_properties(struct headers *h)
{
    struct span rest = span_str(berth_cli_text(h->cli, "properties"));
    size_t n = 0;

    while (rest.len > 0) {
        struct span value = span_cut(&rest, ';'), name = span_cut(&value, '=');

        name = span_trim(name);
        if (!is_name(name) || span_is_absent(value) || !is_value(value)) {
            return berth_cli_usage(h->cli, "--properties wants 'name=value;name=value', names of "
                                           "letters, digits and !#$%%&'*+-.^_`|~");
        }
        if (n++ == C2D_PROPERTIES_MAX) {
            return berth_cli_usage(h->cli, "--properties takes at most %d", C2D_PROPERTIES_MAX);
        }
        add(h, berth_cli_printf(h->cli, "%s%.*s", APP, SPAN_FMT(name)), value);
    }
    return OK;
}

/* +SECONDS, milliseconds since 1970 as `az` has it, or a time of ISO 8601. */
static err add_expiry(struct headers *h, int64_t now_ms)
{
    struct span text = span_str(berth_cli_text(h->cli, "expiry-time-utc"));
    char memory[40];
    struct buf iso = buf_over(memory, sizeof(memory));
    int64_t ms = 0;

    if (span_is_absent(text)) {
        return OK;
    }
    if (span_starts_with(text, SPAN("+"))) {
        if (!span_parse_int(span_from(text, 1), &ms) || ms < 1 || ms > SECONDS_MAX) {
            return berth_cli_usage(h->cli, "--expiry-time-utc +N wants seconds, 1 to %d",
                                   SECONDS_MAX);
        }
        ms = now_ms + ms * 1000;
    } else if (!span_parse_int(text, &ms) && !err_is_ok(timefmt_parse_iso(text, &ms))) {
        return berth_cli_usage(h->cli, "--expiry-time-utc wants +SECONDS, milliseconds since 1970, "
                                       "or a time as 2030-12-31T23:59:59Z");
    }
    if (ms <= now_ms) {
        return berth_cli_usage(h->cli, "--expiry-time-utc is in the past");
    }
    timefmt_iso(ms, &iso);
    add(h, "iothub-expiry", buf_span(&iso));
    return OK;
}

err berth_c2d_headers(struct cli *cli, struct hub_who who, const char *message_id, const char *ack,
                      int64_t now_ms, const char *const **ret_headers)
{
    struct headers h = { .cli = cli };
    const char *to;

    h.lines = ARENA_ARRAY(&cli->arena, C2D_PROPERTIES_MAX + FIXED_HEADERS, const char *);
    if (h.lines == NULL) {
        return ERR(NOMEM);
    }
    to = berth_cli_printf(cli, "/devices/%s%s%s/messages/deviceBound",
                          berth_http_escape(cli, who.device), who.module ? "/modules/" : "",
                          who.module ? berth_http_escape(cli, who.module) : "");
    if (!is_value(span_str(message_id))) {
        return berth_cli_usage(cli, "--message-id has a control character");
    }
    add(&h, "iothub-to", span_str(to));
    add(&h, "iothub-messageid", span_str(message_id));
    if (ack != NULL) {
        add(&h, "iothub-ack", span_str(ack));
    }
    for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
        TRY(add_text(&h, TEXTS[i].option, TEXTS[i].header));
    }
    TRY(add_expiry(&h, now_ms));
    TRY(add_properties(&h));
    *ret_headers = (const char *const *)h.lines;
    return OK;
}

static void write_system(const struct http_reply *reply, struct json_writer *w)
{
    for (size_t i = 0; i < sizeof(SYSTEM) / sizeof(SYSTEM[0]); i++) {
        struct span value = berth_http_header(reply, SYSTEM[i].header);
        int64_t number;

        if (SYSTEM[i].is_number && span_parse_int(value, &number)) {
            json_write_int(w, SYSTEM[i].member, number);
            continue;
        }
        if (value.len > 1 && value.data[0] == '"') { /* an ETag's quotes are not part of it */
            value = span_first(span_from(value, 1), value.len - 2);
        }
        json_write_text_if(w, SYSTEM[i].member, value);
    }
}

static void write_application(const struct http_reply *reply, struct json_writer *w)
{
    struct span lines = reply->headers, name, value;

    json_write_begin_object(w, "properties");
    while (berth_http_next_header(&lines, &name, &value)) {
        if (span_starts_with_nocase(name, span_str(APP))) {
            json_write_name(w, span_from(name, strlen(APP)));
            json_write_text(w, NULL, value);
        }
    }
    json_write_end_object(w);
}

err berth_c2d_headers_read(struct cli *cli, const struct http_reply *reply, json **ret_message)
{
    struct buf out = arena_buf(&cli->arena);
    struct json_writer w = json_writer_over(&out);
    struct span text;

    json_write_begin_object(&w, NULL);
    write_system(reply, &w);
    write_application(reply, &w);
    if (utf8_is_text(reply->body)) {
        json_write_text(&w, "body", reply->body.data ? reply->body : SPAN(""));
    } else {
        json_write_base64(&w, "bodyBase64", reply->body);
    }
    json_write_end_object(&w);
    TRY(arena_buf_end(&cli->arena, &out, &text));
    return berth_hub_api_parse(cli, text, ret_message);
}
