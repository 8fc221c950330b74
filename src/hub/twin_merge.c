/* hub/twin_merge.c: walks old and new side by side and writes the result and its metadata as it
 * goes. Which section, and who may change it, is twin.c's. */
#include "hub/twin_merge.h"

#include "model/limits.h"
#include "json/writer.h"

/* ---- what may be in it ---- */

struct check {
    struct arena *arena;
    const char *section;
    struct verdict verdict;
};

static err refuse(struct check *c, const char *name, const char *why)
{
    c->verdict = VERDICT(FIELD_INVALID);
    return arena_printf(c->arena, &c->verdict.detail, "%s: '%.100s' %s.", c->section, name, why);
}

static bool is_name(const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < len; i++) {
        uint8_t b = (uint8_t)name[i];

        if (b < 0x20 || b == 0x7f || strchr(".$ #", b) != NULL) {
            return false;
        }
    }
    return len > 0 && len <= LIMIT_TWIN_NAME;
}

static bool is_system_member(const char *name)
{
    return strcmp(name, "$metadata") == 0 || strcmp(name, "$version") == 0;
}

static err check_scalar(struct check *c, const char *name, const json *v)
{
    struct json_number number;

    if (json_is_string(v) && json_text(v).len > LIMIT_TWIN_STRING) {
        return refuse(c, name, "is a text of more than 4096 bytes");
    }
    if (json_find_number(v, &number) && number.is_integer &&
        (number.integer > LIMIT_TWIN_INTEGER || number.integer < -LIMIT_TWIN_INTEGER - 1)) {
        return refuse(c, name, "is an integer beyond 4503599627370495");
    }
    return OK;
}

static err check_object(struct check *c, json *object, int depth);

static err check_value(struct check *c, const char *name, json *v, int depth)
{
    if (json_is_object(v)) {
        return depth < LIMIT_TWIN_DEPTH ? check_object(c, v, depth + 1)
                                        : refuse(c, name, "is nested more than 10 levels deep");
    }
    for (size_t i = 0; i < json_array_len(v) && verdict_is_granted(c->verdict); i++) {
        json *item = json_array_at(v, i);

        TRY(json_is_null(item)          ? refuse(c, name, "is an array with a null in it")
            : depth >= LIMIT_TWIN_DEPTH ? refuse(c, name, "is nested more than 10 levels deep")
                                        : check_value(c, name, item, depth + 1));
    }
    return verdict_is_granted(c->verdict) ? check_scalar(c, name, v) : OK;
}

static err check_object(struct check *c, json *object, int depth)
{
    for (struct json_iter it = json_first(object); it.name && verdict_is_granted(c->verdict);
         json_next(&it)) {
        if (depth == 1 && is_system_member(it.name)) {
            continue;
        }
        TRY(is_name(it.name) ? check_value(c, it.name, it.value, depth)
                             : refuse(c, it.name,
                                      "is not a name: 1 to 1024 bytes without control characters, "
                                      "'.', '$', '#' and space"));
    }
    return OK;
}

err twin_merge_check(struct arena *arena, const char *name, json *section,
                     struct verdict *ret_verdict)
{
    struct check c = { .arena = arena, .section = name, .verdict = VERDICT(GRANTED) };

    if (!json_is_object(section)) {
        c.verdict = VERDICT(FIELD_INVALID);
        TRY(arena_printf(arena, &c.verdict.detail, "%s is not a JSON object.", name));
    } else {
        TRY(check_object(&c, section, 1));
    }
    *ret_verdict = c.verdict;
    return OK;
}

/* ---- merging ---- */

struct merge {
    struct twin_stamp stamp;
    struct json_writer values, metadata;
    size_t size; /* as Azure counts: names and values, not the punctuation */
};

static void write_stamp(struct merge *m)
{
    json_write_time(&m->metadata, "$lastUpdated", m->stamp.now_ms);
    if (m->stamp.version >= 0) {
        json_write_int(&m->metadata, "$lastUpdatedVersion", m->stamp.version);
    }
}

static void write_name(struct merge *m, const char *name)
{
    if (name != NULL) {
        json_write_name(&m->values, span_str(name));
        json_write_name(&m->metadata, span_str(name));
        m->size += strlen(name);
    }
}

static void begin(struct merge *m, const char *name)
{
    write_name(m, name);
    json_write_begin_object(&m->values, NULL);
    json_write_begin_object(&m->metadata, NULL);
    write_stamp(m);
}

static void end(struct merge *m)
{
    json_write_end_object(&m->values);
    json_write_end_object(&m->metadata);
}

static size_t size_of(json *v)
{
    struct json_number number;
    bool is_true;
    size_t size = 0;

    for (struct json_iter it = json_first(v); it.name; json_next(&it)) {
        size += strlen(it.name) + size_of(it.value);
    }
    for (size_t i = 0; i < json_array_len(v); i++) {
        size += size_of(json_array_at(v, i));
    }
    return size + json_text(v).len + (json_find_number(v, &number) ? 8 : 0) +
           (json_find_bool(v, &is_true) ? 4 : 0);
}

/* The text of a value that is not taken apart. */
static err print(struct json_writer *w, const json *v)
{
    TRY(json_print(v, w->out));
    w->need_comma = true;
    return OK;
}

/* A leaf, or what was there and is not touched. metadata NULL: stamped. */
static err put_whole(struct merge *m, const char *name, json *v, const json *metadata)
{
    write_name(m, name);
    m->size += size_of(v);
    TRY(print(&m->values, v));
    if (metadata != NULL) {
        return print(&m->metadata, metadata);
    }
    json_write_begin_object(&m->metadata, NULL);
    write_stamp(m);
    json_write_end_object(&m->metadata);
    return OK;
}

static err merge_object(struct merge *m, const char *name, json *was, json *patch,
                        const json *metadata);

/* A member that the change names. */
static err put_named(struct merge *m, const char *name, json *was, json *now, const json *metadata)
{
    if (json_is_null(now)) {
        return OK;
    }
    return json_is_object(now)
               ? merge_object(m, name, json_is_object(was) ? was : NULL, now, metadata)
               : put_whole(m, name, now, NULL);
}

static err merge_object(struct merge *m, const char *name, json *was, json *patch,
                        const json *metadata)
{
    begin(m, name);
    for (struct json_iter it = json_first(was); it.name; json_next(&it)) {
        json *now = json_member(patch, it.name);

        TRY(now == NULL ? put_whole(m, it.name, it.value, json_member(metadata, it.name))
                        : put_named(m, it.name, it.value, now, json_member(metadata, it.name)));
    }
    for (struct json_iter it = json_first(patch); it.name; json_next(&it)) {
        /* Ours, wherever it is: only an initial twin may have more of them. */
        if (it.name[0] != '$' && json_member(was, it.name) == NULL) {
            TRY(put_named(m, it.name, NULL, it.value, NULL));
        }
    }
    end(m);
    return OK;
}

static err parse_stored(struct span text, json **ret_document)
{
    if (span_is_absent(text)) {
        *ret_document = NULL;
        return OK;
    }
    return err_is_ok(json_parse(text, LIMIT_JSON_DEPTH, ret_document))
               ? OK
               : err_set(ERR_CORRUPT, "a stored twin is not JSON");
}

static size_t capped(size_t room, size_t limit, bool is_limited)
{
    return is_limited && limit < room ? limit : room;
}

static err judge_size(struct arena *arena, const struct twin_change *change, size_t size,
                      struct verdict *ret_verdict)
{
    *ret_verdict = VERDICT(GRANTED);
    if (size <= change->size_max) {
        return OK;
    }
    *ret_verdict = VERDICT(FIELD_INVALID);
    return arena_printf(arena, &ret_verdict->detail,
                        "%s would be %zu bytes of names and values; at most %zu are kept.",
                        change->name, size, change->size_max);
}

err twin_merge(struct arena *arena, const struct twin_change *change, struct twin_section *ret_now,
               struct verdict *ret_verdict)
{
    AUTO(json) json *was = NULL;
    AUTO(json) json *metadata = NULL;
    bool is_limited = change->size_max != SIZE_MAX;
    size_t quarter = (arena->size - arena->used) / 4;
    /* Written at the far end, then moved behind the values. */
    struct buf stamps = buf_over(arena->block + arena->size - quarter,
                                 capped(quarter, LIMIT_TWIN_METADATA, is_limited));
    struct buf values = arena_buf(arena);
    struct merge m = { .stamp = change->stamp };
    struct twin_section now;
    err e;

    if (change->was != NULL) {
        TRY(parse_stored(change->was->values, &was));
        TRY(parse_stored(change->was->metadata, &metadata));
    }
    values.cap = capped(quarter, LIMIT_TWIN_TEXT, is_limited);
    m.values = json_writer_over(&values);
    m.metadata = json_writer_over(&stamps);
    e = merge_object(&m, NULL, was, change->patch, metadata);
    if (is_limited && quarter >= LIMIT_TWIN_METADATA && (values.failed || stamps.failed)) {
        *ret_verdict = VERDICT(FIELD_INVALID);
        return arena_printf(arena, &ret_verdict->detail, "%s would have too many members.",
                            change->name);
    }
    TRY(e);
    TRY(buf_ok(&stamps));
    TRY(arena_buf_end(arena, &values, &now.values));
    TRY(arena_copy(arena, buf_span(&stamps), &now.metadata));
    TRY(judge_size(arena, change, m.size, ret_verdict));
    if (verdict_is_granted(*ret_verdict)) {
        *ret_now = now;
    }
    return OK;
}
