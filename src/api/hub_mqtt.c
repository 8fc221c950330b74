/* api/hub_mqtt.c: the hub over MQTT: the door, telemetry and its acknowledgement, the will. Who may
 * enter and what a message carries is hub/'s.
 *
 *     AT_THE_DOOR --login granted--> OPEN --DISCONNECT, refusal, cut off, gone--> OVER
 *          \--login refused------------------------------------------------------/
 *
 * A message is acknowledged once it is durable, in order; after one that could not be kept, none is
 * any more, so that the device sends them again. */
#include "api/hub_mqtt_job.h"

#include <assert.h>

#include "api/error.h"
#include "api/metrics.h"

static const char SURFACE_NAME[] = "hub-mqtt";

struct access_note hub_mqtt_note(const struct hub_mqtt *h, const char *operation)
{
    return (struct access_note){ .surface = SURFACE_NAME,
                                 .operation = operation,
                                 .scope = hub_mqtt_hub(h),
                                 .id = hub_mqtt_device(h) };
}

enum surface_step hub_mqtt_close(struct hub_mqtt *h, enum reason reason, const char *why,
                                 struct surface_io *io)
{
    struct access_note note = hub_mqtt_note(h, "close");

    h->state = HUB_MQTT_OVER;
    note.reason = reason;
    note.fault = why;
    io->note(io, &note);
    return SURFACE_CLOSE;
}

struct hub_job *hub_mqtt_new_job(struct hub_mqtt *h, struct task *t, enum hub_job_kind kind,
                                 const char *operation)
{
    struct hub_job *job = ARENA_NEW(&t->arena, struct hub_job);

    assert(job != NULL); /* first allocation in a fresh arena */
    job->kind = kind;
    t->run = NULL;
    t->state = job;
    t->note = hub_mqtt_note(h, operation);
    return job;
}

/* ---- CONNECT ---- */

/* CONNACK codes by what they make SDKs do: 5 makes some give up, 3 keeps all trying, 4 is never
 * sent (reference section 3). */
static uint8_t connack_of(enum reason reason)
{
    switch (reason) {
    case REASON_GRANTED:
        return MQTT_ACCEPTED;
    case REASON_REQUEST_MALFORMED:
    case REASON_DEVICE_DISABLED:
    case REASON_THROTTLED:
    case REASON_INTERNAL:
    case REASON_UNAVAILABLE:
        return MQTT_UNAVAILABLE;
    default:
        return MQTT_NOT_AUTHORIZED;
    }
}

static enum surface_step refuse_connect(struct hub_mqtt *h, enum reason reason, const char *why,
                                        struct surface_io *io)
{
    struct access_note note = hub_mqtt_note(h, "connect");
    struct mqtt_connack ack = { .code = connack_of(reason) };

    h->state = HUB_MQTT_OVER;
    note.reason = reason;
    note.status = ack.code;
    note.fault = why;
    io->note(io, &note);
    mqtt_codec_encode_connack(&ack, io->out);
    return SURFACE_CLOSE;
}

static bool keep_names(struct hub_mqtt *h, const struct topic_hub_user *user)
{
    if (user->hub.len > sizeof(h->hub) || !model_is_device_id(user->device_id)) {
        return false;
    }
    for (size_t i = 0; i < user->hub.len; i++) {
        uint8_t c = user->hub.data[i];
        h->hub[i] = (uint8_t)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    h->hub_len = user->hub.len;
    memcpy(h->device, user->device_id.data, user->device_id.len);
    h->device_len = user->device_id.len;
    return true;
}

/* A will is telemetry put off: the device's own events topic or none (reference 2.5). */
static enum reason keep_will(struct hub_mqtt *h, const struct mqtt_publish *will)
{
    struct hub_mqtt_will *kept = &h->will;
    struct span bag;

    if (will->topic.len > LIMIT_MQTT_TOPIC || will->qos > 1 ||
        !err_is_ok(topic_parse_telemetry(will->topic, hub_mqtt_device(h), &bag))) {
        return REASON_TOPIC_FORBIDDEN;
    }
    if (bag.len + will->payload.len > sizeof(kept->bytes) ||
        topic_count_properties(bag) > HUB_PROPERTIES_MAX) {
        return REASON_MESSAGE_TOO_LARGE;
    }
    if (bag.len > 0) {
        memcpy(kept->bytes, bag.data, bag.len);
    }
    if (will->payload.len > 0) {
        memcpy(kept->bytes + bag.len, will->payload.data, will->payload.len);
    }
    kept->bag_len = bag.len;
    kept->body_len = will->payload.len;
    kept->retain = will->retain;
    kept->is_set = true;
    return REASON_GRANTED;
}

/* On a worker. */
static void run_login(struct task *t)
{
    struct hub_job *job = t->state;
    err e = hub_login(&t->env, &job->login, &job->session, &job->verdict);

    if (err_is(e, ERR_BUSY)) {
        job->verdict = VERDICT(THROTTLED);
    } else if (!err_is_ok(e)) {
        job->verdict = VERDICT(INTERNAL);
        t->note.fault = error_fault_text(&t->arena, e);
    }
}

static void tell(struct bus_member *m, unsigned signals)
{
    struct hub_mqtt *h =
        (struct hub_mqtt *)((char *)m - offsetof(struct hub_mqtt, member)); /* its container */

    h->surface->tell(h->surface, signals);
}

static enum surface_step start_login(struct hub_mqtt *h, const struct mqtt_connect *c,
                                     struct surface_io *io)
{
    const struct peer *peer = h->surface->peer;
    struct task *t = io->new_task(io);
    struct hub_job *job;

    if (t == NULL) {
        return refuse_connect(h, REASON_THROTTLED, NULL, io);
    }
    job = hub_mqtt_new_job(h, t, HUB_JOB_LOGIN, "connect");
    job->login = (struct hub_login){
        .hub_host = hub_mqtt_hub(h),
        .device_id = hub_mqtt_device(h),
        .client_id = c->client_id,
        .chain = peer->chain,
        .n_chain = peer->n_chain,
        .is_chain_unreadable = peer->has_unreadable_chain,
        .token = c->password,
        .clean_session = c->clean_session,
        .transport = peer->transport,
        .peer = span_str(peer->address),
    };
    t->run = run_login;
    /* Before the identity is read, so that no change to it slips between. */
    h->member.hub = hub_mqtt_hub(h);
    h->member.device_id = hub_mqtt_device(h);
    h->member.tell = tell;
    bus_join(h->surface->service->bus, &h->member);
    io->task = t;
    return SURFACE_WORK;
}

enum surface_step hub_mqtt_connect(struct hub_mqtt *h, struct surface *surface,
                                   const struct mqtt_connect *c, struct surface_io *io)
{
    struct topic_hub_user user;
    enum reason reason;

    memset(h, 0, sizeof(*h));
    h->surface = surface;
    h->until_ms = INT64_MAX;
    h->is_clean = c->clean_session;
    if (!err_is_ok(topic_parse_hub_user(c->username, &user)) || !keep_names(h, &user)) {
        return refuse_connect(h, REASON_REQUEST_MALFORMED,
                              "the user name is not {hub}/{device}/?api-version={version}", io);
    }
    if (!span_is_absent(user.module_id)) {
        return refuse_connect(h, REASON_DEVICE_NOT_FOUND, "module identities are not served", io);
    }
    reason = c->has_will ? keep_will(h, &c->will) : REASON_GRANTED;
    if (reason != REASON_GRANTED) {
        return refuse_connect(h, reason, "the will", io);
    }
    return start_login(h, c, io);
}

static enum surface_step finish_login(struct hub_mqtt *h, struct task *t, struct surface_io *io)
{
    struct hub_job *job = t->state;
    struct span generation = job->session.device.generation_id;
    struct mqtt_connack ack = { 0 };

    if (verdict_is_granted(job->verdict) && generation.len > sizeof(h->generation)) {
        job->verdict = VERDICT(INTERNAL);
        t->note.fault = "generation ID too long";
    }
    ack.code = connack_of(job->verdict.reason);
    ack.session_present = ack.code == MQTT_ACCEPTED && !span_is_absent(job->session.filters) &&
                          filters_load(&h->filters, job->session.filters);
    t->note.reason = job->verdict.reason;
    t->note.status = ack.code;
    mqtt_codec_encode_connack(&ack, io->out);
    if (ack.code != MQTT_ACCEPTED) {
        h->state = HUB_MQTT_OVER;
        return SURFACE_CLOSE;
    }
    if (generation.len > 0) {
        memcpy(h->generation, generation.data, generation.len);
    }
    h->generation_len = generation.len;
    h->until_ms = job->session.until_ms;
    h->state = HUB_MQTT_OPEN;
    h->had_session = true;
    bus_claim(h->surface->service->bus, &h->member);
    return SURFACE_AGAIN;
}

/* ---- SUBSCRIBE, UNSUBSCRIBE ---- */

/* Every well-formed filter is granted: SDKs stop at 0x80, and a device is only ever sent what is
 * its own (reference section 5). Failure: it is malformed, or there are too many. */
static uint8_t subscribe(struct filters *f, struct span filter, uint8_t qos)
{
    uint8_t granted = qos > 1 ? 1 : qos;

    return mqtt_codec_is_filter(filter) && filters_add(f, filter, granted) ? granted
                                                                           : MQTT_SUBACK_FAILURE;
}

/* On a worker. */
static void run_keep(struct task *t)
{
    struct hub_job *job = t->state;
    err e = hub_session_keep(&t->env, &job->kept, &job->verdict);

    if (!err_is_ok(e)) {
        job->verdict = err_is(e, ERR_BUSY) ? VERDICT(THROTTLED) : VERDICT(INTERNAL);
        t->note.fault = error_fault_text(&t->arena, e);
    }
}

static void acknowledge(const struct hub_job *job, struct surface_io *io)
{
    if (job->n_codes > 0) {
        mqtt_codec_encode_suback(job->packet_id, span_of(job->codes, job->n_codes), io->out);
    } else {
        mqtt_codec_encode_unsuback(job->packet_id, io->out);
    }
}

static enum surface_step keep_filters(struct hub_mqtt *h, const struct hub_job *answer,
                                      struct surface_io *io)
{
    struct task *t = io->new_task(io);
    struct hub_job *job;

    if (t == NULL) {
        return hub_mqtt_close(h, REASON_THROTTLED, NULL, io);
    }
    job = hub_mqtt_new_job(h, t, HUB_JOB_KEEP, "subscribe");
    job->packet_id = answer->packet_id;
    memcpy(job->codes, answer->codes, sizeof(job->codes));
    job->n_codes = answer->n_codes;
    job->kept = (struct session){ .hub = hub_mqtt_hub(h),
                                  .device_id = hub_mqtt_device(h),
                                  .generation_id = span_of(h->generation, h->generation_len),
                                  /* the connection waits for us */
                                  .filters = filters_span(&h->filters) };
    t->run = run_keep;
    io->task = t;
    return SURFACE_WORK;
}

enum surface_step hub_mqtt_subscribe(struct hub_mqtt *h, const struct mqtt_packet *p,
                                     struct surface_io *io)
{
    struct hub_job answer = { .packet_id = p->subscribe.packet_id };
    struct span rest = p->subscribe.filters;
    struct span filter;
    uint8_t qos;

    while (mqtt_codec_next_filter(p, &rest, &filter, &qos)) {
        if (p->type == MQTT_SUBSCRIBE) {
            answer.codes[answer.n_codes++] = subscribe(&h->filters, filter, qos);
        } else {
            filters_remove(&h->filters, filter);
        }
    }
    if (!h->is_clean) {
        return keep_filters(h, &answer, io);
    }
    acknowledge(&answer, io);
    return SURFACE_AGAIN;
}

static enum surface_step finish_keep(struct hub_mqtt *h, struct task *t, struct surface_io *io)
{
    struct hub_job *job = t->state;

    t->note.reason = job->verdict.reason;
    if (!verdict_is_granted(job->verdict)) {
        h->state = HUB_MQTT_OVER;
        return SURFACE_CLOSE;
    }
    acknowledge(job, io);
    return SURFACE_AGAIN;
}

/* ---- what the device is sent ---- */

void hub_mqtt_send(struct hub_mqtt *h, struct span topic, struct span payload,
                   struct surface_io *io)
{
    int qos = filters_match(&h->filters, topic);
    struct mqtt_publish p = { .topic = topic, .payload = payload, .qos = (uint8_t)(qos > 0) };

    if (qos < 0) {
        return;
    }
    if (qos > 0) {
        h->last_packet_id = h->last_packet_id == UINT16_MAX ? 1 : h->last_packet_id + 1;
        p.packet_id = h->last_packet_id;
    }
    mqtt_codec_encode_publish(&p, io->out);
}

static void send_letter(struct hub_mqtt *h, const struct bus_letter *letter, struct surface_io *io)
{
    uint8_t room[96];
    struct buf topic = buf_over(room, sizeof(room));

    buf_printf(&topic, "$iothub/twin/PATCH/properties/desired/?$version=%lld",
               (long long)letter->number);
    hub_mqtt_send(h, buf_span(&topic), letter->payload, io);
}

void hub_mqtt_deliver(struct hub_mqtt *h, struct surface_io *io)
{
    while (h->has_letters && h->state == HUB_MQTT_OPEN && io->out->len <= LIMIT_UNSENT) {
        struct bus_letter *letter = bus_take(h->surface->service->bus, &h->member);

        h->has_letters = letter != NULL;
        if (letter != NULL) {
            send_letter(h, letter, io);
        }
        bus_letter_free(letter);
    }
}

/* ---- telemetry ---- */

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
    m->device_id = hub_mqtt_device(h);
    m->generation_id = span_of(h->generation, h->generation_len);
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

bool hub_mqtt_is_full(const struct hub_mqtt *h)
{
    return h->appends_in_flight >= LIMIT_APPENDS_IN_FLIGHT;
}

enum surface_step hub_mqtt_publish(struct hub_mqtt *h, const struct mqtt_publish *p,
                                   struct surface_io *io)
{
    struct hub_telemetry telemetry = { .body = p->payload, .retain = p->retain };
    struct hub_job *job;
    struct task *t;

    if (p->qos > 1) {
        return hub_mqtt_close(h, REASON_PROTOCOL_VIOLATION, "PUBLISH with QoS 2", io);
    }
    if (p->topic.len > LIMIT_MQTT_TOPIC) {
        return hub_mqtt_close(h, REASON_TOPIC_FORBIDDEN, "the topic is too long", io);
    }
    if (span_starts_with(p->topic, SPAN("$iothub/"))) {
        return hub_mqtt_twin_publish(h, p, io);
    }
    if (!err_is_ok(topic_parse_telemetry(p->topic, hub_mqtt_device(h), &telemetry.bag))) {
        return hub_mqtt_close(h, REASON_TOPIC_FORBIDDEN,
                              "only devices/{id}/messages/events/ and $iothub/twin/ are served",
                              io);
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

static enum surface_step finish_telemetry(struct hub_mqtt *h, struct task *t, struct surface_io *io)
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

/* ---- the end ---- */

void hub_mqtt_disconnect(struct hub_mqtt *h)
{
    h->will.is_set = false;
    h->state = HUB_MQTT_OVER;
}

enum surface_step hub_mqtt_finish(struct hub_mqtt *h, struct task *t, struct surface_io *io)
{
    struct hub_job *job = t->state;

    switch (job->kind) {
    case HUB_JOB_LOGIN:
        return finish_login(h, t, io);
    case HUB_JOB_TELEMETRY:
        return finish_telemetry(h, t, io);
    case HUB_JOB_KEEP:
        return finish_keep(h, t, io);
    case HUB_JOB_TWIN:
        return hub_mqtt_twin_finish(h, t, io);
    default:
        t->note.reason = job->verdict.reason;
        h->state = HUB_MQTT_OVER;
        return SURFACE_CLOSE;
    }
}

enum surface_step hub_mqtt_on_signal(struct hub_mqtt *h, unsigned signals, struct surface_io *io)
{
    if (h->state == HUB_MQTT_OVER) {
        return SURFACE_IDLE;
    }
    if ((signals & BUS_CUT_OFF) != 0) {
        return hub_mqtt_close(h, REASON_SESSION_CUT_OFF, NULL, io);
    }
    if ((signals & BUS_TAKEN_OVER) != 0) {
        return hub_mqtt_close(h, REASON_SESSION_TAKEN_OVER, NULL, io);
    }
    if ((signals & BUS_LETTERS) != 0) {
        h->has_letters = true;
        return SURFACE_AGAIN;
    }
    return SURFACE_IDLE;
}

enum surface_step hub_mqtt_closed(struct hub_mqtt *h, struct surface_io *io)
{
    struct hub_mqtt_will *will = &h->will;
    struct hub_telemetry telemetry = { .is_will = true, .retain = will->retain };
    struct task *t;

    h->state = HUB_MQTT_OVER;
    bus_leave(h->surface->service->bus, &h->member);
    if (!h->had_session || !will->is_set) {
        return SURFACE_IDLE;
    }
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
    h->appends_in_flight++;
    return SURFACE_APPEND;
}
