/* core/challenge.c: rows of KIND_CHALLENGE. A TPM has at most two under one registration ID: the
 * key it was asked to sign with, open until it registers, and the one that registered last, kept
 * for polls and so that a replay is known as one. What a signature is worth is attest/tpm.c's. */
#include "core/challenge.h"

#include <assert.h>

#include "model/limits.h"
#include "store/decision.h"

static struct challenge row_of(const struct core_challenge_key *key, enum challenge_state state)
{
    return (struct challenge){ .id_scope = key->id_scope,
                               .registration_key = key->registration_key,
                               .evidence_sha256 = key->evidence_sha256,
                               .state = state };
}

static err find(const struct env *env, struct store_tx *tx, const struct core_challenge_key *key,
                enum challenge_state state, struct challenge *ret_row, bool *ret_found)
{
    *ret_row = row_of(key, state);
    return store_find(tx, &KIND_CHALLENGE, ret_row, env->arena, ret_row, ret_found);
}

err core_challenge_find(const struct env *env, struct store_tx *tx,
                        const struct core_challenge_key *key, struct core_challenge_pair *ret_pair)
{
    TRY(find(env, tx, key, CHALLENGE_OPEN, &ret_pair->open, &ret_pair->has_open));
    return find(env, tx, key, CHALLENGE_USED, &ret_pair->used, &ret_pair->has_used);
}

struct attest_challenges core_challenge_trust(const struct core_challenge_pair *pair)
{
    return (struct attest_challenges){
        .open = pair->has_open ? &pair->open : NULL,
        .used = pair->has_used ? &pair->used : NULL,
    };
}

/* ---- issuing ---- */

struct issuing {
    const struct env *env;
    const struct core_challenge_key *key;
    const struct decision *decision;
    uint8_t secret[ATTEST_TPM_KEY_LEN];
};

/* Nothing of a challenge is of use when it is twice as old as it may be when it is used. */
static err prune(const struct env *env, struct store_tx *tx)
{
    struct store_scan oldest = { .index = CHALLENGE_BY_ISSUED,
                                 .without_secrets = true,
                                 .limit = LIMIT_TPM_CHALLENGES_PRUNED };
    int64_t until_ms = env->now_ms - 2 * LIMIT_TPM_CHALLENGE_MS;
    struct challenge *rows;
    size_t n;

    TRY(store_scan(tx, &KIND_CHALLENGE, &oldest, env->arena, &rows, &n));
    for (size_t i = 0; i < n && rows[i].issued_ms < until_ms; i++) {
        TRY(store_delete(tx, &KIND_CHALLENGE, &rows[i]));
    }
    return OK;
}

static err issue(struct store_tx *tx, void *arg)
{
    struct issuing *w = arg;
    size_t mark = w->env->arena->used;
    struct challenge row;
    bool is_found;

    TRY(prune(w->env, tx));
    TRY(find(w->env, tx, w->key, CHALLENGE_OPEN, &row, &is_found));
    if (is_found && w->env->now_ms - row.issued_ms <= LIMIT_TPM_CHALLENGE_MS) {
        if (row.key.len != sizeof w->secret) {
            return err_set(ERR_CORRUPT, "a challenge's key has another length");
        }
        memcpy(w->secret, row.key.data, sizeof w->secret);
    }
    row = row_of(w->key, CHALLENGE_OPEN);
    row.key = span_of(w->secret, sizeof w->secret);
    row.issued_ms = w->env->now_ms;
    TRY(store_put(tx, &KIND_CHALLENGE, &row));
    w->env->arena->used = mark;
    return store_decision_put(tx, w->decision);
}

/* Wrapped once it is stored: what a device is given is what stands there. */
err core_challenge_issue(const struct env *env, const struct claim *claim,
                         const struct core_challenge_key *key, const struct decision *d,
                         struct span *ret_blob)
{
    struct issuing w = { .env = env, .key = key, .decision = d };
    err e;

    env->random(w.secret, sizeof w.secret);
    e = store_write(env->store, issue, &w);
    if (err_is_ok(e)) {
        e = attest_tpm_wrap(env, claim, w.secret, ret_blob);
    }
    crypto_wipe(w.secret, sizeof w.secret);
    return e;
}

/* ---- using ---- */

err core_challenge_use(const struct env *env, struct store_tx *tx,
                       const struct core_challenge_key *key, struct span secret, bool *ret_used)
{
    struct challenge row;
    bool is_found;

    TRY(find(env, tx, key, CHALLENGE_OPEN, &row, &is_found));
    *ret_used = is_found && crypto_equal(row.key, secret);
    if (!*ret_used) {
        return OK;
    }
    TRY(store_delete(tx, &KIND_CHALLENGE, &row));
    row.state = CHALLENGE_USED;
    row.used_ms = env->now_ms;
    return store_put(tx, &KIND_CHALLENGE, &row);
}
