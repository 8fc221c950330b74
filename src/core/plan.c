/* core/plan.c: from a reading to a plan. Which hub a policy picks is core/allocate.c's, and whom
 * policy "custom" asks core/custom_plan.c's; what is told of it to the operator is written here
 * (doc/wire/manage.md, "Decision"). */
#include "core/plan.h"

#include <stdio.h>

#include "core/allocate.h"
#include "core/custom_plan.h"
#include "core/errands.h"
#include "geo/geo.h"
#include "json/writer.h"

/* Whose word the policy is. */
struct policy_choice {
    enum allocation_policy policy; /* never DEFAULT */
    const char *from;
};

static struct policy_choice policy_of(const struct core_reading *reading)
{
    enum allocation_policy own = reading->found.enrollment.allocation_policy;
    enum allocation_policy common = reading->found.instance.allocation_policy;

    if (own != ALLOCATION_DEFAULT) {
        return (struct policy_choice){ own, "enrollment" };
    }
    return (struct policy_choice){ common != ALLOCATION_DEFAULT ? common : ALLOCATION_HASHED,
                                   "instance" };
}

/* ---- the record ---- */

static void write_degrees(struct json_writer *w, const char *name, int32_t udeg)
{
    int64_t size = udeg < 0 ? -(int64_t)udeg : udeg;
    char text[16];

    (void)snprintf(text, sizeof text, "%s%d.%06d", udeg < 0 ? "-" : "", (int)(size / 1000000),
                   (int)(size % 1000000));
    json_write_raw_if(w, name, span_str(text));
}

static const char *fallback_word(const struct env *env, enum allocate_fallback fallback)
{
    switch (fallback) {
    case ALLOCATE_DEVICE_UNKNOWN:
        return env->geo == NULL ? "no-database" : "address-unknown";
    case ALLOCATE_HUBS_UNKNOWN:
        return "no-coordinates";
    default:
        return NULL;
    }
}

static err write_record(const struct env *env, const struct allocate_query *q, const char *from,
                        const struct allocation *a, struct span *ret_json)
{
    struct buf text = arena_buf(env->arena);
    struct json_writer w = json_writer_over(&text);

    json_write_begin_object(&w, NULL);
    json_write_str(&w, "policy", model_allocation_word(q->policy));
    json_write_str(&w, "from", from);
    json_write_int(&w, "candidates", (int64_t)q->candidates->n);
    if (a->n_draining > 0) {
        json_write_int(&w, "draining", (int64_t)a->n_draining);
    }
    json_write_text_if(&w, "hub", a->hub);
    if (!span_is_absent(a->hub) && span_eq(a->hub, q->current_hub)) {
        json_write_bool(&w, "kept", true);
    }
    json_write_text_if(&w, "why", span_str(core_allocate_why_word(a->why)));
    json_write_text_if(&w, "fallback", span_str(fallback_word(env, a->fallback)));
    if (q->coordinates != NULL) {
        write_degrees(&w, "latitude", q->coordinates->latitude_udeg);
        write_degrees(&w, "longitude", q->coordinates->longitude_udeg);
    }
    if (a->has_distance) {
        json_write_int(&w, "distanceKm", (int64_t)(a->distance_km + 0.5));
    }
    json_write_end_object(&w);
    return arena_buf_end(env->arena, &text, ret_json);
}

/* ---- the policies ---- */

struct asking {
    const struct env *env;
    const struct core_reading *reading;
};

static bool is_down(void *arg, const struct core_link *link)
{
    const struct asking *a = arg;

    return link->is_remote &&
           core_errands_is_down(a->env->errands, a->reading->id_scope, link->host_name);
}

static err allocate(const struct env *env, const struct claim *claim,
                    const struct core_reading *reading, struct core_plan *plan)
{
    const struct policy_choice choice = policy_of(reading);
    struct asking asking = { env, reading };
    struct geo_point point;
    struct allocate_query q = {
        .policy = choice.policy,
        .candidates = &reading->candidates,
        .registration_key = reading->registration_key,
        .current_hub = reading->has_registration ? reading->registration.placed_hub : SPAN_NONE,
        .keep_current = !reading->found.enrollment.update_hub_assignment,
        .is_down = is_down,
        .arg = &asking,
    };
    struct allocation a;

    if (q.policy == ALLOCATION_GEO_LATENCY && geo_find(env->geo, claim->peer, &point)) {
        q.coordinates = &point;
    }
    a = core_allocate(&q);
    plan->reason = a.reason;
    /* Links are borrowed for the decision alone. */
    TRY(arena_copy(env->arena, a.hub, &plan->hub));
    return write_record(env, &q, choice.from, &a, &plan->allocation);
}

err core_plan_make(const struct env *env, const struct claim *claim,
                   const struct core_reading *reading, const struct core_tools *tools,
                   struct core_plan *ret_plan)
{
    struct core_plan plan = { .initial_twin = reading->found.enrollment.initial_twin };
    bool is_planned = false;

    if (policy_of(reading).policy == ALLOCATION_CUSTOM) {
        TRY(core_custom_plan(env, claim, reading, tools, &plan, &is_planned));
    }
    if (!is_planned) {
        TRY(allocate(env, claim, reading, &plan));
    }
    *ret_plan = plan;
    return OK;
}
