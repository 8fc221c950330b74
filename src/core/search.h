/* core/search.h: finds the enrollment that decides on a claim, and judges the claim with it. One
 * code path for register, status lookup and explain. Inside core/ only.
 *
 *   1  The claim itself: registration ID, then the leaf, the TPM's keys or the token, then the
 *      scope.
 *   2  An individual enrollment of the registration ID decides alone; groups are then not looked
 *      at.
 *   3  Groups, by a token without a certificate: the symmetric-key group whose keys lead to the key
 *      that signed (core/key_search.h).
 *
 *   4  Groups, by a certificate: from the leaf upward, level by level, every certificate sent or
 *      stored whose name is the issuer's. A stored one may be a group's signing certificate, or an
 *      uploaded CA certificate that groups refer to: those groups are judged. The first level with
 *      a match decides, so the most specific group wins, disabled or not; at one level disabled
 *      goes before granted, and both before a match that fails.
 *
 *   5  Groups, by a TPM: as 4, from the endorsement key's certificate, but only groups of type tpm;
 *      4 passes these over. A claim with a TPM's keys is about them, whatever else came along. */
#ifndef CORE_SEARCH_H
#define CORE_SEARCH_H

#include "attest/attest.h"
#include "store/store.h"

struct core_challenge_pair;

/* One thing looked at: a member of `considered` in the decision record (doc/wire/manage.md). */
struct core_considered {
    const char *kind; /* "individual", "group", "certificate" */
    struct span id;
    struct span anchor_subject; /* absent: no anchor */
    struct span anchor_sha256;
    const char *anchor_source;
    enum reason outcome;
    const char *why; /* NULL: nothing to add */
};

enum { CORE_CONSIDERED_MAX = 32 }; /* what comes beyond is judged, but not in the record */

struct core_found {
    struct verdict verdict;
    struct instance instance;     /* unless SCOPE_UNKNOWN or earlier */
    bool has_enrollment;          /* one decided, for or against */
    struct enrollment enrollment; /* that one */
    struct identity identity;     /* when granted */
    bool has_tpm;                 /* the TPM's keys are well-formed; below: their digest … */
    uint8_t tpm_sha256[CRYPTO_SHA256_LEN];
    const struct core_challenge_pair *challenges; /* … and what was found for it, or NULL */
    struct core_considered considered[CORE_CONSIDERED_MAX];
    size_t n_considered;
};

/* id_scope and registration_key folded. Reads only; for a function of store_read. The results'
 * spans are in env->arena. ERR_NOMEM, ERR_CRYPTO, and the store's. */
err core_search(const struct env *env, struct store_tx *tx, const struct claim *claim,
                struct span id_scope, struct span registration_key, struct core_found *ret_found);

#endif
