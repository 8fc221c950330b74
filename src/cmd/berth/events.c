/* cmd/berth/events.c: `berth hub monitor-events`: a hub's events as they arrive
 * (doc/wire/hub-events.md). A stream that the server or the network cuts is taken up again behind
 * the last event shown. */
#include "cmd/berth/commands.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "cmd/berth/http.h"
#include "cmd/berth/sse.h"
#include "cmd/berth/view.h"

enum { LINE_MAX_BYTES = 1024 * 1024, EVENT_ARENA = 4 * 1024 * 1024, RETRY_MS = 1000 };

static volatile sig_atomic_t interrupted;

struct monitor {
    struct cli *cli; /* for showing: an arena of its own, emptied after each event */
    struct sse sse;
    int64_t left; /* INT64_MAX: no end */
    int64_t deadline_ms;
    bool shows_system, shows_application;
    bool is_broken;
};

static void on_signal(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

static void print_properties(struct cli *cli, const json *event, const char *member)
{
    struct span properties = berth_view_text(cli, event, member);

    if (properties.len > 2) { /* more than {} */
        (void)printf("  %.*s", SPAN_FMT(properties));
    }
}

/* Telemetry is what is meant unless another source is named. */
static void print_event(struct monitor *m, struct span name, const json *event)
{
    struct cli *cli = m->cli;
    struct span time = berth_view_text(cli, event, "enqueuedTimeUtc");
    struct span device = berth_view_text(cli, event, "deviceId");
    struct span module = berth_view_text(cli, event, "moduleId");
    struct span body = berth_view_text(cli, event, "body|bodyBase64");

    (void)printf("%.*s  %.*s%s%.*s  ", SPAN_FMT(time), SPAN_FMT(device), module.len > 0 ? "/" : "",
                 SPAN_FMT(module));
    if (!span_eq(name, SPAN("telemetry"))) {
        (void)printf("%.*s  ", SPAN_FMT(name));
    }
    (void)printf("%.*s", SPAN_FMT(body));
    if (m->shows_application) {
        print_properties(cli, event, "applicationProperties");
    }
    if (m->shows_system) {
        print_properties(cli, event, "systemProperties");
    }
    (void)putchar('\n');
}

static void print_gap(const json *gap)
{
    int64_t to = 0;

    (void)json_get_int(gap, "droppedTo", &to);
    (void)fprintf(stderr,
                  "berth: events up to offset %lld are no longer kept: some may be missing\n",
                  (long long)to);
}

static void on_event(void *context, const struct sse_event *event)
{
    struct monitor *m = context;
    AUTO(json) json *document = NULL;

    if (m->left <= 0) {
        return;
    }
    if (span_eq(event->name, SPAN("gap"))) {
        if (err_is_ok(json_parse(event->data, 32, &document))) {
            print_gap(document);
        }
        return;
    }
    if (m->cli->is_json) {
        (void)printf("%.*s\n", SPAN_FMT(event->data));
    } else if (err_is_ok(json_parse(event->data, 32, &document))) {
        print_event(m, event->name, document);
    }
    arena_reset(&m->cli->arena);
    m->left -= m->left != INT64_MAX;
    (void)fflush(stdout);
}

static bool on_data(void *context, struct span data)
{
    struct monitor *m = context;

    m->is_broken = !err_is_ok(berth_sse_input(&m->sse, data));
    return !m->is_broken && m->left > 0;
}

static bool is_over(void *context)
{
    const struct monitor *m = context;

    return interrupted || m->left <= 0 || berth_cli_now_ms() >= m->deadline_ms;
}

static void add_parameter(struct cli *cli, struct buf *path, const char *name, const char *value)
{
    if (value != NULL) {
        buf_printf(path, "&%s=%s", name, berth_http_escape(cli, value));
    }
}

static const char *stream_path(struct cli *cli, const struct monitor *m)
{
    const char *from = m->sse.last_id[0] ? m->sse.last_id : berth_cli_text(cli, "from");
    int64_t partition = berth_options_int(&cli->options, "partition");
    char number[24];
    char room[1024];
    struct buf path = buf_over(room, sizeof(room));

    (void)snprintf(number, sizeof(number), "%lld", (long long)partition);
    buf_printf(&path, "/messages/events?from=%s", berth_http_escape(cli, from));
    add_parameter(cli, &path, "device", berth_cli_text(cli, "device-id"));
    add_parameter(cli, &path, "source", berth_cli_text(cli, "source"));
    add_parameter(cli, &path, "partition",
                  berth_options_has(&cli->options, "partition") ? number : NULL);
    return berth_cli_printf(cli, "%s", buf_cstr(&path));
}

static void sleep_ms(int64_t ms)
{
    struct timespec pause = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

    (void)nanosleep(&pause, NULL);
}

static err follow(struct cli *cli, const struct endpoint *hub, struct monitor *m)
{
    struct http_stream stream = { .on_data = on_data, .is_over = is_over, .context = m };
    bool was_open = false;

    for (;;) {
        err e = berth_http_stream(cli, hub, stream_path(cli, m), &stream);

        if (m->is_broken) {
            return err_set(ERR_TOO_LARGE, "an event is larger than %d bytes", LINE_MAX_BYTES);
        }
        if (is_over(m)) {
            return OK;
        }
        was_open = was_open || err_is_ok(e) || err_is(e, ERR_CLOSED);
        if (!was_open || !(err_is_ok(e) || err_is(e, ERR_CLOSED) || err_is(e, ERR_IO))) {
            return e;
        }
        if (!err_is_ok(e)) { /* otherwise the token has expired: on with the next */
            (void)fprintf(stderr, "berth: %s; trying again\n", err_detail());
        }
        m->sse.line.len = m->sse.data.len = 0;
        m->sse.has_data = false;
        sleep_ms(RETRY_MS);
    }
}

err berth_events_monitor(struct cli *cli)
{
    int64_t count = berth_options_int(&cli->options, "count");
    int64_t timeout_s = berth_options_int(&cli->options, "timeout");
    struct cli showing = *cli;
    struct monitor m = { .cli = &showing,
                         .left = count > 0 ? count : INT64_MAX,
                         .deadline_ms =
                             timeout_s > 0 ? berth_cli_now_ms() + timeout_s * 1000 : INT64_MAX };
    const char *properties = berth_cli_text(cli, "properties");
    void *memory = arena_alloc(&cli->arena, EVENT_ARENA);
    void *line = arena_alloc(&cli->arena, LINE_MAX_BYTES);
    void *data = arena_alloc(&cli->arena, LINE_MAX_BYTES);
    struct sigaction action = { .sa_handler = on_signal };
    struct endpoint hub;

    if (memory == NULL || line == NULL || data == NULL) {
        return ERR(NOMEM);
    }
    arena_init(&showing.arena, memory, EVENT_ARENA);
    berth_sse_init(&m.sse, line, LINE_MAX_BYTES, data, LINE_MAX_BYTES);
    m.sse.on_event = on_event;
    m.sse.context = &m;
    m.shows_system = strcmp(properties, "sys") == 0 || strcmp(properties, "all") == 0;
    m.shows_application = strcmp(properties, "app") == 0 || strcmp(properties, "all") == 0;
    TRY(berth_cli_hub(cli, &hub));
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    if (!cli->is_json) {
        (void)fprintf(stderr, "Events of %s (Ctrl-C ends):\n", hub.host);
    }
    TRY(follow(cli, &hub, &m));
    if (count > 0 && m.left > 0 && !interrupted) {
        return err_set(ERR_TIMEOUT, "%lld of %lld events came within %lld s",
                       (long long)(count - m.left), (long long)count, (long long)timeout_s);
    }
    return OK;
}
