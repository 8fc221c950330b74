/* core/errand_lane.c: names of lanes. */
#include "core/errand_lane.h"

#include "model/limits.h"
#include "model/records.h"

err core_errand_lane_of_hub(struct arena *arena, struct span id_scope, struct span host_name,
                            struct span *ret_lane)
{
    return arena_printf(arena, ret_lane, "hub/%.*s/%.*s", SPAN_FMT(id_scope), SPAN_FMT(host_name));
}

/* What stands before the first byte of `stops`. */
static struct span cut_before(struct span text, struct span stops)
{
    size_t len = text.len;

    for (size_t i = 0; i < stops.len; i++) {
        size_t at = span_find(text, stops.data[i]);

        len = at < len ? at : len;
    }
    return span_first(text, len);
}

err core_errand_lane_of_url(struct arena *arena, struct span id_scope, struct span url,
                            struct span *ret_lane)
{
    struct span scheme = SPAN("https://");
    struct span host = span_starts_with_nocase(url, scheme) ? span_from(url, scheme.len) : url;
    struct span folded;

    host = cut_before(host, SPAN("/?#"));
    if (span_find(host, '@') < host.len) { /* a name and password are not for lists and metrics */
        host = span_from(host, span_find(host, '@') + 1);
    }
    TRY(model_fold(arena, span_first(host, LIMIT_HOST_NAME), &folded));
    return arena_printf(arena, ret_lane, "webhook/%.*s/%.*s", SPAN_FMT(id_scope), SPAN_FMT(folded));
}

bool core_errand_lane_is_webhook(struct span lane)
{
    return span_starts_with(lane, SPAN("webhook/"));
}
