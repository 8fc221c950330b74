/* hub/registry_check.c: the rules of identities: credentials, and the scopes by which edge devices
 * and their children know each other. */
#include "hub/registry_check.h"

#include "model/limits.h"
#include "json/writer.h"

enum { KEY_BYTES = 32, SHA1_HEX = 40, SHA256_HEX = 64, SCOPE_MAX = LIMIT_DEVICE_ID + 64 };

static const struct span scope_scheme = SPAN_INIT("ms-azure-iot-edge://");

/* ---- credentials ---- */

static bool is_thumbprint(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i] | 0x20;

        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f')) {
            return false;
        }
    }
    return text.len == SHA1_HEX || text.len == SHA256_HEX;
}

static bool is_key(struct span key)
{
    return key.len >= LIMIT_SYMMETRIC_KEY_MIN && key.len <= LIMIT_SYMMETRIC_KEY;
}

static const char *check_keys(const struct device *d)
{
    bool has_primary = !span_is_absent(d->primary_key);
    bool has_secondary = !span_is_absent(d->secondary_key);

    if ((has_primary || has_secondary) && d->auth != DEVICE_AUTH_SAS) {
        return "Symmetric keys go with the authentication type sas alone.";
    }
    if (has_primary != has_secondary) {
        return "Either no keys or both keys can be set.";
    }
    if (has_primary && (!is_key(d->primary_key) || !is_key(d->secondary_key))) {
        return "A symmetric key is base64 of 16 to 64 bytes.";
    }
    return NULL;
}

static const char *check_thumbprints(const struct device *d)
{
    const struct span thumbprints[] = { d->primary_thumbprint, d->secondary_thumbprint };

    for (size_t i = 0; i < sizeof thumbprints / sizeof *thumbprints; i++) {
        if (span_is_absent(thumbprints[i])) {
            continue;
        }
        if (d->auth != DEVICE_AUTH_SELF_SIGNED) {
            return "Thumbprints go with the authentication type selfSigned alone.";
        }
        if (!is_thumbprint(thumbprints[i])) {
            return "StringIsNotThumbprint: a thumbprint is 40 or 64 hexadecimal digits.";
        }
    }
    return NULL;
}

static err make_keys(const struct env *env, struct device *d)
{
    uint8_t *keys = ARENA_ARRAY(env->arena, (size_t)2 * KEY_BYTES, uint8_t);

    if (keys == NULL) {
        return ERR(NOMEM);
    }
    env->random(keys, (size_t)2 * KEY_BYTES);
    d->primary_key = span_of(keys, KEY_BYTES);
    d->secondary_key = span_of(keys + KEY_BYTES, KEY_BYTES);
    return OK;
}

err registry_check_credential(const struct env *env, struct device *given,
                              struct verdict *ret_verdict)
{
    bool is_module = hub_identity_is_module(given->device_id);
    const char *problem;

    if (given->auth == DEVICE_AUTH_NONE && !is_module) {
        *ret_verdict =
            verdict_invalid("The authentication type none is for the hub's own modules.");
        return OK;
    }
    if (given->auth == DEVICE_AUTH_NONE) {
        given->auth = DEVICE_AUTH_SAS;
    }
    problem = check_keys(given);
    problem = problem != NULL ? problem : check_thumbprints(given);
    *ret_verdict = problem != NULL ? verdict_invalid(problem) : VERDICT(GRANTED);
    if (problem == NULL && given->auth == DEVICE_AUTH_SAS && span_is_absent(given->primary_key)) {
        return make_keys(env, given);
    }
    return OK;
}

/* ---- scopes ---- */

/* Is it the scope of an edge device that is there now? */
static err is_scope(const struct env *env, struct store_tx *tx, struct span hub, struct span scope,
                    bool *ret_is)
{
    struct device parent = { .hub = hub };
    struct span own;
    size_t at = scope.len;
    bool is_there;

    *ret_is = false;
    if (scope.len > SCOPE_MAX || !span_starts_with(scope, scope_scheme)) {
        return OK;
    }
    while (scope.data[at - 1] != '-' && at > scope_scheme.len) {
        at--;
    }
    if (at <= scope_scheme.len + 1) {
        return OK;
    }
    parent.device_id = span_of(scope.data + scope_scheme.len, at - 1 - scope_scheme.len);
    TRY(store_find(tx, &KIND_DEVICE, &parent, env->arena, &parent, &is_there));
    if (is_there && parent.iot_edge) {
        TRY(hub_identity_scope(&parent, env->arena, &own));
        *ret_is = span_eq(own, scope);
    }
    return OK;
}

static err list_of_one(const struct env *env, struct span scope, struct span *ret_json)
{
    struct buf out = arena_buf(env->arena);
    struct json_writer w = json_writer_over(&out);

    json_write_begin_array(&w, NULL);
    json_write_text(&w, NULL, scope);
    json_write_end_array(&w);
    return arena_buf_end(env->arena, &out, ret_json);
}

/* `scope` must be another's; what was stored before is taken as it is, its owner may be gone. */
static err settle_parent(const struct env *env, struct store_tx *tx, struct span scope,
                         struct device *d, struct span was, struct verdict *ret_verdict)
{
    struct span parents, own;
    bool is_one;

    TRY(list_of_one(env, scope, &parents));
    if (!span_eq(parents, was)) {
        TRY(is_scope(env, tx, d->hub, scope, &is_one));
        TRY(hub_identity_scope(d, env->arena, &own));
        if (!is_one || span_eq(own, scope)) {
            *ret_verdict =
                verdict_invalid("The scope is not that of another edge device of this hub: "
                                "ms-azure-iot-edge://{deviceId}-{generationId}.");
            return OK;
        }
    }
    d->parent_scopes = parents;
    return OK;
}

/* An edge device in an edge device. */
static err settle_edge(const struct env *env, struct store_tx *tx, const struct device *given,
                       const struct device *was, struct device *d, struct verdict *ret_verdict)
{
    AUTO(json) json *parents = NULL;
    const bool was_edge = was != NULL && was->iot_edge;
    struct span old = was != NULL ? was->parent_scopes : SPAN_NONE;

    if (was_edge && !span_is_absent(given->device_scope) && span_is_empty(given->device_scope)) {
        *ret_verdict = verdict_invalid("An edge device's own deviceScope cannot be taken away.");
        return OK;
    }
    if (span_is_absent(given->parent_scopes)) {
        return OK;
    }
    TRY(json_parse(given->parent_scopes, LIMIT_JSON_DEPTH, &parents));
    if (json_array_len(parents) == 0) {
        return OK;
    }
    if (json_array_len(parents) > 1) {
        *ret_verdict = verdict_invalid("parentScopes names more than one parent.");
        return OK;
    }
    return settle_parent(env, tx, json_text(json_array_at(parents, 0)), d, old, ret_verdict);
}

err registry_check_scopes(const struct env *env, struct store_tx *tx, const struct device *given,
                          const struct device *was, struct device *d, struct verdict *ret_verdict)
{
    struct span old = was != NULL && !was->iot_edge ? was->parent_scopes : SPAN_NONE;

    *ret_verdict = VERDICT(GRANTED);
    d->device_scope = d->parent_scopes = SPAN_NONE;
    if (d->iot_edge) {
        return settle_edge(env, tx, given, was, d, ret_verdict);
    }
    if (span_is_empty(given->device_scope)) {
        return OK;
    }
    TRY(settle_parent(env, tx, given->device_scope, d, old, ret_verdict));
    d->device_scope = given->device_scope;
    return OK;
}
