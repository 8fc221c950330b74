/* api/hub_mqtt_c2d.c: a device's queue over MQTT. One task does a turn: it completes what the
 * device acknowledged and puts in flight what it may be sent next; when it comes back, that is
 * sent. So no message is sent whose delivery is not durable, and a burst of acknowledgements is
 * one transaction. What was sent stays in `sent` until it is completed, or the session ends; then
 * it is the next session's, which sends it with DUP.
 *
 *     may_have --turn--> sent --PUBACK--> acknowledged --turn--> completed
 *
 * With QoS 0 the turn itself completes: such a message is sent at most once. */
#include "api/hub_mqtt_job.h"

#include <assert.h>

#include "api/error.h"
#include "api/hub_c2d_text.h"

enum {
    BATCH = LIMIT_C2D_IN_FLIGHT / 2, /* worth a turn while more is to be read */
    PATIENCE = 32,                   /* packets that an acknowledgement waits for at most */
};

/* The QoS with which the device listens to its queue; -1: it does not. One that matches the topic
 * with any properties matches this one. */
static int qos_of(const struct hub_mqtt *h)
{
    uint8_t room[HUB_C2D_TEXT_PREFIX_MAX + 16];
    struct buf topic = buf_over(room, sizeof(room));

    hub_c2d_text_prefix(hub_mqtt_client_id(h), &topic);
    if (span_find(buf_span(&topic), '+') < topic.len ||
        span_find(buf_span(&topic), '#') < topic.len) {
        return -1; /* an ID may hold them, a topic may not: it has HTTPS */
    }
    buf_add_str(&topic, "%24.to=");
    return filters_match(&h->filters, buf_span(&topic));
}

bool hub_mqtt_c2d_is_in_flight(const struct hub_mqtt *h, uint16_t packet_id)
{
    for (size_t i = 0; i < h->c2d.n; i++) {
        if (h->c2d.sent[i].packet_id == packet_id) {
            return true;
        }
    }
    return false;
}

void hub_mqtt_puback(struct hub_mqtt *h, uint16_t packet_id)
{
    struct hub_mqtt_c2d *c = &h->c2d;

    for (size_t i = 0; i < c->n; i++) {
        if (c->sent[i].packet_id == packet_id && !c->sent[i].is_acknowledged) {
            c->sent[i].is_acknowledged = true;
            c->packets = c->n_acknowledged++ == 0 ? 0 : c->packets;
        }
    }
}

int64_t hub_mqtt_retry_ms(const struct hub_mqtt *h)
{
    return h->state == HUB_MQTT_OPEN ? h->c2d.retry_ms : INT64_MAX;
}

void hub_mqtt_on_retry(struct hub_mqtt *h)
{
    h->c2d.retry_ms = INT64_MAX;
    h->c2d.is_held_off = false;
    h->c2d.may_have = true;
}

/* ---- a turn ---- */

static size_t room_of(const struct hub_mqtt_c2d *c)
{
    return LIMIT_C2D_IN_FLIGHT - c->n + c->n_acknowledged;
}

static bool is_turn_due(const struct hub_mqtt *h, bool is_quiet)
{
    const struct hub_mqtt_c2d *c = &h->c2d;
    size_t least = is_quiet ? 1 : BATCH;

    return c->n_acknowledged >= least || (c->n_acknowledged > 0 && c->packets >= PATIENCE) ||
           (c->may_have && room_of(c) >= least && qos_of(h) >= 0);
}

/* On a worker. */
static err run(struct task *t, struct hub_c2d_job *job)
{
    TRY(hub_c2d_take_turn(&t->env, t->service->bus, &job->turn, &job->hand));
    for (size_t i = 0; i < job->hand.n; i++) {
        TRY(hub_c2d_text_topic(&job->hand.messages[i], &t->arena, &job->topics[i]));
    }
    return OK;
}

static void run_turn(struct task *t)
{
    const struct hub_job *job = t->state;

    job->c2d->result = run(t, job->c2d);
    if (!err_is_ok(job->c2d->result)) {
        t->note.fault = error_fault_text(&t->arena, job->c2d->result);
    }
}

static void fill_turn(const struct hub_mqtt *h, struct hub_c2d_job *job)
{
    int qos = qos_of(h);

    for (size_t i = 0; i < h->c2d.n; i++) {
        if (h->c2d.sent[i].is_acknowledged) {
            job->completed[job->turn.n_completed++] = h->c2d.sent[i].sequence;
        }
    }
    job->turn.completed = job->completed;
    job->turn.owner =
        (struct hub_c2d_owner){ .hub = hub_mqtt_hub(h),
                                .client_id = hub_mqtt_client_id(h),
                                .generation_id = span_of(h->generation, h->generation_len) };
    job->turn.session_id = h->member.session_id;
    job->turn.is_final = qos == 0;
    job->turn.room = h->c2d.may_have && qos >= 0 ? room_of(&h->c2d) : 0;
}

/* The server is at its limit. */
static void hold_off(struct hub_mqtt *h, const struct surface_io *io)
{
    h->c2d.retry_ms = io->now_ms + LIMIT_C2D_RETRY_MS;
    h->c2d.is_held_off = true;
}

/* Further away than anything is waited for: the clock went back. */
static bool is_retry_misplaced(const struct hub_mqtt_c2d *c, int64_t now_ms)
{
    int64_t most_ms = c->is_held_off ? LIMIT_C2D_RETRY_MS : 2 * LIMIT_C2D_LOCK_MAX_MS;

    return c->retry_ms != INT64_MAX && c->retry_ms - now_ms > most_ms;
}

enum surface_step hub_mqtt_deliver_c2d(struct hub_mqtt *h, bool is_quiet, struct surface_io *io)
{
    struct hub_job *job;
    struct task *t;

    h->c2d.packets++;
    if (is_retry_misplaced(&h->c2d, io->now_ms)) {
        hub_mqtt_on_retry(h);
    }
    if (h->state != HUB_MQTT_OPEN || h->c2d.is_held_off || !is_turn_due(h, is_quiet)) {
        return SURFACE_IDLE;
    }
    t = io->new_task(io);
    if (t == NULL) {
        hold_off(h, io);
        return SURFACE_IDLE;
    }
    job = hub_mqtt_new_job(h, t, HUB_JOB_C2D, "deliver");
    job->c2d = ARENA_NEW(&t->arena, struct hub_c2d_job);
    assert(job->c2d != NULL); /* second allocation in a fresh arena */
    fill_turn(h, job->c2d);
    t->run = run_turn;
    io->task = t;
    return SURFACE_WORK;
}

/* ---- what it brought ---- */

static void forget_completed(struct hub_mqtt_c2d *c)
{
    size_t kept = 0;

    for (size_t i = 0; i < c->n; i++) {
        if (!c->sent[i].is_acknowledged) {
            c->sent[kept++] = c->sent[i];
        }
    }
    c->n = kept;
    c->n_acknowledged = 0;
}

static void send(struct hub_mqtt *h, const struct hub_c2d_job *job, size_t i, struct surface_io *io)
{
    const struct c2d_message *m = &job->hand.messages[i];
    struct hub_mqtt_c2d *c = &h->c2d;
    struct mqtt_publish p = { .topic = job->topics[i], .payload = m->body };

    if (!job->turn.is_final) {
        p.qos = 1;
        p.dup = m->delivery_count > 1;
        p.packet_id = hub_mqtt_new_packet_id(h);
        c->sent[c->n].sequence = m->sequence;
        c->sent[c->n].packet_id = p.packet_id;
        c->sent[c->n++].is_acknowledged = false;
    }
    mqtt_codec_encode_publish(&p, io->out);
}

enum surface_step hub_mqtt_c2d_finish(struct hub_mqtt *h, struct task *t, struct surface_io *io)
{
    const struct hub_c2d_job *job = ((struct hub_job *)t->state)->c2d;

    if (err_is(job->result, ERR_BUSY)) {
        t->note.reason = REASON_THROTTLED;
        hold_off(h, io);
        return h->state == HUB_MQTT_OVER ? SURFACE_CLOSE : SURFACE_AGAIN;
    }
    if (!err_is_ok(job->result)) {
        t->note.reason = REASON_INTERNAL;
        h->state = HUB_MQTT_OVER;
        return SURFACE_CLOSE; /* it may be in flight: the next session knows */
    }
    t->note.reason = REASON_GRANTED;
    t->note.quiet = true;
    forget_completed(&h->c2d);
    if (h->state == HUB_MQTT_OVER) {
        return SURFACE_CLOSE; /* that was its last */
    }
    if (job->turn.room > 0) {
        h->c2d.may_have = job->hand.has_more;
        h->c2d.retry_ms = job->hand.look_again_ms;
    }
    for (size_t i = 0; i < job->hand.n; i++) {
        send(h, job, i, io);
    }
    return SURFACE_AGAIN;
}
