/* hub/feedback.c: records of feedback in the order they came, given out in batches. A batch is some
 * of the LIMIT_FEEDBACK_BATCH rows from its first on, whose sequence its token begins with: those
 * that the token locks. */
#include "hub/feedback.h"

#include "hub/c2d_queue.h"
#include "hub/lock_token.h"
#include "hub/settings.h"

const char *hub_feedback_word(enum feedback_status status)
{
    static const char *const words[] = {
        [FEEDBACK_SUCCESS] = "Success",
        [FEEDBACK_EXPIRED] = "Expired",
        [FEEDBACK_DELIVERY_COUNT_EXCEEDED] = "DeliveryCountExceeded",
        [FEEDBACK_REJECTED] = "Rejected",
        [FEEDBACK_PURGED] = "Purged",
    };

    return words[status];
}

static const char *const ack_words[] = {
    [C2D_ACK_POSITIVE] = "positive",
    [C2D_ACK_NEGATIVE] = "negative",
    [C2D_ACK_FULL] = "full",
    [C2D_ACK_NONE] = "none",
};

const char *hub_feedback_ack_word(enum c2d_ack ack)
{
    return ack_words[ack];
}

bool hub_feedback_parse_ack(struct span word, enum c2d_ack *ret_ack)
{
    if (span_is_empty(word)) {
        *ret_ack = C2D_ACK_UNSAID;
        return true;
    }
    for (size_t i = 0; i < sizeof(ack_words) / sizeof(ack_words[0]); i++) {
        if (ack_words[i] != NULL && span_eq_nocase(word, span_str(ack_words[i]))) {
            *ret_ack = (enum c2d_ack)i;
            return true;
        }
    }
    return false;
}

err hub_feedback_put(struct store_tx *tx, const struct env *env, const struct feedback *record)
{
    struct feedback f = *record;
    const struct feedback prefix = { .hub = f.hub };
    struct store_scan last = { .prefix = &prefix, .n_prefix = 1, .descending = true, .limit = 1 };
    struct feedback *rows;
    size_t n;

    TRY(store_scan(tx, &KIND_FEEDBACK, &last, env->arena, &rows, &n));
    f.sequence = n > 0 ? rows[0].sequence + 1 : 1;
    f.lock_token = SPAN_NONE;
    f.locked_until_ms = 0;
    return store_insert(tx, &KIND_FEEDBACK, &f);
}

struct work {
    const struct env *env;
    struct span hub, token;
    int64_t sequence; /* of the first */
    struct hub_settings settings;
    struct hub_feedback_batch batch;
    bool is_abandon;
    struct verdict verdict;
    size_t mark; /* what lies behind belongs to one run of the transaction */
};

/* ---- giving out ---- */

static bool is_free(const struct feedback *f, int64_t now_ms)
{
    return !c2d_queue_lock_holds(f->locked_until_ms, now_ms) && f->expires_ms > now_ms;
}

static err find_free(const void *row, void *arg, bool *more)
{
    const struct feedback *f = row;
    struct work *w = arg;

    if (is_free(f, w->env->now_ms)) {
        w->sequence = f->sequence;
        *more = false;
    }
    return OK;
}

/* 0: all are locked, or there is none. */
static err find_first(struct store_tx *tx, void *arg)
{
    struct work *w = arg;
    const struct feedback prefix = { .hub = w->hub };
    struct store_scan scan = { .prefix = &prefix, .n_prefix = 1 };

    w->env->arena->used = w->mark;
    w->sequence = 0;
    return store_walk(tx, &KIND_FEEDBACK, &scan, w->env->arena, find_free, w);
}

/* The rows among which a batch is that begins with w->sequence. */
static err scan_batch(struct store_tx *tx, struct work *w, struct feedback **ret_rows,
                      size_t *ret_n)
{
    const struct feedback key = { .hub = w->hub, .sequence = w->sequence };
    struct store_scan scan = { .prefix = &key,
                               .n_prefix = 1,
                               .after = &key,
                               .is_inclusive = true,
                               .limit = LIMIT_FEEDBACK_BATCH };

    return store_scan(tx, &KIND_FEEDBACK, &scan, w->env->arena, ret_rows, ret_n);
}

static err lock_batch(struct store_tx *tx, void *arg)
{
    struct work *w = arg;
    struct feedback *rows;
    size_t n;

    TRY(find_first(tx, w));
    w->batch = (struct hub_feedback_batch){ 0 };
    if (w->sequence == 0) {
        return OK;
    }
    TRY(lock_token_new(w->env, w->sequence, &w->batch.lock_token));
    TRY(scan_batch(tx, w, &rows, &n));
    w->batch.records = rows;
    for (size_t i = 0; i < n; i++) {
        struct feedback f = rows[i];

        if (!is_free(&f, w->env->now_ms)) {
            continue;
        }
        if (f.delivery_count >= w->settings.feedback_max_deliveries) {
            TRY(store_delete(tx, &KIND_FEEDBACK, &f)); /* nobody can deal with it */
            continue;
        }
        f.lock_token = w->batch.lock_token;
        f.locked_until_ms = w->env->now_ms + w->settings.feedback_lock_ms;
        f.delivery_count++;
        TRY(store_put(tx, &KIND_FEEDBACK, &f));
        rows[w->batch.n++] = f;
    }
    return OK;
}

err hub_feedback_receive(const struct env *env, struct span hub,
                         struct hub_feedback_batch *ret_batch)
{
    struct work w = { .env = env, .hub = hub };

    TRY(hub_settings_get(env, hub, &w.settings));
    w.mark = env->arena->used;
    do { /* again when all that was found had been given out too often */
        TRY(store_read(env->store, find_first, &w));
        if (w.sequence != 0) {
            TRY(store_write(env->store, lock_batch, &w));
        }
    } while (w.sequence != 0 && w.batch.n == 0);
    *ret_batch = w.batch;
    return OK;
}

/* ---- settling ---- */

static err settle_record(struct store_tx *tx, struct work *w, struct feedback *f)
{
    if (!w->is_abandon) {
        return store_delete(tx, &KIND_FEEDBACK, f);
    }
    f->lock_token = SPAN_NONE;
    f->locked_until_ms = 0;
    return store_put(tx, &KIND_FEEDBACK, f);
}

static err settle_batch(struct store_tx *tx, void *arg)
{
    struct work *w = arg;
    struct feedback *rows;
    size_t n;

    w->env->arena->used = w->mark;
    w->verdict = VERDICT(LOCK_LOST);
    TRY(scan_batch(tx, w, &rows, &n));
    for (size_t i = 0; i < n; i++) {
        if (span_eq(rows[i].lock_token, w->token) && rows[i].locked_until_ms > w->env->now_ms) {
            TRY(settle_record(tx, w, &rows[i]));
            w->verdict = VERDICT(GRANTED);
        }
    }
    return OK;
}

err hub_feedback_settle(const struct env *env, struct span hub, struct span lock_token,
                        bool is_abandon, struct verdict *ret_verdict)
{
    struct work w = { .env = env,
                      .hub = hub,
                      .token = lock_token,
                      .is_abandon = is_abandon,
                      .mark = env->arena->used };

    w.verdict = VERDICT(LOCK_LOST);
    if (lock_token_sequence(lock_token, &w.sequence)) {
        TRY(store_write(env->store, settle_batch, &w));
    }
    *ret_verdict = w.verdict;
    return OK;
}

/* ---- the end of their time ---- */

err hub_feedback_expire(struct store_tx *tx, const struct env *env, size_t most, size_t *ret_n)
{
    struct store_scan scan = { .index = FEEDBACK_BY_EXPIRY, .limit = most };
    struct feedback *rows;
    size_t n, taken = 0;

    TRY(store_scan(tx, &KIND_FEEDBACK, &scan, env->arena, &rows, &n));
    while (taken < n && rows[taken].expires_ms <= env->now_ms) {
        TRY(store_delete(tx, &KIND_FEEDBACK, &rows[taken++]));
    }
    *ret_n = taken;
    return OK;
}
