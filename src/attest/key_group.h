/* attest/key_group.h: which symmetric-key group might a token be of? Nothing in a token names its
 * group (reference dps-device-api.md 6.3), so a search tries many; this makes each try cheap. It
 * gives a hint, not a judgement: that stays with attest_judge. */
#ifndef ATTEST_KEY_GROUP_H
#define ATTEST_KEY_GROUP_H

#include "attest/attest.h"
#include "crypto/hmac.h"

/* A group's two keys, ready to derive a device's from. */
struct attest_key_group {
    struct crypto_hmac *keys[SLOTS]; /* NULL: none */
};
/* ERR_NOMEM, ERR_CRYPTO. */
err attest_key_group_init(struct crypto *c, const struct enrollment *group,
                          struct attest_key_group *ret_group);
/* Wipes them. */
void attest_key_group_done(struct attest_key_group *g);

/* What is tried: a token, parsed once. Spans in env->arena or of the claim. */
struct attest_key_trial {
    struct span signed_text, signature;
    struct span spellings[2]; /* of the registration ID: as received, lower case */
    size_t n_spellings;
};
/* The claim has passed attest_symkey_precheck. ERR_NOMEM, ERR_MALFORMED. */
err attest_key_trial_init(const struct env *env, const struct claim *claim,
                          struct attest_key_trial *ret_trial);

/* Did a key derived from the group's sign? Expired or not. Constant time per comparison. */
err attest_key_group_has_signed(struct crypto *c, const struct attest_key_group *g,
                                const struct attest_key_trial *trial, bool *ret_has);

#endif
