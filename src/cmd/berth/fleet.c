/* cmd/berth/fleet.c: `berth fleet`: reads the plan, makes the devices' certificates before the
 * clock starts, and reports. Running them is fleet_engine.c's. */
#include "cmd/berth/fleet.h"

#include <openssl/x509.h>
#include <sched.h>
#include <sys/resource.h>

#include "cmd/berth/commands.h"
#include "cmd/berth/issue.h"
#include "model/limits.h"

AUTO_DEFINE(ssl_ctx, SSL_CTX *, SSL_CTX_free)

enum { SPARE_FILES = 64, KEY_PEM_MAX = 8192, FLEET_HOLD_MAX = 50000 };

static err pin(struct cli *cli)
{
    cpu_set_t set;

    if (!berth_options_has(&cli->options, "core")) {
        return OK;
    }
    CPU_ZERO(&set);
    CPU_SET((size_t)berth_options_int(&cli->options, "core"), &set);
    return sched_setaffinity(0, sizeof(set), &set) == 0
               ? OK
               : berth_cli_usage(cli, "there is no core %s", berth_cli_text(cli, "core"));
}

static err allow_files(struct cli *cli, size_t n)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= n + SPARE_FILES) {
        return OK;
    }
    limit.rlim_cur = n + SPARE_FILES < limit.rlim_max ? n + SPARE_FILES : limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= n + SPARE_FILES
               ? OK
               : berth_cli_usage(cli, "--concurrency %zu wants more open files than are allowed",
                                 n);
}

/* --- Devices. ------------------------------------------------------------------------------ */

/* The same key and certificate over another context: the one that will shake hands. */
static err move(struct crypto *to, const struct crypto_key *key, const struct crypto_cert *cert,
                struct fleet_identity *identity)
{
    AUTO(crypto_key) struct crypto_key *moved_key = NULL;
    AUTO(crypto_cert) struct crypto_cert *moved = NULL;
    uint8_t memory[KEY_PEM_MAX + LIMIT_CERTIFICATE_DER];
    struct buf out = buf_over(memory, sizeof(memory));

    TRY(crypto_key_encode_pem(key, &out));
    TRY(crypto_key_decode_pem(to, buf_span(&out), &moved_key));
    out.len = 0;
    TRY(crypto_x509_encode(cert, &out));
    TRY(crypto_x509_decode(to, buf_span(&out), &moved));
    identity->certificate = crypto_x509_native(moved);
    identity->key = crypto_key_native(moved_key);
    return X509_up_ref(identity->certificate) == 1 && EVP_PKEY_up_ref(identity->key) == 1
               ? OK
               : ERR(CRYPTO);
}

static err make_identity(struct cli *cli, struct crypto *tls, const struct issue_ca *ca,
                         struct fleet_identity *identity)
{
    AUTO(crypto_key) struct crypto_key *key = NULL;
    AUTO(crypto_cert) struct crypto_cert *certificate = NULL;
    struct issue_request request = { .profile = CA_PROFILE_DEVICE,
                                     .common_name = identity->name,
                                     .now_ms = berth_cli_now_ms(),
                                     .path_len = -1,
                                     .ca = ca };

    TRY(berth_issue_make(cli->crypto, &request, &key, &certificate));
    return move(tls, key, certificate, identity);
}

static err make_identities(struct cli *cli, struct crypto *tls, const struct issue_ca *ca,
                           struct fleet_identity *identities, size_t n)
{
    const char *prefix = berth_cli_text(cli, "device-prefix");

    for (size_t i = 0; i < n; i++) {
        identities[i].name = berth_cli_printf(cli, "%s-%zu", prefix ? prefix : "fleet", i + 1);
        TRY(make_identity(cli, tls, ca, &identities[i]));
    }
    return OK;
}

static void free_identities(struct fleet_identity *identities, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        X509_free(identities[i].certificate);
        EVP_PKEY_free(identities[i].key);
    }
}

/* --- TLS. ---------------------------------------------------------------------------------- */

/* The CA's own issuers go along with every leaf, but a root never does. */
static err add_intermediates(SSL_CTX *tls, const struct issue_ca *ca)
{
    for (size_t i = 0; i < ca->n_chain; i++) {
        X509 *native = crypto_x509_native(ca->chain[i]);

        if (crypto_x509_is_self_issued(ca->chain[i])) {
            continue;
        }
        if (X509_up_ref(native) != 1 || SSL_CTX_add_extra_chain_cert(tls, native) != 1) {
            return crypto_fail("the CA's chain");
        }
    }
    return OK;
}

/* Without it OpenSSL builds and checks the server's path even when nobody asks for the result. */
static int trust_anybody(X509_STORE_CTX *context, void *unused)
{
    (void)context, (void)unused;
    return 1;
}

static err make_tls(struct cli *cli, struct crypto *crypto, const struct issue_ca *ca,
                    const struct fleet_plan *plan, SSL_CTX **ret_tls)
{
    AUTO(ssl_ctx)
    SSL_CTX *tls = SSL_CTX_new_ex(crypto_lib_ctx(crypto), NULL, TLS_client_method());
    const char *version = berth_cli_text(cli, "tls");
    int only = version == NULL ? 0 : version[2] == '2' ? TLS1_2_VERSION : TLS1_3_VERSION;

    if (tls == NULL || SSL_CTX_set_min_proto_version(tls, only ? only : TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_max_proto_version(tls, only) != 1) {
        return crypto_fail("TLS");
    }
    (void)SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    if (berth_options_flag(&cli->options, "verify")) {
        SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
        if (plan->endpoint.ca_file != NULL
                ? SSL_CTX_load_verify_locations(tls, plan->endpoint.ca_file, NULL) != 1
                : SSL_CTX_set_default_verify_paths(tls) != 1) {
            return crypto_fail("the server's CA");
        }
    } else {
        SSL_CTX_set_cert_verify_callback(tls, trust_anybody, NULL);
    }
    TRY(add_intermediates(tls, ca));
    *ret_tls = tls;
    tls = NULL;
    return OK;
}

/* --- The run. ------------------------------------------------------------------------------ */

/* All must be there at once; and whoever sends less often than it pings would be cut off. */
static err check_hold(struct cli *cli, struct fleet_plan *plan)
{
    if (plan->mode != FLEET_HOLD) {
        return plan->interval_ns == 0 ? OK : berth_cli_usage(cli, "--interval goes with --hold");
    }
    if (plan->messages > 0 || berth_options_int(&cli->options, "rounds") > 1) {
        return berth_cli_usage(cli, "--hold goes with neither --messages nor --rounds");
    }
    if (plan->interval_ns > plan->keep_alive_ns) {
        return berth_cli_usage(cli, "--interval is longer than --keep-alive");
    }
    if (plan->n_identities > FLEET_HOLD_MAX) {
        return berth_cli_usage(cli, "--hold goes with at most %d --devices", FLEET_HOLD_MAX);
    }
    plan->concurrency = plan->n_identities;
    return OK;
}

static err make_plan(struct cli *cli, struct fleet_plan *plan)
{
    const struct options *o = &cli->options;

    *plan = (struct fleet_plan){
        .mode = berth_options_flag(o, "handshake-only") ? FLEET_HANDSHAKE
                : berth_options_flag(o, "connect-only") ? FLEET_MQTT
                : berth_options_has(o, "hold")          ? FLEET_HOLD
                : berth_options_int(o, "messages") > 0  ? FLEET_TELEMETRY
                                                        : FLEET_REGISTER,
        .n_identities = (size_t)berth_options_int(o, "devices"),
        .concurrency = (size_t)berth_options_int(o, "concurrency"),
        .rate = berth_options_int(o, "rate"),
        .timeout_ns = berth_options_int(o, "timeout") * 1000000000LL,
        .messages = (int)berth_options_int(o, "messages"),
        .message_size = (size_t)berth_options_int(o, "message-size"),
        .window = (size_t)berth_options_int(o, "window"),
        .waits = berth_options_flag(o, "wait"),
        .hold_ns = berth_options_int(o, "hold") * 1000000000LL,
        .keep_alive_ns = berth_options_int(o, "keep-alive") * 1000000000LL,
        .interval_ns = berth_options_int(o, "interval") * 1000000LL,
    };
    TRY(check_hold(cli, plan));
    plan->total = plan->n_identities * (uint64_t)berth_options_int(o, "rounds");
    TRY(berth_cli_device_endpoint(cli, &plan->endpoint));
    if (plan->mode <= FLEET_MQTT && !berth_options_has(o, "id-scope") && cli->dev == NULL) {
        plan->id_scope = "0ne00000000"; /* nobody looks at it */
        return OK;
    }
    return berth_cli_id_scope(cli, &plan->id_scope);
}

static err report(struct cli *cli, const struct fleet_plan *plan, struct fleet_stats *stats)
{
    static const char *const what[] = { "handshakes", "connections", "registrations",
                                        "registrations", "registrations" };

    if (cli->is_json) {
        struct buf out = arena_buf(&cli->arena);
        struct json_writer w = json_writer_over(&out);
        struct span text;

        berth_fleet_stats_write(stats, what[plan->mode], &w);
        TRY(arena_buf_end(&cli->arena, &out, &text));
        (void)puts((const char *)text.data);
    } else {
        berth_fleet_stats_print(stats, what[plan->mode], stdout);
    }
    if (stats->failures[FLEET_REFUSED] > 0) {
        cli->exit_status = BERTH_EXIT_REFUSED;
    }
    return stats->failed == 0
               ? OK
               : err_set(ERR_IO, "%llu of %llu failed", (unsigned long long)stats->failed,
                         (unsigned long long)plan->total);
}

static err run(struct cli *cli, struct crypto *crypto, struct fleet_plan *plan,
               const struct issue_ca *ca)
{
    AUTO(ssl_ctx) SSL_CTX *tls = NULL;
    static struct fleet_stats stats;
    uint64_t each = plan->interval_ns > 0 ? (uint64_t)(plan->hold_ns / plan->interval_ns + 1)
                                          : (uint64_t)plan->messages;
    uint64_t messages = plan->total * each;

    TRY(make_tls(cli, crypto, ca, plan, &tls));
    plan->tls = tls;
    TRY(berth_fleet_stats_init(&stats.tls, &cli->arena, plan->total));
    TRY(berth_fleet_stats_init(&stats.whole, &cli->arena, plan->total));
    TRY(berth_fleet_stats_init(&stats.message, &cli->arena, messages));
    TRY(berth_fleet_stats_init(&stats.return_, &cli->arena,
                               plan->mode == FLEET_HOLD ? plan->total : 0));
    TRY(pin(cli));
    TRY(berth_fleet_engine_run(&cli->arena, plan, &stats));
    return report(cli, plan, &stats);
}

/* Handshakes run over a serving context: it decodes keys three times as fast (crypto/crypto.h). */
static err make_and_run(struct cli *cli, struct fleet_plan *plan, const struct issue_ca *ca)
{
    AUTO(crypto) struct crypto *crypto = NULL;
    struct fleet_identity *identities =
        ARENA_ARRAY(&cli->arena, plan->n_identities, struct fleet_identity);
    err e;

    if (identities == NULL) {
        return ERR(NOMEM);
    }
    TRY(crypto_new(CRYPTO_SERVING, &crypto));
    if (!cli->is_json) {
        (void)fprintf(stderr, "Making %zu certificates…\n", plan->n_identities);
    }
    e = make_identities(cli, crypto, ca, identities, plan->n_identities);
    if (err_is_ok(e)) {
        plan->identities = identities;
        e = run(cli, crypto, plan, ca);
    }
    free_identities(identities, plan->n_identities);
    return e;
}

err berth_fleet_run(struct cli *cli)
{
    struct fleet_plan plan;
    struct issue_ca ca;
    err e;

    TRY(make_plan(cli, &plan));
    plan.concurrency = plan.concurrency < plan.total ? plan.concurrency : (size_t)plan.total;
    TRY(allow_files(cli, plan.concurrency));
    TRY(berth_issue_open_ca(cli, berth_cli_text(cli, "ca-cert"), berth_cli_text(cli, "ca-key"),
                            &ca));
    e = make_and_run(cli, &plan, &ca);
    berth_issue_close_ca(&ca);
    return e;
}
