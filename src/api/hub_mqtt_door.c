/* api/hub_mqtt_door.c: CONNECT to a hub, and what it is answered with. Who may enter is
 * hub/login.c's. */
#include "api/hub_mqtt_job.h"

#include <stdlib.h>

#include "api/error.h"
#include "util/percent.h"

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
    case REASON_HUB_THROTTLED:
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

static bool keep_client_id(struct hub_mqtt *h, const struct topic_hub_user *user)
{
    struct buf id = buf_over(h->client, sizeof(h->client));

    if (!model_is_device_id(user->device_id) ||
        (!span_is_absent(user->module_id) && !model_is_device_id(user->module_id))) {
        return false;
    }
    buf_add(&id, user->device_id);
    if (!span_is_absent(user->module_id)) {
        buf_add_u8(&id, '/');
        buf_add(&id, user->module_id);
    }
    h->client_len = id.len;
    return true;
}

static bool keep_model_id(struct hub_mqtt *h, const struct topic_hub_user *user)
{
    struct buf id = buf_over(h->model, sizeof(h->model));

    if (!span_is_empty(user->model_id) && !err_is_ok(percent_decode(user->model_id, &id))) {
        return false;
    }
    h->model_len = id.len;
    return true;
}

static bool keep_names(struct hub_mqtt *h, const struct topic_hub_user *user)
{
    if (user->hub.len > sizeof(h->hub) || !keep_client_id(h, user) || !keep_model_id(h, user)) {
        return false;
    }
    for (size_t i = 0; i < user->hub.len; i++) {
        uint8_t c = user->hub.data[i];
        h->hub[i] = (uint8_t)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    h->hub_len = user->hub.len;
    return true;
}

/* A will is telemetry put off: the device's own events topic or none (reference 2.5). */
static enum reason keep_will(struct hub_mqtt *h, const struct mqtt_publish *will)
{
    struct hub_mqtt_will *kept = &h->will;
    struct span bag;
    struct buf text;
    size_t size;

    if (will->topic.len > LIMIT_MQTT_TOPIC || will->qos > 1 ||
        !err_is_ok(topic_parse_telemetry(will->topic, hub_mqtt_client_id(h), &bag))) {
        return REASON_TOPIC_FORBIDDEN;
    }
    size = bag.len + will->payload.len;
    if (size > LIMIT_WILL || topic_count_properties(bag) > HUB_PROPERTIES_MAX) {
        return REASON_MESSAGE_TOO_LARGE;
    }
    kept->bytes = malloc(size > 0 ? size : 1);
    if (kept->bytes == NULL) {
        return REASON_THROTTLED;
    }
    text = buf_over(kept->bytes, size);
    buf_add(&text, bag);
    buf_add(&text, will->payload);
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

    job->limits = hub_limits_hold(t->env.limits, job->login.hub_host);
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
        .device_id = hub_mqtt_client_id(h),
        .client_id = c->client_id,
        .chain = peer->chain,
        .n_chain = peer->n_chain,
        .is_chain_unreadable = peer->has_unreadable_chain,
        .token = c->password,
        .clean_session = c->clean_session,
        .model_id = hub_mqtt_model_id(h),
        .bus = h->surface->service->bus,
        .member = &h->member,
        .transport = peer->transport,
        .peer = span_str(peer->address),
    };
    t->run = run_login;
    /* Before the identity is read, so that no change to it slips between. */
    h->member.hub = hub_mqtt_hub(h);
    h->member.client_id = hub_mqtt_client_id(h);
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
    h->until_ms = h->c2d.retry_ms = INT64_MAX;
    h->is_clean = c->clean_session;
    if (!err_is_ok(topic_parse_hub_user(c->username, &user)) || !keep_names(h, &user)) {
        return refuse_connect(h, REASON_REQUEST_MALFORMED,
                              "the user name is not {hub}/{device}[/{module}]/?api-version=…", io);
    }
    reason = c->has_will ? keep_will(h, &c->will) : REASON_GRANTED;
    if (reason != REASON_GRANTED) {
        return refuse_connect(h, reason, "the will", io);
    }
    return start_login(h, c, io);
}

enum surface_step hub_mqtt_door_finish(struct hub_mqtt *h, struct task *t, struct surface_io *io)
{
    struct hub_job *job = t->state;
    struct span generation = job->session.device.generation_id;
    struct mqtt_connack ack = { 0 };

    h->limits = job->limits;
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
    h->credential = job->session.credential;
    h->until_ms = job->session.until_ms;
    h->state = HUB_MQTT_OPEN;
    h->had_session = true;
    h->c2d.may_have = true;
    memcpy(h->session_id, t->env.tracking_id, sizeof(h->session_id));
    h->member.session_id = span_str(h->session_id);
    h->member.generation_id = span_of(h->generation, h->generation_len);
    h->member.now_ms = h->active_ms = io->now_ms;
    h->surface->lane = span_hash(hub_mqtt_hub(h)); /* a hub's sessions take turns with others' */
    bus_claim(h->surface->service->bus, &h->member);
    return SURFACE_AGAIN;
}
