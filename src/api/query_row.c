/* api/query_row.c: values of rows, whatever the rows are: finding members in a schema's table,
 * following paths into stored JSON, and writing what is there. */
#include "api/query_row.h"

#include <assert.h>

#include "model/limits.h"

struct query_value query_row_of_text(struct span text)
{
    return span_is_absent(text) ? (struct query_value){ .type = QUERY_VALUE_UNDEFINED }
                                : (struct query_value){ .type = QUERY_VALUE_TEXT, .text = text };
}

struct query_value query_row_of_bool(bool truth)
{
    return (struct query_value){ .type = QUERY_VALUE_BOOL, .truth = truth };
}

struct query_value query_row_of_int(int64_t n)
{
    return (struct query_value){
        .type = QUERY_VALUE_NUMBER,
        .number = { .is_integer = true, .integer = n, .real = (double)n },
    };
}

struct query_value query_row_of_time(int64_t time_ms)
{
    return (struct query_value){ .type = QUERY_VALUE_TIME, .time_ms = time_ms };
}

struct query_value query_row_of_json(json *v)
{
    struct query_value result = { .json = v };

    if (v == NULL) {
        return (struct query_value){ .type = QUERY_VALUE_UNDEFINED };
    }
    if (json_is_object(v)) {
        result.type = QUERY_VALUE_OBJECT;
    } else if (json_is_array(v)) {
        result.type = QUERY_VALUE_LIST;
    } else if (json_find_number(v, &result.number)) {
        result.type = QUERY_VALUE_NUMBER;
    } else if (json_find_bool(v, &result.truth)) {
        result.type = QUERY_VALUE_BOOL;
    } else if (json_is_null(v)) {
        result.type = QUERY_VALUE_NULL;
    } else {
        result.type = QUERY_VALUE_TEXT;
        result.text = json_text(v);
    }
    return result;
}

err query_row_document(struct query_row *row, int which, struct span text, json **ret_document)
{
    err e;

    assert(which < QUERY_DOCUMENTS);
    if (row->documents[which] == NULL && !span_is_absent(text)) {
        row->n_parsed += text.len;
        e = json_parse(text, LIMIT_JSON_DEPTH, &row->documents[which]);
        if (err_is(e, ERR_MALFORMED) || err_is(e, ERR_TOO_LARGE)) {
            return err_set(ERR_CORRUPT, "stored JSON is unreadable");
        }
        TRY(e);
    }
    *ret_document = row->documents[which];
    return OK;
}

void query_row_done(struct query_row *row)
{
    for (int i = 0; i < QUERY_DOCUMENTS; i++) {
        json_free(row->documents[i]);
        row->documents[i] = NULL;
    }
}

/* How many of the names the member's own take; 0: it is another. */
static size_t match(const struct query_member *m, const char *const *names, size_t n)
{
    struct span rest = span_str(m->name);
    size_t taken = 0;

    while (!span_is_absent(rest)) {
        if (taken == n || !span_eq(span_cut(&rest, '.'), span_str(names[taken]))) {
            return 0;
        }
        taken++;
    }
    return taken;
}

bool query_row_find_member(const struct query_schema *schema, const char *const *names, size_t n,
                           struct query_path *ret_path)
{
    for (size_t i = 0; i < schema->n_members; i++) {
        const struct query_member *m = &schema->members[i];
        size_t taken = (m->of & schema->of) != 0 ? match(m, names, n) : 0;

        if (taken > 0 && (taken == n || m->is_open)) {
            *ret_path = (struct query_path){
                .member = m, .inside = names + taken, .n_inside = n - taken, .last = names[n - 1]
            };
            return true;
        }
    }
    return false;
}

void query_row_print_members(const struct query_schema *schema, bool is_ordering, struct buf *out)
{
    const char *separator = "";

    for (size_t i = 0; i < schema->n_members; i++) {
        const struct query_member *m = &schema->members[i];
        bool is_top = strchr(m->name, '.') == NULL;

        if ((m->of & schema->of) != 0 && is_top && (!is_ordering || m->order != 0)) {
            buf_add_str(out, separator);
            buf_add_str(out, m->name);
            separator = ", ";
        }
    }
}

bool query_row_is_same_path(const struct query_path *a, const struct query_path *b)
{
    bool is_same = a->member == b->member && a->n_inside == b->n_inside;

    for (size_t i = 0; is_same && i < a->n_inside; i++) {
        is_same = strcmp(a->inside[i], b->inside[i]) == 0;
    }
    return is_same;
}

/* ---- paths ---- */

err query_row_value(struct query_row *row, const struct query_path *path,
                    struct query_value *ret_value)
{
    struct query_value v;

    TRY(path->member->read(row, path->member, &v));
    for (size_t i = 0; i < path->n_inside; i++) {
        v = query_row_of_json(v.type == QUERY_VALUE_OBJECT ? json_member(v.json, path->inside[i])
                                                           : NULL);
    }
    *ret_value = v;
    return OK;
}

void query_row_write_value(const struct query_value *v, const char *name, struct json_writer *w)
{
    switch (v->type) {
    case QUERY_VALUE_UNDEFINED:
        break;
    case QUERY_VALUE_TEXT:
        json_write_text(w, name, v->text);
        break;
    case QUERY_VALUE_TIME:
        json_write_time(w, name, v->time_ms);
        break;
    case QUERY_VALUE_BOOL:
        json_write_bool(w, name, v->truth);
        break;
    case QUERY_VALUE_NULL:
        json_write_null(w, name);
        break;
    case QUERY_VALUE_NUMBER:
        if (v->json != NULL) {
            json_write_value(w, name, v->json);
        } else {
            json_write_number(w, name, v->number);
        }
        break;
    case QUERY_VALUE_LIST:
    case QUERY_VALUE_OBJECT:
        json_write_value(w, name, v->json); /* `out` remembers what did not fit */
        break;
    }
}

err query_row_write(struct query_row *row, const struct query_path *path, const char *name,
                    struct json_writer *w)
{
    struct query_value v;

    if (path->n_inside == 0 && path->member->write != NULL) {
        return path->member->write(row, name, w);
    }
    TRY(query_row_value(row, path, &v));
    query_row_write_value(&v, name, w);
    return OK;
}
