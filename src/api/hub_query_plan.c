/* api/hub_query_plan.c: looks at the terms that AND joins at the top of a condition. One about a
 * member that an index begins with narrows the walk; all of them are evaluated for each row
 * nevertheless, so that may be wide. */
#include "api/hub_query_plan.h"

#include <stdlib.h>

#include "hub/tags.h"
#include "model/limits.h"

struct planning {
    struct arena *arena;
    struct hub_listing *listing;
    bool is_whole;
};

static bool is_one_of(const struct query_node *n)
{
    return n->op == QUERY_EQ || n->op == QUERY_IN;
}

static int compare(const void *a, const void *b)
{
    return span_compare(*(const struct span *)a, *(const struct span *)b);
}

/* Sorted, none twice. */
static size_t sort(struct span *spans, size_t n)
{
    size_t kept = 0;

    qsort(spans, n, sizeof(*spans), compare);
    for (size_t i = 0; i < n; i++) {
        if (kept == 0 || !span_eq(spans[kept - 1], spans[i])) {
            spans[kept++] = spans[i];
        }
    }
    return kept;
}

/* ---- deviceId ---- */

static void narrow(struct hub_listing *l, struct span least, struct span most)
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

static err plan_ids(struct planning *p, const struct query_node *n)
{
    struct span *ids = ARENA_ARRAY(p->arena, n->n_values + 1, struct span);
    size_t n_ids = 0;

    if (ids == NULL) {
        return ERR(NOMEM);
    }
    for (size_t i = 0; i < n->n_values; i++) {
        if (n->values[i].type == QUERY_VALUE_TEXT) {
            ids[n_ids++] = n->values[i].text;
        }
    }
    p->listing->ids = ids;
    p->listing->n_ids = sort(ids, n_ids);
    return OK;
}

/* A device's modules lie between "{device}/" and what follows it; which devices come before or
 * behind another, their order does not say. */
static err plan_ids_of_modules(struct planning *p, const struct query_node *n)
{
    struct span least = SPAN_NONE;
    struct span most = SPAN_NONE;

    for (size_t i = 0; i < n->n_values; i++) {
        struct span from, to;

        if (n->values[i].type != QUERY_VALUE_TEXT) {
            continue;
        }
        TRY(arena_printf(p->arena, &from, "%.*s/", SPAN_FMT(n->values[i].text)));
        TRY(arena_printf(p->arena, &to, "%.*s/\xff", SPAN_FMT(n->values[i].text)));
        least = span_is_absent(least) || span_compare(from, least) < 0 ? from : least;
        most = span_is_absent(most) || span_compare(to, most) > 0 ? to : most;
    }
    narrow(p->listing, least, most);
    return OK;
}

static err plan_id(struct planning *p, const struct query_node *n)
{
    bool is_text = n->n_values == 1 && n->values[0].type == QUERY_VALUE_TEXT;
    struct span text = is_text ? n->values[0].text : SPAN_NONE;
    struct span most;

    if (is_one_of(n)) {
        return p->listing->is_modules    ? plan_ids_of_modules(p, n)
               : p->listing->ids == NULL ? plan_ids(p, n)
                                         : OK;
    }
    if (!is_text) {
        return OK;
    }
    if (n->op == QUERY_STARTS_WITH) {
        /* No ID has such a byte: all that start so come before. */
        TRY(arena_printf(p->arena, &most, "%.*s\xff", SPAN_FMT(text)));
        narrow(p->listing, text, most);
    } else if (!p->listing->is_modules) {
        narrow(p->listing, n->op == QUERY_GT || n->op == QUERY_GE ? text : SPAN_NONE,
               n->op == QUERY_LT || n->op == QUERY_LE ? text : SPAN_NONE);
    }
    return OK;
}

/* ---- words ---- */

/* The one text that the member must be; absent: the term is of another form. */
static struct span one_text(const struct query_node *n)
{
    bool is_one = is_one_of(n) && n->n_values == 1 && n->values[0].type == QUERY_VALUE_TEXT;

    return is_one ? n->values[0].text : SPAN_NONE;
}

/* False: the term leaves out more than the index does. */
static bool plan_status(struct hub_listing *l, const struct query_node *n)
{
    struct span word = one_text(n);
    bool is_enabled = span_eq_nocase(word, SPAN("enabled"));

    if (l->has_status || l->is_modules || span_is_absent(word) ||
        (!is_enabled && !span_eq_nocase(word, SPAN("disabled")))) {
        return false;
    }
    l->has_status = true;
    l->status = is_enabled ? DEVICE_ENABLED : DEVICE_DISABLED;
    return true;
}

/* ---- tags ---- */

static bool format_value(const struct query_value *v, struct buf *out)
{
    switch (v->type) {
    case QUERY_VALUE_TEXT:
        return hub_tags_format_text(v->text, out);
    case QUERY_VALUE_NUMBER:
        return hub_tags_format_number(v->number, out);
    case QUERY_VALUE_BOOL:
        return hub_tags_format_bool(v->truth, out);
    default:
        return false;
    }
}

/* All values, or the index is of no use. */
static err format_values(struct planning *p, const struct query_node *n, bool *ret_is_indexed)
{
    struct span *values = ARENA_ARRAY(p->arena, n->n_values, struct span);

    if (values == NULL) {
        return ERR(NOMEM);
    }
    for (size_t i = 0; i < n->n_values; i++) {
        uint8_t bytes[LIMIT_TAG_VALUE + 1];
        struct buf value = buf_over(bytes, sizeof(bytes));

        if (!format_value(&n->values[i], &value)) {
            *ret_is_indexed = false;
            return OK;
        }
        TRY(arena_copy(p->arena, buf_span(&value), &values[i]));
    }
    p->listing->n_tag_values = sort(values, n->n_values);
    p->listing->tag_values = values;
    *ret_is_indexed = true;
    return OK;
}

static err plan_tag(struct planning *p, const struct query_node *n)
{
    uint8_t bytes[LIMIT_TAG_PATH + LIMIT_TWIN_NAME + 1];
    struct buf path = buf_over(bytes, sizeof(bytes));
    bool is_indexed = false;

    if (!span_is_absent(p->listing->tag_path) || !is_one_of(n) ||
        !hub_tags_format_path(n->path.inside, n->path.n_inside, &path)) {
        return OK;
    }
    TRY(format_values(p, n, &is_indexed));
    return is_indexed ? arena_copy(p->arena, buf_span(&path), &p->listing->tag_path) : OK;
}

/* ---- all terms ---- */

static err plan_term(struct planning *p, const struct query_node *n)
{
    const struct query_member *m = n->path.member;
    bool is_whole = false;
    err e = OK;

    if (m == NULL || n->left != NULL) {
        p->is_whole = false;
        return OK;
    }
    if (strcmp(m->name, "deviceId") == 0) {
        e = plan_id(p, n);
    } else if (strcmp(m->name, "status") == 0) {
        is_whole = plan_status(p->listing, n);
    } else if (strcmp(m->name, "connectionState") == 0) {
        p->listing->is_connected |= span_eq_nocase(one_text(n), SPAN("Connected"));
    } else if (strcmp(m->name, "tags") == 0) {
        e = plan_tag(p, n);
    }
    p->is_whole &= is_whole;
    return e;
}

static err plan(struct planning *p, const struct query_node *n)
{
    if (n->op == QUERY_AND) {
        TRY(plan(p, n->left));
        return plan(p, n->right);
    }
    return plan_term(p, n);
}

err hub_query_plan_listing(struct arena *arena, const struct query *q, struct hub_listing *listing,
                           bool *ret_is_whole)
{
    struct planning p = { .arena = arena, .listing = listing, .is_whole = true };

    if (q->where != NULL) {
        TRY(plan(&p, q->where));
    }
    *ret_is_whole = p.is_whole;
    return OK;
}
