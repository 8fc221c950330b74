/* core/decision.c: decision records: from a reading to JSON text (shape: doc/wire/manage.md), and
 * back to the operator. What is presented is a stranger's: it is cut to the lengths of genuine
 * names before it is kept. */
#include "core/decision.h"

#include <assert.h>

#include "core/enrollment.h"
#include "crypto/x509_json.h"
#include "model/limits.h"
#include "json/writer.h"

void core_decision_begin(const struct env *env, const struct claim *claim, struct span id_scope,
                         struct span registration_key, struct decision *ret_decision)
{
    /* A hub's name would put it among those at that hub's door, and crowd them out. */
    *ret_decision = (struct decision){
        .tracking_id = span_str(env->tracking_id),
        .time_ms = env->now_ms,
        .id_scope =
            model_may_be_id_scope(id_scope) ? span_first(id_scope, LIMIT_ID_SCOPE) : SPAN_NONE,
        .registration_key = span_first(registration_key, LIMIT_REGISTRATION_ID),
        .registration_id = span_first(claim->registration_id, LIMIT_REGISTRATION_ID),
        .operation = claim->operation,
        .transport = claim->transport,
        .peer = claim->peer,
        .reason = REASON_INTERNAL,
    };
}

/* Whatever was sent as a key, well-formed or not. */
static err write_key_digest(const struct env *env, const char *name, struct span key,
                            struct json_writer *w)
{
    uint8_t digest[CRYPTO_SHA256_LEN];

    if (!span_is_absent(key)) {
        TRY(crypto_sha256(env->crypto, key, digest));
        json_write_hex_upper(w, name, span_of(digest, sizeof digest));
    }
    return OK;
}

static err write_tpm(const struct env *env, const struct claim_tpm *tpm, struct json_writer *w)
{
    json_write_begin_object(w, "tpm");
    TRY(write_key_digest(env, "endorsementKeySha256", tpm->endorsement_key, w));
    TRY(write_key_digest(env, "storageRootKeySha256", tpm->storage_root_key, w));
    json_write_end_object(w);
    return OK;
}

err core_decision_presented(const struct env *env, const struct claim *claim, struct decision *d)
{
    bool is_tpm = attest_tpm_is_claimed(claim);
    size_t n_sent = is_tpm ? claim->tpm.n_certificates : claim->n_chain;
    size_t n = n_sent < LIMIT_CHAIN_CERTIFICATES ? n_sent : LIMIT_CHAIN_CERTIFICATES;
    struct json_writer w;
    struct buf text;

    if (n == 0 && !is_tpm) {
        return OK;
    }
    text = arena_buf(env->arena);
    w = json_writer_over(&text);
    json_write_begin_object(&w, NULL);
    if (is_tpm) {
        TRY(write_tpm(env, &claim->tpm, &w));
    }
    if (n > 0) {
        TRY(crypto_x509_json_chain(is_tpm ? claim->tpm.certificates : claim->chain, n, &w));
    }
    json_write_end_object(&w);
    return arena_buf_end(env->arena, &text, &d->certificate);
}

static void write_considered(struct json_writer *w, const struct core_considered *c)
{
    json_write_begin_object(w, NULL);
    json_write_str(w, "kind", c->kind);
    json_write_text(w, "id", c->id);
    if (!span_is_absent(c->anchor_subject)) {
        json_write_begin_object(w, "anchor");
        json_write_text(w, "subject", c->anchor_subject);
        json_write_hex_upper(w, "sha256Thumbprint", c->anchor_sha256);
        json_write_str(w, "source", c->anchor_source);
        json_write_end_object(w);
    }
    json_write_str(w, "outcome", reason_info(c->outcome)->token);
    json_write_text_if(w, "why", span_str(c->why));
    json_write_end_object(w);
}

static err write_enrollment(const struct env *env, const struct enrollment *e,
                            struct span *ret_text)
{
    struct buf text = arena_buf(env->arena);
    struct json_writer w = json_writer_over(&text);

    json_write_begin_object(&w, NULL);
    json_write_str(&w, "kind", model_enrollment_kind_word(e->kind));
    json_write_text(&w, "id", e->id);
    json_write_end_object(&w);
    return arena_buf_end(env->arena, &text, ret_text);
}

static err add_found(const struct env *env, const struct core_found *found, struct decision *d)
{
    struct buf text;
    struct json_writer w;

    d->reason = found->verdict.reason;
    if (found->has_enrollment) {
        TRY(write_enrollment(env, &found->enrollment, &d->enrollment));
    }
    text = arena_buf(env->arena);
    w = json_writer_over(&text);
    json_write_begin_array(&w, NULL);
    for (size_t i = 0; i < found->n_considered; i++) {
        write_considered(&w, &found->considered[i]);
    }
    json_write_end_array(&w);
    return arena_buf_end(env->arena, &text, &d->considered);
}

err core_decision_describe(const struct env *env, const struct claim *claim,
                           const struct core_reading *reading, struct decision *ret_decision)
{
    core_decision_begin(env, claim, reading->id_scope, reading->registration_key, ret_decision);
    TRY(core_decision_presented(env, claim, ret_decision));
    return add_found(env, &reading->found, ret_decision);
}

/* ---- for the operator ---- */

struct decision_query {
    const struct env *env;
    struct span id_scope;
    struct span key; /* folded: tracking ID or registration ID */
    size_t limit;
    struct decision_row *rows;
    size_t n;
    bool is_found;
};

static err read_links(struct decision_query *q, struct store_tx *tx, struct linked_hub **ret_links,
                      size_t *ret_n)
{
    struct linked_hub prefix = { .id_scope = q->id_scope };
    struct store_scan scan = {
        .prefix = &prefix, .n_prefix = 1, .without_secrets = true, .limit = LIMIT_LINKED_HUBS
    };

    return store_scan(tx, &KIND_LINKED_HUB, &scan, q->env->arena, ret_links, ret_n);
}

/* Decisions at the door of a hub stand under the hub's name, all others under the ID scope that was
 * named. The two must not be mistaken: whoever registers names what scope they like, be it a hub.
 */
static bool is_at_door(const struct decision_row *row)
{
    return row->operation == OPERATION_CONNECT;
}

static err read_one(struct store_tx *tx, void *arg)
{
    struct decision_query *q = arg;
    struct linked_hub *links;
    size_t n;

    q->rows[0].tracking_id = q->key;
    TRY(store_find(tx, &KIND_DECISION, q->rows, q->env->arena, q->rows, &q->is_found));
    if (!q->is_found) {
        return OK;
    }
    if (!is_at_door(&q->rows[0])) {
        q->is_found = span_eq(q->rows[0].id_scope, q->id_scope);
        return OK;
    }
    q->is_found = false;
    TRY(read_links(q, tx, &links, &n));
    for (size_t i = 0; i < n; i++) {
        q->is_found = q->is_found || span_eq(q->rows[0].id_scope, links[i].host_name);
    }
    return OK;
}

err core_decision_get(const struct env *env, struct span id_scope, struct span tracking_id,
                      struct decision_row *ret_row, struct verdict *ret_verdict)
{
    struct decision_row row = { 0 };
    struct decision_query q = { .env = env, .id_scope = id_scope, .rows = &row };

    TRY(model_fold(env->arena, tracking_id, &q.key));
    TRY(store_read(env->store, read_one, &q));
    if (q.is_found) {
        *ret_row = row;
    }
    *ret_verdict = q.is_found ? VERDICT(GRANTED) : VERDICT(RESOURCE_NOT_FOUND);
    return OK;
}

/* The latest of several walks, newest first: times and keys alone, as rows may be long. */
struct latest {
    struct {
        int64_t time_ms;
        uint8_t tracking_id[GUID_TEXT_LEN];
    } entries[LIMIT_DECISIONS_TOP];
    size_t n, limit;
};

static void insert_latest(struct latest *l, const struct decision_row *row)
{
    size_t at = l->n;

    while (at > 0 && l->entries[at - 1].time_ms < row->time_ms) {
        at--;
    }
    if (at == l->limit || row->tracking_id.len != GUID_TEXT_LEN) {
        return;
    }
    l->n += l->n < l->limit;
    memmove(&l->entries[at + 1], &l->entries[at], (l->n - 1 - at) * sizeof l->entries[0]);
    l->entries[at].time_ms = row->time_ms;
    memcpy(l->entries[at].tracking_id, row->tracking_id.data, GUID_TEXT_LEN);
}

/* Decisions under one scope, or at the door of one hub. */
static err collect(struct decision_query *q, struct store_tx *tx, struct span id_scope,
                   bool at_door, struct span key, struct latest *l)
{
    struct decision_row prefix = { .id_scope = id_scope, .registration_key = key };
    struct store_scan scan = { .index = DECISION_BY_REGISTRATION,
                               .prefix = &prefix,
                               .n_prefix = 2,
                               .descending = true,
                               .limit = q->limit };
    size_t mark = q->env->arena->used;
    struct decision_row *rows;
    size_t n;

    TRY(store_scan(tx, &KIND_DECISION, &scan, q->env->arena, &rows, &n));
    for (size_t i = 0; i < n; i++) {
        if (is_at_door(&rows[i]) == at_door) {
            insert_latest(l, &rows[i]);
        }
    }
    q->env->arena->used = mark;
    return OK;
}

/* What the registered device is called on its hub, folded; absent unless that is another name. */
static err read_device_key(struct decision_query *q, struct store_tx *tx, struct span *ret_key)
{
    struct registration r = { .id_scope = q->id_scope, .key = q->key };
    bool is_found;

    TRY(store_find(tx, &KIND_REGISTRATION, &r, q->env->arena, &r, &is_found));
    *ret_key = SPAN_NONE;
    if (is_found && !span_eq_nocase(r.device_id, q->key)) {
        return model_fold(q->env->arena, r.device_id, ret_key);
    }
    return OK;
}

static err read_latest(struct store_tx *tx, void *arg)
{
    struct decision_query *q = arg;
    struct latest latest = { .limit = q->limit };
    struct linked_hub *links;
    struct span device_key;
    size_t n_links;

    TRY(read_device_key(q, tx, &device_key));
    TRY(read_links(q, tx, &links, &n_links));
    TRY(collect(q, tx, q->id_scope, false, q->key, &latest));
    for (size_t i = 0; i < n_links; i++) {
        TRY(collect(q, tx, links[i].host_name, true, q->key, &latest));
        if (!span_is_absent(device_key)) {
            TRY(collect(q, tx, links[i].host_name, true, device_key, &latest));
        }
    }
    q->rows = ARENA_ARRAY(q->env->arena, latest.n + 1, struct decision_row);
    if (q->rows == NULL) {
        return ERR(NOMEM);
    }
    for (q->n = 0; q->n < latest.n; q->n++) {
        struct decision_row *row = &q->rows[q->n];

        row->tracking_id = span_of(latest.entries[q->n].tracking_id, GUID_TEXT_LEN);
        TRY(store_get(tx, &KIND_DECISION, row, q->env->arena, row));
    }
    return OK;
}

err core_decision_list(const struct env *env, struct span id_scope, struct span registration_id,
                       size_t limit, struct decision_row **ret_rows, size_t *ret_n)
{
    struct decision_query q = { .env = env, .id_scope = id_scope, .limit = limit };

    assert(limit >= 1 && limit <= LIMIT_DECISIONS_TOP);
    TRY(model_fold(env->arena, registration_id, &q.key));
    TRY(store_read(env->store, read_latest, &q));
    *ret_rows = q.rows;
    *ret_n = q.n;
    return OK;
}

/* ---- dropping the oldest ---- */

enum { PRUNE_BATCH = 128 }; /* rows read into the arena at once */

struct pruning {
    const struct env *env;
    size_t limit;
    int64_t excess; /* rows beyond LIMIT_DECISIONS_KEPT */
    struct decision_row *rows;
    size_t n;
};

static err count_excess(struct store_tx *tx, void *arg)
{
    struct pruning *p = arg;
    struct store_scan all = { .limit = 1 };
    int64_t n;

    TRY(store_count(tx, &KIND_DECISION, &all, &n));
    p->excess = n - LIMIT_DECISIONS_KEPT;
    return OK;
}

/* The oldest rows, which come first, that are too old, or too many. */
static err find_oldest(struct store_tx *tx, void *arg)
{
    struct pruning *p = arg;
    struct store_scan oldest = { .limit = p->limit };
    size_t n = 0;

    TRY(store_scan(tx, &KIND_DECISION, &oldest, p->env->arena, &p->rows, &p->n));
    while (n < p->n && ((int64_t)n < p->excess ||
                        p->rows[n].time_ms < p->env->now_ms - LIMIT_DECISIONS_AGE_MS)) {
        n++;
    }
    p->n = n;
    return OK;
}

static err drop_rows(struct store_tx *tx, void *arg)
{
    struct pruning *p = arg;

    for (size_t i = 0; i < p->n; i++) {
        err e = store_delete(tx, &KIND_DECISION, &p->rows[i]);

        /* Another pruner was faster. */
        if (!err_is(e, ERR_NOT_FOUND)) {
            TRY(e);
        }
    }
    return OK;
}

err core_decision_prune(const struct env *env, size_t most, size_t *ret_dropped)
{
    struct pruning p = { .env = env };
    size_t mark = env->arena->used;
    size_t dropped = 0;

    TRY(store_read(env->store, count_excess, &p));
    while (dropped < most) {
        p.limit = most - dropped < PRUNE_BATCH ? most - dropped : PRUNE_BATCH;
        env->arena->used = mark;
        TRY(store_read(env->store, find_oldest, &p));
        if (p.n == 0) {
            break;
        }
        TRY(store_write(env->store, drop_rows, &p));
        p.excess -= (int64_t)p.n;
        dropped += p.n;
        if (p.n < p.limit) {
            break;
        }
    }
    env->arena->used = mark;
    *ret_dropped = dropped;
    return OK;
}
