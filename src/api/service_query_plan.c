/* api/service_query_plan.c: looks at the terms that AND joins at the top of a condition. One about
 * a member that an order of the store begins with becomes an end of the walk; all of them are
 * evaluated for each row nevertheless, so an end may be wide. */
#include "api/service_query_plan.h"

struct planning {
    struct arena *arena;
    struct core_listing *listing;
    bool is_whole;
};

/* Of the values of a term: the least and the greatest, folded. */
static err find_id_ends(struct planning *p, const struct query_node *n, struct span *ret_least,
                        struct span *ret_most)
{
    struct span least = SPAN_NONE;
    struct span most = SPAN_NONE;

    for (size_t i = 0; i < n->n_values; i++) {
        struct span id;

        TRY(model_fold(p->arena, n->values[i].text, &id));
        least = i == 0 || span_compare(id, least) < 0 ? id : least;
        most = i == 0 || span_compare(id, most) > 0 ? id : most;
    }
    *ret_least = least;
    *ret_most = most;
    return OK;
}

static void narrow_id(struct core_listing *l, struct span least, struct span most)
{
    if (!span_is_absent(least) &&
        (span_is_absent(l->id_least) || span_compare(least, l->id_least) > 0)) {
        l->id_least = least;
    }
    if (!span_is_absent(most) &&
        (span_is_absent(l->id_most) || span_compare(most, l->id_most) < 0)) {
        l->id_most = most;
    }
}

static err plan_id(struct planning *p, const struct query_node *n)
{
    struct span least, most;

    TRY(find_id_ends(p, n, &least, &most));
    if (n->op == QUERY_STARTS_WITH) {
        /* No text has such a byte: all that start so come before. */
        TRY(arena_printf(p->arena, &most, "%.*s\xff", SPAN_FMT(least)));
    }
    if (n->op == QUERY_LT || n->op == QUERY_LE) {
        least = SPAN_NONE;
    }
    if (n->op == QUERY_GT || n->op == QUERY_GE) {
        most = SPAN_NONE;
    }
    p->is_whole &= n->n_values == 1 && (n->op == QUERY_EQ || n->op == QUERY_IN);
    narrow_id(p->listing, least, most);
    return OK;
}

static void plan_updated(struct planning *p, const struct query_node *n)
{
    struct core_listing *l = p->listing;
    int64_t least = INT64_MAX;
    int64_t most = INT64_MIN;

    for (size_t i = 0; i < n->n_values; i++) {
        least = n->values[i].time_ms < least ? n->values[i].time_ms : least;
        most = n->values[i].time_ms > most ? n->values[i].time_ms : most;
    }
    if (n->op == QUERY_LT || n->op == QUERY_LE) {
        least = INT64_MIN;
    }
    if (n->op == QUERY_GT || n->op == QUERY_GE) {
        most = INT64_MAX;
    }
    p->is_whole = false;
    l->updated_least = !l->has_updated || least > l->updated_least ? least : l->updated_least;
    l->updated_most = !l->has_updated || most < l->updated_most ? most : l->updated_most;
    l->has_updated = true;
}

/* The one text that the member must be; absent: the term is of another form. */
static struct span one_text(const struct query_node *n)
{
    bool is_one = (n->op == QUERY_EQ || n->op == QUERY_IN) && n->n_values == 1;

    return is_one ? n->values[0].text : SPAN_NONE;
}

static bool plan_status(struct core_listing *l, const struct query_node *n)
{
    struct span word = one_text(n);

    if (l->has_status || span_is_absent(word)) {
        return false;
    }
    l->has_status = true;
    l->status =
        span_eq_nocase(word, SPAN("enabled")) ? PROVISIONING_ENABLED : PROVISIONING_DISABLED;
    return true;
}

static bool plan_attestation(struct core_listing *l, const struct query_node *n)
{
    struct span word = one_text(n);

    if (l->has_attestation || span_is_absent(word) ||
        !model_parse_attestation(word, &l->attestation)) {
        return false;
    }
    l->has_attestation = true;
    return true;
}

static bool has_ends(enum query_op op)
{
    return op == QUERY_EQ || op == QUERY_IN || (op >= QUERY_LT && op <= QUERY_GE);
}

static err plan_term(struct planning *p, const struct query_node *n)
{
    const struct query_member *m = n->path.member;
    bool is_enrollment = p->listing->of != CORE_LISTING_REGISTRATIONS;

    if (m->order == CORE_LISTING_BY_ID && (has_ends(n->op) || n->op == QUERY_STARTS_WITH)) {
        return plan_id(p, n);
    }
    if (m->order == CORE_LISTING_BY_UPDATED && has_ends(n->op)) {
        plan_updated(p, n);
        return OK;
    }
    if (is_enrollment && strcmp(m->name, "provisioningStatus") == 0) {
        p->is_whole &= plan_status(p->listing, n);
        return OK;
    }
    p->is_whole &= is_enrollment && strcmp(m->name, "attestation.type") == 0 &&
                   plan_attestation(p->listing, n);
    return OK;
}

static err plan(struct planning *p, const struct query_node *n)
{
    if (n->op == QUERY_AND) {
        TRY(plan(p, n->left));
        return plan(p, n->right);
    }
    if (n->op == QUERY_OR || n->op == QUERY_NOT) {
        p->is_whole = false;
        return OK;
    }
    return plan_term(p, n);
}

err service_query_plan_listing(struct arena *arena, const struct query *q,
                               struct core_listing *listing, bool *ret_is_whole)
{
    struct planning p = { .arena = arena, .listing = listing, .is_whole = true };

    listing->order = (enum core_listing_order)q->order;
    listing->descending = q->descending;
    if (q->where != NULL) {
        TRY(plan(&p, q->where));
    }
    *ret_is_whole = p.is_whole;
    return OK;
}
