/* core/errand_kit_test.h: what the tests of errands stand on: two hubs of the store and two
 * elsewhere, each a small real one in memory that can fail in every way, and a webhook. For tests
 * only. */
#ifndef CORE_ERRAND_KIT_TEST_H
#define CORE_ERRAND_KIT_TEST_H

#include "core/errand.h"
#include "core/errand_row.h"
#include "core/errands.h"
#include "core/fixture.h"

#define KIT_FAR1 "far1.example"
#define KIT_FAR2 "far2.example"

static const char *const kit_hubs[] = { TEST_HUB, TEST_HUB2, KIT_FAR1, KIT_FAR2 };
enum { KIT_HUBS = 4 };

/* How the next calls to a system elsewhere end. */
enum kit_fault {
    KIT_WELL = 0,
    KIT_SILENT,            /* no answer, nothing was done */
    KIT_SILENT_DONE,       /* no answer, but it was done */
    KIT_REFUSES,           /* 400, with its own words */
    KIT_UNAUTHORIZED,      /* 401 */
    KIT_UNAUTHORIZED_DONE, /* 401, but part of it was done */
    KIT_THROTTLES,         /* 429, come back in 7 s */
};

struct kit_device {
    char hub[40], id[40], desired[80], thumbprint[80];
    bool exists;
};

static struct kit {
    struct fixture f;
    struct node ca, leaf, leaf2;
    struct kit_device far[16];
    enum kit_fault fault[KIT_HUBS]; /* of far hubs */
    int faults_skip;                /* calls that go well before they go wrong */
    int faults_left;                /* calls that go wrong before they go well; 0: all */
    enum kit_fault webhook;
    const char *answer;
    int calls, posts;
} kit;

static inline int kit_hub_index(struct span hub)
{
    for (int i = 0; i < KIT_HUBS; i++) {
        if (span_eq(hub, span_str(kit_hubs[i]))) {
            return i;
        }
    }
    fail_msg("no such hub: %.*s", SPAN_FMT(hub));
    return 0;
}

static inline struct kit_device *kit_far(struct span hub, struct span id, bool make)
{
    struct kit_device *room = NULL;

    for (size_t i = 0; i < sizeof kit.far / sizeof *kit.far; i++) {
        struct kit_device *d = &kit.far[i];

        if (d->exists && span_eq(hub, span_str(d->hub)) && span_eq(id, span_str(d->id))) {
            return d;
        }
        room = !d->exists && room == NULL ? d : room;
    }
    if (make) {
        assert_non_null(room);
        *room = (struct kit_device){ .exists = true };
        (void)snprintf(room->hub, sizeof room->hub, "%.*s", SPAN_FMT(hub));
        (void)snprintf(room->id, sizeof room->id, "%.*s", SPAN_FMT(id));
        return room;
    }
    return NULL;
}

/* Whether the call takes effect, and its answer. */
static inline bool kit_answer(enum kit_fault fault, struct elsewhere_answer *a)
{
    static const struct elsewhere_answer answers[] = {
        [KIT_WELL] = { .outcome = ELSEWHERE_DONE, .http_status = 200 },
        [KIT_SILENT] = { .outcome = ELSEWHERE_RETRY, .message = SPAN_INIT("no answer") },
        [KIT_SILENT_DONE] = { .outcome = ELSEWHERE_RETRY, .message = SPAN_INIT("no answer") },
        [KIT_REFUSES] = { .outcome = ELSEWHERE_REFUSED,
                          .http_status = 400,
                          .error_code = 400005,
                          .message = SPAN_INIT("{\"Message\":\"not so\"}") },
        [KIT_UNAUTHORIZED] = { .outcome = ELSEWHERE_REFUSED,
                               .http_status = 401,
                               .error_code = 401002,
                               .message = SPAN_INIT("Unauthorized") },
        [KIT_UNAUTHORIZED_DONE] = { .outcome = ELSEWHERE_REFUSED,
                                    .http_status = 401,
                                    .error_code = 401002,
                                    .message = SPAN_INIT("Unauthorized"),
                                    .has_made = true },
        [KIT_THROTTLES] = { .outcome = ELSEWHERE_RETRY,
                            .http_status = 429,
                            .retry_after_ms = 7000,
                            .message = SPAN_INIT("too many") },
    };

    *a = answers[fault];
    return fault == KIT_WELL || fault == KIT_SILENT_DONE || fault == KIT_UNAUTHORIZED_DONE;
}

static inline enum kit_fault kit_fault_of(struct span hub)
{
    enum kit_fault fault = kit.fault[kit_hub_index(hub)];

    kit.calls++;
    if (fault != KIT_WELL && kit.faults_skip > 0) {
        kit.faults_skip--;
        return KIT_WELL;
    }
    if (fault != KIT_WELL && kit.faults_left > 0 && --kit.faults_left == 0) {
        memset(kit.fault, 0, sizeof kit.fault);
    }
    return fault;
}

static inline err kit_find(void *arg, const struct env *env, const struct linked_hub *link,
                           struct span id, struct device_state *ret_state, bool *ret_found,
                           struct elsewhere_answer *ret_answer)
{
    const struct kit_device *d = kit_far(link->host_name, id, false);

    (void)arg;
    assert_true(link->is_remote);
    assert_span("HostName=x", link->connection_string);
    (void)kit_answer(kit_fault_of(link->host_name), ret_answer);
    if (ret_answer->outcome == ELSEWHERE_DONE) {
        *ret_found = d != NULL;
        if (d != NULL) {
            *ret_state = (struct device_state){ 0 };
            TRY(arena_copy(env->arena, span_str(d->desired), &ret_state->desired));
        }
    }
    return OK;
}

/* The twin that a placement gives: what is carried, or the initial one. */
static inline struct span kit_twin(const struct placement *p, struct span here, bool is_here)
{
    return p->keeps_twin && is_here              ? here
           : p->keeps_twin && p->carried != NULL ? p->carried->desired
                                                 : p->initial_twin;
}

static inline err kit_place_far(void *arg, const struct env *env, const struct linked_hub *link,
                                const struct placement *p, struct elsewhere_answer *ret_answer)
{
    struct kit_device *d = kit_far(link->host_name, p->device_id, false);
    bool is_new = d == NULL;

    (void)arg;
    (void)env;
    assert_true(link->is_remote);
    if (kit_answer(kit_fault_of(link->host_name), ret_answer)) {
        d = kit_far(link->host_name, p->device_id, true);
        if (is_new || p->reset_twin) {
            (void)snprintf(d->desired, sizeof d->desired, "%.*s",
                           SPAN_FMT(kit_twin(p, SPAN_NONE, false)));
        }
        (void)snprintf(d->thumbprint, sizeof d->thumbprint, "%.*s",
                       SPAN_FMT(p->primary_thumbprint));
    }
    return OK;
}

static inline err kit_take_away_far(void *arg, const struct env *env, const struct linked_hub *link,
                                    struct span id, struct elsewhere_answer *ret_answer)
{
    struct kit_device *d = kit_far(link->host_name, id, false);

    (void)arg;
    (void)env;
    if (kit_answer(kit_fault_of(link->host_name), ret_answer) && d != NULL) {
        d->exists = false;
    }
    return OK;
}

static inline err kit_post(void *arg, const struct env *env, struct span url, struct span body,
                           struct span *ret_body, struct elsewhere_answer *ret_answer)
{
    (void)arg;
    (void)env;
    assert_true(span_starts_with(url, SPAN("https://")));
    assert_true(body.len > 0);
    kit.posts++;
    if (kit_answer(kit.webhook, ret_answer)) {
        *ret_body = span_str(kit.answer);
    }
    return OK;
}

static const struct elsewhere kit_elsewhere = {
    .find = kit_find, .place = kit_place_far, .take_away = kit_take_away_far, .post = kit_post
};

/* ---- hubs of the store: rows ---- */

static inline err kit_place(const struct env *env, struct store_tx *tx, const struct placement *p,
                            struct placed *ret_placed)
{
    struct hub hub = { .host_name = p->hub };
    struct device d = { .hub = p->hub, .device_id = p->device_id };
    struct device from = { .hub = p->from_hub, .device_id = p->from_device_id };
    bool is_found, has_from = false;

    TRY(store_get(tx, &KIND_HUB, &hub, env->arena, &hub));
    TRY(store_find(tx, &KIND_DEVICE, &d, env->arena, &d, &is_found));
    if (!span_is_absent(p->from_hub)) {
        TRY(store_find(tx, &KIND_DEVICE, &from, env->arena, &from, &has_from));
    }
    if (!is_found || p->reset_twin || has_from || p->carried != NULL) {
        d.desired = kit_twin(p, from.desired, has_from);
    }
    d.generation_id = SPAN("g");
    d.primary_thumbprint = p->primary_thumbprint;
    TRY(store_put(tx, &KIND_DEVICE, &d));
    *ret_placed = (struct placed){ .is_new = !is_found,
                                   .has_left = has_from,
                                   .left = from,
                                   .now = d,
                                   .has_twin = p->keeps_twin && (has_from || p->carried != NULL) };
    return has_from ? store_delete(tx, &KIND_DEVICE, &from) : OK;
}

static inline err kit_read(const struct env *env, struct store_tx *tx, struct span hub,
                           struct span id, struct device_state *ret_state, bool *ret_found)
{
    struct device d = { .hub = hub, .device_id = id };

    TRY(store_find(tx, &KIND_DEVICE, &d, env->arena, &d, ret_found));
    if (*ret_found) {
        *ret_state = (struct device_state){ .desired = d.desired, .status = d.status };
    }
    return OK;
}

static inline err kit_take_away(const struct env *env, struct store_tx *tx, struct span hub,
                                struct span id, struct placed *ret_placed)
{
    struct device d = { .hub = hub, .device_id = id };

    TRY(store_find(tx, &KIND_DEVICE, &d, env->arena, &d, &ret_placed->has_left));
    ret_placed->left = d;
    return ret_placed->has_left ? store_delete(tx, &KIND_DEVICE, &d) : OK;
}

static const struct placer kit_placer = { .place = kit_place,
                                          .read = kit_read,
                                          .take_away = kit_take_away };
static const struct core_tools kit_core_tools = { .hubs = &kit_placer };
static const struct core_errand_tools kit_tools = { .elsewhere = &kit_elsewhere,
                                                    .hubs = &kit_placer };

/* ---- the scene ---- */

static inline err kit_put_hubs(struct store_tx *tx, void *arg)
{
    (void)arg;
    for (int i = 0; i < KIT_HUBS; i++) {
        bool is_far = i >= 2;
        struct hub hub = { .host_name = span_str(kit_hubs[i]), .name = span_str(kit_hubs[i]) };
        struct linked_hub link = { .id_scope = kit.f.scope,
                                   .host_name = span_str(kit_hubs[i]),
                                   .weight = 1,
                                   .apply_allocation_policy = 1,
                                   .is_remote = is_far,
                                   .connection_string = is_far ? SPAN("HostName=x") : SPAN_NONE };

        if (!is_far) {
            TRY(store_put(tx, &KIND_HUB, &hub));
        }
        TRY(store_put(tx, &KIND_LINKED_HUB, &link));
    }
    return OK;
}

static inline int kit_setup(void **state)
{
    (void)state;
    memset(&kit, 0, sizeof kit);
    fixture_open(&kit.f);
    kit.ca = fixture_ca(&kit.f, "CA", NULL);
    kit.leaf = fixture_leaf(&kit.f, "dev", &kit.ca);
    kit.leaf2 = fixture_leaf(&kit.f, "dev", &kit.ca);
    assert_ok(store_write(kit.f.store, kit_put_hubs, NULL));
    return 0;
}

static inline int kit_teardown(void **state)
{
    (void)state;
    fixture_free(&kit.leaf2);
    fixture_free(&kit.leaf);
    fixture_free(&kit.ca);
    fixture_close(&kit.f);
    return 0;
}

enum kit_policy { KIT_MIGRATE, KIT_RESET, KIT_NEVER };

/* The group sends its devices to that hub. */
static inline void kit_enroll_group(const char *id, const struct node *ca, int hub,
                                    enum kit_policy policy)
{
    struct enrollment e = fixture_enrollment(&kit.f, ENROLLMENT_GROUP, id, X509_SOURCE_SIGNING);

    e.x509_primary = fixture_der(&kit.f, ca);
    e.allocation_policy = ALLOCATION_STATIC;
    assert_ok(arena_printf(&kit.f.arena, &e.iot_hubs, "[\"%s\"]", kit_hubs[hub]));
    e.initial_twin = SPAN("{\"properties\":{\"desired\":{\"i\":1}}}");
    e.update_hub_assignment = policy != KIT_NEVER;
    e.migrate_device_data = policy == KIT_MIGRATE;
    assert_reason(GRANTED, fixture_put(&kit.f, &e));
}

static inline void kit_enroll(int hub, enum kit_policy policy)
{
    kit_enroll_group("g", &kit.ca, hub, policy);
}

static inline struct core_outcome kit_register_with(const struct node *n)
{
    struct claim claim = fixture_claim(&kit.f, "dev", OPERATION_REGISTER, &n->cert, 1);
    struct core_outcome outcome;

    fixture_next(&kit.f);
    assert_ok(core_register(&kit.f.env, &claim, &kit_core_tools, &outcome));
    assert_reason(GRANTED, outcome.verdict);
    return outcome;
}

static inline struct core_outcome kit_register(void)
{
    return kit_register_with(&kit.leaf);
}

static inline struct registration kit_registration(void)
{
    struct registration r = { 0 };
    struct verdict v;

    assert_ok(core_registration_get(&kit.f.env, kit.f.scope, SPAN("dev"), &r, &v));
    assert_reason(GRANTED, v);
    return r;
}

static inline size_t kit_errands(struct errand **ret_rows)
{
    size_t n;

    assert_ok(core_errand_list(&kit.f.env, kit.f.scope, NULL, 16, ret_rows, &n));
    return n;
}

static inline struct errand kit_assign_errand(void)
{
    struct errand *rows;

    assert_true(kit_errands(&rows) > 0);
    assert_int_equal(rows[0].type, ERRAND_ASSIGN);
    return rows[0];
}

/* ---- running ---- */

/* Where a process dies: after so many claims, calls and settlements. 0: nowhere. */
static int kit_dies_after;
static int kit_points;

static inline bool kit_dies(void)
{
    return kit_dies_after != 0 && ++kit_points == kit_dies_after;
}

/* One errand of the lane, until it waits or ends. False: nothing was due. */
static inline bool kit_turn(struct span lane, int64_t *next_ms)
{
    struct core_errand_work w = { 0 };

    assert_ok(core_errand_claim(&kit.f.env, lane, &w));
    if (w.end == CORE_ERRAND_NONE) {
        *next_ms = w.next_due_ms < *next_ms ? w.next_due_ms : *next_ms;
        return false;
    }
    while (w.end == CORE_ERRAND_GOES_ON) {
        if (kit_dies()) {
            break;
        }
        assert_ok(core_errand_call(&kit.f.env, &kit_tools, &w));
        if (kit_dies()) {
            break;
        }
        assert_ok(core_errand_settle(&kit.f.env, &kit_tools, &w));
    }
    if (kit_dies_after != 0 && kit_points == kit_dies_after) { /* another process starts */
        kit_points++;
        assert_ok(core_errand_take_up(&kit.f.env));
    }
    return true;
}

/* All that is due now. *ret_next_ms: when there is more; INT64_MAX: never. */
static inline void kit_run_due(int64_t *ret_next_ms)
{
    struct span lane = SPAN_NONE;
    bool is_found = true;
    int64_t next_ms = INT64_MAX;

    for (int rounds = 0; is_found; rounds++) {
        assert_true(rounds < 200);
        fixture_next(&kit.f);
        assert_ok(core_errand_next_lane(&kit.f.env, lane, &lane, &is_found));
        if (is_found && kit_turn(lane, &next_ms)) {
            lane = SPAN_NONE; /* from the start: it may have filled any */
            next_ms = INT64_MAX;
        }
    }
    *ret_next_ms = next_ms;
}

/* Until nothing is left to do, or the time is over. */
static inline void kit_run_for(int64_t ms)
{
    int64_t end_ms = kit.f.env.now_ms + ms;
    int64_t next_ms = kit.f.env.now_ms;
    size_t n;

    while (next_ms <= end_ms) {
        kit.f.env.now_ms = next_ms > kit.f.env.now_ms ? next_ms : kit.f.env.now_ms;
        assert_ok(core_errand_expire(&kit.f.env, &n));
        kit_run_due(&next_ms);
    }
    kit.f.env.now_ms = end_ms;
}

static inline void kit_run(void)
{
    struct errand *rows;

    kit_run_for(2 * LIMIT_ERRAND_MS);
    assert_int_equal(0, kit_errands(&rows));
}

/* ---- what there is ---- */

static inline err kit_read_device(struct store_tx *tx, void *arg)
{
    struct device *d = arg;
    bool is_found;

    TRY(store_find(tx, &KIND_DEVICE, d, kit.f.env.arena, d, &is_found));
    if (!is_found) {
        d->generation_id = SPAN_NONE;
    }
    return OK;
}

static inline struct device kit_device(int hub)
{
    struct device d = { .hub = span_str(kit_hubs[hub]), .device_id = SPAN("dev") };
    const struct kit_device *far;

    if (hub < 2) {
        assert_ok(store_read(kit.f.store, kit_read_device, &d));
        return d;
    }
    far = kit_far(d.hub, d.device_id, false);
    if (far != NULL) {
        d.generation_id = SPAN("g");
        d.desired = span_str(far->desired);
        d.primary_thumbprint = span_str(far->thumbprint);
    }
    return d;
}

static inline bool kit_has(int hub)
{
    return !span_is_absent(kit_device(hub).generation_id);
}

static inline err kit_put_device(struct store_tx *tx, void *arg)
{
    return store_put(tx, &KIND_DEVICE, arg);
}

/* A back end changes what is desired. */
static inline void kit_mark(int hub, const char *desired)
{
    struct device d = kit_device(hub);
    struct kit_device *far;

    assert_true(kit_has(hub));
    if (hub < 2) {
        d.desired = span_str(desired);
        assert_ok(store_write(kit.f.store, kit_put_device, &d));
    } else {
        far = kit_far(d.hub, d.device_id, false);
        (void)snprintf(far->desired, sizeof far->desired, "%s", desired);
    }
}

/* On that hub and on no other; -1: nowhere. */
static inline void kit_assert_only_at(int hub)
{
    for (int i = 0; i < KIT_HUBS; i++) {
        if (kit_has(i) != (i == hub)) {
            fail_msg("the device is %son %s", kit_has(i) ? "" : "not ", kit_hubs[i]);
        }
    }
}

/* ASSIGNED to that hub, which has the device, and none other. */
static inline void kit_assert_assigned(int hub)
{
    struct registration r = kit_registration();

    if (r.status != REGISTRATION_ASSIGNED) {
        fail_msg("status %d: %.*s", (int)r.status, SPAN_FMT(r.error_message));
    }
    assert_span(kit_hubs[hub], r.assigned_hub);
    assert_span("dev", r.device_id);
    kit_assert_only_at(hub);
}

static inline void kit_assert_failed(int64_t code, const char *part)
{
    struct registration r = kit_registration();

    assert_int_equal(r.status, REGISTRATION_FAILED);
    assert_int_equal(r.error_code, code);
    if (!fixture_has(r.error_message, part)) {
        fail_msg("%.*s", SPAN_FMT(r.error_message));
    }
}

#endif
