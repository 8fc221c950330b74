/* core/initial_twin.c: reading an initial twin. What a hub makes of it is hub/'s. */
#include "core/initial_twin.h"

#include "model/limits.h"
#include "json/writer.h"

static bool is_given(const json *v)
{
    return v != NULL && !json_is_null(v);
}

static bool may_be_object(const json *v)
{
    return !is_given(v) || json_is_object(v);
}

static void write_given(struct json_writer *w, const char *name, const json *value)
{
    if (is_given(value)) {
        json_write_value(w, name, value);
    }
}

static err print(struct arena *arena, const json *twin, struct span *ret_text)
{
    const json *properties = json_member(twin, "properties");
    struct buf out = arena_buf(arena);
    struct json_writer w = json_writer_over(&out);

    json_write_begin_object(&w, NULL);
    write_given(&w, "tags", json_member(twin, "tags"));
    if (is_given(properties)) {
        json_write_begin_object(&w, "properties");
        write_given(&w, "desired", json_member(properties, "desired"));
        json_write_end_object(&w);
    }
    json_write_end_object(&w);
    return arena_buf_end(arena, &out, ret_text);
}

err core_initial_twin_read(struct arena *arena, const json *twin, struct span *ret_text,
                           const char **ret_wrong)
{
    const json *properties = json_member(twin, "properties");
    struct span text = SPAN_NONE;

    *ret_wrong = NULL;
    if (!may_be_object(twin)) {
        *ret_wrong = "is not an object";
    } else if (!may_be_object(json_member(twin, "tags")) || !may_be_object(properties) ||
               !may_be_object(json_member(properties, "desired"))) {
        *ret_wrong = "is not {\"tags\":{…},\"properties\":{\"desired\":{…}}}";
    } else if (is_given(twin)) {
        TRY(print(arena, twin, &text));
    }
    if (text.len > LIMIT_INITIAL_TWIN) {
        *ret_wrong = "is larger than 65536 bytes";
    }
    _Static_assert(LIMIT_INITIAL_TWIN == 65536, "as the sentence says");
    *ret_text = text;
    return OK;
}
