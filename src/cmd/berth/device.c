/* cmd/berth/device.c: `berth device simulate`: who the devices are, and running them, each on a
 * thread of its own. What a device does is simulate.c's. */
#include "cmd/berth/commands.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "cmd/berth/enrollment_keys.h"
#include "cmd/berth/file.h"
#include "cmd/berth/issue.h"
#include "cmd/berth/pem.h"
#include "cmd/berth/simulate.h"
#include "cmd/berth/tpm.h"
#include "model/limits.h"
#include "util/base64.h"
#include "util/connection_string.h"
#include "json/writer.h"

enum { THREADS_MAX = 64, STAYING_MAX = 1000, KEY_PEM_MAX = 8192 };

#define DEFAULT_MESSAGE "{\"device\":\"{device}\",\"n\":{n}}"

static atomic_bool interrupted; /* threads look at it */
static pthread_mutex_t tells_once = PTHREAD_MUTEX_INITIALIZER;

static void on_signal(int signal_number)
{
    (void)signal_number;
    atomic_store(&interrupted, true);
}

struct crew {
    const struct simulate_plan *plan;
    struct simulate_device *devices;
    size_t n, next;
    pthread_mutex_t lock;
};

static struct simulate_device *take_next(struct crew *crew)
{
    struct simulate_device *device;

    (void)pthread_mutex_lock(&crew->lock);
    device = crew->next < crew->n ? &crew->devices[crew->next++] : NULL;
    (void)pthread_mutex_unlock(&crew->lock);
    return device;
}

static void *work(void *context)
{
    struct crew *crew = context;
    struct simulate_device *device;

    while ((device = take_next(crew)) != NULL) {
        berth_simulate_run(crew->plan, device);
    }
    return NULL;
}

static void run_all(struct crew *crew)
{
    pthread_t threads[STAYING_MAX];
    size_t most = crew->plan->stay ? STAYING_MAX : THREADS_MAX, n = 0;

    (void)pthread_mutex_init(&crew->lock, NULL);
    while (n < crew->n && n < most && pthread_create(&threads[n], NULL, work, crew) == 0) {
        n++;
    }
    if (n == 0) {
        (void)work(crew);
    }
    for (size_t i = 0; i < n; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    (void)pthread_mutex_destroy(&crew->lock);
}

/* --- Who they are. ------------------------------------------------------------------------- */

static err common_name(struct cli *cli, const char *path, const char **ret_name)
{
    struct crypto_cert *certificates[BERTH_PEM_CERTIFICATES_MAX];
    char memory[256];
    struct buf name = buf_over(memory, sizeof(memory));
    size_t n = 0;
    err e;

    TRY(berth_pem_read_certificates(cli, path, certificates, &n));
    e = crypto_x509_common_name(certificates[0], &name);
    berth_pem_free_certificates(certificates, n);
    if (!err_is_ok(e)) {
        return err_set(ERR_MALFORMED, "%s has not exactly one common name; give --registration-id",
                       path);
    }
    *ret_name = berth_cli_cstr(cli, buf_span(&name));
    return OK;
}

static err read_certificate(struct cli *cli, struct simulate_device *device)
{
    const char *cert = berth_cli_text(cli, "cert"), *key = berth_cli_text(cli, "key");
    const char *chain = berth_cli_text(cli, "chain");
    struct span leaf, more = SPAN_NONE;

    if (cert == NULL || key == NULL) {
        return berth_cli_usage(cli, "--cert and --key go together");
    }
    if (berth_options_int(&cli->options, "devices") > 1) {
        return berth_cli_usage(cli, "--devices wants --ca-cert and --ca-key, not --cert");
    }
    TRY(berth_file_read(&cli->arena, cert, &leaf));
    TRY(berth_file_read(&cli->arena, key, &device->key_pem));
    if (chain != NULL) {
        TRY(berth_file_read(&cli->arena, chain, &more));
    }
    device->chain_pem =
        span_str(berth_cli_printf(cli, "%.*s\n%.*s", SPAN_FMT(leaf), SPAN_FMT(more)));
    return OK;
}

static err device_of_files(struct cli *cli, struct simulate_device *device)
{
    TRY(read_certificate(cli, device));
    device->registration_id = berth_cli_text(cli, "registration-id");
    return device->registration_id
               ? OK
               : common_name(cli, berth_cli_text(cli, "cert"), &device->registration_id);
}

static err check_alone(struct cli *cli, const char *option)
{
    if (berth_options_int(&cli->options, "devices") > 1) {
        return berth_cli_usage(cli, "--%s is one device's: not with --devices", option);
    }
    return OK;
}

static err device_of_symmetric_key(struct cli *cli, struct simulate_device *device)
{
    device->registration_id = berth_cli_text(cli, "registration-id");
    if (device->registration_id == NULL) {
        return berth_cli_usage(cli, "--symmetric-key wants --registration-id");
    }
    TRY(check_alone(cli, "symmetric-key"));
    return berth_enrollment_keys_parse(cli, "symmetric-key", &device->symmetric_key);
}

static bool has_files(const struct cli *cli)
{
    return berth_options_has(&cli->options, "cert") || berth_options_has(&cli->options, "key");
}

/* What the connection string says that the device proves itself by. */
static err read_proof(struct cli *cli, struct span text, struct simulate_device *device)
{
    struct buf key = arena_buf(&cli->arena);

    if (span_is_absent(text)) {
        return has_files(cli)
                   ? read_certificate(cli, device)
                   : berth_cli_usage(cli, "a connection string with x509=true wants --cert and "
                                          "--key");
    }
    if (has_files(cli)) {
        return berth_cli_usage(cli, "the connection string has a key: --cert and --key go with "
                                    "x509=true");
    }
    if (!err_is_ok(base64_decode(text, &key))) {
        return berth_cli_usage(cli, "the SharedAccessKey of the connection string is not base64");
    }
    return arena_buf_end(&cli->arena, &key, &device->symmetric_key);
}

/* Of a device, or a module, that an operator made on the hub. */
static err device_of_connection_string(struct cli *cli, struct simulate_plan *plan,
                                       struct simulate_device *device)
{
    struct berth_provisioning_result *r = &device->result;
    struct connection_string_device parts;

    TRY(check_alone(cli, "connection-string"));
    if (!err_is_ok(connection_string_parse_device(
            span_str(berth_cli_text(cli, "connection-string")), &parts))) {
        return berth_cli_usage(cli, "%s", err_detail());
    }
    if (parts.host.len >= sizeof(r->assigned_hub) || parts.device.len >= sizeof(r->device_id) ||
        parts.module.len > LIMIT_DEVICE_ID) {
        return berth_cli_usage(cli, "a name in the connection string is too long");
    }
    memcpy(r->assigned_hub, parts.host.data, parts.host.len);
    memcpy(r->device_id, parts.device.data, parts.device.len);
    r->status = BERTH_STATUS_ASSIGNED;
    device->is_provisioned = true;
    device->registration_id = r->device_id;
    if (!span_is_absent(parts.module)) {
        device->module_id = berth_cli_cstr(cli, parts.module);
        device->registration_id = berth_cli_printf(cli, "%s/%s", r->device_id, device->module_id);
    }
    berth_cli_device_endpoint_at(cli, r->assigned_hub, &plan->endpoint);
    return read_proof(cli, parts.key, device);
}

/* *ret_tpm is the caller's to close, once the device has run. */
static err device_of_tpm(struct cli *cli, struct simulate_plan *plan,
                         struct simulate_device *device, struct tpm_client **ret_tpm)
{
    struct provision_tpm_device *tpm = ARENA_NEW(&cli->arena, struct provision_tpm_device);
    const char *name = berth_cli_text(cli, "registration-id"), *own = NULL;
    const char *more = berth_cli_text(cli, "endorsement-certificates");

    if (tpm == NULL) {
        return ERR(NOMEM);
    }
    TRY(check_alone(cli, "tpm"));
    TRY(berth_cli_device_https(cli, &plan->https));
    TRY(berth_tpm_open(cli, tpm, &own));
    *ret_tpm = tpm->tpm;
    if (more != NULL) {
        TRY(berth_tpm_add_certificates(cli, more, tpm));
    }
    tpm->persists = berth_options_flag(&cli->options, "persist");
    device->registration_id = name ? name : own;
    device->tpm = tpm;
    plan->cli = cli;
    return OK;
}

static err make_device(struct cli *cli, const struct issue_ca *ca, const char *name,
                       struct simulate_device *device)
{
    AUTO(crypto_key) struct crypto_key *key = NULL;
    AUTO(crypto_cert) struct crypto_cert *certificate = NULL;
    struct issue_request request = { .profile = CA_PROFILE_DEVICE,
                                     .common_name = name,
                                     .now_ms = berth_cli_now_ms(),
                                     .path_len = -1,
                                     .ca = ca };
    struct buf pem;

    device->registration_id = name;
    TRY(berth_issue_make(cli->crypto, &request, &key, &certificate));
    TRY(berth_issue_format_chain(cli, certificate, ca, &device->chain_pem));
    pem = arena_buf(&cli->arena);
    TRY(crypto_key_encode_pem(key, &pem));
    return arena_buf_end(&cli->arena, &pem, &device->key_pem);
}

static err devices_of_ca(struct cli *cli, struct simulate_device *devices, size_t n)
{
    const char *prefix = berth_cli_text(cli, "device-prefix");
    const char *name = berth_cli_text(cli, "registration-id");
    struct issue_ca ca;
    err e = OK;

    if (name != NULL && n > 1) {
        return berth_cli_usage(cli, "--registration-id is for one device; give --device-prefix");
    }
    TRY(berth_issue_open_ca(cli, berth_cli_text(cli, "ca-cert"), berth_cli_text(cli, "ca-key"),
                            &ca));
    for (size_t i = 0; i < n && err_is_ok(e); i++) {
        const char *made = berth_cli_printf(cli, "%s-%zu", prefix ? prefix : "simulated", i + 1);

        e = make_device(cli, &ca, name ? name : made, &devices[i]);
    }
    berth_issue_close_ca(&ca);
    return e;
}

/* --- What they do. ------------------------------------------------------------------------- */

/* NAME=VALUE,NAME=VALUE behind what tells the hub that the message is JSON. */
static err read_properties(struct cli *cli, struct simulate_plan *plan)
{
    struct span rest = span_str(berth_cli_text(cli, "properties"));

    if (!berth_options_has(&cli->options, "message")) {
        plan->properties[plan->n_properties++] =
            (struct berth_property){ "$.ct", "application/json" };
        plan->properties[plan->n_properties++] = (struct berth_property){ "$.ce", "utf-8" };
    }
    while (!span_is_absent(rest)) {
        struct span value = span_cut(&rest, ','), name = span_cut(&value, '=');

        if (name.len == 0 || span_is_absent(value)) {
            return berth_cli_usage(cli, "--properties wants NAME=VALUE,NAME=VALUE");
        }
        if (plan->n_properties == SIMULATE_PROPERTIES_MAX) {
            return berth_cli_usage(cli, "--properties takes at most %d",
                                   SIMULATE_PROPERTIES_MAX - 2);
        }
        plan->properties[plan->n_properties++] =
            (struct berth_property){ berth_cli_cstr(cli, name), berth_cli_cstr(cli, value) };
    }
    return OK;
}

/* What a method call is answered with must be JSON: a hub passes on nothing else. */
static err check_answer(struct cli *cli)
{
    const char *answer = berth_cli_text(cli, "method-response-payload");
    AUTO(json) json *document = NULL;

    return answer == NULL || err_is_ok(json_parse(span_str(answer), LIMIT_JSON_DEPTH, &document))
               ? OK
               : berth_cli_usage(cli, "--method-response-payload is not JSON");
}

static err make_plan(struct cli *cli, struct simulate_plan *plan)
{
    const char *message = berth_cli_text(cli, "message");

    TRY(check_answer(cli));
    *plan = (struct simulate_plan){
        .count = berth_options_int(&cli->options, "count"),
        .interval_ms = berth_options_int(&cli->options, "interval"),
        .message = message ? message : DEFAULT_MESSAGE,
        .stay = berth_options_flag(&cli->options, "stay") ||
                berth_options_flag(&cli->options, "receive"),
        .receives = berth_options_flag(&cli->options, "receive"),
        .method_status = berth_options_int(&cli->options, "method-response-code"),
        .method_answer = berth_cli_text(cli, "method-response-payload"),
        .tells = !cli->is_json && !berth_options_flag(&cli->options, "quiet"),
        .tells_once = &tells_once,
        .interrupted = &interrupted,
        .crypto = cli->crypto,
    };
    TRY(read_properties(cli, plan));
    if (berth_options_has(&cli->options, "connection-string")) {
        return OK; /* its device knows where to go */
    }
    TRY(berth_cli_id_scope(cli, &plan->id_scope));
    return berth_cli_device_endpoint(cli, &plan->endpoint);
}

/* --- What became of them. ------------------------------------------------------------------ */

static void write_device(struct json_writer *w, const struct simulate_device *d)
{
    static const char *const outcomes[] = { "done", "failed", "refused" };

    json_write_begin_object(w, NULL);
    json_write_str(w, "registrationId", d->registration_id);
    json_write_str(w, "outcome", outcomes[d->outcome]);
    json_write_str(w, "status", berth_provisioning_status_name(d->result.status));
    json_write_str(w, "assignedHub", d->result.assigned_hub);
    json_write_str(w, "deviceId", d->result.device_id);
    json_write_int(w, "errorCode", d->result.error_code);
    json_write_str(w, "message", d->why);
    json_write_str(w, "trackingId", d->result.tracking_id);
    json_write_int(w, "messagesSent", (int64_t)d->sent);
    json_write_int(w, "messagesReceived", (int64_t)d->received);
    json_write_int(w, "methodsAnswered", (int64_t)d->answered);
    json_write_end_object(w);
}

static err report(struct cli *cli, const struct simulate_device *devices, size_t n, bool tells)
{
    size_t counts[3] = { 0 };
    const char *why = "";

    if (cli->is_json) {
        struct buf out = arena_buf(&cli->arena);
        struct json_writer w = json_writer_over(&out);
        struct span text;

        json_write_begin_array(&w, NULL);
        for (size_t i = 0; i < n; i++) {
            write_device(&w, &devices[i]);
        }
        json_write_end_array(&w);
        TRY(arena_buf_end(&cli->arena, &out, &text));
        (void)puts((const char *)text.data);
    }
    for (size_t i = 0; i < n; i++) {
        counts[devices[i].outcome]++;
        why = devices[i].outcome != SIMULATE_DONE && why[0] == '\0' ? devices[i].why : why;
    }
    if (n > 1 && !cli->is_json) {
        (void)printf("%zu devices: %zu done, %zu refused, %zu failed\n", n, counts[SIMULATE_DONE],
                     counts[SIMULATE_REFUSED], counts[SIMULATE_FAILED]);
    }
    if (counts[SIMULATE_REFUSED] > 0) {
        cli->exit_status = BERTH_EXIT_REFUSED;
    }
    if (counts[SIMULATE_DONE] == n) {
        return OK;
    }
    if (!tells || n == 1) {
        return err_set(ERR_IO, "%s", tells ? "the device did not get through" : why);
    }
    return err_set(ERR_IO, "%zu of %zu devices did not get through", n - counts[0], n);
}

static err check_one_proof(struct cli *cli)
{
    static const char *const tpm_only[] = { "tcti", "endorsement-certificates", "persist" };
    bool has_key = berth_options_has(&cli->options, "symmetric-key");
    bool has_tpm = berth_options_flag(&cli->options, "tpm");
    bool has_string = berth_options_has(&cli->options, "connection-string");

    if ((has_files(cli) && !has_string) + has_key + has_tpm + has_string > 1) {
        return berth_cli_usage(cli, "one of --cert with --key, --symmetric-key, --tpm and "
                                    "--connection-string, not more");
    }
    for (size_t i = 0; !has_tpm && i < sizeof(tpm_only) / sizeof(tpm_only[0]); i++) {
        if (berth_options_has(&cli->options, tpm_only[i])) {
            return berth_cli_usage(cli, "--%s goes with --tpm", tpm_only[i]);
        }
    }
    return OK;
}

static err find_devices(struct cli *cli, struct crew *crew, struct simulate_plan *plan,
                        struct tpm_client **ret_tpm)
{
    TRY(check_one_proof(cli));
    if (berth_options_flag(&cli->options, "tpm")) {
        return device_of_tpm(cli, plan, crew->devices, ret_tpm);
    }
    if (berth_options_has(&cli->options, "connection-string")) {
        return device_of_connection_string(cli, plan, crew->devices);
    }
    if (berth_options_has(&cli->options, "symmetric-key")) {
        return device_of_symmetric_key(cli, crew->devices);
    }
    return has_files(cli) ? device_of_files(cli, crew->devices)
                          : devices_of_ca(cli, crew->devices, crew->n);
}

err berth_device_simulate(struct cli *cli)
{
    AUTO(tpm_client) struct tpm_client *tpm = NULL;
    struct crew crew = { .n = (size_t)berth_options_int(&cli->options, "devices") };
    struct sigaction action = { .sa_handler = on_signal };
    struct simulate_plan plan;

    TRY(make_plan(cli, &plan));
    if (plan.stay && crew.n > STAYING_MAX) {
        return berth_cli_usage(cli, "at most %d devices can --stay", STAYING_MAX);
    }
    crew.plan = &plan;
    crew.devices = ARENA_ARRAY(&cli->arena, crew.n, struct simulate_device);
    if (crew.devices == NULL) {
        return ERR(NOMEM);
    }
    TRY(find_devices(cli, &crew, &plan, &tpm));
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    run_all(&crew);
    return report(cli, crew.devices, crew.n, plan.tells);
}
