/* hub/login.c: a device or a module at the hub's door. Its certificate is compared with the
 * thumbprints of its identity, and its dates are checked; the chain is not (reference
 * iothub-device-api.md 2.4). One under a CA of the hub's is hub/ca.c's. Its token is checked with
 * its keys, or with those of the policy that the token names (2.3). That it is disabled is told
 * only to who has its credential. */
#include "attest/sas.h"
#include "crypto/x509_json.h"
#include "hub/bus.h"
#include "hub/ca.h"
#include "hub/hub.h"
#include "hub/identity.h"
#include "hub/limits.h"
#include "model/limits.h"
#include "store/decision.h"
#include "util/hex.h"

struct login_work {
    const struct env *env;
    const struct hub_login *login;
    struct span hub;
    struct hub row;
    struct device device; /* or the module */
    bool has_hub, has_device;
    bool is_disabled; /* it, or the device that the module is of */
    struct hub_ca ca; /* the hub's, if that is how the identity is proven */
    /* A token was presented. */
    struct sas_token token;
    bool is_token_malformed;
    struct policy policy; /* the one that it names */
    bool has_policy;
    enum hub_credential credential;
    int64_t until_ms;
    struct span considered; /* JSON, for the record */
    /* Once it was let in. */
    struct session kept;
    bool has_kept, is_void; /* to be forgotten */
    bool names_model;       /* another than is stored */
};

static err read_policy(struct store_tx *tx, struct login_work *w)
{
    w->policy =
        (struct policy){ .owner_type = POLICY_OF_HUB, .owner = w->hub, .name = w->token.key_name };
    if (span_is_empty(w->token.key_name)) {
        return OK;
    }
    return store_find(tx, &KIND_POLICY, &w->policy, w->env->arena, &w->policy, &w->has_policy);
}

/* A module is nothing without its device. */
static err read_device(struct store_tx *tx, struct login_work *w)
{
    struct span client_id = w->login->device_id;
    struct arena *arena = w->env->arena;
    struct device parent;
    bool has_parent;

    w->device = (struct device){ .hub = w->hub, .device_id = client_id };
    TRY(hub_identity_find(tx, w->hub, client_id, arena, &w->device, &w->has_device));
    w->is_disabled = w->device.status == DEVICE_DISABLED;
    if (!w->has_device || !hub_identity_is_module(client_id)) {
        return OK;
    }
    TRY(hub_identity_find(tx, w->hub, hub_identity_device(client_id), arena, &parent, &has_parent));
    w->has_device = has_parent;
    w->is_disabled = w->is_disabled || (has_parent && parent.status == DEVICE_DISABLED);
    return OK;
}

/* The hub's CAs are of no use to who does not show a certificate under one. */
static err read_cas(struct store_tx *tx, struct login_work *w)
{
    return w->has_device && w->device.auth == DEVICE_AUTH_CERTIFICATE_AUTHORITY &&
                   w->login->n_chain > 0
               ? hub_ca_read(tx, w->hub, w->env->arena, &w->ca)
               : OK;
}

static err read_all(struct store_tx *tx, void *arg)
{
    struct login_work *w = arg;

    TRY(read_device(tx, w));
    w->row = (struct hub){ .host_name = w->hub };
    TRY(store_find(tx, &KIND_HUB, &w->row, w->env->arena, &w->row, &w->has_hub));
    w->has_hub = w->has_hub && w->row.life == LIFE_ACTIVE;
    TRY(read_cas(tx, w));
    return read_policy(tx, w);
}

static bool is_thumbprint(const struct device *d, struct span digest)
{
    uint8_t room[2 * CRYPTO_SHA256_LEN];
    struct buf hex = buf_over(room, sizeof room);

    hex_encode_upper(digest, &hex);
    return span_eq_nocase(buf_span(&hex), d->primary_thumbprint) ||
           span_eq_nocase(buf_span(&hex), d->secondary_thumbprint);
}

static err has_thumbprint(const struct device *d, const struct crypto_cert *leaf, bool *ret_has)
{
    uint8_t sha256[CRYPTO_SHA256_LEN], sha1[CRYPTO_SHA1_LEN];

    TRY(crypto_x509_sha256(leaf, sha256));
    *ret_has = is_thumbprint(d, span_of(sha256, sizeof sha256));
    if (!*ret_has) {
        TRY(crypto_x509_sha1(leaf, sha1));
        *ret_has = is_thumbprint(d, span_of(sha1, sizeof sha1));
    }
    return OK;
}

static err judge_leaf(struct login_work *w, struct verdict *ret_verdict)
{
    const struct crypto_cert *leaf = w->login->chain[0];
    int64_t now_ms = w->env->now_ms;
    struct crypto_x509_info info;
    bool has;

    TRY(has_thumbprint(&w->device, leaf, &has));
    if (!has) {
        *ret_verdict = VERDICT(THUMBPRINT_MISMATCH);
        return OK;
    }
    TRY(crypto_x509_info(leaf, &info));
    if (now_ms < info.not_before_ms) {
        *ret_verdict = VERDICT(CERTIFICATE_NOT_YET_VALID);
    } else if (now_ms > info.not_after_ms) {
        *ret_verdict = VERDICT(CERTIFICATE_EXPIRED);
    } else if (w->is_disabled) {
        *ret_verdict = VERDICT(DEVICE_DISABLED);
    } else {
        *ret_verdict = VERDICT(GRANTED);
    }
    return OK;
}

static err judge_path(struct login_work *w, struct verdict *ret_verdict)
{
    const struct hub_login *l = w->login;
    const struct hub_ca_claim claim = { l->device_id, l->chain, l->n_chain };

    TRY(hub_ca_judge(w->env, &w->ca, &claim, ret_verdict, &w->considered));
    if (verdict_is_granted(*ret_verdict) && w->is_disabled) {
        *ret_verdict = VERDICT(DEVICE_DISABLED);
    }
    return OK;
}

/* The token's reach: "{host}/devices/{id}[/modules/{id}]" or what is above it, by whole segments.
 * The IDs' case matters, unlike the host's, so as far as a token names them it must spell them so.
 */
static err covers_device(const struct login_work *w, bool *ret_covers)
{
    struct span id = hub_identity_device(w->login->device_id);
    struct span module = hub_identity_module(w->login->device_id);
    struct span scope = w->token.resource;
    struct span resource;
    size_t at = w->hub.len + sizeof("/devices/") - 1;

    TRY(arena_printf(w->env->arena, &resource, "%.*s/devices/%.*s%s%.*s", SPAN_FMT(w->hub),
                     SPAN_FMT(id), span_is_absent(module) ? "" : "/modules/", SPAN_FMT(module)));
    *ret_covers = sas_covers(&w->token, resource) &&
                  (scope.len <= at || span_eq(span_first(span_from(scope, at), id.len), id)) &&
                  (scope.len < resource.len || span_ends_with(scope, module));
    return OK;
}

static err judge_signature(struct login_work *w, struct verdict *ret_verdict)
{
    const struct span device_keys[SLOTS] = { w->device.primary_key, w->device.secondary_key };
    const struct span policy_keys[SLOTS] = { w->policy.primary_key, w->policy.secondary_key };
    bool covers;

    *ret_verdict = VERDICT(GRANTED);
    TRY(sas_check(w->env->crypto, &w->token, w->has_policy ? policy_keys : device_keys, SLOTS,
                  w->env->now_ms, &ret_verdict->reason));
    if (!verdict_is_granted(*ret_verdict)) {
        return OK;
    }
    TRY(covers_device(w, &covers));
    if (!covers) {
        *ret_verdict = VERDICT(TOKEN_SCOPE);
    } else if (w->has_policy && (w->policy.rights & RIGHT_DEVICE_CONNECT) == 0) {
        *ret_verdict = VERDICT(RIGHT_MISSING);
    } else if (w->is_disabled) {
        *ret_verdict = VERDICT(DEVICE_DISABLED);
    } else {
        w->credential = w->has_policy ? HUB_BY_POLICY : HUB_BY_KEY;
        w->until_ms = sas_until_ms(&w->token, w->env->now_ms);
    }
    return OK;
}

static err judge_token(struct login_work *w, struct verdict *ret_verdict)
{
    bool is_policy = !span_is_empty(w->token.key_name);
    struct hub_settings settings;
    bool is_sas_disabled;

    TRY(hub_settings_of(w->env, &w->row, &settings));
    is_sas_disabled = hub_identity_is_module(w->login->device_id) ? settings.is_module_sas_disabled
                                                                  : settings.is_device_sas_disabled;
    if (w->device.auth != DEVICE_AUTH_SAS && (w->is_token_malformed || !is_policy)) {
        *ret_verdict = VERDICT(DEVICE_CREDENTIAL_UNSUPPORTED);
    } else if (w->is_token_malformed) {
        *ret_verdict = VERDICT(TOKEN_MALFORMED);
    } else if (is_policy && !w->has_policy) {
        *ret_verdict = VERDICT(TOKEN_POLICY_UNKNOWN);
    } else if (!is_policy && is_sas_disabled) {
        *ret_verdict = VERDICT(SAS_DISABLED);
    } else {
        return judge_signature(w, ret_verdict);
    }
    return OK;
}

static err judge(struct login_work *w, struct verdict *ret_verdict)
{
    const struct hub_login *l = w->login;
    bool has_token = !span_is_empty(l->token);

    if (!w->has_hub) {
        *ret_verdict = VERDICT(HUB_UNKNOWN);
    } else if (!span_eq(l->client_id, l->device_id)) {
        *ret_verdict = VERDICT(CLIENT_ID_MISMATCH);
    } else if (!w->has_device) {
        *ret_verdict = hub_identity_is_module(l->device_id) ? VERDICT(MODULE_NOT_FOUND)
                                                            : VERDICT(DEVICE_NOT_FOUND);
    } else if (has_token && (w->device.auth == DEVICE_AUTH_SAS ||
                             (l->n_chain == 0 && !l->is_chain_unreadable))) {
        return judge_token(w, ret_verdict);
    } else if (l->is_chain_unreadable) {
        *ret_verdict = VERDICT(CERTIFICATE_UNREADABLE);
    } else if (l->n_chain == 0) {
        *ret_verdict = VERDICT(CLIENT_CERTIFICATE_MISSING);
    } else if (w->device.auth == DEVICE_AUTH_CERTIFICATE_AUTHORITY) {
        return judge_path(w, ret_verdict);
    } else if (w->device.auth == DEVICE_AUTH_SELF_SIGNED) {
        return judge_leaf(w, ret_verdict);
    } else {
        *ret_verdict = VERDICT(DEVICE_CREDENTIAL_UNSUPPORTED);
    }
    return OK;
}

static err record(const struct login_work *w, struct verdict verdict)
{
    const struct hub_login *l = w->login;
    struct decision d = {
        .tracking_id = span_str(w->env->tracking_id),
        .time_ms = w->env->now_ms,
        .id_scope = span_first(w->hub, LIMIT_HOST_NAME),
        .registration_id = span_first(l->device_id, LIMIT_CLIENT_ID),
        .operation = OPERATION_CONNECT,
        .transport = l->transport,
        .peer = l->peer,
        .reason = verdict.reason,
        .considered = span_is_absent(w->considered) ? SPAN("[]") : w->considered,
    };
    struct json_writer writer;
    struct buf text;

    TRY(model_fold(w->env->arena, d.registration_id, &d.registration_key));
    if (w->has_device) {
        d.hub = w->hub;
        d.device_id = w->device.device_id;
    }
    if (l->n_chain > 0) { /* the leaf alone where nothing above it was looked at */
        text = arena_buf(w->env->arena);
        writer = json_writer_over(&text);
        json_write_begin_object(&writer, NULL);
        TRY(crypto_x509_json_chain(l->chain, span_is_absent(w->considered) ? 1 : l->n_chain,
                                   &writer));
        json_write_end_object(&writer);
        TRY(arena_buf_end(w->env->arena, &text, &d.certificate));
    }
    return store_decision_write(w->env->store, &d);
}

static err parse_token(struct login_work *w)
{
    err e;

    if (span_is_empty(w->login->token)) {
        return OK;
    }
    e = w->login->token.len <= LIMIT_SAS_TOKEN
            ? sas_parse(w->login->token, w->env->arena, &w->token)
            : ERR(MALFORMED);
    w->is_token_malformed = err_is(e, ERR_MALFORMED);
    return w->is_token_malformed ? OK : e;
}

/* ---- once it was let in ---- */

/* What is kept for it, and whether that is void: it asks for a clean session, or it is another
 * device's, a former one of this ID. */
static err read_session(struct store_tx *tx, void *arg)
{
    struct login_work *w = arg;

    w->kept = (struct session){ .hub = w->hub, .client_id = w->login->device_id };
    TRY(store_find(tx, &KIND_SESSION, &w->kept, w->env->arena, &w->kept, &w->has_kept));
    w->is_void = w->has_kept && (w->login->clean_session ||
                                 !span_eq(w->kept.generation_id, w->device.generation_id));
    return OK;
}

static err put_model(struct store_tx *tx, struct login_work *w)
{
    struct device d;
    bool is_there;

    TRY(hub_identity_find(tx, w->hub, w->login->device_id, w->env->arena, &d, &is_there));
    if (!is_there || !span_eq(d.generation_id, w->device.generation_id)) {
        return OK; /* gone meanwhile: the session is about to be cut off */
    }
    d.model_id = w->login->model_id;
    return hub_identity_put(tx, &d);
}

static err settle(struct store_tx *tx, void *arg)
{
    struct login_work *w = arg;
    size_t mark = w->env->arena->used;

    if (w->names_model) {
        TRY(put_model(tx, w));
        w->env->arena->used = mark;
    }
    TRY(read_session(tx, w));
    return w->is_void ? store_delete(tx, &KIND_SESSION, &w->kept) : OK;
}

/* An earlier connection of this client may have a SUBSCRIBE on its way to the store. From
 * bus_supersede on none begins that is kept; one that began before is waited for by writing, too.
 */
static err enter(struct login_work *w, struct hub_session *ret_session)
{
    const struct hub_login *l = w->login;
    bool is_second = l->bus != NULL && bus_supersede(l->bus, l->member);

    w->names_model = !span_eq(w->device.model_id, l->model_id);
    if (w->names_model) {
        w->device.model_id = l->model_id;
    }
    TRY(store_read(w->env->store, read_session, w));
    if (w->is_void || w->names_model || is_second) {
        TRY(store_write(w->env->store, settle, w));
    }
    ret_session->filters = w->has_kept && !w->is_void ? w->kept.filters : SPAN_NONE;
    return OK;
}

/* Whoever is let in counts against the hub's limits, a device that calls over HTTPS not as one that
 * connects. */
static err count_connect(struct login_work *w, struct verdict *ret_verdict)
{
    const struct hub_use use = { .operation = THROTTLE_CONNECTS, .client_id = w->login->device_id };
    struct hub_settings settings;
    int wait_s;

    TRY(hub_settings_of(w->env, &w->row, &settings)); /* what is new in the row counts */
    return w->login->transport == TRANSPORT_MQTT
               ? hub_limits_allow(w->env, w->hub, &use, &wait_s, ret_verdict)
               : OK;
}

err hub_login(const struct env *env, const struct hub_login *login, struct hub_session *ret_session,
              struct verdict *ret_verdict)
{
    struct hub_login l = *login;
    struct login_work w = {
        .env = env, .login = &l, .credential = HUB_BY_CERTIFICATE, .until_ms = INT64_MAX
    };
    struct verdict verdict;

    /* A key is never absent. */
    l.device_id = span_is_absent(l.device_id) ? SPAN("") : l.device_id;
    TRY(model_fold(env->arena, span_is_absent(l.hub_host) ? SPAN("") : l.hub_host, &w.hub));
    TRY(parse_token(&w));
    TRY(store_read(env->store, read_all, &w));
    TRY(judge(&w, &verdict));
    if (verdict_is_granted(verdict)) {
        TRY(count_connect(&w, &verdict));
    }
    if (verdict_is_granted(verdict)) {
        struct hub_session session = { .credential = w.credential, .until_ms = w.until_ms };

        if (l.transport == TRANSPORT_MQTT) {
            TRY(enter(&w, &session));
        }
        session.device = w.device;
        *ret_session = session;
    } else if (verdict.reason != REASON_HUB_THROTTLED) { /* those come in thousands */
        TRY(record(&w, verdict));
    }
    *ret_verdict = verdict;
    return OK;
}
