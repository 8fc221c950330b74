/* core/climb.h: the climb of a search (core/search.h) from a leaf through the certificates that may
 * have issued it. Inside core/ only. */
#ifndef CORE_CLIMB_H
#define CORE_CLIMB_H

#include "core/search.h"
#include "model/limits.h"

/* A group that one of a level's certificates belongs to. */
struct core_candidate {
    struct span group; /* folded ID */
    struct attest_anchor anchor;
    bool is_judged;
};

struct core_climb {
    const struct env *env;
    struct store_tx *tx;
    const struct claim *claim;
    struct span id_scope, registration_key; /* folded */
    enum attestation_type attestation;      /* of the groups that may decide */
    struct core_found *found;               /* where what was considered is noted */
    struct crypto_cert *const *chain;       /* what was sent: the leaf, then help in any order */
    size_t n_chain;

    /* Everything climbed over: the leaf, then what was sent, then what is stored; each once. */
    struct crypto_cert *certs[LIMIT_TRUST_CERTIFICATES];
    size_t level_of[LIMIT_TRUST_CERTIFICATES]; /* 1 + its height above the leaf; 0: not reached */
    size_t n_certs;
    size_t level; /* of the certificates whose issuers are looked for next */

    struct core_candidate candidates[LIMIT_ANCHORS_PER_ISSUER];
    size_t n_candidates; /* of the level reached by the latest rise */
    bool has_lookalike;  /* a stored certificate has the issuer's name and another key */
    bool is_cut_short;   /* a limit ended the climb */

    struct crypto_cert *kept[LIMIT_TRUST_CERTIFICATES + SLOTS]; /* references to give back */
    size_t n_kept;
};

/* At the leaf of the chain; without one there is nothing to climb. */
void core_climb_start(struct core_climb *c, struct crypto_cert *const *chain, size_t n_chain);
/* Is there a certificate whose issuers have not been looked for? */
bool core_climb_may_rise(struct core_climb *c);
/* One level up: finds its certificates and candidates. */
err core_climb_rise(struct core_climb *c);
/* To the top, without candidates: all that may help to build a path. */
err core_climb_collect(struct core_climb *c);
/* A stored certificate, parsed, valid as long as the climb. ERR_CORRUPT. */
err core_climb_keep(struct core_climb *c, struct span sha256, struct span der,
                    struct crypto_cert **ret_cert);
/* Notes a judgement in found->considered. */
err core_climb_consider(struct core_climb *c, const char *kind, struct span id,
                        const struct attest_judgement *j);
/* Gives the references back. */
void core_climb_done(struct core_climb *c);

static inline void auto_core_climb(struct core_climb *c)
{
    core_climb_done(c);
}

#endif
