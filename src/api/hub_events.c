/* api/hub_events.c: telemetry as server-sent events (doc/wire/manage.md): a stream that reads the
 * sink page by page at the reader's pace, and keeps nothing but its position. */
#include "api/hub_http.h"
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
    buf_add_str(out, "\nevent: telemetry\ndata: ");
    json_write_begin_object(&w, NULL);
    json_write_int(&w, "offset", event->offset);
    json_write_text(&w, "deviceId", event->device_id);
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

/* Writes events up to the first that does not fit. *ret_size: what they took of the sink's page. */
static err write_events(struct http_stream *s, const struct sink_event *events, size_t n,
                        struct buf *out, size_t *ret_size)
{
    size_t size = 0;

    for (size_t i = 0; i < n; i++) {
        size_t len = out->len;
        /* A hub that had the same host name before was another's, maybe. */
        err e = events[i].enqueued_ms >= s->since_ms ? write_event(&events[i], out) : OK;

        if (!err_is_ok(e) && i > 0 && err_is(e, ERR_NOMEM)) {
            out->len = len;
            out->failed = false;
            size = LIMIT_EVENTS_PAGE_BYTES; /* the rest comes with the next page */
            break;
        }
        TRY(e);
        s->position = events[i].offset;
        size += events[i].body.len + events[i].properties.len;
    }
    *ret_size = size;
    return OK;
}

static err next(struct http_stream *s, const struct env *env, const struct service *service,
                bool heartbeat, struct buf *body)
{
    struct sink_query q = { .hub = span_str(s->hub),
                            .device_id = s->device_id[0] ? span_str(s->device_id) : SPAN_NONE,
                            .after = s->position,
                            .max_events = LIMIT_EVENTS_PAGE,
                            .max_bytes = LIMIT_EVENTS_PAGE_BYTES };
    struct sink_event *events = NULL;
    int64_t last = 0;
    size_t n = 0;
    size_t size = 0;
    struct hub hub;
    bool is_found;

    /* The one that was asked for? Another of its name may be another's. */
    TRY(hub_find(env, q.hub, &hub, &is_found));
    if (!is_found || hub.created_ms != s->since_ms) {
        return err_set(ERR_CLOSED, "the hub was deleted");
    }
    TRY(sink_last_offset(service->sink, &last));
    TRY(sink_read(service->sink, &q, env->arena, &events, &n));
    TRY(write_events(s, events, n, body, &size));
    /* A page ends short of its bytes when the next event is a large one. */
    s->more = n == LIMIT_EVENTS_PAGE || size > LIMIT_EVENTS_PAGE_BYTES / 2;
    if (n == 0 && last > s->position) {
        s->position = last; /* all of it others': not to be looked at again */
    }
    if (n == 0 && heartbeat) {
        buf_add_str(body, ":\n\n");
    }
    return buf_ok(body);
}

/* Where to begin: a reader that was cut off says what it saw last. */
static err read_position(struct http_call *call, int64_t *ret_position, bool *ret_is_sound)
{
    struct span from = span_trim(http_call_header_in(call, SPAN("Last-Event-ID")));

    if (span_is_empty(from)) {
        TRY(http_call_query(call, SPAN("from"), &from));
    }
    *ret_is_sound = true;
    if (span_is_empty(from) || span_eq_nocase(from, SPAN("now"))) {
        return sink_last_offset(call->service->sink, ret_position);
    }
    *ret_position = 0;
    *ret_is_sound = span_eq_nocase(from, SPAN("start")) || span_parse_int(from, ret_position);
    return OK;
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
    struct span device;
    bool is_sound;

    TRY(http_call_authorize_hub(call, RIGHT_SERVICE_CONNECT, &hub, &v));
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    *s = (struct http_stream){ .wake_on = BUS_EVENTS,
                               .until_ms = call->token_until_ms,
                               .next = next,
                               .since_ms = hub.created_ms };
    TRY(read_position(call, &s->position, &is_sound));
    if (!is_sound) {
        return http_call_refuse_with(call, REASON_FIELD_INVALID,
                                     "from is neither 'now' nor 'start' nor an offset.");
    }
    TRY(http_call_query(call, SPAN("device"), &device));
    if (!copy_text(device, s->device_id, sizeof(s->device_id)) ||
        !copy_text(hub.host_name, s->hub, sizeof(s->hub))) {
        return http_call_refuse_with(call, REASON_FIELD_INVALID, "device is not a device ID.");
    }
    call->note->id = device;
    http_call_header(call, "Content-Type", SPAN("text/event-stream"));
    http_call_header(call, "Cache-Control", SPAN("no-cache"));
    call->status = 200;
    call->is_stream = true;
    return OK;
}
