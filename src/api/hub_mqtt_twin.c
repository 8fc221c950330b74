/* api/hub_mqtt_twin.c: a device reads its twin and reports its properties (reference
 * iothub-device-api.md 8). An answer goes out only when what it says is durable; NODE looks for an
 * error in the body alone, so every refusal has one. */
#include "api/error.h"
#include "api/hub_mqtt_job.h"
#include "api/hub_twin_json.h"
#include "hub/twin.h"

static err read_twin(struct task *t, struct hub_job *job)
{
    struct device device;
    struct buf out;
    struct json_writer w = json_writer_over(&out);

    TRY(hub_twin_get(&t->env, job->hub, job->device_id, &device, &job->verdict));
    if (verdict_is_granted(job->verdict) && !span_eq(device.generation_id, job->generation)) {
        job->verdict =
            VERDICT(DEVICE_NOT_FOUND); /* another of its ID: we are about to be cut off */
    }
    if (!verdict_is_granted(job->verdict)) {
        return OK;
    }
    out = arena_buf(&t->arena);
    hub_twin_json_write_own(&device, &w);
    return arena_buf_end(&t->arena, &out, &job->body);
}

static err report(struct task *t, struct hub_job *job)
{
    const struct hub_twin_report r = { .patch = job->patch,
                                       .if_version = job->request.if_version,
                                       .generation_id = job->generation };

    return hub_twin_report(&t->env, job->hub, job->device_id, &r, &job->version, &job->verdict);
}

static err answer(struct task *t, struct hub_job *job)
{
    bool is_read = job->request.operation == TOPIC_TWIN_GET;
    const struct hub_use use = { .operation = is_read ? THROTTLE_TWIN_READS : THROTTLE_TWIN_UPDATES,
                                 .client_id = job->device_id,
                                 .bytes = job->patch.len };
    int wait_s;

    TRY(hub_limits_allow(&t->env, job->hub, &use, &wait_s, &job->verdict));
    if (!verdict_is_granted(job->verdict)) {
        return OK;
    }
    return is_read ? read_twin(t, job) : report(t, job);
}

/* On a worker. */
static void run_twin(struct task *t)
{
    struct hub_job *job = t->state;
    err e = answer(t, job);
    struct buf out;

    if (!err_is_ok(e)) {
        job->verdict = err_is(e, ERR_BUSY) ? VERDICT(THROTTLED) : VERDICT(INTERNAL);
        t->note.fault = error_fault_text(&t->arena, e);
    }
    if (!verdict_is_granted(job->verdict)) {
        out = arena_buf(&t->arena);
        error_write_provisioning(&t->env, job->verdict, &out);
        job->body = err_is_ok(arena_buf_end(&t->arena, &out, &job->body)) ? job->body : SPAN("{}");
    }
}

enum surface_step hub_mqtt_twin_publish(struct hub_mqtt *h, const struct mqtt_publish *p,
                                        struct surface_io *io)
{
    struct topic_twin_request request;
    struct hub_job *job;
    struct task *t;

    if (!err_is_ok(topic_parse_twin_request(p->topic, &request))) {
        return hub_mqtt_close(h, REASON_TOPIC_FORBIDDEN, "not a request of the twin", io);
    }
    if (p->qos > 0 && h->appends_in_flight > 0) {
        return SURFACE_IDLE; /* PUBACKs go out in the order of what they acknowledge */
    }
    t = io->new_task(io);
    if (t == NULL) {
        return h->appends_in_flight > 0 ? SURFACE_IDLE
                                        : hub_mqtt_close(h, REASON_THROTTLED, NULL, io);
    }
    job = hub_mqtt_new_job(h, t, HUB_JOB_TWIN,
                           request.operation == TOPIC_TWIN_GET ? "get-twin" : "report-properties");
    job->packet_id = p->packet_id;
    job->request = request; /* spans of the input, which stays until the finish */
    job->hub = hub_mqtt_hub(h);
    job->device_id = hub_mqtt_client_id(h);
    job->generation = span_of(h->generation, h->generation_len);
    job->patch = p->payload;
    t->run = run_twin;
    io->task = t;
    return SURFACE_WORK;
}

enum surface_step hub_mqtt_twin_finish(struct hub_mqtt *h, struct task *t, struct surface_io *io)
{
    struct hub_job *job = t->state;
    bool is_granted = verdict_is_granted(job->verdict);
    bool is_report = job->request.operation == TOPIC_TWIN_REPORT;
    uint8_t room[LIMIT_MQTT_TOPIC + 64];
    struct buf topic = buf_over(room, sizeof(room));
    int status = !is_granted ? reason_info(job->verdict.reason)->http_status
                 : is_report ? 204
                             : 200;

    t->note.reason = job->verdict.reason;
    t->note.status = status;
    if (job->packet_id != 0) {
        mqtt_codec_encode_puback(job->packet_id, io->out);
    }
    if (span_is_empty(job->request.rid)) {
        return SURFACE_AGAIN;
    }
    buf_printf(&topic, "$iothub/twin/res/%d/?$rid=%.*s", status, SPAN_FMT(job->request.rid));
    if (is_granted && is_report) {
        buf_printf(&topic, "&$version=%lld", (long long)job->version);
    }
    hub_mqtt_send(h, buf_span(&topic), job->body, io);
    return SURFACE_AGAIN;
}
