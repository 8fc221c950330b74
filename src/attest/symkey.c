/* attest/symkey.c: proof by a token that a symmetric key signed (reference dps-device-api.md 6.3).
 * An individual enrollment's keys are the device's own; a group's are never used by a device, but
 * each device's are derived from them and its registration ID. Which enrollments to try is core/'s.
 *
 * A device derives its key over its own spelling of the registration ID, so the ID is tried as
 * received, then in lower case. */
#include "attest/method.h"

#include "attest/sas.h"
#include "model/limits.h"

/* A device's keys under one spelling of its ID. */
struct device_keys {
    uint8_t derived[SLOTS][CRYPTO_SHA256_LEN];
    struct span keys[SLOTS];
};

err attest_symkey_derive(struct crypto *c, struct span group_key, struct span registration_id,
                         uint8_t ret_key[CRYPTO_SHA256_LEN])
{
    return crypto_hmac_sha256(c, group_key, registration_id, ret_key);
}

/* Does sr, decoded, name "{scope}/registrations/{id}", no more and no less? Case does not matter.
 */
static bool is_for_registration(const struct claim *claim, struct span resource)
{
    struct span middle = SPAN("/registrations/");
    size_t scope_len = claim->id_scope.len;
    size_t id_at = scope_len + middle.len;

    return resource.len == id_at + claim->registration_id.len &&
           span_starts_with_nocase(resource, claim->id_scope) &&
           span_starts_with_nocase(span_from(resource, scope_len), middle) &&
           span_eq_nocase(span_from(resource, id_at), claim->registration_id);
}

err attest_symkey_read_token(const struct env *env, const struct claim *claim,
                             struct sas_token *ret_token, struct verdict *ret_verdict)
{
    err e;

    if (span_is_empty(claim->token)) {
        *ret_verdict = VERDICT(TOKEN_MISSING);
        return OK;
    }
    e = claim->token.len <= LIMIT_SAS_TOKEN ? sas_parse(claim->token, env->arena, ret_token)
                                            : ERR(MALFORMED);
    if (err_is(e, ERR_MALFORMED)) {
        *ret_verdict = VERDICT(TOKEN_MALFORMED);
        return OK;
    }
    TRY(e);
    if (!is_for_registration(claim, ret_token->resource)) {
        *ret_verdict = VERDICT(TOKEN_SCOPE);
    } else if (!span_is_empty(ret_token->key_name) &&
               !span_eq(ret_token->key_name, SPAN("registration"))) {
        *ret_verdict = VERDICT(TOKEN_POLICY_UNKNOWN);
    } else {
        *ret_verdict = VERDICT(GRANTED);
    }
    return OK;
}

err attest_symkey_precheck(const struct env *env, const struct claim *claim,
                           struct verdict *ret_verdict)
{
    size_t mark = env->arena->used;
    struct sas_token token;
    err e = attest_symkey_read_token(env, claim, &token, ret_verdict);

    env->arena->used = mark;
    return e;
}

/* Tries both keys. TOKEN_BAD_SIGNATURE: neither signed. */
static err try_keys(const struct env *env, const struct sas_token *token,
                    const struct span keys[SLOTS], size_t *ret_slot, enum reason *ret_reason)
{
    enum reason reason = REASON_TOKEN_BAD_SIGNATURE;
    size_t slot = 0;

    for (size_t i = 0; i < SLOTS && reason == REASON_TOKEN_BAD_SIGNATURE; i++) {
        slot = i;
        TRY(sas_check(env->crypto, token, &keys[i], 1, env->now_ms, &reason));
    }
    *ret_slot = slot;
    *ret_reason = reason;
    return OK;
}

static err derive_keys(const struct env *env, const struct enrollment *e, struct span id,
                       struct device_keys *ret)
{
    const struct span group_keys[SLOTS] = { e->primary_key, e->secondary_key };

    for (size_t i = 0; i < SLOTS; i++) {
        ret->keys[i] = SPAN_NONE;
        if (!span_is_empty(group_keys[i])) {
            TRY(attest_symkey_derive(env->crypto, group_keys[i], id, ret->derived[i]));
            ret->keys[i] = span_of(ret->derived[i], CRYPTO_SHA256_LEN);
        }
    }
    return OK;
}

static err try_group(const struct env *env, const struct claim *claim, const struct enrollment *e,
                     const struct sas_token *token, struct device_keys *ret_keys, size_t *ret_slot,
                     enum reason *ret_reason)
{
    struct span spellings[2] = { claim->registration_id };

    TRY(model_fold(env->arena, claim->registration_id, &spellings[1]));
    for (size_t i = 0; i < 2; i++) {
        if (i > 0 && span_eq(spellings[0], spellings[1])) {
            break;
        }
        TRY(derive_keys(env, e, spellings[i], ret_keys));
        TRY(try_keys(env, token, ret_keys->keys, ret_slot, ret_reason));
        if (*ret_reason != REASON_TOKEN_BAD_SIGNATURE) {
            break;
        }
    }
    return OK;
}

static err judge(const struct env *env, const struct claim *claim, const struct enrollment *e,
                 struct device_keys *keys, struct attest_judgement *ret)
{
    struct sas_token token;
    struct verdict verdict;
    size_t slot = 0;

    TRY(attest_symkey_read_token(env, claim, &token, &verdict));
    if (!verdict_is_granted(verdict)) {
        ret->verdict = verdict;
        ret->is_match = e->kind == ENROLLMENT_INDIVIDUAL;
        return OK;
    }
    if (e->kind == ENROLLMENT_GROUP) {
        TRY(try_group(env, claim, e, &token, keys, &slot, &verdict.reason));
    } else {
        keys->keys[SLOT_PRIMARY] = e->primary_key;
        keys->keys[SLOT_SECONDARY] = e->secondary_key;
        TRY(try_keys(env, &token, keys->keys, &slot, &verdict.reason));
    }
    ret->verdict = verdict;
    ret->is_match =
        e->kind == ENROLLMENT_INDIVIDUAL || verdict.reason != REASON_TOKEN_BAD_SIGNATURE;
    ret->identity.proving_slot_ = slot;
    if (verdict.reason != REASON_TOKEN_BAD_SIGNATURE) {
        ret->why =
            slot == SLOT_PRIMARY ? "signed by the primary key" : "signed by the secondary key";
    }
    return OK;
}

err attest_symkey_judge(const struct env *env, const struct claim *claim,
                        const struct enrollment *enrollment, const struct attest_trust *trust,
                        struct attest_judgement *ret)
{
    size_t mark = env->arena->used;
    struct device_keys keys = { 0 };
    err e = judge(env, claim, enrollment, &keys, ret);

    (void)trust;
    env->arena->used = mark;
    for (size_t i = 0; i < SLOTS && err_is_ok(e) && verdict_is_granted(ret->verdict); i++) {
        e = span_is_absent(keys.keys[i])
                ? OK
                : arena_copy(env->arena, keys.keys[i], &ret->identity.keys_[i]);
    }
    crypto_wipe(keys.derived, sizeof(keys.derived));
    return e;
}
