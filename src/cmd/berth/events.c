/* cmd/berth/events.c: `berth hub monitor-events`: telemetry as it arrives (doc/wire/manage.md,
 * "Events"). A stream that the server or the network cuts is taken up again behind the last event
 * shown. */
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
    char last_id[64];
    bool is_broken;
};

static void on_signal(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

static void print_event(struct cli *cli, const json *event)
{
    struct span time = berth_view_text(cli, event, "enqueuedTimeUtc");
    struct span device = berth_view_text(cli, event, "deviceId");
    struct span properties = berth_view_text(cli, event, "applicationProperties");
    struct span body = berth_view_text(cli, event, "body|bodyBase64");

    (void)printf("%.*s  %.*s  %.*s%s%.*s\n", SPAN_FMT(time), SPAN_FMT(device), SPAN_FMT(body),
                 properties.len > 2 ? "  " : "",
                 SPAN_FMT(properties.len > 2 ? properties : SPAN_NONE));
}

static void on_event(void *context, const struct sse_event *event)
{
    struct monitor *m = context;
    AUTO(json) json *document = NULL;

    if (m->left <= 0) {
        return;
    }
    if (event->id.len < sizeof(m->last_id)) {
        memcpy(m->last_id, event->id.data ? (const char *)event->id.data : "", event->id.len);
        m->last_id[event->id.len] = '\0';
    }
    if (m->cli->is_json) {
        (void)printf("%.*s\n", SPAN_FMT(event->data));
    } else if (err_is_ok(json_parse(event->data, 32, &document))) {
        print_event(m->cli, document);
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

static const char *stream_path(struct cli *cli, const struct monitor *m)
{
    const char *device = berth_cli_text(cli, "device-id"), *from = berth_cli_text(cli, "from");

    return berth_cli_printf(cli, "/messages/events?from=%s%s%s",
                            berth_http_escape(cli, m->last_id[0] ? m->last_id : from),
                            device ? "&device=" : "", device ? berth_http_escape(cli, device) : "");
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
