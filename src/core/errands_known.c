/* core/errands_known.c: what others ask of the errands' threads: to look soon, whether a hub is
 * down, how long the line is. All of it is in memory. */
#include "core/errand_lane.h"
#include "core/errands_inside.h"

void core_errands_wake(struct core_errands *e, struct span lane)
{
    if (e == NULL || span_is_absent(lane)) {
        return;
    }
    (void)pthread_mutex_lock(&e->lock);
    core_errands_stir(e, lane, errands_clock_ms());
    if (core_errand_lanes_find(&e->lanes, lane) != NULL) {
        core_errand_lanes_find(&e->lanes, lane)->waiting++;
    }
    (void)pthread_mutex_unlock(&e->lock);
}

/* What is known of a lane by its name; zero when nothing is. */
static struct core_errand_lane look_up(struct core_errands *e, struct span name)
{
    struct core_errand_lane found = { 0 };
    const struct core_errand_lane *lane;

    if (e == NULL || span_is_absent(name)) {
        return found;
    }
    (void)pthread_mutex_lock(&e->lock);
    lane = core_errand_lanes_find(&e->lanes, name);
    if (lane != NULL) {
        found = *lane;
    }
    (void)pthread_mutex_unlock(&e->lock);
    return found;
}

bool core_errands_is_down(struct core_errands *e, struct span id_scope, struct span host_name)
{
    uint8_t room[LIMIT_ERRAND_LANE_NAME + 1];
    struct arena arena;
    struct span name;

    arena_init(&arena, room, sizeof room);
    return e != NULL && err_is_ok(core_errand_lane_of_hub(&arena, id_scope, host_name, &name)) &&
           look_up(e, name).state != CORE_LANE_CLOSED;
}

int64_t core_errands_wait_ms(struct core_errands *e, struct span lane)
{
    struct core_errand_lane found = look_up(e, lane);

    return core_errand_lanes_wait_ms(&found, errands_clock_ms());
}

int64_t core_errands_backlog(struct core_errands *e, struct span lane)
{
    return look_up(e, lane).waiting;
}

void core_errands_stats(struct core_errands *e, struct core_errands_stats *ret_stats)
{
    struct core_errands_stats s = { 0 };

    if (e != NULL) {
        (void)pthread_mutex_lock(&e->lock);
        s = (struct core_errands_stats){ .done = e->done,
                                         .failed = e->failed,
                                         .retried = e->retried,
                                         .calls = e->calls,
                                         .lanes = (int)e->lanes.n };
        for (size_t i = 0; i < e->lanes.n; i++) {
            s.waiting += e->lanes.lanes[i].waiting;
            s.lanes_open += e->lanes.lanes[i].state != CORE_LANE_CLOSED;
        }
        for (int i = 0; i < ERRANDS_POOLS; i++) {
            s.threads += e->pools[i].threads;
            s.busy += e->pools[i].threads - e->pools[i].idle;
        }
        (void)pthread_mutex_unlock(&e->lock);
    }
    *ret_stats = s;
}

void core_errands_each_lane(struct core_errands *e, size_t most,
                            void (*fn)(void *arg, const struct core_errands_lane *lane), void *arg)
{
    size_t n = 0;

    if (e == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&e->lock);
    for (int closed = 0; closed < 2; closed++) {
        for (size_t i = 0; i < e->lanes.n && n < most; i++) {
            const struct core_errand_lane *lane = &e->lanes.lanes[i];

            if ((lane->state == CORE_LANE_CLOSED) == (closed == 1)) {
                fn(arg, &(struct core_errands_lane){ .lane = span_of(lane->text, lane->len),
                                                     .state = lane->state,
                                                     .waiting = lane->waiting,
                                                     .in_flight = lane->in_flight });
                n++;
            }
        }
    }
    (void)pthread_mutex_unlock(&e->lock);
}
