/* cmd/berth/hub_settings.c: `berth hub show` and `hub update`: options to the JSON of PATCH
 * /berth/v1/hubs/{name} (doc/wire/manage.md), and its answer to lines for people. What a setting
 * may be is the server's to say; only what would not become JSON is refused here. */
#include "cmd/berth/commands.h"
#include "cmd/berth/http.h"
#include "cmd/berth/view.h"
#include "json/writer.h"

/* Option and member, in the order of the lines. */
static const struct limit {
    const char *option, *member;
} limits[] = {
    { "connects", "connects" },        { "d2c-sends", "d2cSends" }, { "c2d-sends", "c2dSends" },
    { "c2d-receives", "c2dReceives" }, { "methods", "methods" },    { "twin-reads", "twinReads" },
    { "twin-updates", "twinUpdates" }, { "queries", "queries" },    { "registry", "registry" },
};
enum { N_LIMITS = sizeof limits / sizeof *limits, N_DEVICE_LIMITS = 7 };

static const struct view_column HUB[] = {
    { "name", "name" },
    { "host", "hostName" },
    { "created", "created" },
    { "size", "sku.name" },
    { "units", "sku.capacity" },
    { "device SAS off", "properties.disableDeviceSAS" },
    { "module SAS off", "properties.disableModuleSAS" },
    { "C2D tries", "properties.cloudToDevice.maxDeliveryCount" },
    { "C2D waits", "properties.cloudToDevice.defaultTtlAsIso8601" },
    { "feedback tries", "properties.cloudToDevice.feedback.maxDeliveryCount" },
    { "feedback waits", "properties.cloudToDevice.feedback.ttlAsIso8601" },
    { "feedback lock", "properties.cloudToDevice.feedback.lockDurationAsIso8601" },
    { "messages a day", "limits.dailyMessages" },
    { "messages today", "messagesToday" },
    { NULL, NULL },
};

/* ---- showing ---- */

/* "queries: 100 a minute, 20 at once" */
static void show_limit(struct cli *cli, const char *title, const char *what, const json *limit)
{
    int64_t rate = 0, burst = 0;
    struct span per = SPAN("second");

    if (!err_is_ok(json_get_int(limit, "rate", &rate)) || rate == 0 ||
        !err_is_ok(json_get_int(limit, "burst", &burst)) ||
        !err_is_ok(json_get_text(limit, "per", &per))) {
        return; /* a newer server's */
    }
    berth_view_line(title,
                    span_str(berth_cli_printf(cli, "%s: %lld a %.*s, %lld at once", what,
                                              (long long)rate, SPAN_FMT(per), (long long)burst)));
}

static err show(struct cli *cli, const json *hub)
{
    const json *of_hub = json_member(hub, "limits"), *of_device = json_member(hub, "deviceLimits");

    TRY(berth_view_show(cli, HUB, hub));
    if (cli->is_json) {
        return OK;
    }
    for (size_t i = 0; i < N_LIMITS; i++) {
        show_limit(cli, "limit", limits[i].option, json_member(of_hub, limits[i].member));
    }
    for (size_t i = 0; i < N_DEVICE_LIMITS; i++) {
        show_limit(cli, "of each device", limits[i].option,
                   json_member(of_device, limits[i].member));
    }
    return OK;
}

static err send(struct cli *cli, const char *method, struct span body)
{
    const char *name = berth_cli_text(cli, "hub-name");
    struct http_request request = {
        .method = method,
        .path = berth_cli_printf(cli, "/berth/v1/hubs/%s", berth_http_escape(cli, name)),
        .body = body,
        .what = berth_cli_printf(cli, "hub '%s'", name),
    };
    struct endpoint service;
    json *hub = NULL;

    TRY(berth_cli_service(cli, &service));
    TRY(berth_http_json(cli, &service, &request, &hub));
    return show(cli, hub);
}

err berth_hub_show(struct cli *cli)
{
    return send(cli, "GET", SPAN_NONE);
}

/* ---- changing ---- */

static const char *period_of(struct span word)
{
    return span_is_absent(word) || span_eq(word, SPAN("s"))         ? "second"
           : span_eq(word, SPAN("min")) || span_eq(word, SPAN("m")) ? "minute"
           : span_eq(word, SPAN("h"))                               ? "hour"
                                                                    : NULL;
}

static err bad_rate(struct cli *cli, const char *option)
{
    return berth_cli_usage(cli,
                           "--%s is not a rate: as 100, 100/s, 100/min, 100/h, 100/min:20, "
                           "unlimited or default",
                           option);
}

/* N[/PERIOD][:BURST], "unlimited", "default". */
static err write_rate(struct cli *cli, const char *option, const char *member,
                      struct json_writer *w)
{
    struct span burst = span_str(berth_cli_text(cli, option));
    struct span period, count;
    const char *per;
    int64_t n, most = 0;

    if (span_is_absent(burst)) {
        return OK;
    }
    if (span_eq(burst, SPAN("unlimited"))) {
        json_write_str(w, member, "unlimited");
        return OK;
    }
    if (span_eq(burst, SPAN("default"))) {
        json_write_null(w, member);
        return OK;
    }
    period = span_cut(&burst, ':');
    count = span_cut(&period, '/');
    per = period_of(period);
    if (per == NULL || !span_parse_int(count, &n) || n == 0 ||
        (!span_is_absent(burst) && (!span_parse_int(burst, &most) || most == 0))) {
        return bad_rate(cli, option);
    }
    json_write_begin_object(w, member);
    json_write_int(w, "rate", n);
    json_write_str(w, "per", per);
    if (most > 0) {
        json_write_int(w, "burst", most);
    } else {
        json_write_null(w, "burst");
    }
    json_write_end_object(w);
    return OK;
}

static err write_daily(struct cli *cli, struct json_writer *w)
{
    struct span text = span_str(berth_cli_text(cli, "daily-messages"));
    int64_t n;

    if (span_is_absent(text)) {
        return OK;
    }
    if (span_eq(text, SPAN("default"))) {
        json_write_null(w, "dailyMessages");
    } else if (span_eq(text, SPAN("unlimited"))) {
        json_write_text(w, "dailyMessages", text);
    } else if (span_parse_int(text, &n)) {
        json_write_int(w, "dailyMessages", n);
    } else {
        return berth_cli_usage(cli,
                               "--daily-messages is neither a number nor unlimited or default");
    }
    return OK;
}

static void write_sku(struct cli *cli, struct json_writer *w)
{
    const char *sku = berth_cli_text(cli, "sku");
    int64_t capacity = berth_options_int(&cli->options, "capacity");

    if (sku != NULL && strcmp(sku, "none") == 0) {
        json_write_null(w, "sku");
    } else if (sku != NULL || capacity > 0) {
        json_write_begin_object(w, "sku");
        if (sku != NULL) {
            json_write_str(w, "name", sku);
        }
        if (capacity > 0 || sku != NULL) { /* another size begins with one */
            json_write_int(w, "capacity", capacity > 0 ? capacity : 1);
        }
        json_write_end_object(w);
    }
}

static void write_int(struct cli *cli, const char *option, const char *member,
                      struct json_writer *w)
{
    if (berth_options_has(&cli->options, option)) {
        json_write_int(w, member, berth_options_int(&cli->options, option));
    }
}

static void write_duration(struct cli *cli, const char *option, const char *member,
                           const char *format, struct json_writer *w)
{
    if (berth_options_has(&cli->options, option)) {
        char text[32];
        struct buf out = buf_over(text, sizeof text);

        buf_add_str(&out, "PT");
        buf_add_int(&out, berth_options_int(&cli->options, option));
        buf_add_str(&out, format);
        json_write_text(w, member, buf_span(&out));
    }
}

static void write_flag(struct cli *cli, const char *option, const char *member,
                       struct json_writer *w)
{
    if (berth_options_has(&cli->options, option)) {
        json_write_bool(w, member, berth_options_flag(&cli->options, option));
    }
}

static void write_properties(struct cli *cli, struct json_writer *w)
{
    json_write_begin_object(w, "properties");
    write_flag(cli, "disable-device-sas", "disableDeviceSAS", w);
    write_flag(cli, "disable-module-sas", "disableModuleSAS", w);
    json_write_begin_object(w, "cloudToDevice");
    write_int(cli, "c2d-max-delivery-count", "maxDeliveryCount", w);
    write_duration(cli, "c2d-ttl", "defaultTtlAsIso8601", "H", w);
    json_write_begin_object(w, "feedback");
    write_int(cli, "feedback-max-delivery-count", "maxDeliveryCount", w);
    write_duration(cli, "feedback-ttl", "ttlAsIso8601", "H", w);
    write_duration(cli, "feedback-lock-duration", "lockDurationAsIso8601", "S", w);
    json_write_end_object(w);
    json_write_end_object(w);
    json_write_end_object(w);
}

static err write_limits(struct cli *cli, struct json_writer *w)
{
    json_write_begin_object(w, "limits");
    for (size_t i = 0; i < N_LIMITS; i++) {
        TRY(write_rate(cli, limits[i].option, limits[i].member, w));
    }
    TRY(write_daily(cli, w));
    json_write_end_object(w);
    json_write_begin_object(w, "deviceLimits");
    for (size_t i = 0; i < N_DEVICE_LIMITS; i++) {
        TRY(write_rate(cli, berth_cli_printf(cli, "device-%s", limits[i].option), limits[i].member,
                       w));
    }
    json_write_end_object(w);
    return OK;
}

err berth_hub_update(struct cli *cli)
{
    uint8_t room[8 * 1024];
    struct buf body = buf_over(room, sizeof room);
    struct json_writer w = json_writer_over(&body);

    json_write_begin_object(&w, NULL);
    write_sku(cli, &w);
    write_properties(cli, &w);
    TRY(write_limits(cli, &w));
    json_write_end_object(&w);
    TRY(buf_ok(&body));
    return send(cli, "PATCH", buf_span(&body));
}
