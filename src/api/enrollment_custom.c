/* api/enrollment_custom.c: what of an enrollment leaves for a webhook, and stays in decision
 * records. */
#include "api/enrollment_custom.h"

#include "api/enrollment_json.h"
#include "model/limits.h"

static void write_url(struct span url, struct json_writer *w)
{
    uint8_t room[LIMIT_WEBHOOK_URL + 8];
    struct buf out = buf_over(room, sizeof room);
    size_t query = span_find(url, '?');

    buf_add(&out, span_first(url, query));
    if (query < url.len) {
        buf_add_str(&out, "?****");
    }
    json_write_text(w, "webhookUrl", buf_span(&out));
}

static void write_definition(const json *definition, struct json_writer *w)
{
    struct span url = json_text(json_member(definition, "webhookUrl"));

    json_write_begin_object(w, NULL);
    if (!span_is_absent(url)) {
        write_url(url, w);
        json_write_text_if(w, "apiVersion", json_text(json_member(definition, "apiVersion")));
    }
    json_write_end_object(w);
}

/* `extra` with a definition that may be shown. */
static err mask(const struct env *env, struct span extra, struct span *ret_extra)
{
    AUTO(json) json *members = NULL;
    struct buf out;
    struct json_writer w = json_writer_over(&out);

    if (span_is_absent(extra)) {
        *ret_extra = SPAN_NONE;
        return OK;
    }
    TRY(json_parse(extra, LIMIT_JSON_DEPTH, &members));
    out = arena_buf(env->arena);
    json_write_begin_object(&w, NULL);
    for (struct json_iter it = json_first(members); it.name != NULL; json_next(&it)) {
        json_write_name(&w, span_str(it.name));
        if (strcmp(it.name, "customAllocationDefinition") == 0) {
            write_definition(it.value, &w);
        } else {
            json_write_value(&w, NULL, it.value);
        }
    }
    json_write_end_object(&w);
    return arena_buf_end(env->arena, &out, ret_extra);
}

err enrollment_custom_write(const struct env *env, const struct enrollment *e,
                            struct span api_version, struct span *ret_json)
{
    const struct enrollment_json_view view = { .api_version = api_version };
    struct enrollment shown = *e;
    struct arena *a = env->arena;
    struct buf out;
    struct json_writer w = json_writer_over(&out);
    size_t mark;

    TRY(mask(env, e->extra, &shown.extra));
    /* Writing takes from the arena, too: behind this. */
    mark = a->used;
    out = buf_over(a->block + mark, (a->size - mark) / 2);
    a->used += out.cap;
    TRY(enrollment_json_write(env, &shown, &view, &w));
    TRY(buf_ok(&out));
    a->used = mark + out.len;
    *ret_json = buf_span(&out);
    return OK;
}
