/* cmd/dev.c: one ID scope, one hub, one X.509 enrollment group, each found or made. One host name
 * serves the hub and the provisioning service's API: their requests differ in path, and one name
 * that resolves is what a developer has. */
#include "cmd/dev.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd/file.h"
#include "core/instance.h"
#include "crypto/cert_cache.h"
#include "hub/hub.h"
#include "model/limits.h"
#include "util/base64.h"
#include "json/writer.h"

enum { ARENA_SIZE = 8 * 1024 * 1024, CERTS = 16, NAMES_MAX = 16 * 1024, JSON_MAX = 64 * 1024 };

static const char INSTANCE_NAME[] = "dev";
static const char HUB_NAME[] = "dev";
static const char GROUP[] = "dev";

/* A refusal of what we ask for ourselves is a fault. */
static err must_be_granted(const char *what, struct verdict v)
{
    if (verdict_is_granted(v)) {
        return OK;
    }
    return err_set(ERR_CORRUPT, "%s cannot be made: %s: %.*s", what, reason_info(v.reason)->token,
                   SPAN_FMT(v.detail));
}

/* ---- instance and hub ---- */

static err put_instance(struct store_tx *tx, void *arg)
{
    return store_put(tx, &KIND_INSTANCE, arg);
}

static err open_instance(const struct env *env, struct dev *d, struct instance *ret)
{
    struct instance *rows = NULL;
    struct verdict v = VERDICT(GRANTED);
    struct span own_name;
    size_t n = 0;

    TRY(core_instance_list(env, &rows, &n));
    for (size_t i = 0; i < n; i++) {
        if (span_eq(rows[i].name, span_str(INSTANCE_NAME))) {
            *ret = rows[i];
            return OK;
        }
    }
    TRY(arena_printf(env->arena, &own_name, "dps.%.*s", SPAN_FMT(d->host)));
    TRY(core_instance_create(env, span_str(INSTANCE_NAME), own_name, ret, &v));
    return must_be_granted("The ID scope", v);
}

/* --host may be another than last time. */
static err name_instance(const struct env *env, struct dev *d, struct instance *instance)
{
    struct span folded;

    TRY(model_fold(env->arena, d->host, &folded));
    if (span_eq(instance->host_name, folded)) {
        return OK;
    }
    instance->host_name = folded;
    return store_write(env->store, put_instance, instance);
}

static err open_hub(const struct env *env, struct dev *d, struct hub *ret)
{
    struct verdict v = VERDICT(GRANTED);
    bool is_found = false;

    TRY(hub_find(env, d->host, ret, &is_found));
    if (is_found) {
        return OK;
    }
    TRY(hub_create(env, span_str(HUB_NAME), d->host, ret, &v));
    return must_be_granted("The hub", v);
}

static err link_hub(const struct env *env, const struct instance *instance, const struct hub *hub)
{
    const struct linked_hub link = { .id_scope = instance->id_scope,
                                     .host_name = hub->host_name,
                                     .weight = 1,
                                     .apply_allocation_policy = 1 };
    struct verdict v = VERDICT(GRANTED);

    TRY(core_instance_link(env, &link, &v));
    return v.reason == REASON_RESOURCE_EXISTS ? OK : must_be_granted("The hub's link", v);
}

static err owner_key(const struct env *env, enum policy_owner owner_type, struct span owner,
                     const char *name, struct span *ret_key)
{
    struct policy policy = { 0 };
    struct buf text;
    bool is_found = false;

    TRY(core_policy_find(env, owner_type, owner, span_str(name), &policy, &is_found));
    if (!is_found) {
        return err_set(ERR_CORRUPT, "The policy %s is gone from the store.", name);
    }
    text = arena_buf(env->arena);
    base64_encode(policy.primary_key, &text);
    return arena_buf_end(env->arena, &text, ret_key);
}

/* ---- enrollment group ---- */

static err open_group(const struct env *env, struct dev *d)
{
    struct enrollment e = { 0 };
    struct core_enrollment_put how = { 0 };
    struct verdict v = VERDICT(GRANTED);

    TRY(core_enrollment_get(env, d->id_scope, ENROLLMENT_GROUP, span_str(GROUP), &e, &v));
    if (verdict_is_granted(v) && span_eq(e.x509_primary, d->pki.device_ca_der)) {
        return OK;
    }
    how.match.is_given = how.match.is_any = verdict_is_granted(v); /* the CA's files were remade */
    if (!verdict_is_granted(v)) {
        e = (struct enrollment){ .id_scope = d->id_scope,
                                 .kind = ENROLLMENT_GROUP,
                                 .id = span_str(GROUP),
                                 .provisioning_status = PROVISIONING_ENABLED,
                                 .update_hub_assignment = 1,
                                 .migrate_device_data = 1 };
    }
    e.attestation = ATTESTATION_X509;
    e.x509_source = X509_SOURCE_SIGNING;
    e.x509_primary = d->pki.device_ca_der;
    TRY(core_enrollment_put(env, &how, &e, &v));
    return must_be_granted("The enrollment group", v);
}

/* ---- opening ---- */

/* All that the server may be called: --host, localhost, its addresses, every hub. */
static err gather_names(const struct env *env, const struct config *c, struct dev *d,
                        struct span *ret_names)
{
    static const char *const always[][2] = {
        { "DNS", "localhost" }, { "DNS", "*.localhost" }, { "IP", "127.0.0.1" }, { "IP", "::1" }
    };
    uint8_t *memory = arena_alloc(env->arena, NAMES_MAX);
    struct dev_names names = { buf_over(memory, memory != NULL ? NAMES_MAX : 0) };
    struct hub *hubs = NULL;
    size_t n = 0;

    dev_names_add(&names, "DNS", d->host);
    for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++) {
        dev_names_add(&names, always[i][0], span_str(always[i][1]));
    }
    for (size_t i = 0; i < c->n_addresses; i++) {
        if (strcmp(c->addresses[i], "0.0.0.0") != 0 && strcmp(c->addresses[i], "::") != 0) {
            dev_names_add(&names, "IP", span_str(c->addresses[i]));
        }
    }
    TRY(hub_list(env, &hubs, &n));
    for (size_t i = 0; i < n; i++) {
        dev_names_add(&names, "DNS", hubs[i].host_name);
    }
    TRY(buf_ok(&names.text));
    *ret_names = buf_span(&names.text);
    return OK;
}

static err open_all(const struct env *env, const struct config *c, struct dev *d)
{
    struct instance instance = { 0 };
    struct hub hub = { 0 };
    struct span names;

    TRY(open_instance(env, d, &instance));
    TRY(open_hub(env, d, &hub));
    TRY(name_instance(env, d, &instance));
    TRY(link_hub(env, &instance, &hub));
    d->id_scope = instance.id_scope;
    TRY(owner_key(env, POLICY_OF_INSTANCE, instance.id_scope, "provisioningserviceowner",
                  &d->service_key));
    TRY(owner_key(env, POLICY_OF_HUB, hub.host_name, "iothubowner", &d->hub_key));
    TRY(gather_names(env, c, d, &names));
    TRY(dev_pki_open(env->crypto, d->dir, names, env->now_ms, env->arena, &d->pki));
    return open_group(env, d);
}

static err remove_old(const struct dev *d)
{
    char path[PATH_MAX + 16];

    (void)snprintf(path, sizeof(path), "%s/dev.json", d->dir);
    (void)unlink(path);
    return OK;
}

err dev_open(const struct config *c, struct store *store, struct dev *ret_dev)
{
    AUTO(crypto) struct crypto *crypto = NULL;
    struct env env = { .store = store, .random = crypto_random };
    uint8_t id[GUID_BYTES];
    struct buf text;
    struct timespec now;
    err e;

    *ret_dev = (struct dev){ .block = malloc(ARENA_SIZE) };
    if (ret_dev->block == NULL || realpath(c->data, ret_dev->dir) == NULL) {
        return err_set(ERR_IO, "%s: it cannot be entered", c->data);
    }
    TRY(remove_old(ret_dev));
    arena_init(&ret_dev->arena, ret_dev->block, ARENA_SIZE);
    TRY(arena_copy(&ret_dev->arena, span_str(c->host), &ret_dev->host));
    TRY(crypto_new(CRYPTO_FULL, &crypto));
    env.crypto = crypto;
    env.arena = &ret_dev->arena;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    env.now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    crypto_random(id, sizeof(id));
    text = buf_over(env.tracking_id, sizeof(env.tracking_id));
    guid_format(id, &text);
    TRY(crypto_cert_cache_new(crypto, CERTS, &env.certs));
    e = open_all(&env, c, ret_dev);
    crypto_cert_cache_free(env.certs);
    return e;
}

void dev_done(struct dev *d)
{
    if (d->block != NULL) {
        crypto_wipe(d->block, ARENA_SIZE); /* keys of policies */
        free(d->block);
    }
    *d = (struct dev){ 0 };
}

/* ---- announcing ---- */

static void connection_string(struct buf *out, struct span host, const char *policy,
                              struct span key)
{
    buf_printf(out, "HostName=%.*s;SharedAccessKeyName=%s;SharedAccessKey=", SPAN_FMT(host),
               policy);
    buf_add(out, key);
}

static void write_json(const struct dev *d, const struct config *c, struct span service,
                       struct span hub, struct buf *out)
{
    struct json_writer w = json_writer_over(out);

    json_write_begin_object(&w, NULL);
    json_write_text(&w, "idScope", d->id_scope);
    json_write_text(&w, "deviceEndpoint", d->host);
    json_write_text(&w, "serviceConnectionString", service);
    json_write_begin_array(&w, "hubs");
    json_write_begin_object(&w, NULL);
    json_write_text(&w, "hostName", d->host);
    json_write_text(&w, "connectionString", hub);
    json_write_end_object(&w);
    json_write_end_array(&w);
    json_write_str(&w, "serverCaFile", d->pki.server_ca_cert);
    json_write_begin_object(&w, "deviceCa");
    json_write_str(&w, "certFile", d->pki.device_ca_cert);
    json_write_str(&w, "keyFile", d->pki.device_ca_key);
    json_write_end_object(&w);
    json_write_begin_object(&w, "groups");
    json_write_str(&w, "x509", GROUP);
    json_write_end_object(&w);
    json_write_begin_object(&w, "ports");
    json_write_int(&w, "mqtt", c->mqtt_port);
    json_write_int(&w, "https", c->https_port);
    json_write_int(&w, "amqp", c->amqp_port);
    json_write_end_object(&w);
    json_write_end_object(&w);
    buf_add_u8(out, '\n');
}

static void tell_person(const struct dev *d, const struct config *c, struct span service,
                        struct span hub, FILE *out)
{
    (void)fprintf(out,
                  "berthd --dev accepts connections.\n"
                  "  ID scope           %.*s\n"
                  "  device endpoint    %.*s: MQTT %lld, HTTPS %lld\n"
                  "  service            %.*s\n"
                  "  hub                %.*s\n"
                  "  server's CA        %s\n"
                  "  devices' CA        %s\n"
                  "                     %s\n"
                  "  enrollment group   %s: any device with a certificate of the devices' CA\n"
                  "  all of it          %s/dev.json\n",
                  SPAN_FMT(d->id_scope), SPAN_FMT(d->host), (long long)c->mqtt_port,
                  (long long)c->https_port, SPAN_FMT(service), SPAN_FMT(hub), d->pki.server_ca_cert,
                  d->pki.device_ca_cert, d->pki.device_ca_key, GROUP, d->dir);
    (void)fflush(out);
}

err dev_announce(const struct dev *d, const struct config *c, FILE *out)
{
    uint8_t service_text[1024], hub_text[1024];
    static uint8_t json_text[JSON_MAX];
    struct buf service = buf_over(service_text, sizeof(service_text));
    struct buf hub = buf_over(hub_text, sizeof(hub_text));
    struct buf json_out = buf_over(json_text, sizeof(json_text));
    char path[PATH_MAX + 16];

    connection_string(&service, d->host, "provisioningserviceowner", d->service_key);
    connection_string(&hub, d->host, "iothubowner", d->hub_key);
    write_json(d, c, buf_span(&service), buf_span(&hub), &json_out);
    TRY(buf_ok(&service));
    TRY(buf_ok(&hub));
    TRY(buf_ok(&json_out));
    (void)snprintf(path, sizeof(path), "%s/dev.json", d->dir);
    TRY(file_write(path, buf_span(&json_out), 0600));
    tell_person(d, c, buf_span(&service), buf_span(&hub), out);
    return OK;
}
