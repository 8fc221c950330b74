/* cmd/berth/drain.c: `berth linked-hub drain`: begins or takes back a drain, says how many devices
 * are left and how many of them stay, and waits for the others. */
#include <time.h>

#include "cmd/berth/commands.h"
#include "cmd/berth/manage.h"
#include "cmd/berth/progress.h"
#include "json/writer.h"

enum { PAUSE_MS = 1000, DEPTH = 16, LINK_MAX = 8192 };

static const struct view_column DEVICES[] = {
    { "DEVICE", "deviceId" }, { "REGISTRATION", "registrationId" },
    { "STATUS", "status" },   { "ENROLLMENT", "enrollment.id" },
    { "STAYS", "stays" },     { "UPDATED", "updated" },
    { NULL, NULL },
};

/* Why devices stay, in the words of the service. */
static const char *const WHY[] = { "hub-kept", "no-other-hub", "enrollment-disabled",
                                   "enrollment-missing" };
enum { WHY_N = sizeof(WHY) / sizeof(WHY[0]) };

struct drain {
    struct cli *cli;
    const char *host;
    struct endpoint service;
    bool is_draining;
    int64_t devices;
    int64_t why[WHY_N], stuck; /* all of them */
    /* Cutting off. */
    char next[LINK_MAX]; /* "": done */
    int64_t disconnected;
};

static struct http_request request(struct drain *d, const char *method, const char *verb)
{
    return (struct http_request){
        .method = method,
        .path = berth_cli_printf(d->cli, "/berth/v1/linkedHubs/%s%s",
                                 berth_http_escape(d->cli, d->host), verb),
        .what = berth_cli_printf(d->cli, "linked hub '%s'", d->host),
    };
}

/* Sends, and reads what the service says of the link. Its memory is given up. */
static err ask(struct drain *d, const char *method, const char *verb)
{
    AUTO(json) json *link = NULL;
    size_t mark = d->cli->arena.used;
    struct http_request r = request(d, method, verb);
    struct http_reply reply;

    TRY(berth_http_send(d->cli, &d->service, &r, &reply));
    if (!err_is_ok(json_parse(reply.body, DEPTH, &link))) {
        return err_set(ERR_IO, "%s: the server's answer is not JSON", r.what);
    }
    TRY(json_get_bool(link, "draining", &d->is_draining));
    TRY(json_get_int(link, "devices", &d->devices));
    d->cli->arena.used = mark;
    return OK;
}

static err count_one(struct cli *cli, const json *item, void *arg)
{
    struct drain *d = arg;
    struct span why = json_text(json_member(item, "stays"));

    (void)cli;
    for (size_t i = 0; i < WHY_N; i++) {
        d->why[i] += span_eq(why, span_str(WHY[i]));
    }
    d->stuck++;
    return OK;
}

static err count_stuck(struct drain *d)
{
    struct http_request r = request(d, "GET", "/devices?stuck=true&top=1000");
    const struct manage_each each = {
        .method = "GET", .path = r.path, .what = r.what, .fn = count_one, .arg = d
    };

    memset(d->why, 0, sizeof(d->why));
    d->stuck = 0;
    return berth_manage_each(d->cli, &d->service, &each);
}

/* ---- what is said of it ---- */

static const char *stuck_text(struct drain *d)
{
    const char *text = berth_cli_printf(d->cli, "%lld", (long long)d->stuck);
    const char *comma = " (";

    for (size_t i = 0; i < WHY_N; i++) {
        if (d->why[i] > 0) {
            text =
                berth_cli_printf(d->cli, "%s%s%lld %s", text, comma, (long long)d->why[i], WHY[i]);
            comma = ", ";
        }
    }
    return d->stuck > 0 ? berth_cli_printf(d->cli, "%s)", text) : text;
}

static err show_json(struct drain *d)
{
    AUTO(json) json *document = NULL;
    struct buf out = arena_buf(&d->cli->arena);
    struct json_writer w = json_writer_over(&out);
    struct span text;

    json_write_begin_object(&w, NULL);
    json_write_str(&w, "name", d->host);
    json_write_bool(&w, "draining", d->is_draining);
    json_write_int(&w, "devices", d->devices);
    json_write_int(&w, "stuck", d->stuck);
    json_write_begin_object(&w, "why");
    for (size_t i = 0; i < WHY_N; i++) {
        if (d->why[i] > 0) {
            json_write_int(&w, WHY[i], d->why[i]);
        }
    }
    json_write_end_object(&w);
    json_write_int(&w, "disconnected", d->disconnected);
    json_write_end_object(&w);
    TRY(arena_buf_end(&d->cli->arena, &out, &text));
    TRY(json_parse(text, DEPTH, &document));
    return berth_view_json(d->cli, document);
}

static void show_number(const char *title, int64_t n)
{
    char memory[32];
    struct buf text = buf_over(memory, sizeof(memory));

    berth_progress_number(n, &text);
    berth_view_line(title, buf_span(&text));
}

static err show(struct drain *d)
{
    if (d->cli->is_json) {
        return show_json(d);
    }
    berth_view_line("host", span_str(d->host));
    berth_view_line("draining", d->is_draining ? SPAN("true") : SPAN("false"));
    show_number("devices", d->devices);
    berth_view_line(d->is_draining ? "will stay" : "would stay", span_str(stuck_text(d)));
    if (d->disconnected > 0) {
        show_number("cut off", d->disconnected);
    }
    return OK;
}

/* ---- waiting ---- */

static void pause_ms(int64_t ms)
{
    struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

    (void)nanosleep(&t, NULL);
}

/* The next ones, as many as one second may take. */
static err disconnect_some(struct drain *d)
{
    AUTO(json) json *page = NULL;
    struct buf next = buf_over(d->next, sizeof(d->next) - 1);
    size_t mark = d->cli->arena.used;
    struct http_request r = { .method = "POST", .path = d->next, .what = d->host };
    struct http_reply reply;

    TRY(berth_http_send(d->cli, &d->service, &r, &reply));
    if (!err_is_ok(json_parse(reply.body, DEPTH, &page))) {
        return err_set(ERR_IO, "%s: the server's answer is not JSON", r.what);
    }
    d->disconnected += (int64_t)json_array_len(json_member(page, "value"));
    buf_add(&next, json_text(json_member(page, "nextLink")));
    TRY(buf_ok(&next));
    d->next[next.len] = '\0';
    d->cli->arena.used = mark;
    return OK;
}

static void begin_disconnect(struct drain *d, int64_t per_second)
{
    struct http_request r =
        request(d, "POST", berth_cli_printf(d->cli, "/disconnect?top=%lld", (long long)per_second));

    (void)snprintf(d->next, sizeof(d->next), "%s", r.path);
}

/* Is anybody left who will move by itself? Who stays is counted anew only when it may matter. */
static err is_over(struct drain *d, bool *ret_is)
{
    TRY(ask(d, "GET", ""));
    if (d->devices <= d->stuck) {
        TRY(count_stuck(d));
    }
    *ret_is = d->devices <= d->stuck || !d->is_draining;
    return OK;
}

static err wait_for_all(struct drain *d, bool waits)
{
    int64_t timeout_s = berth_options_int(&d->cli->options, "timeout");
    int64_t at_first = d->devices - d->stuck;
    struct progress progress;
    bool done = false;
    err e = OK;

    berth_progress_begin(&progress, d->cli->is_json, waits ? "devices moved" : "devices seen", 0);
    while (err_is_ok(e) && (d->next[0] != '\0' || (waits && !done))) {
        int64_t begin_ms = berth_cli_now_ms();
        int64_t took_ms;

        if (d->next[0] != '\0') {
            e = disconnect_some(d);
        }
        if (err_is_ok(e)) {
            e = is_over(d, &done);
        }
        berth_progress_show(&progress, at_first - (d->devices - d->stuck), 0,
                            at_first - (d->devices - d->stuck), at_first);
        if (timeout_s > 0 && berth_progress_elapsed_ms(&progress) >= timeout_s * 1000) {
            break;
        }
        took_ms = berth_cli_now_ms() - begin_ms;
        if (!done && took_ms < PAUSE_MS) {
            pause_ms(PAUSE_MS - took_ms);
        }
    }
    berth_progress_clear(&progress);
    return e;
}

err berth_drain_run(struct cli *cli)
{
    struct drain *d = ARENA_NEW(&cli->arena, struct drain);
    bool cancels = berth_options_flag(&cli->options, "cancel");
    bool waits = berth_options_flag(&cli->options, "wait");
    int64_t per_second = berth_options_int(&cli->options, "disconnect");

    if (d == NULL) {
        return ERR(NOMEM);
    }
    *d = (struct drain){ .cli = cli, .host = berth_cli_text(cli, "linked-hub") };
    if (cancels && (waits || per_second > 0)) {
        return berth_cli_usage(cli, "--cancel is neither for --wait nor for --disconnect");
    }
    if (!waits && berth_options_has(&cli->options, "timeout")) {
        return berth_cli_usage(cli, "--timeout is for --wait");
    }
    TRY(berth_cli_service(cli, &d->service));
    TRY(ask(d, cancels ? "DELETE" : "POST", "/drain"));
    TRY(count_stuck(d));
    if (per_second > 0) {
        begin_disconnect(d, per_second);
    }
    if (waits || per_second > 0) {
        TRY(wait_for_all(d, waits));
        TRY(count_stuck(d));
    }
    if (waits && d->devices > 0) {
        cli->exit_status = BERTH_EXIT_FAILED;
    }
    return show(d);
}

/* ---- devices ---- */

static err show_device(struct cli *cli, const json *item, void *arg)
{
    (void)cli;
    return berth_view_add_one(arg, item);
}

static void end_page(void *arg)
{
    berth_view_flush(arg);
}

/* Shown page by page: there may be any number of them. */
err berth_drain_list_devices(struct cli *cli)
{
    bool is_stuck = berth_options_flag(&cli->options, "stuck");
    const char *host = berth_http_escape(cli, berth_cli_text(cli, "linked-hub"));
    struct view_list list;
    const struct manage_each each = {
        .method = "GET",
        .path = berth_cli_printf(cli, "/berth/v1/linkedHubs/%s/devices?top=1000%s", host,
                                 is_stuck ? "&stuck=true" : ""),
        .what = "devices",
        .fn = show_device,
        .arg = &list,
        .end_page = end_page,
    };
    struct endpoint service;

    TRY(berth_cli_service(cli, &service));
    berth_view_begin(&list, cli, DEVICES);
    TRY(berth_manage_each(cli, &service, &each));
    berth_view_end(&list, is_stuck ? "devices that would stay" : "devices");
    return OK;
}
