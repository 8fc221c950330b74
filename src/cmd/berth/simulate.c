/* cmd/berth/simulate.c: one device over the device library and its POSIX port. Knows the order of a
 * device's life and tells it; MQTT is the library's. */
#include "cmd/berth/simulate.h"

#include <stdarg.h>
#include <time.h>

#include "attest/sas.h"
#include "cmd/berth/simulate_receive.h"
#include "model/limits.h"
#include "posix_tls.h"

enum {
    TIMEOUT_MS = 30 * 1000,
    TICK_MS = 200, /* how soon an interrupt is noticed */
    KEEP_ALIVE_S = 60,
    RECONNECTS_MAX = 5,
    RECONNECT_AFTER_MS = 1000,
    LASTING_MS = 10 * 1000, /* a session that long was a good one: the count begins anew */
    IN_BYTES = 160 * 1024,  /* a method call of the largest size and its topic */
    OUT_BYTES = 272 * 1024, /* a message of the largest size and its topic */
    MESSAGE_BYTES = 262144,
    TOKEN_LASTS_S = 3600
};

static const char *const CONNACK_WORDS[] = {
    "accepted",           "protocol version refused",  "client ID refused",
    "server unavailable", "bad user name or password", "not authorized"
};

struct life {
    const struct simulate_plan *plan;
    struct simulate_device *device;
    struct berth_tls tls;
    bool is_open;
    struct simulate_receiver receiver;
    char token[1024];
    uint8_t in[IN_BYTES], out[OUT_BYTES], message[MESSAGE_BYTES];
};

static void tell_list(const struct simulate_plan *plan, const struct simulate_device *device,
                      const char *format, va_list args) __attribute__((format(printf, 3, 0)));

static void tell_list(const struct simulate_plan *plan, const struct simulate_device *device,
                      const char *format, va_list args)
{
    if (!plan->tells) {
        return;
    }
    (void)pthread_mutex_lock(plan->tells_once);
    (void)printf("%s: ", device->registration_id);
    (void)vprintf(format, args);
    (void)putchar('\n');
    (void)fflush(stdout);
    (void)pthread_mutex_unlock(plan->tells_once);
}

void berth_simulate_tell(const struct simulate_plan *plan, const struct simulate_device *device,
                         const char *format, ...)
{
    va_list args;

    va_start(args, format);
    tell_list(plan, device, format, args);
    va_end(args);
}

static void tell(const struct life *l, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void tell(const struct life *l, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    tell_list(l->plan, l->device, format, args);
    va_end(args);
}

static void end(struct life *l, enum simulate_outcome outcome, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void end(struct life *l, enum simulate_outcome outcome, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(l->device->why, sizeof(l->device->why), format, args);
    va_end(args);
    l->device->outcome = outcome;
    tell(l, "%s", l->device->why);
}

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void pause_ms(const struct life *l, int64_t ms)
{
    int64_t until = now_ms() + ms;

    for (int64_t left = ms; left > 0 && !*l->plan->interrupted; left = until - now_ms()) {
        int64_t step = left < TICK_MS ? left : TICK_MS;
        struct timespec t = { .tv_nsec = step * 1000000 };

        (void)nanosleep(&t, NULL);
    }
}

static err open_tls(struct life *l, const char *host)
{
    struct berth_tls_config config = {
        .host = host,
        .address = l->plan->endpoint.address,
        .port = l->plan->endpoint.port,
        .ca_file = l->plan->endpoint.ca_file,
        .chain_pem = l->device->chain_pem,
        .key_pem = l->device->key_pem,
        .timeout_ms = TIMEOUT_MS,
    };

    TRY(berth_tls_open(&l->tls, &config));
    l->is_open = true;
    return OK;
}

static void close_tls(struct life *l)
{
    if (l->is_open) {
        berth_tls_close(&l->tls);
    }
    l->is_open = false;
}

/* A token for "{a}/{between}/{b}" in l->token; NULL for a device with a certificate. The key is the
 * device's, or what its TPM was given last. */
static err make_token(struct life *l, const char *const parts[3], const char *key_name,
                      const char **ret_token)
{
    char resource[512];
    struct buf name = buf_over(resource, sizeof(resource));
    struct buf out = buf_over(l->token, sizeof(l->token) - 1);

    *ret_token = NULL;
    if (span_is_absent(l->device->symmetric_key) && l->device->tpm == NULL) {
        return OK;
    }
    buf_printf(&name, "%s/%s/%s", parts[0], parts[1], parts[2]);
    TRY(buf_ok(&name));
    if (l->device->tpm != NULL) {
        TRY(berth_provision_tpm_token(l->device->tpm->tpm, buf_span(&name), span_str(key_name),
                                      &out));
    } else {
        TRY(sas_make(l->plan->crypto, buf_span(&name), l->device->symmetric_key, span_str(key_name),
                     berth_cli_now_ms() / 1000 + TOKEN_LASTS_S, &out));
    }
    l->token[out.len] = '\0';
    *ret_token = l->token;
    return OK;
}

/* --- Provisioning. ------------------------------------------------------------------------- */

/* False: the device's life has ended, and why is told. */
static bool goes_on(struct life *l, err e)
{
    const struct berth_provisioning_result *r = &l->device->result;

    if (!err_is_ok(e)) {
        end(l, SIMULATE_FAILED, "provisioning failed: %s",
            err_detail()[0] ? err_detail() : err_name(e));
    } else if (r->status == BERTH_STATUS_DISABLED) {
        end(l, SIMULATE_REFUSED, "refused: its enrollment is disabled");
    } else if (r->status != BERTH_STATUS_ASSIGNED) {
        end(l, SIMULATE_REFUSED, "refused: %s (%d)%s%s", r->message, r->error_code,
            r->tracking_id[0] ? "; berth explain " : "", r->tracking_id);
    } else {
        return true;
    }
    return false;
}

static err flush_provisioning(struct life *l, struct berth_provisioning *p)
{
    struct span out = berth_provisioning_output(p);

    TRY(berth_tls_write(&l->tls, out));
    berth_provisioning_sent(p, out.len);
    return OK;
}

/* As long as the service wants. */
static void wait_for_service(const struct life *l, const struct berth_provisioning_result *r)
{
    tell(l, "%s; asking again in %d s",
         r->status == BERTH_STATUS_ASSIGNING ? "the service is assigning" : "the service is busy",
         r->retry_after_s);
    pause_ms(l, r->retry_after_s * 1000LL);
}

static err step_provisioning(struct life *l, struct berth_provisioning *p)
{
    uint8_t bytes[4096];
    size_t n = 0;

    TRY(flush_provisioning(l, p));
    if (berth_provisioning_state(p) == BERTH_PROVISIONING_WAITING) {
        wait_for_service(l, berth_provisioning_result(p));
        return berth_provisioning_resume(p);
    }
    TRY(berth_tls_read(&l->tls, bytes, sizeof(bytes), TIMEOUT_MS, &n));
    return berth_provisioning_input(p, span_of(bytes, n));
}

static err converse(struct life *l, struct berth_provisioning *p)
{
    struct berth_provisioning_config config = { .id_scope = l->plan->id_scope,
                                                .registration_id = l->device->registration_id,
                                                .user_agent = "berth%2F" BERTH_VERSION };
    struct berth_buffers buffers = { l->in, sizeof(l->in), l->out, sizeof(l->out) };
    const char *const resource[] = { config.id_scope, "registrations", config.registration_id };

    TRY(make_token(l, resource, "registration", &config.token));
    TRY(berth_provisioning_init(p, &config, &buffers));
    while (berth_provisioning_state(p) != BERTH_PROVISIONING_DONE) {
        if (*l->plan->interrupted) {
            return err_set(ERR_CLOSED, "interrupted");
        }
        TRY(step_provisioning(l, p));
    }
    berth_provisioning_disconnect(p);
    return flush_provisioning(l, p);
}

/* With a certificate or a symmetric key. */
static bool provision_over_mqtt(struct life *l)
{
    struct berth_provisioning p = { .state_ = BERTH_PROVISIONING_CONNECTING };
    int code = 0;
    err e;

    tell(l, "connecting to %s:%d, ID scope %s", l->plan->endpoint.host, l->plan->endpoint.port,
         l->plan->id_scope);
    e = open_tls(l, l->plan->endpoint.host);
    if (err_is_ok(e)) {
        e = converse(l, &p);
    }
    close_tls(l);
    l->device->result = *berth_provisioning_result(&p);
    if (err_is(berth_provisioning_fault(&p, &code), ERR_DENIED)) {
        end(l, SIMULATE_REFUSED, "the provisioning service refuses the connection: %s",
            CONNACK_WORDS[code < 6 ? code : 5]);
        return false;
    }
    return goes_on(l, e);
}

static err converse_with_tpm(struct life *l, struct provision_tpm *p)
{
    while (p->step != PROVISION_TPM_DONE) {
        enum provision_tpm_step before = p->step;

        if (*l->plan->interrupted) {
            return err_set(ERR_CLOSED, "interrupted");
        }
        TRY(berth_provision_tpm_next(p));
        if (p->step == PROVISION_TPM_REGISTERING && before == PROVISION_TPM_CHALLENGE) {
            tell(l, "challenged: the TPM has activated the service's key");
        } else if (p->step != PROVISION_TPM_DONE) {
            wait_for_service(l, &p->result);
        }
    }
    return OK;
}

static bool provision_by_tpm(struct life *l)
{
    struct provision_tpm p = {
        .cli = l->plan->cli,
        .endpoint = &l->plan->https,
        .id_scope = l->plan->id_scope,
        .registration_id = l->device->registration_id,
        .device = l->device->tpm,
    };
    err e;

    tell(l, "asking %s:%d for a challenge, ID scope %s", p.endpoint->host, p.endpoint->port,
         p.id_scope);
    e = converse_with_tpm(l, &p);
    l->device->result = p.result;
    return goes_on(l, e);
}

static bool provision(struct life *l)
{
    int64_t start = now_ms();
    bool is_assigned = l->device->tpm != NULL ? provision_by_tpm(l) : provision_over_mqtt(l);

    if (is_assigned) {
        tell(l, "assigned to %s as device %s (%lld ms)", l->device->result.assigned_hub,
             l->device->result.device_id, (long long)(now_ms() - start));
    }
    return is_assigned;
}

/* --- At the hub. --------------------------------------------------------------------------- */

static err flush_hub(struct life *l, struct berth_hub_client *h)
{
    struct span out = berth_hub_client_output(h);

    TRY(berth_tls_write(&l->tls, out));
    berth_hub_client_sent(h, out.len);
    return OK;
}

/* Sends what waits, takes what comes within the time. */
static err exchange(struct life *l, struct berth_hub_client *h, int wait_ms)
{
    uint8_t bytes[4096];
    size_t n = 0;
    err e;

    TRY(flush_hub(l, h));
    e = berth_tls_read(&l->tls, bytes, sizeof(bytes), wait_ms, &n);
    if (err_is(e, ERR_TIMEOUT)) {
        return OK;
    }
    TRY(e);
    TRY(berth_hub_client_input(h, span_of(bytes, n)));
    return flush_hub(l, h);
}

/* Until the hub has answered CONNECT and SUBSCRIBE, and acknowledged everything. */
static err settle(struct life *l, struct berth_hub_client *h)
{
    int64_t deadline = now_ms() + TIMEOUT_MS;

    while (berth_hub_client_state(h) == BERTH_HUB_CLIENT_CONNECTING ||
           berth_hub_client_pending(h) > 0 || !berth_hub_client_is_subscribed(h)) {
        if (now_ms() > deadline) {
            return err_set(ERR_TIMEOUT, "no answer from the hub");
        }
        if (*l->plan->interrupted) {
            return err_set(ERR_CLOSED, "interrupted");
        }
        TRY(exchange(l, h, TICK_MS));
    }
    return OK;
}

static err begin_receiving(struct life *l, struct berth_hub_client *h)
{
    TRY(berth_simulate_receive_begin(&l->receiver));
    TRY(settle(l, h));
    TRY(berth_simulate_receive_twin(&l->receiver));
    return flush_hub(l, h);
}

static err connect_hub(struct life *l, struct berth_hub_client *h)
{
    struct berth_hub_client_config config = { .host_name = l->device->result.assigned_hub,
                                              .device_id = l->device->result.device_id,
                                              .module_id = l->device->module_id,
                                              .user_agent = "berth%2F" BERTH_VERSION,
                                              .keep_alive_s = KEEP_ALIVE_S };
    struct berth_buffers buffers = { l->in, sizeof(l->in), l->out, sizeof(l->out) };
    char who[2 * LIMIT_DEVICE_ID + sizeof("/modules/")];
    const char *const resource[] = { config.host_name, "devices", who };

    (void)snprintf(who, sizeof(who), "%s%s%s", config.device_id,
                   config.module_id ? "/modules/" : "", config.module_id ? config.module_id : "");
    l->receiver = (struct simulate_receiver){ .plan = l->plan, .device = l->device, .client = h };
    if (l->plan->receives) {
        config.on_event = berth_simulate_receive_event;
        config.context = &l->receiver;
    }
    TRY(make_token(l, resource, NULL, &config.token));
    TRY(open_tls(l, config.host_name));
    TRY(berth_hub_client_init(h, &config, &buffers));
    TRY(settle(l, h));
    return l->plan->receives ? begin_receiving(l, h) : OK;
}

static bool open_hub(struct life *l, struct berth_hub_client *h)
{
    err e = connect_hub(l, h);
    int code = 0;

    if (err_is_ok(e)) {
        tell(l, "connected to %s", l->device->result.assigned_hub);
        return true;
    }
    close_tls(l);
    if (err_is(berth_hub_client_fault(h, &code), ERR_DENIED)) {
        end(l, SIMULATE_REFUSED, "the hub %s refuses the device: %s",
            l->device->result.assigned_hub,
            code == MQTT_UNAVAILABLE ? "unavailable, or the device is disabled"
                                     : CONNACK_WORDS[code < 6 ? code : 5]);
    } else {
        end(l, SIMULATE_FAILED, "cannot connect to the hub %s: %s", l->device->result.assigned_hub,
            err_detail()[0] ? err_detail() : err_name(e));
    }
    return false;
}

/* The template with {n} and {device} replaced; cut at the largest message. */
static struct span make_message(struct life *l, int64_t n)
{
    struct buf out = buf_over(l->message, sizeof(l->message));
    struct span rest = span_str(l->plan->message);

    while (rest.len > 0 && !out.failed) {
        if (span_starts_with(rest, SPAN("{n}"))) {
            buf_add_int(&out, n);
            rest = span_from(rest, 3);
        } else if (span_starts_with(rest, SPAN("{device}"))) {
            buf_add_str(&out, l->device->result.device_id);
            rest = span_from(rest, 8);
        } else {
            buf_add_u8(&out, rest.data[0]);
            rest = span_from(rest, 1);
        }
    }
    return buf_span(&out);
}

static err send_all(struct life *l, struct berth_hub_client *h)
{
    for (int64_t n = (int64_t)l->device->sent + 1; n <= l->plan->count; n++) {
        struct span message = make_message(l, n);

        TRY(berth_hub_client_send(h, message, l->plan->properties, l->plan->n_properties));
        TRY(settle(l, h));
        l->device->sent++;
        tell(l, "sent %lld of %lld: %.*s", (long long)n, (long long)l->plan->count,
             SPAN_FMT(span_first(message, 160)));
        if (n < l->plan->count) {
            int64_t until = now_ms() + l->plan->interval_ms;

            while (now_ms() < until && !*l->plan->interrupted) {
                int64_t left = until - now_ms();

                TRY(exchange(l, h, left < TICK_MS ? (int)left : TICK_MS));
            }
        }
        if (*l->plan->interrupted) {
            return OK;
        }
    }
    return OK;
}

static err stay(struct life *l, struct berth_hub_client *h)
{
    int64_t ping_at = now_ms() + KEEP_ALIVE_S * 500;

    tell(l, "staying connected; Ctrl-C ends");
    while (!*l->plan->interrupted) {
        if (now_ms() >= ping_at) {
            berth_hub_client_ping(h);
            ping_at = now_ms() + KEEP_ALIVE_S * 500;
        }
        TRY(exchange(l, h, TICK_MS));
    }
    return OK;
}

/* One session. False: the hub ended it. */
static bool session(struct life *l, struct berth_hub_client *h)
{
    err e = send_all(l, h);

    if (err_is_ok(e) && l->plan->stay && !*l->plan->interrupted) {
        e = stay(l, h);
    }
    if (err_is_ok(e) || *l->plan->interrupted) {
        berth_hub_client_disconnect(h);
        (void)flush_hub(l, h);
        close_tls(l);
        tell(l, "disconnected");
        return true;
    }
    close_tls(l);
    tell(l, "the hub %s ended the session (%s)", l->device->result.assigned_hub,
         err_is(e, ERR_CLOSED) ? "connection closed" : err_name(e));
    return false;
}

/* A session that the hub ended is tried again: the answer tells a device that was shut out from one
 * that lost its connection. */
static void live_at_hub(struct life *l)
{
    struct berth_hub_client h = { .state_ = BERTH_HUB_CLIENT_CONNECTING };
    struct simulate_device *device = l->device;
    bool was_open = false;

    for (int i = 0; i <= RECONNECTS_MAX; i++) {
        int64_t began = now_ms();

        if (open_hub(l, &h)) {
            was_open = true;
            if (session(l, &h)) {
                return;
            }
            i = now_ms() - began > LASTING_MS ? 0 : i;
        } else if (!was_open || device->outcome == SIMULATE_REFUSED) {
            return;
        }
        device->outcome = SIMULATE_DONE;
        device->why[0] = '\0';
        pause_ms(l, (int64_t)RECONNECT_AFTER_MS << i);
        if (*l->plan->interrupted) {
            return;
        }
    }
    end(l, SIMULATE_FAILED, "gave up on the hub %s after %d attempts", device->result.assigned_hub,
        RECONNECTS_MAX + 1);
}

void berth_simulate_run(const struct simulate_plan *plan, struct simulate_device *device)
{
    struct life *l = berth_cli_map(sizeof(*l));

    if (l == NULL) {
        device->outcome = SIMULATE_FAILED;
        return;
    }
    l->plan = plan;
    l->device = device;
    if ((device->is_provisioned || provision(l)) && (plan->count > 0 || plan->stay)) {
        live_at_hub(l);
    }
    berth_cli_unmap(l, sizeof(*l));
}
