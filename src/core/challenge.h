/* core/challenge.h: keys that were wrapped for a TPM: found, issued, used, dropped. Inside core/
 * only. */
#ifndef CORE_CHALLENGE_H
#define CORE_CHALLENGE_H

#include "core/search.h"

/* One TPM under one registration ID. */
struct core_challenge_key {
    struct span id_scope, registration_key; /* folded */
    struct span evidence_sha256;            /* attest_tpm_evidence */
};

struct core_challenge_pair {
    struct challenge open, used;
    bool has_open, has_used;
};

err core_challenge_find(const struct env *env, struct store_tx *tx,
                        const struct core_challenge_key *key, struct core_challenge_pair *ret_pair);
/* Points into the pair. */
struct attest_challenges core_challenge_trust(const struct core_challenge_pair *pair);

/* Answers TPM_CHALLENGED: stores an open challenge and the decision record in one transaction, and
 * gives its key wrapped for the claim's TPM. One that is open and not expired is wrapped again and
 * begins anew: so nobody makes a key worthless that a device is about to sign with. Drops a few
 * that are past any use. ERR_BUSY, ERR_IO, ERR_CRYPTO. */
err core_challenge_issue(const struct env *env, const struct claim *claim,
                         const struct core_challenge_key *key, const struct decision *d,
                         struct span *ret_blob);

/* In the transaction of the registration that it proved: the open challenge with this secret is
 * used. *ret_used false: it is open no more, another registration was faster. */
err core_challenge_use(const struct env *env, struct store_tx *tx,
                       const struct core_challenge_key *key, struct span secret, bool *ret_used);

#endif
