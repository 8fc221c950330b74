/* core/errand_sweep.c: errands as a whole: which lanes have any, which are too old, who lists them.
 * A little at a time: a row with its request may be some 400 KB. */
#include "core/errand_settle.h"
#include "model/limits.h"
#include "store/store.h"

enum { ROWS = 4 };

/* ---- too old ---- */

struct expiring {
    const struct env *env;
    size_t n;
    size_t arena_mark;
};

static err expire_one(struct expiring *x, struct store_tx *tx, const struct errand *e)
{
    struct core_errand_work w = { .errand = *e };

    TRY(core_errand_settle_check(x->env, tx, &w));
    if (w.end == CORE_ERRAND_GOES_ON) {
        TRY(core_errand_settle_expire(x->env, tx, &w));
    }
    x->n++;
    return OK;
}

static err expire(struct store_tx *tx, void *arg)
{
    struct expiring *x = arg;
    const struct errand prefix = { .type = ERRAND_ASSIGN };
    const struct store_scan scan = {
        .index = ERRAND_BY_AGE, .prefix = &prefix, .n_prefix = 1, .limit = ROWS
    };
    int64_t now_ms = x->env->now_ms;
    struct errand *rows;
    size_t n;

    x->env->arena->used = x->arena_mark;
    x->n = 0;
    TRY(store_scan(tx, &KIND_ERRAND, &scan, x->env->arena, &rows, &n));
    for (size_t i = 0; i < n; i++) {
        if (rows[i].since_ms <= now_ms - LIMIT_ERRAND_MS && rows[i].lease_ms <= now_ms) {
            TRY(expire_one(x, tx, &rows[i]));
        }
    }
    return OK;
}

err core_errand_expire(const struct env *env, size_t *ret_n)
{
    struct expiring x = { .env = env, .arena_mark = env->arena->used };

    TRY(store_write(env->store, expire, &x));
    *ret_n = x.n;
    return OK;
}

/* ---- after a start ---- */

enum { KEY_ROOM = 64 + LIMIT_ID_SCOPE + LIMIT_REGISTRATION_ID + LIMIT_HOST_NAME + LIMIT_DEVICE_ID };

struct taking_up {
    const struct env *env;
    struct arena keys_arena; /* rows that are walked over are overwritten */
    struct errand keys[LIMIT_ERRAND_BATCH];
    size_t n;
};

static err note_leased(const void *row, void *arg, bool *more)
{
    const struct errand *e = row;
    struct taking_up *t = arg;
    struct errand *key = &t->keys[t->n];

    if (e->lease_ms == 0) {
        return OK;
    }
    *key = (struct errand){ .type = e->type };
    TRY(arena_copy(&t->keys_arena, e->id_scope, &key->id_scope));
    TRY(arena_copy(&t->keys_arena, e->registration_key, &key->registration_key));
    TRY(arena_copy(&t->keys_arena, e->hub, &key->hub));
    TRY(arena_copy(&t->keys_arena, e->device_id, &key->device_id));
    t->n++;
    *more = t->n < LIMIT_ERRAND_BATCH;
    return OK;
}

static err find_leased(struct store_tx *tx, void *arg)
{
    struct taking_up *t = arg;
    const struct store_scan scan = { .without_secrets = true };

    return store_walk(tx, &KIND_ERRAND, &scan, t->env->arena, note_leased, t);
}

/* What was tried may have taken effect: that is not forgotten. */
static err free_leased(struct store_tx *tx, void *arg)
{
    struct taking_up *t = arg;

    for (size_t i = 0; i < t->n; i++) {
        size_t mark = t->env->arena->used;
        struct errand e;
        bool is_there;

        TRY(store_find(tx, &KIND_ERRAND, &t->keys[i], t->env->arena, &e, &is_there));
        if (is_there) {
            e.due_ms = t->env->now_ms;
            e.lease_ms = e.quiet_ms = 0;
            e.tries += e.tries == 0;
            TRY(store_put(tx, &KIND_ERRAND, &e));
        }
        t->env->arena->used = mark;
    }
    return OK;
}

err core_errand_take_up(const struct env *env)
{
    struct taking_up *t = ARENA_NEW(env->arena, struct taking_up);
    uint8_t *room = arena_array(env->arena, LIMIT_ERRAND_BATCH, KEY_ROOM);

    if (t == NULL || room == NULL) {
        return ERR(NOMEM);
    }
    t->env = env;
    do {
        arena_init(&t->keys_arena, room, (size_t)LIMIT_ERRAND_BATCH * KEY_ROOM);
        t->n = 0;
        TRY(store_read(env->store, find_leased, t));
        if (t->n > 0) {
            TRY(store_write(env->store, free_leased, t));
        }
    } while (t->n > 0);
    return OK;
}

/* ---- lanes ---- */

struct lane_work {
    const struct env *env;
    struct span after, lane;
    bool is_found;
    int64_t n;
};

/* The first row behind all of a lane. */
static err find_next_lane(struct store_tx *tx, void *arg)
{
    struct lane_work *w = arg;
    const struct errand after = { .lane = w->after,
                                  .due_ms = INT64_MAX,
                                  .id_scope = SPAN(""),
                                  .registration_key = SPAN(""),
                                  .hub = SPAN(""),
                                  .device_id = SPAN("") };
    const struct store_scan scan = { .index = ERRAND_BY_LANE,
                                     .after = span_is_absent(w->after) ? NULL : &after,
                                     .without_secrets = true,
                                     .limit = 1 };
    struct errand *rows;
    size_t n;

    TRY(store_scan(tx, &KIND_ERRAND, &scan, w->env->arena, &rows, &n));
    w->is_found = n > 0;
    w->lane = n > 0 ? rows[0].lane : SPAN_NONE;
    return OK;
}

err core_errand_next_lane(const struct env *env, struct span after, struct span *ret_lane,
                          bool *ret_found)
{
    struct lane_work w = { .env = env, .after = after };

    TRY(store_read(env->store, find_next_lane, &w));
    if (w.is_found) {
        *ret_lane = w.lane;
    }
    *ret_found = w.is_found;
    return OK;
}

static err count(struct store_tx *tx, void *arg)
{
    struct lane_work *w = arg;
    const struct errand prefix = { .lane = w->lane };
    const struct store_scan scan = { .index = ERRAND_BY_LANE, .prefix = &prefix, .n_prefix = 1 };

    return store_count(tx, &KIND_ERRAND, &scan, &w->n);
}

err core_errand_count(const struct env *env, struct span lane, int64_t *ret_n)
{
    struct lane_work w = { .env = env, .lane = lane };

    TRY(store_read(env->store, count, &w));
    *ret_n = w.n;
    return OK;
}

/* ---- for the operator ---- */

enum {
    SHOWN_ROOM = LIMIT_ID_SCOPE + 2 * LIMIT_REGISTRATION_ID + 2 * LIMIT_HOST_NAME +
                 2 * LIMIT_DEVICE_ID + LIMIT_ERRAND_LANE_NAME + LIMIT_ERROR_MESSAGE + 256
};

struct listing {
    const struct env *env;
    struct store_scan scan;
    struct arena kept; /* of what is shown: rows that are walked over are overwritten */
    size_t limit;
    struct errand *rows;
    size_t n;
};

static err keep_shown(const void *row, void *arg, bool *more)
{
    const struct errand *e = row;
    struct listing *l = arg;
    struct errand *shown = &l->rows[l->n];

    *shown = (struct errand){ .type = e->type,
                              .due_ms = e->due_ms,
                              .lease_ms = e->lease_ms,
                              .since_ms = e->since_ms,
                              .tries = e->tries,
                              .step = e->step };
    TRY(arena_copy(&l->kept, e->id_scope, &shown->id_scope));
    TRY(arena_copy(&l->kept, e->registration_key, &shown->registration_key));
    TRY(arena_copy(&l->kept, e->hub, &shown->hub));
    TRY(arena_copy(&l->kept, e->device_id, &shown->device_id));
    TRY(arena_copy(&l->kept, e->registration_id, &shown->registration_id));
    TRY(arena_copy(&l->kept, e->lane, &shown->lane));
    TRY(arena_copy(&l->kept, e->to_hub, &shown->to_hub));
    TRY(arena_copy(&l->kept, e->to_device_id, &shown->to_device_id));
    TRY(arena_copy(&l->kept, e->last_error, &shown->last_error));
    *more = ++l->n < l->limit;
    return OK;
}

static err list(struct store_tx *tx, void *arg)
{
    struct listing *l = arg;

    return store_walk(tx, &KIND_ERRAND, &l->scan, l->env->arena, keep_shown, l);
}

err core_errand_list(const struct env *env, struct span id_scope, const struct errand *after,
                     size_t limit, struct errand **ret_rows, size_t *ret_n)
{
    const struct errand prefix = { .id_scope = id_scope };
    uint8_t *room = arena_array(env->arena, limit, SHOWN_ROOM);
    struct listing l = {
        .env = env,
        .limit = limit,
        .rows = ARENA_ARRAY(env->arena, limit, struct errand),
        .scan = { .prefix = &prefix, .n_prefix = 1, .after = after, .without_secrets = true }
    };

    if (room == NULL || l.rows == NULL) {
        return ERR(NOMEM);
    }
    arena_init(&l.kept, room, limit * SHOWN_ROOM);
    TRY(store_read(env->store, list, &l));
    *ret_rows = l.rows;
    *ret_n = l.n;
    return OK;
}
