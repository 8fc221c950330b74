/* core/reconcile.h: what an instance's registrations and the hubs with their devices disagree
 * about, and mending it one by one: what is to be mended is looked at again in the transaction that
 * does it. What registrations have on a hub, and that the hub has not, core/placements.h finds. */
#ifndef CORE_RECONCILE_H
#define CORE_RECONCILE_H

#include "model/placement.h"

/* ---- which hubs there are to look at ---- */

struct core_reconcile_hub {
    struct span host_name;
    bool is_linked, is_remote;
    bool is_there;   /* in this store */
    bool is_ours;    /* made by the instance, or by nobody's instance */
    int64_t devices; /* that registrations of the instance have on it */
};
/* Those linked, and those that are not any more but have devices of its. By host name. */
err core_reconcile_hubs(const struct env *env, struct span id_scope,
                        struct core_reconcile_hub **ret_rows, size_t *ret_n);

/* ---- what a hub has ---- */

/* May the instance be shown what else there is on a linked hub? It may on one that it made, that
 * nobody's instance made, or by a connection string with RegistryRead; elsewhere the hub itself
 * says. *ret_why: a sentence; absent: it may. */
err core_reconcile_may_look(const struct env *env, const struct linked_hub *link,
                            struct span *ret_why);

enum core_finding {
    CORE_FINDING_NONE = 0,  /* as registrations have it; or it is on its way, or gone meanwhile */
    CORE_FINDING_ANOTHERS,  /* another instance knows it, or may: nothing to be said of it */
    CORE_FINDING_DUPLICATE, /* registrations have that device on another hub */
    CORE_FINDING_STRAY,     /* no registration knows it */
};
struct core_identity {
    struct span device_id; /* in; the rest is out */
    enum core_finding finding;
    struct span registration_id, placed_hub; /* of a DUPLICATE */
    bool was_registered;                     /* a STRAY of whose ID decisions tell */
};
/* Says of the first *ret_n of n devices on a hub what registrations say: of at least one, and as
 * many as can be in LIMIT_RECONCILE_LOOKUPS. `hubs`: the hub is of this store; NULL: elsewhere. */
struct core_reconcile_query {
    const struct placer *hubs;
    struct span id_scope, hub; /* folded */
};
err core_reconcile_judge(const struct env *env, const struct core_reconcile_query *q,
                         struct core_identity *ids, size_t n, size_t *ret_n);

/* ---- what waits ---- */

/* Hands all registrations to fn in the order of their keys, from behind `after` (absent: from the
 * start), and says of each whether it is ASSIGNING without an errand. Rows last until fn returns,
 * which clears *more to end the walk. */
typedef err (*core_reconcile_waiting_fn)(const struct registration *r, bool is_lost, void *arg,
                                         bool *more);
err core_reconcile_waiting(const struct env *env, struct span id_scope, struct span after,
                           core_reconcile_waiting_fn fn, void *arg);
/* The same of all errands. `place` is what `after` wants: at most LIMIT_PLACE bytes. */
typedef err (*core_reconcile_errand_fn)(const struct errand *e, struct span place, void *arg,
                                        bool *more);
err core_reconcile_errands(const struct env *env, struct span id_scope, struct span after,
                           core_reconcile_errand_fn fn, void *arg);

/* ---- mending ---- */

enum core_mend_kind {
    CORE_MEND_MISSING = 1, /* the registration forgets where its device was: its next register
                              places it anew */
    CORE_MEND_WAITING,     /* … and that it waits */
    CORE_MEND_DUPLICATE,   /* the device goes from the hub */
    CORE_MEND_STRAY,       /* the same; from a hub elsewhere both go by an errand */
};
struct core_mend {
    enum core_mend_kind kind;
    struct span registration_id; /* MISSING, WAITING */
    struct span hub, device_id;  /* all but WAITING; hub folded */
    bool is_dry;                 /* only looks */
    struct span etag; /* MISSING on a hub elsewhere: of the registration before that hub was asked,
                         and did not have it */
    /* Out. */
    struct span why;      /* a sentence: why it was not done; absent: it was, or would be */
    struct placed placed; /* to be told of (struct placer) */
};
err core_reconcile_mend(const struct env *env, const struct core_reconcile_query *q,
                        struct core_mend *mend);

#endif
