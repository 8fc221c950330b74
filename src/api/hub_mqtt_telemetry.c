/* api/hub_mqtt_telemetry.c: device-to-cloud messages and wills on their way to the log. A message
 * is acknowledged once it is durable, in order; after one that could not be kept, none is any more,
 * so that the device sends them again. */
#include "api/hub_mqtt_job.h"

#include "api/metrics.h"

struct hub_telemetry {
    struct span bag, body;
    bool is_will, retain;
};

/* The sink's event in the task's arena: the input moves on before it is durable. */
static enum reason fill_event(const struct hub_mqtt *h, struct task *t,
                              const struct hub_telemetry *telemetry)
{
    struct hub_message *m = ARENA_NEW(&t->arena, struct hub_message);
    err e;

    if (m == NULL) {
        return REASON_INTERNAL;
    }
    m->hub = hub_mqtt_hub(h);
    m->client_id = hub_mqtt_client_id(h);
    m->generation_id = span_of(h->generation, h->generation_len);
    m->model_id = hub_mqtt_model_id(h);
    m->credential = h->credential;
    m->is_will = telemetry->is_will;
    m->retain = telemetry->retain;
    m->now_ms = t->env.now_ms;
    m->body = telemetry->body;
    e = topic_parse_properties(telemetry->bag, &t->arena, m->properties, &m->n_properties);
    if (err_is_ok(e)) {
        e = hub_message_event(m, &t->arena, &t->append.event);
    }
    return err_is_ok(e)               ? REASON_GRANTED
           : err_is(e, ERR_TOO_LARGE) ? REASON_MESSAGE_TOO_LARGE
                                      : REASON_INTERNAL;
}

static void run_nothing(struct task *t)
{
    (void)t;
}

/* The fuller the log's queue, the less of it for one session, so that there is room for those that
 * have nothing in it. Its next finish offers the message again. */
static bool has_its_share(const struct hub_mqtt *h)
{
    size_t queued;

    if (h->appends_in_flight == 0) {
        return false;
    }
    queued = sink_backlog(h->surface->service->sink);
    return queued > LIMIT_APPEND_QUEUE / 8 * 7 ||
           (queued > LIMIT_APPEND_QUEUE / 2 && h->appends_in_flight >= LIMIT_APPENDS_STRAINED);
}

static struct hub_use use_of(const struct hub_mqtt *h, const struct hub_telemetry *telemetry)
{
    return (struct hub_use){ .operation = THROTTLE_D2C_SENDS,
                             .client_id = hub_mqtt_client_id(h),
                             .bytes = telemetry->bag.len + telemetry->body.len };
}

/* Traffic is shaped: a message beyond the hub's limits is left unread until its turn comes. False:
 * that, or never: *ret_step. */
static bool has_turn(struct hub_mqtt *h, const struct hub_telemetry *telemetry,
                     struct surface_io *io, enum surface_step *ret_step)
{
    const struct hub_use use = use_of(h, telemetry);
    enum reason reason = REASON_GRANTED;
    enum hub_turn_state state = hub_limits_turn(h->limits, &use, io->now_ms, &h->turn, &reason);

    h->surface->is_held_up = state == HUB_TURN_LATER;
    if (state == HUB_TURN_NEVER) {
        *ret_step = hub_mqtt_close(h, reason, "telemetry was held up for too long", io);
    } else {
        *ret_step = SURFACE_IDLE;
    }
    return state == HUB_TURN_NOW;
}

enum surface_step hub_mqtt_telemetry_publish(struct hub_mqtt *h, const struct mqtt_publish *p,
                                             struct surface_io *io)
{
    struct hub_telemetry telemetry = { .body = p->payload, .retain = p->retain };
    enum surface_step step;
    struct hub_job *job;
    struct task *t;

    if (!err_is_ok(topic_parse_telemetry(p->topic, hub_mqtt_client_id(h), &telemetry.bag))) {
        return hub_mqtt_close(h, REASON_TOPIC_FORBIDDEN,
                              "only devices/{id}/messages/events/ and $iothub/twin/ are served",
                              io);
    }
    if (has_its_share(h)) {
        return SURFACE_IDLE;
    }
    if (!has_turn(h, &telemetry, io, &step)) {
        return step;
    }
    t = io->new_task(io);
    if (t == NULL) {
        return h->appends_in_flight > 0 ? SURFACE_IDLE
                                        : hub_mqtt_close(h, REASON_THROTTLED, NULL, io);
    }
    job = hub_mqtt_new_job(h, t, HUB_JOB_TELEMETRY, "telemetry");
    job->packet_id = p->packet_id;
    job->verdict.reason = fill_event(h, t, &telemetry);
    io->task = t;
    if (!verdict_is_granted(job->verdict)) {
        job->kind = HUB_JOB_REFUSED; /* a task taken must come back */
        t->run = run_nothing;
        return SURFACE_WORK;
    }
    h->appends_in_flight++;
    return SURFACE_APPEND;
}

static void count_event(const struct hub_mqtt *h, const struct task *t)
{
    struct metrics *m = h->surface->service->metrics;

    if (m != NULL) {
        atomic_fetch_add_explicit(&m->telemetry_events, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&m->telemetry_bytes, t->append.event.body.len,
                                  memory_order_relaxed);
    }
}

enum surface_step hub_mqtt_telemetry_finish(struct hub_mqtt *h, struct task *t,
                                            struct surface_io *io)
{
    struct hub_job *job = t->state;

    h->appends_in_flight--;
    if (!err_is_ok(t->append_result)) {
        bool is_busy = err_is(t->append_result, ERR_BUSY);
        t->note.reason = is_busy ? REASON_THROTTLED : REASON_INTERNAL;
        h->state = HUB_MQTT_OVER;
        return SURFACE_CLOSE;
    }
    t->note.reason = REASON_GRANTED;
    t->note.quiet = true;
    count_event(h, t);
    if (h->state == HUB_MQTT_OVER) {
        return SURFACE_IDLE;
    }
    if (job->packet_id != 0) {
        mqtt_codec_encode_puback(job->packet_id, io->out);
    }
    return SURFACE_IDLE;
}

/* The connection ended without DISCONNECT. */
enum surface_step hub_mqtt_telemetry_will(struct hub_mqtt *h, struct surface_io *io)
{
    struct hub_mqtt_will *will = &h->will;
    struct hub_telemetry telemetry = { .is_will = true, .retain = will->retain };
    struct hub_use use;
    struct task *t;

    will->is_set = false;
    t = io->new_task(io);
    if (t == NULL) {
        struct access_note note = hub_mqtt_note(h, "telemetry");
        note.reason = REASON_THROTTLED;
        note.fault = "the will is lost";
        io->note(io, &note);
        return SURFACE_IDLE;
    }
    telemetry.bag = span_of(will->bytes, will->bag_len);
    telemetry.body = span_of(will->bytes + will->bag_len, will->body_len);
    (void)hub_mqtt_new_job(h, t, HUB_JOB_TELEMETRY, "telemetry");
    io->task = t;
    if (fill_event(h, t, &telemetry) != REASON_GRANTED) {
        return SURFACE_IDLE;
    }
    use = use_of(h, &telemetry);
    hub_limits_charge(h->limits, &use, io->now_ms);
    h->appends_in_flight++;
    return SURFACE_APPEND;
}
