/* hub/twin.c: changes of twins: by the device (reported) and by the operator (tags, desired), each
 * one transaction. What a section may hold and how it is merged is twin_merge.c's. */
#include "hub/twin.h"

#include "hub/event.h"
#include "hub/hub.h"
#include "hub/identity.h"
#include "hub/tags.h"
#include "hub/twin_merge.h"
#include "model/limits.h"
#include "store/store.h"
#include "util/base64.h"
#include "json/writer.h"

struct twin_work {
    const struct env *env;
    struct device device;
    const struct hub_twin_change *change;
    json *patch; /* of the reported properties */
    int64_t if_version;
    struct span generation_id; /* of who reports */
    size_t arena_mark;         /* what lies behind belongs to one run of the transaction */
    struct verdict verdict;
};

/* ---- birth ---- */

/* An enrollment's initial twin was taken as it is, so nothing is refused here. */
static err begin_section(struct arena *arena, int64_t now_ms, json *given, struct span *ret_values,
                         struct span *ret_metadata)
{
    const struct twin_change change = { .name = "initialTwin",
                                        .patch = given,
                                        .stamp = { .now_ms = now_ms, .version = -1 },
                                        .size_max = SIZE_MAX };
    struct twin_section now = { 0 };
    struct verdict v;

    if (json_is_object(given)) {
        TRY(twin_merge(arena, &change, &now, &v));
    }
    *ret_values = now.values;
    *ret_metadata = now.metadata;
    return OK;
}

/* A device may be from before metadata was kept. */
static err complete_section(struct arena *arena, int64_t born_ms, struct span values,
                            struct span *metadata)
{
    AUTO(json) json *document = NULL;
    struct span unused;

    if (span_is_absent(values) || !span_is_absent(*metadata)) {
        return OK;
    }
    if (!err_is_ok(json_parse(values, LIMIT_JSON_DEPTH, &document))) {
        return err_set(ERR_CORRUPT, "a stored twin is not JSON");
    }
    return begin_section(arena, born_ms, document, &unused, metadata);
}

err hub_twin_complete(struct arena *arena, struct device *d)
{
    TRY(complete_section(arena, d->created_ms, d->desired, &d->desired_metadata));
    return complete_section(arena, d->created_ms, d->reported, &d->reported_metadata);
}

err hub_twin_begin(const struct env *env, json *tags, json *desired, struct device *d)
{
    struct span unused;

    TRY(begin_section(env->arena, env->now_ms, tags, &d->tags, &unused));
    return begin_section(env->arena, env->now_ms, desired, &d->desired, &d->desired_metadata);
}

/* One section of an import. NULL: stays absent. */
static err import_section(const struct env *env, const char *name, json *given, size_t size_max,
                          struct twin_section *ret_section, struct verdict *ret_verdict)
{
    const struct twin_change change = { .name = name,
                                        .patch = given,
                                        .stamp = { .now_ms = env->now_ms, .version = -1 },
                                        .size_max = size_max };

    *ret_section = (struct twin_section){ 0 };
    if (given == NULL || !verdict_is_granted(*ret_verdict)) {
        return OK;
    }
    return twin_merge(env->arena, &change, ret_section, ret_verdict);
}

err hub_twin_import(const struct env *env, const struct hub_twin_change *change, struct device *d,
                    struct verdict *ret_verdict)
{
    struct twin_section tags, desired, reported;

    *ret_verdict = VERDICT(GRANTED);
    TRY(import_section(env, "tags", change->tags, LIMIT_TWIN_TAGS, &tags, ret_verdict));
    TRY(import_section(env, "properties.desired", change->desired, LIMIT_TWIN_PROPERTIES, &desired,
                       ret_verdict));
    TRY(import_section(env, "properties.reported", change->reported, LIMIT_TWIN_PROPERTIES,
                       &reported, ret_verdict));
    if (verdict_is_granted(*ret_verdict)) {
        d->tags = tags.values;
        d->desired = desired.values;
        d->desired_metadata = desired.metadata;
        d->reported = reported.values;
        d->reported_metadata = reported.metadata;
    }
    return OK;
}

err hub_twin_get(const struct env *env, struct span hub, struct span device_id,
                 struct device *ret_device, struct verdict *ret_verdict)
{
    struct device d;

    TRY(hub_device_get(env, hub, device_id, &d, ret_verdict));
    if (verdict_is_granted(*ret_verdict)) {
        TRY(hub_twin_complete(env->arena, &d));
        *ret_device = d;
    }
    return OK;
}

void hub_twin_etag(int64_t etag, struct buf *out)
{
    uint8_t bytes[8];
    struct buf counter = buf_over(bytes, sizeof(bytes));

    buf_add_u32(&counter, (uint32_t)((uint64_t)etag >> 32));
    buf_add_u32(&counter, (uint32_t)etag);
    base64_encode(buf_span(&counter), out);
}

/* ---- changes ---- */

/* False, with the verdict set, when there is no such device. */
static err read_device(struct twin_work *w, struct store_tx *tx, bool *ret_found)
{
    w->env->arena->used = w->arena_mark;
    TRY(hub_identity_find(tx, w->device.hub, w->device.device_id, w->env->arena, &w->device,
                          ret_found));
    w->verdict = VERDICT(GRANTED);
    return *ret_found ? hub_twin_complete(w->env->arena, &w->device)
                      : hub_identity_missing(tx, w->device.hub, w->device.device_id, w->env->arena,
                                             &w->verdict);
}

static err put_device(struct twin_work *w, struct store_tx *tx)
{
    w->device.version++;
    w->device.updated_ms = w->env->now_ms;
    return hub_identity_put(tx, &w->device);
}

/* ---- reported ---- */

static err merge_reported(const struct env *env, json *patch, struct device *d,
                          struct verdict *ret_verdict)
{
    const struct twin_section was = { d->reported, d->reported_metadata };
    const struct twin_change change = { .name = "properties.reported",
                                        .was = &was,
                                        .patch = patch,
                                        .stamp = { .now_ms = env->now_ms, .version = -1 },
                                        .size_max = LIMIT_TWIN_PROPERTIES };
    struct twin_section now;

    TRY(twin_merge(env->arena, &change, &now, ret_verdict));
    if (verdict_is_granted(*ret_verdict)) {
        d->reported = now.values;
        d->reported_metadata = now.metadata;
        d->reported_version++;
    }
    return OK;
}

static err report(struct store_tx *tx, void *arg)
{
    struct twin_work *w = arg;
    bool is_found;

    TRY(read_device(w, tx, &is_found));
    if (!is_found) {
        return OK;
    }
    if (!span_eq(w->device.generation_id, w->generation_id)) {
        w->verdict = VERDICT(DEVICE_NOT_FOUND);
        return OK;
    }
    if (w->if_version >= 0 && w->if_version != w->device.reported_version) {
        w->verdict = VERDICT(ETAG_MISMATCH);
        return OK;
    }
    TRY(merge_reported(w->env, w->patch, &w->device, &w->verdict));
    return verdict_is_granted(w->verdict) ? put_device(w, tx) : OK;
}

err hub_twin_report(const struct env *env, struct span hub, struct span device_id,
                    const struct hub_twin_report *r, int64_t *ret_version,
                    struct verdict *ret_verdict)
{
    AUTO(json) json *patch = NULL;
    struct twin_work w = { .env = env,
                           .device = { .hub = hub, .device_id = device_id },
                           .if_version = r->if_version,
                           .generation_id = r->generation_id };

    if (!err_is_ok(json_parse(r->patch, LIMIT_JSON_DEPTH, &patch))) {
        *ret_verdict = VERDICT(BODY_MALFORMED);
        return OK;
    }
    TRY(twin_merge_check(env->arena, "properties.reported", patch, ret_verdict));
    if (!verdict_is_granted(*ret_verdict)) {
        return OK;
    }
    w.patch = patch;
    w.arena_mark = env->arena->used;
    TRY(store_write(env->store, report, &w));
    if (verdict_is_granted(w.verdict)) {
        TRY(hub_event_twin(env, &w.device, &(struct hub_event_sections){ .reported = patch }));
    }
    *ret_version = w.device.reported_version;
    *ret_verdict = w.verdict;
    return OK;
}

/* ---- tags and desired ---- */

static err change_tags(struct twin_work *w)
{
    struct device *d = &w->device;
    struct twin_section was = { .values = d->tags }, now;
    struct twin_change change = { .name = "tags",
                                  .was = w->change->is_replace ? NULL : &was,
                                  .patch = w->change->tags,
                                  .stamp = { .now_ms = w->env->now_ms, .version = -1 },
                                  .size_max = LIMIT_TWIN_TAGS };

    if (w->change->tags == NULL) {
        d->tags = w->change->is_replace ? SPAN_NONE : d->tags;
        return OK;
    }
    TRY(twin_merge(w->env->arena, &change, &now, &w->verdict));
    d->tags = verdict_is_granted(w->verdict) ? now.values : d->tags;
    return OK;
}

static err set_desired(const struct env *env, const struct twin_change *change, struct device *d,
                       struct verdict *ret_verdict)
{
    struct twin_section now;

    TRY(twin_merge(env->arena, change, &now, ret_verdict));
    if (verdict_is_granted(*ret_verdict)) {
        d->desired = now.values;
        d->desired_metadata = now.metadata;
        d->desired_version = change->stamp.version;
    }
    return OK;
}

static err change_desired(struct twin_work *w)
{
    AUTO(json) json *nothing = NULL;
    struct device *d = &w->device;
    struct twin_section was = { d->desired, d->desired_metadata };
    struct twin_change change = { .name = "properties.desired",
                                  .was = w->change->is_replace ? NULL : &was,
                                  .patch = w->change->desired,
                                  .stamp = { .now_ms = w->env->now_ms,
                                             .version = d->desired_version + 1 },
                                  .size_max = LIMIT_TWIN_PROPERTIES };

    if (w->change->desired == NULL && !w->change->is_replace) {
        return OK;
    }
    if (change.patch == NULL) {
        TRY(json_parse(SPAN("{}"), 1, &nothing));
        change.patch = nothing;
    }
    return set_desired(w->env, &change, d, &w->verdict);
}

static err change_sections(struct twin_work *w, struct store_tx *tx)
{
    struct span old_tags = w->device.tags;

    w->verdict = VERDICT(GRANTED);
    TRY(change_tags(w));
    if (verdict_is_granted(w->verdict)) {
        TRY(change_desired(w));
    }
    if (verdict_is_granted(w->verdict) && w->change->reported != NULL) {
        TRY(merge_reported(w->env, w->change->reported, &w->device, &w->verdict));
    }
    if (w->change->tags != NULL || w->change->desired != NULL || w->change->is_replace) {
        w->device.twin_etag++;
    }
    return verdict_is_granted(w->verdict)
               ? hub_tags_update(tx, w->env->arena, w->device.hub, w->device.device_id, old_tags,
                                 w->device.tags)
               : OK;
}

static err apply(struct store_tx *tx, void *arg)
{
    struct twin_work *w = arg;
    bool is_found;

    TRY(read_device(w, tx, &is_found));
    if (!is_found) {
        return OK;
    }
    if (w->change->if_etag >= 0 && w->change->if_etag != w->device.twin_etag) {
        w->verdict = VERDICT(ETAG_MISMATCH);
        return OK;
    }
    if (w->change->tags == NULL && w->change->desired == NULL && !w->change->is_replace) {
        return OK;
    }
    TRY(change_sections(w, tx));
    return verdict_is_granted(w->verdict) ? put_device(w, tx) : OK;
}

err hub_twin_merge(const struct env *env, struct store_tx *tx, const struct hub_twin_change *change,
                   struct device *d, struct verdict *ret_verdict)
{
    struct twin_work w = { .env = env, .device = *d, .change = change };

    TRY(hub_twin_complete(env->arena, &w.device));
    TRY(change_sections(&w, tx));
    if (verdict_is_granted(w.verdict)) {
        w.device.version++;
        *d = w.device;
    }
    *ret_verdict = w.verdict;
    return OK;
}

/* What the device is told: the change as it was written, or all of it when it was replaced, each
 * with the version (reference iothub-device-api.md 8). */
static err format_push(const struct env *env, const struct hub_twin_change *change,
                       const struct device *d, struct span *ret_text)
{
    struct buf out = arena_buf(env->arena);
    struct json_writer writer = json_writer_over(&out);
    AUTO(json) json *all = NULL;
    json *shown = change->desired;

    if (change->is_replace) {
        TRY(json_parse(d->desired, LIMIT_JSON_DEPTH, &all));
        shown = all;
    }
    json_write_begin_object(&writer, NULL);
    for (struct json_iter it = json_first(shown); it.name; json_next(&it)) {
        if (it.name[0] != '$') {
            json_write_name(&writer, span_str(it.name));
            TRY(json_print(it.value, &out));
            writer.need_comma = true;
        }
    }
    json_write_int(&writer, "$version", d->desired_version);
    json_write_end_object(&writer);
    return arena_buf_end(env->arena, &out, ret_text);
}

static err push_desired(const struct env *env, struct bus *bus,
                        const struct hub_twin_change *change, const struct device *d)
{
    struct bus_letter letter = { .kind = BUS_LETTER_DESIRED, .number = d->desired_version };

    TRY(format_push(env, change, d, &letter.payload));
    (void)bus_post(bus, d->hub, d->device_id, &letter); /* nobody there: it will ask */
    return OK;
}

err hub_twin_tell(const struct env *env, struct bus *bus, const struct hub_twin_change *change,
                  const struct device *d)
{
    const struct hub_event_sections sections = { .tags = change->tags,
                                                 .desired = change->desired,
                                                 .reported = change->reported,
                                                 .is_replace = change->is_replace };

    if (change->desired != NULL || change->is_replace) {
        TRY(push_desired(env, bus, change, d));
    }
    return change->tags != NULL || change->desired != NULL || change->reported != NULL ||
                   change->is_replace
               ? hub_event_twin(env, d, &sections)
               : OK;
}

static err change_and_tell(struct twin_work *w, struct bus *bus)
{
    TRY(store_write(w->env->store, apply, w));
    return verdict_is_granted(w->verdict) ? hub_twin_tell(w->env, bus, w->change, &w->device) : OK;
}

err hub_twin_check(const struct env *env, const struct hub_twin_change *change,
                   struct verdict *ret_verdict)
{
    const struct {
        const char *name;
        json *section;
    } sections[] = { { "tags", change->tags },
                     { "properties.desired", change->desired },
                     { "properties.reported", change->reported } };

    *ret_verdict = VERDICT(GRANTED);
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        if (sections[i].section != NULL && verdict_is_granted(*ret_verdict)) {
            TRY(twin_merge_check(env->arena, sections[i].name, sections[i].section, ret_verdict));
        }
    }
    return OK;
}

err hub_twin_change(const struct env *env, struct bus *bus, struct span hub, struct span device_id,
                    const struct hub_twin_change *change, struct device *ret_device,
                    struct verdict *ret_verdict)
{
    struct twin_work w = { .env = env,
                           .device = { .hub = hub, .device_id = device_id },
                           .change = change };
    err e;

    TRY(hub_twin_check(env, change, ret_verdict));
    if (!verdict_is_granted(*ret_verdict)) {
        return OK;
    }
    w.arena_mark = env->arena->used;
    bus_order_begin(bus, hub, device_id);
    e = change_and_tell(&w, bus);
    bus_order_end(bus, hub, device_id);
    TRY(e);
    if (verdict_is_granted(w.verdict)) {
        *ret_device = w.device;
    }
    *ret_verdict = w.verdict;
    return OK;
}
