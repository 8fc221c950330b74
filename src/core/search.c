/* core/search.c: the enrollment that decides on a claim: scope, individual enrollment, then the
 * climb through issuers to groups, or, with a token, core/key_search.c through the groups. Knows
 * where to look and in which order; whether evidence is good enough is attest/'s. */
#include "core/search.h"

#include "core/challenge.h"
#include "core/climb.h"
#include "core/key_search.h"
#include "model/limits.h"

static err find_instance(struct env const *env, struct store_tx *tx, struct span id_scope,
                         struct core_found *f)
{
    struct instance key = { .id_scope = id_scope };
    bool is_found = false;

    if (id_scope.len > 0 && id_scope.len <= LIMIT_ID_SCOPE) {
        TRY(store_find(tx, &KIND_INSTANCE, &key, env->arena, &f->instance, &is_found));
    }
    is_found = is_found && f->instance.life == LIFE_ACTIVE;
    f->verdict = is_found ? VERDICT(GRANTED) : VERDICT(SCOPE_UNKNOWN);
    return OK;
}

static bool has_token(const struct claim *claim)
{
    return !span_is_empty(claim->token);
}

/* What must hold before any enrollment is looked at; the cheapest first. With a token beside a
 * certificate, the enrollment says which of the two counts. */
static err check_claim(const struct env *env, struct store_tx *tx, const struct claim *claim,
                       struct span id_scope, struct core_found *f)
{
    if (!model_is_registration_id(claim->registration_id)) {
        f->verdict = VERDICT(REGISTRATION_ID_INVALID);
        return OK;
    }
    if (attest_tpm_is_claimed(claim)) {
        TRY(attest_tpm_precheck(env, claim, &f->verdict));
    } else if (!has_token(claim)) {
        TRY(attest_x509_precheck(env, claim, &f->verdict));
    } else if (claim->n_chain == 0) {
        TRY(attest_symkey_precheck(env, claim, &f->verdict));
    }
    if (!verdict_is_granted(f->verdict)) {
        return OK;
    }
    return find_instance(env, tx, id_scope, f);
}

static void decide(struct core_found *f, const struct enrollment *e,
                   const struct attest_judgement *j)
{
    f->has_enrollment = true;
    f->enrollment = *e;
    f->verdict = j->verdict;
    f->identity = j->identity;
}

/* The anchors of an individual enrollment that refers to uploaded CA certificates. None of them
 * there: *ret_n 0. */
static err referenced_anchors(struct core_climb *climb, const struct enrollment *e,
                              struct attest_anchor ret_anchors[SLOTS], size_t *ret_n)
{
    const struct span names[SLOTS] = { e->x509_primary, e->x509_secondary };
    size_t n = 0;

    for (size_t i = 0; i < SLOTS; i++) {
        struct certificate c = { .id_scope = e->id_scope, .name = names[i] };
        bool is_found = false;

        if (!span_is_absent(names[i])) {
            TRY(store_find(climb->tx, &KIND_CERTIFICATE, &c, climb->env->arena, &c, &is_found));
        }
        if (is_found) {
            struct crypto_cert *cert;

            TRY(core_climb_keep(climb, c.sha256, c.der, &cert));
            ret_anchors[n++] = (struct attest_anchor){
                .cert = cert,
                .sha256 = c.sha256,
                .usable = c.is_verified != 0,
                .source = "CA reference",
            };
        }
    }
    *ret_n = n;
    return OK;
}

/* Was the kind of evidence presented that the enrollment is about? What a TPM lacks, attest/ says.
 */
static bool may_use(const struct claim *claim, const struct enrollment *e)
{
    switch (e->attestation) {
    case ATTESTATION_TPM:
        return true;
    case ATTESTATION_SYMMETRIC_KEY:
        return has_token(claim);
    default:
        return claim->n_chain > 0;
    }
}

/* The challenges of the claim's TPM; none without one. */
static err read_challenges(struct core_climb *climb, struct attest_trust *trust)
{
    struct core_found *f = climb->found;
    struct core_challenge_key key = {
        .id_scope = climb->id_scope,
        .registration_key = climb->registration_key,
        .evidence_sha256 = span_of(f->tpm_sha256, sizeof f->tpm_sha256),
    };
    struct core_challenge_pair *pair;

    if (!f->has_tpm) {
        return OK;
    }
    pair = ARENA_NEW(climb->env->arena, struct core_challenge_pair);
    if (pair == NULL) {
        return ERR(NOMEM);
    }
    TRY(core_challenge_find(climb->env, climb->tx, &key, pair));
    trust->challenges = core_challenge_trust(pair);
    f->challenges = pair;
    return OK;
}

static err judge_individual(struct core_climb *climb, const struct enrollment *e)
{
    struct attest_anchor anchors[SLOTS];
    struct attest_trust trust = { .anchors = anchors };
    struct attest_judgement j = { .verdict = VERDICT(CA_MISSING), .is_match = true };

    if (!may_use(climb->claim, e)) {
        j.verdict = VERDICT(ATTESTATION_MISMATCH);
        decide(climb->found, e, &j);
        return core_climb_consider(climb, "individual", e->id, &j);
    }
    if (e->attestation == ATTESTATION_X509 && e->x509_source == X509_SOURCE_CA_REFERENCE) {
        TRY(referenced_anchors(climb, e, anchors, &trust.n_anchors));
        if (trust.n_anchors == 0) {
            decide(climb->found, e, &j);
            return core_climb_consider(climb, "individual", e->id, &j);
        }
        TRY(core_climb_collect(climb));
        trust.intermediates = climb->certs + 1;
        trust.n_intermediates = climb->n_certs - 1;
    }
    if (e->attestation == ATTESTATION_TPM) {
        TRY(read_challenges(climb, &trust));
    }
    TRY(attest_judge(climb->env, climb->claim, e, &trust, &j));
    decide(climb->found, e, &j);
    return core_climb_consider(climb, "individual", e->id, &j);
}

/* Disabled, granted, refused. */
static int rank(const struct attest_judgement *j)
{
    if (j->verdict.reason == REASON_ENROLLMENT_DISABLED) {
        return 3;
    }
    return verdict_is_granted(j->verdict) ? 2 : 1;
}

/* Judges one group by all its anchors of this level. */
static err judge_group(struct core_climb *climb, size_t first, struct enrollment *e,
                       struct attest_judgement *ret_judgement)
{
    struct attest_anchor *anchors =
        ARENA_ARRAY(climb->env->arena, climb->n_candidates, struct attest_anchor);
    struct attest_trust trust = { .anchors = anchors,
                                  .intermediates = climb->certs + 1,
                                  .n_intermediates = climb->n_certs - 1 };

    if (anchors == NULL) {
        return ERR(NOMEM);
    }
    for (size_t i = first; i < climb->n_candidates; i++) {
        if (span_eq(climb->candidates[i].group, climb->candidates[first].group)) {
            anchors[trust.n_anchors++] = climb->candidates[i].anchor;
            climb->candidates[i].is_judged = true;
        }
    }
    e->id_scope = climb->id_scope;
    e->kind = ENROLLMENT_GROUP;
    e->key = climb->candidates[first].group;
    TRY(store_get(climb->tx, &KIND_ENROLLMENT, e, climb->env->arena, e));
    if (e->attestation != climb->attestation) {
        *ret_judgement = (struct attest_judgement){ .verdict = VERDICT(ATTESTATION_MISMATCH),
                                                    .anchor = &anchors[0] };
        return core_climb_consider(climb, "group", e->id, ret_judgement);
    }
    TRY(read_challenges(climb, &trust));
    TRY(attest_judge(climb->env, climb->claim, e, &trust, ret_judgement));
    return core_climb_consider(climb, "group", e->id, ret_judgement);
}

/* A refusal without any match tells of the nearest miss: a forgery before an unknown issuer. */
static void note_miss(struct core_found *f, enum reason reason)
{
    if (reason == REASON_CERTIFICATE_BAD_SIGNATURE) {
        f->verdict = VERDICT(CERTIFICATE_BAD_SIGNATURE);
    }
}

static err judge_level(struct core_climb *climb, bool *ret_is_decided)
{
    int best = 0;

    for (size_t i = 0; i < climb->n_candidates; i++) {
        struct enrollment e = { 0 };
        struct attest_judgement j;

        if (climb->candidates[i].is_judged) {
            continue;
        }
        TRY(judge_group(climb, i, &e, &j));
        if (!j.is_match) {
            note_miss(climb->found, j.verdict.reason);
        } else if (rank(&j) > best) {
            best = rank(&j);
            decide(climb->found, &e, &j);
        }
    }
    *ret_is_decided = best > 0;
    return OK;
}

static err search_groups(struct core_climb *climb)
{
    climb->found->verdict = VERDICT(ISSUER_UNKNOWN);
    while (core_climb_may_rise(climb)) {
        bool is_decided;

        TRY(core_climb_rise(climb));
        if (climb->has_lookalike) {
            note_miss(climb->found, REASON_CERTIFICATE_BAD_SIGNATURE);
        }
        TRY(judge_level(climb, &is_decided));
        if (is_decided) {
            return OK;
        }
    }
    if (climb->is_cut_short && climb->found->verdict.reason == REASON_ISSUER_UNKNOWN) {
        climb->found->verdict = VERDICT(PATH_TOO_LONG);
    }
    return OK;
}

/* Nothing names a token's group. */
static err search_key_groups(struct core_climb *climb, struct span registration_key)
{
    struct enrollment group;
    struct attest_judgement j;
    bool is_decided;

    climb->found->verdict = VERDICT(TOKEN_BAD_SIGNATURE);
    TRY(core_key_search(climb, registration_key, &group, &j, &is_decided));
    if (is_decided) {
        decide(climb->found, &group, &j);
    }
    return OK;
}

/* An individual enrollment for a TPM, or none and the device is one. */
static bool is_by_tpm(const struct core_climb *climb, const struct enrollment *individual)
{
    return individual != NULL ? individual->attestation == ATTESTATION_TPM : climb->found->has_tpm;
}

static err search_by_tpm(struct core_climb *climb, const struct enrollment *individual)
{
    const struct claim_tpm *tpm = &climb->claim->tpm;

    if (individual != NULL) {
        return judge_individual(climb, individual);
    }
    TRY(attest_tpm_precheck_group(climb->env, climb->claim, &climb->found->verdict));
    if (!verdict_is_granted(climb->found->verdict)) {
        return OK;
    }
    core_climb_start(climb, tpm->certificates, tpm->n_certificates);
    climb->attestation = ATTESTATION_TPM;
    return search_groups(climb);
}

/* A certificate counts before a token, unless the enrollment is about keys. */
static err search_by_evidence(struct core_climb *climb, struct span registration_key,
                              const struct enrollment *individual)
{
    bool is_by_key = individual != NULL ? individual->attestation == ATTESTATION_SYMMETRIC_KEY
                                        : climb->claim->n_chain == 0;

    if (!is_by_key && climb->claim->n_chain > 0) {
        TRY(attest_x509_precheck(climb->env, climb->claim, &climb->found->verdict));
        if (!verdict_is_granted(climb->found->verdict)) {
            return OK;
        }
    }
    if (individual != NULL) {
        return judge_individual(climb, individual);
    }
    return is_by_key ? search_key_groups(climb, registration_key) : search_groups(climb);
}

err core_search(const struct env *env, struct store_tx *tx, const struct claim *claim,
                struct span id_scope, struct span registration_key, struct core_found *ret_found)
{
    AUTO(core_climb)
    struct core_climb climb = {
        .env = env,
        .tx = tx,
        .claim = claim,
        .id_scope = id_scope,
        .registration_key = registration_key,
        .attestation = ATTESTATION_X509,
        .found = ret_found,
    };
    struct enrollment e = { .id_scope = id_scope,
                            .kind = ENROLLMENT_INDIVIDUAL,
                            .key = registration_key };
    bool is_found;

    *ret_found = (struct core_found){ .verdict = VERDICT(GRANTED) };
    TRY(check_claim(env, tx, claim, id_scope, ret_found));
    if (!verdict_is_granted(ret_found->verdict)) {
        return OK;
    }
    if (attest_tpm_is_claimed(claim)) {
        TRY(attest_tpm_evidence(env, claim, ret_found->tpm_sha256));
        ret_found->has_tpm = true;
    }
    core_climb_start(&climb, claim->chain, claim->n_chain);
    TRY(store_find(tx, &KIND_ENROLLMENT, &e, env->arena, &e, &is_found));
    return is_by_tpm(&climb, is_found ? &e : NULL)
               ? search_by_tpm(&climb, is_found ? &e : NULL)
               : search_by_evidence(&climb, registration_key, is_found ? &e : NULL);
}
