/* api/hub_query_groups.c: one entry a group, told apart by the JSON of its members, which is also
 * what is written of them. Sums of whole numbers are exact as far as they reach. */
#include "api/hub_query_groups.h"

#include "api/query_eval.h"
#include "model/limits.h"

struct sum {
    int64_t n; /* numbers taken in; of COUNT, rows */
    struct json_number total;
    struct query_value least, most; /* numbers; UNDEFINED: there was none */
};

struct group {
    uint32_t hash;
    struct span key;  /* {"0":…,"1":…}: its members by their place in GROUP BY */
    struct sum *sums; /* one a column */
};

struct hub_query_groups {
    const struct query *query;
    size_t n;
    struct group *groups;
    struct sum *sums;
    struct buf keys;
    struct buf scratch; /* for the key of the row in hand */
};

static bool is_grouped(const struct query *q)
{
    return q->n_groups > 0;
}

err hub_query_groups_new(struct arena *arena, const struct query *q,
                         struct hub_query_groups **ret_groups)
{
    size_t most = is_grouped(q) ? LIMIT_QUERY_GROUPS : 1;
    struct hub_query_groups *g = ARENA_NEW(arena, struct hub_query_groups);
    struct group *groups = ARENA_ARRAY(arena, most, struct group);
    struct sum *sums = ARENA_ARRAY(arena, most * q->n_columns, struct sum);
    uint8_t *keys = ARENA_ARRAY(arena, 2 * LIMIT_QUERY_GROUPS_TEXT, uint8_t);

    if (g == NULL || groups == NULL || sums == NULL || keys == NULL) {
        return ERR(NOMEM);
    }
    *g = (struct hub_query_groups){
        .query = q,
        .groups = groups,
        .sums = sums,
        .keys = buf_over(keys, LIMIT_QUERY_GROUPS_TEXT),
        .scratch = buf_over(keys + LIMIT_QUERY_GROUPS_TEXT, LIMIT_QUERY_GROUPS_TEXT),
    };
    if (!is_grouped(q)) {
        g->n = 1;
        groups[0].sums = sums;
    }
    *ret_groups = g;
    return OK;
}

/* ---- finding the group ---- */

/* Of the i-th member in a key; there are LIMIT_QUERY_COLUMNS at most. */
static char name_of(size_t i)
{
    return (char)('0' + i);
}

static err make_key(struct hub_query_groups *g, struct query_row *row)
{
    struct json_writer w = json_writer_over(&g->scratch);

    g->scratch.len = 0;
    g->scratch.failed = false;
    json_write_begin_object(&w, NULL);
    for (size_t i = 0; i < g->query->n_groups; i++) {
        const char name[] = { name_of(i), '\0' };

        TRY(query_row_write(row, &g->query->groups[i], name, &w));
    }
    json_write_end_object(&w);
    return g->scratch.failed ? ERR(TOO_LARGE) : OK;
}

static err find_group(struct hub_query_groups *g, struct query_row *row, struct group **ret_group)
{
    struct span key;
    uint32_t hash;

    if (!is_grouped(g->query)) {
        *ret_group = &g->groups[0];
        return OK;
    }
    TRY(make_key(g, row));
    key = buf_span(&g->scratch);
    hash = span_hash(key);
    for (size_t i = 0; i < g->n; i++) {
        if (g->groups[i].hash == hash && span_eq(g->groups[i].key, key)) {
            *ret_group = &g->groups[i];
            return OK;
        }
    }
    if (g->n == LIMIT_QUERY_GROUPS || g->keys.cap - g->keys.len < key.len) {
        return ERR(TOO_LARGE);
    }
    buf_add(&g->keys, key);
    g->groups[g->n] = (struct group){
        .hash = hash,
        .key = span_of(g->keys.data + g->keys.len - key.len, key.len),
        .sums = g->sums + g->n * g->query->n_columns,
    };
    *ret_group = &g->groups[g->n++];
    return OK;
}

/* ---- taking in ---- */

static void add(struct json_number *total, struct json_number number)
{
    int64_t whole;

    total->real += number.real;
    total->is_integer = total->is_integer && number.is_integer &&
                        !__builtin_add_overflow(total->integer, number.integer, &whole);
    if (total->is_integer) {
        total->integer = whole;
    }
}

static void take_least(struct query_value *least, const struct query_value *v, int side)
{
    int is;

    if (least->type == QUERY_VALUE_UNDEFINED ||
        (query_eval_order(v, least, &is) && is * side > 0)) {
        *least = *v;
        least->json = NULL; /* it is the row's */
    }
}

/* What is no number is passed over. */
static void take_number(struct sum *s, const struct query_value *v)
{
    if (v->type != QUERY_VALUE_NUMBER) {
        return;
    }
    if (s->n++ == 0) {
        s->total = (struct json_number){ .is_integer = true };
    }
    add(&s->total, v->number);
    take_least(&s->least, v, -1);
    take_least(&s->most, v, 1);
}

err hub_query_groups_take(struct hub_query_groups *g, struct query_row *row)
{
    struct query_value v;
    struct group *group;

    TRY(find_group(g, row, &group));
    for (size_t i = 0; i < g->query->n_columns; i++) {
        const struct query_column *c = &g->query->columns[i];

        if (c->aggregate == QUERY_COUNT) {
            group->sums[i].n++;
        } else if (c->aggregate != QUERY_PLAIN) {
            TRY(query_eval_column(row, c, &v));
            take_number(&group->sums[i], &v);
        }
    }
    return OK;
}

/* ---- writing ---- */

/* The place of a plain column in GROUP BY. */
static size_t place_of(const struct query *q, const struct query_column *c)
{
    size_t i = 0;

    while (i + 1 < q->n_groups && !query_row_is_same_path(&c->path, &q->groups[i])) {
        i++;
    }
    return i;
}

static void write_member(const struct hub_query_groups *g, const struct query_column *c,
                         const json *key, struct json_writer *w)
{
    const char name[] = { name_of(place_of(g->query, c)), '\0' };
    json *v = json_member(key, name);

    if (v != NULL) {
        json_write_value(w, c->name, v);
    }
}

static void write_sum(const struct query_column *c, const struct sum *s, struct json_writer *w)
{
    struct json_number average = { .real = s->n > 0 ? s->total.real / (double)s->n : 0 };

    if (c->aggregate == QUERY_COUNT) {
        json_write_int(w, c->name, s->n);
    } else if (s->n == 0) {
        return;
    } else if (c->aggregate == QUERY_MIN || c->aggregate == QUERY_MAX) {
        query_row_write_value(c->aggregate == QUERY_MIN ? &s->least : &s->most, c->name, w);
    } else {
        json_write_number(w, c->name, c->aggregate == QUERY_AVG ? average : s->total);
    }
}

static void write_group(const struct hub_query_groups *g, const struct group *group,
                        struct json_writer *w)
{
    AUTO(json) json *key = NULL;

    if (is_grouped(g->query) && !err_is_ok(json_parse(group->key, LIMIT_JSON_DEPTH + 2, &key))) {
        w->out->failed = true; /* we wrote it: there is no memory */
        return;
    }
    json_write_begin_object(w, NULL);
    for (size_t i = 0; i < g->query->n_columns; i++) {
        const struct query_column *c = &g->query->columns[i];

        if (c->aggregate == QUERY_PLAIN) {
            write_member(g, c, key, w);
        } else {
            write_sum(c, &group->sums[i], w);
        }
    }
    json_write_end_object(w);
}

void hub_query_groups_write(const struct hub_query_groups *g, struct json_writer *w)
{
    int64_t top = g->query->top;

    json_write_begin_array(w, NULL);
    for (size_t i = 0; i < g->n && (top < 0 || (int64_t)i < top); i++) {
        write_group(g, &g->groups[i], w);
    }
    json_write_end_array(w);
}
