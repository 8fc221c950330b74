/* core/key_search.c: nothing names the group of a token, so groups are tried: the one that matched
 * last on this thread, since fleets come in batches; the one that registered this device; then all
 * others whose keys are at hand (core/key_groups.h), then those in the store behind them. No two
 * groups of a scope have a key in common (core/enrollment.c), so the order decides nothing. */
#include "core/key_search.h"

#include "core/key_groups.h"

struct key_search {
    struct core_climb *climb;
    struct span registration_key;
    uint8_t behind[LIMIT_ENROLLMENT_GROUP_ID]; /* where the walk through the store goes on */
    size_t behind_len;
    size_t n_tried;
    struct enrollment group; /* the one that decided */
    struct attest_judgement judgement;
    bool is_decided;
};

static void go_behind(struct key_search *s, struct span id)
{
    s->behind_len = id.len < sizeof s->behind ? id.len : sizeof s->behind;
    if (s->behind_len > 0) {
        memcpy(s->behind, id.data, s->behind_len);
    }
}

static err judge(struct key_search *s, const struct enrollment *group)
{
    struct attest_trust none = { 0 };

    TRY(attest_judge(s->climb->env, s->climb->claim, group, &none, &s->judgement));
    if (s->judgement.is_match) {
        s->is_decided = true;
        s->group = *group;
    }
    return OK;
}

/* ---- by keys at hand ---- */

/* The folded ID of the group that registered this device, or absent. */
static err remembered(struct key_search *s, struct store_tx *tx, struct span *ret_group)
{
    struct registration r = { .id_scope = s->climb->id_scope, .key = s->registration_key };
    bool is_found;

    TRY(store_find(tx, &KIND_REGISTRATION, &r, s->climb->env->arena, &r, &is_found));
    *ret_group = is_found && r.enrollment_kind == ENROLLMENT_GROUP &&
                         r.attestation == ATTESTATION_SYMMETRIC_KEY
                     ? r.enrollment
                     : SPAN_NONE;
    return OK;
}

static err find_at_hand(struct key_search *s, struct span *ret_group)
{
    const struct env *env = s->climb->env;
    struct store_tx *tx = s->climb->tx;
    struct attest_key_trial trial;
    struct core_key_scope *scope;
    struct span first;

    TRY(core_key_groups_get(env, tx, &s->climb->found->instance, &scope));
    TRY(attest_key_trial_init(env, s->climb->claim, &trial));
    s->n_tried = core_key_scope_count(scope);
    go_behind(s, core_key_scope_rest(scope));
    TRY(core_key_scope_try_latest(env, scope, &trial, ret_group));
    if (!span_is_absent(*ret_group) || s->n_tried == 0) {
        return OK;
    }
    TRY(remembered(s, tx, &first));
    return core_key_scope_try(env, scope, &trial, first, ret_group);
}

static err judge_by_id(struct key_search *s, struct span id)
{
    struct enrollment e = { .id_scope = s->climb->id_scope, .kind = ENROLLMENT_GROUP, .key = id };
    bool is_found;

    TRY(store_find(s->climb->tx, &KIND_ENROLLMENT, &e, s->climb->env->arena, &e, &is_found));
    return is_found ? judge(s, &e) : OK;
}

/* *ret_is_all: what is in the store needs no look. Keys at hand that promise what the row does not
 * keep are not trusted for anything. */
static err search_at_hand(struct key_search *s, bool *ret_is_all)
{
    struct arena *arena = s->climb->env->arena;
    size_t mark = arena->used;
    struct span group;

    TRY(find_at_hand(s, &group));
    *ret_is_all = span_is_absent(group) && s->behind_len == 0;
    if (!span_is_absent(group)) {
        TRY(judge_by_id(s, group));
        go_behind(s, SPAN_NONE);
    } else {
        arena->used = mark;
    }
    return OK;
}

/* ---- by rows of the store ---- */

static err search_store(struct key_search *s)
{
    struct arena *arena = s->climb->env->arena;
    size_t mark = arena->used;
    struct enrollment *rows;
    size_t n;

    do {
        struct span after = s->behind_len > 0 ? span_of(s->behind, s->behind_len) : SPAN_NONE;

        arena->used = mark;
        TRY(core_key_groups_page(s->climb->env, s->climb->tx, s->climb->id_scope, after, &rows,
                                 &n));
        for (size_t i = 0; i < n && !s->is_decided; i++) {
            TRY(judge(s, &rows[i]));
            s->n_tried++;
        }
        go_behind(s, n > 0 ? rows[n - 1].key : SPAN_NONE);
    } while (!s->is_decided && n == LIMIT_QUERY_BATCH);
    return OK;
}

/* Those that did not sign are one line in the record. */
static err consider_tried(struct key_search *s)
{
    struct attest_judgement none = { .verdict = VERDICT(TOKEN_BAD_SIGNATURE) };
    struct span why;

    TRY(arena_printf(s->climb->env->arena, &why, "tried: %zu; no key derived from theirs signed",
                     s->n_tried));
    none.why = (const char *)why.data;
    return core_climb_consider(s->climb, "group", SPAN("(symmetric-key groups)"), &none);
}

err core_key_search(struct core_climb *climb, struct span registration_key,
                    struct enrollment *ret_group, struct attest_judgement *ret_judgement,
                    bool *ret_is_decided)
{
    struct key_search s = { .climb = climb, .registration_key = registration_key };
    bool is_all = false;

    if (climb->env->key_groups != NULL) {
        TRY(search_at_hand(&s, &is_all));
    }
    if (!s.is_decided && !is_all) {
        TRY(search_store(&s));
    }
    *ret_is_decided = s.is_decided;
    if (!s.is_decided) {
        return consider_tried(&s);
    }
    *ret_group = s.group;
    *ret_judgement = s.judgement;
    return core_climb_consider(climb, "group", s.group.id, &s.judgement);
}
