/* api/hub_events.c: a hub's events as server-sent events (doc/wire/hub-events.md): a stream that
 * reads the sink page by page at the reader's pace, and keeps nothing but its position. */
#include "api/hub_http.h"
#include "hub/event.h"
#include "hub/hub.h"
#include "model/limits.h"
#include "util/timefmt.h"
#include "util/utf8.h"
#include "json/writer.h"

/* An object member printed under another name; {} when it is missing. */
static err write_member(const json *from, const char *member, const char *name,
                        struct json_writer *w)
{
    json_write_name(w, span_str(name));
    if (json_member(from, member) == NULL) {
        buf_add_str(w->out, "{}");
    } else {
        TRY(json_print(json_member(from, member), w->out));
    }
    w->need_comma = true;
    return OK;
}

static err write_event(const struct sink_event *event, struct buf *out)
{
    AUTO(json) json *properties = NULL;
    struct json_writer w = json_writer_over(out);

    TRY(json_parse(event->properties, LIMIT_JSON_DEPTH, &properties));
    buf_add_str(out, "id: ");
    buf_add_int(out, event->offset);
    buf_add_str(out, "\nevent: ");
    buf_add_str(out, hub_event_source_word(event->source));
    buf_add_str(out, "\ndata: ");
    json_write_begin_object(&w, NULL);
    json_write_int(&w, "offset", event->offset);
    json_write_int(&w, "partition", event->partition);
    json_write_int(&w, "sequenceNumber", event->sequence);
    json_write_text(&w, "deviceId", event->device_id);
    json_write_text_if(&w, "moduleId", event->module_id);
    json_write_time(&w, "enqueuedTimeUtc", event->enqueued_ms);
    TRY(write_member(properties, "system", "systemProperties", &w));
    TRY(write_member(properties, "application", "applicationProperties", &w));
    if (utf8_is_text(event->body)) {
        json_write_text(&w, "body", event->body);
    } else {
        json_write_base64(&w, "bodyBase64", event->body);
    }
    json_write_end_object(&w);
    buf_add_str(out, "\n\n");
    return buf_ok(out);
}

/* Some of what it asked for was dropped before it came to read it. */
static void write_gap(struct http_stream *s, int64_t dropped, struct buf *out)
{
    struct json_writer w = json_writer_over(out);

    buf_printf(out, "id: %lld\nevent: gap\ndata: ", (long long)dropped);
    json_write_begin_object(&w, NULL);
    json_write_int(&w, "after", s->position);
    json_write_int(&w, "droppedTo", dropped);
    json_write_end_object(&w);
    buf_add_str(out, "\n\n");
    s->position = s->told = dropped;
}

/* A hub that had the same host name before was another's, maybe. */
static bool is_shown(const struct http_stream *s, const struct sink_event *event)
{
    return event->enqueued_ms >= s->since_ms;
}

/* Writes events up to the first that does not fit: the rest comes with the next page. */
static err write_events(struct http_stream *s, const struct sink_reading *r, struct buf *out)
{
    for (size_t i = 0; i < r->n; i++) {
        size_t len = out->len;
        err e = is_shown(s, &r->events[i]) ? write_event(&r->events[i], out) : OK;

        if (!err_is_ok(e) && i > 0 && err_is(e, ERR_NOMEM)) {
            out->len = len;
            out->failed = false;
            s->more = true;
            return OK;
        }
        TRY(e);
        s->position = s->told = r->events[i].offset;
        s->from_ms = 0;
    }
    s->position = r->next;
    s->more = r->has_more;
    return OK;
}

/* A comment; with it the position, so that a reader that is cut off need not come back to what was
 * none of its own (an event without data is none, but its ID counts). */
static void write_heartbeat(struct http_stream *s, struct buf *out)
{
    if (s->position > s->told) {
        buf_printf(out, "id: %lld\n", (long long)s->position);
        s->told = s->position;
    }
    buf_add_str(out, ":\n\n");
}

static struct sink_query query_of(const struct http_stream *s)
{
    return (struct sink_query){ .hub = span_str(s->hub),
                                .device_id = s->device_id[0] ? span_str(s->device_id) : SPAN_NONE,
                                .has_partition = s->has_partition,
                                .partition = s->partition,
                                .sources = s->sources,
                                .from_ms = s->from_ms,
                                .after = s->position > 0 ? s->position : 0,
                                .max_events = LIMIT_EVENTS_PAGE,
                                .max_bytes = LIMIT_EVENTS_PAGE_BYTES };
}

static err next(struct http_stream *s, const struct env *env, const struct service *service,
                bool heartbeat, struct buf *body)
{
    struct sink_query q = query_of(s);
    struct sink_reading r;
    struct hub hub;
    bool is_found;

    /* The one that was asked for? Another of its name may be another's. */
    TRY(hub_find(env, q.hub, &hub, &is_found));
    if (!is_found || hub.created_ms != s->since_ms) {
        return err_set(ERR_CLOSED, "the hub was deleted");
    }
    TRY(sink_read(service->sink, &q, env->arena, &r));
    if (s->position >= 0 && r.dropped > s->position) {
        write_gap(s, r.dropped, body);
    }
    TRY(write_events(s, &r, body));
    if (r.n == 0 && !s->more) {
        s->from_ms = 0; /* at the end: whatever comes is new */
    }
    if (body->len == 0 && heartbeat) {
        write_heartbeat(s, body);
    }
    return buf_ok(body);
}

/* ---- what is asked for ---- */

static err parse_time(struct http_call *call, struct span from, bool *ret_is_sound)
{
    struct http_stream *s = &call->stream;

    *ret_is_sound = err_is_ok(timefmt_parse_iso(from, &s->from_ms));
    if (*ret_is_sound) {
        TRY(sink_find_time(call->service->sink, s->from_ms, &s->position));
        s->position = s->position == 0 ? -1 : s->position;
    }
    return OK;
}

/* Where to begin: a reader that was cut off says what it saw last. */
static err read_position(struct http_call *call, bool *ret_is_sound)
{
    struct http_stream *s = &call->stream;
    struct span from = span_trim(http_call_header_in(call, SPAN("Last-Event-ID")));

    if (span_is_empty(from)) {
        TRY(http_call_query(call, SPAN("from"), &from));
    }
    *ret_is_sound = true;
    if (span_is_empty(from) || span_eq_nocase(from, SPAN("now"))) {
        return sink_last_offset(call->service->sink, &s->position);
    }
    if (span_eq_nocase(from, SPAN("start"))) {
        s->position = -1;
        return OK;
    }
    return span_parse_int(from, &s->position) ? OK : parse_time(call, from, ret_is_sound);
}

/* Words with commas between; "all"; nothing: telemetry. */
static bool parse_sources(struct span words, unsigned *ret_sources)
{
    unsigned sources = 0;

    if (span_is_empty(words)) {
        *ret_sources = 1U << SINK_TELEMETRY;
        return true;
    }
    while (!span_is_absent(words)) {
        struct span word = span_trim(span_cut(&words, ','));
        enum sink_source source;

        if (span_eq_nocase(word, SPAN("all"))) {
            sources = SINK_ALL_SOURCES;
        } else if (hub_event_find_source(word, &source)) {
            sources |= 1U << source;
        } else {
            return false;
        }
    }
    *ret_sources = sources;
    return true;
}

static bool parse_partition(struct http_call *call, struct span text)
{
    struct http_stream *s = &call->stream;
    int64_t partition = 0;

    if (span_is_empty(text)) {
        return true;
    }
    s->has_partition = true;
    if (!span_parse_int(text, &partition) || partition >= sink_partitions(call->service->sink)) {
        return false;
    }
    s->partition = (int)partition;
    return true;
}

static bool copy_text(struct span from, char *to, size_t room)
{
    struct buf out = buf_over(to, room);

    buf_add(&out, from);
    (void)buf_cstr(&out);
    return err_is_ok(buf_ok(&out));
}

err hub_events_open(struct http_call *call)
{
    struct http_stream *s = &call->stream;
    struct hub hub;
    struct verdict v;
    struct span device, text;
    bool is_sound;

    TRY(http_call_authorize_hub(call, RIGHT_SERVICE_CONNECT, &hub, &v));
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    *s = (struct http_stream){ .wake_on = BUS_EVENTS,
                               .until_ms = call->token_until_ms,
                               .next = next,
                               .since_ms = hub.created_ms };
    TRY(read_position(call, &is_sound));
    if (!is_sound) {
        return http_call_refuse_with(call, REASON_FIELD_INVALID,
                                     "from is neither 'now' nor 'start' nor an offset nor a time.");
    }
    s->told = -1;
    TRY(http_call_query(call, SPAN("device"), &device));
    if (!copy_text(device, s->device_id, sizeof(s->device_id)) ||
        !copy_text(hub.host_name, s->hub, sizeof(s->hub))) {
        return http_call_refuse_with(call, REASON_FIELD_INVALID, "device is not a device ID.");
    }
    TRY(http_call_query(call, SPAN("source"), &text));
    if (!parse_sources(text, &s->sources)) {
        return http_call_refuse_with(call, REASON_FIELD_INVALID,
                                     "source is a list of telemetry, twinChangeEvents, "
                                     "deviceLifecycleEvents, deviceConnectionStateEvents, or all.");
    }
    TRY(http_call_query(call, SPAN("partition"), &text));
    if (!parse_partition(call, text)) {
        return http_call_refuse_with(call, REASON_FIELD_INVALID,
                                     "partition is a number from 0 to %d.",
                                     sink_partitions(call->service->sink) - 1);
    }
    call->note->id = device;
    http_call_header(call, "Content-Type", SPAN("text/event-stream"));
    http_call_header(call, "Cache-Control", SPAN("no-cache"));
    call->status = 200;
    call->is_stream = true;
    return OK;
}
