/* cmd/berthd.c: the server's main: reads the configuration, opens what there is to open, serves
 * until it is told to stop, closes everything in the opposite order.
 *
 * Exit status: 0 all well, 1 it could not be served, 2 usage or configuration. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "api/metrics.h"
#include "cmd/chores.h"
#include "cmd/config.h"
#include "cmd/dev.h"
#include "cmd/errands.h"
#include "cmd/file.h"
#include "cmd/init.h"
#include "cmd/log.h"
#include "cmd/seal.h"
#include "core/loads.h"
#include "front/front.h"
#include "front/listen.h"
#include "geo/geo.h"
#include "hub/bus.h"
#include "hub/limits.h"
#include "hub/presence.h"
#include "remote/remote.h"

enum { EXIT_USAGE = 2, WORKERS_A_CORE = 4, WORKERS_LEAST = 8, MQTT_OPEN = 8883, HTTPS_OPEN = 8443 };

struct process {
    const struct config *config;
    struct store *store;
    struct seal *seal;
    struct sink *sink;
    struct bus *bus;
    struct hub_presence *presence;
    struct hub_limits *limits;
    struct geo *geo; /* NULL: no database */
    struct remote *remote;
    struct core_loads *loads;
    struct core_errands *errands;
    struct front *front;
    struct hub_keeper *keeper;
    struct dev dev;
    struct metrics metrics;
    struct service service;
    struct front_endpoint endpoints[2 * CONFIG_ADDRESSES_MAX];
    size_t n_endpoints;
};

static struct process process; /* large, and there is one */

/* Held while the server opens, and by the one thread that changes the files of --dev. */
static pthread_mutex_t dev_lock = PTHREAD_MUTEX_INITIALIZER;

static void on_access(void *arg, const struct front_access *a)
{
    (void)arg;
    log_access(a);
}

static void on_event(void *arg, enum front_event_level level, const char *event, const char *text)
{
    static const enum config_log_level levels[] = { [FRONT_DEBUG] = CONFIG_LOG_DEBUG,
                                                    [FRONT_INFO] = CONFIG_LOG_INFO,
                                                    [FRONT_WARNING] = CONFIG_LOG_WARNING,
                                                    [FRONT_ERROR] = CONFIG_LOG_ERROR };

    (void)arg;
    log_event(levels[level], event, text);
}

static void log_geo(struct geo *g)
{
    char title[GEO_TITLE_MAX];
    char text[GEO_TITLE_MAX + 64];

    geo_title(g, title);
    (void)snprintf(text, sizeof(text), "Addresses are looked up in %s.", title);
    log_event(CONFIG_LOG_INFO, "geo-database", text);
}

static void reload_geo(struct geo *g)
{
    if (g == NULL) {
        return;
    }
    if (err_is_ok(geo_reload(g))) {
        log_geo(g);
    } else {
        log_event(CONFIG_LOG_ERROR, "geo-database-failed", err_detail());
    }
}

static void on_reload(void *arg)
{
    struct process *p = arg;

    seal_reload(p->seal);
    reload_geo(p->geo);
}

/* With --dev: the new hub's host name is in the certificate before its maker is answered. */
static void on_hosts_changed(void)
{
    struct process *p = &process;
    err e;

    (void)pthread_mutex_lock(&dev_lock);
    e = dev_cover_hubs(&p->dev, p->config, p->store);
    if (err_is_ok(e)) {
        e = front_reload(p->front);
    }
    (void)pthread_mutex_unlock(&dev_lock);
    log_event(err_is_ok(e) ? CONFIG_LOG_INFO : CONFIG_LOG_ERROR,
              err_is_ok(e) ? "reissued" : "reissue-failed",
              err_is_ok(e) ? "The server's certificate has the host name of every hub."
                           : err_detail());
}

/* ---- opening ---- */

/* Keys are in memory: none of it goes to a core file or to a debugger of the same user. */
static void forbid_dumps(void)
{
    const struct rlimit none = { 0, 0 };

    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

static int cores(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);

    return n > 0 ? (int)n : 1;
}

static int loops_of(const struct config *c)
{
    return c->loops > 0 ? (int)c->loops : cores();
}

static int workers_of(const struct config *c)
{
    int n = WORKERS_A_CORE * cores();

    return c->workers > 0 ? (int)c->workers : n > WORKERS_LEAST ? n : WORKERS_LEAST;
}

static void on_durable(void *arg)
{
    bus_events(arg);
}

static uint64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static err open_geo(struct process *p)
{
    if (*p->config->geo_database == '\0') {
        return OK;
    }
    TRY(geo_open(p->config->geo_database, &p->geo));
    log_geo(p->geo);
    return OK;
}

static err open_sink(struct process *p)
{
    const struct config *c = p->config;
    const struct sink_config config = { .partitions = (int)c->telemetry_partitions,
                                        .retention_ms = c->telemetry_retention_s * 1000,
                                        .size = c->telemetry_size };
    char text[160];

    TRY(sink_sqlite_open(c->telemetry, &config, &p->sink));
    sink_want(p->sink, c->sources);
    if (sink_partitions(p->sink) != config.partitions) {
        (void)snprintf(text, sizeof(text),
                       "telemetry-partitions is %d, but the telemetry file was made with %d, which "
                       "it keeps.",
                       config.partitions, sink_partitions(p->sink));
        log_event(CONFIG_LOG_WARNING, "partitions-kept", text);
    }
    return OK;
}

static err open_loads(struct process *p)
{
    void *memory = calloc(1, core_loads_size());

    if (memory == NULL) {
        return ERR(NOMEM);
    }
    p->loads = core_loads_init(memory);
    return OK;
}

static err open_stores(struct process *p)
{
    const struct config *c = p->config;
    int readers = workers_of(c) < 256 ? workers_of(c) : 256;

    TRY(file_make_dir(c->data));
    TRY(store_sqlite_open(c->store, readers, &p->store));
    TRY(seal_open(c, p->store, log_event, &p->seal));
    TRY(open_sink(p));
    TRY(bus_new(&p->bus));
    TRY(hub_presence_new(p->bus, p->sink, now_ms(), &p->presence));
    TRY(hub_limits_new(&p->limits));
    TRY(open_loads(p));
    TRY(open_geo(p));
    sink_listen(p->sink, on_durable, p->bus);
    return OK;
}

/* NULL for "". */
static const char *given(const char *text)
{
    return *text != '\0' ? text : NULL;
}

static err open_remote(struct process *p)
{
    const struct remote_config config = {
        .ca_file = given(p->config->elsewhere_ca_file),
        .is_public_only = p->config->elsewhere_addresses == CONFIG_ADDRESSES_PUBLIC,
    };

    return remote_open(&config, &p->remote);
}

static void add_endpoint(struct process *p, const char *address, bool is_mqtt)
{
    const struct config *c = p->config;
    int port = (int)(is_mqtt ? c->mqtt_port : c->https_port);
    int open = is_mqtt ? MQTT_OPEN : HTTPS_OPEN;

    p->endpoints[p->n_endpoints++] = (struct front_endpoint){
        .surface = is_mqtt ? &API_MQTT_SURFACE : &API_HTTP_SURFACE,
        .transport = is_mqtt ? TRANSPORT_MQTT : TRANSPORT_HTTP,
        .address = address,
        .port = port,
        .option = is_mqtt ? "mqtt-port" : "https-port",
        .instead = port == open ? open + 1 : open,
    };
}

static err open_front(struct process *p)
{
    const struct config *c = p->config;
    struct front_config config = {
        .service = &p->service,
        .endpoints = p->endpoints,
        .tls = { .cert = c->is_dev ? p->dev.pki.server_cert : c->server_cert,
                 .key = c->is_dev ? p->dev.pki.server_key : c->server_key,
                 .rsa_cert = given(c->server_rsa_cert),
                 .rsa_key = given(c->server_rsa_key) },
        .limits = FRONT_LIMITS_DEFAULT,
        .loops = loops_of(c),
        .workers = workers_of(c),
        .pin_loops = c->pin_loops,
        .on_access = on_access,
        .on_event = on_event,
        .on_reload = on_reload,
        .arg = p
    };

    for (size_t i = 0; i < c->n_addresses; i++) {
        const char *address = c->addresses[i];
        bool is_spare = i > 0 && (strcmp(address, "::") == 0 || strcmp(address, "::1") == 0);

        if (is_spare && !front_listen_has_address(address)) {
            continue;
        }
        add_endpoint(p, address, true);
        add_endpoint(p, address, false);
    }
    config.n_endpoints = p->n_endpoints;
    config.limits.drain_ms = c->drain_timeout_s * 1000;
    p->service = (struct service){ .store = p->store,
                                   .sink = p->sink,
                                   .bus = p->bus,
                                   .presence = p->presence,
                                   .limits = p->limits,
                                   .geo = p->geo,
                                   .elsewhere = remote_elsewhere(p->remote),
                                   .loads = p->loads,
                                   .errands = p->errands,
                                   .metrics = &p->metrics,
                                   .version = BERTH_VERSION,
                                   .metrics_public = c->metrics_public,
                                   .is_draining = front_is_draining,
                                   .hosts_changed = c->is_dev ? on_hosts_changed : NULL };
    return front_open(&config, &p->front);
}

static err open_in_order(struct process *p)
{
    TRY(open_remote(p)); /* before there are threads */
    TRY(open_stores(p));
    if (p->config->is_dev) {
        TRY(dev_open(p->config, p->store, &p->dev));
    }
    TRY(errands_start(&(struct core_errands_config){ .store = p->store,
                                                     .sink = p->sink,
                                                     .limits = p->limits,
                                                     .bus = p->bus,
                                                     .elsewhere = remote_elsewhere(p->remote),
                                                     .is_alone = true },
                      &p->errands));
    TRY(open_front(p));
    TRY(chores_start(&p->service, &p->keeper));
    seal_start(p->seal, &p->metrics);
    return p->config->is_dev ? dev_announce(&p->dev, p->config, stdout) : OK;
}

static err open_all(struct process *p)
{
    err e;

    (void)pthread_mutex_lock(&dev_lock);
    e = open_in_order(p);
    (void)pthread_mutex_unlock(&dev_lock);
    return e;
}

/* When nobody is served any more: errands first, as their calls may take a while; the keeper, which
 * writes down what sessions left; the sink before the front's memory: its thread may still be
 * leaving a callback. */
static void close_all(struct process *p)
{
    core_errands_stop(p->errands);
    hub_keeper_stop(p->keeper);
    sink_close(p->sink);
    seal_stop(p->seal);
    store_close(p->store);
    seal_free(p->seal);
    front_free(p->front);
    core_errands_free(p->errands);
    hub_presence_free(p->presence);
    bus_free(p->bus);
    hub_limits_free(p->limits);
    geo_close(p->geo);
    remote_close(p->remote);
    core_loads_done(p->loads);
    free(p->loads);
    dev_done(&p->dev);
}

/* ---- serving ---- */

static int complain(err e)
{
    (void)fprintf(stderr, "berthd: %s\n", *err_detail() != '\0' ? err_detail() : err_name(e));
    return err_is(e, ERR_SEALED) ? EXIT_USAGE : EXIT_FAILURE;
}

static int serve(const struct config *c)
{
    struct process *p = &process;
    char text[128];
    err e;

    *p = (struct process){ .config = c };
    e = open_all(p);
    if (!err_is_ok(e)) {
        int status = complain(e);

        if (p->front != NULL) { /* serving, but nobody can be told */
            _exit(status);
        }
        close_all(p);
        return status;
    }
    (void)snprintf(text, sizeof(text), "MQTT on port %lld, HTTPS on port %lld.",
                   (long long)c->mqtt_port, (long long)c->https_port);
    log_event(CONFIG_LOG_INFO, "serving", text);
    e = front_serve(p->front);
    if (!err_is_ok(e)) { /* a worker still holds what we would free */
        log_event(CONFIG_LOG_ERROR, "stuck", err_detail());
        _exit(EXIT_FAILURE);
    }
    close_all(p);
    log_event(CONFIG_LOG_INFO, "ended", "Everything that was begun is done.");
    return EXIT_SUCCESS;
}

static int run(const struct config *c)
{
    err e;

    switch (c->command) {
    case CONFIG_HELP:
        config_print_help(stdout);
        break;
    case CONFIG_VERSION:
        (void)puts("berthd " BERTH_VERSION);
        break;
    case CONFIG_MAN:
        config_print_man(stdout);
        break;
    case CONFIG_SHOW:
        config_print(c, stdout);
        break;
    case CONFIG_SAMPLE:
        config_print_sample(stdout);
        break;
    case CONFIG_CHECK:
        (void)puts("The configuration is good.");
        break;
    case CONFIG_INIT:
        forbid_dumps();
        e = init_run(c, stdout);
        return err_is_ok(e) ? EXIT_SUCCESS : complain(e);
    case CONFIG_ROTATE_SEAL_KEY:
        forbid_dumps();
        e = seal_rotate(c, stdout);
        return err_is_ok(e) ? EXIT_SUCCESS : complain(e);
    case CONFIG_SERVE:
        if (!c->core_dumps) {
            forbid_dumps();
        }
        log_open((enum config_log_format)c->log_format, (enum config_log_level)c->log_level);
        return serve(c);
    }
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    static struct config c;
    int status;
    err e;

    (void)argc;
    front_init(); /* before any thread and any OpenSSL */
    (void)umask(077);
    e = config_load(argv, &c);
    if (err_is_ok(e)) {
        status = run(&c);
    } else {
        (void)complain(e);
        status = EXIT_USAGE;
    }
    config_done(&c);
    return status;
}
