/* api/hub_mqtt_filters.c: SUBSCRIBE and UNSUBSCRIBE. What outlives the connection is durable before
 * it is answered. */
#include "api/hub_mqtt_job.h"

#include "api/error.h"
#include "hub/bus_call.h"

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
    err e = hub_session_keep(&t->env, &job->kept, t->service->bus, job->member, &job->verdict);

    if (!err_is_ok(e)) {
        job->verdict = err_is(e, ERR_BUSY) ? VERDICT(THROTTLED) : VERDICT(INTERNAL);
        t->note.fault = error_fault_text(&t->arena, e);
    }
}

/* A method that waits for a subscription comes behind its SUBACK. */
static void acknowledge(struct hub_mqtt *h, const struct hub_job *job, struct surface_io *io)
{
    if (job->n_codes > 0) {
        mqtt_codec_encode_suback(job->packet_id, span_of(job->codes, job->n_codes), io->out);
        bus_call_ready(h->surface->service->bus, &h->member);
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
                                  .client_id = hub_mqtt_client_id(h),
                                  .generation_id = span_of(h->generation, h->generation_len),
                                  /* the connection waits for us */
                                  .filters = filters_span(&h->filters) };
    job->member = &h->member;
    t->run = run_keep;
    io->task = t;
    return SURFACE_WORK;
}

enum surface_step hub_mqtt_subscribe(struct hub_mqtt *h, const struct mqtt_packet *p,
                                     struct surface_io *io)
{
    struct hub_job answer = { .packet_id = p->subscribe.packet_id };
    uint8_t room[LIMIT_FILTERS];
    struct buf before = buf_over(room, sizeof(room));
    struct span rest = p->subscribe.filters;
    struct span filter;
    uint8_t qos;

    h->c2d.may_have = true;
    buf_add(&before, filters_span(&h->filters));
    while (mqtt_codec_next_filter(p, &rest, &filter, &qos)) {
        if (p->type == MQTT_SUBSCRIBE) {
            answer.codes[answer.n_codes++] = subscribe(&h->filters, filter, qos);
        } else {
            filters_remove(&h->filters, filter);
        }
    }
    /* SDKs subscribe again after each reconnect to what is kept already. */
    if (!h->is_clean && !span_eq(buf_span(&before), filters_span(&h->filters))) {
        return keep_filters(h, &answer, io);
    }
    acknowledge(h, &answer, io);
    return SURFACE_AGAIN;
}

enum surface_step hub_mqtt_filters_finish(struct hub_mqtt *h, struct task *t, struct surface_io *io)
{
    struct hub_job *job = t->state;

    t->note.reason = job->verdict.reason;
    if (!verdict_is_granted(job->verdict)) {
        h->state = HUB_MQTT_OVER;
        return SURFACE_CLOSE;
    }
    acknowledge(h, job, io);
    return SURFACE_AGAIN;
}
