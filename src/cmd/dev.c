/* cmd/dev.c: one ID scope, one hub, one X.509 and one symmetric-key enrollment group, each found or
 * made. One host name
 * serves the hub and the provisioning service's API: their requests differ in path, and one name
 * that resolves is what a developer has. */
#include "cmd/dev.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/file.h"
#include "model/limits.h"
#include "util/base64.h"
#include "json/writer.h"

enum { NAMES_MAX = 16 * 1024, JSON_MAX = 1024 * 1024 };

static const char INSTANCE_NAME[] = "dev";
static const char HUB_NAME[] = "dev";
static const char GROUP[] = "dev";
static const char KEY_GROUP[] = "dev-key";

/* ---- instance and hub ---- */

static err put_instance(struct store_tx *tx, void *arg)
{
    return store_put(tx, &KIND_INSTANCE, arg);
}

static err open_instance(const struct env *env, struct dev *d, struct instance *ret)
{
    struct verdict v = VERDICT(GRANTED);
    bool is_found;

    TRY(core_instance_find_by_name(env, span_str(INSTANCE_NAME), ret, &is_found));
    if (is_found) {
        return ret->life == LIFE_ACTIVE
                   ? OK
                   : err_set(ERR_EXISTS,
                             "The ID scope %s is being deleted: take another --data, or "
                             "finish that with a server that is not --dev",
                             INSTANCE_NAME);
    }
    TRY(core_instance_create(env, span_str(INSTANCE_NAME), d->host, ret, &v));
    return setup_granted("The ID scope", v);
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

static err open_hub(const struct env *env, struct dev *d, const struct instance *instance,
                    struct hub *ret)
{
    bool is_found = false;

    TRY(hub_find(env, d->host, ret, &is_found));
    if (is_found) {
        return setup_link(env, instance->id_scope, ret->host_name);
    }
    return setup_hub(env, instance->id_scope, span_str(HUB_NAME), d->host, ret);
}

/* ---- enrollment group ---- */

static struct enrollment new_group(const struct dev *d, const char *id)
{
    return (struct enrollment){ .id_scope = d->id_scope,
                                .kind = ENROLLMENT_GROUP,
                                .id = span_str(id),
                                .provisioning_status = PROVISIONING_ENABLED,
                                .update_hub_assignment = 1,
                                .migrate_device_data = 1 };
}

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
        e = new_group(d, GROUP);
    }
    e.attestation = ATTESTATION_X509;
    e.x509_source = X509_SOURCE_SIGNING;
    e.x509_primary = d->pki.device_ca_der;
    TRY(core_enrollment_put(env, &how, &e, &v));
    return setup_granted("The enrollment group", v);
}

/* As it was left: an operator may have changed its keys, or made another group of it. */
static err open_key_group(const struct env *env, struct dev *d)
{
    struct enrollment e = { 0 };
    struct core_enrollment_put how = { 0 };
    struct verdict v = VERDICT(GRANTED);
    struct buf text;

    TRY(core_enrollment_get(env, d->id_scope, ENROLLMENT_GROUP, span_str(KEY_GROUP), &e, &v));
    if (!verdict_is_granted(v)) {
        e = new_group(d, KEY_GROUP);
        e.attestation = ATTESTATION_SYMMETRIC_KEY;
        TRY(core_enrollment_put(env, &how, &e, &v));
        TRY(setup_granted("The symmetric-key enrollment group", v));
    }
    if (e.attestation != ATTESTATION_SYMMETRIC_KEY) {
        return OK;
    }
    text = arena_buf(env->arena);
    base64_encode(e.primary_key, &text);
    return arena_buf_end(env->arena, &text, &d->group_key);
}

/* ---- opening ---- */

/* All that the server may be called: --host, localhost, its addresses, every hub and instance. */
static err gather_names(const struct env *env, const struct config *c, const struct dev *d,
                        struct span *ret_names)
{
    static const char *const always[][2] = {
        { "DNS", "localhost" }, { "DNS", "*.localhost" }, { "IP", "127.0.0.1" }, { "IP", "::1" }
    };
    uint8_t *memory = arena_alloc(env->arena, NAMES_MAX);
    struct dev_names names = { buf_over(memory, memory != NULL ? NAMES_MAX : 0) };
    struct instance *instances = NULL;
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
    TRY(core_instance_list(env, SPAN_NONE, LIMIT_PAGE, &instances, &n));
    for (size_t i = 0; i < n; i++) {
        dev_names_add(&names, "DNS", instances[i].host_name);
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
    bool is_new; /* dev.json has it in any case */

    TRY(open_instance(env, d, &instance));
    TRY(name_instance(env, d, &instance));
    TRY(open_hub(env, d, &instance, &hub));
    d->id_scope = instance.id_scope;
    TRY(setup_login(env, POLICY_OF_INSTANCE, instance.id_scope, d->host, &d->service_login));
    TRY(setup_login(env, POLICY_OF_HUB, hub.host_name, d->host, &d->hub_login));
    TRY(setup_server_login(env, d->host, &d->server_login, &is_new));
    TRY(gather_names(env, c, d, &names));
    TRY(dev_pki_open(env->crypto, d->dir, names, env->now_ms, env->arena, &d->pki));
    TRY(open_group(env, d));
    return open_key_group(env, d);
}

static void remove_old(const struct dev *d)
{
    char path[PATH_MAX + 16];

    (void)snprintf(path, sizeof(path), "%s/dev.json", d->dir);
    (void)unlink(path);
}

err dev_open(const struct config *c, struct store *store, struct dev *ret_dev)
{
    *ret_dev = (struct dev){ 0 };
    if (realpath(c->data, ret_dev->dir) == NULL) {
        return err_set(ERR_IO, "%s: it cannot be entered", c->data);
    }
    remove_old(ret_dev);
    TRY(setup_open(store, &ret_dev->setup));
    TRY(arena_copy(&ret_dev->setup->arena, span_str(c->host), &ret_dev->host));
    return open_all(&ret_dev->setup->env, c, ret_dev);
}

void dev_done(struct dev *d)
{
    setup_close(d->setup);
    *d = (struct dev){ 0 };
}

/* ---- announcing ---- */

static void write_hub(struct json_writer *w, struct span host, struct span login)
{
    json_write_begin_object(w, NULL);
    json_write_text(w, "hostName", host);
    json_write_text(w, "connectionString", login);
    json_write_end_object(w);
}

/* Our own comes first: it is the one that tools take when none is named. */
static err write_hubs(const struct env *env, const struct dev *d, struct json_writer *w)
{
    struct hub *hubs = NULL;
    struct span own, login;
    size_t n = 0;

    TRY(model_fold(env->arena, d->host, &own));
    TRY(hub_list(env, &hubs, &n));
    json_write_begin_array(w, "hubs");
    write_hub(w, d->host, d->hub_login);
    for (size_t i = 0; i < n; i++) {
        if (!span_eq(hubs[i].host_name, own)) {
            TRY(setup_login(env, POLICY_OF_HUB, hubs[i].host_name, hubs[i].host_name, &login));
            write_hub(w, hubs[i].host_name, login);
        }
    }
    json_write_end_array(w);
    return OK;
}

static err write_json(const struct env *env, const struct dev *d, const struct config *c,
                      struct buf *out)
{
    struct json_writer w = json_writer_over(out);

    json_write_begin_object(&w, NULL);
    json_write_text(&w, "idScope", d->id_scope);
    json_write_text(&w, "deviceEndpoint", d->host);
    json_write_text(&w, "serviceConnectionString", d->service_login);
    json_write_text(&w, "serverConnectionString", d->server_login);
    TRY(write_hubs(env, d, &w));
    json_write_str(&w, "serverCaFile", d->pki.server_ca_cert);
    json_write_begin_object(&w, "deviceCa");
    json_write_str(&w, "certFile", d->pki.device_ca_cert);
    json_write_str(&w, "keyFile", d->pki.device_ca_key);
    json_write_end_object(&w);
    json_write_begin_object(&w, "groups");
    json_write_str(&w, "x509", GROUP);
    if (!span_is_absent(d->group_key)) {
        json_write_begin_object(&w, "symmetricKey");
        json_write_str(&w, "id", KEY_GROUP);
        json_write_text(&w, "primaryKey", d->group_key);
        json_write_end_object(&w);
    }
    json_write_end_object(&w);
    json_write_begin_object(&w, "ports");
    json_write_int(&w, "mqtt", c->mqtt_port);
    json_write_int(&w, "https", c->https_port);
    json_write_int(&w, "amqp", c->amqp_port);
    json_write_end_object(&w);
    json_write_end_object(&w);
    buf_add_u8(out, '\n');
    return buf_ok(out);
}

static err write_dev_json(const struct env *env, const struct dev *d, const struct config *c)
{
    uint8_t *memory = arena_alloc(env->arena, JSON_MAX);
    struct buf text = buf_over(memory, memory != NULL ? JSON_MAX : 0);
    char path[PATH_MAX + 16];

    TRY(write_json(env, d, c, &text));
    (void)snprintf(path, sizeof(path), "%s/dev.json", d->dir);
    return file_write(path, buf_span(&text), 0600);
}

static void tell_person(const struct dev *d, const struct config *c, FILE *out)
{
    (void)fprintf(out,
                  "berthd --dev accepts connections.\n"
                  "  ID scope           %.*s\n"
                  "  device endpoint    %.*s: MQTT %lld, HTTPS %lld\n"
                  "  service            %.*s\n"
                  "  hub                %.*s\n"
                  "  the server itself  %.*s\n"
                  "  server's CA        %s\n"
                  "  devices' CA        %s\n"
                  "                     %s\n"
                  "  enrollment group   %s: any device with a certificate of the devices' CA\n"
                  "  enrollment group   %s: any device with a key derived from\n"
                  "                     %.*s\n"
                  "  all of it          %s/dev.json\n",
                  SPAN_FMT(d->id_scope), SPAN_FMT(d->host), (long long)c->mqtt_port,
                  (long long)c->https_port, SPAN_FMT(d->service_login), SPAN_FMT(d->hub_login),
                  SPAN_FMT(d->server_login), d->pki.server_ca_cert, d->pki.device_ca_cert,
                  d->pki.device_ca_key, GROUP, KEY_GROUP, SPAN_FMT(d->group_key), d->dir);
    (void)fflush(out);
}

err dev_announce(const struct dev *d, const struct config *c, FILE *out)
{
    TRY(write_dev_json(&d->setup->env, d, c));
    tell_person(d, c, out);
    return OK;
}

/* Its own setup: d's does not grow with every hub. */
err dev_cover_hubs(const struct dev *d, const struct config *c, struct store *store)
{
    AUTO(setup) struct setup *s = NULL;
    struct dev_pki pki;
    struct span names;

    TRY(setup_open(store, &s));
    TRY(gather_names(&s->env, c, d, &names));
    TRY(dev_pki_open(s->crypto, d->dir, names, s->env.now_ms, &s->arena, &pki));
    return write_dev_json(&s->env, d, c);
}
