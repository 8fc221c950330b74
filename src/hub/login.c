/* hub/login.c: a device at the hub's door. Its certificate is compared with the thumbprints of its
 * identity, and its dates are checked; the chain is not (reference iothub-device-api.md 2.4). That
 * a device is disabled is told only to who has its credential. */
#include "crypto/x509_json.h"
#include "hub/hub.h"
#include "model/limits.h"
#include "store/decision.h"
#include "util/hex.h"

struct login_work {
    const struct env *env;
    const struct hub_login *login;
    struct span hub;
    struct device device;
    bool has_hub, has_device;
};

static err read_identity(struct store_tx *tx, void *arg)
{
    struct login_work *w = arg;
    struct hub hub = { .host_name = w->hub };

    w->device = (struct device){ .hub = w->hub, .device_id = w->login->device_id };
    TRY(store_find(tx, &KIND_DEVICE, &w->device, w->env->arena, &w->device, &w->has_device));
    w->has_hub = w->has_device;
    return w->has_device ? OK : store_find(tx, &KIND_HUB, &hub, w->env->arena, &hub, &w->has_hub);
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

static err judge_leaf(const struct env *env, const struct device *d, const struct crypto_cert *leaf,
                      struct verdict *ret_verdict)
{
    struct crypto_x509_info info;
    bool has;

    TRY(has_thumbprint(d, leaf, &has));
    if (!has) {
        *ret_verdict = VERDICT(THUMBPRINT_MISMATCH);
        return OK;
    }
    TRY(crypto_x509_info(leaf, &info));
    if (env->now_ms < info.not_before_ms) {
        *ret_verdict = VERDICT(CERTIFICATE_NOT_YET_VALID);
    } else if (env->now_ms > info.not_after_ms) {
        *ret_verdict = VERDICT(CERTIFICATE_EXPIRED);
    } else if (d->status == DEVICE_DISABLED) {
        *ret_verdict = VERDICT(DEVICE_DISABLED);
    } else {
        *ret_verdict = VERDICT(GRANTED);
    }
    return OK;
}

static err judge(const struct login_work *w, struct verdict *ret_verdict)
{
    const struct hub_login *l = w->login;

    if (!w->has_hub) {
        *ret_verdict = VERDICT(HUB_UNKNOWN);
    } else if (!span_eq(l->client_id, l->device_id)) {
        *ret_verdict = VERDICT(CLIENT_ID_MISMATCH);
    } else if (!w->has_device) {
        *ret_verdict = VERDICT(DEVICE_NOT_FOUND);
    } else if (l->is_chain_unreadable) {
        *ret_verdict = VERDICT(CERTIFICATE_UNREADABLE);
    } else if (w->device.auth != DEVICE_AUTH_SELF_SIGNED || (l->has_password && l->n_chain == 0)) {
        *ret_verdict = VERDICT(DEVICE_CREDENTIAL_UNSUPPORTED);
    } else if (l->n_chain == 0) {
        *ret_verdict = VERDICT(CLIENT_CERTIFICATE_MISSING);
    } else {
        return judge_leaf(w->env, &w->device, l->chain[0], ret_verdict);
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
        .registration_id = span_first(l->device_id, LIMIT_DEVICE_ID),
        .operation = OPERATION_CONNECT,
        .transport = l->transport,
        .peer = l->peer,
        .reason = verdict.reason,
        .considered = SPAN("[]"),
    };
    struct buf text;

    TRY(model_fold(w->env->arena, d.registration_id, &d.registration_key));
    if (w->has_device) {
        d.hub = w->hub;
        d.device_id = w->device.device_id;
    }
    if (l->n_chain > 0) { /* the leaf alone: nothing above it was looked at */
        text = arena_buf(w->env->arena);
        TRY(crypto_x509_json_chain(l->chain, 1, &text));
        TRY(arena_buf_end(w->env->arena, &text, &d.certificate));
    }
    return store_decision_write(w->env->store, &d);
}

err hub_login(const struct env *env, const struct hub_login *login, struct device *ret_device,
              struct verdict *ret_verdict)
{
    struct hub_login l = *login;
    struct login_work w = { .env = env, .login = &l };
    struct verdict verdict;

    /* A key is never absent. */
    l.device_id = span_is_absent(l.device_id) ? SPAN("") : l.device_id;
    TRY(model_fold(env->arena, span_is_absent(l.hub_host) ? SPAN("") : l.hub_host, &w.hub));
    TRY(store_read(env->store, read_identity, &w));
    TRY(judge(&w, &verdict));
    if (verdict_is_granted(verdict)) {
        *ret_device = w.device;
    } else {
        TRY(record(&w, verdict));
    }
    *ret_verdict = verdict;
    return OK;
}
