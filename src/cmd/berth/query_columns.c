/* cmd/berth/query_columns.c: finds the columns of rows, and a row's cells. */
#include "cmd/berth/query_columns.h"

/* What a person wants of a twin; tags as JSON. */
static const struct view_column TWINS[] = {
    { "DEVICE", "deviceId" },
    { "MODULE", "moduleId" },
    { "STATUS", "status" },
    { "CONNECTION", "connectionState" },
    { "AUTH", "authenticationType" },
    { "VERSION", "version" },
    { "TAGS", "tags" },
    { "LAST ACTIVITY", "lastActivityTime" },
    { NULL, NULL },
};

void berth_query_columns_init(struct query_columns *q, struct cli *cli)
{
    *q = (struct query_columns){ .cli = cli };
}

static bool is_twin(const json *row)
{
    return json_is_string(json_member(row, "deviceId")) && json_member(row, "deviceEtag") != NULL &&
           json_member(row, "properties") != NULL;
}

static bool has_column(const struct query_columns *q, struct span name)
{
    for (size_t i = 0; i < q->n; i++) {
        if (span_eq(span_str(q->names[i]), name)) {
            return true;
        }
    }
    return false;
}

static void add_column(struct query_columns *q, struct span name)
{
    if (has_column(q, name)) {
        return;
    }
    if (q->n == TABLE_COLUMNS_MAX) {
        q->left_some_out = true;
        return;
    }
    memcpy(q->names[q->n], name.data, name.len); /* room for a NUL is left */
    q->names[q->n++][name.len] = '\0';
}

/* Objects become their members, down to a depth; $metadata is nobody's wish. */
static void find_columns(struct query_columns *q, json *object, struct span before, int depth)
{
    for (struct json_iter it = json_first(object); it.name != NULL; json_next(&it)) {
        char memory[QUERY_COLUMNS_NAME];
        struct buf path = buf_over(memory, sizeof(memory) - 1);

        buf_printf(&path, "%.*s%s%s", SPAN_FMT(before), before.len > 0 ? "." : "", it.name);
        if (path.failed || strcmp(it.name, "$metadata") == 0) {
            continue;
        }
        if (json_is_object(it.value) && json_first(it.value).name != NULL && depth > 1) {
            find_columns(q, it.value, buf_span(&path), depth - 1);
        } else {
            add_column(q, buf_span(&path));
        }
    }
}

static void begin(struct query_columns *q, const json *rows)
{
    const char *titles[TABLE_COLUMNS_MAX];

    q->is_begun = true;
    q->is_twins = is_twin(json_array_at(rows, 0));
    for (; q->is_twins && TWINS[q->n].title != NULL; q->n++) {
        titles[q->n] = TWINS[q->n].title;
    }
    for (size_t i = 0; !q->is_twins && i < json_array_len(rows); i++) {
        find_columns(q, json_array_at(rows, i), SPAN_NONE, QUERY_COLUMNS_DEPTH);
    }
    for (size_t i = 0; !q->is_twins && i < q->n; i++) {
        titles[i] = q->names[i];
    }
    berth_table_init(&q->table, &q->cli->arena, titles, q->n);
}

/* The value at a dotted path, whose parts may have dots of their own: the longest name that fits
 * goes first. */
static const json *follow(const json *object, struct span path)
{
    for (size_t len = path.len; len > 0; len--) {
        char name[QUERY_COLUMNS_NAME];
        const json *value;

        if (len < path.len && path.data[len] != '.') {
            continue;
        }
        memcpy(name, path.data, len);
        name[len] = '\0';
        value = json_member(object, name);
        if (value != NULL && len < path.len) {
            value = follow(value, span_from(path, len + 1));
        }
        if (value != NULL) {
            return value;
        }
    }
    return NULL;
}

static err add_row(struct query_columns *q, json *row)
{
    struct span cells[TABLE_COLUMNS_MAX];

    for (size_t i = 0; i < q->n; i++) {
        const json *value = q->is_twins ? NULL : follow(row, span_str(q->names[i]));

        cells[i] = q->is_twins     ? berth_view_text(q->cli, row, TWINS[i].path)
                   : value != NULL ? berth_view_value(q->cli, value)
                                   : SPAN_NONE;
    }
    return berth_table_add(&q->table, cells);
}

err berth_query_columns_add(struct query_columns *q, const json *rows)
{
    if (json_array_len(rows) == 0) {
        return OK;
    }
    if (!q->is_begun) {
        begin(q, rows);
    }
    for (size_t i = 0; i < json_array_len(rows); i++) {
        TRY(add_row(q, json_array_at(rows, i)));
    }
    return OK;
}
