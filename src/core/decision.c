/* core/decision.c: decision records: from a search to JSON text (shape: doc/wire/manage.md), and
 * back to the operator. What is presented is a stranger's: it is cut to the lengths of genuine
 * names before it is kept. */
#include "core/decision.h"

#include "core/enrollment.h"
#include "model/limits.h"
#include "json/writer.h"

void core_decision_begin(const struct env *env, const struct claim *claim, struct span id_scope,
                         struct span registration_key, struct decision *ret_decision)
{
    *ret_decision = (struct decision){
        .tracking_id = span_str(env->tracking_id),
        .time_ms = env->now_ms,
        .id_scope = span_first(id_scope, LIMIT_ID_SCOPE),
        .registration_key = span_first(registration_key, LIMIT_REGISTRATION_ID),
        .registration_id = span_first(claim->registration_id, LIMIT_REGISTRATION_ID),
        .operation = claim->operation,
        .transport = claim->transport,
        .peer = claim->peer,
        .reason = REASON_INTERNAL,
    };
}

static void write_printed(struct json_writer *w, const char *member, const struct crypto_cert *cert,
                          void (*print)(const struct crypto_cert *, struct buf *))
{
    uint8_t room[1024];
    struct buf text = buf_over(room, sizeof room);

    print(cert, &text); /* a name beyond any sense is cut */
    json_write_text(w, member, buf_span(&text));
}

static err write_certificate(struct json_writer *w, const struct crypto_cert *cert)
{
    struct crypto_x509_info info = { 0 };
    uint8_t digest[CRYPTO_SHA256_LEN];

    TRY(crypto_x509_sha256(cert, digest));
    json_write_begin_object(w, NULL);
    write_printed(w, "subject", cert, crypto_x509_subject);
    write_printed(w, "issuer", cert, crypto_x509_issuer);
    write_printed(w, "serialNumber", cert, crypto_x509_serial);
    json_write_hex_upper(w, "sha256Thumbprint", span_of(digest, sizeof digest));
    /* Dates that do not parse are left out: the path check says what is wrong with them. */
    if (err_is_ok(crypto_x509_info(cert, &info))) {
        json_write_time(w, "notBeforeUtc", info.not_before_ms);
        json_write_time(w, "notAfterUtc", info.not_after_ms);
    }
    json_write_end_object(w);
    return OK;
}

err core_decision_certificates(const struct env *env, struct crypto_cert *const *chain,
                               size_t n_chain, struct decision *d)
{
    struct buf text;
    struct json_writer w;

    if (n_chain == 0) {
        return OK;
    }
    text = arena_buf(env->arena);
    w = json_writer_over(&text);
    json_write_begin_object(&w, NULL);
    json_write_begin_array(&w, "chain");
    for (size_t i = 0; i < n_chain && i < LIMIT_CHAIN_CERTIFICATES; i++) {
        TRY(write_certificate(&w, chain[i]));
    }
    json_write_end_array(&w);
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

err core_decision_found(const struct env *env, const struct core_found *found, struct decision *d)
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

/* ---- for the operator ---- */

struct decision_query {
    const struct env *env;
    struct span id_scope, key;
    size_t limit;
    struct decision_row *rows;
    size_t n;
    bool is_found;
};

static err read_one(struct store_tx *tx, void *arg)
{
    struct decision_query *q = arg;

    q->rows[0].tracking_id = q->key;
    return store_find(tx, &KIND_DECISION, q->rows, q->env->arena, q->rows, &q->is_found);
}

err core_decision_get(const struct env *env, struct span id_scope, struct span tracking_id,
                      struct decision_row *ret_row, struct verdict *ret_verdict)
{
    struct decision_row row = { 0 };
    struct decision_query q = { .env = env, .rows = &row };

    TRY(model_fold(env->arena, tracking_id, &q.key));
    TRY(store_read(env->store, read_one, &q));
    if (!q.is_found || !span_eq(row.id_scope, id_scope)) {
        *ret_verdict = VERDICT(RESOURCE_NOT_FOUND);
        return OK;
    }
    *ret_row = row;
    *ret_verdict = VERDICT(GRANTED);
    return OK;
}

static err read_latest(struct store_tx *tx, void *arg)
{
    struct decision_query *q = arg;
    struct decision_row prefix = { .id_scope = q->id_scope, .registration_key = q->key };
    struct store_scan scan = { .index = DECISION_BY_REGISTRATION,
                               .prefix = &prefix,
                               .n_prefix = 2,
                               .descending = true,
                               .limit = q->limit };

    return store_scan(tx, &KIND_DECISION, &scan, q->env->arena, &q->rows, &q->n);
}

err core_decision_list(const struct env *env, struct span id_scope, struct span registration_id,
                       size_t limit, struct decision_row **ret_rows, size_t *ret_n)
{
    struct decision_query q = { .env = env, .id_scope = id_scope, .limit = limit };

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

/* The oldest rows that are too old, or too many. */
static err find_oldest(struct store_tx *tx, void *arg)
{
    struct pruning *p = arg;
    struct store_scan oldest = { .index = DECISION_BY_TIME, .limit = p->limit };
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
