/* core/link.c: linked hubs. Knows that a hub is linked by who made it, or by who holds a key of it;
 * what a link is for is core/allocate.c's. */
#include "core/link.h"

#include "core/instance.h"
#include "core/link_check.h"
#include "core/match.h"
#include "crypto/crypto.h"
#include "model/limits.h"
#include "store/link.h"

struct link_work {
    const struct env *env;
    const struct linked_hub *given; /* folded; not changed by the transaction */
    enum core_link_proof proof;
    struct core_link_login login; /* of its connection string */
    struct linked_hub link;       /* what is read or written */
    bool is_found;
    struct linked_hub *rows;
    size_t n;
    struct verdict verdict;
};

/* ---- rules ---- */

static err refuse_string(struct link_work *w, const char *text)
{
    return core_match_refuse(w->env, REASON_CONNECTION_STRING_REFUSED, &w->verdict, "%s", text);
}

/* Is the key one of a policy of the hub that may write its registry? Which of these it fails is
 * told only to who has a key. */
static err check_key(struct link_work *w, struct store_tx *tx)
{
    const int64_t needed = RIGHT_REGISTRY_WRITE | RIGHT_SERVICE_CONNECT;
    struct policy p = { .owner_type = POLICY_OF_HUB,
                        .owner = w->given->host_name,
                        .name = w->login.policy };
    bool is_found;

    TRY(store_find(tx, &KIND_POLICY, &p, w->env->arena, &p, &is_found));
    if (!is_found || !(crypto_equal(w->login.key, p.primary_key) ||
                       crypto_equal(w->login.key, p.secondary_key))) {
        return refuse_string(w, "The hub has no such policy, or another key.");
    }
    return (p.rights & needed) == needed
               ? OK
               : refuse_string(w, "Its policy lacks RegistryWrite or ServiceConnect.");
}

/* May the instance use the hub of this store? `knows_it`: it did before. */
static err check_proof(struct link_work *w, struct store_tx *tx, const struct hub *hub,
                       bool knows_it)
{
    if (!span_is_absent(w->login.key)) {
        return check_key(w, tx);
    }
    if (knows_it || w->proof == CORE_LINK_VOUCHED ||
        (!span_is_absent(hub->id_scope) && span_eq(hub->id_scope, w->given->id_scope))) {
        return OK;
    }
    return refuse_string(w, "connectionString is missing: the hub was made by another.");
}

static err refuse_field(struct link_work *w, const char *text)
{
    return core_match_refuse(w->env, REASON_FIELD_INVALID, &w->verdict, "%s", text);
}

static err check_here(struct link_work *w, struct store_tx *tx, const struct hub *hub)
{
    if (hub->life != LIFE_ACTIVE) {
        return refuse_field(w, "The hub is being deleted.");
    }
    if (!span_is_absent(w->given->address) || !span_is_absent(w->given->ca)) {
        return refuse_field(w,
                            "address and ca are for hubs elsewhere: this one is of this server.");
    }
    return check_proof(w, tx, hub, w->is_found);
}

/* Whether its key is good is the hub's to say, when it is asked (api/manage_link_check.c). */
static err check_elsewhere(struct link_work *w)
{
    if (!span_is_absent(w->login.key) || (w->is_found && w->link.is_remote)) {
        return OK;
    }
    return core_match_refuse(w->env, REASON_CONNECTION_STRING_REFUSED, &w->verdict,
                             "No hub of this server has the host name %.*s; a hub elsewhere takes "
                             "its connectionString.",
                             SPAN_FMT(w->given->host_name));
}

/* A link to a hub elsewhere stays one although somebody made a hub of its name here since: its
 * devices are not that one's, unless the instance shows that it may use it. */
static err check_place(struct link_work *w, struct store_tx *tx, const struct hub *hub,
                       bool has_hub, bool *ret_is_remote)
{
    *ret_is_remote = !has_hub;
    if (has_hub && w->is_found && w->link.is_remote) {
        TRY(check_proof(w, tx, hub, false));
        *ret_is_remote = !verdict_is_granted(w->verdict) || hub->life != LIFE_ACTIVE;
        w->verdict = VERDICT(GRANTED);
    }
    return *ret_is_remote ? check_elsewhere(w) : check_here(w, tx, hub);
}

static err check_room(const struct env *env, struct store_tx *tx, struct span id_scope,
                      struct verdict *verdict)
{
    struct linked_hub prefix = { .id_scope = id_scope };
    struct store_scan scan = { .prefix = &prefix, .n_prefix = 1 };
    int64_t n;

    TRY(store_count(tx, &KIND_LINKED_HUB, &scan, &n));
    return n < LIMIT_LINKED_HUBS ? OK
                                 : core_match_refuse(env, REASON_QUOTA_EXCEEDED, verdict,
                                                     "Linked hubs: at most %d.", LIMIT_LINKED_HUBS);
}

static err check_bundles(struct link_work *w, struct store_tx *tx)
{
    struct linked_hub prefix = { .id_scope = w->given->id_scope };
    struct store_scan scan = {
        .prefix = &prefix, .n_prefix = 1, .without_secrets = true, .limit = LIMIT_LINKED_HUBS
    };
    size_t sum = w->given->ca.len;
    struct linked_hub *rows;
    size_t n;

    if (span_is_absent(w->given->ca)) {
        return OK;
    }
    TRY(store_scan(tx, &KIND_LINKED_HUB, &scan, w->env->arena, &rows, &n));
    for (size_t i = 0; i < n; i++) {
        sum += span_eq(rows[i].host_name, w->given->host_name) ? 0 : rows[i].ca.len;
    }
    return sum <= LIMIT_CA_BUNDLES
               ? OK
               : core_match_refuse(w->env, REASON_QUOTA_EXCEEDED, &w->verdict,
                                   "ca: at most %d bytes of all linked hubs together; the server's "
                                   "elsewhere-ca-file serves all.",
                                   LIMIT_CA_BUNDLES);
}

/* ---- put ---- */

static void replace(struct link_work *w, bool is_remote)
{
    const struct linked_hub *given = w->given;

    if (!span_is_absent(given->connection_string) || !w->is_found) {
        w->link.connection_string = given->connection_string;
    }
    w->link.weight = given->weight;
    w->link.apply_allocation_policy = given->apply_allocation_policy;
    w->link.location = given->location;
    w->link.is_remote = is_remote;
    w->link.address = given->address;
    w->link.ca = given->ca;
    w->link.has_coordinates = given->has_coordinates;
    w->link.latitude_udeg = given->latitude_udeg;
    w->link.longitude_udeg = given->longitude_udeg;
}

static err put(struct store_tx *tx, void *arg)
{
    struct link_work *w = arg;
    struct hub hub = { .host_name = w->given->host_name };
    bool has_hub, is_live, is_remote;

    w->verdict = VERDICT(GRANTED);
    w->link = *w->given;
    TRY(core_instance_is_live(w->env, tx, w->given->id_scope, &is_live));
    TRY(store_find(tx, &KIND_HUB, &hub, w->env->arena, &hub, &has_hub));
    TRY(store_find(tx, &KIND_LINKED_HUB, &w->link, w->env->arena, &w->link, &w->is_found));
    if (!is_live) {
        w->verdict = VERDICT(RESOURCE_NOT_FOUND);
        return OK;
    }
    TRY(check_place(w, tx, &hub, has_hub, &is_remote));
    if (verdict_is_granted(w->verdict) && !w->is_found) {
        TRY(check_room(w->env, tx, w->given->id_scope, &w->verdict));
    }
    if (verdict_is_granted(w->verdict)) {
        TRY(check_bundles(w, tx));
    }
    if (!verdict_is_granted(w->verdict)) {
        return OK;
    }
    replace(w, is_remote);
    TRY(store_links_changed(tx, w->env->arena, w->link.id_scope));
    return store_put(tx, &KIND_LINKED_HUB, &w->link);
}

err core_link_put(const struct env *env, const struct linked_hub *link, enum core_link_proof proof,
                  struct linked_hub *ret_link, struct verdict *ret_verdict)
{
    struct linked_hub folded = *link;
    struct link_work w = { .env = env, .given = &folded, .proof = proof };

    TRY(core_link_check(env, &folded, &w.login, &w.verdict));
    if (verdict_is_granted(w.verdict)) {
        TRY(model_fold(env->arena, link->host_name, &folded.host_name));
        TRY(store_write(env->store, put, &w));
    }
    if (verdict_is_granted(w.verdict)) {
        *ret_link = w.link;
    }
    *ret_verdict = w.verdict;
    return OK;
}

/* ---- a hub that is being made ---- */

static err is_anothers_host(const struct env *env, struct store_tx *tx, const struct hub *hub,
                            bool *ret_is)
{
    struct instance prefix = { .host_name = hub->host_name };
    struct store_scan scan = {
        .index = INSTANCE_BY_HOST, .prefix = &prefix, .n_prefix = 1, .limit = 1
    };
    struct instance *rows;
    size_t n;

    TRY(store_scan(tx, &KIND_INSTANCE, &scan, env->arena, &rows, &n));
    *ret_is = n > 0 && !span_eq(rows[0].id_scope, hub->id_scope);
    return OK;
}

static err check_made(const struct env *env, struct store_tx *tx, const struct hub *hub,
                      struct verdict *ret_verdict)
{
    struct hub prefix = { .id_scope = hub->id_scope };
    struct store_scan scan = { .index = HUB_BY_SCOPE, .prefix = &prefix, .n_prefix = 1 };
    bool is_live, is_taken;
    int64_t n;

    *ret_verdict = VERDICT(GRANTED);
    TRY(core_instance_is_live(env, tx, hub->id_scope, &is_live));
    TRY(is_anothers_host(env, tx, hub, &is_taken));
    TRY(store_count(tx, &KIND_HUB, &scan, &n));
    if (!is_live) {
        *ret_verdict = VERDICT(RESOURCE_NOT_FOUND);
    } else if (is_taken) {
        return core_match_refuse(env, REASON_NAME_TAKEN, ret_verdict,
                                 "The host name is another's.");
    } else if (n >= LIMIT_HUBS_MADE) {
        return core_match_refuse(env, REASON_QUOTA_EXCEEDED, ret_verdict, "Hubs: at most %d.",
                                 LIMIT_HUBS_MADE);
    }
    return OK;
}

err core_link_made(const struct env *env, struct store_tx *tx, const struct hub *hub,
                   const struct linked_hub *link, struct verdict *ret_verdict)
{
    struct core_link_login login;
    struct linked_hub row;

    TRY(check_made(env, tx, hub, ret_verdict));
    if (!verdict_is_granted(*ret_verdict) || link == NULL) {
        return OK;
    }
    row = *link;
    TRY(core_link_check(env, &row, &login, ret_verdict));
    if (verdict_is_granted(*ret_verdict)) {
        TRY(check_room(env, tx, row.id_scope, ret_verdict));
    }
    if (!verdict_is_granted(*ret_verdict)) {
        return OK;
    }
    TRY(store_links_changed(tx, env->arena, row.id_scope));
    return store_put(tx, &KIND_LINKED_HUB, &row);
}

/* ---- get, delete, list ---- */

static err read_one(struct store_tx *tx, void *arg)
{
    struct link_work *w = arg;

    w->link = *w->given;
    return store_find(tx, &KIND_LINKED_HUB, &w->link, w->env->arena, &w->link, &w->is_found);
}

err core_link_get(const struct env *env, struct span id_scope, struct span host_name,
                  struct linked_hub *ret_link, struct verdict *ret_verdict)
{
    struct linked_hub key = { .id_scope = id_scope };
    struct link_work w = { .env = env, .given = &key };

    TRY(model_fold(env->arena, host_name, &key.host_name));
    TRY(store_read(env->store, read_one, &w));
    if (w.is_found) {
        *ret_link = w.link;
    }
    *ret_verdict = w.is_found ? VERDICT(GRANTED) : VERDICT(RESOURCE_NOT_FOUND);
    return OK;
}

static err drop(struct store_tx *tx, void *arg)
{
    struct link_work *w = arg;

    TRY(read_one(tx, w));
    if (!w->is_found) {
        return OK;
    }
    TRY(store_links_changed(tx, w->env->arena, w->given->id_scope));
    return store_delete(tx, &KIND_LINKED_HUB, w->given);
}

err core_link_delete(const struct env *env, struct span id_scope, struct span host_name,
                     struct verdict *ret_verdict)
{
    struct linked_hub key = { .id_scope = id_scope };
    struct link_work w = { .env = env, .given = &key };

    TRY(model_fold(env->arena, host_name, &key.host_name));
    TRY(store_write(env->store, drop, &w));
    *ret_verdict = w.is_found ? VERDICT(GRANTED) : VERDICT(RESOURCE_NOT_FOUND);
    return OK;
}

static err read_all(struct store_tx *tx, void *arg)
{
    struct link_work *w = arg;
    struct store_scan scan = { .prefix = w->given, .n_prefix = 1, .limit = LIMIT_LINKED_HUBS };

    return store_scan(tx, &KIND_LINKED_HUB, &scan, w->env->arena, &w->rows, &w->n);
}

err core_link_list(const struct env *env, struct span id_scope, struct linked_hub **ret_rows,
                   size_t *ret_n)
{
    struct linked_hub prefix = { .id_scope = id_scope };
    struct link_work w = { .env = env, .given = &prefix };

    TRY(store_read(env->store, read_all, &w));
    *ret_rows = w.rows;
    *ret_n = w.n;
    return OK;
}

/* ---- verify ---- */

/* Of this store: what put looked at may have changed since. */
static err verify_here(struct link_work *w, struct store_tx *tx)
{
    struct hub hub = { .host_name = w->link.host_name };
    bool has_hub;

    TRY(store_find(tx, &KIND_HUB, &hub, w->env->arena, &hub, &has_hub));
    if (!has_hub || hub.life != LIFE_ACTIVE) {
        return refuse_field(w, "The hub is being deleted.");
    }
    return span_is_absent(w->login.key) ? OK : check_key(w, tx);
}

static err verify(struct store_tx *tx, void *arg)
{
    struct link_work *w = arg;

    w->verdict = VERDICT(GRANTED);
    TRY(read_one(tx, w));
    if (!w->is_found || w->link.is_remote) {
        return OK;
    }
    TRY(core_link_check_string(w->env, &w->link, &w->login, &w->verdict));
    return verdict_is_granted(w->verdict) ? verify_here(w, tx) : OK;
}

err core_link_verify(const struct env *env, struct span id_scope, struct span host_name,
                     struct linked_hub *ret_link, bool *ret_found, struct verdict *ret_verdict)
{
    struct linked_hub key = { .id_scope = id_scope };
    struct link_work w = { .env = env, .given = &key };

    TRY(model_fold(env->arena, host_name, &key.host_name));
    TRY(store_read(env->store, verify, &w));
    if (w.is_found) {
        *ret_link = w.link;
        *ret_verdict = w.verdict;
    }
    *ret_found = w.is_found;
    return OK;
}
