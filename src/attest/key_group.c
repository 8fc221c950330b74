/* attest/key_group.c: a token against a group's keys made ready: per key one HMAC for the device's
 * key and one for the signature, twice for an ID with upper case. Where groups come from, and in
 * which order they are tried, is core/'s. */
#include "attest/key_group.h"

#include "attest/sas.h"

err attest_key_group_init(struct crypto *c, const struct enrollment *group,
                          struct attest_key_group *ret_group)
{
    const struct span keys[SLOTS] = { group->primary_key, group->secondary_key };
    struct attest_key_group g = { 0 };

    for (size_t i = 0; i < SLOTS; i++) {
        err e = span_is_empty(keys[i]) ? OK : crypto_hmac_new(c, keys[i], &g.keys[i]);

        if (!err_is_ok(e)) {
            attest_key_group_done(&g);
            return e;
        }
    }
    *ret_group = g;
    return OK;
}

void attest_key_group_done(struct attest_key_group *g)
{
    for (size_t i = 0; i < SLOTS; i++) {
        crypto_hmac_free(g->keys[i]);
        g->keys[i] = NULL;
    }
}

err attest_key_trial_init(const struct env *env, const struct claim *claim,
                          struct attest_key_trial *ret_trial)
{
    struct attest_key_trial t = { .spellings[0] = claim->registration_id, .n_spellings = 1 };
    struct sas_token token;

    TRY(sas_parse(claim->token, env->arena, &token));
    TRY(model_fold(env->arena, claim->registration_id, &t.spellings[1]));
    t.n_spellings += span_eq(t.spellings[0], t.spellings[1]) ? 0 : 1;
    t.signed_text = token.signed_text;
    t.signature = token.signature;
    *ret_trial = t;
    return OK;
}

static err has_signed(struct crypto *c, struct crypto_hmac *key,
                      const struct attest_key_trial *trial, struct span spelling, bool *ret_has)
{
    uint8_t device_key[CRYPTO_SHA256_LEN], mac[CRYPTO_SHA256_LEN];
    err e;

    TRY(crypto_hmac_of(key, spelling, device_key));
    e = crypto_hmac_sha256(c, span_of(device_key, sizeof(device_key)), trial->signed_text, mac);
    crypto_wipe(device_key, sizeof(device_key));
    TRY(e);
    *ret_has = crypto_equal(span_of(mac, sizeof(mac)), trial->signature);
    crypto_wipe(mac, sizeof(mac));
    return OK;
}

err attest_key_group_has_signed(struct crypto *c, const struct attest_key_group *g,
                                const struct attest_key_trial *trial, bool *ret_has)
{
    bool has = false;

    for (size_t i = 0; i < SLOTS * trial->n_spellings && !has; i++) {
        struct crypto_hmac *key = g->keys[i % SLOTS];

        if (key != NULL) {
            TRY(has_signed(c, key, trial, trial->spellings[i / SLOTS], &has));
        }
    }
    *ret_has = has;
    return OK;
}
