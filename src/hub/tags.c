/* hub/tags.c: tags to rows of the index and back. What was and what is are flattened to sorted
 * lists, so that a change costs the rows it changes. Devices from before the index wait in
 * KIND_TAG_BACKLOG; a change of theirs meanwhile may leave rows out, but none too many, and they
 * still wait. */
#include "hub/tags.h"

#include <stdlib.h>

#include "hub/identity.h"
#include "model/limits.h"
#include "json/writer.h"

/* ---- what stands in a row ---- */

static bool add_name(struct span name, struct buf *out)
{
    if (out->len > 0) {
        buf_add_u8(out, '.');
    }
    buf_add(out, name);
    return !out->failed && out->len <= LIMIT_TAG_PATH && !span_is_empty(name) &&
           span_find(name, '.') == name.len;
}

bool hub_tags_format_path(const char *const *names, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n; i++) {
        if (!add_name(span_str(names[i]), out)) {
            return false;
        }
    }
    return n > 0;
}

bool hub_tags_format_text(struct span text, struct buf *out)
{
    struct json_writer w = json_writer_over(out);

    json_write_text(&w, NULL, text);
    return !out->failed && out->len <= LIMIT_TAG_VALUE;
}

bool hub_tags_format_number(struct json_number number, struct buf *out)
{
    double real = number.is_integer ? (double)number.integer : number.real;

    buf_printf(out, "%.17g", real == 0 ? 0.0 : real); /* -0 is 0 */
    return !out->failed;
}

bool hub_tags_format_bool(bool truth, struct buf *out)
{
    buf_add_str(out, truth ? "true" : "false");
    return !out->failed;
}

static bool format_value(const json *v, struct buf *out)
{
    struct json_number number;
    bool truth;

    if (json_is_string(v)) {
        return hub_tags_format_text(json_text(v), out);
    }
    if (json_find_number(v, &number)) {
        return hub_tags_format_number(number, out);
    }
    return json_find_bool(v, &truth) && hub_tags_format_bool(truth, out);
}

/* ---- all rows of some tags ---- */

/* tags[0 .. n): sorted, none twice. */
struct flat {
    struct arena *arena;
    struct tag *tags; /* NULL while they are being counted */
    size_t n;
    uint8_t path_room[LIMIT_TAG_PATH + LIMIT_TWIN_NAME + 1];
    struct buf path;
};

static err add_leaf(struct flat *f, const json *v)
{
    uint8_t bytes[LIMIT_TAG_VALUE + 1];
    struct buf value = buf_over(bytes, sizeof(bytes));

    if (!format_value(v, &value)) {
        return OK;
    }
    if (f->tags != NULL) {
        struct tag *t = &f->tags[f->n];

        TRY(arena_copy(f->arena, buf_span(&f->path), &t->path));
        TRY(arena_copy(f->arena, buf_span(&value), &t->value));
    }
    f->n++;
    return OK;
}

/* As deep as json_parse let it become. */
static err add_object(struct flat *f, json *object)
{
    for (struct json_iter it = json_first(object); it.name != NULL; json_next(&it)) {
        size_t len = f->path.len;

        if (add_name(span_str(it.name), &f->path)) {
            TRY(json_is_object(it.value) ? add_object(f, it.value) : add_leaf(f, it.value));
        }
        f->path.len = len;
        f->path.failed = false;
    }
    return OK;
}

static int compare(const void *a, const void *b)
{
    const struct tag *x = a;
    const struct tag *y = b;
    int side = span_compare(x->path, y->path);

    return side != 0 ? side : span_compare(x->value, y->value);
}

static err flatten(struct arena *arena, struct span text, struct flat *f)
{
    AUTO(json) json *tags = NULL;

    *f = (struct flat){ .arena = arena };
    if (span_is_absent(text)) {
        return OK;
    }
    if (!err_is_ok(json_parse(text, LIMIT_JSON_DEPTH, &tags))) {
        return err_set(ERR_CORRUPT, "stored tags are not JSON");
    }
    f->path = buf_over(f->path_room, sizeof(f->path_room));
    TRY(add_object(f, tags));
    if (f->n == 0) {
        return OK;
    }
    f->tags = ARENA_ARRAY(arena, f->n, struct tag);
    if (f->tags == NULL) {
        return ERR(NOMEM);
    }
    f->n = 0;
    TRY(add_object(f, tags));
    qsort(f->tags, f->n, sizeof(*f->tags), compare);
    return OK;
}

/* ---- changes ---- */

static err drop(struct store_tx *tx, const struct tag *t)
{
    err e = store_delete(tx, &KIND_TAG, t);

    return err_is(e, ERR_NOT_FOUND) ? OK : e; /* it was still waiting to be entered */
}

static err move(struct store_tx *tx, const struct tag *of, struct flat *was, struct flat *is)
{
    size_t i = 0;
    size_t k = 0;

    while (i < was->n || k < is->n) {
        int side = i == was->n ? 1 : k == is->n ? -1 : compare(&was->tags[i], &is->tags[k]);
        struct tag *t = side <= 0 ? &was->tags[i] : &is->tags[k];

        t->hub = of->hub;
        t->client_id = of->client_id;
        if (side < 0) {
            TRY(drop(tx, t));
        } else if (side > 0) {
            TRY(store_put(tx, &KIND_TAG, t));
        }
        i += side <= 0;
        k += side >= 0;
    }
    return OK;
}

err hub_tags_update(struct store_tx *tx, struct arena *arena, struct span hub,
                    struct span client_id, struct span old_tags, struct span new_tags)
{
    const struct tag of = { .hub = hub, .client_id = client_id };
    size_t mark = arena->used;
    struct flat was, is;

    if (span_eq(old_tags, new_tags)) {
        return OK;
    }
    TRY(flatten(arena, old_tags, &was));
    TRY(flatten(arena, new_tags, &is));
    TRY(move(tx, &of, &was, &is));
    arena->used = mark;
    return OK;
}

/* ---- who is from before ---- */

err hub_tags_is_complete(struct store_tx *tx, struct arena *arena, struct span hub,
                         bool *ret_is_complete)
{
    const struct tag_backlog of = { .hub = hub };
    struct store_scan scan = { .prefix = &of, .n_prefix = 1, .limit = 1 };
    struct tag_backlog *rows;
    size_t mark = arena->used;
    size_t n;

    TRY(store_scan(tx, &KIND_TAG_BACKLOG, &scan, arena, &rows, &n));
    arena->used = mark;
    *ret_is_complete = n == 0;
    return OK;
}

struct entering {
    const struct env *env;
    size_t arena_mark; /* what lies behind belongs to one run of the transaction */
    size_t n;
};

static err enter(struct store_tx *tx, struct arena *arena, const struct tag_backlog *who)
{
    struct device d;
    bool is_found;

    TRY(hub_identity_find(tx, who->hub, who->client_id, arena, &d, &is_found));
    if (is_found) {
        TRY(hub_tags_update(tx, arena, who->hub, who->client_id, SPAN_NONE, d.tags));
    }
    return store_delete(tx, &KIND_TAG_BACKLOG, who);
}

static err enter_some(struct store_tx *tx, void *arg)
{
    struct entering *w = arg;
    struct arena *arena = w->env->arena;
    struct store_scan scan = { .limit = LIMIT_TAG_BATCH };
    struct tag_backlog *rows;
    size_t mark;

    arena->used = w->arena_mark;
    TRY(store_scan(tx, &KIND_TAG_BACKLOG, &scan, arena, &rows, &w->n));
    mark = arena->used;
    for (size_t i = 0; i < w->n; i++) {
        TRY(enter(tx, arena, &rows[i]));
        arena->used = mark;
    }
    return OK;
}

static err look(struct store_tx *tx, void *arg)
{
    struct entering *w = arg;
    struct store_scan scan = { .limit = 1 };
    struct tag_backlog *rows;

    return store_scan(tx, &KIND_TAG_BACKLOG, &scan, w->env->arena, &rows, &w->n);
}

err hub_tags_enter_old(const struct env *env, struct bus *bus, void *arg, bool *again)
{
    struct entering w = { .env = env, .arena_mark = env->arena->used };

    (void)bus;
    (void)arg;
    TRY(store_read(env->store, look, &w));
    if (w.n > 0) {
        TRY(store_write(env->store, enter_some, &w));
    }
    *again = w.n == LIMIT_TAG_BATCH;
    return OK;
}
